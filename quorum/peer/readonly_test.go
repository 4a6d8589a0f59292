package peer_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/zabkeeper/zabkeeper/fle"
	"github.com/zabkeeper/zabkeeper/quorum"
	"github.com/zabkeeper/zabkeeper/quorum/peer"
)

// A server without a quorum serves reads after a while, and stops before it takes a role. The list
// checks that it is LOOKING when it is told to.
func TestReadOnlyWithoutAQuorum(t *testing.T) {
	const after = 2 * time.Second
	bubble(t, func(t *testing.T) {
		w := newWorld(t, quorum.Set{}, 1, 2, 3)
		w.tweak = func(c *peer.Config) { c.ReadOnlyAfter = after }
		for _, m := range w.all() {
			m.start()
		}
		w.leader()
		w.Partition(quorum.SetOf(1), quorum.SetOf(2, 3))
		alone := w.members[1]
		alone.awaitState(fle.Looking)
		since := time.Now()
		eventually(t, "reads are served", func() error {
			if !strings.HasSuffix(alone.list.history(), "stop, serve read-only") {
				return fmt.Errorf("told %q", alone.list.history())
			}
			return nil
		})
		if took := time.Since(since); took < after-100*time.Millisecond {
			t.Errorf("reads are served after %v, want %v", took, after)
		}
		w.Heal()
		alone.awaitState(fle.Following)
		if got, want := alone.list.history(), "serve read-only, stop, serve FOLLOWING"; !strings.HasSuffix(got, want) {
			t.Errorf("told %q, want it to end with %q", got, want)
		}
		for _, m := range w.members {
			if m != nil && m != alone && strings.Contains(m.list.history(), "read-only") {
				t.Errorf("server %v had a quorum and was told %q", m.sid, m.list.history())
			}
		}
	})
}

// An orderly stop closes the clients of a server that has not found a leader.
func TestReadOnlyEndsWithTheServer(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t, quorum.Set{}, 1, 2)
		w.tweak = func(c *peer.Config) { c.ReadOnlyAfter = time.Second }
		m := w.members[1]
		m.start()
		eventually(t, "reads are served", func() error {
			if got := m.list.history(); got != "serve read-only" {
				return fmt.Errorf("told %q", got)
			}
			return nil
		})
		m.stop()
		if got, want := m.list.history(), "serve read-only, stop"; got != want {
			t.Errorf("told %q, want %q", got, want)
		}
	})
}
