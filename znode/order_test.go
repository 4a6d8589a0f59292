package znode_test

import (
	"testing"

	"github.com/zabkeeper/zabkeeper/proto"
	"github.com/zabkeeper/zabkeeper/proto/jute"
	"github.com/zabkeeper/zabkeeper/znode"
)

const (
	ok          = proto.CodeOK
	badArgs     = proto.CodeBadArguments
	unimpl      = proto.CodeUnimplemented
	expired     = proto.CodeSessionExpired
	moved       = proto.CodeSessionMoved
	badACL      = proto.CodeInvalidACL
	noNode      = proto.CodeNoNode
	noAuth      = proto.CodeNoAuth
	exists      = proto.CodeNodeExists
	noChildren  = proto.CodeNoChildrenForEphemerals
	badVersion  = proto.CodeBadVersion
	notEmpty    = proto.CodeNotEmpty
	marshalling = proto.CodeMarshallingError
)

// tableTree is the tree of the order tables: /free with a child, /mine an ephemeral, /shut that
// allows READ alone and has a child, /locked that allows nothing.
func tableTree(t *testing.T) *cluster {
	t.Helper()
	return tableTreeWith(t, znode.PrepareOptions{})
}

func tableTreeWith(t *testing.T, opts znode.PrepareOptions) *cluster {
	t.Helper()
	c := newClusterWith(t, opts)
	c.mustCreate("/free", "/free/kid", "/free/kid/deep", "/shut", "/shut/kid", "/locked")
	c.must(c.create("/mine", proto.ModeEphemeral))
	c.must(c.do(proto.OpSetData, proto.SetDataRequest{Path: "/free/kid", Version: -1}))
	c.must(c.do(proto.OpSetACL, proto.SetACLRequest{Path: "/shut", ACL: proto.WorldACL(proto.PermRead), Version: -1}))
	c.must(c.do(proto.OpSetACL, proto.SetACLRequest{Path: "/locked", ACL: proto.WorldACL(0), Version: -1}))
	return c
}

type orderRow struct {
	name    string
	op      proto.Op
	body    proto.Appender
	session proto.Code
	want    proto.Code
}

func runOrderTable(t *testing.T, rows []orderRow) {
	t.Helper()
	runOrderTableWith(t, znode.PrepareOptions{}, rows)
}

func runOrderTableWith(t *testing.T, opts znode.PrepareOptions, rows []orderRow) {
	t.Helper()
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			c := tableTreeWith(t, opts)
			before := c.tree.digest
			r := c.request(row.op, row.body)
			r.SessionCode = row.session
			got := c.send(r)
			if got.Code != row.want {
				t.Errorf("got %v, want %v", got.Code, row.want)
			}
			if row.want != ok && (c.tree.digest != before || len(got.Triggers) != 0) {
				t.Errorf("a refused request left a trace: %v", got)
			}
			c.tree.check(t)
		})
	}
}

