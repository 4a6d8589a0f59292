package store_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/rs/zerolog"

	"github.com/zabkeeper/zabkeeper/zab/disk"
	"github.com/zabkeeper/zabkeeper/znode"
	"github.com/zabkeeper/zabkeeper/znode/store"
)

func atOnce(int) error { return nil }

// forge changes the data of a node in the files of a closed store.
func forge(t *testing.T, fs vfs.FS, path, data string) {
	t.Helper()
	db, err := pebble.Open("/data/tree", &pebble.Options{FS: fs, FormatMajorVersion: pebble.FormatValueSeparation, Logger: quiet{}})
	if err != nil {
		t.Fatal(err)
	}
	key := store.NodeKey(nil, path)
	value, closer, err := db.Get(key)
	if err != nil {
		t.Fatal(err)
	}
	var n znode.Node
	if err := store.DecodeNode(&n, value); err != nil {
		t.Fatal(err)
	}
	n.Data = []byte(data)
	if err := errors.Join(closer.Close(), db.Set(key, store.AppendNode(nil, &n), nil), db.Flush(), db.Close()); err != nil {
		t.Fatal(err)
	}
}

type quiet struct{}

func (quiet) Infof(string, ...any)  {}
func (quiet) Errorf(string, ...any) {}
func (quiet) Fatalf(string, ...any) {}

