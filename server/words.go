package server

import (
	"cmp"
	"os"
	"slices"
	"strconv"
	"time"

	"github.com/zabkeeper/zabkeeper/server/fourletter"
)

// report gathers what a four-letter word shows. asker is the connection that asks.
func (s *Server) report(word string, asker *conn) fourletter.Report {
	st, peer := s.Stats(), s.cfg.Status.PeerStatus()
	r := fourletter.Report{
		Version: s.cfg.Version, Serving: s.Serving(),
		Mode: peer.Mode, Leader: peer.Mode == "leader", Peer: peer.PeerState,
		LatencyMin: st.LatencyMin, LatencyMax: st.LatencyMax, LatencyAvg: st.LatencyAvg,
		Received: st.Received, Sent: st.Sent, Connections: st.Connections, Outstanding: st.Outstanding,
		Zxid: s.tree.at(), Nodes: s.cfg.Store.NodeCount(),
		LastProposal: peer.LastProposal, MinProposal: peer.MinProposal, MaxProposal: peer.MaxProposal,
	}
	if s.ReadOnly() {
		// What ZooKeeper serves then knows nothing of an ensemble.
		r.ReadOnly, r.Mode, r.Leader, r.Peer, peer.QuorumSize = true, readOnlyMode, false, "", 0
	}
	switch word {
	case "stat":
		r.Clients = s.clients(asker)
	case "mntr":
		r.Metrics = s.metrics(&st, &peer)
	}
	return r
}

// clients lists the connections in the order in which they came.
func (s *Server) clients(asker *conn) []fourletter.Client {
	s.mu.Lock()
	conns := make([]*conn, 0, len(s.conns))
	for _, c := range s.conns {
		conns = append(conns, c)
	}
	s.mu.Unlock()
	slices.SortFunc(conns, func(a, b *conn) int { return cmp.Compare(a.id, b.id) })
	list := make([]fourletter.Client, len(conns))
	for i, c := range conns {
		list[i] = fourletter.Client{Address: c.remote, Interest: 1, Received: c.received.Load(), Queued: int(c.queued.Load())}
		if c == asker {
			list[i].Interest = 0
		}
		c.mu.Lock()
		list[i].Sent = c.sent
		c.mu.Unlock()
	}
	return list
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
		add("last_proposal_size", int64(peer.LastProposal))
		add("max_proposal_size", int64(peer.MaxProposal))
		add("min_proposal_size", int64(peer.MinProposal))
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
