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
//	primary, while       pending changes, the session tracker
//	leading
//	housekeeping         the eras (half ticks): touches, limits that time out
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
// # Limits
//
// Frames by Config.MaxFrame: close. Connections by MaxCnxns and MaxClientCnxns: reset. Unanswered
// requests by MaxOutstanding, GlobalOutstanding, and half of MaxOutput for what their answers
// are estimated to be: the connection is not read. Unsent output: at 256 KiB the connection is
// neither read nor has queued reads answered, at MaxOutput it is closed. Transactions in flight by Window and 64 MiB: the
// primary stops taking requests. Identities of a connection: 64, then authentication fails.
//
// The package follows spec client-protocol, and spec semantics 8, 9, 14 and 15.
package server
