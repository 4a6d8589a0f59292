package node

import (
	"testing"

	"github.com/zabkeeper/zabkeeper/zab"
	"github.com/zabkeeper/zabkeeper/zab/zxid"
)

// summary makes a history that begins after base and has these runs: epoch, last counter.
func summary(base zxid.ID, runs ...[2]uint32) zab.Summary {
	s := zab.Summary{Base: zxid.Point{ID: base}}
	for _, r := range runs {
		s.Runs = append(s.Runs, zab.Run{Epoch: zxid.Epoch(r[0]), Last: zxid.Counter(r[1])})
	}
	return s
}

func TestBehind(t *testing.T) {
	three := summary(0, [2]uint32{1, 10}, [2]uint32{2, 5}, [2]uint32{4, 7})
	trimmed := summary(zxid.Make(1, 8), [2]uint32{1, 10}, [2]uint32{2, 5})
	for _, c := range []struct {
		name string
		h    zab.Summary
		id   zxid.ID
		want int64
	}{
		{"nothing logged", summary(0), 0, 0},
		{"nothing above the base", summary(zxid.Make(3, 4)), zxid.Make(3, 4), 0},
		{"everything", three, 0, 22},
		{"within the first epoch", three, zxid.Make(1, 4), 18},
		{"at the end of an epoch", three, zxid.Make(1, 10), 12},
		{"at the start of an epoch", three, zxid.Make(2, 0), 12},
		{"within the last epoch", three, zxid.Make(4, 6), 1},
		{"at the end", three, zxid.Make(4, 7), 0},
		{"beyond the end", three, zxid.Make(5, 0), 0},
		{"from the base", trimmed, zxid.Make(1, 8), 7},
		{"from below the base, which is not held", trimmed, zxid.Make(1, 2), 7},
	} {
		if got := behind(c.h, c.id); got != c.want {
			t.Errorf("%s: %d entries of %v lie above %v, want %d", c.name, got, c.h, c.id, c.want)
		}
	}
}

func TestKeepFrom(t *testing.T) {
	three := summary(0, [2]uint32{1, 10}, [2]uint32{2, 5}, [2]uint32{4, 7})
	trimmed := summary(zxid.Make(1, 8), [2]uint32{1, 10}, [2]uint32{2, 5})
	for _, c := range []struct {
		name string
		h    zab.Summary
		keep int64
		want zxid.ID
	}{
		{"nothing logged", summary(0), 5, 0},
		{"nothing above the base", summary(zxid.Make(3, 4)), 5, zxid.Make(3, 4)},
		{"none", three, 0, zxid.Make(4, 7)},
		{"part of the last epoch", three, 3, zxid.Make(4, 4)},
		{"the whole last epoch", three, 7, zxid.Make(4, 0)},
		{"across epochs", three, 9, zxid.Make(2, 3)},
		{"across all epochs", three, 20, zxid.Make(1, 2)},
		{"all", three, 22, zxid.Make(1, 0)},
		{"more than there is", three, 23, 0},
		{"all above the base", trimmed, 7, zxid.Make(1, 8)},
		{"more than there is above the base", trimmed, 10, zxid.Make(1, 8)},
	} {
		got := keepFrom(c.h, c.keep)
		if got != c.want {
			t.Errorf("%s: keep %d of %v from %v, want %v", c.name, c.keep, c.h, got, c.want)
		}
		if kept := behind(c.h, got); kept < min(c.keep, behind(c.h, 0)) {
			t.Errorf("%s: %d entries of %v remain, want %d", c.name, kept, c.h, c.keep)
		}
	}
}
