package store_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"github.com/zabkeeper/zabkeeper/proto"
	"github.com/zabkeeper/zabkeeper/zab/zxid"
)

// Power fails at each step of what installs write to the disk, large ones that fill memtables of their own
// among them: the tree that is left is whole, and its applied point says which one it is [H-89, H-90].
func TestInstallCrashes(t *testing.T) {
	mem := vfs.NewCrashableMem()
	c := &crashes{fs: mem, rng: rand.New(rand.NewPCG(5, 6))}
	if testing.Short() {
		c.every = 5
	}
	s, m := open(t, errorfs.Wrap(mem, c)), newModel()
	grow(t, s, m, 1, 10)
	history := map[zxid.ID]*model{0: newModel(), m.at.ID: m.clone()}
	c.record(func() {
		for i := range 20 {
			// Batches that share memtables, and at times one that fills its own.
			var txns []*proto.Txn
			n := 1 + i*7%12
			if i%10 == 9 {
				n = 20
			}
			for k := range n {
				z := m.at.ID + 1 + zxid.ID(k)
				txns = append(txns, createTxn(z, fmt.Sprintf("/grown/%d", z), []byte(strings.Repeat("x", 10_000))))
			}
			install(t, s, m, txns...)
			history[m.at.ID] = m.clone()
		}
		if err := s.Flush(); err != nil {
			t.Fatal(err)
		}
	})
	closeStore(t, s)

	seen := map[zxid.ID]bool{}
	for i, disk := range c.disks {
		s := open(t, disk)
		want := history[s.Applied().ID]
		if want == nil {
			t.Fatalf("%s: the tree is at %v, where it never was", c.after[i], s.Applied())
		}
		if diff := want.diff(s); diff != "" {
			t.Errorf("%s: the tree at %v is another one: %s", c.after[i], s.Applied(), diff)
		}
		seen[s.Applied().ID] = true
		closeStore(t, s)
	}
	if len(seen) < 3 {
		t.Errorf("crashes left the tree at %d points only", len(seen))
	}
}
