package node

import (
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/zabkeeper/zabkeeper/fle"
	"github.com/zabkeeper/zabkeeper/quorum"
	"github.com/zabkeeper/zabkeeper/quorum/peer"
	"github.com/zabkeeper/zabkeeper/server"
	"github.com/zabkeeper/zabkeeper/server/fourletter"
	"github.com/zabkeeper/zabkeeper/zab"
)

// status answers for the peer in the four-letter words.
type status struct{ n *Node }

func (s status) PeerStatus() server.PeerStatus {
	n := s.n
	st := n.peer.Status()
	out := server.PeerStatus{Mode: n.mode(st.State)}
	if !n.conf.Standalone {
		out.QuorumSize = n.ensemble().Voters().Len()
		out.PeerState = strings.ToLower(st.State.String())
		if st.State != fle.Looking {
			out.PeerState += " - " + st.Phase.String()
		}
	}
	if st.State == fle.Leading && st.Phase == zab.Broadcast {
		out.SyncedFollowers = st.Synced.And(n.ensemble().Voters()).Len()
		out.SyncedObservers = st.Synced.And(n.ensemble().Observers()).Len()
		out.Learners = out.SyncedFollowers + out.SyncedObservers
		out.LeaderUptimeMs = time.Since(st.Since).Milliseconds()
	}
	out.Extra = n.metrics(st)
	return out
}

// ResetStats implements server.Status.
func (s status) ResetStats() {
	stats := s.n.stores.log.ResetSlowSync()
	s.n.counted.Store(&stats)
}

// metrics are further lines of the mntr command.
func (n *Node) metrics(st peer.Status) []server.Metric {
	stats := n.stores.log.Stats()
	if from := n.counted.Load(); from != nil {
		stats.Syncs -= from.Syncs
		stats.Entries -= from.Entries
		stats.SyncTime -= from.SyncTime
	}
	avg := 0.0
	if stats.Syncs > 0 {
		avg = float64(stats.SyncTime.Microseconds()) / 1000 / float64(stats.Syncs)
	}
	count := func(v uint64) string { return strconv.FormatUint(v, 10) }
	diverted, switches := n.stores.log.Diverted()
	away := "0"
	if diverted {
		away = "1"
	}
	return append([]server.Metric{
		{Name: "log_diverted", Value: away},
		{Name: "log_dir_switches", Value: count(switches)},
		{Name: "avg_fsynctime", Value: fourletter.Float(avg)},
		{Name: "max_fsynctime", Value: strconv.FormatInt(stats.SlowSync.Milliseconds(), 10)},
		{Name: "cnt_fsynctime", Value: count(stats.Syncs)},
		{Name: "proposal_count", Value: count(stats.Entries)},
		{Name: "last_election_time", Value: strconv.FormatInt(st.ElectionTook.Milliseconds(), 10)},
		{Name: "epoch", Value: strconv.FormatUint(uint64(st.Epoch), 10)},
		{Name: "tree_digest", Value: strconv.FormatUint(n.stores.tree.Digest(), 10)},
		{Name: "log_size", Value: strconv.FormatInt(n.stores.log.Size(), 10)},
	}, slices.Concat(n.space.metrics(), n.scrubs.metrics(), n.tlsMetrics())...)
}

// Status returns what the peer is doing.
func (n *Node) Status() peer.Status { return n.peer.Status() }

// Serving reports whether the server takes part in an established epoch.
func (n *Node) Serving() bool { return n.peer.Status().Phase == zab.Broadcast }

func (n *Node) fourLetterConf() fourletter.Conf {
	c := n.conf
	out := fourletter.Conf{
		ClientPort: -1, SecureClientPort: -1,
		DataDir: c.DataDir, DataLogDir: c.DataLogDir,
		DataDirSize: n.stores.tree.Size(), DataLogSize: n.stores.log.Size(),
		TickTimeMs:          c.TickTime.Milliseconds(),
		MaxClientCnxns:      c.MaxClientCnxns,
		MinSessionTimeoutMs: c.MinSessionTimeout.Milliseconds(),
		MaxSessionTimeoutMs: c.MaxSessionTimeout.Milliseconds(),
		ListenBacklog:       c.ListenBacklog,
	}
	if tcp, ok := n.ClientAddr().(*net.TCPAddr); ok {
		out.ClientPort = tcp.Port
	}
	if n.secure != nil {
		if tcp, ok := n.secure.Addr().(*net.TCPAddr); ok {
			out.SecureClientPort = tcp.Port
		}
	}
	if c.Standalone {
		return out
	}
	member, _ := n.ensemble().Member(n.sid)
	out.ServerID, out.Ensemble = int(n.sid), true
	out.InitLimit, out.SyncLimit, out.ElectionAlg = c.InitLimit, c.SyncLimit, 3
	var quorumPorts, electionPorts []string
	for _, hp := range member.Quorum {
		quorumPorts = append(quorumPorts, strconv.Itoa(hp.QuorumPort))
		electionPorts = append(electionPorts, strconv.Itoa(hp.ElectionPort))
	}
	out.QuorumPort, out.ElectionPort = strings.Join(quorumPorts, "|"), strings.Join(electionPorts, "|")
	out.Observer = member.Role == quorum.Observer
	if n.server.ReadOnly() {
		return out // as ZooKeeper, which knows nothing of an ensemble then
	}
	out.Membership = strings.Split(n.ensemble().String(), "\n")
	out.MembershipVersion = n.ensemble().Version()
	return out
}

// mode is what operators call the server's state.
func (n *Node) mode(state fle.State) string {
	switch state {
	case fle.Leading:
		if n.conf.Standalone {
			return "standalone"
		}
		return "leader"
	case fle.Following:
		return "follower"
	case fle.Observing:
		return "observer"
	case fle.Looking:
	}
	return "looking"
}
