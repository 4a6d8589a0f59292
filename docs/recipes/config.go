package recipes

import (
	"bytes"
	"context"
	"errors"

	"github.com/go-zookeeper/zk"
)

// Config is a configuration centre: one value, many readers that learn of each change.
type Config struct {
	conn *zk.Conn
	path string
}

// NewConfig returns the configuration that lives in the node path, which is empty at first.
func NewConfig(ctx context.Context, conn *zk.Conn, path string) (*Config, error) {
	return &Config{conn, path}, ensure(ctx, conn, path)
}

// Watch calls f with the value and its version, now and after changes, until ctx ends or f fails. Changes that follow
// each other closely are seen as one: f gets the latest value, not every value.
func (c *Config) Watch(ctx context.Context, f func(value []byte, version int32) error) error {
	seen := int32(-1)
	for {
		var value []byte
		var stat *zk.Stat
		var events <-chan zk.Event
		err := retry(ctx, func() (err error) {
			value, stat, events, err = c.conn.GetW(c.path)
			return err
		})
		if err != nil {
			return err
		}
		if stat.Version != seen {
			seen = stat.Version
			if err := f(value, seen); err != nil {
				return err
			}
		}
		if err := await(ctx, events); err != nil {
			return err
		}
	}
}

// Update replaces the value by change(value), and starts over when somebody else was faster, so that
// no update undoes another one. change is called as often as it takes, and its result may be stored and changed
// again after a lost connection: it must be harmless twice, as setting a key is and adding one is not.
func (c *Config) Update(ctx context.Context, change func(old []byte) ([]byte, error)) error {
	for {
		var old, value []byte
		var stat *zk.Stat
		err := retry(ctx, func() (err error) {
			old, stat, err = c.conn.Get(c.path)
			return err
		})
		if err != nil {
			return err
		}
		if value, err = change(bytes.Clone(old)); err != nil {
			return err
		}
		err = retry(ctx, func() error {
			_, err := c.conn.Set(c.path, value, stat.Version)
			return err
		})
		// A bad version may be our own first attempt: then change finds its work done.
		if !errors.Is(err, zk.ErrBadVersion) {
			return err
		}
	}
}
