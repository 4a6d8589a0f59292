package differ

import (
	"fmt"
	"strings"

	"github.com/zabkeeper/zabkeeper/proto"
)

// path returns the path of a node that is probably there.
func (g *generator) path() Arg {
	switch {
	case g.chance(3):
		return Arg{Text: pick(g, oddPaths), Null: g.chance(4)}
	case g.chance(4):
		path := pick(g, reservedPaths)
		if g.w.Ensemble && path == configPath {
			path = "/zookeeper"
		}
		return Arg{Text: path}
	case len(g.paths) > 0 && g.chance(85):
		return Arg{Text: pick(g, g.paths)}
	}
	return Arg{Text: g.newPath()}
}

// The odd paths break, or just do not break, each rule of semantics 1.2.
var oddPaths = []string{
	"", "a", "a/b", "/a/", "//", "/a//b", "/.", "/..", "/a/./b",
	"/a/../b", "/...", "/.b", "/b.", "/a\x00b", "/a\x01", "/a\x1f", "/a\u007f",
	"/a\u009f", "/a\u00a0", "/a b", "/a\ud7ff", "/a\ue000", "/a\uf8ff", "/a\uf900",
	"/a\uffef", "/a\ufff0", "/a\uffff", "/a\xff", "/a\xed\xa0\x80", "/\U0001f600", "/\u00e4",
	"/a/./", "/a/..", "\x00", "/a\xe2\x82", "/a\xc0\xaf", "/\xf4\x90\x80\x80",
}

// configPath is the node of the ensemble's configuration.
const configPath = "/zookeeper/config"

var reservedPaths = []string{
	"/", "/", "/zookeeper", "/zookeeper/quota", configPath, "/zookeeper/x", "/zookeeper/quota/x", "/zookeeper/config/x", "/zookeeper/quotax",
}

var childNames = []string{"a", "b", "c"}

// newPath returns a path of up to four components, from few names.
func (g *generator) newPath() string {
	var b strings.Builder
	for range 1 + g.IntN(2) + g.IntN(2) + g.IntN(2) {
		b.WriteString("/" + pick(g, childNames))
	}
	return b.String()
}

// newChild returns a path whose parent is probably there.
func (g *generator) newChild() Arg {
	if g.chance(10) {
		return g.path()
	}
	if len(g.paths) == 0 || g.chance(25) {
		return Arg{Text: "/" + pick(g, childNames)}
	}
	parent := pick(g, g.paths)
	if strings.Count(parent, "/") >= 4 {
		return Arg{Text: parent}
	}
	return Arg{Text: parent + "/" + pick(g, childNames)}
}

var versions = []int64{-1, -1, -1, -1, -1, 0, 0, 0, 1, 1, 2, 3, -2, 1<<31 - 1, -1 << 31}

func (g *generator) version() Arg { return Arg{N: pick(g, versions)} }

// data returns the content of a node.
func (g *generator) data() Arg {
	if g.w.Long && g.chance(12) {
		n := g.w.FrameLimit - 40 - g.IntN(60)
		return Arg{Text: strings.Repeat("x", n)}
	}
	return pick(g, []Arg{{Null: true}, {}, {Text: "x"}, {Text: "hello"}, {Text: "\x00\xff"}, {Text: strings.Repeat("y", 100)}})
}

// hashes of the users that authenticate.
const (
	idU = "u:Jq7wMyA/w2Vd5WIDAKdu4OIIFEQ="
	idV = "v:Mfy8apI9YguGKmh+AxUmAFSwkII="
)

var openACL = Arg{ACL: []ACLItem{{31, Arg{Text: "world"}, Arg{Text: "anyone"}}}}

// acl returns a list: mostly open, else anything good or bad.
func (g *generator) acl() Arg {
	if g.chance(60) {
		return openACL
	}
	if g.chance(8) {
		return pick(g, oddACLs)
	}
	var list Arg
	for range 1 + g.IntN(3) {
		list.ACL = append(list.ACL, g.aclItem())
	}
	if g.chance(10) {
		list.ACL = append(list.ACL, list.ACL[0])
	}
	return list
}

// oddACLs are lists that are null or have null parts. Other null parts are an internal error
// of the reference, or not, depending on what stands before them.
var oddACLs = []Arg{
	{Null: true}, {}, {ACL: []ACLItem{{31, Arg{Null: true}, Arg{Text: "x"}}}},
}

// Identities are scheme:id.
var goodIDs = []string{
	"world:anyone", "world:anyone", "digest:" + idU, "digest:" + idV, "auth:", "auth:ignored", "ip:127.0.0.1", "ip:10.0.0.0/8",
	"ip:127.0.0.0/8", "ip:0.0.0.0/0", "digest:a:b", "ip:127.0.0.1/32", "digest::b",
}

