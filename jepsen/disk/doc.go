// Package disk hurts what servers have on disk, and how their disk behaves.
//
// Syncs stands between a server and the kernel: each fsync and fdatasync of the server waits here
// (seccomp user notification), to be slowed down or to fail. It needs no privilege, no kernel module
// and no special file system, and works for the processes of any program. Mount gives a directory a
// small file system of its own, in the mount namespace that package network made, and Fill fills it
// up. Corrupt, Wipe, Save and Restore change the files of a server that does not run.
package disk
