package server

import (
	"fmt"
	"math"
	"net"
	"time"

	"github.com/rs/zerolog"

	"github.com/zabkeeper/zabkeeper/conf"
	"github.com/zabkeeper/zabkeeper/proto"
	"github.com/zabkeeper/zabkeeper/server/auth"
	"github.com/zabkeeper/zabkeeper/server/fourletter"
	"github.com/zabkeeper/zabkeeper/znode"
)

// Config is what a Server is made of. Fields without a default must be set.
type Config struct {
	// Self is the id of this server in forwards and answers, and SessionByte what
	// the session ids that it hands out begin with: the same number, but 1 on a
	// standalone server.
	Self        Origin
	SessionByte byte

	Store      Store
	Replicator Replicator
	// Status is asked by four-letter words.
	Status Status
	// Conf answers the conf command.
	Conf func() fourletter.Conf
	// Version is the full version line, see fourletter.Version.
	Version string

	// TickTime is the unit of time; whole milliseconds.
	TickTime time.Duration
	// SyncLimit in ticks: a leader that was paused for longer gives all sessions as much
	// extra time. Default 5.
	SyncLimit int
	// MinSessionTimeout and MaxSessionTimeout bound what clients get. Defaults: 2 and 20
	// ticks.
	MinSessionTimeout, MaxSessionTimeout time.Duration
	// SessionlessTimeout ends connections that do not complete a handshake. Default 10 s.
	SessionlessTimeout time.Duration
	// WriteTimeout ends connections that do not take what is written to them. Default
	// 30 s.
	WriteTimeout time.Duration

	// MaxFrame is jute.maxbuffer in bytes: a connection that announces a longer request is
	// closed. Default proto.DefaultMaxFrame.
	MaxFrame int
	// MaxClientCnxns bounds the connections from one address, MaxCnxns all of them; 0 is no
	// bound.
	MaxClientCnxns, MaxCnxns int
	// MaxOutstanding is the number of unanswered requests of one connection at which it is
	// not read any further. Default 1000.
	MaxOutstanding int
	// GlobalOutstanding is the number of unanswered requests of all connections above
	// which only connections without any are read (spec semantics 15). Default 1000.
	GlobalOutstanding int
	// Throttle holds back requests and connections; nil holds back none.
	Throttle *conf.Throttle
	// MaxOutput is the number of bytes of unsent output at which a connection that
	// still gets watch events is closed. Default 16 MiB.
	MaxOutput int
	// MaxAnswer bounds the answer to a multiRead in bytes: what goes beyond it is refused. Default
	// 32 MiB, or 4 MaxFrame if that is more. MaxList bounds lists of names and paths, which
	// clients that have raised their own limit expect whole (spec client-protocol 2); a frame has no
	// room for more than twice its default, 1 GiB.
	MaxAnswer, MaxList int
	// MaxWatchBytes is the memory that the watches of one connection may take, as
	// watch.Registry.Add counts it; one that takes more is closed. Default 256 MiB.
	MaxWatchBytes int
	// Window is the number of proposed and not yet applied transactions at which a
	// leader stops taking requests. Default 10 000.
	Window int
	// Backlog is the number of committed and not yet applied transactions at which Commit
	// waits. Default 65 536.
	Backlog int

	// ExtendedTypes allows nodes with a time to live.
	ExtendedTypes bool
	// ContainerInterval is the time between two looks of the leader for containers and nodes with
	// a time to live that are to be deleted; the first comes after one interval. Default 60 s.
	ContainerInterval time.Duration
	// ContainersPerMinute bounds these deletions: as in ZooKeeper, 60000 divided by it, without
	// the fraction, is the least number of ms between two of them. Default 10 000.
	ContainersPerMinute int
	// ContainerNeverUsed is the age at which a container is deleted that never had a child;
	// 0: never. Whole milliseconds.
	ContainerNeverUsed time.Duration
	// ReserveIDs notes durably that this server may have given out ids of sessions up to the given one;
	// ReservedIDs is the note of its earlier lives, 0 if there is none. Without them, a server whose
	// clock is put back while it is down may name a new session as one that has ended. nil: no notes.
	ReserveIDs  func(through proto.SessionID) error
	ReservedIDs proto.SessionID
	// SessionSalt are the lowest bits of ids that are made from the clock, and say where ids begin behind
	// ReservedIDs, or behind the living sessions of an earlier life whose notes are lost. With a random one for each start, a server that has lost its notes, or was set back to
	// older ones, hardly ever repeats ids.
	SessionSalt uint16
	// Ensemble is what clients read in /zookeeper/config; nil on a standalone server.
	Ensemble *Ensemble
	// Reconfig lets clients change the ensemble, as long as this server leads.
	Reconfig bool

	// Secure lets clients speak TLS; nil: they cannot.
	Secure *Secure

	// KeepAlive switches TCP keep-alive on.
	KeepAlive bool
	// LocalSessions lets sessions begin local to the server that accepts them, without a
	// transaction; the leader takes writes of other servers' local sessions.
	// LocalSessionsUpgrading creates them in the ensemble ahead of their first ephemeral, which
	// is refused otherwise (spec semantics 10.1).
	LocalSessions, LocalSessionsUpgrading bool
	// SkipACL switches permission checks off.
	SkipACL bool
	// Auth says who may prove to be whom, Schemes what that counts for in ACLs.
	Auth    auth.Config
	Schemes znode.Schemes
	// EagerACLCheck refuses writes that the tree of this server does not permit before the
	// leader is asked.
	EagerACLCheck bool
	// LinearizableReads lets every read wait until the tree shows all that was committed before it
	// arrived, as a sync would. A server that has no leader then serves nobody: ServeReadOnly has no effect.
	LinearizableReads bool
	// Digest lets the transactions of a leader carry the digest of the tree behind them, and this
	// server compare it with that of its own tree.
	Digest bool
	// Electorate judges whose tree is right when they differ; nil on a standalone server, which ends then.
	// Repair, which must be set with it, is told that a quorum has another tree than this server, or that its
	// tree is damaged: its role must end, it must not lead, and its tree be replaced, see Server.Replace. It
	// does not block. It is told again until that is done, and may be called as soon as Run is.
	Electorate Electorate
	Repair     func(why string)
	// Doubt, unless it is nil, is told each change of the doubt in the tree: before anything is installed that
	// may be wrong, and when the tree is right again. It returns when that is durable, and is called by the
	// goroutine that installs. Doubted is what it was told last: see Doubt.
	Doubt   func(Doubt)
	Doubted Doubt
	// EnforceQuota refuses what would exceed a hard quota and logs soft ones.
	EnforceQuota bool
	// AllowWord says whether a four-letter word may be executed. Default: ruok, srvr, stat,
	// mntr, isro, conf and dirs, which are cheap.
	AllowWord func(word string) bool

	Logger zerolog.Logger
	// Fatal is called with an error that leaves the server without a trustworthy tree:
	// the process must end. It is called once, and nothing is applied after it.
	Fatal func(error)

	// Now is the wall clock, for transaction times and session ids. Default time.Now.
	Now func() time.Time
	// Ticker makes the periodic clocks: expiry every TickTime, housekeeping every
	// TickTime/2, the leader's look for containers every ContainerInterval, and one for each
	// pause in it. Default time.NewTicker.
	Ticker func(d time.Duration) (c <-chan time.Time, stop func())
}