// TestCreateOrder has each line of create in spec semantics 3.1 together with a violation of a
// later line: the earlier one decides.
func TestCreateOrder(t *testing.T) {
	create := func(path string, mode proto.CreateMode, acl []proto.ACL) proto.CreateRequest {
		return proto.CreateRequest{Path: path, ACL: acl, Mode: mode}
	}
	ttl := func(mode proto.CreateMode, ttl int64) proto.CreateTTLRequest {
		return proto.CreateTTLRequest{Path: "/free/t", ACL: open, Mode: mode, TTL: ttl}
	}
	const c1, c2, c19, c21 = proto.OpCreate, proto.OpCreate2, proto.OpCreateContainer, proto.OpCreateTTL
	runOrderTable(t, []orderRow{
		{"good", c1, create("/free/new", 0, open), ok, ok},
		{"good, create2", c2, create("/free/new", 0, open), ok, ok},
		{"body undecodable", c1, jute7{1, 2, 3}, expired, marshalling},
		{"null path", c1, jute7(append(jute.AppendNull(nil), create("", 0, open).Append(nil)[4:]...)), ok, marshalling},
		{"1 flags 7 before session", c1, create("/free/new", 7, open), expired, badArgs},
		{"1 flags -1 before path", c1, create("new", -1, open), ok, badArgs},
		{"1 flags 9 before container", c19, create("/free/new", 9, open), ok, badArgs},
		{"2 TTL flag before session", c1, create("/free/new", 5, open), expired, unimpl},
		{"2 TTL flag, create2", c2, create("/free/new", 6, open), ok, unimpl},
		{"2 TTL", c21, ttl(5, 1000), ok, unimpl},
		{"2 TTL off before a bad ttl", c21, ttl(6, 0), ok, unimpl},
		{"3 TTL without the flag", c21, ttl(0, -1), expired, badArgs},
		{"3 TTL with the container flag", c21, ttl(4, -1), ok, badArgs},
		{"3 TTL with flags 9", c21, ttl(9, 1000), ok, badArgs},
		{"good, container", c19, create("/free/new", 4, open), ok, ok},
		{"good, container with another flag", c19, create("/free/new", 0, open), ok, ok},
		{"good, container with the ephemeral flag", c19, create("/free/new", 1, open), ok, ok},
		{"good, create with the container flag", c1, create("/free/new", 4, open), ok, ok},
		{"2 TTL flag, container", c19, create("/free/new", 5, open), ok, unimpl},
		{"4 session before path, container", c19, create("new", 4, open), expired, expired},
		{"6 ACL before parent, container", c19, create("/nope/x", 4, nil), ok, badACL},
		{"8 permission before name, container", c19, create("/shut/.", 4, open), ok, noAuth},
		{"11 exists, container", c19, create("/free/kid", 4, open), ok, exists},
		{"12 ephemeral parent, container", c19, create("/mine/x", 4, open), ok, noChildren},
		{"4 session before path", c1, create("new", 0, open), expired, expired},
		{"4 session before ACL", c1, create("/free/new", 1, nil), expired, expired},
		{"4 session moved", c1, create("/free/new", 0, open), moved, moved},
		{"5 no slash before ACL", c1, create("new", 0, nil), ok, badArgs},
		{"5 empty path", c1, create("", 0, open), ok, badArgs},
		{"5 NUL before ACL", c1, create("/free/\x00", 0, nil), ok, badArgs},
		{"5 NUL before parent", c1, create("/nope\x00/x", 0, open), ok, badArgs},
		{"6 ACL null before parent", c1, create("/nope/x", 0, nil), ok, badACL},
		{"6 ACL empty before parent", c1, create("/nope/x", 0, []proto.ACL{}), ok, badACL},
		{"6 ACL bad before permission", c1, create("/locked/x", 0, []proto.ACL{entry(31, "what", "x")}), ok, badACL},
		{"6 ACL auth without people", c1, create("/free/x", 0, []proto.ACL{entry(31, "auth", "")}), ok, badACL},
		{"7 parent before name", c1, create("/nope/.", 0, open), ok, noNode},
		{"7 parent before name, double slash", c1, create("/free//b", 0, open), ok, noNode},
		{"7 parent before name, dot inside", c1, create("/free/./b", 0, open), ok, noNode},
		{"7 relative path", c1, create("free/x", 0, open), ok, noNode},
		{"8 permission before name", c1, create("/shut/.", 0, open), ok, noAuth},
		{"8 permission before existence", c1, create("/shut/kid", 0, open), ok, noAuth},
		{"9 sequence makes a name of a dot", c1, create("/free/.", 2, open), ok, ok},
		{"9 sequence makes a name of nothing", c1, create("/free/", 2, open), ok, ok},
		{"10 dot", c1, create("/free/.", 0, open), ok, badArgs},
		{"10 dot dot", c1, create("/free/..", 0, open), ok, badArgs},
		{"10 slash at the end", c1, create("/free/", 0, open), ok, badArgs},
		{"10 two slashes at the front", c1, create("//x", 0, open), ok, badArgs},
		{"10 control character", c1, create("/free/\x01", 0, open), ok, badArgs},
		{"10 above U+FFFF", c1, create("/free/\U0001f600", 0, open), ok, badArgs},
		{"10 name before ephemeral parent", c1, create("/mine/.", 0, open), ok, badArgs},
		{"11 exists", c1, create("/free/kid", 0, open), ok, exists},
		{"11 exists, root", c1, create("/", 0, open), ok, exists},
		{"11 exists, own ephemeral", c1, create("/mine", 1, open), ok, exists},
		{"12 ephemeral parent", c1, create("/mine/x", 0, open), ok, noChildren},
		{"12 ephemeral parent, sequential", c1, create("/mine/x", 3, open), ok, noChildren},
	})
}

