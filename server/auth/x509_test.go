package auth_test

import (
	"slices"
	"testing"

	"github.com/zabkeeper/zabkeeper/proto"
	"github.com/zabkeeper/zabkeeper/server/auth"
)

func TestX509(t *testing.T) {
	const admin = "CN=admin,O=x"
	x509 := func(dn string) proto.ID { return proto.ID{Scheme: "x509", ID: dn} }
	for _, c := range []struct {
		name    string
		cfg     auth.Config
		peer    auth.Peer
		want    []proto.ID
		verdict auth.Verdict
	}{
		{"not offered", auth.Config{}, auth.Peer{Certified: true, Subject: admin}, nil, auth.Refused},
		{"no certificate", auth.Config{X509: true, X509Super: admin}, auth.Peer{}, nil, auth.Refused},
		{"certificate", auth.Config{X509: true, X509Super: admin}, auth.Peer{Certified: true, Subject: "CN=a"}, []proto.ID{x509("CN=a")}, auth.Accepted},
		{"super", auth.Config{X509: true, X509Super: admin}, auth.Peer{Certified: true, Subject: admin}, []proto.ID{{Scheme: "super", ID: admin}, x509(admin)}, auth.Accepted},
		{"nobody is super, nameless least of all", auth.Config{X509: true}, auth.Peer{Certified: true}, []proto.ID{x509("")}, auth.Accepted},
	} {
		a, err := auth.New(c.cfg)
		if err != nil {
			t.Fatal(err)
		}
		if got, verdict := a.Authenticate(&c.peer, auth.SchemeX509, []byte("CN=forged")); !slices.Equal(got, c.want) || verdict != c.verdict {
			t.Errorf("%s: got %v, %v, want %v, %v", c.name, got, verdict, c.want, c.verdict)
		}
	}
	if _, err := auth.New(auth.Config{Required: []string{"x509"}}); err == nil {
		t.Error("x509 is required and not offered, and New took it")
	}
}
