package znode_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/zabkeeper/zabkeeper/proto"
	"github.com/zabkeeper/zabkeeper/znode"
)

func quotaCluster(t *testing.T, enforce bool) *cluster {
	t.Helper()
	return newClusterWith(t, znode.PrepareOptions{EnforceQuota: enforce, ExtendedTypes: true})
}

func (c *cluster) createWith(path, data string) znode.Result {
	c.t.Helper()
	return c.do(proto.OpCreate2, proto.CreateRequest{Path: path, ACL: open, Data: []byte(data)})
}

func (c *cluster) setWith(path, data string) znode.Result {
	c.t.Helper()
	return c.do(proto.OpSetData, proto.SetDataRequest{Path: path, Data: []byte(data), Version: -1})
}

// setQuota does what zkCli's setquota does.
func (c *cluster) setQuota(root, limits string) {
	c.t.Helper()
	for i := range root + "/" {
		if at := quotaPrefix + (root + "/")[:i]; i > 0 && (root + "/")[i] == '/' && c.tree.nodes[at] == nil {
			c.must(c.createWith(at, ""))
		}
	}
	c.must(c.createWith(quotaPrefix+root+"/zookeeper_limits", limits))
	c.must(c.createWith(quotaPrefix+root+"/zookeeper_stats", "count=0,bytes=0"))
}

func (c *cluster) wantUsage(when, root, want string) {
	c.t.Helper()
	if got := string(c.tree.nodes[quotaPrefix+root+"/zookeeper_stats"].Data); got != want {
		c.t.Errorf("%s: usage of %s is %q, want %q", when, root, got, want)
	}
}

// TestQuotaUsage follows the usage through every kind of change (spec semantics 11.4).
func TestQuotaUsage(t *testing.T) {
	c := quotaCluster(t, false)
	c.mustCreate("/q", "/q/a", "/q/a/b", "/q2", "/zookeeper/x")
	c.setQuota("/q", "count=1,bytes=1")
	c.wantUsage("at creation, its own root and what is below it", "/q", "count=3,bytes=3")
	c.must(c.createWith("/q/c", "1234"))
	c.wantUsage("create", "/q", "count=4,bytes=7")
	c.must(c.setWith("/q/c", "12"))
	c.wantUsage("setData", "/q", "count=4,bytes=5")
	c.must(c.setWith("/q", ""))
	c.wantUsage("setData of the root", "/q", "count=4,bytes=4")
	c.must(c.create("/q/e", proto.ModeEphemeral))
	c.must(c.do(proto.OpCreateContainer, proto.CreateRequest{Path: "/q/k", ACL: open, Mode: proto.ModeContainer, Data: []byte("kk")}))
	c.must(c.do(proto.OpCreateTTL, proto.CreateTTLRequest{Path: "/q/t", ACL: open, Mode: proto.ModePersistentWithTTL, TTL: 5}))
	c.wantUsage("an ephemeral, a container, a TTL node", "/q", "count=7,bytes=7")
	c.must(c.do(proto.OpDelete, proto.DeleteRequest{Path: "/q/a/b", Version: -1}))
	c.wantUsage("delete", "/q", "count=6,bytes=6")
	c.must(c.do(proto.OpDelete, proto.DeleteRequest{Path: "/q/k", Version: -1}))
	c.wantUsage("delete of a container", "/q", "count=5,bytes=4")
	c.do(proto.OpMulti, multi(opCreate("/q/m", 0), opSet("/q/m", "abc", -1), opDelete("/q/t", -1)))
	c.wantUsage("multi", "/q", "count=5,bytes=7")
	c.do(proto.OpMulti, multi(opCreate("/q/n", 0), opCheck("/nope", -1)))
	c.wantUsage("a multi that fails", "/q", "count=5,bytes=7")
	c.mustCreate("/q2/a", "/zookeeper/x/y")
	c.wantUsage("elsewhere", "/q", "count=5,bytes=7")
	c.setQuota("/q/a", "count=9,bytes=9")
	c.wantUsage("a quota inside", "/q/a", "count=1,bytes=1")
	c.mustCreate("/q/a/z")
	c.wantUsage("below the inner root", "/q/a", "count=2,bytes=2")
	c.wantUsage("below the inner root the outer one is not told", "/q", "count=5,bytes=7")
	c.must(c.do(proto.OpDelete, proto.DeleteRequest{Path: quotaPrefix + "/q/a/zookeeper_limits", Version: -1}))
	c.must(c.do(proto.OpDelete, proto.DeleteRequest{Path: "/q/a/z", Version: -1}))
	c.wantUsage("without limits the usage stays as it is", "/q/a", "count=2,bytes=2")
	c.wantUsage("and the outer root is told", "/q", "count=4,bytes=6")
	c.must(c.createWith(quotaPrefix+"/q/a/zookeeper_limits", "count=1"))
	c.wantUsage("new limits take it as it is", "/q/a", "count=2,bytes=2")
	c.do(proto.OpCloseSession, nil)
	c.wantUsage("the end of a session", "/q", "count=3,bytes=5")
	c.setQuota("/zookeeper/x", "count=1")
	c.wantUsage("nodes beside the quotas", "/zookeeper/x", "count=2,bytes=2")
	c.tree.check(t)
}

