package server

import (
	"slices"

	"github.com/zabkeeper/zabkeeper/proto"
	"github.com/zabkeeper/zabkeeper/proto/jute"
	"github.com/zabkeeper/zabkeeper/znode"
)

// identity is what a connection may claim at one moment. It is immutable; authentication
// makes a new one.
type identity struct {
	ids []proto.ID
	// judged is ids, plus super on a server that skips ACL checks: what local reads and
	// the delivery of events are judged by.
	judged []proto.ID
	// encoded is ids as in an envelope.
	encoded []byte
}

func newIdentity(ids []proto.ID, super proto.ID, skipACL bool) *identity {
	who := &identity{ids: ids, judged: ids}
	if skipACL {
		who.judged = append(append([]proto.ID(nil), ids...), super)
	}
	who.encoded = jute.AppendCount(who.encoded, len(ids))
	for _, id := range ids {
		who.encoded = id.Append(who.encoded)
	}
	return who
}

// maxIDs bounds the identities of one connection.
const maxIDs = 64

// auth adds an identity to the connection. It counts for every request behind this one,
// whenever that is answered; the reply comes in its turn (spec client-protocol 7.1).
func (c *conn) auth(r *request, p *proto.AuthPacket, malformed error) bool {
	if malformed != nil {
		return c.refuse(r, proto.CodeMarshallingError)
	}
	r.fixed = true
	ids, ok := c.authenticate(p)
	if !ok {
		c.s.log.Info().Str("client", c.remote).Str("scheme", p.Scheme).Msg("authentication failed")
		r.code, r.last = proto.CodeAuthFailed, true
		return c.put(r)
	}
	old := c.who.Load().ids
	all := append(make([]proto.ID, 0, len(old)+len(ids)), old...)
	for _, id := range ids {
		if !slices.Contains(all, id) {
			all = append(all, id)
		}
	}
	if len(all) > maxIDs {
		r.code, r.last = proto.CodeAuthFailed, true
	} else if len(all) > len(old) {
		c.who.Store(newIdentity(all, znode.SuperID(), c.s.cfg.SkipACL))
	}
	return c.put(r)
}

// authenticate returns the identities that an auth packet proves.
func (c *conn) authenticate(p *proto.AuthPacket) ([]proto.ID, bool) {
	switch p.Scheme {
	case znode.SchemeIP:
		return []proto.ID{{Scheme: znode.SchemeIP, ID: c.ip}}, true
	case znode.SchemeDigest:
		if c.s.cfg.NoDigest || p.Auth == nil {
			return nil, false
		}
		id := znode.DigestID(p.Auth)
		if c.s.cfg.SuperDigest != "" && id.ID == c.s.cfg.SuperDigest {
			return []proto.ID{znode.SuperID(), id}, true
		}
		return []proto.ID{id}, true
	}
	return nil, false
}
