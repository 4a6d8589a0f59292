package znode_test

import (
	"slices"
	"testing"

	"github.com/zabkeeper/zabkeeper/proto"
	"github.com/zabkeeper/zabkeeper/znode"
)

// allSchemes knows every scheme and nobody special.
var allSchemes = znode.Schemes{X509: true, SASL: true}

// TestJudged: what identities count for under which schemes (spec semantics 7.4).
func TestJudged(t *testing.T) {
	cn, boss := id("x509", "CN=alice,O=z"), id("x509", "CN=boss")
	user, super := id("sasl", "alice"), id("sasl", "super")
	digest, ip := id("digest", "alice:h"), id("ip", "10.0.0.1")
	withBoss := znode.Schemes{X509: true, X509Super: "CN=boss"}
	withAny := znode.Schemes{SASL: true, SASLAnyUser: "everybody"}
	acl := func(scheme, id string) []proto.ACL { return []proto.ACL{entry(31, scheme, id)} }
	for _, tc := range []struct {
		name    string
		schemes znode.Schemes
		acl     []proto.ACL
		ids     []proto.ID
		want    bool
	}{
		{"digest", znode.Schemes{}, acl("digest", "alice:h"), []proto.ID{ip, digest}, true},
		{"digest is off", znode.Schemes{NoDigest: true}, acl("digest", "alice:h"), []proto.ID{ip, digest}, false},
		{"digest is off, ip is not", znode.Schemes{NoDigest: true}, acl("ip", "10.0.0.1"), []proto.ID{digest, ip}, true},
		{"digest is off, super is not", znode.Schemes{NoDigest: true}, acl("ip", "1.1.1.1"), []proto.ID{digest, znode.SuperID()}, true},
		{"x509", allSchemes, acl("x509", "CN=alice,O=z"), []proto.ID{ip, cn}, true},
		{"x509 is text", allSchemes, acl("x509", "CN=alice, O=z"), []proto.ID{ip, cn}, false},
		{"x509 is off", znode.Schemes{SASL: true}, acl("x509", "CN=alice,O=z"), []proto.ID{cn}, false},
		{"x509 super", withBoss, acl("x509", "CN=alice,O=z"), []proto.ID{ip, boss}, true},
		{"x509 super elsewhere", withBoss, acl("digest", "a:b"), []proto.ID{boss}, false},
		{"not x509's super", withBoss, acl("x509", "CN=boss"), []proto.ID{cn}, false},
		{"no x509 super is configured", allSchemes, acl("x509", "CN=alice"), []proto.ID{id("x509", "")}, false},
		{"sasl", allSchemes, acl("sasl", "alice"), []proto.ID{user}, true},
		{"sasl other", allSchemes, acl("sasl", "bob"), []proto.ID{user}, false},
		{"sasl is off", znode.Schemes{X509: true}, acl("sasl", "alice"), []proto.ID{user}, false},
		{"sasl super", allSchemes, acl("sasl", "bob"), []proto.ID{super}, true},
		{"sasl super without sasl", znode.Schemes{}, acl("sasl", "bob"), []proto.ID{super}, false},
		{"sasl super elsewhere", allSchemes, acl("x509", "CN=a"), []proto.ID{super}, false},
		{"any sasl user", withAny, acl("sasl", "everybody"), []proto.ID{ip, user}, true},
		{"any sasl user, other entry", withAny, acl("sasl", "bob"), []proto.ID{user}, false},
		{"any sasl user, no user", withAny, acl("sasl", "everybody"), []proto.ID{ip, digest}, false},
		{"the name means nobody without the setting", allSchemes, acl("sasl", "everybody"), []proto.ID{user}, false},
	} {
		before := slices.Clone(tc.ids)
		if got := znode.Allowed(tc.acl, proto.PermRead, tc.schemes.Judged(tc.ids)); got != tc.want {
			t.Errorf("%s: %v", tc.name, got)
		}
		if !slices.Equal(tc.ids, before) {
			t.Errorf("%s: the identities were changed", tc.name)
		}
	}
}

