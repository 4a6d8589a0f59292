package server_test

import (
	"testing"
	"time"

	"github.com/zabkeeper/zabkeeper/server"
)

// TestContainerPause: a minute is divided in whole milliseconds, so that large numbers mean no
// pause at all (spec semantics 11.1).
func TestContainerPause(t *testing.T) {
	for perMinute, want := range map[int]time.Duration{
		1: time.Minute, 7: 8571 * time.Millisecond, 10_000: 6 * time.Millisecond,
		59_999: time.Millisecond, 60_000: time.Millisecond, 60_001: 0, 1 << 30: 0,
	} {
		if got := server.ContainerPause(perMinute); got != want {
			t.Errorf("%d in a minute: a pause of %v, want %v", perMinute, got, want)
		}
	}
}
