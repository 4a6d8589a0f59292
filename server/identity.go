package server

import (
	"slices"

	"github.com/zabkeeper/zabkeeper/proto"
	"github.com/zabkeeper/zabkeeper/proto/jute"
	"github.com/zabkeeper/zabkeeper/server/auth"
	"github.com/zabkeeper/zabkeeper/znode"
)

// identity is what a connection may claim at one moment. It is immutable; authentication
// makes a new one.
type identity struct {
	ids []proto.ID
	// judged is what ids count for, and super on a server that skips ACL checks: what local
	// reads and the delivery of events are judged by.
	judged []proto.ID
	// encoded is ids as in an envelope.
	encoded []byte
	// stranger may do nothing but authenticate.
	stranger bool
}

func newIdentity(ids []proto.ID, cfg *Config) *identity {
	who := &identity{ids: ids, judged: cfg.Schemes.Judged(ids)}
	if cfg.SkipACL {
		who.judged = append(slices.Clone(who.judged), znode.SuperID())
	}
	who.encoded = jute.AppendCount(who.encoded, len(ids))
	for _, id := range ids {
		who.encoded = id.Append(who.encoded)
	}
	return who
}

// identity makes what a connection may claim of the identities that it has.
func (s *Server) identity(ids []proto.ID) *identity {
	who := newIdentity(ids, &s.cfg)
	who.stranger = !s.auth.Admits(ids)
	return who
}

// maxLogged bounds what is logged of a text that a client has made up.
const maxLogged = 64

// The identities of one connection travel with each of its writes, to the leader and into the
// transaction of a node whose ACL names them.
const (
	// maxIDs bounds their number.
	maxIDs = 64
	// maxIDBytes bounds their length as in an envelope.
	maxIDBytes = 64 << 10
)

// auth adds an identity to the connection. It counts for every request behind this one,
// whenever that is answered; the reply comes in its turn (spec client-protocol 7.1).
func (c *conn) auth(r *request, p *proto.AuthPacket, malformed error) bool {
	if malformed != nil {
		return c.refuse(r, proto.CodeMarshallingError)
	}
	r.fixed = true
	ids, verdict := c.s.auth.Authenticate(&c.peer, p.Scheme, p.Auth)
	switch {
	case verdict == auth.Elsewhere:
		r.silent, r.last = true, true
	case verdict != auth.Accepted || !c.identify(ids):
		c.s.quiet.Info("authentication failed").Str("client", c.remote).Str("scheme", p.Scheme[:min(len(p.Scheme), maxLogged)]).Send()
		r.code, r.last = proto.CodeAuthFailed, true
	}
	return c.put(r)
}

// identify adds identities to those of the connection, unless these become too many or too
// long.
func (c *conn) identify(ids []proto.ID) bool {
	old := c.who.Load().ids
	all := append(make([]proto.ID, 0, len(old)+len(ids)), old...)
	for _, id := range ids {
		if !slices.Contains(all, id) {
			all = append(all, id)
		}
	}
	if len(all) > maxIDs {
		return false
	}
	if len(all) > len(old) {
		who := c.s.identity(all)
		if len(who.encoded) > maxIDBytes {
			return false
		}
		c.who.Store(who)
	}
	return true
}

// maxKnownIDs bounds the memory for decoded identities.
const maxKnownIDs = 4096

// identities decodes the identities of a request. Most requests carry the same few.
func (p *primary) identities(encoded []byte) ([]proto.ID, error) {
	if ids, ok := p.ids[string(encoded)]; ok {
		return ids, nil
	}
	ids, err := decodeIDs(encoded)
	if err != nil {
		return nil, err
	}
	if len(p.ids) >= maxKnownIDs {
		clear(p.ids)
	}
	p.ids[string(encoded)] = ids
	return ids, nil
}
