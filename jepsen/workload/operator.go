package workload

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"

	"github.com/zabkeeper/zabkeeper/jepsen/check"
	"github.com/zabkeeper/zabkeeper/proto"
	"github.com/zabkeeper/zabkeeper/zab/zxid"
)

// ConfigPath is the node that holds the list of the ensemble's servers.
const ConfigPath = "/zookeeper/config"

// operatorPath is the node that Write writes.
const operatorPath = "/operator"

// Operator is the super user, who reads and changes the list of the ensemble's servers. Its methods are safe for
// concurrent use; calls take turns. No one lasts much longer than its context.
type Operator struct {
	secret string

	mu    sync.Mutex
	c     *client
	s     *raw
	known *link // the connection that the secret was given on
}

// NewOperator returns an operator, who has the identity of the scheme digest with that secret, user:password. The
// servers are those of the environment, and further ones.
func NewOperator(env *Env, secret string, further ...string) *Operator {
	own := &Env{
		Servers: append(append([]string(nil), env.Servers...), further...), Recorder: env.Recorder, Timeout: env.Timeout,
		Seed: env.Seed, Pace: env.Pace, Duration: env.Duration,
	}
	c := &client{env: own, name: "operator", rand: rand.New(rand.NewPCG(env.Seed, hash("operator")))}
	return &Operator{secret: secret, c: c, s: newRaw(c)}
}

// connect makes sure that there is a connection of a living session, and that the server knows who asks.
func (o *Operator) connect(ctx context.Context) error {
	err := o.s.connect(ctx)
	if errors.Is(err, errExpired) {
		o.s = newRaw(o.c)
		err = o.s.connect(ctx)
	}
	if err != nil {
		return fmt.Errorf("workload: operator: %w", err)
	}
	if o.known != o.s.link {
		if err := o.s.identify(o.secret); err != nil {
			return err
		}
		o.known = o.s.link
	}
	return nil
}

// identify gives the server of the connection a name and password.
func (r *raw) identify(secret string) error {
	l := r.link
	packet := proto.AuthPacket{Scheme: "digest", Auth: []byte(secret)}
	l.waiting = append(l.waiting, proto.XidAuth)
	err := l.write(proto.AppendRequest(nil, proto.RequestHeader{Xid: proto.XidAuth, Op: proto.OpAuth}, packet), r.patience)
	var h proto.ReplyHeader
	for err == nil && h.Xid != proto.XidAuth {
		h, _, err = r.await(l)
	}
	if err = errors.Join(err, h.Err.Err()); err != nil {
		r.hangUp()
		return fmt.Errorf("workload: auth: %w", err)
	}
	return nil
}

// Config returns the content of /zookeeper/config, read behind a sync.
func (o *Operator) Config(ctx context.Context) (string, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if err := o.connect(ctx); err != nil {
		return "", err
	}
	var failed error
	done := o.s.do(o.op(check.KindConfig), func(op *check.Op) (zxid.ID, error) {
		op.Found = true
		var answer proto.GetDataResponse
		_, err := o.s.ask(proto.OpSync, proto.SyncRequest{Path: proto.Str(ConfigPath)}, new(proto.SyncResponse))
		var z zxid.ID
		if err == nil {
			z, err = o.s.ask(proto.OpGetData, proto.ReadRequest{Path: ConfigPath}, &answer)
		}
		op.Value, op.Stat, failed = string(answer.Data), configStat(answer.Stat), err
		return z, err
	})
	return done.Value, failed
}

// Reconfig asks for a change of the list: for what joins and leaves, or, when members is not empty, for a
// whole new one; of the version only, unless that is -1. An error that is a proto.Code is a refusal; with any other
// one the change may have been made, or may yet be.
func (o *Operator) Reconfig(ctx context.Context, joining, leaving, members string, version int64) error {
	request := proto.ReconfigRequest{CurConfigID: zxid.ID(version)}
	if members != "" {
		request.NewMembers = proto.Str(members)
	} else {
		request.JoiningServers, request.LeavingServers = proto.Str(joining), proto.Str(leaving)
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if err := o.connect(ctx); err != nil {
		return err
	}
	var failed error
	o.s.do(o.op(check.KindReconfig), func(op *check.Op) (zxid.ID, error) {
		var answer proto.GetDataResponse
		z, err := o.s.ask(proto.OpReconfig, request, &answer)
		op.Value, op.Stat, failed = string(answer.Data), configStat(answer.Stat), err
		return z, err
	})
	return failed
}

// Write returns nil when a write was acknowledged.
func (o *Operator) Write(ctx context.Context) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if err := o.connect(ctx); err != nil {
		return err
	}
	request := proto.CreateRequest{Path: operatorPath, ACL: proto.WorldACL(proto.PermAll)}
	_, err := o.s.ask(proto.OpCreate, request, new(proto.CreateResponse))
	if errors.Is(err, proto.CodeNodeExists) {
		_, err = o.s.ask(proto.OpSetData, proto.SetDataRequest{Path: operatorPath, Version: proto.AnyVersion}, new(proto.StatResponse))
	}
	return err
}

// Close ends the operator's session.
func (o *Operator) Close(ctx context.Context) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.s.id != 0 {
		o.s.close(ctx)
	}
}

func (o *Operator) op(k check.Kind) check.Op { return o.c.op(k, ConfigPath) }

func configStat(s proto.Stat) check.Stat {
	return check.Stat{Czxid: int64(s.Czxid), Mzxid: int64(s.Mzxid), Version: s.Version, DataLength: s.DataLength}
}
