package bench

import (
	"context"
	"strconv"
	"time"

	"github.com/zabkeeper/zabkeeper/proto"
)

// Gap is how long writes stood still.
type Gap struct {
	// Longest is the longest time between the starts of two successful writes that
	// followed each other.
	Longest time.Duration
	At      time.Time
	Writes  int64
	Lost    int64 // connections lost
}

// RunGap writes one value at a time until ctx ends, and connects to the next server at once when a
// connection fails. Kill the leader meanwhile: the longest gap is what its clients felt.
func RunGap(ctx context.Context, servers []string, timeout time.Duration) (Gap, error) {
	var g Gap
	var c *client
	defer func() {
		if c != nil {
			c.close()
		}
	}()
	last := time.Time{}
	for i := 0; ctx.Err() == nil; {
		if c == nil {
			var err error
			if c, err = dial(ctx, servers[i%len(servers)], timeout); err != nil {
				c = nil
				i++
				pause(ctx, time.Millisecond)
				continue
			}
			c.create(root, nil)
			if _, err := c.call(); err != nil {
				_ = c.conn.Close()
				c, i = nil, i+1
				continue
			}
		}
		if err := c.conn.SetDeadline(time.Now().Add(timeout)); err != nil {
			return g, err
		}
		c.set(root, nil)
		if code, err := c.call(); err != nil || code != proto.CodeOK {
			_ = c.conn.Close()
			c, i = nil, i+1
			g.Lost++
			continue
		}
		now := time.Now()
		if !last.IsZero() && now.Sub(last) > g.Longest {
			g.Longest, g.At = now.Sub(last), now
		}
		last = now
		g.Writes++
	}
	return g, nil
}

func pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}

// Load creates n nodes of size bytes, 1000 to a parent, for measurements of memory and
// restarts.
func Load(ctx context.Context, server string, n, size int, timeout time.Duration) error {
	c, err := dial(ctx, server, timeout)
	if err != nil {
		return err
	}
	defer c.close()
	const perParent = 1000
	if err := fill(c, 1, func(int) string { return root }, nil); err != nil {
		return err
	}
	if err := fill(c, (n+perParent-1)/perParent, func(i int) string { return bulkParent(i) }, nil); err != nil {
		return err
	}
	return fill(c, n, func(i int) string {
		return bulkParent(i/perParent) + "/" + itoa(i%perParent)
	}, make([]byte, size))
}

func bulkParent(i int) string { return root + "/bulk-" + itoa(i) }

func itoa(i int) string { return strconv.Itoa(i) }
