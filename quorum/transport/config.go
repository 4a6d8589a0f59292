package transport

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/rs/zerolog"

	"github.com/zabkeeper/zabkeeper/fle"
	"github.com/zabkeeper/zabkeeper/quorum"
	"github.com/zabkeeper/zabkeeper/zab"
)

// Handler hears what happens. Its methods are called from many goroutines; they must
// return soon, Received alone may take its time. A handler may call the transport's methods.
type Handler interface {
	// Notified hands over an election notification for this server. Its sender is who it
	// says it is.
	Notified(n fle.Notification)
	// Reachable says that election messages can flow both ways between this server and sid, of the
	// given incarnation, or no longer can. Calls for one sid come in order.
	Reachable(sid quorum.SID, up bool, incarnation quorum.Incarnation)
	// LinkUp says that a link of the learner channel is open: one that Connect asked for, or
	// one that the learner peer dialled.
	LinkUp(link uint64, peer quorum.SID)
	// Received hands over messages, in order, which belong to the handler from then on. While it
	// does not return nothing more is read from the link, and the sender feels it.
	Received(link uint64, msgs []zab.Message)
	// LinkDown says that a link that was up has ended, unless Hangup ended it. It is the
	// last event of the link.
	LinkDown(link uint64, err error)
}

// Conflict says that a second server runs under this server's sid (hazard H-39).
type Conflict struct {
	// Remote is the address at which the evidence was found.
	Remote string
	// Witness is the server that reported it, or this server itself if it met its double.
	Witness quorum.SID
	// Other is the double's incarnation, zero if the witness did not tell.
	Other quorum.Incarnation
}

// Config is what a Transport is made of. A zero duration or limit means the default.
type Config struct {
	Self quorum.SID
	// Membership is whom this server knows at the start; SetMembers replaces it.
	Membership quorum.Membership
	// Own is this server as its configuration file describes it: where it listens while the
	// membership does not list it. It may be left out if Membership lists Self.
	Own quorum.Member
	// Strangers admits servers that the membership does not list (reconfigEnabled): one that is
	// to join, or was removed, must be able to find the leader.
	Strangers bool
	// Identity returns what this server introduces itself with, either of them zero while
	// unknown. It is called at every connection, from any goroutine.
	Identity func() (quorum.ClusterID, quorum.Incarnation)
	Handler  Handler
	Logger   zerolog.Logger
	// Conflict, if not nil, is called, at most every half minute, while a second server runs
	// under this server's sid. The transport itself only refuses it and logs an error.
	Conflict func(Conflict)

	// QuorumListeners and ElectionListeners, if not nil, are used and closed by Run in place
	// of listeners at this server's addresses in Membership, or in Own. They are kept until SetMembers
	// gives this server other addresses.
	QuorumListeners, ElectionListeners []net.Listener
	// ListenOnAllIPs binds this server's ports at every address of the machine (quorumListenOnAllIPs).
	ListenOnAllIPs bool
	// BindTries is how often binding a port is tried, a second apart, before Run gives up with a
	// BindError (electionPortBindRetry); 0 is for ever.
	BindTries int
	// Dial, if not nil, opens connections in place of a net.Dialer, for instance through TLS.
	Dial func(ctx context.Context, address string) (net.Conn, error)

	// ConnectTimeout bounds one dial (cnxTimeout).
	ConnectTimeout time.Duration
	// UnreachableAfter is how long a server of the ensemble may be out of reach before a line of the log
	// says so and why; the line is repeated every half minute.
	UnreachableAfter time.Duration
	// HandshakeTimeout bounds the exchange of introductions.
	HandshakeTimeout time.Duration
	// WriteTimeout bounds the time that a peer may let 256 KiB of output, or acknowledged
	// packets at all (TCP_USER_TIMEOUT), wait.
	WriteTimeout time.Duration
	// Heartbeat is how often something is sent on an idle election connection; one that brings
	// nothing for four times as long is lost.
	Heartbeat time.Duration

	// QueueBytes is the memory that unsent messages of one link may hold, more closes it.
	QueueBytes int
	// StreamBytes is what SendWait leaves queued before it blocks.
	StreamBytes int
	// QueueAge is how long a message may wait in a link's queue, longer closes it.
	QueueAge time.Duration
	// MaxFrame is the largest frame on the learner channel, in bytes, sent or accepted. It
	// must be well above the largest transaction.
	MaxFrame int
}

// Defaults of Config.
const (
	DefaultConnectTimeout   = 5 * time.Second
	DefaultUnreachableAfter = 5 * time.Second
	DefaultHandshakeTimeout = 5 * time.Second
	DefaultWriteTimeout     = 10 * time.Second
	DefaultHeartbeat        = 500 * time.Millisecond
	DefaultQueueBytes       = 64 << 20
	DefaultStreamBytes      = 2 << 20
	DefaultQueueAge         = 30 * time.Second
	DefaultMaxFrame         = 64 << 20
)

// Timing and limits that nobody needs to change.
const (
	// Backoff of election dials and pokes: a server that comes back is met within tens of
	// milliseconds, one that is gone costs a dial a second.
	minElectionBackoff = 20 * time.Millisecond
	maxElectionBackoff = time.Second
	// Backoff of learners' dials: the leader is about to be one, or has just died.
	minLearnerBackoff = 10 * time.Millisecond
	maxLearnerBackoff = 200 * time.Millisecond

	// idleHeartbeats is the number of heartbeats that may be missing.
	idleHeartbeats = 4
	// bindPause is the time between two tries to bind a port.
	bindPause = time.Second
	// maxUnnamed is the number of accepted connections that have not introduced themselves.
	maxUnnamed = 256
	// quietPeriod is how long a repeated log line is suppressed.
	quietPeriod = 30 * time.Second
)

func (c *Config) validate() error {
	if c.Membership.IsZero() || c.Handler == nil || c.Identity == nil {
		return errors.New("transport: membership, handler and identity are required")
	}
	if c.Self < 0 || c.Self > quorum.MaxSID {
		return fmt.Errorf("transport: server id %d is outside 0..%d", int(c.Self), int(quorum.MaxSID))
	}
	given := len(c.Own.Quorum) > 0
	if given && c.Own.SID != c.Self {
		return fmt.Errorf("transport: the own entry of server %v is that of server %v", c.Self, c.Own.SID)
	}
	if !given && !c.Membership.SIDs().Has(c.Self) {
		return fmt.Errorf("transport: server %v is not in the ensemble and has no entry of its own", c.Self)
	}
	if c.BindTries < 0 {
		return fmt.Errorf("transport: %d tries to bind a port", c.BindTries)
	}
	defaultTo(&c.ConnectTimeout, DefaultConnectTimeout)
	defaultTo(&c.UnreachableAfter, DefaultUnreachableAfter)
	defaultTo(&c.HandshakeTimeout, DefaultHandshakeTimeout)
	defaultTo(&c.WriteTimeout, DefaultWriteTimeout)
	defaultTo(&c.Heartbeat, DefaultHeartbeat)
	defaultTo(&c.QueueBytes, DefaultQueueBytes)
	defaultTo(&c.StreamBytes, min(DefaultStreamBytes, c.QueueBytes/2))
	defaultTo(&c.QueueAge, DefaultQueueAge)
	defaultTo(&c.MaxFrame, DefaultMaxFrame)
	if c.StreamBytes >= c.QueueBytes {
		return fmt.Errorf("transport: StreamBytes %d must be below QueueBytes %d", c.StreamBytes, c.QueueBytes)
	}
	return nil
}

func defaultTo[T int | time.Duration](v *T, d T) {
	if *v <= 0 {
		*v = d
	}
}
