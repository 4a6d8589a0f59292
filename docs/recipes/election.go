package recipes

import (
	"context"
	"errors"

	"github.com/go-zookeeper/zk"
)

// Election chooses one leader among candidates. It is the line of Lock, with names that others can read.
type Election struct {
	conn *zk.Conn
	dir  string
}

// NewElection returns the election that lives in dir.
func NewElection(ctx context.Context, conn *zk.Conn, dir string) (*Election, error) {
	return &Election{conn, dir}, ensure(ctx, conn, dir)
}

// Campaign stands as a candidate until elected. The error is that of ctx, or ErrSessionLost.
func (e *Election) Campaign(ctx context.Context, name string) (*Term, error) {
	p, err := enter(ctx, e.conn, e.dir, "candidate", []byte(name))
	if err != nil {
		return nil, err
	}
	return &Term{Held{p}}, nil
}

// Term is a time of leadership.
type Term struct{ held Held }

// Number grows from term to term. It is a fencing token as Held.Token is.
func (t *Term) Number() int64 { return t.held.Token() }

// Guard is an operation for a multi that fails with zk.ErrNoNode once the term has ended.
func (t *Term) Guard() *zk.CheckVersionRequest { return t.held.Guard() }

// Ended returns nil when the term is known to have ended, and the error of ctx when that ends first.
func (t *Term) Ended(ctx context.Context) error { return t.held.Lost(ctx) }

// Resign ends the term; the next candidate is elected.
func (t *Term) Resign(ctx context.Context) error { return t.held.Release(ctx) }

// Follow calls f with each leader and the number of its term, and with "" and 0 when there is none,
// until ctx ends or f fails. It may miss a term that was short.
func (e *Election) Follow(ctx context.Context, f func(leader string, term int64) error) error {
	var last int64 = -1
	for {
		leader, term, events, err := e.look(ctx)
		if err != nil {
			return err
		}
		if term != last {
			last = term
			if err := f(leader, term); err != nil {
				return err
			}
		}
		if err := await(ctx, events); err != nil {
			return err
		}
	}
}

// look reads the first candidate and watches it. Only when there is none does it watch the directory.
func (e *Election) look(ctx context.Context) (leader string, term int64, events <-chan zk.Event, err error) {
	for {
		names, err := children(ctx, e.conn, e.dir)
		if err != nil {
			return "", 0, nil, err
		}
		if len(names) == 0 {
			err = retry(ctx, func() (err error) {
				names, _, events, err = e.conn.ChildrenW(e.dir)
				return err
			})
			if err != nil || len(names) == 0 {
				return "", 0, events, err
			}
			continue
		}
		var data []byte
		var stat *zk.Stat
		err = retry(ctx, func() (err error) {
			data, stat, events, err = e.conn.GetW(e.dir + "/" + names[0])
			return err
		})
		switch {
		case errors.Is(err, zk.ErrNoNode): // gone in between
			continue
		case err != nil:
			return "", 0, nil, err
		}
		return string(data), stat.Czxid, events, nil
	}
}
