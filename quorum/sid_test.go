package quorum_test

import (
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/zabkeeper/zabkeeper/quorum"
)

func TestParseSID(t *testing.T) {
	for _, c := range []struct {
		text string
		want quorum.SID
		ok   bool
	}{
		{"0", 0, true},
		{"1", 1, true},
		{"255", 255, true},
		{"007", 7, true},
		{"256", quorum.None, false},
		{"-1", quorum.None, false},
		{"", quorum.None, false},
		{" 1", quorum.None, false},
		{"0x1", quorum.None, false},
	} {
		got, err := quorum.ParseSID(c.text)
		if got != c.want || (err == nil) != c.ok {
			t.Errorf("ParseSID(%q) = %v, %v", c.text, got, err)
		}
	}
}

func TestSetAgreesWithMap(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := drawSet(t, "a"), drawSet(t, "b")
		sids := slices.Collect(a.All())
		if !slices.IsSorted(sids) || len(sids) != a.Len() {
			t.Fatalf("%v iterates as %v", a, sids)
		}
		for sid := quorum.None; sid <= quorum.MaxSID; sid++ {
			if a.Has(sid) != slices.Contains(sids, sid) {
				t.Fatalf("Has(%v) disagrees with iteration", sid)
			}
			if a.And(b).Has(sid) != (a.Has(sid) && b.Has(sid)) || a.Or(b).Has(sid) != (a.Has(sid) || b.Has(sid)) {
				t.Fatalf("And or Or is wrong about %v", sid)
			}
		}
		for _, sid := range sids {
			b.Remove(sid)
		}
		if a.And(b) != (quorum.Set{}) {
			t.Fatalf("%v left after removing %v", a.And(b), a)
		}
	})
}
