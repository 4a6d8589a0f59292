package transport_test

import (
	"errors"
	"net"
	"testing"

	"github.com/rs/zerolog"

	"github.com/zabkeeper/zabkeeper/quorum"
	"github.com/zabkeeper/zabkeeper/quorum/transport"
)

// A port that is taken is tried as often as configured, and then Run says so [H-48].
func TestBindError(t *testing.T) {
	c := newCluster(t, 1, 2) // its listeners hold the ports
	for _, all := range []bool{false, true} {
		cfg := transport.Config{
			Self: 1, Membership: quorum.Stable(c.ensemble), Handler: newRecorder(), Identity: identity(1, 1),
			Logger: zerolog.Nop(), BindTries: 1, ListenOnAllIPs: all,
		}
		tr, err := transport.New(cfg)
		if err != nil {
			t.Fatal(err)
		}
		var bind *transport.BindError
		if err := tr.Run(t.Context()); !errors.As(err, &bind) || bind.Tries != 1 || bind.Unwrap() == nil {
			t.Errorf("Run: %v, want a BindError", err)
		}
	}
}

// Without listeners of the caller the addresses of the ensemble are bound.
func TestBind(t *testing.T) {
	c := newCluster(t, 1, 2)
	own := func(cfg *transport.Config) {
		_, _ = cfg.QuorumListeners[0].Close(), cfg.ElectionListeners[0].Close()
		cfg.QuorumListeners, cfg.ElectionListeners = nil, nil
	}
	s1 := c.start(1, own)
	s2 := c.start(2, own, func(cfg *transport.Config) { cfg.ListenOnAllIPs = true })
	s1.awaitReach(t, 2, true)
	connect(t, s1, s2)
}

// A listener that breaks ends the process, in place of leaving it half deaf (hazard H-48).
func TestBrokenListener(t *testing.T) {
	c := newCluster(t, 1, 2)
	cfg := c.config(1, newRecorder())
	tr, err := transport.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	if err := cfg.ElectionListeners[0].Close(); err != nil {
		t.Fatal(err)
	}
	if err := tr.Run(t.Context()); !errors.Is(err, net.ErrClosed) {
		t.Errorf("Run: %v", err)
	}
}

func TestConfigErrors(t *testing.T) {
	c := newCluster(t, 1, 2)
	for name, spoil := range map[string]func(*transport.Config){
		"no members":   func(cfg *transport.Config) { cfg.Membership = quorum.Membership{} },
		"no server":    func(cfg *transport.Config) { cfg.Self = -1 },
		"other's own":  func(cfg *transport.Config) { cfg.Own = cfg.Membership.Committed.Others(1)[0] },
		"no handler":   func(cfg *transport.Config) { cfg.Handler = nil },
		"no identity":  func(cfg *transport.Config) { cfg.Identity = nil },
		"unknown self": func(cfg *transport.Config) { cfg.Self = 9 },
		"tries":        func(cfg *transport.Config) { cfg.BindTries = -1 },
		"stream":       func(cfg *transport.Config) { cfg.QueueBytes, cfg.StreamBytes = 1000, 1000 },
	} {
		cfg := transport.Config{Self: 1, Membership: quorum.Stable(c.ensemble), Handler: newRecorder(), Identity: identity(1, 1)}
		spoil(&cfg)
		if _, err := transport.New(cfg); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}
