package server

import (
	"cmp"
	"encoding/binary"
	"net"
	"os"
	"slices"
	"strconv"
	"time"

	"github.com/zabkeeper/zabkeeper/server/fourletter"
)

// inquiry is the server as one connection that has said a four-letter word sees it.
type inquiry struct {
	s *Server
	c *conn
}

// pieces sends a long answer to a connection, and waits until it is taken.
type pieces struct{ c *conn }

func (p pieces) Write(b []byte) (int, error) {
	c := p.c
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		return 0, net.ErrClosed
	}
	c.out = append(c.out, b...)
	c.flushLocked()
	c.active.Store(c.s.era.Load()) // a client that takes its answer is alive
	return len(b), nil
}

// Report implements fourletter.Source.
func (q *inquiry) Report() fourletter.Report {
	s := q.s
	st, peer := s.Stats(), s.cfg.Status.PeerStatus()
	r := fourletter.Report{
		Version: s.cfg.Version, Serving: s.Serving(), Suspended: s.Suspended(), Divergence: s.divergence(),
		Mode: peer.Mode, Leader: peer.Mode == "leader", Peer: peer.PeerState,
		LatencyMin: st.LatencyMin, LatencyMax: st.LatencyMax, LatencyAvg: st.LatencyAvg,
		Received: st.Received, Sent: st.Sent, Connections: st.Connections, Outstanding: st.Outstanding,
		Zxid: s.tree.at(), Nodes: s.cfg.Store.NodeCount(),
	}
	r.LastProposal, r.MinProposal, r.MaxProposal = s.stats.proposals.get()
	if s.ReadOnly() {
		// What ZooKeeper serves then knows nothing of an ensemble.
		r.ReadOnly, r.Mode, r.Leader, r.Peer = true, readOnlyMode, false, ""
	}
	return r
}

// Conf implements fourletter.Source.
func (q *inquiry) Conf() fourletter.Conf { return q.s.cfg.Conf() }

// connections returns the connections in the order in which they came, less those that were
// answered for the last time and only wait for the client to leave.
func (s *Server) connections() []*conn {
	s.mu.Lock()
	conns := make([]*conn, 0, len(s.conns))
	for _, c := range s.conns {
		if c.finished.Load() == 0 {
			conns = append(conns, c)
		}
	}
	s.mu.Unlock()
	slices.SortFunc(conns, func(a, b *conn) int { return cmp.Compare(a.id, b.id) })
	return conns
}

// Clients implements fourletter.Source.
func (q *inquiry) Clients(yield func(*fourletter.Client) bool) {
	var client fourletter.Client
	for _, c := range q.s.connections() {
		client = c.describe()
		if c == q.c {
			client.Interest = 0
		}
		if !yield(&client) {
			return
		}
	}
}

// Bits of fourletter.Client.Interest.
const (
	interestRead  = 1
	interestWrite = 4
)

func (c *conn) describe() fourletter.Client {
	c.mu.Lock()
	defer c.mu.Unlock()
	client := fourletter.Client{
		Address: c.remote, Queued: c.queue.len(), Received: c.received.Load(), Sent: c.sent, Session: c.session,
	}
	if !c.waiting {
		client.Interest |= interestRead
	}
	if since := c.writing.Load(); len(c.out) > 0 || since != 0 && since < c.s.era.Load() {
		client.Interest |= interestWrite
	}
	if client.Session == 0 {
		return client
	}
	t := &c.tally
	client.Op, client.EstablishedMs, client.TimeoutMs = fourletter.Operation(t.op), c.accepted, c.timeout
	client.Cxid, client.Zxid, client.AnsweredMs = t.cxid, t.zxid, t.at/1e6
	client.LatencyLast, client.LatencyMin, client.LatencyAvg, client.LatencyMax = t.last, t.low, t.average(), t.high
	return client
}

// ResetClients implements fourletter.Source.
func (q *inquiry) ResetClients() {
	for _, c := range q.s.connections() {
		c.mu.Lock()
		c.received.Store(0)
		c.sent, c.tally = 0, fresh()
		c.mu.Unlock()
	}
}

