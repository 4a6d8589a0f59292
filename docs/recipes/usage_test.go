package recipes_test

import (
	"context"
	"errors"
	"strings"

	"github.com/go-zookeeper/zk"

	"github.com/zabkeeper/zabkeeper/docs/recipes"
)

// The functions of this file are what docs/recipes.md shows; the tests beside it call them.

// guarded holds the lock for one write to a resource that checks tokens.
func guarded(ctx context.Context, conn *zk.Conn, fence *recipes.Fence, write func() error) error {
	lock, err := recipes.NewLock(ctx, conn, "/locks/report")
	if err != nil {
		return err
	}
	held, err := lock.Acquire(ctx, "worker on host-7")
	if err != nil {
		return err
	}
	err = fence.Do(held.Token(), write) // the resource's side of it: no token, no write
	return errors.Join(err, held.Release(ctx))
}

// lead does a leader's writes to the tree, each while the term lasts or not at all.
func lead(conn *zk.Conn, term *recipes.Term, plan string) error {
	_, err := conn.Multi(term.Guard(), &zk.SetDataRequest{Path: "/plan", Data: []byte(plan), Version: -1})
	return err
}

// work takes items until ctx ends, and stores each result together with the item's removal.
func work(ctx context.Context, queue *recipes.Queue) error {
	for {
		item, err := queue.Take(ctx)
		if err != nil {
			return err
		}
		result := strings.ToUpper(string(item.Data))
		err = item.Done(ctx, &zk.CreateRequest{Path: "/results/" + result, Acl: zk.WorldACL(zk.PermAll)})
		if err != nil && !errors.Is(err, recipes.ErrClaimLost) {
			return err
		}
	}
}

// setting sets one key of a configuration of lines "key=value", and leaves the others alone.
func setting(ctx context.Context, config *recipes.Config, key, value string) error {
	return config.Update(ctx, func(old []byte) ([]byte, error) {
		var lines []string
		for line := range strings.Lines(string(old)) {
			if !strings.HasPrefix(line, key+"=") {
				lines = append(lines, strings.TrimSpace(line))
			}
		}
		return []byte(strings.Join(append(lines, key+"="+value), "\n")), nil
	})
}
