package node

import (
	"errors"
	"fmt"
	"time"

	"github.com/zabkeeper/zabkeeper/fle"
	"github.com/zabkeeper/zabkeeper/quorum"
	"github.com/zabkeeper/zabkeeper/quorum/peer"
	"github.com/zabkeeper/zabkeeper/server"
	"github.com/zabkeeper/zabkeeper/zab"
	"github.com/zabkeeper/zabkeeper/zab/txnlog"
	"github.com/zabkeeper/zabkeeper/zab/zxid"
	"github.com/zabkeeper/zabkeeper/znode/store"
)

// machine is the peer's view of the server: the state machine that the history drives.
// The peer's loop calls it, except where the interface says otherwise.
type machine struct {
	n *Node
	// handed is the point up to which the server was given transactions.
	handed zxid.Point
}

func (m *machine) Applied() zxid.Point { return m.handed }

func (m *machine) Commit(entries []zab.Entry) {
	batch := make([]server.Committed, len(entries))
	for i := range entries {
		batch[i] = server.Committed{At: entries[i].Point(), Txn: entries[i].Data}
	}
	m.handed = entries[len(entries)-1].Point()
	m.n.server.Commit(batch)
}

func (m *machine) Answered(msg zab.Message) {
	if kind, ok := serverKind(msg.Kind); ok {
		m.n.server.Answered(kind, msg.Data)
	}
}

func (m *machine) Lead(epoch zxid.Epoch, first zxid.ID) {
	m.n.server.Lead(epoch, first, &proposer{n: m.n, generation: m.n.peer.Leading()})
}

func (m *machine) Forwarded(from quorum.SID, msgs []zab.Message) {
	fs := make([]server.Forward, 0, len(msgs))
	for i := range msgs {
		if kind, ok := serverKind(msgs[i].Kind); ok {
			fs = append(fs, server.Forward{Kind: kind, Payload: msgs[i].Data})
		}
	}
	m.n.server.Forwarded(server.Origin(from), fs)
}

func (m *machine) Serve(state fle.State) {
	if state == fle.Leading && !m.n.conf.LeaderServes && m.n.ensemble().Len() > 1 {
		return
	}
	m.n.server.Serve(m.n.mode(state))
}

func (m *machine) ServeReadOnly() { m.n.server.ServeReadOnly() }

func (m *machine) Drain(limit time.Duration) { m.n.server.Drain(limit) }

func (m *machine) StopServing(reason string) { m.n.server.StopServing(reason) }

func (m *machine) OpenSnapshot() (peer.SnapshotSource, error) {
	if why := m.n.server.Withheld(); why != "" {
		return nil, fmt.Errorf("%w: %s", errWithheld, why)
	}
	s, err := m.n.stores.tree.Snapshot()
	if err != nil {
		return nil, err
	}
	return &snapshot{Snapshot: s, server: m.n.server}, nil
}

// errWithheld says that the tree may be the wrong one.
var errWithheld = errors.New("no snapshot is given away")

// snapshot is one that is given away for as long as nothing speaks against the tree.
type snapshot struct {
	*store.Snapshot
	server *server.Server
}

// Next implements peer.SnapshotSource.
func (s *snapshot) Next(maxBytes int) (chunk []byte, done bool, err error) {
	if why := s.server.Withheld(); why != "" {
		return nil, false, fmt.Errorf("%w: %s", errWithheld, why)
	}
	return s.Snapshot.Next(maxBytes)
}

func (m *machine) StageSnapshot() (peer.SnapshotSink, error) {
	m.n.scrubs.stop("the tree will be replaced")
	st, err := m.n.stores.tree.Stage(stagingName)
	if err != nil {
		return nil, err
	}
	return &staging{Staging: st, tree: m.n.stores.tree}, nil
}

func (m *machine) Install(sink peer.SnapshotSink) error {
	tree := m.n.stores.tree
	st := sink.(*staging) //nolint:errcheck // StageSnapshot made it; another one is a bug
	err := m.n.server.Replace(func() error { return tree.Replace(st.Staging) })
	if err != nil {
		return err
	}
	m.handed = tree.Applied()
	m.n.repairs.done()
	return nil
}

// staging is a snapshot on its way in.
type staging struct {
	*store.Staging
	tree *store.Store
}

func (s *staging) Discard() error {
	if err := s.Close(); err != nil {
		return err
	}
	return s.tree.DiscardStaged("")
}

// proposer is the server's way to the peer while it leads: one leadership's, so that
// what a slow preparer says after the end of it is dropped.
type proposer struct {
	n          *Node
	generation uint64
	next       *quorum.Ensemble // planned last
}

func (p *proposer) Propose(first zxid.ID, txns [][]byte) {
	p.n.peer.Propose(p.generation, first, txns)
}

func (p *proposer) Answer(to server.Origin, kind server.Kind, payload []byte) {
	p.n.peer.Answer(p.generation, quorum.SID(to), zabKind(kind), payload)
}

// replicator is the server's way to whoever leads.
type replicator struct{ n *Node }

func (r replicator) Submit(fs []server.Forward) {
	if r.n.peer.Leading() != 0 {
		r.n.server.Forwarded(server.Origin(r.n.sid), fs)
		return
	}
	msgs := make([]zab.Message, len(fs))
	for i, f := range fs {
		msgs[i] = zab.Message{Kind: zabKind(f.Kind), Data: f.Payload}
	}
	r.n.peer.Submit(msgs)
}

// history is the peer's view of the transaction log.
type history struct {
	*txnlog.Log
	strict bool // see Node.strict
	// alone says that this server is standalone, whatever ensemble its log remembers.
	alone bool
}

// Durable adds that an empty store is not to be trusted, where the operator wants it so, until
// it has accepted a leader once.
func (h history) Durable() zab.Durable {
	d := h.Log.Durable()
	d.Untrusted = d.Untrusted || h.strict && d.Current == 0
	if h.alone {
		d.Membership = quorum.Membership{}
	}
	return d
}

func (h history) NewWriter(done func(token uint64)) (peer.Writer, error) {
	w, err := h.Log.NewWriter(done)
	if err != nil {
		return nil, err
	}
	return writer{w}, nil
}

// writer names the one error of the log that the peer can do something about.
type writer struct{ *txnlog.Writer }

func (w writer) Submit(p *zab.Persist) error {
	err := w.Writer.Submit(p)
	if errors.Is(err, txnlog.ErrNoPoint) {
		return fmt.Errorf("%w: %w", peer.ErrNoPoint, err)
	}
	return err
}

// kinds pairs what the server says with what the learner channel calls it.
func zabKind(k server.Kind) zab.Kind {
	switch k {
	case server.KindRequest:
		return zab.Request
	case server.KindSync:
		return zab.Sync
	case server.KindRevalidate:
		return zab.Revalidate
	case server.KindTouch:
		return zab.Touch
	}
	return zab.KindInvalid
}

func serverKind(k zab.Kind) (server.Kind, bool) {
	switch k {
	case zab.Request:
		return server.KindRequest, true
	case zab.Sync:
		return server.KindSync, true
	case zab.Revalidate:
		return server.KindRevalidate, true
	case zab.Touch:
		return server.KindTouch, true
	default:
		return 0, false
	}
}
