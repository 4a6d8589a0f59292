package znode_test

import (
	"bytes"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/zabkeeper/zabkeeper/proto"
	"github.com/zabkeeper/zabkeeper/znode"
)

// The quotas of the model: no walk down a tree, but a look at all nodes each time.

const quotaPrefix = "/zookeeper/quota"

// rootOf returns the deepest quota root on path in nodes, "" for none.
func rootOf(nodes map[string]*modelNode, path string) string {
	deepest := ""
	if strings.HasPrefix(path+"/", quotaPrefix+"/") {
		return ""
	}
	for p := range nodes {
		rest, found := strings.CutPrefix(p, quotaPrefix)
		root, isLimits := strings.CutSuffix(rest, "/zookeeper_limits")
		if found && isLimits && !strings.HasPrefix(root+"/", quotaPrefix+"/") && root != "" && root != "/zookeeper" &&
			strings.HasPrefix(path+"/", root+"/") && len(root) > len(deepest) {
			deepest = root
		}
	}
	return deepest
}

var separators = regexp.MustCompile("[,;]+")

// javaSplit drops empty strings at the end, as String.split does.
func javaSplit(parts []string) []string {
	for len(parts) > 0 && parts[len(parts)-1] == "" {
		parts = parts[:len(parts)-1]
	}
	return parts
}

// readStats follows ZooKeeper's StatsTrack.
func readStats(data []byte) map[string]int64 {
	if data == nil {
		return nil
	}
	stats := map[string]int64{}
	for _, pair := range javaSplit(separators.Split(string(data), -1)) {
		kv := javaSplit(strings.Split(pair, "="))
		if len(kv) < 2 {
			return nil
		}
		if kv[1] == "" {
			kv[1] = "-1"
		}
		n, err := strconv.ParseInt(kv[1], 10, 64)
		if err != nil {
			return nil
		}
		stats[kv[0]] = n
	}
	return stats
}

func valueOf(stats map[string]int64, key string) int64 {
	if n, ok := stats[key]; ok {
		return n
	}
	return -1
}

func writeStats(stats map[string]int64) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "count=%d,bytes=%d", valueOf(stats, "count"), valueOf(stats, "bytes"))
	before := "=;"
	for _, key := range slices.Sorted(maps.Keys(stats)) {
		if key != "count" && key != "bytes" {
			fmt.Fprintf(&b, "%s%s=%d", before, key, stats[key])
			before = ";"
		}
	}
	return b.Bytes()
}

func (m *model) charge(path string, nodes, size int) {
	n := m.nodes[quotaPrefix+rootOf(m.nodes, path)+"/zookeeper_stats"]
	if rootOf(m.nodes, path) == "" || n == nil {
		return
	}
	if stats := readStats(n.data); stats != nil {
		stats["count"], stats["bytes"] = valueOf(stats, "count")+int64(nodes), valueOf(stats, "bytes")+int64(size)
		n.data = writeStats(stats)
	}
}

// charged counts a node that was just created.
func (m *model) charged(path string, size int) {
	for p, n := range m.nodes {
		root, isStats := strings.CutSuffix(p, "/zookeeper_stats")
		if !isStats || path != p || !strings.HasPrefix(root, quotaPrefix+"/") {
			continue
		}
		root = strings.TrimPrefix(root, quotaPrefix)
		if strings.HasPrefix(root+"/", quotaPrefix+"/") || root == "/zookeeper" {
			continue
		}
		stats := map[string]int64{"count": 0, "bytes": 0}
		for below, node := range m.nodes {
			if strings.HasPrefix(below+"/", root+"/") {
				stats["count"]++
				stats["bytes"] += int64(len(node.data))
			}
		}
		n.data = writeStats(stats)
	}
	m.charge(path, 1, size)
}

