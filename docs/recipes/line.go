package recipes

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/go-zookeeper/zk"
)

// place is somebody's place in a line: an ephemeral sequential node. The first in the line has what
// the line is for.
type place struct {
	conn  *zk.Conn
	dir   string
	name  string
	czxid int64
	owner int64 // the session
}

// join goes to the end of the line. The node's name begins with letters that nobody else uses, so that
// after a lost connection the node can be found, instead of being made twice and blocking the line.
func join(ctx context.Context, conn *zk.Conn, dir, kind string, data []byte) (*place, error) {
	prefix := "_c_" + unique() + "-" + kind + "-"
	p := &place{conn: conn, dir: dir}
	sent := false
	err := retry(ctx, func() error {
		if p.name == "" && sent {
			if err := p.find(prefix); err != nil {
				return err
			}
		}
		if p.name == "" {
			sent = true
			path, err := conn.Create(dir+"/"+prefix, data, zk.FlagEphemeral|zk.FlagSequence, open)
			if err != nil {
				return err
			}
			p.name = path[len(dir)+1:]
		}
		_, stat, err := conn.Get(p.path())
		if err == nil {
			p.czxid, p.owner = stat.Czxid, stat.EphemeralOwner
		}
		return err
	})
	switch {
	case err == nil:
		return p, nil
	case errors.Is(err, zk.ErrNoNode) && p.name != "":
		return nil, ErrSessionLost
	}
	last, cancel := leaving(ctx)
	defer cancel()
	if p.name == "" && sent {
		err = errors.Join(err, retry(last, func() error { return p.find(prefix) }))
	}
	if p.name != "" {
		err = errors.Join(err, p.leave(last))
	}
	return nil, fmt.Errorf("recipes: create %s/%s: %w", dir, prefix, err)
}

// find looks for the node of an attempt without an answer. The sync comes first: the server that answers now may
// be behind the one that was asked to create.
func (p *place) find(prefix string) error {
	if _, err := p.conn.Sync(p.dir); err != nil {
		return err
	}
	names, _, err := p.conn.Children(p.dir)
	if i := slices.IndexFunc(names, func(n string) bool { return strings.HasPrefix(n, prefix) }); i >= 0 {
		p.name = names[i]
	}
	return err
}

func (p *place) path() string { return p.dir + "/" + p.name }

// first returns when the place is the first one. It watches the one before it and nobody else.
func (p *place) first(ctx context.Context) error {
	for {
		names, err := children(ctx, p.conn, p.dir)
		if err != nil {
			return err
		}
		i := slices.Index(names, p.name)
		if i < 0 || p.conn.SessionID() != p.owner {
			return ErrSessionLost
		}
		if i == 0 {
			return nil
		}
		if err := waitGone(ctx, p.conn, p.dir+"/"+names[i-1]); err != nil {
			return err
		}
	}
}

// leave gives the place up.
func (p *place) leave(ctx context.Context) error { return remove(ctx, p.conn, p.path()) }

// enter joins the line and waits; whoever stops waiting leaves it.
func enter(ctx context.Context, conn *zk.Conn, dir, kind string, data []byte) (*place, error) {
	p, err := join(ctx, conn, dir, kind, data)
	if err != nil {
		return nil, err
	}
	if err := p.first(ctx); err != nil {
		last, cancel := leaving(ctx)
		defer cancel()
		return nil, errors.Join(err, p.leave(last))
	}
	return p, nil
}
