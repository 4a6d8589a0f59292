package znode_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/zabkeeper/zabkeeper/proto"
	"github.com/zabkeeper/zabkeeper/znode"
)

func entry(perms proto.Perms, scheme, id string) proto.ACL {
	return proto.ACL{Perms: perms, ID: proto.ID{Scheme: scheme, ID: id}}
}

func id(scheme, id string) proto.ID { return proto.ID{Scheme: scheme, ID: id} }

// TestDigestID has the vectors of spec semantics 7.4.
func TestDigestID(t *testing.T) {
	for auth, want := range map[string]string{
		"super:admin":   "super:xQJmxLMiHGwaqBvst5y6rkB6HQs=",
		"user:password": "user:tpUq/4Pn5A64fVZyQ0gOJ8ZWqkY=",
		"abc":           "abc:qZk+NkcGgWq6PiVxeFDCbJzQ2J0=", // all user; SHA-1 of "abc"
		"a:b:c":         "a:cLzgnoJ6mP5qz3w+mwvPE2vDgu0=",   // hash of the whole, user up to the first colon
	} {
		got := znode.DigestID(znode.DigestSHA1, []byte(auth))
		if got != id("digest", want) {
			t.Errorf("DigestID(%q) = %v, want %q", auth, got, want)
		}
	}
	if a, b := znode.DigestID(znode.DigestSHA1, []byte("u\xff:p")), znode.DigestID(znode.DigestSHA1, []byte("u\ufffd:p")); a != b {
		t.Errorf("malformed UTF-8 is not hashed as its repair: %v, %v", a, b)
	}
}

// TestDigestIDHashes has vectors that openssl made: printf 'user:password' | openssl dgst -sha256
// -binary | base64, and so on.
func TestDigestIDHashes(t *testing.T) {
	for name, want := range map[string]string{
		"":         "tpUq/4Pn5A64fVZyQ0gOJ8ZWqkY=",
		"SHA1":     "tpUq/4Pn5A64fVZyQ0gOJ8ZWqkY=",
		"SHA-256":  "yRsdas04PETE7CDJcj51jDEYKh9PAjHWPZElmi6hS50=",
		"SHA-384":  "htIoC30hHolTa+/hAI2QsaAqrqOKMHUmlPlzBeIkfRWNGBi/8/dVKpuOsOWVq8qs",
		"SHA-512":  "jpg++2gII4jzID8eXmWBSuUbGt1jbK9iB9PlOOf0uNwG7O0rsNtKX7GP4vq+QM0ncsfbzxZTuyf0xv2Xbkfz1Q==",
		"SHA3-256": "NAR2RZ7JZxGXKOuQubzhytx9PjP71AWWZoOY+TVw1hw=",
		"SHA3-384": "ohHEqQqd1LbhZS1M4c5EPH62D07UypO0a5QNAmWrxR442b/TvdLCT3OKB2ZtvgnF",
		"SHA3-512": "crJkDTyqNBLSeN9ANTupt+rbekG69LtWeiMDgZ83Q+aPOWeSWYcv+UR8e+oDQH+grRbbiWDlL9r4FgwNVo+jdg==",
	} {
		alg, err := znode.ParseDigestAlg(name)
		if err != nil {
			t.Errorf("ParseDigestAlg(%q): %v", name, err)
			continue
		}
		if name != "" && alg.String() != name {
			t.Errorf("%q is called %v", name, alg)
		}
		if got := znode.DigestID(alg, []byte("user:password")); got != id("digest", "user:"+want) {
			t.Errorf("DigestID with %q = %v, want %q", name, got, want)
		}
	}
	for _, name := range []string{"MD5", "sha1", "SHA-1", " SHA1"} {
		if alg, err := znode.ParseDigestAlg(name); err == nil {
			t.Errorf("ParseDigestAlg(%q) = %v, want an error", name, alg)
		}
	}
}

