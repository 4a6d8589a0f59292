package zktest_test

import (
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/zabkeeper/zabkeeper/proto"
	"github.com/zabkeeper/zabkeeper/server/zktest"
)

// watchPitfalls are about watches.
var watchPitfalls = []pitfall{
	{"Pitfall42ChildWatchesIgnoreDataOfChildren", dataOfChildren},
	{"Pitfall43EventsStandBetweenTheRightReplies", eventOrder},
	{"Pitfall44FiredMeansForgotten", firedMeansForgotten},
	{"Pitfall45AllKindsEndWithTheConnection", kindsEnd},
	{"Pitfall46SetWatchesCatchesUp", catchUp},
	{"Pitfall47OneEventForOneDelete", oneEventForOneDelete},
	{"Pitfall48PersistentAndRecursive", persistentAndRecursive},
	{"Pitfall49OnlyExistsWatchesWhatIsNotThere", missingNodes},
	{"Pitfall50EndsOfSessionsFire", endsOfSessions},
	{"Pitfall51EventsAreForThoseWhoMayRead", mayRead},
	{"Pitfall52WatchesAreNotInherited", notInherited},
}

// addWatch leaves a persistent watch.
func (c *speaker) addWatch(path string, mode proto.AddWatchMode) {
	c.t.Helper()
	c.do(proto.OpAddWatch, proto.AddWatchRequest{Path: path, Mode: mode})
}

// writer is a client of another server of the ensemble, if there is one.
func (f *face) writer(t *testing.T) *speaker {
	t.Helper()
	s := f.all[0]
	if s == f.server {
		s = f.all[len(f.all)-1]
	}
	c := openAt(t, s, lifetime)
	c.sync()
	return c
}

func dataOfChildren(t *testing.T, f *face) {
	c := f.dir(t)
	c.create(f.root + "/a")
	w := f.writer(t)
	c.watch(proto.OpGetChildren, f.root)
	w.set(f.root + "/a")
	w.set(f.root)
	w.create(f.root + "/a/deep")
	c.wantEvents()
	w.create(f.root + "/b")
	c.wantEvents("NodeChildrenChanged " + f.root)
}

func eventOrder(t *testing.T, f *face) {
	c := f.dir(t)
	set := proto.SetDataRequest{Path: f.root, Version: -1}
	get := proto.ReadRequest{Path: f.root, Watch: true}
	var frames [][]byte
	for range 20 {
		frames = append(frames, c.frame(proto.OpGetData, get), c.frame(proto.OpSetData, set))
	}
	first := c.xid - proto.Xid(len(frames)) + 1
	c.write(frames...)
	for i := range 20 {
		read, event, write := c.next(), c.next(), c.next()
		xid := first + proto.Xid(2*i)
		if read.Xid != xid || event.event() != "NodeDataChanged "+f.root || write.Xid != xid+1 || event.Zxid != write.Zxid {
			t.Fatalf("round %d: %d, %q of %v, %d of %v", i, read.Xid, event.event(), event.Zxid, write.Xid, write.Zxid)
		}
	}
	// The change of another client: the event is there before its effect can be read.
	w := f.writer(t)
	c.watch(proto.OpGetData, f.root)
	changed := w.call(proto.OpSetData, set).Zxid
	for fired := false; ; {
		c.write(c.frame(proto.OpGetData, proto.ReadRequest{Path: f.root}))
		r := c.next()
		for ; r.Xid == proto.XidNotification; r = c.next() {
			fired = true
		}
		shown := read[proto.GetDataResponse](t, r.body).Stat.Mzxid >= changed
		if shown && !fired {
			t.Fatal("the new state is read ahead of the event")
		}
		if shown {
			break
		}
	}
}

// watches returns how many watches a server keeps, as mntr counts them.
func (f *face) watches() (int, error) {
	text, err := word(f.server, "mntr")
	if err != nil {
		return 0, err
	}
	_, rest, _ := strings.Cut(text, "\nzk_watch_count\t")
	line, _, _ := strings.Cut(rest, "\n")
	return strconv.Atoi(line)
}

// wantWatches checks the number of watches.
func (f *face) wantWatches(t *testing.T, want int) {
	t.Helper()
	if n, err := f.watches(); err != nil || n != want {
		t.Errorf("the server keeps %d watches, %v, want %d", n, err, want)
	}
}

// noWatches waits until all clients that left watches are gone.
func (f *face) noWatches(t *testing.T) {
	t.Helper()
	zktest.Eventually(t, "watches end with their connections", func() error {
		n, err := f.watches()
		if err == nil && n > 0 {
			err = fmt.Errorf("%d watches", n)
		}
		return err
	})
}

