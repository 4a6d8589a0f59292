package conf

import (
	"maps"
	"slices"
	"time"

	"github.com/zabkeeper/zabkeeper/quorum"
)

// Config is a checked configuration. It is made by Load and not changed
// afterwards; readers may share it.
type Config struct {
	// File is the name of the file it was read from, as given.
	File string

	// Time. Limits are in ticks of TickTime.
	TickTime     time.Duration
	InitLimit    int // connect to a leader and synchronise with it
	SyncLimit    int // lag behind, or silence of, a peer
	ConnectLimit int // the connect step alone; equals InitLimit unless set (connectToLearnerMasterLimit)

	// Storage.
	DataDir    string // myid, initialize, the tree
	DataLogDir string // the transaction log; equals DataDir unless set
	// DataLogDirSecondary takes the log while the disk of DataLogDir stalls; empty: none.
	DataLogDirSecondary string
	DataDirAutocreate   bool // create missing directories
	DBAutocreate        bool // an empty store may vote; false asks for the initialize marker
	SnapCount           int  // transactions between checkpoints
	CommitLogCount      int  // transactions kept for synchronisation by DIFF
	ForceSync           bool // false only on a standalone server that asked for it
	FsyncWarning        time.Duration
	// Memory for the tree, in MiB: nodes ready to be read, 0 for none, and the store's blocks.
	NodeCacheMb, BlockCacheMb int

	// Space, in MiB: below the reserve the server takes less and less on itself, 0 for never; the
	// ballast is a file that is given back when the disk is full, 0 for none.
	DiskReserveMb, DiskBallastMb int

	// AcceptOlderCopies counts servers that have less than the others know them to have had.
	AcceptOlderCopies bool

	// Scrub: how often everything on the disks is read and checked, 0 for never, and how many MiB a second
	// are read then.
	ScrubInterval    time.Duration
	ScrubMbPerSecond int

	// Clients.
	Client                 *quorum.Address // where to listen; nil: serve no clients
	ListenBacklog          int             // -1: the system's default
	MaxClientCnxns         int             // per client address; 0: no limit
	MaxCnxns               int             // in all; 0: no limit
	MinSessionTimeout      time.Duration
	MaxSessionTimeout      time.Duration
	SessionlessTimeout     time.Duration // a connection that never asks for a session
	ClientTCPKeepAlive     bool
	JuteMaxBuffer          int             // bytes, largest frame from a client
	GlobalOutstandingLimit int             // requests in progress, see spec semantics 15
	ReadOnlyMode           bool            // serve reads without a quorum to clients that asked for it
	SecureClient           *quorum.Address // where to listen for TLS; nil: nowhere
	PortUnification        bool            // Client takes TLS too
	TLS                    TLS
	LocalSessions          bool // sessions begin without the quorum
	LocalSessionsUpgrading bool // and join it with their first ephemeral
	Throttle               Throttle
	FourLetterWhitelist    []string // as configured; ask AllowsFourLetterWord

	// Access control.
	SkipACL       bool
	EagerACLCheck bool // refuse before the leader is asked
	Auth          Auth

	// Tree.
	ExtendedTypes       bool          // nodes with a time to live
	EnforceQuota        bool          // hard quotas refuse
	LinearizableReads   bool          // reads wait for a sync
	Digest              bool          // transactions carry the digest of the tree
	ContainerInterval   time.Duration // between two looks for containers and expired nodes to delete
	ContainersPerMinute int           // deleted at most
	ContainerNeverUsed  time.Duration // life of a container that never had a child, 0: for ever

	// Ensemble.
	Standalone        bool             // one server, no quorum: see StandaloneEnabled
	StandaloneEnabled bool             // false: run the ensemble's stack even with one participant
	ReconfigEnabled   bool             // the ensemble may be changed by its clients
	MyID              quorum.SID       // None: standalone without a myid file
	Ensemble          *quorum.Ensemble // nil: no server.N entries
	Role              quorum.Role      // what the server list makes of MyID, else peerType
	DynamicConfigFile string           // where the list came from, empty: the file itself
	MultiAddress      bool             // server entries may list several addresses
	LeaderServes      bool             // the leader accepts clients

	// Peer links.
	QuorumListenOnAllIPs   bool
	QuorumTCPKeepAlive     bool
	CnxTimeout             time.Duration // dial and handshake of an election link
	ElectionPortBindRetry  int           // 0: for ever
	MinNotifyInterval      time.Duration // first repetition of an unanswered notification
	MaxNotifyInterval      time.Duration // and the last, after back-off
	ObserverElectionDelay  time.Duration
	ObserverReconnectDelay time.Duration

	// Unknown lists the keys that matched nothing, in the order of their layers.
	Unknown []Setting
	// Notices is what to log, in a fixed order.
	Notices []Notice

	// What the validator turns into the fields above.
	peerType                 quorum.Role
	clientPort               int // -1: unset
	clientAddress            string
	securePort               int // -1: unset
	secureAddress            string
	requireSASL, enforceAuth bool
	enforceSchemes           []string
	version                  string // of the server list, in hex; empty: 0

	settings map[string]Setting // by canonical key, effective values
}