// TestCreateOrderWithExtendedTypes has what differs where nodes may have a time to live.
func TestCreateOrderWithExtendedTypes(t *testing.T) {
	create := func(path string, mode proto.CreateMode) proto.CreateRequest {
		return proto.CreateRequest{Path: path, ACL: open, Mode: mode}
	}
	ttl := func(path string, mode proto.CreateMode, ttl int64) proto.CreateTTLRequest {
		return proto.CreateTTLRequest{Path: path, ACL: open, Mode: mode, TTL: ttl}
	}
	const c1, c2, c19, c21 = proto.OpCreate, proto.OpCreate2, proto.OpCreateContainer, proto.OpCreateTTL
	runOrderTableWith(t, znode.PrepareOptions{ExtendedTypes: true}, []orderRow{
		{"good", c21, ttl("/free/new", 5, 1), ok, ok},
		{"good, longest", c21, ttl("/free/new", 5, znode.MaxTTL), ok, ok},
		{"good, sequential", c21, ttl("/free/", 6, 1000), ok, ok},
		{"body undecodable", c21, jute7(create("/free/new", 5).Append(nil)), expired, marshalling},
		{"1 flags 7 before session", c21, ttl("/free/new", 7, 1), expired, badArgs},
		{"3 no ttl, create", c1, create("/free/new", 5), expired, badArgs},
		{"3 no ttl, create2", c2, create("/free/new", 6), ok, badArgs},
		{"3 no ttl, container", c19, create("/free/new", 5), ok, badArgs},
		{"3 ttl 0 before session", c21, ttl("/free/new", 5, 0), expired, badArgs},
		{"3 ttl -1", c21, ttl("/free/new", 6, -1), ok, badArgs},
		{"3 ttl too long before path", c21, ttl("new", 5, znode.MaxTTL+1), ok, badArgs},
		{"3 no flag, ttl", c21, ttl("/free/new", 0, 1000), ok, badArgs},
		{"3 no flag, no ttl", c21, ttl("/free/new", 4, -1), ok, badArgs},
		{"4 session before path", c21, ttl("new", 5, 1), expired, expired},
		{"5 path before parent", c21, ttl("/nope/\x00", 5, 1), ok, badArgs},
		{"6 ACL before parent", c21, proto.CreateTTLRequest{Path: "/nope/x", Mode: 5, TTL: 1}, ok, badACL},
		{"7 parent before name", c21, ttl("/nope/.", 5, 1), ok, noNode},
		{"8 permission before name", c21, ttl("/shut/.", 5, 1), ok, noAuth},
		{"10 name", c21, ttl("/free/.", 5, 1), ok, badArgs},
		{"11 exists", c21, ttl("/free/kid", 5, 1), ok, exists},
		{"12 ephemeral parent", c21, ttl("/mine/x", 5, 1), ok, noChildren},
	})
}

// jute7 is a body of raw bytes.
type jute7 []byte

func (b jute7) Append(dst []byte) []byte { return append(dst, b...) }

func TestDeleteOrder(t *testing.T) {
	del := func(path string, version int32) proto.DeleteRequest {
		return proto.DeleteRequest{Path: path, Version: version}
	}
	const d = proto.OpDelete
	runOrderTable(t, []orderRow{
		{"good", d, del("/free/kid/deep", 0), ok, ok},
		{"any version", d, del("/free/kid/deep", -1), ok, ok},
		{"body undecodable", d, jute7{0}, expired, marshalling},
		{"null path", d, jute7{255, 255, 255, 255, 0, 0, 0, 0}, expired, marshalling},
		{"session before path", d, del("nope", -1), expired, expired},
		{"no slash", d, del("nope", -1), ok, badArgs},
		{"empty", d, del("", -1), ok, badArgs},
		{"NUL before parent", d, del("/nope/\x00", -1), ok, badArgs},
		{"root", d, del("/", -1), ok, badArgs},
		{"/zookeeper", d, del("/zookeeper", 99), ok, badArgs},
		{"/zookeeper/quota", d, del("/zookeeper/quota", -1), ok, badArgs},
		{"/zookeeper/config", d, del("/zookeeper/config", -1), ok, badArgs},
		{"parent missing", d, del("/nope/x", -1), ok, noNode},
		{"invalid names are missing nodes", d, del("/free/.", -1), ok, noNode},
		{"slash at the end", d, del("/free/", -1), ok, noNode},
		{"slash at the front", d, del("//free", -1), ok, noNode},
		{"permission on the parent before node", d, del("/shut/nope", -1), ok, noAuth},
		{"permission on the parent before version", d, del("/shut/kid", 9), ok, noAuth},
		{"node missing", d, del("/free/nope", 9), ok, noNode},
		{"version before children", d, del("/free/kid", 9), ok, badVersion},
		{"version -2", d, del("/free/kid/deep", -2), ok, badVersion},
		{"children", d, del("/free/kid", 1), ok, notEmpty},
		{"the node's own ACL does not matter", d, del("/locked", -1), ok, ok},
	})
}