// Beside installs a scrub of a sound tree finds what the tree says of itself, and accounts for all that it
// reads.
func TestScrubOfASoundTree(t *testing.T) {
	s, m := open(t, vfs.NewCrashableMem()), newModel()
	defer closeStore(t, s)
	grow(t, s, m, 400, 3000)
	at, read, pieces := m.at, 0, 0
	totals, err := s.Scrub(t.Context(), func(bytes int) error {
		read += bytes
		if pieces++; pieces%3 == 1 {
			grow(t, s, m, 1, 100)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if totals.At.ID < at.ID || m.at == at {
		t.Errorf("scrubbed at %v, began at %v, installed up to %v", totals.At, at, m.at)
	}
	if want := 400*3000 + 10_000; read < want {
		t.Errorf("accounts for %d bytes, want %d at least: all nodes, and the files, which are compressed", read, want)
	}
	m.check(t, s)
}

// A flipped bit in a block that nobody reads is found, with the place, and nothing
// is reported to Fatal, which fails the test: what becomes of it is for the owner to say [H-94].
func TestScrubFindsAColdBlock(t *testing.T) {
	for _, kind := range []string{".sst", ".blob"} {
		t.Run(kind, func(t *testing.T) {
			mem := vfs.NewMem()
			s, m := open(t, mem), newModel()
			grow(t, s, m, 100, 2000)
			if err := s.Flush(); err != nil {
				t.Fatal(err)
			}
			damage(t, mem, "/data/tree", kind)
			_, err := s.Scrub(t.Context(), atOnce)
			if !errors.Is(err, store.ErrCorrupt) || !strings.Contains(err.Error(), kind+" at ") {
				t.Errorf("scrub: %v, want ErrCorrupt and the place", err)
			}
			abandon(s)
		})
	}
}

// abandon closes a store with damaged files: that Pebble may meet them is of no interest any more.
func abandon(s *store.Store) {
	defer func() { _ = recover() }()
	_ = s.Close()
}

// A node that is not what was installed contradicts the digest. Corrected, the digest is the one of what is there,
// whatever was installed since; a tree that was replaced meanwhile is left alone [H-94].
func TestScrubFindsAnotherDigest(t *testing.T) {
	fs := vfs.NewCrashableMem()
	s, m := open(t, fs), newModel()
	grow(t, s, m, 20, 100)
	install(t, s, m, createTxn(m.at.ID+1, "/victim", []byte("sound")))
	kept := s.PublicDigest()
	closeStore(t, s)
	forge(t, fs, "/victim", "wrong")
	s = open(t, fs)
	defer closeStore(t, s)
	_, err := s.Scrub(t.Context(), atOnce)
	var digest *store.DigestError
	if !errors.Is(err, store.ErrCorrupt) || !errors.As(err, &digest) || digest.Kept != kept || digest.Found == kept || digest.At != m.at {
		t.Fatalf("scrub: %v", err)
	}

	grow(t, s, m, 3, 10)
	if err := s.Correct(digest); err != nil || !s.Holds(digest) {
		t.Fatalf("correct: %v, the same tree: %v", err, s.Holds(digest))
	}
	if got, want := s.PublicDigest()-kept, digest.Found-digest.Kept; got == want || s.Applied() != m.at {
		t.Errorf("corrected by %x at %v, want what was installed since besides", got, s.Applied())
	}
	if totals, err := s.Scrub(t.Context(), atOnce); err != nil || totals.Digest != s.Digest() {
		t.Errorf("after the correction: %x, the store says %x, %v", totals.Digest, s.Digest(), err)
	}

	_, stream := source(t, 10_000)
	st, err := stage(s, "new", stream)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Replace(st); err != nil {
		t.Fatal(err)
	}
	if s.Holds(digest) {
		t.Error("what was found in another tree holds")
	}
}

// Damage that no digest shows alone is no matter of arithmetic.
func TestScrubFindsAnotherSize(t *testing.T) {
	fs := vfs.NewCrashableMem()
	s, m := open(t, fs), newModel()
	install(t, s, m, createTxn(m.at.ID+1, "/victim", []byte("sound")))
	closeStore(t, s)
	forge(t, fs, "/victim", "longer than it was")
	s = open(t, fs)
	defer closeStore(t, s)
	_, err := s.Scrub(t.Context(), atOnce)
	var digest *store.DigestError
	if !errors.Is(err, store.ErrCorrupt) || errors.As(err, &digest) {
		t.Errorf("%v, want ErrCorrupt and no DigestError", err)
	}
}

// The pace and the context end a scrub wherever it is, and nothing is left open.
func TestScrubIsEnded(t *testing.T) {
	s, m := open(t, vfs.NewCrashableMem()), newModel()
	defer closeStore(t, s) // refuses while a snapshot is open
	grow(t, s, m, 400, 3000)
	enough := errors.New("enough")
	for end, over := 1, false; !over; end++ {
		n := 0
		_, err := s.Scrub(t.Context(), func(int) error {
			if n++; n == end {
				return enough
			}
			return nil
		})
		over = n < end // there is no such piece
		if !over && (!errors.Is(err, enough) || errors.Is(err, disk.ErrDamaged)) || over && (err != nil || end < 5) {
			t.Errorf("ended at piece %d: %v after %d", end, err, n)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.Scrub(ctx, atOnce); !errors.Is(err, context.Canceled) {
		t.Errorf("with a context that is over: %v", err)
	}
}

// BenchmarkReadBesideScrub reads a set of nodes that fits into Pebble's cache, and not into that of nodes, while
// nothing else happens, and with a scrub of a tree of many times that size after each round. If a scrub
// drove out what is read often, the times would differ, and the misses.
func BenchmarkReadBesideScrub(b *testing.B) {
	for _, scrub := range []bool{false, true} {
		name := "alone"
		if scrub {
			name = "scrub"
		}
		b.Run(name, func(b *testing.B) {
			s, err := store.Open(store.Config{
				Dir: b.TempDir(), CacheBytes: -1, BlockCacheBytes: 8 << 20, Logger: zerolog.Nop(), Fatal: func(err error) { panic(err) },
			})
			if err != nil {
				b.Fatal(err)
			}
			defer closeStore(b, s)
			bulk(b, s, nil, 200_000, 400)
			if err := s.Flush(); err != nil {
				b.Fatal(err)
			}
			round := func() {
				for i := range 5000 {
					if s.Node(bulkPath(i)) == nil {
						b.Fatal("a node is missing")
					}
				}
			}
			for range 5 {
				round()
			}
			for b.Loop() {
				round()
				if scrub {
					b.StopTimer()
					if _, err := s.Scrub(b.Context(), atOnce); err != nil {
						b.Fatal(err)
					}
					b.StartTimer()
				}
			}
		})
	}
}
