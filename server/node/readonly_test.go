package node

import (
	"testing"
	"time"

	"github.com/zabkeeper/zabkeeper/conf"
	"github.com/zabkeeper/zabkeeper/quorum"
)

// TestReadOnlyAfter: reads alone are served after a tick without a leader, two seconds at least, if
// that is wanted; who is alone has nobody to wait for (spec semantics 10.2).
func TestReadOnlyAfter(t *testing.T) {
	three, err := quorum.ParseEnsemble("server.1=a:1:2\nserver.2=b:1:2\nserver.3=c:1:2\nversion=0")
	if err != nil {
		t.Fatal(err)
	}
	one, err := quorum.ParseEnsemble("server.1=a:1:2\nversion=0")
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		on       bool
		ensemble *quorum.Ensemble
		tick     time.Duration
		want     time.Duration
	}{
		{true, three, 100 * time.Millisecond, 2 * time.Second},
		{true, three, 2 * time.Second, 2 * time.Second},
		{true, three, 3 * time.Second, 3 * time.Second},
		{true, one, 3 * time.Second, 0},
		{false, three, 3 * time.Second, 0},
	} {
		n := &Node{sid: 1, conf: &conf.Config{ReadOnlyMode: tc.on, TickTime: tc.tick}}
		n.members.Store(&quorum.Membership{Committed: tc.ensemble, Seen: tc.ensemble})
		if got := n.readOnlyAfter(); got != tc.want {
			t.Errorf("on %v, %d servers, tick %v: %v, want %v", tc.on, tc.ensemble.Len(), tc.tick, got, tc.want)
		}
	}
}
