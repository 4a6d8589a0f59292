package store_test

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"pgregory.net/rapid"

	"github.com/zabkeeper/zabkeeper/proto"
	"github.com/zabkeeper/zabkeeper/zab/zxid"
	"github.com/zabkeeper/zabkeeper/znode"
	"github.com/zabkeeper/zabkeeper/znode/store"
)

func TestFreshTree(t *testing.T) {
	s := open(t, vfs.NewCrashableMem())
	defer closeStore(t, s)
	newModel().check(t, s)
	if at := s.Applied(); at != (zxid.Point{}) {
		t.Errorf("a new tree is at %v, want the point before all history", at)
	}
}

// The run of a parent's children holds them all and nothing else, whatever bytes stand
// next to '/' in the order.
func TestChildrenAreOneRun(t *testing.T) {
	s, m := open(t, vfs.NewCrashableMem()), newModel()
	defer closeStore(t, s)
	var z zxid.ID
	for _, path := range []string{
		"/a", "/a/b", "/a/b/c", "/a/b-c", "/a/b.", "/a/b0", "/a/b/\x01", "/a/b/é", "/a/b/\U0010ffff", "/a-", "/a-/b",
		"/a/b/c/d", "/a/b\xff", "/a/b\xff/x", "/a0", "/b", "/ab", "/ab/b",
	} {
		z++
		install(t, s, m, createTxn(z, path, nil))
	}
	m.check(t, s)
	want := []string{"\x01", "c", "é", "\U0010ffff"}
	if got := children(s, "/a/b"); !slices.Equal(got, want) {
		t.Errorf("children of /a/b: %q, want %q", got, want)
	}
	count := 0
	s.Children("/a", func(string) bool { count++; return count < 2 })
	if count != 2 {
		t.Errorf("listing went on for %d names after it was told to stop at 2", count)
	}
}

func TestDeepestPath(t *testing.T) {
	s := open(t, vfs.NewCrashableMem())
	defer closeStore(t, s)
	deeper := strings.Repeat("/a", znode.MaxDepth+1)
	if n := s.Node(deeper); n != nil {
		t.Errorf("a path that is too deep holds %+v", n)
	}
	if got := children(s, deeper); got != nil {
		t.Errorf("a path that is too deep has children %q", got)
	}
}

func TestInstallRefusesOldPoint(t *testing.T) {
	s, m := open(t, vfs.NewCrashableMem()), newModel()
	defer closeStore(t, s)
	install(t, s, m, createTxn(5, "/a", []byte("x")))
	c := znode.NewChanges(s)
	c.Apply(txn(proto.OpSetData, 1, 5, &proto.SetDataTxn{Path: "/a", Data: []byte("y"), Version: 1}))
	for _, z := range []zxid.ID{4, 5} {
		if err := s.Install(c, point(z)); !errors.Is(err, store.ErrOldPoint) {
			t.Errorf("install at %v on %v: %v, want ErrOldPoint: it would apply twice [H-89]", z, s.Applied(), err)
		}
	}
	m.check(t, s)
}

// A refused transaction changes no node but still moves the applied point.
func TestInstallOfNothing(t *testing.T) {
	s, m := open(t, vfs.NewCrashableMem()), newModel()
	defer closeStore(t, s)
	c := znode.NewChanges(s)
	c.Apply(txn(proto.OpError, 1, 9, &proto.ErrorTxn{Err: proto.CodeNoNode}))
	if err := s.Install(c, point(9)); err != nil {
		t.Fatal(err)
	}
	m.install(c, point(9))
	m.check(t, s)
}

func TestLock(t *testing.T) {
	fs := vfs.NewCrashableMem()
	s := open(t, fs)
	defer closeStore(t, s)
	if _, err := store.Open(config(t, fs)); !errors.Is(err, store.ErrLocked) {
		t.Errorf("second open: %v, want ErrLocked", err)
	}
}

func TestCloseKeepsEverything(t *testing.T) {
	fs := vfs.NewCrashableMem()
	s, m := open(t, fs), newModel()
	grow(t, s, m, 50, 100)
	closeStore(t, s)
	s = open(t, fs.CrashClone(vfs.CrashCloneCfg{}))
	defer closeStore(t, s)
	m.check(t, s)
}

func TestRealDirectory(t *testing.T) {
	cfg := config(t, nil)
	cfg.Dir = t.TempDir()
	s, err := store.Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	m := newModel()
	grow(t, s, m, 20, 3000)
	st, err := stage(s, "snap-1", chunks(t, s, 1000))
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Replace(st); err != nil {
		t.Fatal(err)
	}
	closeStore(t, s)
	if s, err = store.Open(cfg); err != nil {
		t.Fatal(err)
	}
	defer closeStore(t, s)
	m.check(t, s)
}

// world is the state of the property test: a store, the model of its state, and the
// model of every state that a crash may bring back.
type world struct {
	fs      *vfs.MemFS
	s       *store.Store
	c       *znode.Changes
	m       *model
	history map[zxid.ID]*model
	zxid    zxid.ID
	staged  int
}

var names = []string{"a", "b", "a-", "a0", "é", "\x01"}

func drawPath(t *rapid.T) string {
	return "/" + strings.Join(rapid.SliceOfN(rapid.SampledFrom(names), 1, 3).Draw(t, "path"), "/")
}

func drawData(t *rapid.T) []byte {
	return rapid.OneOf(
		rapid.Just([]byte(nil)),
		rapid.SliceOfN(rapid.Byte(), 0, 20),
		rapid.Map(rapid.IntRange(0, 5000), func(n int) []byte { return make([]byte, n) }),
	).Draw(t, "data")
}

