package server

import (
	"github.com/zabkeeper/zabkeeper/proto"
	"github.com/zabkeeper/zabkeeper/proto/jute"
	"github.com/zabkeeper/zabkeeper/znode"
)

// reconfigure makes a transaction of a change of the ensemble. It is a batch of its own: what it
// makes of the ensemble holds from its zxid on.
func (p *primary) reconfigure(r *znode.Request) error {
	var ask proto.ReconfigRequest
	c := jute.NewCursor(r.Body)
	if ask.Decode(&c); c.Err() != nil {
		return c.Err()
	}
	p.propose()
	switch cfg := &p.s.cfg; {
	case !cfg.Reconfig:
		r.Reconfig.Code = proto.CodeReconfigDisabled
	case r.SessionCode != proto.CodeOK: // the refusal that comes first
	case cfg.Ensemble == nil:
		r.Reconfig.Code = proto.CodeUnimplemented
	default:
		r.Reconfig = p.out.Reconfigure(p.next, &ask, p.ending)
	}
	p.planned = p.prepare(r) == proto.OpReconfig
	p.propose()
	return nil
}
