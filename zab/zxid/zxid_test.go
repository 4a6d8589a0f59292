package zxid_test

import (
	"testing"

	"pgregory.net/rapid"

	"github.com/zabkeeper/zabkeeper/zab/zxid"
)

func TestMakeAndSplit(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		e := zxid.Epoch(rapid.Uint32Max(uint32(zxid.MaxEpoch)).Draw(t, "epoch"))
		c := zxid.Counter(rapid.Uint32().Draw(t, "counter"))
		z := zxid.Make(e, c)
		if z < 0 || z.Epoch() != e || z.Counter() != c {
			t.Fatalf("Make(%d, %d) = %v: epoch %d, counter %d", e, c, z, z.Epoch(), z.Counter())
		}
	})
}

// Epochs compare before counters, as signed numbers do up to MaxEpoch.
func TestOrder(t *testing.T) {
	asc := []zxid.ID{
		zxid.Untrusted, 0, zxid.Make(0, 1), zxid.Make(0, zxid.MaxCounter), zxid.Make(1, 0), zxid.Make(1, 1),
		zxid.Make(2, 0), zxid.Make(zxid.MaxEpoch, 0), zxid.Make(zxid.MaxEpoch, zxid.MaxCounter),
	}
	for i := 1; i < len(asc); i++ {
		if asc[i-1] >= asc[i] {
			t.Errorf("%v is not below %v", asc[i-1], asc[i])
		}
	}
}

func TestFollows(t *testing.T) {
	for _, c := range []struct {
		prev, next zxid.ID
		want       bool
	}{
		{0, zxid.Make(1, 1), true},
		{0, zxid.Make(1, 2), false},
		{0, 0, false},
		{zxid.Make(1, 1), zxid.Make(1, 2), true},
		{zxid.Make(1, 1), zxid.Make(1, 3), false},
		{zxid.Make(1, 2), zxid.Make(1, 2), false},
		{zxid.Make(1, 2), zxid.Make(1, 1), false},
		{zxid.Make(1, 2), zxid.Make(2, 1), true},
		{zxid.Make(1, 2), zxid.Make(7, 1), true},
		{zxid.Make(1, 2), zxid.Make(2, 0), false},
		{zxid.Make(2, 1), zxid.Make(1, 1), false},
		{zxid.Make(1, zxid.MaxCounter+1), zxid.Make(2, 0), false}, // the counter does not carry into the epoch
	} {
		if got := c.next.Follows(c.prev); got != c.want {
			t.Errorf("%v follows %v: got %v, want %v", c.next, c.prev, got, c.want)
		}
	}
}

// hazard H-38: the last usable counter is a hard stop.
func TestNext(t *testing.T) {
	if got := zxid.Make(3, 4).Next(); got != zxid.Make(3, 5) {
		t.Errorf("Next = %v", got)
	}
	if got := zxid.Make(3, zxid.MaxCounter-1).Next(); got.Epoch() != 3 || got.Counter() != zxid.MaxCounter {
		t.Errorf("Next = %v", got)
	}
	defer func() {
		if recover() == nil {
			t.Error("Next of a used-up counter did not panic")
		}
	}()
	zxid.Make(3, zxid.MaxCounter).Next()
}

func TestString(t *testing.T) {
	for z, want := range map[zxid.ID]string{
		0: "0x0", zxid.Make(2, 7): "0x200000007", zxid.Untrusted: "-0x1",
	} {
		if got := z.String(); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}