// TestQuotaInOneBatch: the first quota counts from the transaction on that makes it.
func TestQuotaInOneBatch(t *testing.T) {
	c := quotaCluster(t, false)
	for _, path := range []string{"/a", quotaPrefix + "/a", quotaPrefix + "/a/zookeeper_limits", quotaPrefix + "/a/zookeeper_stats", "/a/b"} {
		c.propose(c.request(proto.OpCreate, proto.CreateRequest{Path: path, ACL: open, Data: []byte("x")}))
	}
	c.apply(len(c.queue))
	c.wantUsage("in the same batch", "/a", "count=2,bytes=2")
}

// TestQuotaIsSilent: for a client the usage changes without any sign but the data.
func TestQuotaIsSilent(t *testing.T) {
	c := quotaCluster(t, false)
	c.mustCreate("/q", quotaPrefix+"/q", quotaPrefix+"/q/zookeeper_limits")
	const stats = quotaPrefix + "/q/zookeeper_stats"
	r := c.must(c.createWith(stats, "mine"))
	if r.Stat.DataLength != int32(len("mine")) {
		t.Errorf("the reply to create tells of %d bytes, want those of the request", r.Stat.DataLength)
	}
	before := c.stat(stats)
	if got := before.DataLength; got != int32(len("count=1,bytes=1")) {
		t.Errorf("exists tells of %d bytes", got)
	}
	r = c.must(c.create("/q/a", proto.ModePersistent))
	const want = "data /q/a NodeCreated\nchild /q NodeChildrenChanged\n"
	if got := describe(r.Triggers); got != want {
		t.Errorf("triggers\n%swant\n%s", got, want)
	}
	if after := c.stat(stats); after != before {
		t.Errorf("Stat of the usage changed\nfrom %+v\nto   %+v", before, after)
	}
	c.wantUsage("create", "/q", "count=2,bytes=2")
}

// TestQuotaText: what is read and written, byte for byte as ZooKeeper's StatsTrack has it. The
// text is put into the stats node by a client; creating a node of 5 bytes changes it.
func TestQuotaText(t *testing.T) {
	for text, want := range map[string]string{
		"count=1,bytes=2": "count=2,bytes=7",
		"":                "count=0,bytes=4",
		",;":              "count=0,bytes=4",
		"bytes=2":         "count=0,bytes=7",
		"count=1,bytes=-1=;byteHardLimit=-1;countHardLimit=10": "count=2,bytes=4=;byteHardLimit=-1;countHardLimit=10",
		"zz=1;a=2,count=3;;,bytes=4,":                          "count=4,bytes=9=;a=2;zz=1",
		"count==7,bytes=-0":                                    "count=0,bytes=5",
		"count=+7=8,bytes=1==":                                 "count=8,bytes=6",
		"count=1,count=5":                                      "count=6,bytes=4",
		"=4":                                                   "count=0,bytes=4=;=4",
		"bytes=9223372036854775807":                            "count=0,bytes=-9223372036854775804",
		// What cannot be read is left alone.
		"count":                     "count",
		"count=":                    "count=",
		"=":                         "=",
		",count=1":                  ",count=1",
		"count=x":                   "count=x",
		"count=1 ,bytes=2":          "count=1 ,bytes=2",
		"count= 1":                  "count= 1",
		"bytes=9223372036854775808": "bytes=9223372036854775808",
		"count=1,x=0" + strings.Repeat("0", 1024): "count=1,x=0" + strings.Repeat("0", 1024),
	} {
		c := quotaCluster(t, false)
		c.mustCreate("/q")
		c.setQuota("/q", "")
		c.must(c.setWith(quotaPrefix+"/q/zookeeper_stats", text))
		c.must(c.createWith("/q/a", "12345"))
		c.wantUsage(fmt.Sprintf("%.40q", text), "/q", want)
	}
}

