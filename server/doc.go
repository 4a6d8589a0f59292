// Package server is the face to clients: it accepts connections, keeps their sessions,
// answers reads from the applied tree, sends writes to whoever leads, applies what comes back
// committed, and fires watches. While it leads it also runs the primary, which makes
// transactions of requests and expires sessions.
//
// It knows nothing of consensus. What it needs of it is declared here: a Replicator that
// carries forwards to the leader, a Proposer that the leader proposes through, a Store. What
// consensus needs of it are the methods of Server. server/node joins the two; a standalone
// server is the same with a Replicator that hands everything back to it.
//
// # How it is driven
//
//	s, err := server.New(cfg)
//	go s.Run(ctx, listener)
//	s.Commit(...), s.Answered(...)       // in one order; Commit with committed history only
//	s.Lead(epoch, first, proposer)       // on the leader, before any forward of the epoch
//	s.Serve("leader")                    // when the role may serve; after Lead on a leader
//	s.Forwarded(from, forwards)          // on the leader: its learners' and its own submissions
//	s.StopServing("lost the leader")     // before the role is left
//	s.ServeReadOnly()                    // without a leader, until StopServing
//	s.Replace(install)                   // between StopServing and Serve: another tree
//
// Lead, Serve, ServeReadOnly and Replace take their place behind everything handed to Commit before. An
// answer that a Proposer was given must reach Answered behind the Commit of everything that was
// proposed before it: this one rule makes sync, renewals and moves right.
//
// # Goroutines and what they own
//
//	accept loop          the listener
//	reader, one per      its input; decodes, answers what waits for nothing, queues and
//	connection           submits the rest; writes its own bursts
//	writer, on demand,   output that the reader did not cause; at most one at a time, ends
//	at most one per      when there is no more
//	connection
//	applier              the tree, and the order of everything that follows from a commit
//	fan-out, on demand   the place in the registry of watches that a broadcast has reached
//	primary, while       pending changes, the session tracker
//	leading
//	housekeeping         the eras (half ticks): touches, limits and local sessions that time out
//
// All of them have ended when Run returns; the primary, when StopServing returns. Locks are
// taken in the order tree, Server, conn; watch.Registry's is innermost. Nothing blocks
// under a lock, disk reads of the store aside.
//
// # The life of a request
//
// A connection answers in the order of its requests. The reader appends the answer to a
// read directly, under the tree's read lock, as long as its queue is empty. A
// write or a sync goes into the queue, and everything behind it too, until the applier
// has installed the write's transaction: it fires the watches of the whole batch, appends
// the reply, then answers the reads behind it. A batch is cut before a transaction whose
// connection has reads queued ahead of it, so these see exactly the state between the
// session's two writes; the zxid in every reply is the state that it was computed from.
//
// A read of many nodes (more than 16: setWatches, multiRead) is never queued: the reader waits
// until its queue is empty, and then answers it in steps, between which commits are applied.
// Watches are looked up and set a few at a time. What a multiRead found without the lock is
// looked up once more under it where something has changed since, so that the whole answer is
// of one state.
//
// A committed transaction is matched with the first unanswered write of its session's
// local connection. That is enough: the leader takes requests of a session only through
// its owner, in order, and a renewal is answered behind everything that was proposed
// before, so that a new connection never meets transactions of an older one.
//
// # Local sessions and read-only mode
//
// A local session is known to the server that accepted it and to nobody else. That server
// vouches for it when it forwards its writes, and housekeeping expires it. Its renewal waits for
// the answer to a sync, which keeps the rule above. Its first ephemeral is preceded, where
// the configuration says so, by a createSession transaction, in the queue as in the log;
// when that is applied the session is like any other.
//
// Without a leader the server may serve what it has applied, to clients that ask for no
// more. A connection belongs to the mode in which it was admitted and ends with it. The sessions
// of these clients are local ones; they outlive the mode only where sessions are local anyway.
//
// # Events for crowds
//
// The applier tells a few watchers of a change itself, under the tree's lock. A trigger that
// reaches more becomes a broadcast: it gets a number and joins a queue, and the lock is
// released. One goroutine works the queue off, connection by connection, and no reader and no
// writer waits for it. No client can see the difference, because of three rules, all
// of them under the connection's lock:
//
//	(1) A connection hears broadcasts in the order of their numbers, each once: it remembers the
//	    last number it has heard.
//	(2) Before anything else is appended to its output, a reply or the event of another
//	    trigger, and before it sets or removes a watch, it hears every broadcast so far.
//	(3) To hear a broadcast is to look one's own watches up at that moment: whoever the
//	    trigger reaches gets the event, and its one-shot watch is used up.
//
// By (2) a connection's watches do not change between a trigger and its hearing, other than by
// earlier triggers; so what (3) finds is what the applier would have found. By (1) and (2)
// events and replies stand in the order in which the applier and the readers came by, as if the
// event had been appended at once: ahead of any reply that shows the change, and
// behind the reply that set the watch (spec semantics 8.6). New broadcasts appear only under
// the tree's write lock, so that whoever answers, under its read lock, has heard all there
// are. And all are told in the end: the walk passes every connection that had a watch
// when it began, and one that it finds with a watch set later has heard the number already.
// When the queue is empty, nobody has anything left to hear.
//
// # Four-letter words
//
// The reader of the connection that asks makes the answer, in pieces, and waits until each is
// taken. It reads the tables of connections and watches in pages, and the store without the tree's
// lock; when sessions expire it asks the primary, a few hundred at a time, between two batches. What
// cons shows of a connection is written by whoever answers its requests, under the connection's
// lock, which they hold anyway.
//
// # Limits
//
// Frames by Config.MaxFrame, the first one by 16 KiB: close. Connections by MaxCnxns and MaxClientCnxns: reset. Unanswered
// requests by MaxOutstanding, GlobalOutstanding, and half of MaxOutput for what they hold
// and their answers are estimated to be: the connection is not read; 48 MiB of that for all
// connections: those with unanswered requests are not. The answer to a multiRead by
// MaxAnswer, lists by MaxList: refused.
// Watches by MaxWatchBytes: close. Unsent output: at 256 KiB the connection is
// neither read nor has queued reads answered, at MaxOutput it is closed. Transactions in flight by Window and 64 MiB: the
// primary stops taking requests. Broadcasts that are a second old: no changes are applied until
// they are over. Identities of a connection: 64 and 64 KiB, then authentication fails.
//
// The package follows spec client-protocol, and spec semantics 8, 9, 14 and 15.
package server
