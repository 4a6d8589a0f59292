package node

import (
	"cmp"
	"context"
	crand "crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/rs/zerolog"

	"github.com/zabkeeper/zabkeeper/conf"
	"github.com/zabkeeper/zabkeeper/proto"
	"github.com/zabkeeper/zabkeeper/quorum"
	"github.com/zabkeeper/zabkeeper/quorum/peer"
	"github.com/zabkeeper/zabkeeper/quorum/transport"
	"github.com/zabkeeper/zabkeeper/server"
	"github.com/zabkeeper/zabkeeper/server/auth"
	"github.com/zabkeeper/zabkeeper/server/fourletter"
	"github.com/zabkeeper/zabkeeper/server/keystore"
	"github.com/zabkeeper/zabkeeper/zab"
	"github.com/zabkeeper/zabkeeper/zab/txnlog"
	"github.com/zabkeeper/zabkeeper/zab/zxid"
	"github.com/zabkeeper/zabkeeper/znode"
)

// Config is what a Node is made of. Conf and Fatal must be set.
type Config struct {
	Conf   *conf.Config
	Logger zerolog.Logger
	// Revision and Built identify the program in the version line; Revision is hex.
	Revision string
	Built    time.Time

	// Fatal is called once with the error of a store that failed. A process must exit in
	// it: what was promised can no longer be kept. Where several nodes share a process, as in
	// tests, it may return; the node then stops by itself and acknowledges nothing more.
	Fatal func(error)

	// FS, if not nil, holds the stores in place of the operating system's file system.
	FS vfs.FS
	// Listeners, if set, are used in place of the configured addresses; the node closes them.
	ClientListener, QuorumListener, ElectionListener net.Listener
	// CertificatesEvery is how often the files with keys and certificates are looked at. Default
	// 5 s.
	CertificatesEvery time.Duration
	// MaintainEvery is how often the stores are looked after. Default 5 s.
	MaintainEvery time.Duration
	// SpaceEvery is how often the free space is looked at. Default 1 s.
	SpaceEvery time.Duration
	// LogReturnsAfter is txnlog's ReturnAfter. Default 15 s.
	LogReturnsAfter time.Duration
	// ScrubEvery is how often everything on the disks is read. Default is what Conf says.
	ScrubEvery time.Duration
	// Now is the wall clock of the times of transactions, of the ids of sessions and of scrubs. Default time.Now.
	Now func() time.Time
	// Tree, if not nil, stands between the server and its tree, where tests damage it.
	Tree func(server.Store) server.Store
	// Dial, if not nil, opens connections to other servers.
	Dial func(ctx context.Context, address string) (net.Conn, error)
}

// Node is one running server. Its methods are safe for concurrent use.
type Node struct {
	cfg  Config
	conf *conf.Config
	sid  quorum.SID
	log  zerolog.Logger
	// configured is the ensemble that the configuration tells of, members what is true.
	configured *quorum.Ensemble
	members    atomic.Pointer[quorum.Membership]
	// changed is signalled when members has changed.
	changed chan struct{}
	auth    auth.Config

	stores    *stores
	server    *server.Server
	peer      *peer.Peer
	machine   *machine
	transport *transport.Transport         // nil: standalone
	listener  net.Listener                 // the first one, nil: serves no clients there
	listening atomic.Pointer[net.Listener] // the present one
	clientAt  *quorum.Address              // where listening was wanted; of follow alone
	secure    net.Listener                 // the same by TLS
	keeper    *keystore.Keeper             // nil: no TLS

	space  *space
	opened atomic.Bool // the stores are open

	// counted is what the log had counted when its statistics were reset, nil if they never were.
	counted atomic.Pointer[txnlog.Stats]

	cancel context.CancelCauseFunc
	done   chan struct{}
	err    error // valid once done is closed

	scrubs    *scrubs
	repairs   repairs
	fatalOnce sync.Once

	// verifying is held while the stores are read that closed says are closed.
	verifying sync.RWMutex
	closed    bool
}

// errStopped is the cause of an orderly stop.
var errStopped = errors.New("node: stopped")