// overQuota judges by the tree as it was before the request.
func (m *model) overQuota(path string, nodes, size int) bool {
	root := rootOf(m.before, path)
	if !m.enforce || root == "" {
		return false
	}
	limits := readStats(m.before[quotaPrefix+root+"/zookeeper_limits"].data)
	node := m.before[quotaPrefix+root+"/zookeeper_stats"]
	if limits == nil || node == nil {
		return false
	}
	usage := readStats(node.data)
	over := func(hard, used string, difference int) bool {
		limit := valueOf(limits, hard)
		return difference != 0 && limit >= 0 && valueOf(usage, used)+int64(difference) > limit
	}
	return usage != nil && (over("countHardLimit", "count", nodes) || over("byteHardLimit", "bytes", size))
}

// genQuotaText makes data of limits and stats nodes.
func genQuotaText() *rapid.Generator[[]byte] {
	return rapid.OneOf(
		rapid.Map(rapid.IntRange(-1, 5), func(n int) []byte { return fmt.Appendf(nil, "countHardLimit=%d", n) }),
		rapid.Map(rapid.IntRange(-1, 12), func(n int) []byte { return fmt.Appendf(nil, "bytes=3=;byteHardLimit=%d", n) }),
		rapid.SampledFrom([][]byte{
			[]byte("count=2,bytes=9"), []byte("count=1,bytes=-1=;byteHardLimit=8;countHardLimit=3"),
			[]byte("bytes=4,count=7,other==;;count=+3;"), []byte("countHardLimit=many"), []byte(",count=1"), []byte(";"), nil,
		}),
	)
}

// genQuotaOp makes an operation on a small tree or on its quotas.
func genQuotaOp() *rapid.Generator[proto.MultiOp] {
	paths := []string{"/a", "/a/b", "/a/b/c", "/a/b/c/d", "/a/b/e", "/a/b2", "/b", "/b/x", "/zookeeper/x"}
	return rapid.Custom(func(t *rapid.T) proto.MultiOp {
		path := rapid.SampledFrom(paths).Draw(t, "path")
		data := rapid.Map(rapid.IntRange(0, 6), func(n int) []byte { return make([]byte, n) }).Draw(t, "data")
		if rapid.IntRange(0, 5).Draw(t, "quota") == 0 {
			path = quotaPrefix + rapid.SampledFrom([]string{"", "/a", "/a/b", "/a/b/c", "/b", "/zookeeper"}).Draw(t, "root")
			path += rapid.SampledFrom([]string{"", "/zookeeper_limits", "/zookeeper_limits", "/zookeeper_stats"}).Draw(t, "node")
			data = genQuotaText().Draw(t, "text")
		}
		switch rapid.IntRange(0, 6).Draw(t, "op") {
		case 0, 1:
			return proto.MultiOp{Op: proto.OpSetData, Request: &proto.SetDataRequest{Path: path, Data: data, Version: -1}}
		case 2, 3:
			return proto.MultiOp{Op: proto.OpDelete, Request: &proto.DeleteRequest{Path: path, Version: -1}}
		default:
			mode := rapid.SampledFrom([]proto.CreateMode{0, 0, 0, 1}).Draw(t, "mode")
			return proto.MultiOp{Op: proto.OpCreate2, Request: &proto.CreateRequest{Path: path, Data: data, ACL: open, Mode: mode}}
		}
	})
}

// genQuotas makes creations of some quotas, and of all nodes that they need, or not.
func genQuotas() *rapid.Generator[[]proto.MultiOp] {
	return rapid.Custom(func(t *rapid.T) []proto.MultiOp {
		var list []proto.MultiOp
		create := func(path string, data []byte) {
			list = append(list, proto.MultiOp{Op: proto.OpCreate2, Request: &proto.CreateRequest{Path: path, Data: data, ACL: open}})
		}
		roots := []string{"/a", "/a/b", "/a/b/c", "/b"}
		for _, root := range roots[:rapid.IntRange(0, len(roots)).Draw(t, "nodes")] {
			create(root, []byte("abc"))
		}
		for _, root := range roots {
			create(quotaPrefix+root, nil)
			if rapid.Bool().Draw(t, "limited") {
				create(quotaPrefix+root+"/zookeeper_limits", genQuotaText().Draw(t, "limits"))
				create(quotaPrefix+root+"/zookeeper_stats", nil)
			}
		}
		return list
	})
}