func firedMeansForgotten(t *testing.T, f *face) {
	f.noWatches(t)
	c := f.dir(t)
	w := f.writer(t)
	a := f.root + "/a"
	c.fails(proto.CodeNoNode, proto.OpExists, proto.ReadRequest{Path: a, Watch: true})
	c.watch(proto.OpGetChildren, f.root)
	f.wantWatches(t, 2)
	w.create(a)
	c.wantEvents("NodeCreated "+a, "NodeChildrenChanged "+f.root)
	f.wantWatches(t, 0)
	c.watch(proto.OpGetData, a)
	c.watch(proto.OpExists, a)
	f.wantWatches(t, 1)
	w.set(a)
	c.wantEvents("NodeDataChanged " + a)
	f.wantWatches(t, 0)
	w.set(a)
	w.delete(a)
	w.create(a)
	c.wantEvents()
}

// leaveAll leaves every kind of watch at the root of the run and below it.
func (f *face) leaveAll(c *speaker) {
	c.watch(proto.OpGetData, f.root)
	c.watch(proto.OpGetChildren, f.root)
	c.addWatch(f.root, proto.AddWatchPersistent)
	c.addWatch(f.root, proto.AddWatchPersistentRecursive)
	c.fails(proto.CodeNoNode, proto.OpExists, proto.ReadRequest{Path: f.root + "/a", Watch: true})
}

func kindsEnd(t *testing.T, f *face) {
	for _, how := range []string{"by the client", "by closeSession"} {
		c := f.open(t)
		if how == "by the client" {
			c.create(f.root)
		}
		f.leaveAll(c)
		if n, err := f.watches(); err != nil || n == 0 {
			t.Fatalf("%d watches, %v", n, err)
		}
		if how == "by the client" {
			must(t, c.nc.Close())
		} else {
			c.do(proto.OpCloseSession, nil)
			c.closes()
		}
		f.noWatches(t)
	}
}

func catchUp(t *testing.T, f *face) {
	c := f.dir(t)
	w := f.writer(t)
	p := func(name string) string { return f.root + "/" + name }
	for _, name := range []string{"same", "set", "deleted", "kids", "childless", "remade"} {
		c.create(p(name))
	}
	w.sync()
	seen := c.call(proto.OpPing, nil).Zxid
	w.set(p("set"))
	w.delete(p("deleted"))
	w.create(p("kids")+"/x", p("made"))
	w.delete(p("remade"))
	w.create(p("remade"))
	c.sync()
	c.write(c.frame(proto.OpSetWatches, proto.SetWatches{
		RelativeZxid: seen,
		Data:         []string{p("same"), p("set"), p("deleted"), p("remade")},
		Exist:        []string{p("never"), p("made")},
		Child:        []string{p("childless"), p("kids"), p("deleted")},
	}))
	for _, want := range []string{
		"NodeDataChanged " + p("set"), "NodeDeleted " + p("deleted"), "NodeDataChanged " + p("remade"), "NodeCreated " + p("made"),
		"NodeChildrenChanged " + p("kids"), "NodeDeleted " + p("deleted"),
	} {
		if e := c.next(); e.event() != want {
			t.Fatalf("%q, want %q", e.event(), want)
		}
	}
	if r := c.next(); r.Err != proto.CodeOK || r.Xid != c.xid {
		t.Fatalf("%q, %+v behind the events", r.event(), r)
	}
	// What had not changed is watched now, what had fired is not.
	for _, path := range []string{"set", "made", "kids"} {
		w.set(p(path))
	}
	w.set(p("same"))
	w.create(p("never"), p("childless")+"/x", p("kids")+"/y", p("deleted"))
	c.wantEvents("NodeDataChanged "+p("same"), "NodeCreated "+p("never"), "NodeChildrenChanged "+p("childless"))
}

func oneEventForOneDelete(t *testing.T, f *face) {
	c := f.dir(t)
	a := f.root + "/a"
	c.create(a)
	w := f.writer(t)
	other := f.open(t)
	c.watch(proto.OpGetData, a)
	c.watch(proto.OpExists, a)
	c.watch(proto.OpGetChildren, a)
	c.watch(proto.OpGetChildren, f.root)
	other.watch(proto.OpGetChildren, a)
	w.delete(a)
	c.wantEvents("NodeDeleted "+a, "NodeChildrenChanged "+f.root)
	other.wantEvents("NodeDeleted " + a)
	w.create(a)
	w.delete(a)
	c.wantEvents()
	other.wantEvents()
}

