// Package cluster runs an ensemble of real server processes on loopback: each with its own
// directory, zoo.cfg, myid and log file, started from a command line, and hurt by signals.
//
// A Launch says how a server is started: the project's own binary, or Apache ZooKeeper as Debian
// packages it, which is the control of every suite built on this package (a checker that Apache
// does not pass is wrong, or has found something). A Cluster never touches processes other than
// those it started, and those die with it: by Close, or on Linux by a signal of the kernel when
// the process that started them ends in whatever way.
//
// Ports are taken below the range that the kernel hands out to outgoing connections, so that a
// client cannot sit on the port of a server that is down.
//
// All methods are safe for concurrent use. What to break and when is decided by package nemesis.
package cluster