// TestQuotasEqualTheModel runs random writes over a small tree with nested quotas. Where quotas
// are enforced there is no lag, because the applied tree is what they are judged by.
func TestQuotasEqualTheModel(t *testing.T) {
	exceeded := 0
	rapid.Check(t, func(rt *rapid.T) {
		enforce := rapid.Bool().Draw(rt, "enforce")
		c := newClusterWith(t, znode.PrepareOptions{EnforceQuota: enforce})
		m := newModel()
		m.enforce = enforce
		m.sessions[session1], m.sessions[session2] = true, true
		var requests []*modelRequest
		var want []outcome
		apply := func() {
			for i, r := range c.apply(len(want)) {
				got := outcome{r.Code, r.Path, r.Stat, r.Multi, describe(r.Triggers)}
				if diff := compare(requests[i], got, want[i]); diff != "" {
					rt.Fatalf("%v %+v: %s", requests[i].op, requests[i].body, diff)
				}
			}
			c.prep.Applied(c.last)
			requests, want = nil, nil
		}
		send := func(r *modelRequest) {
			wire := &znode.Request{Session: r.session, Op: r.op, Timeout: 1000}
			if r.body != nil {
				wire.Body = r.body.Append(nil)
			}
			c.propose(wire)
			m.zxid, m.now = c.last, c.now
			requests, want = append(requests, r), append(want, m.exec(r))
			if want[len(want)-1].code == proto.CodeQuotaExceeded {
				exceeded++
			}
			if enforce || rapid.IntRange(0, 3).Draw(rt, "batch") == 0 {
				apply()
			}
		}
		for _, op := range genQuotas().Draw(rt, "quotas") {
			send(&modelRequest{session: session1, op: op.Op, body: op.Request})
		}
		for range rapid.IntRange(1, 80).Draw(rt, "steps") {
			switch rapid.IntRange(0, 14).Draw(rt, "kind") {
			case 0:
				send(&modelRequest{session: session2, op: proto.OpCloseSession})
				send(&modelRequest{session: session2, op: proto.OpCreateSession})
			case 1, 2:
				ops := rapid.SliceOfN(genQuotaOp(), 1, 4).Draw(rt, "ops")
				send(&modelRequest{session: session1, op: proto.OpMulti, body: &proto.MultiRequest{Ops: ops}})
			default:
				op := genQuotaOp().Draw(rt, "op")
				send(&modelRequest{session: session2, op: op.Op, body: op.Request})
			}
		}
		apply()
		if diff := m.differences(c.tree); diff != "" {
			rt.Fatal(diff)
		}
		c.tree.check(t)
		replay(t, rt, c)
	})
	if exceeded == 0 {
		t.Error("no request has met a hard limit")
	}
}

// FuzzQuotaText: whatever a client writes into a stats node is read and written as the model does.
func FuzzQuotaText(f *testing.F) {
	for _, text := range []string{"count=1,bytes=2", "bytes=4,count=7,other==;;count=+3;", ",;", "=4", "count=", "a=1;count=2=3", "é=5,ÿ=-6"} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		c := newClusterWith(t, znode.PrepareOptions{EnforceQuota: true})
		c.mustCreate("/q")
		c.setQuota("/q", string(text))
		c.must(c.do(proto.OpSetData, proto.SetDataRequest{Path: quotaPrefix + "/q/zookeeper_stats", Data: text, Version: -1}))
		r := c.createWith("/q/a", "12345")
		want := text
		if stats := readStats(text); stats != nil && len(text) <= 1024 && r.Code == ok {
			stats["count"], stats["bytes"] = valueOf(stats, "count")+1, valueOf(stats, "bytes")+5
			want = writeStats(stats)
		}
		if r.Code != ok && r.Code != proto.CodeQuotaExceeded {
			t.Errorf("create: %v", r.Code)
		}
		c.wantUsage("create", "/q", string(want))
		c.tree.check(t)
	})
}