func TestAllowed(t *testing.T) {
	const read, write = proto.PermRead, proto.PermWrite
	alice, bob := id("digest", "alice:h1"), id("digest", "bob:h2")
	ip := func(address string) []proto.ID { return []proto.ID{id("ip", address)} }
	for _, tc := range []struct {
		name   string
		acl    []proto.ACL
		needed proto.Perms
		ids    []proto.ID
		want   bool
	}{
		{"null list", nil, write, nil, true},
		{"empty list", []proto.ACL{}, write, nil, true},
		{"world", open, proto.PermAdmin, nil, true},
		{"world, other bits", proto.WorldACL(read), write, nil, false},
		{"one of several needed", proto.WorldACL(proto.PermAdmin), read | proto.PermAdmin, nil, true},
		{"world somebody", []proto.ACL{entry(31, "world", "somebody")}, read, nil, false},
		{"nobody", proto.WorldACL(0), read, ip("127.0.0.1"), false},
		{"super beats everything", proto.WorldACL(0), read, []proto.ID{znode.SuperID()}, true},
		{"super with a name", proto.WorldACL(0), read, []proto.ID{id("super", "CN=root")}, true},
		{"digest match", []proto.ACL{entry(31, "digest", "alice:h1")}, write, []proto.ID{bob, alice}, true},
		{"digest mismatch", []proto.ACL{entry(31, "digest", "alice:h1")}, write, []proto.ID{bob}, false},
		{"same id, other scheme", []proto.ACL{entry(31, "digest", "alice:h1")}, write, []proto.ID{id("ip", "alice:h1")}, false},
		{"second entry", []proto.ACL{entry(read, "digest", "alice:h1"), entry(write, "digest", "bob:h2")}, write, []proto.ID{bob}, true},
		{"bits of different entries do not add up", []proto.ACL{entry(read, "digest", "bob:h2"), entry(write, "digest", "alice:h1")}, write, []proto.ID{bob}, false},
		{"strange bits", []proto.ACL{entry(-1, "world", "anyone")}, write, nil, true},
		{"unknown scheme", []proto.ACL{entry(31, "kerberos", "alice")}, read, []proto.ID{id("kerberos", "alice")}, false},
		{"auth is never stored, and means nobody", []proto.ACL{entry(31, "auth", "")}, read, []proto.ID{alice}, false},
		{"ip exact", []proto.ACL{entry(31, "ip", "10.1.2.3")}, read, ip("10.1.2.3"), true},
		{"ip other", []proto.ACL{entry(31, "ip", "10.1.2.3")}, read, ip("10.1.2.4"), false},
		{"ip network", []proto.ACL{entry(31, "ip", "10.1.0.0/16")}, read, ip("10.1.200.4"), true},
		{"ip outside", []proto.ACL{entry(31, "ip", "10.1.0.0/16")}, read, ip("10.2.0.1"), false},
		{"ip odd bits", []proto.ACL{entry(31, "ip", "10.128.0.0/9")}, read, ip("10.200.0.1"), true},
		{"ip odd bits, outside", []proto.ACL{entry(31, "ip", "10.128.0.0/9")}, read, ip("10.100.0.1"), false},
		{"ip all of IPv4", []proto.ACL{entry(31, "ip", "1.2.3.4/0")}, read, ip("200.1.1.1"), true},
		{"host bits of the entry are masked", []proto.ACL{entry(31, "ip", "10.1.2.3/8")}, read, ip("10.9.9.9"), true},
		{"IPv6", []proto.ACL{entry(31, "ip", "2001:db8::/32")}, read, ip("2001:db8:0:0:1:2:3:4"), true},
		{"IPv6 short and long form", []proto.ACL{entry(31, "ip", "::1")}, read, ip("0:0:0:0:0:0:0:1"), true},
		{"IPv6 outside", []proto.ACL{entry(31, "ip", "2001:db8::/32")}, read, ip("2001:db9::1"), false},
		{"IPv6 odd bits", []proto.ACL{entry(31, "ip", "fe80::/10")}, read, ip("febf::1"), true},
		{"families differ", []proto.ACL{entry(31, "ip", "::/0")}, read, ip("10.0.0.1"), false},
		{"families differ, other way", []proto.ACL{entry(31, "ip", "0.0.0.0/0")}, read, ip("::1"), false},
		{"own address unreadable", []proto.ACL{entry(31, "ip", "0.0.0.0/0")}, read, ip("localhost"), false},
		{"entry unreadable", []proto.ACL{entry(31, "ip", "localhost")}, read, ip("127.0.0.1"), false},
	} {
		if got := znode.Allowed(tc.acl, tc.needed, tc.ids); got != tc.want {
			t.Errorf("%s: %v", tc.name, got)
		}
	}
}

// TestACLEntryValidity: what may be stored at all (spec semantics 7.3, 7.4).
func TestACLEntryValidity(t *testing.T) {
	valid := map[string][]string{
		"world":  {"anyone"},
		"digest": {"a:b", ":b", "a:b:", "user:tpUq/4Pn5A64fVZyQ0gOJ8ZWqkY="},
		"ip": {
			"1.2.3.4", "0.0.0.0/0", "10.0.0.0/32", "001.002.003.004", "+1.2.3.+4", "-0.0.0.0", "1.2.3.4/+8", "::+1", "::-1", "1:2:3:4:5:6:7:8", "::", "::1", "1::",
			"2001:DB8::ff", "1:2:3::5:6:7:8", "fe80::/128", "::/0",
		},
	}
	invalid := map[string][]string{
		"":         {"", "x"},
		"world":    {"", "x", "Anyone"},
		"digest":   {"", "a", "a:", ":", "::", "a:b:c"},
		"super":    {"", "a:b"},
		"x509":     {"CN=a"},
		"sasl":     {"alice"},
		"ensemble": {"e"},
		"key":      {"k"},
		"ip": {
			"", "x", "1.2.3", "1.2.3.4.5", "1.2.3.256", "1.2.3.-1", "1..2.3", "1.2.3.4/33", "1.2.3.4/",
			"1.2.3.4/-1", "1.2.3.4/8/8", "1.2.3.4/x", "127", "1:2:3:4:5:6:7", "1:2:3:4:5:6:7:8:9", "1:2:3:4::5:6:7:8",
			"1::2::3", ":::", ":1:2:3:4:5:6:7", "::12345", "::g", "::/129", "::ffff:1.2.3.4", "fe80::1%eth0", "1:2:3:4:5:6:7:",
		},
	}
	try := func(scheme, name string, want proto.Code) {
		acl := []proto.ACL{entry(31, scheme, name)}
		got, code := new(znode.Schemes).FixACL(acl, nil, 1<<20)
		if code != want || (code == proto.CodeOK && !slices.Equal(got, acl)) {
			t.Errorf("%s:%s: %v, %v", scheme, name, got, code)
		}
	}
	for scheme, names := range valid {
		for _, name := range names {
			try(scheme, name, proto.CodeOK)
		}
	}
	for scheme, names := range invalid {
		for _, name := range names {
			try(scheme, name, proto.CodeInvalidACL)
		}
	}
}

