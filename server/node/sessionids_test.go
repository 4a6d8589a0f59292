package node_test

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/zabkeeper/zabkeeper/proto"
	"github.com/zabkeeper/zabkeeper/server/node"
)

// No session gets the id of another one, though that has ended: not after a crash that takes along
// what was not synced, wherever the clock is put meanwhile [H-69]. A client that is left over would
// find a stranger's session under its id, for which it knows the password.
func TestSessionIDsOutliveTheServer(t *testing.T) {
	const seed = 69
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	clocks := map[string]func() int64{ // ms
		"put back":         func() int64 { return -rng.Int64N(time.Hour.Milliseconds()) },
		"as it was":        func() int64 { return 0 },
		"by some ms":       func() int64 { return rng.Int64N(3) - 1 },
		"forward and back": func() int64 { return rng.Int64N(200*24*time.Hour.Milliseconds()) - 100*24*time.Hour.Milliseconds() },
	}
	start := time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC).UnixMilli()
	for name, jump := range clocks {
		t.Run(name, func(t *testing.T) { sessionIDsAreUnique(t, start, jump) })
	}
	// 2039-06-20: the low 40 bits of the clock begin anew.
	t.Run("bits run out", func(t *testing.T) {
		sessionIDsAreUnique(t, 2<<40-30, func() int64 { return rng.Int64N(40) })
	})
	t.Run("battery empty", func(t *testing.T) {
		lives := 0
		sessionIDsAreUnique(t, start, func() int64 {
			if lives++; lives%2 == 1 {
				return -start
			}
			return start
		})
	})
}

// A server whose disk was replaced or set back, and whose clock was put back, has no notes of what it gave
// out, or old ones; that each start has bits of its own makes a repetition unlikely: one in 65536 for
// two ids of the same millisecond [H-69].
func TestSessionIDsOfANewDisk(t *testing.T) {
	for name, disk := range map[string]*vfs.MemFS{"empty": vfs.NewCrashableMem(), "an old copy": served(t, "a", 1)} {
		t.Run(name, func(t *testing.T) { sessionIDsHardlyRepeat(t, disk) })
	}
}

func sessionIDsHardlyRepeat(t *testing.T, disk *vfs.MemFS) {
	t.Helper()
	now := time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)
	seen := map[proto.SessionID]bool{}
	repeated := 0
	for range 8 {
		r := start(t, node.Config{
			Conf: config(t, "", "clientPort=1", "clientPortAddress=127.0.0.1"),
			FS:   disk.CrashClone(vfs.CrashCloneCfg{}), ClientListener: reserve(t), Now: func() time.Time { return now },
		})
		r.awaitServing()
		c := r.connect()
		if id := proto.SessionID(c.SessionID()); seen[id] {
			repeated++
		} else {
			seen[id] = true
		}
		c.Close()
		r.stop()
	}
	if repeated > 1 { // by chance once in 10^8 runs
		t.Errorf("%d of 8 lives repeated an id", repeated)
	}
}

func sessionIDsAreUnique(t *testing.T, now int64, jump func() int64) {
	t.Helper()
	disk := vfs.NewCrashableMem()
	seen := map[proto.SessionID]bool{}
	for life := range 4 {
		cfg := node.Config{
			Conf: config(t, "", "clientPort=1", "clientPortAddress=127.0.0.1"),
			FS:   disk, ClientListener: reserve(t), Now: func() time.Time { return time.UnixMilli(now) },
		}
		r := start(t, cfg)
		r.awaitServing()
		for range 3 {
			c := r.connect()
			id := proto.SessionID(c.SessionID())
			if seen[id] {
				t.Fatalf("life %d, clock %v: session %v was there before", life, time.UnixMilli(now).UTC(), id)
			}
			seen[id] = true
			c.Close()
		}
		disk = disk.CrashClone(vfs.CrashCloneCfg{})
		r.stop()
		now += jump()
	}
}
