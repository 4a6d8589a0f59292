// Package fle is ZooKeeper's FastLeaderElection: it finds the voter whose
// history is the most recent among a quorum, by exchanging notifications until a quorum
// votes alike.
//
// A Machine is pure: it has no clock, network or goroutine. One lives as long as the
// process, because its logical clock (the round) must not fall back.
//
//	m := fle.New(cfg)
//	m.Look(own)        // this server lost or never had a leader
//	m.Step(n)          // another server said something
//	m.Tick()           // one election tick went by
//	m.Reach(sid, up)   // a link came or went: only a hint
//	rd := m.Ready()    // notifications to send; the outcome, once there is one
//	m.Settle(st, vote) // the outcome proved itself: the epoch is established
//
// Votes are ordered by (epoch, zxid, sid). The epoch is the last one whose NEWLEADER the
// candidate accepted, not the epoch of its last transaction. A server adopts every better vote
// and tells everybody; when the votes of a round make a quorum it waits a little for a better
// one, unless every voter that it can reach agrees already, and ends the election.
//
// # What it promises
//
// Little, on purpose. A vote binds nobody: a voter may change its mind, two servers may
// both believe to be elected, and a server may be elected that cannot lead. What makes
// leadership safe is the discovery of package zab, where followers promise on disk. This
// package owes liveness: with a majority that can talk, it settles, and it settles on a server
// whose history lacks nothing that a quorum of them may have acknowledged.
//
// # Who is counted
//
// Only voters of the ensemble, and never one that is distrusted, because it came back
// with another store than the one that made its promises (hazard H-40), nor one that says of
// itself that its history must not be believed (zxid.Untrusted, ZOOKEEPER-261). They are still
// answered, so that they find the leader and can be synchronised. Observers are answered,
// never counted, and never elected.
//
// While a reconfiguration is under way, who has logged it asks a quorum of both configurations, and tells
// the others in its notifications what is pending. They count as before, but may vote for a server that is a
// voter there alone, and follow it as soon as it says that it leads (hazard H-82). If nobody comes of that,
// everybody goes back to the voters of the committed configuration after a while.
//
// # Differences from Apache's
//
// The wait for a better vote ends at once when all reachable voters agree. Notifications that
// arrive during that wait are taken into account instead of being thrown away, so that no
// repetition is needed. A looking server answers a worse vote of its own round, where Apache's
// waits for the next repetition. A server that was elected repeatedly without getting a quorum
// behind it abstains for a while, and one that reaches somebody but no quorum takes its candidacy back
// and joins whoever says that it leads (hazard H-55).
package fle
