package server

import (
	"github.com/zabkeeper/zabkeeper/proto"
	"github.com/zabkeeper/zabkeeper/zab/zxid"
)

// wait says what a request in a connection's queue waits for.
type wait uint8

const (
	// ready requests are answered as soon as they are the first: reads, and answers
	// that are fixed already.
	ready wait = iota
	// forCommit requests wait for their transaction.
	forCommit
	// forSync requests wait for the leader's answer.
	forSync
	// forIndex requests are linearizable reads and wait for the server's next sync.
	forIndex
)

// request is one request of a client from the moment it is decoded until it is
// answered. What it holds does not alias the connection's input.
type request struct {
	xid   proto.Xid
	op    proto.Op
	wait  wait
	watch bool
	// fixed requests are answered with code and zxid, whatever the tree says.
	fixed bool
	// last closes the connection behind the answer.
	last bool
	// silent ends without an answer.
	silent bool
	code   proto.Code
	zxid   zxid.ID
	// upgrade requests create a session that is in use already: nobody hears of it.
	upgrade bool
	// cost estimates the bytes that the request holds while it waits, and those of the answer to
	// a read, beyond the usual hundred.
	cost  int
	path  string
	body  proto.Request // of the operations that need more than path and watch
	rearm *rearm        // of setWatches and setWatches2
	// aside is what was computed without the tree's lock: a census of getAllChildrenNumber, a
	// glance of a long multiRead, or nil.
	aside  follower
	who    *identity
	ticket uint64 // of a sync, or the number of the server's sync
	since  int64  // ns, see Server.now
	holds  holding
}

// queue is a FIFO of requests in a ring that grows by doubling.
type queue struct {
	ring []request // the length is a power of two
	head int
	n    int
}

func (q *queue) len() int { return q.n }

// at returns the i-th request, 0 being the head.
func (q *queue) at(i int) *request { return &q.ring[(q.head+i)&(len(q.ring)-1)] }

func (q *queue) push(r *request) {
	if q.n == len(q.ring) {
		q.grow()
	}
	q.n++
	*q.at(q.n - 1) = *r
}

func (q *queue) grow() {
	ring := make([]request, max(2*len(q.ring), 4))
	for i := range q.n {
		ring[i] = *q.at(i)
	}
	q.ring, q.head = ring, 0
}

// pop removes the head, which must exist.
func (q *queue) pop() {
	*q.at(0) = request{}
	q.head = (q.head + 1) & (len(q.ring) - 1)
	q.n--
}