// ResetStats implements fourletter.Source.
func (q *inquiry) ResetStats() {
	q.s.stats.reset()
	q.s.cfg.Status.ResetStats()
}

// TraceMask implements fourletter.Source.
func (q *inquiry) TraceMask() int64 { return q.s.stats.traceMask.Load() }

// SetTraceMask implements fourletter.Source.
func (q *inquiry) SetTraceMask() (mask int64, ok bool) {
	b := make([]byte, fourletter.WordLen+8)
	if !q.c.in.await(q.c.nc, b) {
		return 0, false
	}
	mask = int64(binary.BigEndian.Uint64(b[fourletter.WordLen:]))
	q.s.stats.traceMask.Store(mask)
	return mask, true
}

// Metrics implements fourletter.Source.
func (q *inquiry) Metrics() []Metric {
	st, peer := q.s.Stats(), q.s.cfg.Status.PeerStatus()
	if q.s.ReadOnly() {
		peer.Mode, peer.QuorumSize = readOnlyMode, 0
	}
	return q.s.metrics(&st, &peer)
}

// WatchCounts implements fourletter.Source.
func (q *inquiry) WatchCounts() fourletter.WatchCounts {
	n := q.s.watches.Counts()
	return fourletter.WatchCounts{Connections: n.Members, Paths: n.Paths, Watches: n.Data}
}

// metrics lists what mntr prints behind the state.
func (s *Server) metrics(st *Stats, peer *PeerStatus) []Metric {
	store := s.cfg.Store
	var list []Metric
	add := func(name string, value int64) {
		list = append(list, Metric{Name: name, Value: strconv.FormatInt(value, 10)})
	}
	list = append(list, Metric{Name: "avg_latency", Value: fourletter.Float(st.LatencyAvg)})
	add("max_latency", st.LatencyMax)
	add("min_latency", st.LatencyMin)
	add("packets_received", st.Received)
	add("packets_sent", st.Sent)
	add("num_alive_connections", int64(st.Connections))
	add("outstanding_requests", st.Outstanding)
	list = append(list, s.divergence()...)
	add("connection_rejected", st.Rejected)
	if s.cfg.Secure != nil {
		add("unsuccessful_handshake", s.stats.handshakesFailed.Load())
		add("tls_handshake_exceeded", s.stats.handshakesRefused.Load())
	}
	add("uptime", time.Since(s.started).Milliseconds())
	add("znode_count", int64(store.NodeCount()+1)) // the root counts twice, as in ZooKeeper
	add("watch_count", int64(st.Watches))
	add("ephemerals_count", int64(store.EphemeralCount()))
	add("approximate_data_size", store.DataSize())
	add("global_sessions", s.sessionCount.Load())
	add("local_sessions", int64(s.locals.len()))
	if open, limit, ok := descriptors(); ok {
		add("open_file_descriptor_count", open)
		add("max_file_descriptor_count", limit)
	}
	if peer.QuorumSize > 0 {
		add("quorum_size", int64(peer.QuorumSize))
	}
	if peer.Mode == "leader" {
		add("learners", int64(peer.Learners))
		add("followers", int64(peer.Learners-peer.SyncedObservers))
		add("synced_followers", int64(peer.SyncedFollowers))
		add("synced_non_voting_followers", int64(peer.SyncedNonVoting))
		add("synced_observers", int64(peer.SyncedObservers))
		add("pending_syncs", int64(peer.PendingSyncs))
		add("leader_uptime", peer.LeaderUptimeMs)
		last, low, top := s.stats.proposals.get()
		add("last_proposal_size", last)
		add("max_proposal_size", top)
		add("min_proposal_size", low)
	}
	return append(list, peer.Extra...)
}

// descriptors returns how many files the process has open and may open, where the
// system tells.
func descriptors() (open, limit int64, ok bool) {
	names, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return 0, 0, false
	}
	limit, err = descriptorLimit()
	return int64(len(names)), limit, err == nil
}
