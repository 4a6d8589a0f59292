// Package session keeps the table of live sessions that a leader expires.
//
// A Tracker is a pure machine: it has no clock. Its driver calls Tick once per
// tickTime of a monotonic clock, and Elapsed to say how far the tick under way has come. A
// session dies at the first tick behind the end of its timeout: between timeout and timeout
// plus one tick after Touch, never sooner (spec semantics 9.2). Ticks that come late or are
// lost only lengthen lives, and Grant lengthens them on purpose after the leader itself was
// paused (hazard H-71).
//
// The life of a session, as the leader sees it:
//
//	Add ──► live ──Tick──► closing ──Remove──► gone
//	          │               ▲
//	          └────Close──────┘
//
// A session is marked closing before its closeSession transaction is proposed; from
// then on Check answers Expired, Touch and Renew do nothing, and only Remove, called
// when the transaction is applied, forgets it.
//
// Every session has an owner: the server through which its client speaks. Check learns
// it from the first request after the leader started, Renew and Add set it, and
// a request through any other server is Moved (spec semantics 9.4).
//
// Touch costs one map access: a session is filed under the tick at which it is to be
// looked at, and only then is it seen whether it was touched meanwhile and has to be filed
// again. Expired sessions come sorted, so the same calls give the same answers.
//
// What the package leaves to others: transactions, the replicated table of sessions
// (package znode), and who collects the touches.
package session