// TestSchemesOfLeader: the leader judges, expands "auth" and refuses entries by its schemes.
func TestSchemesOfLeader(t *testing.T) {
	cn, user, digest := id("x509", "CN=alice"), id("sasl", "alice"), id("digest", "alice:h")
	create := func(path string, acl ...proto.ACL) proto.CreateRequest {
		return proto.CreateRequest{Path: path, ACL: acl}
	}
	auth := entry(31, "auth", "")
	for _, tc := range []struct {
		name    string
		schemes znode.Schemes
		want    []proto.ACL // of a node created with "auth"; nil: CodeInvalidACL
	}{
		{"default", znode.Schemes{}, []proto.ACL{entry(31, "digest", "alice:h")}},
		{"all", allSchemes, []proto.ACL{entry(31, "x509", "CN=alice"), entry(31, "sasl", "alice"), entry(31, "digest", "alice:h")}},
		{"no digest", znode.Schemes{NoDigest: true, SASL: true}, []proto.ACL{entry(31, "sasl", "alice")}},
		{"none", znode.Schemes{NoDigest: true}, nil},
	} {
		c := newClusterWith(t, znode.PrepareOptions{Schemes: tc.schemes})
		c.ids = []proto.ID{id("ip", "10.0.0.1"), cn, user, digest}
		r := c.do(proto.OpCreate, create("/a", auth))
		if tc.want == nil {
			if r.Code != badACL {
				t.Errorf("%s: %v, want %v", tc.name, r.Code, badACL)
			}
			continue
		}
		c.must(r)
		if got := c.tree.nodes["/a"].ACL; !slices.Equal(got, tc.want) {
			t.Errorf("%s: %v, want %v", tc.name, got, tc.want)
		}
		if r := c.do(proto.OpSetData, proto.SetDataRequest{Path: "/a", Version: -1}); r.Code != ok {
			t.Errorf("%s: setData by the creator: %v", tc.name, r.Code)
		}
		c.ids = []proto.ID{id("sasl", "super")}
		want := noAuth
		if tc.schemes.SASL {
			want = ok
		}
		if r := c.do(proto.OpSetData, proto.SetDataRequest{Path: "/a", Version: -1}); r.Code != want {
			t.Errorf("%s: setData by sasl:super: %v, want %v", tc.name, r.Code, want)
		}
	}
}

// TestEntriesOfSchemes: which ids ACL entries of scheme x509 and sasl may have. The names are
// judged as Java's X500Principal and ZooKeeper's KerberosName judge them.
func TestEntriesOfSchemes(t *testing.T) {
	valid := map[string][]string{
		"x509": {
			"", "CN=alice", "cn=alice", " CN = alice ", "CN=alice,OU=dev,O=Acme Inc,C=DE", "CN=alice; O=z", "CN=alice+UID=7,O=z",
			"CN=", "CN=a=b", `CN="a, b",O=z`, `CN="a" ,O=z`, `CN=a\, b,O=z`, `CN=a\2Cb`, `CN=\"a\"`, "1.2.840.113549.1.9.1=#1603614062",
			"OID.2.5.4.3=alice", "2.999.1=x", "emailAddress=a@b", "DC=example,DC=org", "CN=ä", "ST=x,STREET=y,DNQ=z,SERIALNUMBER=1",
		},
		"sasl": {
			"", "alice", "alice/host", "alice@REALM", "alice/host@REALM", "a/b/c", "@", "/@", "alice@", "ali ce", "a:b",
		},
	}
	invalid := map[string][]string{
		"x509": {
			"alice", "=alice", "CN", "XY=alice", "CN=alice,", ",CN=alice", "CN=alice,,O=z", "CN=alice+", "CN=a<b", "CN=a>b",
			`CN=a"b`, `CN="a`, `CN="a"b`, `CN=a\`, `CN=a\x`, `CN="a\x"`, "CN=#", "CN=#16", "CN=#160", "CN=#zz", "CN=#160161ff",
			"3.1=x", "1.40=x", "1=x", "1..2=x", "1.2.=x", "OID.x=y", "CN O=x",
		},
		"sasl": {"a@b@c", "a/b/c@d", "a@b/c", "@@"},
	}
	for ok, ids := range map[bool]map[string][]string{true: valid, false: invalid} {
		for scheme, texts := range ids {
			for _, text := range texts {
				acl := []proto.ACL{entry(31, scheme, text)}
				got, code := allSchemes.FixACL(acl, nil, 1<<20)
				if ok != (code == proto.CodeOK) || ok != slices.Equal(got, acl) {
					t.Errorf("%s:%q: %v, want valid=%v", scheme, text, code, ok)
				}
				if _, code := new(znode.Schemes).FixACL(acl, nil, 1<<20); code != badACL {
					t.Errorf("%s:%q without its scheme: %v, want %v", scheme, text, code, badACL)
				}
			}
		}
	}
	for _, acl := range []proto.ACL{entry(31, "digest", "a:b"), entry(31, "ensemble", "e"), entry(31, "super", ""), entry(31, "x509", "*")} {
		schemes := znode.Schemes{NoDigest: true, X509: true, SASL: true}
		if _, code := schemes.FixACL([]proto.ACL{acl}, nil, 1<<20); code != badACL {
			t.Errorf("%v: %v, want %v", acl, code, badACL)
		}
	}
}

// FuzzACLEntry: no text of an entry does more than be refused.
func FuzzACLEntry(f *testing.F) {
	f.Add("x509", `CN="a, b"+UID=\2c,OID.2.5.4.3=#1603614062;O=z`)
	f.Add("sasl", "alice/host@REALM")
	f.Add("ip", "2001:db8::/32")
	f.Add("digest", "a:b")
	f.Fuzz(func(t *testing.T, scheme, text string) {
		acl := []proto.ACL{entry(31, scheme, text)}
		got, code := allSchemes.FixACL(acl, nil, 1<<20)
		if (code == proto.CodeOK) == (got == nil) || code != proto.CodeOK && code != badACL {
			t.Errorf("%q: %v, %v", text, got, code)
		}
	})
}
