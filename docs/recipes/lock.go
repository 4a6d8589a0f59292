package recipes

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/go-zookeeper/zk"
)

// ErrStale says that a token is older than one that the resource has seen.
var ErrStale = errors.New("recipes: the token is older than one already seen")

// Lock is a lock that at most one session holds. Those who wait form a line, and each watches only
// the one before it.
type Lock struct {
	conn *zk.Conn
	dir  string
}

// NewLock returns the lock that lives in dir.
func NewLock(ctx context.Context, conn *zk.Conn, dir string) (*Lock, error) {
	return &Lock{conn, dir}, ensure(ctx, conn, dir)
}

// Acquire waits for the lock. owner is for people who look at the tree. The error is that of ctx, or
// ErrSessionLost when the session ended while it waited.
func (l *Lock) Acquire(ctx context.Context, owner string) (*Held, error) {
	p, err := enter(ctx, l.conn, l.dir, "lock", []byte(owner))
	if err != nil {
		return nil, err
	}
	return &Held{p}, nil
}

// Held is a lock that was held when Acquire returned. Whether it still is, nobody can know without
// asking the ensemble, and the answer is old when it arrives. Hence Token and Guard.
type Held struct{ place *place }

// Token is the zxid that created the node of this holder. Every later holder's is greater: a resource
// that refuses tokens smaller than the greatest it has seen (Fence) cannot be written by a
// holder that was overtaken.
func (h *Held) Token() int64 { return h.place.czxid }

// Guard is an operation for a multi that fails with zk.ErrNoNode once the lock is lost. Writes to the tree need no
// token: in one multi with the guard they happen while the lock is held, or not at all.
func (h *Held) Guard() *zk.CheckVersionRequest {
	return &zk.CheckVersionRequest{Path: h.place.path(), Version: -1}
}

// Lost returns nil when the lock is known to be lost, and the error of ctx when that ends first. It learns of
// it late: a client without a server waits longer than its session lasts.
func (h *Held) Lost(ctx context.Context) error { return waitGone(ctx, h.place.conn, h.place.path()) }

// Release gives the lock up. After an error it goes with the session at the latest.
func (h *Held) Release(ctx context.Context) error { return h.place.leave(ctx) }

// Fence is the check that a resource makes before it obeys a holder. A real resource keeps the greatest token
// beside its data and changes both in one transaction, so that neither a crash nor a second
// copy of the resource forgets it. It may be used by several goroutines.
type Fence struct {
	mu       sync.Mutex
	greatest int64
}

// Do calls write unless a greater token has been seen; then it returns ErrStale.
func (f *Fence) Do(token int64, write func() error) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if token < f.greatest {
		return fmt.Errorf("%w: %#x after %#x", ErrStale, token, f.greatest)
	}
	f.greatest = token
	return write()
}
