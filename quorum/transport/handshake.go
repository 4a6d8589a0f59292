package transport

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"github.com/zabkeeper/zabkeeper/proto/peerwire"
	"github.com/zabkeeper/zabkeeper/quorum"
)

// session is a connection whose two ends have introduced themselves. Its reader and its
// writer may be different goroutines.
type session struct {
	conn  net.Conn
	hello peerwire.Hello // of the peer
	// at is the address that was dialled, "" for an accepted connection.
	at string
	// number counts the connections of this server, in the order in which they were opened.
	number uint64
	// kept: this server, which accepted the connection, has told the peer to keep it.
	kept bool
	in   frameReader
	out  framer
	// leave takes the peer's incarnation out of the register again, once.
	leave func()
}

// close ends the session.
func (s *session) close() {
	_ = s.conn.Close() // nothing can be done about it
	s.leave()
}

// writePiece is how much is written under one deadline.
const writePiece = 256 << 10

// write sends b. The deadline moves with every piece, so that it bounds stalls and not the
// time that much data takes.
func write(conn net.Conn, b []byte, timeout time.Duration) error {
	for len(b) > 0 {
		n := min(len(b), writePiece)
		if err := conn.SetWriteDeadline(time.Now().Add(timeout)); err != nil {
			return err
		}
		if _, err := conn.Write(b[:n]); err != nil {
			return err
		}
		b = b[n:]
	}
	return nil
}

// dial connects to a server at one of its addresses, introduces itself and checks the answer.
// attempt rotates through the addresses.
func (t *Transport) dial(ctx context.Context, to quorum.SID, ch peerwire.Channel, attempt int) (*session, error) {
	address, err := t.address(to, ch, attempt)
	if err != nil {
		return nil, err
	}
	dialCtx, cancel := context.WithTimeout(ctx, t.cfg.ConnectTimeout)
	defer cancel()
	conn, err := t.cfg.Dial(dialCtx, address)
	if err != nil {
		return nil, err
	}
	s := t.newSession(conn)
	s.at = address
	if err := t.introduce(ctx, s, to, ch); err != nil {
		s.close()
		t.refused(conn.RemoteAddr(), err)
		return nil, fmt.Errorf("%s: %w", address, err)
	}
	return s, nil
}

// address returns where to dial a server. Names are resolved by the dialler, each time.
func (t *Transport) address(to quorum.SID, ch peerwire.Channel, attempt int) (string, error) {
	at := addresses(t.membership(), to, ch)
	if len(at) == 0 || to == t.cfg.Self {
		return "", fmt.Errorf("transport: no server %v to connect to", to)
	}
	return at[attempt%len(at)], nil
}

func (t *Transport) newSession(conn net.Conn) *session {
	t.tune(conn)
	return &session{
		conn: conn, number: t.opened.Add(1), leave: func() {},
		in: frameReader{from: conn, limit: peerwire.MaxHello, slab: 2 * (headLen + peerwire.MaxHello)},
	}
}

// tune sets the options of the TCP connection under conn, which may be TLS.
func (t *Transport) tune(conn net.Conn) {
	if wrapped, ok := conn.(interface{ NetConn() net.Conn }); ok {
		conn = wrapped.NetConn()
	}
	tcp, ok := conn.(*net.TCPConn)
	if !ok {
		return
	}
	// Options are best effort: an error means that the connection is dead, which reading tells.
	_ = tcp.SetNoDelay(true)
	_ = tcp.SetKeepAliveConfig(net.KeepAliveConfig{Enable: true, Idle: t.cfg.WriteTimeout})
	setUserTimeout(tcp, t.cfg.WriteTimeout)
}

// guarded runs one step of a handshake under its deadline, and closes the connection when
// ctx ends.
func (t *Transport) guarded(ctx context.Context, s *session, step func() error) error {
	stop := context.AfterFunc(ctx, func() { _ = s.conn.Close() })
	defer stop()
	if err := s.conn.SetDeadline(time.Now().Add(t.cfg.HandshakeTimeout)); err != nil {
		return err
	}
	if err := step(); err != nil {
		return err
	}
	return s.conn.SetDeadline(time.Time{})
}

// introduce is the handshake of the side that dialled.
func (t *Transport) introduce(ctx context.Context, s *session, to quorum.SID, ch peerwire.Channel) error {
	return t.guarded(ctx, s, func() error {
		if err := t.sendHello(s, to, ch, peerwire.Accepted); err != nil {
			return err
		}
		if err := s.readHello(); err != nil {
			return err
		}
		if reason := t.admit(s, ch, to); reason != peerwire.Accepted {
			return &RefusedError{Reason: reason, Hello: s.hello, Want: to}
		}
		if s.hello.Refusal != peerwire.Accepted {
			return &RefusedError{Reason: s.hello.Refusal, ByPeer: true, Hello: s.hello, Want: to}
		}
		return nil
	})
}

