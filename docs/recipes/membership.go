package recipes

import (
	"context"
	"errors"

	"github.com/go-zookeeper/zk"
)

// Group is a set of members that are alive. The heartbeat is the session's: the client sends it, the
// ensemble counts it, and the end of the session removes the member.
type Group struct {
	conn *zk.Conn
	dir  string
}

// NewGroup returns the group that lives in dir.
func NewGroup(ctx context.Context, conn *zk.Conn, dir string) (*Group, error) {
	return &Group{conn, dir}, ensure(ctx, conn, dir)
}

// Join makes name a member and keeps it one until ctx ends; then the member leaves. When the session
// ends, the client's next one joins again. A member of that name in another session is waited for.
func (g *Group) Join(ctx context.Context, name string, data []byte) error {
	return keep(ctx, g.conn, g.dir+"/"+name, data)
}

// Watch calls f with the names of all members, sorted, now and after changes, until ctx ends or f fails.
func (g *Group) Watch(ctx context.Context, f func(members []string) error) error {
	return eachChange(ctx, g.conn, g.dir, f)
}

// Registry lets services be found by name.
type Registry struct {
	conn *zk.Conn
	dir  string
}

// NewRegistry returns the registry that lives in dir.
func NewRegistry(ctx context.Context, conn *zk.Conn, dir string) (*Registry, error) {
	return &Registry{conn, dir}, ensure(ctx, conn, dir)
}

// Announce makes address an instance of service until ctx ends, through new sessions if need be.
func (r *Registry) Announce(ctx context.Context, service, address string) error {
	dir := r.dir + "/" + service
	if err := ensure(ctx, r.conn, dir); err != nil {
		return err
	}
	return keep(ctx, r.conn, dir+"/"+unique(), []byte(address))
}

// Watch calls f with the addresses of all instances of service, in no order, now and after changes,
// until ctx ends or f fails. A list is out of date as soon as it is made: callers still need time-outs
// and another address to try.
func (r *Registry) Watch(ctx context.Context, service string, f func(addresses []string) error) error {
	dir := r.dir + "/" + service
	if err := ensure(ctx, r.conn, dir); err != nil {
		return err
	}
	return eachChange(ctx, r.conn, dir, func(names []string) error {
		addresses := make([]string, 0, len(names))
		for _, name := range names {
			var address []byte
			err := retry(ctx, func() (err error) {
				address, _, err = r.conn.Get(dir + "/" + name)
				return err
			})
			if errors.Is(err, zk.ErrNoNode) {
				continue // gone in between; the watch will tell
			}
			if err != nil {
				return err
			}
			addresses = append(addresses, string(address))
		}
		return f(addresses)
	})
}
