package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/zabkeeper/zabkeeper/jepsen/cluster"
	"github.com/zabkeeper/zabkeeper/jepsen/disk"
	"github.com/zabkeeper/zabkeeper/jepsen/nemesis"
	"github.com/zabkeeper/zabkeeper/jepsen/workload"
	"github.com/zabkeeper/zabkeeper/proto"
	"github.com/zabkeeper/zabkeeper/quorum"
)

// members implements nemesis.Members: the operator asks, and the world starts and ends servers.
type members struct {
	*world
	operator *workload.Operator
}

// askLimit bounds one request of the operator, for as long as no server answers.
const askLimit = 3 * time.Second

// retireLimit is how long a server that has left may take to end.
const retireLimit = 10 * time.Second

// operate lets somebody change the members.
func (w *world) operate(env *workload.Env) *members {
	var moved []string
	for _, id := range w.All() {
		moved = append(moved, w.MovedAddr(id))
	}
	return &members{world: w, operator: workload.NewOperator(env, cluster.Super, moved...)}
}

// close ends the operator's session.
func (m *members) close(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, askLimit)
	defer cancel()
	m.operator.Close(ctx)
}

// Roster implements nemesis.Members.
func (m *members) Roster(ctx context.Context) (nemesis.Roster, error) {
	ctx, cancel := context.WithTimeout(ctx, askLimit)
	defer cancel()
	text, err := m.operator.Config(ctx)
	if err != nil {
		return nemesis.Roster{}, err
	}
	e, err := quorum.ParseEnsemble(text)
	if err != nil {
		return nemesis.Roster{}, fmt.Errorf("the configuration %q: %w", text, err)
	}
	r := nemesis.Roster{Version: int64(e.Version()), List: strings.Split(e.String(), "\n")}
	for _, member := range e.Members() {
		id := int(member.SID)
		if member.Role == quorum.Observer {
			r.Observers = append(r.Observers, id)
		} else {
			r.Voters = append(r.Voters, id)
		}
		if member.Client != nil && member.Client.String() == m.MovedAddr(id) {
			r.Moved = append(r.Moved, id)
		}
	}
	if len(r.Voters) == 0 {
		return r, fmt.Errorf("the configuration %q has no voters", text)
	}
	return r, nil
}

// Change implements nemesis.Members.
func (m *members) Change(ctx context.Context, c nemesis.Change) error {
	ctx, cancel := context.WithTimeout(ctx, askLimit)
	defer cancel()
	var entries, leaving []string
	for _, e := range c.Join {
		entries = append(entries, m.Entry(e.ID, e.Observer, e.Moved))
	}
	for _, id := range c.Leave {
		leaving = append(leaving, strconv.Itoa(id))
	}
	joining, list := strings.Join(entries, ","), ""
	if c.Full {
		joining, list = "", joining
	}
	err := m.operator.Reconfig(ctx, joining, strings.Join(leaving, ","), list, c.Guard)
	var code proto.Code
	switch {
	case !errors.As(err, &code) || code == proto.CodeSessionMoved || code == proto.CodeSessionExpired:
		return err
	case code == proto.CodeReconfigInProgress || code == proto.CodeNewConfigNoQuorum:
		return fmt.Errorf("%w: %w", nemesis.ErrNotNow, err)
	default:
		return fmt.Errorf("%w: %w", nemesis.ErrRefused, err)
	}
}

// Write implements nemesis.Members.
func (m *members) Write(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, askLimit)
	defer cancel()
	return m.operator.Write(ctx)
}

// Enlist implements nemesis.Members.
func (m *members) Enlist(id int, r nemesis.Roster, wiped bool) error {
	list := r.List
	if wiped {
		if err := disk.Wipe(m.DataDir(id)); err != nil {
			return err
		}
	} else {
		list = nil
	}
	if err := m.world.Enlist(id, list); err != nil {
		return err
	}
	return m.Start(id)
}

// Retire implements nemesis.Members.
func (m *members) Retire(id int) error { return m.world.Retire(id, retireLimit) }
