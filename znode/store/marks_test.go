package store_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/zabkeeper/zabkeeper/proto"
	"github.com/zabkeeper/zabkeeper/zab/zxid"
	"github.com/zabkeeper/zabkeeper/znode"
	"github.com/zabkeeper/zabkeeper/znode/store"
)

// expirable is the model that the fixture testdata/unmarked was made with.
func expirable(t *testing.T, s *store.Store) *model {
	t.Helper()
	m := newModel()
	install(t, s, m, txn(proto.OpCreateSession, 1, 1, &proto.CreateSessionTxn{TimeOut: 4000}))
	install(t, s, m, createTxn(2, "/a", []byte("data")))
	install(t, s, m, txn(proto.OpCreateContainer, 1, 3, &proto.CreateContainerTxn{Path: "/c", ParentCVersion: -1}))
	install(t, s, m, txn(proto.OpCreateTTL, 1, 4, &proto.CreateTTLTxn{Path: "/c/t", Data: make([]byte, 3000), TTL: 77, ParentCVersion: -1}))
	install(t, s, m, txn(proto.OpCreate2, 1, 5, &proto.CreateTxn{Path: "/a/e", Ephemeral: true, ParentCVersion: -1}))
	return m
}

func newExpirable(t *testing.T) *model {
	t.Helper()
	s := open(t, vfs.NewMem())
	defer closeStore(t, s)
	return expirable(t, s)
}

// unmarked returns a disk with the tree of expirable as a version of this program left it that
// knew no marks.
func unmarked(t *testing.T) *vfs.MemFS {
	t.Helper()
	const from, to = "testdata/unmarked/tree", "/data/tree"
	disk := vfs.NewCrashableMem()
	if err := disk.MkdirAll(to, 0o755); err != nil {
		t.Fatal(err)
	}
	files, err := os.ReadDir(from)
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		content, err := os.ReadFile(filepath.Join(from, file.Name()))
		if err != nil {
			t.Fatal(err)
		}
		f, err := disk.Create(disk.PathJoin(to, file.Name()), vfs.WriteCategoryUnspecified)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.Write(content); err != nil {
			t.Fatal(err)
		}
		if err := f.Sync(); err != nil {
			t.Fatal(err)
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
	}
	for _, dir := range []string{to, "/data", "/"} {
		d, err := disk.OpenDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		if err := d.Sync(); err != nil {
			t.Fatal(err)
		}
		if err := d.Close(); err != nil {
			t.Fatal(err)
		}
	}
	return disk
}

// A directory of the version before there were marks gets them when it is opened, also when the
// power fails before they are on disk, and is not read a second time.
func TestOpenUnmarkedTree(t *testing.T) {
	disk := unmarked(t)
	m := newExpirable(t)
	crashed := disk.CrashClone(vfs.CrashCloneCfg{})
	for range 2 {
		s := open(t, crashed)
		m.check(t, s)
		again := crashed.CrashClone(vfs.CrashCloneCfg{})
		closeStore(t, s)
		crashed = again // nothing of that was on disk
	}
	s := open(t, disk)
	install(t, s, m, txn(proto.OpDeleteContainer, 0, 6, &proto.DeleteTxn{Path: "/c/t"}))
	m.check(t, s)
	closeStore(t, s)
	s = open(t, disk)
	defer closeStore(t, s)
	m.check(t, s)
}

// A stream of a leader that knows no marks makes a tree that has them.
func TestUnmarkedStream(t *testing.T) {
	want := newExpirable(t)
	paths := []string{"/", "/a", "/c", "/zookeeper", "/a/e", "/c/t", "/zookeeper/config", "/zookeeper/quota"}
	payload := store.AppendEntry(nil, append([]byte{1, 0, 0, 0, 0, 0, 0, 0, 1}, "/a/e"...), nil)
	for _, path := range paths {
		payload = store.AppendEntry(payload, store.NodeKey(nil, path), store.AppendNode(nil, want.nodes[path]))
	}
	payload = store.AppendEntry(payload, []byte{3, 0, 0, 0, 0, 0, 0, 0, 1}, []byte{0, 0, 0x0f, 0xa0})

	disk := vfs.NewCrashableMem()
	s, m := open(t, disk), newModel()
	grow(t, s, m, 10, 100)
	st, err := stage(s, "old", store.SealedStream(want.totals(), uint64(len(paths)+2), payload))
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Replace(st); err != nil {
		t.Fatal(err)
	}
	want.check(t, s)
	crashed := disk.CrashClone(vfs.CrashCloneCfg{})
	closeStore(t, s)
	s = open(t, crashed)
	defer closeStore(t, s)
	want.check(t, s)
	// What this server streams has them from the beginning.
	stream := chunks(t, s, 1<<20)
	if first := stream[1][store.ChunkPayload:]; !bytes.HasPrefix(first, []byte("\x03\x00/c\x00")) {
		t.Errorf("the stream begins with %q, want the first mark", first[:8])
	}
}