// TestNoQuota: nodes with the names of quotas in places where they are none (spec semantics 17,
// defect 3, and the trees that quotas themselves live in).
func TestNoQuota(t *testing.T) {
	const mine = "count=5,bytes=5" // a usage that could be counted on
	for _, place := range []string{
		quotaPrefix, quotaPrefix + "/zookeeper", quotaPrefix + "/zookeeper/quota", quotaPrefix + "/zookeeper/quota/a",
		"/zookeeper", "/zookeeper/quotas", "/zookeeper/quotas/a", "/a",
	} {
		c := quotaCluster(t, true)
		c.mustCreate("/a", "/zookeeper/x", "/zookeeper/quotas", "/zookeeper/quotas/a", quotaPrefix+"/a")
		for end := range place {
			if at := place[:end]; end > 0 && place[end] == '/' && c.tree.nodes[at] == nil {
				c.mustCreate(at)
			}
		}
		if c.tree.nodes[place] == nil {
			c.mustCreate(place)
		}
		c.must(c.createWith(place+"/zookeeper_limits", "countHardLimit=0"))
		c.must(c.createWith(place+"/zookeeper_stats", mine))
		c.mustCreate("/a/b", "/c", "/zookeeper/x/y", quotaPrefix+"/a/z", "/zookeeper/quotas/a/b")
		if got := string(c.tree.nodes[place+"/zookeeper_stats"].Data); got != mine {
			t.Errorf("%q: the data of an ordinary node became %q", place, got)
		}
		for _, name := range []string{"/zookeeper_limits", "/zookeeper_stats"} {
			c.must(c.do(proto.OpDelete, proto.DeleteRequest{Path: place + name, Version: -1}))
		}
		c.tree.check(t)
	}
}

