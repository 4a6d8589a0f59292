// Package sim runs a whole ensemble inside one goroutine, under one seed: the real
// fle, zab, zab/txnlog and znode code, in a share of the seeds znode/store as well, on disks that
// lose power and a network that loses everything it may lose, in virtual time.
//
// # What is real and what is played
//
// The election and zab machines, the transaction log on Pebble, prepare and apply of
// transactions are the production code. The driver around them (package quorum/peer and
// server/node in production) is written again here without goroutines, step for step in the
// same order: what a server does between two inputs, and what it must not do before
// its disk has answered, is the same. Of six seeds one has its trees in the real store, on the same
// simulated disk as the log; the others have a small one in memory with the store's rules of
// durability: nothing is synced but by a flush, a flush happens when the scheduler says so, and a
// crash leaves the state of the last flush.
//
//	scheduler ──► loop turn of a server ──► machines ──► Ready ──► disk queue, links, applier
//	    ▲              ▲                                               │
//	    └── nemesis    └── inbox: messages, disk, streams, clients ◄───┘
//
// The shape of the ensemble is drawn from the seed, unless Config.Shape says otherwise: 1, 3, 5 or 7
// voters, observers beside them, weights, groups, members of weight 0. So are the limits of the roles,
// which are small so that every way of synchronising occurs, the pace of the clients, and which kinds of
// faults there are.
//
// A third of the ensembles change while they run. Clients ask the leader, with a version that they expect
// or without, for servers to join, to leave (the leader among them), to become observers or participants,
// to move, for groups and weights, or for a whole new list. Beside the members there are servers that are
// none yet; all of them learn of configurations from the log and from the election, keep the committed ones
// in their configuration files, and come back with old ones. process.members is what a server believes; who
// has a vote in truth is what the oracle knows (configs), and nobody else.
//
// # Time, network, disk
//
// Every delay is drawn from the one random source, and every event goes through one
// queue ordered by virtual time. Learner links are FIFO per direction and can stall, break
// with what is in flight, or end behind it; a lost packet comes late, with everything behind it. The
// election channel keeps the newest message per peer and repeats the last one on a new connection. A
// step on disk is durable some time after it was submitted, and reported some time later. A power
// cut keeps a prefix of the queued steps; the one that is being written may be torn at any byte
// of the write-ahead log. A kill keeps the page cache. Timers of a server may run fast or slow
// for good.
//
// The nemesis (see Faults) ends processes at once, at any of their next points of persistence, while they
// are synchronised, and all together; it cuts servers off, splits ensembles, closes single directions,
// leaves bridges, rings and hubs, lets connections flap, break, delay and lose; it makes servers and
// disks slow, lets leaders end with transactions that nobody else has, stops processes, lets writes, syncs
// and reads of the log fail and disks fill up, turns the clock, and wipes a disk when every other voter
// remembers its incarnation, which is what the design asks for. An error of the disk must end the process as docs and spec say: with one fatal error that names
// the directory, and a log that takes nothing more.
//
// Four of five ensembles whose trees are on disk have disks that fail below the tree, too: a flush cannot be
// written, or the disk is full; a snapshot cannot be staged, or not become the tree; the tree cannot be read at the
// start; its tables are damaged or gone; an old copy of it is put beside the log. A server ends, or refuses to
// start, with the directory named. Then it starts again and the log brings its tree up to date; or, where docs say
// that both directories must be emptied, it comes back as a wiped server, if the ensemble can do without what
// it knew. What fails are kinds of operations: which is the n-th depends on when Pebble's background work
// came to run, and a seed must replay.
//
// A node goes wrong in the memory of one server: its leader announces another digest than it finds, and
// what package server does about that is done. Who is right is not computed from reports, as package
// server does, but known; and who is right goes on where nobody can tell so, though not alone with a leader
// that is in doubt.
//
// Each act of the nemesis has a random source of its own, so that some of them can be left out
// (Config.Skip) without changing what the others are: Shrink looks for a small failing set.
//
// # What is checked
//
// After every step, each under its number of spec hazards 12 and its name: I-01 to I-20, as
// Invariants lists them with where they are checked. When the faults stop, somebody must lead (L-1),
// writes must be answered (L-2), and every server must serve and have everything (L-3), each within a
// bounded virtual time; in the end logs, trees and memberships are compared from scratch. A panic of a
// machine, a step that the log refuses, a stale answer to a sync, a disk error that is survived and an
// election that talks without end are violations too (S-1 to S-6).
//
// What is committed must be held by quorums of every configuration that has a say in it, a new epoch must
// be promised and accepted by them, and a configuration that a server takes for committed must be (I-16,
// I-19). Every transaction carries the digest of the history behind it, made by whichever leader, unless the
// leader's own tree is wrong (I-14).
//
// Of an ensemble that changes some servers may stay away for good when the faults end, as long as
// those quorums are left: L-1 to L-3 hold for the others. They do not hold for ensembles in which nobody could lead,
// whatever it does (Counts.Lost), nor if a tree went wrong and nobody could tell which (Counts.Contested).
//
// # The trace
//
// Run gives the same trace for the same Config, byte for byte; Result.TraceHash sums it up, also when
// nobody reads it. Each line is one event of spec hazards 12.1: virtual time; the server and its life;
// its own count of lines; the generation of its role; its epoch; the event; its fields.
//
//	1203.518ms s2.3 #00412 g5 e4    COMMIT        zxid=0x400000007 hash=4bbab7568bfba884 set={1 2}
//	1203.911ms s1.1 #00230 g2 e4    RECV          peer=2 COMMIT 0x400000007
//	1250.000ms -                    FAULT         peer=2 n=14 power
//
// # Use
//
// The command simulate runs many seeds, prints the end of the trace of one that fails, shrinks it, and
// says how to replay it. Mutants are deliberate bugs of this package's driver; the tests hold that
// each of them is caught.
package sim
