package server

import "github.com/zabkeeper/zabkeeper/proto"

// sasl takes a token of the connection's SASL exchange. What the exchange proves counts for
// every request behind this one; the answer comes in its turn (spec client-protocol 7.2).
// Without users to log in every token is answered with none, and the client goes on as it is.
func (c *conn) sasl(r *request, p *proto.GetSASLRequest, malformed error) bool {
	if malformed != nil {
		return c.refuse(r, proto.CodeMarshallingError)
	}
	r.fixed = true
	answer := new(proto.SetSASLResponse)
	r.body = answer
	if !c.s.auth.OffersSASL() {
		return c.put(r)
	}
	if c.exchange == nil {
		c.exchange = c.s.auth.Begin()
	}
	token, ids, err := c.exchange.Step(p.Token)
	switch {
	case err != nil:
		c.s.quiet.Warn("SASL authentication failed").Str("client", c.remote).Err(err).Send()
		return c.saslFailed(r)
	case !c.identify(ids):
		c.s.quiet.Warn("too many or too long identities of one connection").Str("client", c.remote).Send()
		return c.saslFailed(r)
	case len(ids) > 0:
		c.s.quiet.Info("authenticated by SASL").
			Str("client", c.remote).Stringer("session", c.session).Str("user", ids[0].ID).Send()
	}
	answer.Token = token
	return c.put(r)
}

func (c *conn) saslFailed(r *request) bool {
	code, stays := c.s.auth.SASLFailure()
	r.code, r.last = code, !stays
	return c.put(r)
}

// turnAway answers a request of a connection that has not proved enough to be served, and
// closes it: pings and the end of its session included (spec client-protocol 7.3).
func (c *conn) turnAway(r *request) bool {
	c.s.quiet.Warn("closing a connection that has not authenticated as is required").
		Str("client", c.remote).Stringer("session", c.session).Stringer("op", r.op).Send()
	r.fixed, r.last, r.code = true, true, proto.CodeSessionClosedRequireSASLAuth
	return c.put(r)
}