func TestFixACL(t *testing.T) {
	alice, bob := id("digest", "alice:h1"), id("digest", "bob:h2")
	ids := []proto.ID{id("ip", "10.0.0.1"), alice, znode.SuperID(), bob}
	for _, tc := range []struct {
		name string
		acl  []proto.ACL
		ids  []proto.ID
		want []proto.ACL // nil: CodeInvalidACL
	}{
		{"null", nil, ids, nil},
		{"empty", []proto.ACL{}, ids, nil},
		{"auth without anybody", []proto.ACL{entry(31, "auth", "")}, nil, nil},
		{"ip and super are nobody", []proto.ACL{entry(31, "auth", "")}, []proto.ID{ids[0], ids[2]}, nil},
		{
			"auth is all people, its id ignored",
			[]proto.ACL{entry(3, "auth", "whatever")},
			ids,
			[]proto.ACL{entry(3, "digest", "alice:h1"), entry(3, "digest", "bob:h2")},
		},
		{
			"duplicates go, order stays",
			[]proto.ACL{entry(1, "world", "anyone"), entry(2, "world", "anyone"), entry(1, "world", "anyone")},
			ids,
			[]proto.ACL{entry(1, "world", "anyone"), entry(2, "world", "anyone")},
		},
		{
			"duplicates through auth stay",
			[]proto.ACL{entry(31, "digest", "alice:h1"), entry(31, "auth", "")},
			[]proto.ID{alice},
			[]proto.ACL{entry(31, "digest", "alice:h1"), entry(31, "digest", "alice:h1")},
		},
		{
			"world:anyone with all stays next to others",
			[]proto.ACL{entry(31, "world", "anyone"), entry(1, "digest", "alice:h1")},
			nil,
			[]proto.ACL{entry(31, "world", "anyone"), entry(1, "digest", "alice:h1")},
		},
		{"one bad entry spoils all", []proto.ACL{entry(31, "world", "anyone"), entry(31, "world", "x")}, ids, nil},
		{
			"strange bits are kept",
			[]proto.ACL{entry(255, "world", "anyone"), entry(-3, "digest", "a:b"), entry(0, "ip", "::1")},
			nil,
			[]proto.ACL{entry(255, "world", "anyone"), entry(-3, "digest", "a:b"), entry(0, "ip", "::1")},
		},
	} {
		got, code := new(znode.Schemes).FixACL(tc.acl, tc.ids, 1<<20)
		if tc.want == nil && code == proto.CodeInvalidACL && got == nil {
			continue
		}
		if code != proto.CodeOK || !slices.Equal(got, tc.want) {
			t.Errorf("%s: %v, %v", tc.name, got, code)
		}
	}
}

// TestFixACLIsBounded: neither long lists nor many identities cost more than their due.
func TestFixACLIsBounded(t *testing.T) {
	var acl, want []proto.ACL
	for i := range 40_000 {
		a := entry(proto.Perms(i), "world", "anyone")
		acl = append(acl, a, a)
		want = append(want, a)
	}
	got, code := new(znode.Schemes).FixACL(acl, nil, 1<<20)
	if code != proto.CodeOK || !slices.Equal(got, want) {
		t.Errorf("%v, %d entries", code, len(got))
	}
	var ids []proto.ID
	for i := range 1000 {
		ids = append(ids, id("digest", fmt.Sprintf("user%d:hash", i)))
	}
	for i := range acl {
		acl[i].ID = id("auth", "")
	}
	if _, code := new(znode.Schemes).FixACL(acl, ids, 1<<20); code != proto.CodeMarshallingError {
		t.Errorf("list of 40 million entries: %v", code)
	}
}

func TestRedactACL(t *testing.T) {
	acl := []proto.ACL{
		entry(31, "digest", "foo:hash"), entry(1, "world", "anyone"), entry(2, "ip", "::1"),
		entry(3, "digest", "a:b:c"), entry(4, "digest", "plain"), entry(5, "x509", "CN=a:b"),
	}
	kept := slices.Clone(acl)
	want := slices.Clone(acl)
	want[0].ID.ID, want[3].ID.ID = "foo:x", "a:x"
	if got := znode.RedactACL(acl); !slices.Equal(got, want) {
		t.Errorf("got %v", got)
	}
	if !slices.Equal(acl, kept) {
		t.Error("the node's own list was changed")
	}
}
