// Package zab is the heart: atomic broadcast as ZooKeeper does it. A leader that was
// elected finds a new epoch (discovery), brings everybody to one history
// (synchronisation) and then extends it (broadcast), such that what a quorum holds durably
// is never lost or reordered, whoever leads next [Zab: Junqueira, Reed, Serafini, DSN
// 2011; spec zab-and-election].
//
// # Roles
//
// There is a type per role: Leader, Follower and Observer; the latter two share the learner.
// A role is one instance: it lives for one epoch at one leader, starts from what is on
// disk (Config.Durable) and ends in phase Stopped, after which the server elects again.
// Nothing is carried from one to the next in memory (hazards H-05, H-27, H-28).
//
//	leader                                      learner
//	  |  <- FOLLOWERINFO accepted epoch, incarnation  |
//	  |  (quorum) persist promise of epoch e          |   DISCOVERY
//	  |  LEADERINFO e ------------------------------> |
//	  |                             persist promise e |
//	  |  <- ACKEPOCH current epoch, history ----------|
//	  |  (quorum) persist current epoch e             |
//	  |  DIFF / TRUNC / SNAP -----------------------> |
//	  |  PROPOSAL ... from disk, then from memory --> |   SYNCHRONIZATION
//	  |  COMMIT, NEWLEADER end of the history ------> |
//	  |     persist {cut, history, current epoch e}   |
//	  |  <- ACK (e,0) --------------------------------|
//	  |  (quorum) the history is committed            |
//	  |  UPTODATE ----------------------------------> |
//	  |  PROPOSAL ----------------------------------> |   BROADCAST
//	  |  persist           persist                    |
//	  |  <- ACK z, of everything up to z -------------|
//	  |  (quorum) COMMIT z -------------------------> |
//	  |  observers: INFORM, behind the commit ------> |
//
// What a role does with a message is a table, role by kind; an empty cell is empty
// on purpose and ends the link:
//
//	kind          leader              follower          observer
//	FOLLOWERINFO  opens the link      -                 -
//	OBSERVERINFO  opens the link      -                 -
//	LEADERINFO    -                   promises          promises
//	ACKEPOCH      counts, plans sync  -                 -
//	DIFF TRUNC    -                   begins sync       begins sync
//	SNAP          -                   begins sync       begins sync
//	SNAPCHUNK     -                   - (driver's)      - (driver's)
//	PROPOSAL      -                   logs              stages, in sync only
//	INFORM        -                   -                 logs, commits
//	COMMIT        -                   commits           commits
//	NEWLEADER     -                   accepts           accepts
//	ACK           counts              -                 -
//	UPTODATE      -                   serves            serves
//	PING          learner is alive    answers           answers
//	REQUEST TOUCH surfaces            -                 -
//	SYNC          surfaces            delivers          delivers
//	REVALIDATE    surfaces            delivers          delivers
//
// # Promises
//
// A role says nothing about the disk before the disk said it: LEADERINFO, ACKEPOCH and every
// ACK leave only from Persisted. Everything that a synchronisation changes is one step
// on disk, so a crash leaves the history before or the history after (spec 7.3 S4). Every
// entry carries the zxid before it and a running hash, and a learner checks both
// for each, so that a hole or a fork is found where it begins. Commits follow from
// acknowledgements of prefixes under the ensemble's verifier, and only voters count whose
// store is the one that is remembered of them; trust.go says how another one comes to count
// again. A Sync is answered when a quorum has confirmed that the leader leads still. A cut that would undo what is committed is
// refused and reported (EventDivergence).
//
// # Driving a role
//
// The package is pure: no goroutine, clock, socket, disk or log. Plain values go in, plain
// values come out, and the same inputs give the same outputs. One goroutine owns a role:
//
//	r := zab.NewFollower(cfg, leader)
//	r.Step(m)          // a message came, in the order of the link
//	r.Tick()           // half a tickTime has passed
//	r.Persisted(token) // our own disk has caught up
//	rd := r.Ready()    // everything to do since the last call
//
// Ready may be called after any number of inputs: the more lie between two calls,
// the larger the batches. The fields of Ready say in which order they are to be worked off.
//
// A learner that is far behind is served from disk: the leader asks for a Stream, the
// driver sends it on the learner's link and reports StreamDone; the rest comes from the
// leader's window of recent entries in one piece with NEWLEADER. SNAPCHUNK messages pass
// between drivers; the learner hears SnapshotStaged when the snapshot is complete.
//
// # Left to others
//
// Who leads (fle); reading and writing (txnlog); links, frames and their budgets
// (transport); what a transaction means (znode); what a request is (server). A server that
// runs alone is a Leader whose ensemble has one voter. Built with the tag
// invariants, a role checks itself after every step.
package zab