// TestQuotaEnforcement: limits against a usage of 3 nodes and 3 bytes, /q, /q/a and /q/b.
func TestQuotaEnforcement(t *testing.T) {
	const over = proto.CodeQuotaExceeded
	create := func(c *cluster) znode.Result { return c.createWith("/q/new", "12") }
	createEmpty := func(c *cluster) znode.Result { return c.createWith("/q/new", "") }
	set := func(data string) func(*cluster) znode.Result {
		return func(c *cluster) znode.Result { return c.setWith("/q/a", data) }
	}
	soft, hard := znode.QuotaSoft, znode.QuotaHard
	for _, tc := range []struct {
		name, limits string
		do           func(c *cluster) znode.Result
		code         proto.Code
		notice       znode.QuotaNotice
	}{
		{"no limits", "", create, ok, znode.QuotaNotice{}},
		{"-1 is none", "count=-1,bytes=-1=;byteHardLimit=-1;countHardLimit=-1", create, ok, znode.QuotaNotice{}},
		{"count fits", "count=4,bytes=5=;byteHardLimit=5;countHardLimit=4", create, ok, znode.QuotaNotice{}},
		{"soft count", "count=3", create, ok, znode.QuotaNotice{Problem: soft, Root: "/q", Usage: 4, Limit: 3}},
		{"soft bytes", "bytes=4", create, ok, znode.QuotaNotice{Problem: soft, Root: "/q", Bytes: true, Usage: 5, Limit: 4}},
		{"hard count", "countHardLimit=3", create, over, znode.QuotaNotice{Problem: hard, Root: "/q", Usage: 4, Limit: 3}},
		{"hard bytes", "byteHardLimit=4", create, over, znode.QuotaNotice{Problem: hard, Root: "/q", Bytes: true, Usage: 5, Limit: 4}},
		{"hard over soft", "count=1,bytes=1=;byteHardLimit=9;countHardLimit=9", create, ok, znode.QuotaNotice{}},
		{"count before bytes", "byteHardLimit=4;countHardLimit=3", create, over, znode.QuotaNotice{Problem: hard, Root: "/q", Usage: 4, Limit: 3}},
		{"soft count, hard bytes", "count=3;byteHardLimit=4", create, over, znode.QuotaNotice{Problem: hard, Root: "/q", Bytes: true, Usage: 5, Limit: 4}},
		{"zero is a limit", "countHardLimit=0", create, over, znode.QuotaNotice{Problem: hard, Root: "/q", Usage: 4}},
		{"no bytes, no check of bytes", "byteHardLimit=1", createEmpty, ok, znode.QuotaNotice{}},
		{"setData does not count", "countHardLimit=1", set("12345"), ok, znode.QuotaNotice{}},
		{"setData grows", "byteHardLimit=4", set("123"), over, znode.QuotaNotice{Problem: hard, Root: "/q", Bytes: true, Usage: 5, Limit: 4}},
		{"setData fits", "byteHardLimit=5", set("123"), ok, znode.QuotaNotice{}},
		{"setData of the same length", "byteHardLimit=1", set("y"), ok, znode.QuotaNotice{}},
		{"setData shrinks, but not enough", "byteHardLimit=1", set(""), over, znode.QuotaNotice{Problem: hard, Root: "/q", Bytes: true, Usage: 2, Limit: 1}},
		{"setData shrinks enough", "byteHardLimit=2", set(""), ok, znode.QuotaNotice{}},
		{"unreadable limits", "countHardLimit=many", create, ok, znode.QuotaNotice{Problem: znode.QuotaLimitsUnreadable, Root: "/q"}},
		{"endless limits", "countHardLimit=0" + strings.Repeat("0", 1024), create, ok, znode.QuotaNotice{Problem: znode.QuotaLimitsUnreadable, Root: "/q"}},
		{"elsewhere", "countHardLimit=0", func(c *cluster) znode.Result { return c.createWith("/p", "") }, ok, znode.QuotaNotice{}},
		{"delete is free", "countHardLimit=0;byteHardLimit=0", func(c *cluster) znode.Result {
			return c.do(proto.OpDelete, proto.DeleteRequest{Path: "/q/a", Version: -1})
		}, ok, znode.QuotaNotice{}},
		{"super is not exempt", "countHardLimit=3", func(c *cluster) znode.Result {
			c.ids = []proto.ID{znode.SuperID()}
			return create(c)
		}, over, znode.QuotaNotice{Problem: hard, Root: "/q", Usage: 4, Limit: 3}},
		{"other creates", "countHardLimit=3", func(c *cluster) znode.Result {
			return c.do(proto.OpCreateTTL, proto.CreateTTLRequest{Path: "/q/t", ACL: open, Mode: proto.ModePersistentWithTTL, TTL: 5})
		}, over, znode.QuotaNotice{Problem: hard, Root: "/q", Usage: 4, Limit: 3}},
		{"an existing node beats the quota", "countHardLimit=3", func(c *cluster) znode.Result { return c.createWith("/q/a", "") }, exists, znode.QuotaNotice{}},
		{"the quota beats the version", "byteHardLimit=3", func(c *cluster) znode.Result {
			return c.do(proto.OpSetData, proto.SetDataRequest{Path: "/q/a", Data: []byte("12"), Version: 7})
		}, over, znode.QuotaNotice{Problem: hard, Root: "/q", Bytes: true, Usage: 4, Limit: 3}},
		{"the ACL beats the quota", "byteHardLimit=3", func(c *cluster) znode.Result {
			c.must(c.do(proto.OpSetACL, proto.SetACLRequest{Path: "/q/a", ACL: proto.WorldACL(proto.PermRead), Version: -1}))
			return c.setWith("/q/a", "12")
		}, noAuth, znode.QuotaNotice{}},
		{"lost usage", "countHardLimit=0", func(c *cluster) znode.Result {
			c.must(c.do(proto.OpDelete, proto.DeleteRequest{Path: quotaPrefix + "/q/zookeeper_stats", Version: -1}))
			return create(c)
		}, ok, znode.QuotaNotice{Problem: znode.QuotaUsageUnknown, Root: "/q"}},
	} {
		for _, enforce := range []bool{true, false} {
			c := quotaCluster(t, enforce)
			c.mustCreate("/q", "/q/a", "/q/b")
			c.setQuota("/q", tc.limits)
			want, wantNotice := tc.code, tc.notice
			if !enforce {
				wantNotice = znode.QuotaNotice{}
				if want == over {
					want = ok
				}
			}
			if enforce || tc.name != "the quota beats the version" {
				if r := tc.do(c); r.Code != want {
					t.Errorf("%s, enforced %v: %v, want %v", tc.name, enforce, r.Code, want)
				}
			}
			if got, some := c.prep.QuotaNotice(); got != wantNotice || some != (wantNotice != znode.QuotaNotice{}) {
				t.Errorf("%s, enforced %v: notice %+v %v, want %+v", tc.name, enforce, got, some, wantNotice)
			}
		}
	}
}