// Lookup returns the effective setting of a key by any of its spellings, defaults
// included; ok is false when it is not set and has no default.
func (c *Config) Lookup(key string) (s Setting, ok bool) {
	name, _ := resolve(key)
	s, ok = c.settings[name]
	return s, ok
}

// Effective lists every setting that has a value with its origin, sorted by key:
// defaults, what was set, and unknown keys. Secrets are blanked.
func (c *Config) Effective() []Setting {
	out := make([]Setting, 0, len(c.settings))
	for _, key := range slices.Sorted(maps.Keys(c.settings)) {
		s := c.settings[key]
		s.Value = displayValue(s.Key, s.Value)
		out = append(out, s)
	}
	return out
}

// Self returns this server's entry of the list, if it has one.
func (c *Config) Self() (quorum.Member, bool) {
	if c.Ensemble == nil {
		return quorum.Member{}, false
	}
	return c.Ensemble.Member(c.MyID)
}

// RoleTick is the tick of the leader and its learners: they look at their
// deadlines twice in a tickTime.
func (c *Config) RoleTick() time.Duration { return c.TickTime / 2 }

// InitTimeout returns InitLimit as a duration.
func (c *Config) InitTimeout() time.Duration { return time.Duration(c.InitLimit) * c.TickTime }

// SyncTimeout returns SyncLimit as a duration.
func (c *Config) SyncTimeout() time.Duration { return time.Duration(c.SyncLimit) * c.TickTime }

// InitRoleTicks returns InitLimit counted in RoleTicks.
func (c *Config) InitRoleTicks() int { return 2 * c.InitLimit }

// SyncRoleTicks returns SyncLimit counted in RoleTicks.
func (c *Config) SyncRoleTicks() int { return 2 * c.SyncLimit }

// Ticks returns how many ticks of the given length d takes, rounded up, at least one
// for a d above zero. The tick must be positive.
func Ticks(d, tick time.Duration) int {
	if d <= 0 {
		return 0
	}
	return int((d-1)/tick) + 1
}

// AllowsFourLetterWord reports whether the command may be executed. srvr always may, isro
// whenever read-only mode is on, the others when the whitelist has them or "*" (spec
// operations 2.1).
func (c *Config) AllowsFourLetterWord(word string) bool {
	return word == "srvr" || word == "isro" && c.ReadOnlyMode ||
		slices.Contains(c.FourLetterWhitelist, word) || slices.Contains(c.FourLetterWhitelist, "*")
}

// note adds a notice.
func (c *Config) note(level Level, origin Origin, text string) {
	c.Notices = append(c.Notices, Notice{level, text, origin})
}

// derive records a value that follows from others where the key was not set.
func (c *Config) derive(key, value string) {
	if s, ok := c.settings[key]; !ok || s.Origin.Name == OriginDefault {
		c.settings[key] = Setting{key, value, Origin{Name: OriginDefault}}
	}
}

// origin returns where a key was set, or failing that the file as a whole.
func (c *Config) origin(key string) Origin {
	if s, ok := c.settings[key]; ok && s.Origin.Name != OriginDefault {
		return s.Origin
	}
	return Origin{Name: c.File}
}

// refuseKey makes the error for a key that may not have been set at all.
func (c *Config) refuseKey(key, format string, args ...any) *Error {
	s := c.settings[key]
	return refuse(Setting{key, s.Value, c.origin(key)}, format, args...)
}
