package zktest_test

import (
	"slices"
	"testing"

	"github.com/zabkeeper/zabkeeper/proto"
)

// aclPitfalls are about permissions and identities.
var aclPitfalls = []pitfall{
	{"Pitfall53AuthMeansAllIdentities", authExpands},
	{"Pitfall54DigestsMayBeComputedBefore", computedDigests},
	{"Pitfall55WorldStaysBesideOthers", worldStays},
	{"Pitfall56DigestsAreHidden", digestsAreHidden},
	{"Pitfall57DeletingIsTheParentsBusiness", deleteOnParent},
	{"Pitfall58IdentitiesAdd", identitiesAdd},
}

// userPassword is the digest of user:password, userOther that of other:secret.
const (
	userPassword = "user:tpUq/4Pn5A64fVZyQ0gOJ8ZWqkY="
	otherSecret  = "other:8q+cqA9FicvypK1WV0YuCD5XdXU="
)

func entry(perms proto.Perms, scheme, id string) proto.ACL {
	return proto.ACL{Perms: perms, ID: proto.ID{Scheme: scheme, ID: id}}
}

// acl is what getACL shows, sorted by id.
func (c *speaker) acl(path string) []proto.ACL {
	c.t.Helper()
	list := read[proto.GetACLResponse](c.t, c.do(proto.OpGetACL, proto.PathRequest{Path: path})).ACL
	slices.SortStableFunc(list, func(a, b proto.ACL) int { return slices.Compare([]byte(a.ID.ID), []byte(b.ID.ID)) })
	return list
}

func (c *speaker) setACL(path string, acl ...proto.ACL) {
	c.t.Helper()
	c.do(proto.OpSetACL, proto.SetACLRequest{Path: path, ACL: acl, Version: -1})
}

// createACL makes a node with that ACL.
func (c *speaker) createACL(path string, acl ...proto.ACL) {
	c.t.Helper()
	c.do(proto.OpCreate, proto.CreateRequest{Path: path, ACL: acl})
}

func authExpands(t *testing.T, f *face) {
	c := f.dir(t)
	mine := entry(proto.PermAll, "auth", "whatever")
	c.fails(proto.CodeInvalidACL, proto.OpCreate, proto.CreateRequest{Path: f.root + "/a", ACL: []proto.ACL{mine}})
	c.fails(proto.CodeInvalidACL, proto.OpSetACL, proto.SetACLRequest{Path: f.root, ACL: []proto.ACL{mine}, Version: -1})
	c.auth("digest", "user:password")
	c.auth("digest", "other:secret")
	want := []proto.ACL{entry(proto.PermAll, "digest", otherSecret), entry(proto.PermAll, "digest", userPassword)}
	c.createACL(f.root+"/a", mine)
	c.setACL(f.root, mine)
	for _, path := range []string{f.root, f.root + "/a"} {
		if got := c.acl(path); !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v", path, got, want)
		}
	}
}

func computedDigests(t *testing.T, f *face) {
	c, owner := f.dir(t), f.open(t)
	owner.auth("digest", "user:password")
	a := f.root + "/a"
	c.createACL(a, entry(proto.PermAll, "digest", userPassword))
	c.fails(proto.CodeNoAuth, proto.OpGetData, proto.ReadRequest{Path: a})
	owner.do(proto.OpGetData, proto.ReadRequest{Path: a})
	c.create(f.root + "/b")
	c.setACL(f.root+"/b", entry(proto.PermAll, "digest", userPassword))
	c.fails(proto.CodeNoAuth, proto.OpSetData, proto.SetDataRequest{Path: f.root + "/b", Version: -1})
	owner.set(f.root + "/b")
}

func worldStays(t *testing.T, f *face) {
	c := f.dir(t)
	want := []proto.ACL{
		entry(proto.PermAll, "world", "anyone"), entry(proto.PermRead, "digest", "nobody:x"), entry(proto.PermAll, "ip", "10.0.0.0/8"),
	}
	c.createACL(f.root+"/a", want...)
	c.setACL(f.root, want...)
	for _, path := range []string{f.root, f.root + "/a"} {
		got := read[proto.GetACLResponse](t, c.do(proto.OpGetACL, proto.PathRequest{Path: path})).ACL
		if !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v", path, got, want)
		}
	}
	c.do(proto.OpSetData, proto.SetDataRequest{Path: f.root + "/a", Version: -1})
}

func digestsAreHidden(t *testing.T, f *face) {
	c, admin := f.dir(t), f.open(t)
	admin.auth("digest", "user:password")
	stored := []proto.ACL{
		entry(proto.PermRead, "world", "anyone"), entry(proto.PermWrite, "digest", otherSecret), entry(proto.PermAdmin, "digest", userPassword),
	}
	c.createACL(f.root+"/a", stored...)
	show := func(c *speaker) []proto.ACL {
		return read[proto.GetACLResponse](t, c.do(proto.OpGetACL, proto.PathRequest{Path: f.root + "/a"})).ACL
	}
	hidden := slices.Clone(stored)
	hidden[1].ID.ID, hidden[2].ID.ID = "other:x", "user:x"
	if got := show(c); !slices.Equal(got, hidden) {
		t.Errorf("a reader sees %v, want %v", got, hidden)
	}
	if got := show(admin); !slices.Equal(got, stored) {
		t.Errorf("an administrator sees %v, want %v", got, stored)
	}
}

func deleteOnParent(t *testing.T, f *face) {
	c := f.dir(t)
	shut, kid := f.root+"/shut", f.root+"/shut/kid"
	c.createACL(f.root+"/mine", entry(0, "world", "anyone"))
	c.delete(f.root + "/mine")
	c.create(shut, kid)
	c.setACL(shut, entry(proto.PermAll&^proto.PermDelete, "world", "anyone"))
	c.fails(proto.CodeNoAuth, proto.OpDelete, proto.DeleteRequest{Path: kid, Version: -1})
	c.setACL(shut, entry(proto.PermDelete, "world", "anyone"))
	c.delete(kid)
}

func identitiesAdd(t *testing.T, f *face) {
	c := f.dir(t)
	one, two := f.root+"/one", f.root+"/two"
	c.createACL(one, entry(proto.PermAll, "digest", userPassword))
	c.createACL(two, entry(proto.PermAll, "digest", otherSecret))
	c.fails(proto.CodeNoAuth, proto.OpGetData, proto.ReadRequest{Path: one})
	for range 2 { // said again, as clients do
		c.auth("digest", "user:password")
		c.auth("digest", "other:secret")
	}
	for _, path := range []string{one, two} {
		c.do(proto.OpGetData, proto.ReadRequest{Path: path})
		c.set(path)
	}
	who := read[proto.WhoAmIResponse](t, c.do(proto.OpWhoAmI, nil)).ClientInfo
	users := map[string]int{}
	for _, info := range who {
		users[info.AuthScheme+" "+info.User]++
	}
	if users["digest user"] != 1 || users["digest other"] != 1 || len(who) != 3 {
		t.Errorf("%v", who)
	}
	// They belong to the connection.
	again := c.reopen(f.server)
	again.fails(proto.CodeNoAuth, proto.OpGetData, proto.ReadRequest{Path: one})
}