// TestQuotaIsJudgedByTheTree: proposals that are not applied do not count, so a burst overshoots;
// but the length of the data that is replaced is that of the newest proposal.
func TestQuotaIsJudgedByTheTree(t *testing.T) {
	c := quotaCluster(t, true)
	c.mustCreate("/q")
	c.setQuota("/q", "countHardLimit=2;byteHardLimit=10")
	for i := range 4 {
		c.propose(c.request(proto.OpCreate, proto.CreateRequest{Path: fmt.Sprintf("/q/%d", i), ACL: open}))
	}
	c.propose(c.request(proto.OpSetData, proto.SetDataRequest{Path: "/q", Data: []byte("1234567890"), Version: -1}))
	c.propose(c.request(proto.OpSetData, proto.SetDataRequest{Path: "/q", Data: []byte("12345678901"), Version: -1}))
	for i, r := range c.apply(len(c.queue)) {
		if r.Code != ok {
			t.Errorf("request %d of a burst: %v", i, r.Code)
		}
	}
	c.prep.Applied(c.last)
	c.wantUsage("after the burst", "/q", "count=5,bytes=11")
	if r := c.createWith("/q/x", ""); r.Code != proto.CodeQuotaExceeded {
		t.Errorf("after the burst: %v", r.Code)
	}
	if _, some := c.prep.QuotaNotice(); !some {
		t.Error("no notice")
	}
	c.mustCreate("/elsewhere")
	if n, some := c.prep.QuotaNotice(); some {
		t.Errorf("the notice of an older request is still there: %+v", n)
	}
}

// TestQuotaInMulti: the refused operation says why, the rest -2 (spec semantics 11.4).
func TestQuotaInMulti(t *testing.T) {
	c := quotaCluster(t, true)
	c.mustCreate("/q")
	c.setQuota("/q", "countHardLimit=1")
	r := c.do(proto.OpMulti, multi(opSet("/q", "xyz", -1), opCreate("/q/a", 0), opCreate("/p", 0)))
	want := []proto.Code{proto.CodeOK, proto.CodeQuotaExceeded, proto.CodeRuntimeInconsistency}
	if got := codes(r.Multi); fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("%v, want %v", got, want)
	}
	c.wantUsage("nothing happened", "/q", "count=1,bytes=1")
	r = c.do(proto.OpMulti, multi(opDelete("/q", -1), opCreate("/q", 0)))
	if got := codes(r.Multi); fmt.Sprint(got) != fmt.Sprint([]proto.Code{0, proto.CodeQuotaExceeded}) {
		t.Errorf("a delete in the same multi does not make room: %v", got)
	}
}
