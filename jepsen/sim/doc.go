// Package sim runs a whole ensemble inside one goroutine, under one seed: the real
// fle, zab, zab/txnlog and znode code of three or five voters, and observers if wanted, on
// disks that lose power and a network that loses everything it may lose, in virtual time.
//
// # What is real and what is played
//
// The election and zab machines, the transaction log on Pebble, prepare and apply of
// transactions are the production code. The driver around them (package quorum/peer and
// server/node in production) is written again here without goroutines, step for step in the
// same order: what a server does between two inputs, and what it must not do before
// its disk has answered, is the same. The tree is a small one in memory with the store's rules of
// durability: nothing is synced but by a flush, a flush happens when the scheduler says so,
// and a crash leaves the state of the last flush.
//
//	scheduler ──► loop turn of a server ──► machines ──► Ready ──► disk queue, links, applier
//	    ▲              ▲                                               │
//	    └── nemesis    └── inbox: messages, disk, streams, clients ◄───┘
//
// # Time, network, disk
//
// Every delay is drawn from the one random source, and every event goes through one
// queue ordered by virtual time. Learner links are FIFO per direction and can stall, break
// with what is in flight, or end behind it; the election channel keeps the newest message per
// peer and repeats the last one on a new connection. Partitions are full or one-way. A step
// on disk is durable some time after it was submitted, and reported some time later. A power
// cut keeps a prefix of the queued steps; the one that is being written may be torn at any byte
// of the write-ahead log. A kill keeps the page cache. Servers also crash between any two
// effects of one turn. A disk may be wiped when every other voter remembers its incarnation,
// which is what the design asks for.
//
// # What is checked
//
// After every step, under the names of spec hazards 12: LeaderUniqueness (I1),
// PrefixConsistency (I2), Integrity (I3), ProcessConsistency (I9), LeaderCompleteness (I10),
// CommittedDurability (I11), EpochMonotony (I12), AckMeansDurable (I13), StateIsFold (I14),
// SessionOrder (I15), QuorumIntersection (I16), NoReplyWithoutCommit (I20). When the faults
// stop the ensemble must settle, make progress and agree within a bounded virtual time
// (Convergence: L1 to L3). A panic of a machine and a step that the log refuses count as
// violations too.
//
// # Use
//
// Run runs one seed. The same Config gives the same trace, byte for byte; Result.TraceHash
// sums it up. The command simulate runs many seeds and prints how to replay one that fails.
// Mutants are deliberate bugs of this package's driver; the tests hold that each of them is
// caught.
package sim
