package fourletter

import (
	"time"

	"github.com/zabkeeper/zabkeeper/proto"
	"github.com/zabkeeper/zabkeeper/zab/zxid"
)

// Source is the server that is asked. Each word needs a few of its methods; all may be called
// from any goroutine. Those that yield call back with one thing after the other, so that
// a long answer goes out as it is made, until yield returns false.
type Source interface {
	Report() Report
	// Metrics are the lines of mntr behind version and state.
	Metrics() []Metric
	Conf() Conf
	// Clients yields the connections in the order in which they came. A client is valid until
	// yield returns.
	Clients(yield func(*Client) bool)
	Sessions() Sessions
	// Owners is the number of sessions that own an ephemeral.
	Owners() int
	// Ephemerals yields each ephemeral with its owner, those of one owner in a row.
	Ephemerals(yield func(owner proto.SessionID, path string) bool)
	// Connections yields when connections end that are not heard of, ascending.
	Connections() []Due[Connection]
	WatchCounts() WatchCounts
	// Watches yields what is watched in the data table: a path and behind it those who watch it, or
	// the other way round.
	Watches(byPath bool, yield func(*WatchLine) bool)
	// ResetStats and ResetClients begin to count afresh.
	ResetStats()
	ResetClients()
	TraceMask() int64
	// SetTraceMask takes the new mask from what follows the word, and returns it; false if nothing
	// does.
	SetTraceMask() (mask int64, ok bool)
}

// Report is what a server says about itself.
type Report struct {
	Version  string
	Serving  bool
	ReadOnly bool
	Mode     string // standalone, leader, follower, observer, read-only
	Leader   bool   // proposal sizes count
	// Suspended says why the server does not serve though its role would be to; "" otherwise. Divergence
	// is what mntr tells all the same.
	Suspended  string
	Divergence []Metric

	LatencyMin, LatencyMax int64   // ms
	LatencyAvg             float64 // ms
	Received, Sent         int64   // packets
	Connections            int
	Outstanding            int64
	Zxid                   zxid.ID
	Nodes                  int // as the tree counts them; ZooKeeper prints one more

	LastProposal, MinProposal, MaxProposal int64 // bytes; -1 before the first

	Peer string // mntr: the peer's state, empty when standalone
}

// Metric is one line of mntr, the name without "zk_".
type Metric struct{ Name, Value string }

// Conf is the answer to conf. A standalone server prints the part before Ensemble.
type Conf struct {
	ClientPort, SecureClientPort int // -1: none
	DataDir, DataLogDir          string
	DataDirSize, DataLogSize     int64
	TickTimeMs                   int64
	MaxClientCnxns               int
	MinSessionTimeoutMs          int64
	MaxSessionTimeoutMs          int64
	ListenBacklog                int
	ServerID                     int

	Ensemble                 bool
	InitLimit, SyncLimit     int
	ElectionAlg              int
	ElectionPort, QuorumPort string
	Observer                 bool
	Membership               []string // server lines; none in read-only mode
	MembershipVersion        zxid.ID
}

// Client is one connection in the answers to stat and cons.
type Client struct {
	Address  string // ip:port
	Interest int    // bits: 1 its requests are read, 4 it does not take its answers; 0 for the one that asks
	Queued   int
	Received int64
	Sent     int64

	// What follows is for cons alone, and counts only with a session.
	Session       proto.SessionID
	Op            string // what it asked last, see Operation
	EstablishedMs int64  // since 1970
	TimeoutMs     int32
	Cxid          proto.Xid // -1: none
	Zxid          zxid.ID   // that the last answer showed
	// AnsweredMs is when that was, in ms of the server's own clock; 0: never.
	AnsweredMs                                      int64
	LatencyLast, LatencyMin, LatencyAvg, LatencyMax int64 // ms
}

// Due are things whose time comes together.
type Due[T any] struct {
	At     time.Time
	Things []T
}

// Connection is one connection in the answer to dump. Session is 0 while it has none.
type Connection struct {
	Address string
	Session proto.SessionID
}

// Timeout is a session with its timeout.
type Timeout struct {
	Session   proto.SessionID
	TimeoutMs int32
}

// Sessions are what a server knows about sessions. All lists are ascending.
type Sessions struct {
	// HasLocal says that sessions may be local, and Local when those of this server expire.
	HasLocal bool
	Local    []Due[proto.SessionID]
	// Leads says that this server expires the sessions of the ensemble, and Global when. The others
	// know only their Timeouts.
	Leads    bool
	Global   []Due[proto.SessionID]
	Timeouts []Timeout
}

// WatchCounts are the sizes of the table of data watches.
type WatchCounts struct{ Connections, Paths, Watches int }

// WatchLine is one line of wchp or wchc: a path or a session.
type WatchLine struct {
	IsPath  bool
	Path    string
	Session proto.SessionID
}