func persistentAndRecursive(t *testing.T, f *face) {
	plain, recursive := f.dir(t), f.open(t)
	w := f.writer(t)
	plain.addWatch(f.root, proto.AddWatchPersistent)
	recursive.addWatch(f.root, proto.AddWatchPersistentRecursive)
	a, b := f.root+"/a", f.root+"/a/b"
	for range 2 {
		w.create(a, b)
		w.set(b)
		w.set(f.root)
		w.delete(b)
		w.delete(a)
		plain.wantEvents("NodeChildrenChanged "+f.root, "NodeDataChanged "+f.root, "NodeChildrenChanged "+f.root)
		recursive.wantEvents("NodeCreated "+a, "NodeCreated "+b, "NodeDataChanged "+b, "NodeDataChanged "+f.root,
			"NodeDeleted "+b, "NodeDeleted "+a)
	}
	w.delete(f.root)
	w.create(f.root)
	for _, c := range []*speaker{plain, recursive} {
		c.wantEvents("NodeDeleted "+f.root, "NodeCreated "+f.root)
	}
}

func missingNodes(t *testing.T, f *face) {
	c := f.dir(t)
	w := f.writer(t)
	for op, path := range map[proto.Op]string{
		proto.OpExists: "/exists", proto.OpGetData: "/data", proto.OpGetChildren: "/children", proto.OpGetChildren2: "/children2",
	} {
		path = f.root + path
		c.fails(proto.CodeNoNode, op, proto.ReadRequest{Path: path, Watch: true})
		w.create(path)
		w.create(path + "/x")
		if op == proto.OpExists {
			c.wantEvents("NodeCreated " + path)
			continue
		}
		c.wantEvents()
	}
}

func endsOfSessions(t *testing.T, f *face) {
	c := f.dir(t)
	c.addWatch(f.root, proto.AddWatchPersistent)
	for _, how := range []string{"closed", "expired"} {
		e := f.root + "/" + how
		c.addWatch(e, proto.AddWatchPersistent)
		var short *speaker
		zktest.Eventually(t, "a session lives long enough to own a node", func() error {
			short = openAt(t, f.server, 400)
			_, _, err := short.raw.call(proto.OpCreate, node(e, proto.ModeEphemeral))
			return err
		})
		if how == "closed" {
			short.do(proto.OpCloseSession, nil)
		} // else it is silent
		var last said
		for i, want := range []string{"NodeCreated " + e, "NodeChildrenChanged " + f.root, "NodeDeleted " + e, "NodeChildrenChanged " + f.root} {
			r := c.next()
			if r.event() != want || i%2 == 1 && r.Zxid != last.Zxid {
				t.Errorf("%s: %q of %v, want %q", how, r.event(), r.Zxid, want)
			}
			last = r
		}
	}
}

func mayRead(t *testing.T, f *face) {
	c, owner := f.dir(t), f.writer(t)
	owner.auth("digest", "owner:pw")
	a := f.root + "/a"
	mine := []proto.ACL{{Perms: proto.PermAll, ID: proto.ID{Scheme: "auth"}}}
	owner.create(a)
	c.sync()
	c.watch(proto.OpGetData, a)
	c.watch(proto.OpGetChildren, a)
	owner.do(proto.OpSetACL, proto.SetACLRequest{Path: a, ACL: mine, Version: -1})
	owner.set(a)
	owner.create(a + "/x")
	c.wantEvents()
	c.fails(proto.CodeNoAuth, proto.OpExists, proto.ReadRequest{Path: a, Watch: true})
	// The watches are used up although nothing was sent.
	owner.do(proto.OpSetACL, proto.SetACLRequest{Path: a, ACL: proto.WorldACL(proto.PermAll), Version: -1})
	owner.set(a)
	owner.delete(a + "/x")
	c.wantEvents()
	// Who proves later that it may read gets what comes then.
	c.addWatch(a, proto.AddWatchPersistentRecursive)
	owner.do(proto.OpSetACL, proto.SetACLRequest{Path: a, ACL: mine, Version: -1})
	owner.set(a)
	c.wantEvents()
	c.auth("digest", "owner:pw")
	owner.set(a)
	c.wantEvents("NodeDataChanged " + a)
}

func notInherited(t *testing.T, f *face) {
	c := f.dir(t)
	f.leaveAll(c)
	w := f.writer(t)
	again := c.reopen(f.server)
	c.closes()
	w.create(f.root + "/a")
	w.set(f.root)
	w.set(f.root + "/a")
	again.wantEvents()
	again.fails(proto.CodeNoWatcher, proto.OpCheckWatches, proto.RemoveWatchesRequest{Path: f.root, Type: proto.WatcherAny})
	f.noWatches(t)
}