func TestSetDataOrder(t *testing.T) {
	set := func(path string, version int32) proto.SetDataRequest {
		return proto.SetDataRequest{Path: path, Data: []byte("y"), Version: version}
	}
	const s = proto.OpSetData
	runOrderTable(t, []orderRow{
		{"good", s, set("/free/kid", 1), ok, ok},
		{"root", s, set("/", -1), ok, ok},
		{"body undecodable", s, jute7{}, expired, marshalling},
		{"null path", s, jute7{255, 255, 255, 255, 255, 255, 255, 255, 0, 0, 0, 0}, ok, badArgs},
		{"session before path", s, set("nope", -1), expired, expired},
		{"invalid before missing", s, set("/nope/.", -1), ok, badArgs},
		{"empty", s, set("", -1), ok, badArgs},
		{"missing before version", s, set("/nope", 9), ok, noNode},
		{"permission before version", s, set("/shut", 9), ok, noAuth},
		{"version", s, set("/free/kid", 0), ok, badVersion},
		{"version -2", s, set("/free", -2), ok, badVersion},
		{"config is read-only", s, set("/zookeeper/config", -1), ok, noAuth},
	})
}

func TestSetACLOrder(t *testing.T) {
	set := func(path string, acl []proto.ACL, version int32) proto.SetACLRequest {
		return proto.SetACLRequest{Path: path, ACL: acl, Version: version}
	}
	const s = proto.OpSetACL
	runOrderTable(t, []orderRow{
		{"good", s, set("/free", open, 0), ok, ok},
		{"body undecodable", s, jute7{0, 0}, ok, marshalling},
		{"null path", s, jute7{255, 255, 255, 255, 255, 255, 255, 255, 0, 0, 0, 0}, ok, badArgs},
		{"session before path", s, set("nope", nil, -1), expired, expired},
		{"path before ACL", s, set("/free/", nil, -1), ok, badArgs},
		{"ACL before missing", s, set("/nope", nil, -1), ok, badACL},
		{"missing", s, set("/nope", open, 9), ok, noNode},
		{"permission before version", s, set("/shut", open, 9), ok, noAuth},
		{"version is aversion, not version", s, set("/free/kid", open, 1), ok, badVersion},
		{"aversion", s, set("/free/kid", open, 0), ok, ok},
	})
}

// TestCheckOrder: check exists inside a multi alone.
func TestCheckOrder(t *testing.T) {
	c := tableTree(t)
	if r := c.do(proto.OpCheck, proto.CheckVersionRequest{Path: "/free", Version: 0}); r.Code != unimpl {
		t.Errorf("check on its own: %v", r.Code)
	}
	for _, tc := range []struct {
		name    string
		path    string
		version int32
		session proto.Code
		want    proto.Code
	}{
		{"good", "/free/kid", 1, ok, ok},
		{"any version", "/free/kid", -1, ok, ok},
		{"session before path", "nope", 0, expired, expired},
		{"path before missing", "/nope/", 0, ok, badArgs},
		{"missing", "/nope", 9, ok, noNode},
		{"permission before version", "/locked", 9, ok, noAuth},
		{"READ is enough", "/shut", 0, ok, ok},
		{"version", "/free/kid", 0, ok, badVersion},
		{"version -2", "/free/kid", -2, ok, badVersion},
	} {
		r := c.request(proto.OpMulti, multi(opCheck(tc.path, tc.version)))
		r.SessionCode = tc.session
		got := c.send(r)
		if got.Code != ok || len(got.Multi) != 1 || got.Multi[0].Err != tc.want {
			t.Errorf("%s: %v %v", tc.name, got.Code, got.Multi)
		}
	}
}
