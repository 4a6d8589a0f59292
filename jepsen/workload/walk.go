package workload

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/go-zookeeper/zk"

	"github.com/zabkeeper/zabkeeper/jepsen/check"
)

// readLimit is how long a walk waits for a single read: a tree takes as long as it is large.
const readLimit = time.Minute

// errSilent is a server that answers no more.
var errSilent = errors.New("no answer for too long")

// Walk reads the whole tree of one server, after a sync, without /zookeeper, which servers fill
// in part from their own files, and the list of the ensemble's servers. The address must be that server's alone.
// It fails when a single read takes a minute.
func Walk(ctx context.Context, id int, addr string, timeout time.Duration, r *Recorder) (check.Tree, error) {
	s, err := Open([]string{addr}, timeout, uint64(id), r)
	if err != nil {
		return check.Tree{}, err
	}
	defer s.Close()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	idle := time.AfterFunc(readLimit, func() { cancel(errSilent) })
	defer idle.Stop()
	// A library call waits for a connection as long as it takes; the end of ctx ends it.
	stop := context.AfterFunc(ctx, s.Abandon)
	defer stop()
	err = patiently(ctx, func() error { _, err := s.conn.Sync("/"); return err })
	if err != nil {
		return check.Tree{}, fmt.Errorf("workload: walk server %d: sync: %w", id, err)
	}
	t := check.Tree{Server: id, Nodes: map[string]check.Node{}}
	if err := walk(ctx, s.conn, "/", t.Nodes, func() { idle.Reset(readLimit) }); err != nil {
		return check.Tree{}, fmt.Errorf("workload: walk server %d: %w", id, err)
	}
	err = patiently(ctx, func() (err error) { t.Config, err = s.Config(); return })
	if err != nil {
		return check.Tree{}, fmt.Errorf("workload: walk server %d: %w", id, err)
	}
	return t, nil
}

// patiently repeats a read that lost its connection: on a machine that is short of processor time the
// client may give up a healthy one, and no verdict may depend on that.
func patiently(ctx context.Context, read func() error) error {
	for {
		err := read()
		if !errors.Is(err, zk.ErrConnectionClosed) && !errors.Is(err, zk.ErrSessionExpired) {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%w: %w", context.Cause(ctx), err)
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// walk reads what is below root, and calls alive before each node.
func walk(ctx context.Context, conn *zk.Conn, root string, nodes map[string]check.Node, alive func()) error {
	todo := []string{root}
	for len(todo) > 0 {
		alive()
		path := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		var data []byte
		var st *zk.Stat
		err := patiently(ctx, func() (err error) { data, st, err = conn.Get(path); return })
		if err != nil {
			return fmt.Errorf("get %s: %w", path, err)
		}
		nodes[path] = check.Node{Data: string(data), Stat: stat(st)}
		if st.NumChildren == 0 {
			continue
		}
		var names []string
		err = patiently(ctx, func() (err error) { names, _, err = conn.Children(path); return })
		if err != nil {
			return fmt.Errorf("children of %s: %w", path, err)
		}
		if len(names) != int(st.NumChildren) {
			return fmt.Errorf("%s has %d children and counts %d: %w", path, len(names), st.NumChildren, errChanged)
		}
		for _, name := range names {
			if child := strings.TrimSuffix(path, "/") + "/" + name; child != "/zookeeper" {
				todo = append(todo, child)
			}
		}
	}
	return nil
}

// errChanged is a tree that does not hold still, or does not count right.
var errChanged = errors.New("the tree is inconsistent")