// Start opens the stores and ports and lets the server live in the background until Stop, or
// until it cannot go on. What it refuses is refused before anything is served.
func Start(cfg Config) (*Node, error) {
	if cfg.Conf == nil || cfg.Fatal == nil {
		return nil, errors.New("node: Config needs Conf and Fatal")
	}
	n := &Node{cfg: cfg, conf: cfg.Conf, log: cfg.Logger, done: make(chan struct{}), changed: make(chan struct{}, 1), scrubs: newScrubs()}
	ctx, cancel := context.WithCancelCause(context.Background())
	n.cancel = cancel
	if err := n.open(); err != nil {
		return nil, errors.Join(err, n.closeListeners())
	}
	if n.transport == nil { // no other server connects
		_ = closeAll(cfg.QuorumListener, cfg.ElectionListener) // nothing can be done about it
	}
	go n.run(ctx)
	return n, nil
}

// open does everything of a start that can be refused.
func (n *Node) open() error {
	if err := n.identify(); err != nil {
		return err
	}
	var err error
	if n.auth, err = n.authConfig(); err != nil {
		return fmt.Errorf("%w: %w", ErrAuth, err)
	}
	if n.listener, err = n.listen(); err != nil {
		return err
	}
	if n.clientAt = n.conf.Client; n.listener != nil {
		n.listening.Store(&n.listener)
	}
	if err = n.openTLS(); err != nil {
		return err
	}
	n.space = newSpace(n)
	if err = n.space.check(); err != nil {
		return err
	}
	if n.stores, err = n.openStores(); err != nil {
		n.space.release(err)
		return err
	}
	n.opened.Store(true)
	n.settleMembers()
	if err := n.assemble(); err != nil {
		return errors.Join(err, n.stores.close())
	}
	return nil
}

// closeListeners closes the ports, those given included, of a start that was refused.
func (n *Node) closeListeners() error {
	return closeAll(cmp.Or(n.listener, n.cfg.ClientListener), n.secure, n.cfg.QuorumListener, n.cfg.ElectionListener)
}

func closeAll(listeners ...net.Listener) error {
	var errs []error
	for _, l := range listeners {
		if l != nil {
			errs = append(errs, l.Close())
		}
	}
	return errors.Join(errs...)
}

// identify settles who this server is and who the others are. A standalone server is an
// ensemble of one.
func (n *Node) identify() error {
	n.sid, n.configured = n.conf.MyID, n.conf.Ensemble
	if n.conf.Standalone && n.sid == quorum.None {
		n.sid = standaloneSID
	}
	if n.configured != nil {
		return nil
	}
	ensemble, err := quorum.NewEnsemble(0, []quorum.Member{{
		SID: n.sid, Role: quorum.Participant,
		Quorum: []quorum.HostPorts{{Host: "127.0.0.1", QuorumPort: 2888, ElectionPort: 3888}},
	}})
	if err != nil {
		return fmt.Errorf("node: %w", err)
	}
	n.configured = ensemble
	return nil
}

// standaloneSID begins the session ids of a server that has no id (spec client-protocol 4.3).
const standaloneSID quorum.SID = 1

func (n *Node) listen() (net.Listener, error) {
	if n.conf.Client == nil && n.cfg.ClientListener == nil {
		return nil, nil // no client port is configured: no listener, no error
	}
	return n.listenAt(n.cfg.ClientListener, n.conf.Client)
}

// assemble makes the parts and joins them.
func (n *Node) assemble() error {
	var err error
	serverConfig := n.serverConfig()
	if serverConfig.Doubted, err = n.doubted(); err != nil {
		return err
	}
	serverConfig.Auth = n.auth
	n.server, err = server.New(serverConfig)
	if err != nil {
		return fmt.Errorf("node: %w", err)
	}
	var carrier peer.Transport
	if !n.alone() {
		if n.transport, err = n.newTransport(); err != nil {
			return fmt.Errorf("node: %w", err)
		}
		carrier = n.transport
	}
	var seed [16]byte
	if _, err := crand.Read(seed[:]); err != nil {
		return fmt.Errorf("node: draw a seed: %w", err)
	}
	n.machine = &machine{n: n, handed: n.stores.tree.Applied()}
	n.peer, err = peer.New(peer.Config{
		Self: n.sid, Membership: quorum.Stable(n.configured), Reconfigurable: n.conf.ReconfigEnabled && !n.conf.Standalone,
		AcceptOlder: n.conf.AcceptOlderCopies,
		Log:         history{Log: n.stores.log, strict: n.strict(), alone: n.conf.Standalone}, Transport: carrier,
		StateMachine: n.machine,
		TickTime:     n.conf.TickTime,
		InitLimit:    max(n.conf.InitLimit, 1), SyncLimit: max(n.conf.SyncLimit, 1),
		MinNotify: n.conf.MinNotifyInterval, MaxNotify: min(n.conf.MaxNotifyInterval, peer.DefaultMaxNotify),
		ReadOnlyAfter: n.readOnlyAfter(),
		Logger:        n.log,
		Rand:          rand.New(rand.NewPCG(binary.BigEndian.Uint64(seed[:8]), binary.BigEndian.Uint64(seed[8:]))),
	})
	if err != nil {
		return fmt.Errorf("node: %w", err)
	}
	return nil
}

