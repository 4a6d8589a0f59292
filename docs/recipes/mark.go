package recipes

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/go-zookeeper/zk"
)

// mark is an ephemeral node whose version counts what its owner has written. It makes writes
// exactly-once: each goes into a multi that also sets the mark at the version it is known to have. If the
// answer is lost, the same multi is sent again. When the first one was carried out, the second one
// fails at the mark, by its version; when the session has ended meanwhile, because the mark is gone.
type mark struct {
	conn *zk.Conn
	path string

	mu      sync.Mutex
	version int32
	doubt   bool // a context ended before version was certain
}

// newMark makes a mark in dir. It lasts as long as the present session.
func newMark(ctx context.Context, conn *zk.Conn, dir, name string) (*mark, error) {
	m := &mark{conn: conn, path: dir + "/" + name}
	if err := hold(ctx, conn, m.path, nil); err != nil {
		return nil, fmt.Errorf("recipes: create %s: %w", m.path, err)
	}
	return m, nil
}

// once carries out all ops or none of them, once. When it fails because of one of them, failed is that
// one's index, otherwise -1. After an error of ctx the outcome is open, after ErrSessionLost too.
func (m *mark) once(ctx context.Context, ops ...any) (failed int, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.settle(ctx); err != nil {
		return -1, err
	}
	all := append([]any{&zk.SetDataRequest{Path: m.path, Version: m.version}}, ops...)
	failed = -1
	err = retry(ctx, func() error {
		results, err := m.conn.Multi(all...)
		if unsure(err) {
			m.doubt = true
			return err
		}
		for i, r := range results {
			switch {
			case r.Error == nil:
				continue
			case i > 0:
				failed = i - 1
			case errors.Is(r.Error, zk.ErrBadVersion) && m.doubt:
				return nil // an earlier attempt had succeeded
			case errors.Is(r.Error, zk.ErrNoNode):
				return ErrSessionLost
			}
			return r.Error
		}
		return err
	})
	if err == nil {
		m.version++
	}
	if ctx.Err() == nil {
		m.doubt = false
	}
	return failed, err
}

// settle finds out where the mark stands when the last call could not. The sync makes sure that
// nothing of it is still on its way.
func (m *mark) settle(ctx context.Context) error {
	if !m.doubt {
		return nil
	}
	err := retry(ctx, func() error {
		if _, err := m.conn.Sync(m.path); err != nil {
			return err
		}
		_, stat, err := m.conn.Get(m.path)
		if err == nil {
			m.version, m.doubt = stat.Version, false
		}
		return err
	})
	if errors.Is(err, zk.ErrNoNode) {
		return ErrSessionLost
	}
	return err
}

// close removes the mark.
func (m *mark) close(ctx context.Context) error { return remove(ctx, m.conn, m.path) }
