package disk_test

import (
	"testing"
	"time"

	"github.com/zabkeeper/zabkeeper/zab/disk"
)

// Whatever is read in whatever pieces, and however late: in no stretch of time more is let through than
// the rate allows for it, and one piece.
func TestMeter(t *testing.T) {
	const rate = 1 << 20
	now := time.Unix(1000, 0)
	m := disk.Meter{BytesPerSecond: rate}
	for i, c := range []struct {
		after time.Duration // since the wait was over
		bytes int
		want  time.Duration
	}{
		{0, 1 << 19, 500 * time.Millisecond},
		{0, 1 << 18, 250 * time.Millisecond},
		{0, 0, 0},
		{time.Hour, 1 << 20, time.Second}, // an idle hour gives no credit
		{0, 3 << 20, 3 * time.Second},
	} {
		now = now.Add(c.after)
		got := m.Take(now, c.bytes)
		if got != c.want {
			t.Errorf("piece %d: wait %v, want %v", i, got, c.want)
		}
		now = now.Add(got)
	}
	m.Take(now, 1<<20)
	if got, want := m.Take(now.Add(time.Second/4), 1<<20), 7*time.Second/4; got != want {
		t.Errorf("who does not wait has to wait longer: %v, want %v", got, want)
	}
	unbound := disk.Meter{}
	if got := unbound.Take(now, 1<<40); got != 0 {
		t.Errorf("without a rate: wait %v", got)
	}
}
