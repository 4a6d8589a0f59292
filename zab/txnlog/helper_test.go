package txnlog_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/rs/zerolog"

	"github.com/zabkeeper/zabkeeper/quorum"
	"github.com/zabkeeper/zabkeeper/zab"
	"github.com/zabkeeper/zabkeeper/zab/txnlog"
	"github.com/zabkeeper/zabkeeper/zab/zxid"
)

// mustOpen opens a log that the test closes at its end; an unexpected failure of
// the log fails the test.
func mustOpen(tb testing.TB, cfg txnlog.Config) *txnlog.Log {
	tb.Helper()
	l, err := tryOpen(tb, cfg)
	if err != nil {
		tb.Fatalf("open: %v", err)
	}
	tb.Cleanup(func() {
		if err := l.Close(); err != nil {
			tb.Errorf("close: %v", err)
		}
	})
	return l
}

func tryOpen(tb testing.TB, cfg txnlog.Config) (*txnlog.Log, error) {
	tb.Helper()
	if cfg.Fatal == nil {
		cfg.Fatal = func(err error) { tb.Errorf("the log failed: %v", err) }
	}
	cfg.Logger = zerolog.New(zerolog.NewTestWriter(tb)).Level(zerolog.WarnLevel)
	return txnlog.Open(cfg)
}

// begin promises epoch e and makes it current.
func begin(tb testing.TB, l *txnlog.Log, e zxid.Epoch) {
	tb.Helper()
	if err := l.Apply(&zab.Persist{Promise: &zab.Promise{Epoch: e, Leader: 1}, Current: &e}); err != nil {
		tb.Fatalf("begin epoch %d: %v", e, err)
	}
}

// generator makes entries that follow one another.
type generator struct {
	last  zxid.Point
	epoch zxid.Epoch
	salt  byte
	data  []byte
}

func newGenerator(last zxid.Point) *generator {
	g := &generator{last: last, epoch: max(last.ID.Epoch(), 1), data: make([]byte, benchEntryBytes)}
	for i := range g.data {
		g.data[i] = "path/to/some/node"[i%17]
	}
	return g
}

// next returns n entries of benchEntryBytes each.
func (g *generator) next(n int) []zab.Entry {
	es := make([]zab.Entry, n)
	for i := range es {
		es[i] = g.one(g.data)
	}
	return es
}

func (g *generator) one(data []byte) zab.Entry {
	id := zxid.Make(g.epoch, 1)
	if g.last.ID.Epoch() == g.epoch {
		id = g.last.ID + 1
	}
	e := zab.NewEntry(g.last, id, data)
	g.last = e.Point()
	return e
}

// small returns n entries whose data tells them apart, also from those of another salt.
func (g *generator) small(n int) []zab.Entry {
	es := make([]zab.Entry, n)
	for i := range es {
		id := g.last.ID + 1
		es[i] = g.one(fmt.Appendf(nil, "%c%v", 'a'+g.salt, id))
	}
	return es
}

// contents reads everything that the log holds above its base.
func contents(tb testing.TB, l *txnlog.Log) []zab.Entry {
	tb.Helper()
	h := l.Durable().History
	var all []zab.Entry
	for at := h.Base.ID; at < h.Last().ID; at = all[len(all)-1].ID {
		es, err := l.Entries(at, h.Last().ID, 64)
		if err != nil {
			tb.Fatalf("entries after %v: %v", at, err)
		}
		if len(es) == 0 {
			tb.Fatalf("no entry after %v, the log should end at %v", at, h.Last())
		}
		all = append(all, es...)
	}
	return all
}

// image is everything observable about a log.
type image struct {
	durable  zab.Durable
	entries  []zab.Entry
	intent   zxid.Point
	reserved uint64
}

func observe(tb testing.TB, l *txnlog.Log) image {
	tb.Helper()
	i := image{durable: l.Durable(), entries: contents(tb, l), reserved: l.Reserved()}
	i.durable.Committed = 0 // a hint that crashes may set back
	i.intent, _ = l.Intent()
	if err := l.Verify(tb.Context()); err != nil {
		tb.Fatalf("verify: %v", err)
	}
	return i
}

func (i image) equal(j image) bool { return i.String() == j.String() }

// String prints the image, byte for byte.
func (i image) String() string {
	s := fmt.Sprintf("%+v base=%v last=%v intent=%v reserved=%d\n",
		i.durable, i.durable.History.Base, i.durable.History.Last(), i.intent, i.reserved)
	for _, e := range i.entries {
		s += fmt.Sprintf("%v %v %016x %x\n", e.ID, e.Prev, e.Hash, e.Data)
	}
	return s
}

func epochPtr(e zxid.Epoch) *zxid.Epoch               { return &e }
func pointPtr(p zxid.Point) *zxid.Point               { return &p }
func promise(e zxid.Epoch, s quorum.SID) *zab.Promise { return &zab.Promise{Epoch: e, Leader: s} }

func ids(es []zab.Entry) []zxid.ID {
	var out []zxid.ID
	for _, e := range es {
		out = append(out, e.ID)
	}
	return slices.Clip(out)
}

// generation names the history of a log, whatever is being installed.
func generation(l *txnlog.Log) uint32 {
	g, _ := l.Generation()
	return g
}