// strict reports whether an empty store may not vote: db.autocreate is false and the marker file
// that allows it once is not there [ZOOKEEPER-261].
func (n *Node) strict() bool {
	if n.conf.DBAutocreate || n.cfg.FS != nil {
		return false
	}
	err := os.Remove(filepath.Join(n.conf.DataDir, initializeMarker))
	return err != nil
}

// initializeMarker is the name of the file below dataDir that lets an empty store vote.
const initializeMarker = "initialize"

func (n *Node) newTransport() (*transport.Transport, error) {
	own, _ := n.configured.Member(n.sid)
	cfg := transport.Config{
		Self: n.sid, Membership: *n.members.Load(), Own: own, Strangers: n.conf.ReconfigEnabled,
		Handler: inbox{n}, Logger: n.log,
		Identity: func() (quorum.ClusterID, quorum.Incarnation) {
			d := n.stores.log.Durable()
			return d.Cluster, d.Incarnation
		},
		ListenOnAllIPs: n.conf.QuorumListenOnAllIPs,
		BindTries:      n.conf.ElectionPortBindRetry,
		Dial:           n.cfg.Dial,
		ConnectTimeout: n.conf.CnxTimeout,
		// A peer that takes nothing for as long as it may be silent is gone.
		HandshakeTimeout: n.conf.SyncTimeout(),
		WriteTimeout:     n.conf.SyncTimeout(),
		MaxFrame:         max(transport.DefaultMaxFrame, 2*znode.MaxTxn(n.conf.JuteMaxBuffer)),
	}
	if n.cfg.QuorumListener != nil {
		cfg.QuorumListeners = []net.Listener{n.cfg.QuorumListener}
	}
	if n.cfg.ElectionListener != nil {
		cfg.ElectionListeners = []net.Listener{n.cfg.ElectionListener}
	}
	return transport.New(cfg)
}

func (n *Node) serverConfig() server.Config {
	c := n.conf
	return server.Config{
		Self: server.Origin(n.sid), SessionByte: n.sessionByte(),
		ReserveIDs:  func(id proto.SessionID) error { return n.stores.log.Reserve(uint64(id)) },
		ReservedIDs: proto.SessionID(n.stores.log.Reserved()),
		SessionSalt: uint16(rand.Uint32()),
		Store:       n.tree(), Replicator: replicator{n}, Status: status{n},
		Conf: n.fourLetterConf, Version: fourletter.Version(n.cfg.Revision, n.cfg.Built),
		TickTime: c.TickTime, SyncLimit: c.SyncLimit,
		MinSessionTimeout: c.MinSessionTimeout, MaxSessionTimeout: c.MaxSessionTimeout,
		SessionlessTimeout: c.SessionlessTimeout,
		MaxFrame:           c.JuteMaxBuffer,
		MaxClientCnxns:     c.MaxClientCnxns, MaxCnxns: c.MaxCnxns,
		GlobalOutstanding: n.globalOutstanding(), Throttle: &c.Throttle,
		// A standalone server has nobody to be local to.
		LocalSessions:          c.LocalSessions && !c.Standalone,
		LocalSessionsUpgrading: c.LocalSessionsUpgrading,
		KeepAlive:              c.ClientTCPKeepAlive,
		SkipACL:                c.SkipACL, Schemes: n.schemes(),
		EagerACLCheck:     c.EagerACLCheck && !c.Standalone, // there is nobody else to ask
		EnforceQuota:      c.EnforceQuota,
		LinearizableReads: c.LinearizableReads,
		Digest:            c.Digest,
		Electorate:        n.judges(), Repair: n.repair, Doubt: n.doubt,
		Secure:            n.secureConfig(),
		ExtendedTypes:     c.ExtendedTypes,
		ContainerInterval: c.ContainerInterval, ContainersPerMinute: c.ContainersPerMinute,
		ContainerNeverUsed: c.ContainerNeverUsed,
		Ensemble:           n.configNode(),
		Reconfig:           c.ReconfigEnabled,
		AllowWord:          c.AllowsFourLetterWord,
		Logger:             n.log, Fatal: n.fatal,
		Now: n.cfg.Now,
	}
}