var oddIDs = []string{
	"world:x", "world:", "digest:a", "digest:a:", "digest::", "digest:a:b:c", "digest:", "digest:a:b:", "digest:::a",
	"ip:1.2.3", "ip:1.2.3.4.5", "ip:300.1.1.1", "ip:127.0.0.1/33", "ip:127.0.0.1/-1", "ip:127.0.0.1/", "ip:::1", "ip:::1/128",
	"ip:::/0", "ip:1:2:3:4:5:6:7:8", "ip:::1/129", "ip:1::2::3", "ip:::ffff:1.2.3.4", "ip:fe80::1%eth0", "ip:", "ip:x",
	"ip:01.2.3.4", "ip:1.2.3.4/08", "ip:1.2.3.4/8/9", "ip: 1.2.3.4", "ip:+1.2.3.4", "ip:1..2.3", "ip::::", "ip:::", "ip:1:2:3:4:5:6:7",
	"ip:/8", "ip:12345::", "ip:g::1", "ip:1::",
	"super:", "super:x", "ensemble:x", "x509:CN=a", "sasl:u", "nope:x", ":", "digest:a:\U0001f600", "auth:x:y",
}

var oddPerms = []int32{0, -1, 255, 32, 1 << 30, -1 << 31}

func (g *generator) aclItem() ACLItem {
	id := pick(g, goodIDs)
	if g.chance(20) {
		id = pick(g, oddIDs)
	}
	if g.w.SASL && g.chance(50) {
		id = pick(g, saslIDs)
	}
	scheme, id, _ := strings.Cut(id, ":")
	item := ACLItem{int32(g.IntN(32)), Arg{Text: scheme}, Arg{Text: id}}
	if g.chance(50) {
		item.Perms = 31
	} else if g.chance(8) {
		item.Perms = pick(g, oddPerms)
	}
	return item
}

// createPlain creates an ordinary node near the root.
func (g *generator) createPlain() Request {
	r := Request{Op: proto.OpCreate, Args: []Arg{g.newChild(), {Text: "x"}, openACL, {}}}
	g.created(&r, "")
	return r
}

// create creates a node in any way.
func (g *generator) create(owner string) Request {
	for {
		r := g.anyCreate()
		if !g.breaksReference(r.path()) {
			g.created(&r, owner)
			return r
		}
	}
}

// breaksReference reports whether creating or deleting that node kills the reference (semantics
// 11.4 and 17 row 3).
func (g *generator) breaksReference(path string) bool {
	parent, name := path[:max(0, strings.LastIndexByte(path, '/'))], path[strings.LastIndexByte(path, '/')+1:]
	return strings.HasPrefix(parent, "/zookeeper") && !strings.HasPrefix(parent, "/zookeeper/quota/") &&
		(name == "zookeeper_limits" || name == "zookeeper_stats")
}

func (g *generator) anyCreate() Request {
	op := pick(g, []proto.Op{proto.OpCreate, proto.OpCreate, proto.OpCreate, proto.OpCreate2, proto.OpCreate2, proto.OpCreateContainer, proto.OpCreateTTL})
	if g.w.Cleaner && g.chance(25) {
		op = pick(g, []proto.Op{proto.OpCreateContainer, proto.OpCreateTTL})
	}
	path := g.newChild()
	mode := pick(g, []int64{0, 0, 0, 0, 1, 1, 2, 2, 3})
	ttl := int64(-1)
	switch op {
	case proto.OpCreateContainer:
		mode = pick(g, []int64{4, 4, 4, 4, 0, 2, 1, 3})
	case proto.OpCreateTTL:
		mode = pick(g, []int64{5, 5, 5, 6, 6, 0, 1, 4})
		ttl = pick(g, []int64{1 << 39, 1 << 39, 1<<40 - 1, 1 << 40, 0, -1, -2, 1_000_000_000})
		if g.w.Cleaner && g.chance(50) {
			ttl = shortTTL
		}
	}
	if g.chance(4) && !g.without(proto.OpCreateTTL) {
		mode = pick(g, []int64{-1, 4, 5, 6, 7, 8, 1 << 30, -1 << 31})
	}
	if sequential := mode == 2 || mode == 3 || mode == 6; sequential {
		if g.chance(30) {
			path.Text = path.Text[:strings.LastIndexByte(path.Text, '/')+1]
		}
	}
	if path.Null { // found before anything else by some servers, and after the mode by others
		op, mode = proto.OpCreate, 0
	}
	r := Request{Op: op, Args: []Arg{path, g.data(), g.acl(), {N: mode}}}
	if op == proto.OpCreateTTL {
		r.Args = append(r.Args, Arg{N: ttl})
	}
	return r
}

func (g *generator) delete() Request {
	path := g.path()
	for g.breaksReference(path.Text) {
		path = g.path()
	}
	r := Request{Op: proto.OpDelete, Args: []Arg{path, g.version()}}
	g.deleted(&r)
	return r
}

func (g *generator) setData() Request {
	return Request{Op: proto.OpSetData, Args: []Arg{g.path(), g.data(), g.version()}}
}

