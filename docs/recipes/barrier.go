package recipes

import (
	"context"
	"errors"
	"slices"

	"github.com/go-zookeeper/zk"
)

// Barrier holds up all who wait at it until it is lowered.
type Barrier struct {
	conn *zk.Conn
	path string
}

// NewBarrier returns the barrier that is raised while the node path exists. Its parent must exist.
func NewBarrier(conn *zk.Conn, path string) *Barrier { return &Barrier{conn, path} }

// Raise raises the barrier, if it is not raised already.
func (b *Barrier) Raise(ctx context.Context) error { return ensure(ctx, b.conn, b.path) }

// Lower lets all who wait pass.
func (b *Barrier) Lower(ctx context.Context) error { return remove(ctx, b.conn, b.path) }

// Wait returns when the barrier is not raised.
func (b *Barrier) Wait(ctx context.Context) error { return waitGone(ctx, b.conn, b.path) }

// DoubleBarrier lets a given number of participants begin together and end together, once: another round takes
// another directory.
type DoubleBarrier struct {
	conn  *zk.Conn
	dir   string
	count int
	me    string
}

// NewDoubleBarrier returns one participant's view of the barrier of count participants that lives in dir.
func NewDoubleBarrier(ctx context.Context, conn *zk.Conn, dir string, count int) (*DoubleBarrier, error) {
	return &DoubleBarrier{conn: conn, dir: dir, count: count, me: unique()}, ensure(ctx, conn, dir+"/inside")
}

// Enter waits until all participants have entered. The last one makes the node ready, so that the others
// need only watch that.
func (b *DoubleBarrier) Enter(ctx context.Context) error {
	if err := hold(ctx, b.conn, b.dir+"/inside/"+b.me, nil); err != nil {
		return err
	}
	names, err := children(ctx, b.conn, b.dir+"/inside")
	if err != nil {
		return err
	}
	if len(names) >= b.count {
		err := retry(ctx, func() error {
			_, err := b.conn.Create(b.dir+"/ready", nil, 0, open)
			return err
		})
		if err != nil && !errors.Is(err, zk.ErrNodeExists) {
			return err
		}
	}
	return waitThere(ctx, b.conn, b.dir+"/ready")
}

// Leave waits until all participants have left, or have lost their sessions. Each watches the next one
// by name that is still inside, so that one departure wakes few.
func (b *DoubleBarrier) Leave(ctx context.Context) error {
	if err := remove(ctx, b.conn, b.dir+"/inside/"+b.me); err != nil {
		return err
	}
	for {
		names, err := children(ctx, b.conn, b.dir+"/inside")
		if err != nil || len(names) == 0 {
			return err
		}
		next, _ := slices.BinarySearch(names, b.me)
		if err := waitGone(ctx, b.conn, b.dir+"/inside/"+names[next%len(names)]); err != nil {
			return err
		}
	}
}