// welcome is the handshake of the side that accepted.
func (t *Transport) welcome(ctx context.Context, s *session, ch peerwire.Channel) error {
	return t.guarded(ctx, s, func() error {
		if err := s.readHello(); err != nil {
			return err
		}
		reason := t.admit(s, ch, quorum.None)
		s.kept = reason == peerwire.Accepted && ch == peerwire.Election && t.cfg.Strangers && !t.keeps(s.hello.SID)
		if err := t.sendHello(s, s.hello.SID, ch, reason); err != nil {
			return err
		}
		if reason != peerwire.Accepted {
			return &RefusedError{Reason: reason, Hello: s.hello, Want: quorum.None}
		}
		return nil
	})
}

func (t *Transport) sendHello(s *session, to quorum.SID, ch peerwire.Channel, reason peerwire.Refusal) error {
	cluster, incarnation := t.cfg.Identity()
	h := peerwire.Hello{
		Version: peerwire.Version, SID: t.cfg.Self, To: to, Channel: ch,
		Cluster: cluster, Incarnation: incarnation, Config: t.membership().Committed.Version(), Refusal: reason,
		Keep: s.kept,
	}
	_, err := s.conn.Write(s.out.add(nil, func(dst []byte) []byte { return peerwire.AppendHello(dst, &h) }))
	return err
}

func (s *session) readHello() error {
	payload, err := s.in.await()
	if err != nil {
		return err
	}
	s.hello, err = peerwire.DecodeHello(payload)
	return err
}

// admit judges the peer's introduction; want is whom this server dialled. If it is accepted
// its incarnation is in the register until s.leave.
func (t *Transport) admit(s *session, ch peerwire.Channel, want quorum.SID) peerwire.Refusal {
	cluster, incarnation := t.cfg.Identity()
	reason := judge(view{
		self: t.cfg.Self, cluster: cluster, incarnation: incarnation,
		members: t.membership().SIDs(), strangers: t.cfg.Strangers,
	}, s.hello, ch, want)
	if reason != peerwire.Accepted {
		return reason
	}
	if !t.register.enter(s.hello.SID, s.hello.Incarnation) {
		return peerwire.RefusedIncarnation
	}
	s.leave = sync.OnceFunc(func() { t.register.leave(s.hello.SID) })
	return peerwire.Accepted
}

// view is what a server knows of itself when it judges another.
type view struct {
	self        quorum.SID
	cluster     quorum.ClusterID
	incarnation quorum.Incarnation
	members     quorum.Set
	strangers   bool // those who are no members are welcome, too
}

// judge says whether a server that introduces itself with h on a connection of channel ch may
// stay. want is whom we dialled, or None if the other side did.
func judge(v view, h peerwire.Hello, ch peerwire.Channel, want quorum.SID) peerwire.Refusal {
	// Whom we dialled was a member then.
	known := want != quorum.None || v.strangers || v.members.Has(h.SID)
	switch {
	case h.Version < peerwire.Version:
		return peerwire.RefusedVersion
	case h.Channel != ch:
		return peerwire.RefusedChannel
	case !h.Cluster.IsZero() && !v.cluster.IsZero() && h.Cluster != v.cluster:
		return peerwire.RefusedCluster
	case h.SID == v.self && h.Incarnation != v.incarnation:
		return peerwire.RefusedOwnSID
	case h.SID == v.self || h.To != v.self || want != quorum.None && h.SID != want:
		return peerwire.RefusedWrongServer
	case !known:
		return peerwire.RefusedUnknown
	}
	return peerwire.Accepted
}

// refused logs why a handshake failed, if that is for an operator to know, and reports a
// server that runs under our sid.
func (t *Transport) refused(remote net.Addr, err error) {
	var r *RefusedError
	switch {
	case errors.Is(err, peerwire.ErrMalformed), errors.Is(err, ErrProtocol):
		t.refusals.Warn("closed a connection that does not speak our protocol").Stringer("remote", remote).Err(err).Send()
		return
	case !errors.As(err, &r):
		return // it went away, or was too slow: dialling again will tell
	}
	if r.Reason == peerwire.RefusedOwnSID || r.Reason == peerwire.RefusedIncarnation && r.ByPeer {
		t.conflict(remote, r)
		return
	}
	const text = "refused a connection between servers: check the server list, myid and data directories of both"
	e := t.refusals.Error(text, r.Hello.SID.String(), r.Reason.String()).Stringer("remote", remote).
		Stringer("peer", r.Hello.SID).Stringer("reason", r.Reason).Bool("byPeer", r.ByPeer)
	if r.Want != quorum.None {
		e = e.Stringer("dialled", r.Want)
	}
	e.Stringer("peerCluster", r.Hello.Cluster).Stringer("peerIncarnation", r.Hello.Incarnation).Send()
}

// conflict tells of a server with our own sid (hazard H-39).
func (t *Transport) conflict(remote net.Addr, r *RefusedError) {
	const text = "another server runs with this server's id: every myid must be unique"
	if !t.refusals.Allow(zerolog.ErrorLevel, text) {
		return
	}
	c := Conflict{Remote: remote.String(), Witness: r.Hello.SID}
	if r.Hello.SID == t.cfg.Self {
		c.Other = r.Hello.Incarnation
	}
	t.cfg.Logger.Error().Str("remote", c.Remote).Stringer("witness", c.Witness).Stringer("incarnation", c.Other).Msg(text)
	if t.cfg.Conflict != nil {
		t.cfg.Conflict(c)
	}
}
