package recipes

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/go-zookeeper/zk"
)

// ErrSessionLost says that the session ended on which a thing rested: a lock, a term of office, a
// place in a queue. What was held is not held any more.
var ErrSessionLost = errors.New("recipes: the session has ended")

// open is the ACL of every node that the package makes.
var open = zk.WorldACL(zk.PermAll) //nolint:gochecknoglobals // a table of one row

const (
	// firstPause and longestPause pace the attempts while no server answers.
	firstPause, longestPause = 10 * time.Millisecond, time.Second
	// goodbye is how long removing a node may take once the caller's context has ended.
	goodbye = 5 * time.Second
)

// unsure reports an error that leaves open whether the request was carried out.
func unsure(err error) bool {
	return errors.Is(err, zk.ErrConnectionClosed) || errors.Is(err, zk.ErrNoServer) ||
		errors.Is(err, zk.ErrSessionExpired) || errors.Is(err, zk.ErrSessionMoved)
}

// retry calls f until it has an answer, whatever that is, or ctx ends. f may have been carried out
// by an attempt whose answer was lost, and must cope with that.
func retry(ctx context.Context, f func() error) error {
	for pause := firstPause; ; pause = min(2*pause, longestPause) {
		err := f()
		if !unsure(err) {
			return err
		}
		timer := time.NewTimer(pause)
		select {
		case <-ctx.Done():
			timer.Stop()
			return fmt.Errorf("%w: %w", ctx.Err(), err)
		case <-timer.C:
		}
	}
}

// leaving is a context for cleaning up after ctx, which may have ended.
func leaving(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(ctx), goodbye)
}

// unique returns a name that nobody else has: 32 hexadecimal digits.
func unique() string {
	var b [16]byte
	rand.Read(b[:]) // it never fails: package crypto/rand
	return hex.EncodeToString(b[:])
}

// ensure makes the persistent node path and its ancestors.
func ensure(ctx context.Context, conn *zk.Conn, path string) error {
	for i := 1; i <= len(path); i++ {
		if i < len(path) && path[i] != '/' {
			continue
		}
		err := retry(ctx, func() error {
			_, err := conn.Create(path[:i], nil, 0, open)
			return err
		})
		if err != nil && !errors.Is(err, zk.ErrNodeExists) {
			return fmt.Errorf("recipes: create %s: %w", path[:i], err)
		}
	}
	return nil
}

// remove deletes a node whose name is its owner's alone. That it is gone already is fine.
func remove(ctx context.Context, conn *zk.Conn, path string) error {
	err := retry(ctx, func() error { return conn.Delete(path, -1) })
	if errors.Is(err, zk.ErrNoNode) {
		return nil
	}
	return err
}

// await waits for a watch. Any event will do, that of an expired session included: the caller looks
// again. The watch of an abandoned wait stays with the client until it fires.
func await(ctx context.Context, events <-chan zk.Event) error {
	select {
	case <-events:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// waitGone returns when path does not exist.
func waitGone(ctx context.Context, conn *zk.Conn, path string) error {
	for {
		var events <-chan zk.Event
		// Not ExistsW: on a missing node that would leave a watch behind.
		err := retry(ctx, func() (err error) {
			_, _, events, err = conn.GetW(path)
			return err
		})
		if errors.Is(err, zk.ErrNoNode) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := await(ctx, events); err != nil {
			return err
		}
	}
}

// waitThere returns when path exists.
func waitThere(ctx context.Context, conn *zk.Conn, path string) error {
	for {
		var there bool
		var events <-chan zk.Event
		err := retry(ctx, func() (err error) {
			there, _, events, err = conn.ExistsW(path)
			return err
		})
		if err != nil || there {
			return err
		}
		if err := await(ctx, events); err != nil {
			return err
		}
	}
}

// children returns the names in dir, those with sequence numbers in the order of their creation.
func children(ctx context.Context, conn *zk.Conn, dir string) ([]string, error) {
	var names []string
	err := retry(ctx, func() (err error) {
		names, _, err = conn.Children(dir)
		return err
	})
	slices.SortFunc(names, bySequence)
	return names, err
}

// eachChange calls f with the names in dir, now and after every change, until ctx ends or f fails.
// Changes that follow each other closely are seen as one.
func eachChange(ctx context.Context, conn *zk.Conn, dir string, f func([]string) error) error {
	for {
		var names []string
		var events <-chan zk.Event
		err := retry(ctx, func() (err error) {
			names, _, events, err = conn.ChildrenW(dir)
			return err
		})
		if err != nil {
			return err
		}
		slices.SortFunc(names, bySequence)
		if err := f(names); err != nil {
			return err
		}
		if err := await(ctx, events); err != nil {
			return err
		}
	}
}

// bySequence orders names by what follows their last hyphen. The server writes ten digits there, so
// that the order of text is that of numbers, up to 2^31 nodes in one directory.
func bySequence(a, b string) int {
	if c := strings.Compare(a[strings.LastIndexByte(a, '-')+1:], b[strings.LastIndexByte(b, '-')+1:]); c != 0 {
		return c
	}
	return strings.Compare(a, b)
}

// hold makes the ephemeral node path of this session. A node of that name which another session left
// behind is waited for: it goes with its session.
func hold(ctx context.Context, conn *zk.Conn, path string, data []byte) error {
	for {
		var stat *zk.Stat
		err := retry(ctx, func() error {
			stat = nil
			_, err := conn.Create(path, data, zk.FlagEphemeral, open)
			if errors.Is(err, zk.ErrNodeExists) {
				_, stat, err = conn.Get(path)
			}
			return err
		})
		switch {
		case errors.Is(err, zk.ErrNoNode): // gone in between
			continue
		case err != nil:
			return err
		case stat == nil || stat.EphemeralOwner == conn.SessionID():
			return nil
		}
		if err := waitGone(ctx, conn, path); err != nil {
			return err
		}
	}
}

// keep holds an ephemeral node until ctx ends: when the session ends and takes the node with it, the
// client's next session makes it again.
func keep(ctx context.Context, conn *zk.Conn, path string, data []byte) error {
	for {
		err := hold(ctx, conn, path, data)
		if err == nil {
			err = waitGone(ctx, conn, path)
		}
		if ctx.Err() != nil {
			last, cancel := leaving(ctx)
			defer cancel()
			return remove(last, conn, path)
		}
		if err != nil {
			return err
		}
	}
}
