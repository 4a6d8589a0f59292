package transport

import (
	"context"
	"errors"
	"net"
	"slices"
	"sync"
	"time"

	"github.com/zabkeeper/zabkeeper/proto/peerwire"
)

// ports are this server's listeners. They belong to one goroutine.
type ports struct {
	t    *Transport
	open []*port
	// serve starts to accept connections, until ctx ends.
	serve func(ctx context.Context, ln net.Listener, ch peerwire.Channel)
}

// port is one listener, or those that the configuration gave for a channel.
type port struct {
	ch     peerwire.Channel
	at     []string // the addresses that it serves
	lns    []net.Listener
	cancel context.CancelFunc
}

var channels = [...]peerwire.Channel{peerwire.Election, peerwire.Learner}

// start serves the listeners given and opens others at the addresses that remain, those of the
// membership at the start.
func (p *ports) start(ctx context.Context) error {
	for _, ch := range channels {
		given := p.t.cfg.QuorumListeners
		if ch == peerwire.Election {
			given = p.t.cfg.ElectionListeners
		}
		if given != nil {
			p.add(ctx, ch, p.t.ownAddresses(p.t.cfg.Membership, ch), given...)
		}
	}
	for _, ch := range channels {
		for _, address := range p.t.ownAddresses(p.t.cfg.Membership, ch) {
			if p.serves(ch, address) {
				continue
			}
			ln, err := p.t.bind(ctx, address)
			switch {
			case err == nil:
				p.add(ctx, ch, []string{address}, ln)
			case ctx.Err() != nil:
				return nil
			default:
				return err
			}
		}
	}
	return nil
}

// follow keeps the listeners in line with the membership until ctx ends.
func (p *ports) follow(ctx context.Context) {
	for ctx.Err() == nil {
		if !p.move(ctx) {
			sleep(ctx, bindPause, p.t.moved)
			continue
		}
		select {
		case <-ctx.Done():
		case <-p.t.moved:
		}
	}
}

// move opens the listeners that are missing and then, when there are none, closes those at
// addresses that are not this server's any more; false if it has to be called again.
func (p *ports) move(ctx context.Context) bool {
	now, done := p.t.membership(), true
	wanted := make(map[peerwire.Channel][]string)
	for _, ch := range channels {
		wanted[ch] = p.t.ownAddresses(now, ch)
		if len(wanted[ch]) == 0 {
			return true // nobody knows where else
		}
	}
	for _, ch := range channels {
		for _, address := range wanted[ch] {
			if p.serves(ch, address) {
				continue
			}
			ln, err := p.t.listen(ctx, address)
			if err != nil && p.clear(address, wanted) {
				ln, err = p.t.listen(ctx, address)
			}
			if err != nil {
				p.t.refusals.Error("cannot bind a new port for servers").Str("address", address).Err(err).Send()
				done = false
				continue
			}
			p.add(ctx, ch, []string{address}, ln)
		}
	}
	if done {
		p.drop(func(o *port) bool { return !o.wanted(wanted) })
	}
	return done
}

func (p *ports) serves(ch peerwire.Channel, address string) bool {
	return slices.ContainsFunc(p.open, func(o *port) bool { return o.ch == ch && slices.Contains(o.at, address) })
}

// wanted reports whether a port serves one of the addresses.
func (o *port) wanted(addresses map[peerwire.Channel][]string) bool {
	return slices.ContainsFunc(o.at, func(a string) bool { return slices.Contains(addresses[o.ch], a) })
}

// clear closes our own listeners that are in the way of a new one: they have its port number and
// are not wanted any more. It reports whether there were any.
func (p *ports) clear(address string, wanted map[peerwire.Channel][]string) bool {
	_, number, err := net.SplitHostPort(address)
	if err != nil {
		return false
	}
	return p.drop(func(o *port) bool {
		return !o.wanted(wanted) && slices.ContainsFunc(o.at, func(a string) bool {
			_, n, err := net.SplitHostPort(a)
			return err == nil && n == number
		})
	})
}

// closer is a listener whose port is free when Close returns, whoever called it first. A listener of
// package net does not wait for a Close that another goroutine has begun.
type closer struct {
	net.Listener
	end func() error
}

// Close implements net.Listener.
func (c closer) Close() error { return c.end() }

// add serves listeners.
func (p *ports) add(ctx context.Context, ch peerwire.Channel, at []string, given ...net.Listener) {
	ctx, cancel := context.WithCancel(ctx)
	lns := make([]net.Listener, len(given))
	for i, ln := range given {
		lns[i] = closer{ln, sync.OnceValue(ln.Close)}
	}
	p.open = append(p.open, &port{ch: ch, at: at, lns: lns, cancel: cancel})
	for _, ln := range lns {
		p.serve(ctx, ln, ch)
	}
}

// drop closes the ports of which unwanted is true and reports whether there were any.
func (p *ports) drop(unwanted func(*port) bool) bool {
	before := len(p.open)
	p.open = slices.DeleteFunc(p.open, func(o *port) bool {
		if !unwanted(o) {
			return false
		}
		o.cancel()
		for _, ln := range o.lns {
			_ = ln.Close() // nothing can be done about it
		}
		p.t.cfg.Logger.Info().Strs("addresses", o.at).Stringer("channel", o.ch).
			Msg("listening no more at former addresses")
		return true
	})
	return len(p.open) < before
}

// bind opens one listener, trying again as often as configured.
func (t *Transport) bind(ctx context.Context, address string) (net.Listener, error) {
	for tries := 1; ; tries++ {
		ln, err := t.listen(ctx, address)
		if err == nil {
			return ln, nil
		}
		if tries == t.cfg.BindTries {
			return nil, &BindError{Address: address, Tries: tries, Err: err}
		}
		t.cfg.Logger.Error().Str("address", address).Err(err).Int("try", tries).Msg("cannot bind a port for servers")
		if !sleep(ctx, bindPause, nil) {
			return nil, ctx.Err()
		}
	}
}

func (t *Transport) listen(ctx context.Context, address string) (net.Listener, error) {
	var lc net.ListenConfig
	ln, err := lc.Listen(ctx, "tcp", address)
	if err == nil {
		t.cfg.Logger.Info().Str("address", address).Msg("listening for servers")
	}
	return ln, err
}

// accept serves one listener until ctx ends, and closes it. Trouble with single connections, or a lack
// of file descriptors, does not end it.
func (t *Transport) accept(ctx context.Context, ln net.Listener, greet func(net.Conn)) error {
	stop := context.AfterFunc(ctx, func() { _ = ln.Close() })
	defer stop()
	defer func() { _ = ln.Close() }()
	pause := backoff{least: 5 * time.Millisecond, most: time.Second}
	for {
		conn, err := ln.Accept()
		switch {
		case ctx.Err() != nil:
			if err == nil {
				_ = conn.Close()
			}
			return nil
		case errors.Is(err, net.ErrClosed):
			return err
		case err != nil:
			t.refusals.Error("cannot accept a connection of a server").Stringer("address", ln.Addr()).Err(err).Send()
			sleep(ctx, pause.next(), nil)
			continue
		}
		pause.reset()
		select {
		case t.unnamed <- struct{}{}:
			t.wg.Go(func() { greet(conn) })
		default:
			_ = conn.Close()
			t.refusals.Warn("too many connections that have not introduced themselves").
				Stringer("remote", conn.RemoteAddr()).Send()
		}
	}
}
