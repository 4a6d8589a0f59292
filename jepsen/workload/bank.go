package workload

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/zabkeeper/zabkeeper/jepsen/check"
	"github.com/zabkeeper/zabkeeper/proto"
	"github.com/zabkeeper/zabkeeper/zab/zxid"
)

// bank moves money between accounts, each transfer a multi that demands the versions which the
// balances were read with, and reads all balances at once by a multiRead.
type bank struct{ clients, accounts int }

// maxTransfer bounds what is moved at once.
const maxTransfer = 9

// Name implements Workload.
func (b *bank) Name() string { return "bank" }

// Paths implements Workload.
func (b *bank) Paths() []string { return []string{check.BankPath} }

func (b *bank) account(i int) string { return fmt.Sprintf("%s/a%d", check.BankPath, i) }

// Setup implements Workload.
func (b *bank) Setup(s *Session, _ *Env) error {
	if err := ensure(s, "", check.BankPath); err != nil {
		return err
	}
	for i := range b.accounts {
		if err := ensure(s, strconv.Itoa(check.BankTotal/b.accounts), b.account(i)); err != nil {
			return err
		}
	}
	return nil
}

// Run implements Workload.
func (b *bank) Run(ctx context.Context, env *Env) {
	spawn(env, b.Name(), b.clients, func(c *client) {
		c.rawRounds(ctx, func(s *raw) {
			results, ok := b.balances(c, s)
			if ok && c.rand.IntN(3) > 0 {
				b.transfer(c, s, results)
			}
		})
	})
}

// rawRounds calls f again and again with a session that is connected, until ctx ends.
func (c *client) rawRounds(ctx context.Context, f func(s *raw)) {
	s := newRaw(c)
	for c.pace(ctx) {
		if s.expired {
			s = newRaw(c)
		}
		if s.connect(ctx) == nil {
			f(s)
		}
	}
	end, cancel := context.WithTimeout(context.WithoutCancel(ctx), c.env.Timeout)
	defer cancel()
	s.close(end)
}

// balances reads all accounts as of one moment.
func (b *bank) balances(c *client, s *raw) ([]proto.MultiResult, bool) {
	request := proto.MultiRequest{Read: true, Ops: make([]proto.MultiOp, b.accounts)}
	for i := range request.Ops {
		request.Ops[i] = proto.MultiOp{Op: proto.OpGetData, Request: &proto.ReadRequest{Path: b.account(i)}}
	}
	var answer proto.MultiResponse
	o := s.do(c.op(check.KindTotal, check.BankPath), func(o *check.Op) (zxid.ID, error) {
		z, err := s.ask(proto.OpMultiRead, request, &answer)
		texts := make([]string, len(answer.Results))
		for i, r := range answer.Results {
			texts[i] = string(r.Data)
		}
		o.Value = strings.Join(texts, ",")
		return z, err
	})
	return answer.Results, o.Outcome == check.OK && len(answer.Results) == b.accounts
}

// transfer moves money, if nobody else was faster.
func (b *bank) transfer(c *client, s *raw, at []proto.MultiResult) {
	from := c.rand.IntN(b.accounts)
	to := (from + 1 + c.rand.IntN(b.accounts-1)) % b.accounts
	rich, errFrom := strconv.Atoi(string(at[from].Data))
	poor, errTo := strconv.Atoi(string(at[to].Data))
	if errFrom != nil || errTo != nil || rich == 0 {
		return // an account that holds no number is found by the check of the balances
	}
	amount := 1 + c.rand.IntN(min(rich, maxTransfer))
	set := func(i, balance int) proto.MultiOp {
		return proto.MultiOp{Op: proto.OpSetData, Request: &proto.SetDataRequest{
			Path: b.account(i), Data: []byte(strconv.Itoa(balance)), Version: at[i].Stat.Version,
		}}
	}
	request := proto.MultiRequest{Ops: []proto.MultiOp{set(from, rich-amount), set(to, poor+amount)}}
	o := c.op(check.KindTransfer, check.BankPath)
	o.Value = fmt.Sprintf("%d from %s to %s", amount, b.account(from), b.account(to))
	s.do(o, func(*check.Op) (zxid.ID, error) {
		var answer proto.MultiResponse
		z, err := s.ask(proto.OpMulti, request, &answer)
		return z, firstError(err, answer.Results)
	})
}

// firstError returns err, or else the error of the first operation of a multi that failed: its reply's
// header says nothing of that.
func firstError(err error, results []proto.MultiResult) error {
	for _, r := range results {
		if err == nil && r.Type == proto.OpError && r.Err != proto.CodeOK {
			return r.Err
		}
	}
	return err
}

// Held implements Workload.
func (b *bank) Held(*Env) {}