// withDefaults returns c with defaults filled in, or an error that names a
// field and what is wrong with it.
func (c Config) withDefaults() (Config, error) {
	switch {
	case c.Store == nil || c.Replicator == nil || c.Status == nil || c.Fatal == nil:
		return c, fmt.Errorf("server: Config needs Store, Replicator, Status and Fatal")
	case c.TickTime < time.Millisecond || c.TickTime%time.Millisecond != 0 || c.TickTime.Milliseconds() > math.MaxInt32:
		return c, fmt.Errorf("server: Config.TickTime %v is no number of milliseconds above 0", c.TickTime)
	}
	if c.Electorate != nil && c.Repair == nil {
		return c, fmt.Errorf("server: Config needs Repair with Electorate")
	}
	setDefault(&c.SyncLimit, 5)
	setDefault(&c.MinSessionTimeout, 2*c.TickTime)
	setDefault(&c.MaxSessionTimeout, 20*c.TickTime)
	setDefault(&c.SessionlessTimeout, 10*time.Second)
	setDefault(&c.WriteTimeout, 30*time.Second)
	setDefault(&c.MaxFrame, proto.DefaultMaxFrame)
	setDefault(&c.MaxOutstanding, 1000)
	setDefault(&c.GlobalOutstanding, 1000)
	setDefault(&c.MaxOutput, 16<<20)
	setDefault(&c.MaxAnswer, max(32<<20, 4*c.MaxFrame))
	setDefault(&c.MaxList, 1<<30)
	setDefault(&c.MaxWatchBytes, 256<<20)
	setDefault(&c.Window, 10_000)
	setDefault(&c.Backlog, 64<<10)
	setDefault(&c.ContainerInterval, time.Minute)
	setDefault(&c.ContainersPerMinute, 10_000)
	if c.MinSessionTimeout > c.MaxSessionTimeout || c.MaxSessionTimeout.Milliseconds() > math.MaxInt32 {
		return c, fmt.Errorf("server: session timeouts from %v to %v", c.MinSessionTimeout, c.MaxSessionTimeout)
	}
	if c.Secure != nil {
		var err error
		if c.Secure, err = c.Secure.withDefaults(); err != nil {
			return c, err
		}
	}
	if c.AllowWord == nil {
		c.AllowWord = fourletter.CheapWord
	}
	if c.Conf == nil {
		c.Conf = func() fourletter.Conf { return fourletter.Conf{} }
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	c.Ensemble = c.Ensemble.install(c.Now())
	if c.Ticker == nil {
		c.Ticker = func(d time.Duration) (<-chan time.Time, func()) {
			t := time.NewTicker(d)
			return t.C, t.Stop
		}
	}
	return c, nil
}

func setDefault[T int | time.Duration](field *T, value T) {
	if *field <= 0 {
		*field = value
	}
}

// shortestEra bounds what a short SessionlessTimeout costs.
const shortestEra = 100 * time.Millisecond

// era is the unit of housekeeping: half a tick, or less where a connection without a session may stay for
// less than two ticks, so that it is gone within twice that time (Apache's NIOServerCnxnFactory, touchCnxn).
func (c *Config) era() time.Duration {
	return max(min(c.TickTime/2, max(c.SessionlessTimeout/4, shortestEra)), time.Millisecond)
}

// eras returns how many eras d surely fills.
func (c *Config) eras(d time.Duration) int64 { return int64(d/c.era()) + 1 }

// park is how long an arriving client may wait for the server to serve: a client that
// comes back during an election is served the moment it ends.
func (c *Config) park() time.Duration { return min(c.TickTime, time.Second) }

// clampTimeout returns the session timeout in ms that a client gets who asks for ms (spec
// client-protocol 4.2).
func (c *Config) clampTimeout(ms int32) int32 {
	return min(max(ms, int32(c.MinSessionTimeout.Milliseconds())), int32(c.MaxSessionTimeout.Milliseconds()))
}

// remoteIP returns the textual address as ZooKeeper writes it into identities of scheme
// ip: IPv6 in eight groups, IPv4 in its own form even when it came over an IPv6 socket.
func remoteIP(a net.Addr) string {
	tcp, ok := a.(*net.TCPAddr)
	if !ok {
		return a.String()
	}
	addr := tcp.AddrPort().Addr().Unmap()
	if addr.Is4() {
		return addr.String()
	}
	b := addr.As16()
	out := make([]byte, 0, 39)
	for i := 0; i < len(b); i += 2 {
		if i > 0 {
			out = append(out, ':')
		}
		out = fmt.Appendf(out, "%x", uint16(b[i])<<8|uint16(b[i+1]))
	}
	return string(out)
}