// multi makes a transaction of several operations: mostly ones that succeed.
func (g *generator) multi(owner string) Request {
	r := Request{Op: proto.OpMulti}
	for range g.IntN(6) {
		switch n := g.IntN(100); {
		case n < 40:
			r.Items = append(r.Items, g.createInMulti(owner))
		case n < 60:
			r.Items = append(r.Items, Request{Op: proto.OpSetData, Args: []Arg{g.path(), g.data(), {N: -1}}})
		case n < 72:
			r.Items = append(r.Items, g.delete())
		case n < 90:
			r.Items = append(r.Items, Request{Op: proto.OpCheck, Args: []Arg{g.path(), g.version()}})
		case n < 96:
			r.Items = append(r.Items, g.setData())
		default:
			r.Items = append(r.Items, g.strange())
		}
	}
	return r
}

// createInMulti creates with a list whose parts are not null: what that means depends on what
// stands before it.
func (g *generator) createInMulti(owner string) Request {
	r := g.create(owner)
	for _, item := range r.Args[2].ACL {
		if item.Scheme.Null || item.ID.Null {
			r.Args[2] = openACL
		}
	}
	if r.Op == proto.OpCreateContainer && proto.CreateMode(r.Args[3].N).Ephemeral() {
		r.Args[3].N = int64(proto.ModeContainer) // see Deviations
	}
	return r
}

// strange is what may not stand in a multi, or not in that one.
func (g *generator) strange() Request {
	switch g.IntN(5) {
	case 0:
		return Request{Op: proto.OpSetACL, Args: []Arg{g.path(), openACL, {N: -1}}}
	case 1:
		return Request{Op: proto.OpMulti}
	case 2:
		return Request{Op: pick(g, []proto.Op{0, 99, 3, -11, 20}), HasRaw: true, Raw: g.bytes(8)}
	}
	return Request{Op: proto.OpGetData, Args: []Arg{g.path(), {}}}
}

func (g *generator) multiRead() Request {
	r := Request{Op: proto.OpMultiRead}
	for range g.IntN(5) {
		op := pick(g, []proto.Op{proto.OpGetData, proto.OpGetData, proto.OpGetChildren, proto.OpGetChildren})
		r.Items = append(r.Items, Request{Op: op, Args: []Arg{g.path(), {N: int64(g.IntN(2))}}})
	}
	if g.chance(6) {
		r.Items = append(r.Items, g.strange())
	}
	return r
}

// quota changes or reads the nodes of quotas, or fills a tree that has one.
func (g *generator) quota() Request {
	tree := pick(g, []string{"/a", "/a", "/b", "/a/b"})
	limits, stats := "/zookeeper/quota"+tree+"/zookeeper_limits", "/zookeeper/quota"+tree+"/zookeeper_stats"
	switch n := g.IntN(100); {
	case n < 30: // all that a client does to set a quota
		return g.setQuota(tree, limits, stats)
	case n < 45:
		return Request{Op: proto.OpSetData, Args: []Arg{{Text: limits}, g.limits(), {N: -1}}}
	case n < 65:
		return Request{Op: pick(g, []proto.Op{proto.OpGetData, proto.OpExists}), Args: []Arg{{Text: stats}, {N: int64(g.IntN(2))}}}
	case n < 70:
		return Request{Op: proto.OpDelete, Args: []Arg{{Text: limits}, {N: -1}}}
	case n < 73:
		return Request{Op: proto.OpDelete, Args: []Arg{{Text: stats}, {N: -1}}}
	case n < 76:
		return Request{Op: proto.OpSetData, Args: []Arg{{Text: stats}, g.limits(), {N: -1}}}
	case n < 88:
		return Request{Op: proto.OpCreate2, Args: []Arg{{Text: tree + "/" + pick(g, childNames)}, g.data(), openACL, {N: pick(g, []int64{0, 0, 1, 2})}}}
	}
	return Request{Op: proto.OpSetData, Args: []Arg{{Text: tree}, g.data(), {N: -1}}}
}

func (g *generator) setQuota(tree, limits, stats string) Request {
	r := Request{Op: proto.OpMulti}
	plain := func(path string, data Arg) {
		r.Items = append(r.Items, Request{Op: proto.OpCreate, Args: []Arg{{Text: path}, data, openACL, {}}})
	}
	switch g.IntN(4) {
	case 0:
		for i, c := range tree {
			if c == '/' && i > 0 {
				plain("/zookeeper/quota"+tree[:i], Arg{})
			}
		}
		plain("/zookeeper/quota"+tree, Arg{})
	case 1:
		plain(stats, g.limits())
	case 2:
		plain(limits, g.limits())
	default:
		plain("/zookeeper/quota"+tree, Arg{})
		plain(limits, g.limits())
		plain(stats, Arg{Text: "count=0,bytes=0"})
	}
	return r
}

// limits returns the text of a quota.
func (g *generator) limits() Arg {
	n := func() int { return pick(g, []int{-1, -1, 0, 2, 3, 5, 100, 150}) }
	switch g.IntN(4) {
	case 0:
		return Arg{Text: fmt.Sprintf("count=%d,bytes=%d", n(), n())}
	case 1:
		return Arg{Text: fmt.Sprintf("count=%d,bytes=%d=;byteHardLimit=%d", n(), n(), n())}
	}
	return Arg{Text: fmt.Sprintf("count=%d,bytes=%d=;byteHardLimit=%d;countHardLimit=%d", n(), n(), n(), n())}
}
