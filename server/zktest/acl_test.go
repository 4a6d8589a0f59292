package zktest_test

import (
	"errors"
	"testing"

	"github.com/go-zookeeper/zk"

	"github.com/zabkeeper/zabkeeper/server/zktest"
)

// TestACLSettings: the settings of zoo.cfg about ACLs reach those who judge.
func TestACLSettings(t *testing.T) {
	for _, tc := range []struct {
		name     string
		settings map[string]string
		entry    zk.ACL
		stored   string // the id, empty if the entry is refused
	}{
		{"auth", nil, zk.ACL{Scheme: "auth"}, "user:tpUq/4Pn5A64fVZyQ0gOJ8ZWqkY="},
		{
			"digestAlg",
			map[string]string{"DigestAuthenticationProvider.digestAlg": "SHA-256"},
			zk.ACL{Scheme: "auth"},
			"user:yRsdas04PETE7CDJcj51jDEYKh9PAjHWPZElmi6hS50=",
		},
		{"sasl is not offered", nil, zk.ACL{Scheme: "sasl", ID: "bob"}, ""},
		{
			"sasl",
			map[string]string{"authProvider.1": "org.apache.zookeeper.server.auth.SASLAuthenticationProvider"},
			zk.ACL{Scheme: "sasl", ID: "bob"},
			"bob",
		},
		{"x509 is not offered", nil, zk.ACL{Scheme: "x509", ID: "CN=bob"}, ""},
		{"eager", map[string]string{"enableEagerACLCheck": "true"}, zk.ACL{Scheme: "x509", ID: "CN=bob"}, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var opts []zktest.Option
			for key, value := range tc.settings {
				opts = append(opts, zktest.Set(key, value))
			}
			e := zktest.Start(t, 2, opts...)
			for _, s := range e.Servers() {
				conn := e.Connect(t, s)
				must(t, conn.AddAuth("digest", []byte("user:password")))
				tc.entry.Perms = zk.PermAll
				path, err := conn.Create("/a-", nil, zk.FlagSequence, []zk.ACL{zk.WorldACL(zk.PermAll)[0], tc.entry})
				if tc.stored == "" {
					if !errors.Is(err, zk.ErrInvalidACL) {
						t.Errorf("create through server %d: %v, want an invalid ACL", s.ID, err)
					}
					continue
				}
				must(t, err)
				acl, _, err := conn.GetACL(path)
				must(t, err)
				if len(acl) != 2 || acl[1].ID != tc.stored {
					t.Errorf("server %d stored %+v, want %q", s.ID, acl, tc.stored)
				}
			}
		})
	}
}
