package fourletter

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/zabkeeper/zabkeeper/zab/zxid"
)

// words are all commands of ZooKeeper 3.9; telnetBreak is what a telnet client sends
// when it is interrupted.
var words = []string{
	"conf", "cons", "crst", "dirs", "dump", "envi", "gtmk", "hash", "isro", "mntr", "ruok",
	"srst", "srvr", "stat", "stmk", "wchc", "wchp", "wchs",
}

// answered are the words that Answer knows, and cheap those of them that cost and tell little.
var (
	answered = []string{"conf", "envi", "isro", "mntr", "ruok", "srvr", "stat"}
	cheap    = []string{"conf", "isro", "mntr", "ruok", "srvr", "stat"}
)

const telnetBreak = "\xff\xf4\xff\xfd"

// Word returns the command that the first four bytes of a connection are, "" if they
// are none and thus a length.
func Word(b [4]byte) string {
	if w := string(b[:]); w == telnetBreak || slices.Contains(words, w) {
		return w
	}
	return ""
}

// CheapWord reports whether a word is answered without cost that matters and tells no secrets, the default of
// what may be executed.
func CheapWord(word string) bool { return slices.Contains(cheap, word) }

// Version returns the full version line, revision being 40 hex digits: ZooKeeper's number, as
// monitoring tools and admin clients check it.
func Version(revision string, built time.Time) string {
	return fmt.Sprintf("3.9.5-%s, built on %s UTC", revision, built.UTC().Format("01/02/2006 15:04"))
}

// Client is one connection in the output of stat.
type Client struct {
	Address  string // ip:port
	Interest int    // 1 reading, 0 for the connection that asks
	Queued   int
	Received int64
	Sent     int64
}

// Metric is one line of mntr, the name without "zk_".
type Metric struct{ Name, Value string }

// Report is what a server says about itself.
type Report struct {
	Version  string
	Serving  bool
	ReadOnly bool
	Mode     string // standalone, leader, follower, observer, read-only
	Leader   bool   // proposal sizes count

	LatencyMin, LatencyMax int64   // ms
	LatencyAvg             float64 // ms
	Received, Sent         int64   // packets
	Connections            int
	Outstanding            int64
	Zxid                   zxid.ID
	Nodes                  int // as the tree counts them; ZooKeeper prints one more

	LastProposal, MinProposal, MaxProposal int // bytes; -1 before the first

	Clients []Client // stat only
	Metrics []Metric // mntr, behind version and state
	Peer    string   // mntr: the peer's state, empty when standalone
}

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

const notServing = "This ZooKeeper instance is not currently serving requests"

// Answer returns the answer to word, which Word has recognised. allowed is what the
// whitelist says; report and conf are called only when their word needs them.
func Answer(word string, allowed bool, report func() Report, conf func() Conf) []byte {
	if word == telnetBreak {
		return nil
	}
	if !allowed || !slices.Contains(answered, word) {
		return []byte(word + " is not executed because it is not in the whitelist.\n")
	}
	if word == "ruok" {
		return []byte("imok")
	}
	r := report()
	if word == "envi" {
		return appendEnvironment(nil, r.Version)
	}
	if !r.Serving {
		if word == "isro" {
			return []byte("null")
		}
		return []byte(notServing + "\n")
	}
	switch word {
	case "isro":
		if r.ReadOnly {
			return []byte("ro")
		}
		return []byte("rw")
	case "srvr":
		return appendServer(nil, &r, false)
	case "stat":
		return appendServer(nil, &r, true)
	case "mntr":
		return appendMonitor(nil, &r)
	}
	c := conf()
	return appendConf(nil, &c)
}

func appendServer(b []byte, r *Report, clients bool) []byte {
	b = fmt.Appendf(b, "Zookeeper version: %s\n", r.Version)
	if r.ReadOnly {
		b = append(b, "READ-ONLY mode; serving only read-only clients\n"...)
	}
	if clients {
		b = append(b, "Clients:\n"...)
		for _, c := range r.Clients {
			b = fmt.Appendf(b, " /%s[%x](queued=%d,recved=%d,sent=%d)\n", c.Address, c.Interest, c.Queued, c.Received, c.Sent)
		}
		b = append(b, '\n')
	}
	b = fmt.Appendf(b, "Latency min/avg/max: %d/%s/%d\n", r.LatencyMin, Float(r.LatencyAvg), r.LatencyMax)
	b = fmt.Appendf(b, "Received: %d\nSent: %d\nConnections: %d\nOutstanding: %d\n", r.Received, r.Sent, r.Connections, r.Outstanding)
	b = fmt.Appendf(b, "Zxid: 0x%x\nMode: %s\nNode count: %d\n", uint64(r.Zxid), r.Mode, r.Nodes+1)
	if r.Leader {
		b = fmt.Appendf(b, "Proposal sizes last/min/max: %d/%d/%d\n", r.LastProposal, r.MinProposal, r.MaxProposal)
	}
	return b
}

func appendMonitor(b []byte, r *Report) []byte {
	b = fmt.Appendf(b, "zk_version\t%s\nzk_server_state\t%s\n", r.Version, r.Mode)
	if r.Peer != "" {
		b = fmt.Appendf(b, "zk_peer_state\t%s\n", r.Peer)
	}
	for _, m := range r.Metrics {
		b = fmt.Appendf(b, "zk_%s\t%s\n", m.Name, m.Value)
	}
	return b
}

func appendConf(b []byte, c *Conf) []byte {
	b = fmt.Appendf(b, "clientPort=%d\nsecureClientPort=%d\n", c.ClientPort, c.SecureClientPort)
	b = fmt.Appendf(b, "dataDir=%s\ndataDirSize=%d\ndataLogDir=%s\ndataLogSize=%d\n",
		c.DataDir, c.DataDirSize, c.DataLogDir, c.DataLogSize)
	b = fmt.Appendf(b, "tickTime=%d\nmaxClientCnxns=%d\nminSessionTimeout=%d\nmaxSessionTimeout=%d\n",
		c.TickTimeMs, c.MaxClientCnxns, c.MinSessionTimeoutMs, c.MaxSessionTimeoutMs)
	b = fmt.Appendf(b, "clientPortListenBacklog=%d\nserverId=%d\n", c.ListenBacklog, c.ServerID)
	if !c.Ensemble {
		return b
	}
	peerType := 0
	if c.Observer {
		peerType = 1
	}
	b = fmt.Appendf(b, "initLimit=%d\nsyncLimit=%d\nelectionAlg=%d\nelectionPort=%s\nquorumPort=%s\npeerType=%d\n",
		c.InitLimit, c.SyncLimit, c.ElectionAlg, c.ElectionPort, c.QuorumPort, peerType)
	if len(c.Membership) == 0 {
		return b
	}
	b = append(b, "membership: \n"...)
	for _, line := range c.Membership {
		b = append(append(b, line...), '\n')
	}
	return fmt.Appendf(b, "version=%x", uint64(c.MembershipVersion))
}

// Float prints v as ZooKeeper prints its averages: at most four decimals, at least one.
func Float(v float64) string {
	s := strconv.FormatFloat(math.Round(v*1e4)/1e4, 'f', -1, 64)
	if !strings.Contains(s, ".") {
		s += ".0"
	}
	return s
}
