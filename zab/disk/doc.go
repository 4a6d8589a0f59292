// Package disk is what the stores of a server ask of a disk: that it is left alone after its
// first failure, that whatever went wrong is told with file, offset and remedy, and that
// there is something to give back when it is full.
//
// # Guard
//
// A Guard is the file system that a store and Pebble see. Before it is armed, as long as a
// start can still be refused, it only names files in errors. From then on the first write,
// sync, creation or renaming that fails is reported to the store at once, which ends the
// process: no retry can tell what reached the disk, and a sync that succeeds after one that
// failed says nothing (hazards H-03, H-16 of spec hazards).
//
// # Faults
//
// Judge tells the kind of an error that came from the file system or from Pebble, and what an
// operator can do about it. FileError names a file and the place in it.
//
// # Ballast
//
// A Ballast is a file that takes room for nothing. It is given back when the disk is full, so
// that the server can be started once more.
//
// # Scrub
//
// Scrub compares the tables and blob files of a store with their checksums, on the disk and at the
// pace of a Meter, so that damage is found before somebody needs what it has hit (hazard H-94).
//
// # What it leaves to others
//
// Which failures end the process is the store's business, what happens when space runs low
// the server's.
package disk