func drawACL(t *rapid.T) []proto.ACL {
	return rapid.SampledFrom([][]proto.ACL{
		nil,
		proto.WorldACL(proto.PermRead),
		{{Perms: proto.PermAll, ID: proto.ID{Scheme: "digest", ID: "bob:x"}}, {Perms: 1, ID: proto.ID{Scheme: "ip", ID: "::1"}}},
	}).Draw(t, "acl")
}

// drawTxn returns some transaction, often one that the tree refuses.
func drawTxn(t *rapid.T, z zxid.ID, v znode.View) *proto.Txn {
	session := rapid.SampledFrom(sessionIDs).Draw(t, "session")
	version := rapid.Int32Range(0, 1000).Draw(t, "version")
	switch rapid.IntRange(0, 9).Draw(t, "op") {
	case 0:
		return txn(proto.OpDelete, session, z, &proto.DeleteTxn{Path: drawPath(t)})
	case 1:
		return txn(proto.OpSetData, session, z, &proto.SetDataTxn{Path: drawPath(t), Data: drawData(t), Version: version})
	case 2:
		return txn(proto.OpSetACL, session, z, &proto.SetACLTxn{Path: drawPath(t), ACL: drawACL(t), Version: version})
	case 3:
		return txn(proto.OpCreateSession, session, z, &proto.CreateSessionTxn{TimeOut: version})
	case 4:
		return txn(proto.OpCloseSession, session, z, &proto.CloseSessionTxn{Paths: ephemerals(v, session)})
	case 5:
		return txn(proto.OpCreateContainer, session, z, &proto.CreateContainerTxn{Path: drawPath(t), Data: drawData(t), ParentCVersion: -1})
	case 6:
		return txn(proto.OpCreateTTL, session, z, &proto.CreateTTLTxn{
			Path: drawPath(t), TTL: rapid.Int64Range(1, znode.MaxTTL).Draw(t, "ttl"), ParentCVersion: -1,
		})
	default:
		return txn(proto.OpCreate2, session, z, &proto.CreateTxn{
			Path: drawPath(t), Data: drawData(t), ACL: drawACL(t),
			Ephemeral: rapid.Bool().Draw(t, "ephemeral"), ParentCVersion: -1,
		})
	}
}

func (w *world) install(t *rapid.T) {
	w.c.Reset(w.s)
	for range rapid.IntRange(1, 8).Draw(t, "txns") {
		w.zxid++
		w.c.Apply(drawTxn(t, w.zxid, w.c))
	}
	w.m.install(w.c, point(w.zxid))
	if d := w.m.subtrees(w.c); d != "" {
		t.Fatalf("before the install: %s", d)
	}
	if err := w.s.Install(w.c, point(w.zxid)); err != nil {
		t.Fatalf("install: %v", err)
	}
	w.history[w.zxid] = w.m.clone()
}

// crash cuts the power. What comes back is the state after some batch, not before the one
// that was durable.
func (w *world) crash(t *rapid.T) {
	durable, err := w.s.Durable()
	if err != nil {
		t.Fatalf("durable: %v", err)
	}
	cfg := vfs.CrashCloneCfg{
		UnsyncedDataPercent: rapid.SampledFrom([]int{0, 50, 100}).Draw(t, "unsynced"),
		RNG:                 rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "crash"), 0)),
	}
	after := w.fs.CrashClone(cfg)
	closeStore(t, w.s)
	w.fs, w.s = after, open(t, after)
	at := w.s.Applied()
	if at.ID < durable.ID {
		t.Fatalf("came back at %v, though %v was durable", at, durable)
	}
	if w.history[at.ID] == nil {
		t.Fatalf("came back at %v, which is no batch's end", at)
	}
	w.rewind(w.history[at.ID].clone())
}

// rewind makes m the present; what came after it never happened.
func (w *world) rewind(m *model) {
	w.m, w.zxid = m, m.at.ID
	maps.DeleteFunc(w.history, func(z zxid.ID, _ *model) bool { return z > w.zxid })
}

// replace replaces the tree by its own present state, after some changes on top that
// the replacement takes back.
func (w *world) replace(t *rapid.T) {
	then := w.m.clone()
	stream := chunks(t, w.s, rapid.IntRange(1, 4000).Draw(t, "chunk"))
	w.install(t)
	w.staged++
	st, err := stage(w.s, fmt.Sprintf("s%d", w.staged), stream)
	if err != nil {
		t.Fatalf("stage: %v", err)
	}
	if err := w.s.Replace(st); err != nil {
		t.Fatalf("replace: %v", err)
	}
	w.rewind(then)
	if durable, err := w.s.Durable(); err != nil || durable != then.at {
		t.Fatalf("durable after replace: %v %v, want %v", durable, err, then.at)
	}
}

// The store is the model, through flushes, crashes, restarts, and replacements [H-89, H-90].
func TestAgainstModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		fs := vfs.NewCrashableMem()
		w := &world{fs: fs, s: open(t, fs), m: newModel(), history: map[zxid.ID]*model{0: newModel()}}
		w.c = znode.NewChanges(w.s)
		t.Repeat(map[string]func(*rapid.T){
			"install": w.install,
			"more":    w.install,
			"flush": func(t *rapid.T) {
				if err := w.s.Flush(); err != nil {
					t.Fatalf("flush: %v", err)
				}
				if at, err := w.s.Durable(); err != nil || at != w.m.at {
					t.Fatalf("durable after flush: %v %v, want %v", at, err, w.m.at)
				}
			},
			"crash":   w.crash,
			"replace": w.replace,
			"restart": func(t *rapid.T) {
				closeStore(t, w.s)
				w.s = open(t, w.fs)
			},
			"": func(t *rapid.T) { w.m.check(t, w.s) },
		})
		closeStore(t, w.s)
	})
}
