package peer

import (
	"sync"

	"github.com/zabkeeper/zabkeeper/fle"
	"github.com/zabkeeper/zabkeeper/quorum"
	"github.com/zabkeeper/zabkeeper/zab"
	"github.com/zabkeeper/zabkeeper/zab/zxid"
)

type eventKind uint8

const (
	evNotification eventKind = iota
	evReachable
	evLinkUp
	evReceived
	evLinkDown
	evPersisted
	evSubmit
	evPropose
	evPlan
	evReconfigure
	evAnswer
	evStreamDone
	evStreamFailed
	evHandOver
	evRepair
)

// event is one thing that happened; kind says which fields count.
type event struct {
	kind eventKind
	up   bool
	sid  quorum.SID
	link uint64
	// generation tells to which role instance the event belongs; events of an older
	// one are dropped.
	generation  uint64
	token       uint64
	incarnation quorum.Incarnation
	note        fle.Notification
	msgs        []zab.Message
	request     zab.Kind
	payloads    [][]byte
	first       zxid.ID
	point       zxid.Point
	err         error
	plan        func(quorum.Membership) (*quorum.Ensemble, error)
	planned     chan<- Planned // holds one
	next        *quorum.Ensemble
}

// inbox is the loop's queue of events: many writers, one reader, which takes everything
// at once. Its size is bounded by those who fill it: links by their readers' back-pressure
// (see Peer.Received), clients and preparer by their windows, the log by the steps submitted.
type inbox struct {
	mu     sync.Mutex
	events []event
	spare  []event
	closed bool
	// received counts queued bursts of link messages; room is signalled when the
	// loop has taken them.
	received int
	room     sync.Cond
	wake     chan struct{}
}

// maxReceived is the number of bursts of link messages that may wait in the inbox; a
// link's reader beyond it waits, and TCP pushes back on the sender.
const maxReceived = 1024

func newInbox() *inbox {
	in := &inbox{wake: make(chan struct{}, 1)}
	in.room.L = &in.mu
	return in
}

// put adds an event.
func (in *inbox) put(e event) {
	in.mu.Lock()
	if e.kind == evReceived {
		for in.received >= maxReceived && !in.closed {
			in.room.Wait()
		}
		in.received++
	}
	if !in.closed {
		in.events = append(in.events, e)
	}
	in.mu.Unlock()
	select {
	case in.wake <- struct{}{}:
	default:
	}
}

// take returns everything queued. The slice is valid until the next call.
func (in *inbox) take() []event {
	in.mu.Lock()
	defer in.mu.Unlock()
	batch := in.events
	clear(in.spare)
	in.events, in.spare = in.spare[:0], batch
	if in.received > 0 {
		in.received = 0
		in.room.Broadcast()
	}
	return batch
}

// close drops what is queued and everything that comes later.
func (in *inbox) close() {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.closed = true
	in.events = nil
	in.room.Broadcast()
}