func TestMarkedGoesOnBehindAPath(t *testing.T) {
	s, m := open(t, vfs.NewMem()), newModel()
	defer closeStore(t, s)
	all := []string{"/a", "/a\x01", "/a-", "/ab", "/b"}
	for i, path := range all {
		install(t, s, m, txn(proto.OpCreateContainer, 1, m.at.ID+1, &proto.CreateContainerTxn{Path: path, ParentCVersion: int32(i)}))
	}
	for i, path := range all {
		if got := marked(s, path); !slices.Equal(got, all[i+1:]) {
			t.Errorf("marks after %q: %q, want %q", path, got, all[i+1:])
		}
	}
	if got := marked(s, "/aa"); !slices.Equal(got, []string{"/ab", "/b"}) {
		t.Errorf("marks after one that is not there: %q", got)
	}
	var first string
	s.Marked("", func(path string) bool { first = path; return false })
	if first != "/a" {
		t.Errorf("the first mark is %q", first)
	}
	m.check(t, s)
}

// A count is of the state in which it began, whatever is installed before it is made.
func TestBelowKeepsItsState(t *testing.T) {
	want, stream := source(t, 10_000)
	s, m := open(t, vfs.NewCrashableMem()), newModel()
	defer closeStore(t, s)
	grow(t, s, m, 3000, 1)
	for _, deep := range []string{"/grown/x", "/grown/x/y", "/grown/x/y/z", "/grow", "/grown-", "/grown-/x"} {
		install(t, s, m, createTxn(m.at.ID+1, deep, nil))
	}
	root, below, missing := s.Below("/"), s.Below("/grown"), s.Below("/nope")
	canceled := s.Below("/grown")
	grow(t, s, m, 50, 1)
	st, err := stage(s, "new", stream)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Replace(st); err != nil {
		t.Fatal(err)
	}
	want.check(t, s)
	if n := root(nil); n != 3000+1+6+3 {
		t.Errorf("%d nodes below the root", n)
	}
	if n := below(nil); n != 3000+3 {
		t.Errorf("%d nodes below /grown", n)
	}
	if n := missing(nil); n != 0 {
		t.Errorf("%d nodes below one that is missing", n)
	}
	stop := make(chan struct{})
	close(stop)
	if n := canceled(stop); n >= 3000 {
		t.Errorf("a count that nobody wants went on to %d", n)
	}
}

func TestBelowTheDeepestPath(t *testing.T) {
	s := open(t, vfs.NewMem())
	defer closeStore(t, s)
	for _, path := range []string{strings.Repeat("/a", znode.MaxDepth), strings.Repeat("/a", znode.MaxDepth+1), "", "a"} {
		want := 0
		if path == "" {
			want = 3 // it is the root's alias
		}
		if n := s.Below(path)(nil); n != want {
			t.Errorf("%d nodes below a path of %d bytes, want %d", n, len(path), want)
		}
	}
}

func BenchmarkSubtree(b *testing.B) {
	const nodes = 100_000
	s := open(b, vfs.NewMem())
	m := newModel()
	install(b, s, m, createTxn(1, "/d", nil))
	txns := make([]*proto.Txn, nodes)
	for i := range txns {
		txns[i] = createTxn(zxid.ID(2+i), fmt.Sprintf("/d/%08d", i), make([]byte, 100))
	}
	install(b, s, m, txns...)
	if err := s.Flush(); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if n, size := s.Subtree("/d"); n != nodes+1 || size != 100*nodes {
			b.Fatal(n, size)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*nodes), "ns/node")
	closeStore(b, s)
}

func BenchmarkBelow(b *testing.B) {
	for _, nodes := range []int{0, 1000, 100_000} {
		b.Run(fmt.Sprint(nodes), func(b *testing.B) {
			s := open(b, vfs.NewMem())
			m := newModel()
			install(b, s, m, createTxn(1, "/d", nil))
			var txns []*proto.Txn
			for i := range nodes {
				txns = append(txns, createTxn(m.at.ID+1+zxid.ID(i), fmt.Sprintf("/d/%08d", i), nil))
			}
			if nodes > 0 {
				install(b, s, m, txns...)
			}
			if err := s.Flush(); err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			for b.Loop() {
				if n := s.Below("/d")(nil); n != nodes {
					b.Fatal(n)
				}
			}
			closeStore(b, s)
		})
	}
}
