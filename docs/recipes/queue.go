package recipes

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/go-zookeeper/zk"
)

// ErrClaimLost says that an item was given back to the queue, because its worker's session had ended.
var ErrClaimLost = errors.New("recipes: the item was given back to the queue")

// Queue is a queue of work: each item is put once, taken by one worker at a time, and gone when a
// worker has done it. Below its directory
//
//	items/item-N       waits to be taken
//	claims/WORKER-ITEM was taken; moved here in the multi that removed it from items
//	workers/WORKER     is the mark of a worker or producer that is alive
type Queue struct {
	conn *zk.Conn
	dir  string
	me   string
	mark *mark
}

// OpenQueue returns the queue that lives in dir, for use as long as the present session lasts: after
// ErrSessionLost it must be opened again.
func OpenQueue(ctx context.Context, conn *zk.Conn, dir string) (*Queue, error) {
	for _, sub := range []string{"/items", "/claims", "/workers"} {
		if err := ensure(ctx, conn, dir+sub); err != nil {
			return nil, err
		}
	}
	q := &Queue{conn: conn, dir: dir, me: unique()}
	var err error
	q.mark, err = newMark(ctx, conn, dir+"/workers", q.me)
	return q, err
}

// Put adds an item, once. After ErrSessionLost nobody can tell whether it did.
func (q *Queue) Put(ctx context.Context, data []byte) error {
	_, err := q.mark.once(ctx, &zk.CreateRequest{Path: q.dir + "/items/item-", Data: data, Acl: open, Flags: zk.FlagSequence})
	return err
}

// Item is an item that a worker has taken.
type Item struct {
	Data []byte

	queue *Queue
	claim string
}

// Take waits for an item and claims it, the oldest first.
func (q *Queue) Take(ctx context.Context) (*Item, error) {
	var item *Item
	taken := errors.New("taken")
	err := eachChange(ctx, q.conn, q.dir+"/items", func(names []string) error {
		for _, name := range names {
			var err error
			if item, err = q.claim(ctx, name); err != nil {
				return err
			}
			if item != nil {
				return taken
			}
		}
		return nil
	})
	if errors.Is(err, taken) {
		return item, nil
	}
	return nil, err
}

// claim moves an item, or returns nil when another worker was faster.
func (q *Queue) claim(ctx context.Context, name string) (*Item, error) {
	from, to := q.dir+"/items/"+name, q.dir+"/claims/"+q.me+"-"+name
	err := q.move(ctx, from, to)
	if errors.Is(err, zk.ErrNoNode) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	item := &Item{queue: q, claim: to}
	err = retry(ctx, func() (err error) {
		item.Data, _, err = q.conn.Get(to)
		return err
	})
	if errors.Is(err, zk.ErrNoNode) {
		return nil, ErrSessionLost // somebody gave it back because our mark had gone
	}
	return item, err
}

// move moves a node, in one multi. Items never change, so the data that was read is the data that is there.
func (q *Queue) move(ctx context.Context, from, to string) error {
	var data []byte
	err := retry(ctx, func() (err error) {
		data, _, err = q.conn.Get(from)
		return err
	})
	if err != nil {
		return err
	}
	_, err = q.mark.once(ctx,
		&zk.DeleteRequest{Path: from, Version: 0},
		&zk.CreateRequest{Path: to, Data: data, Acl: open})
	return err
}

// Done removes the item for good, in one multi with ops: results that are nodes of the same ensemble
// are stored exactly once. ErrClaimLost means that nothing was done, and that another worker has the item or will have it.
func (i *Item) Done(ctx context.Context, ops ...any) error {
	failed, err := i.queue.mark.once(ctx, append([]any{&zk.DeleteRequest{Path: i.claim, Version: -1}}, ops...)...)
	if failed == 0 && errors.Is(err, zk.ErrNoNode) {
		return ErrClaimLost
	}
	return err
}

// Reclaim gives the items of workers that are gone back to the queue, each to its old place, and returns how many.
// Workers call it now and then, or when a session of the others ends.
func (q *Queue) Reclaim(ctx context.Context) (int, error) {
	// Claims before workers: a worker is older than its claims, so one that is not listed now
	// has ended and will not come back.
	claims, err := children(ctx, q.conn, q.dir+"/claims")
	if err != nil {
		return 0, err
	}
	workers, err := children(ctx, q.conn, q.dir+"/workers")
	if err != nil {
		return 0, err
	}
	alive := make(map[string]bool, len(workers))
	for _, w := range workers {
		alive[w] = true
	}
	moved := 0
	for _, c := range claims {
		worker, name, ok := strings.Cut(c, "-")
		if !ok {
			return moved, fmt.Errorf("recipes: %s/claims/%s is no claim", q.dir, c)
		}
		if alive[worker] {
			continue
		}
		err := q.move(ctx, q.dir+"/claims/"+c, q.dir+"/items/"+name)
		switch {
		case errors.Is(err, zk.ErrNoNode): // somebody else gave it back
		case err != nil:
			return moved, err
		default:
			moved++
		}
	}
	return moved, nil
}

// Close ends the use of the queue. Items that were taken and not done are reclaimed by others.
func (q *Queue) Close(ctx context.Context) error { return q.mark.close(ctx) }