// globalOutstanding is this server's share of the limit: what voters let in comes together at
// the leader (spec semantics 15).
func (n *Node) globalOutstanding() int {
	voters := n.ensemble().Voters().Len()
	if n.conf.Standalone || voters <= 2 || n.conf.Role != quorum.Participant {
		return n.conf.GlobalOutstandingLimit
	}
	return max(n.conf.GlobalOutstandingLimit/(voters-1), 1)
}

// minReadOnlyAfter is the least time without a leader after which reads alone are served (spec
// semantics 10.2).
const minReadOnlyAfter = 2 * time.Second

// readOnlyAfter returns how long this server looks for a leader before it serves reads alone; 0 is
// never.
func (n *Node) readOnlyAfter() time.Duration {
	if !n.conf.ReadOnlyMode || n.alone() {
		return 0
	}
	return max(minReadOnlyAfter, n.conf.TickTime)
}

func (n *Node) sessionByte() byte {
	if n.conf.Standalone {
		return byte(standaloneSID)
	}
	return byte(n.sid)
}

// run is the life of the node: everything runs until the first part ends.
func (n *Node) run(ctx context.Context) {
	defer close(n.done)
	var wg sync.WaitGroup
	part := func(name string, f func(context.Context) error) {
		wg.Go(func() {
			if err := f(ctx); err != nil {
				n.cancel(fmt.Errorf("%s: %w", name, err))
			} else {
				n.cancel(errStopped)
			}
		})
	}
	// The peer leaves its role in order before the server, which it still uses, goes.
	serverCtx, stopServer := context.WithCancel(context.Background())
	serverDone := make(chan struct{})
	go func() {
		defer close(serverDone)
		if err := n.server.Run(serverCtx, n.listener); err != nil {
			n.cancel(fmt.Errorf("client port: %w", err))
		}
	}()
	n.replay()
	part("peer", n.peer.Run)
	if n.transport != nil {
		part("transport", n.transport.Run)
	}
	if n.keeper != nil {
		part("certificates", n.keeper.Run)
	}
	part("maintenance", n.maintain)
	part("space", n.space.watch)
	part("scrub", n.scrubSchedule)
	context.AfterFunc(ctx, func() { n.scrubs.stop("the server ends") })
	if !n.conf.Standalone {
		part("membership", n.follow)
	}
	n.reportPorts()
	wg.Wait()
	stopServer()
	<-serverDone
	err := context.Cause(ctx)
	if errors.Is(err, errStopped) {
		err = nil
	}
	n.verifying.Lock()
	defer n.verifying.Unlock()
	n.closed = true
	n.err = errors.Join(err, n.stores.close())
}

// Wait blocks until the node has ended and returns why: nil after Stop.
func (n *Node) Wait() error {
	<-n.done
	return n.err
}

// Done is closed when the node has ended.
func (n *Node) Done() <-chan struct{} { return n.done }

// Stop ends the node in order: it leaves its role, closes its clients and its stores. It returns
// what Wait does.
func (n *Node) Stop() error {
	n.cancel(errStopped)
	return n.Wait()
}

// ClientAddr returns the address that clients connect to, nil if there is none.
func (n *Node) ClientAddr() net.Addr {
	l := n.listening.Load()
	if l == nil {
		return nil
	}
	return (*l).Addr()
}

// Applied returns the point up to which the tree has applied the history.
func (n *Node) Applied() zxid.Point { return n.server.Applied() }

// Digest returns the digest of the tree; equal histories make equal digests.
func (n *Node) Digest() uint64 { return n.stores.tree.Digest() }

// Durable returns what the transaction log has on disk.
func (n *Node) Durable() zab.Durable { return n.stores.log.Durable() }
