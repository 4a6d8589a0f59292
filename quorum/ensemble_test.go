package quorum_test

import (
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/zabkeeper/zabkeeper/quorum"
	"github.com/zabkeeper/zabkeeper/zab/zxid"
)

func TestParseMember(t *testing.T) {
	const badForm = " does not have the form server_config or server_config;client_config" +
		" where server_config is the pipe separated list of host:port:port or host:port:port:type" +
		" and client_config is port or host:port"
	for _, c := range []struct{ text, want, err string }{
		{text: "a:2888:3888", want: "a:2888:3888:participant"},
		{text: "a:2888:3888:observer", want: "a:2888:3888:observer"},
		{text: "a:2888:3888: OBserver ", want: "a:2888:3888:observer"},
		{text: "a:2888:3888:participant;2181", want: "a:2888:3888:participant;0.0.0.0:2181"},
		{text: "a:2888:3888;10.0.0.1:2181", want: "a:2888:3888:participant;10.0.0.1:2181"},
		{text: "a:2888:3888;0", want: "a:2888:3888:participant;0.0.0.0:0"},
		{text: "[::1]:2888:3888:observer;[fe80::1%eth0]:2181", want: "[::1]:2888:3888:observer;[fe80::1%eth0]:2181"},
		{text: "[a]:2888:3888", want: "a:2888:3888:participant"},
		{text: "b:1:2|a:3:4", want: "a:3:4|b:1:2:participant"},
		{text: "b:1:2:observer|a:3:4", want: "a:3:4|b:1:2:observer"},
		{text: "a:2888:3888:;", want: "a:2888:3888:participant"},

		{text: "", err: badForm},
		{text: ";2181", err: ";2181" + badForm},
		{text: "a:2888", err: "a:2888" + badForm},
		{text: "a:2888:3888:observer:x", err: "a:2888:3888:observer:x" + badForm},
		{text: "a:2888:3888;1;2", err: "a:2888:3888;1;2" + badForm},
		{text: "a:2888:3888;h:1:2", err: "a:2888:3888;h:1:2" + badForm},
		{text: "a:2888:3888:leader", err: "Unrecognised peertype: leader"},
		{text: "a:x:3888", err: "Address unresolved: a:x"},
		{text: "a:2888:", err: "a:2888:" + badForm},
		{text: "a:2888:99999999999", err: "Address unresolved: a:99999999999"},
		{text: "a:2888:3888;h:x", err: "Address unresolved: h:x"},
		{text: "a:2888:2888", err: "Client and election port must be different! Please update the configuration file on server.7"},
		{text: "a:0:3888", err: "server.7: port 0 is outside 1..65535"},
		{text: "a:2888:65536", err: "server.7: port 65536 is outside 1..65535"},
		{text: "a:2888:3888;-1", err: "server.7: client address: port -1 is outside 0..65535"},
		{text: ":2888:3888", err: "server.7: the host is empty"},
		{text: "a b:2888:3888", err: `server.7: the host "a b" holds the character ' '`},
		{text: "[::1:2888:3888", err: "[::1:2888:3888 starts with '[' but has no matching ']:'"},
		{text: "[::1]:", err: "[::1]: doesn't have a port after colon"},
		{text: "[::1]2888:3888", err: "[::1]2888:3888 has no ':' after ']'"},
		{text: "[::1]", err: "[::1]" + badForm},
		{text: "a:1:2:observer|b:3:4:participant", err: "Multiple addresses should have similar roles: observer vs participant"},
		{text: strings.Repeat("h", 256) + ":1:2", err: "server.7: the host has 256 bytes, more than 255"},
	} {
		m, err := quorum.ParseMember(7, c.text)
		if c.err != "" {
			if err == nil || err.Error() != c.err {
				t.Errorf("%q: got error %v, want %s", c.text, err, c.err)
			}
			continue
		}
		if err != nil || m.String() != c.want || m.SID != 7 {
			t.Errorf("%q: got %v, %v; want %s", c.text, m, err, c.want)
		}
	}
}

func mustEnsemble(tb testing.TB, text string) *quorum.Ensemble {
	tb.Helper()
	e, err := quorum.ParseEnsemble(text)
	if err != nil {
		tb.Fatalf("%q: %v", text, err)
	}
	return e
}

func TestEnsembleText(t *testing.T) {
	e := mustEnsemble(t, "weight.2=5\nserver.10=c:1:2:observer\nserver.2=b:1:2;9\ngroup.1=2:1\n\nserver.1=a:1:2\nversion=10000000a\nweight.10=3")
	const want = "server.1=a:1:2:participant\nserver.2=b:1:2:participant;0.0.0.0:9\nserver.10=c:1:2:observer\n" +
		"group.1=1:2\nweight.1=1\nweight.2=5"
	if e.String() != want {
		t.Errorf("got\n%s\nwant\n%s", e, want)
	}
	if e.VersionLine() != "version=10000000a" || e.ConfigData() != want+"\nversion=10000000a" {
		t.Errorf("version line %q, data %q", e.VersionLine(), e.ConfigData())
	}
	if e.Voters() != quorum.SetOf(1, 2) || e.Observers() != quorum.SetOf(10) || e.SIDs() != quorum.SetOf(1, 2, 10) {
		t.Errorf("voters %v observers %v", e.Voters(), e.Observers())
	}
	if e.Verifier().Weight(2) != 5 || e.Verifier().Weight(10) != 0 {
		t.Errorf("weights %d, %d; want 5 and, for an observer, 0", e.Verifier().Weight(2), e.Verifier().Weight(10))
	}
	if got := e.Version(); got != zxid.Make(1, 10) || e.Len() != 3 {
		t.Errorf("version %v len %d", got, e.Len())
	}
	var others []string
	for _, m := range e.Others(2) {
		others = append(others, m.SID.String())
	}
	if fmt.Sprint(others) != "[1 10]" {
		t.Errorf("others of 2: %v", others)
	}
	if empty := mustEnsemble(t, ""); empty.ConfigData() != "version=0" || empty.Verifier().HasQuorum(quorum.SetOf(1)) {
		t.Errorf("empty ensemble: %q", empty.ConfigData())
	}
}

func TestEnsembleIsImmutable(t *testing.T) {
	members := []quorum.Member{{SID: 1, Quorum: []quorum.HostPorts{{"a", 1, 2}}, Client: &quorum.Address{Host: "c", Port: 3}}}
	e, err := quorum.NewEnsemble(5, members)
	if err != nil {
		t.Fatal(err)
	}
	before := e.ConfigData()
	members[0].Quorum[0].Host, members[0].Client.Port = "x", 9
	got := e.Members()
	got[0].Quorum[0].Host, got[0].Client.Port = "y", 9
	one, ok := e.Member(1)
	if !ok || one.Quorum[0].Host != "a" || *one.Client != (quorum.Address{Host: "c", Port: 3}) {
		t.Errorf("member 1 became %v", one)
	}
	if _, ok := e.Member(2); ok || e.ConfigData() != before {
		t.Errorf("ensemble changed to %q", e.ConfigData())
	}
	if v := e.WithVersion(6); v.Version() != 6 || e.Version() != 5 || v.Equal(e) || !v.WithVersion(5).Equal(e) {
		t.Error("WithVersion must copy, and Equal must see the version")
	}
	var none *quorum.Ensemble
	if !none.Equal(nil) || none.Equal(e) || e.Equal(nil) {
		t.Error("nil equals nil alone")
	}
}

func TestEnsembleRefusals(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"server.1=a:1:2\nserver.01=b:1:2", "server.1 is defined twice"},
		{"server.256=a:1:2", "server id 256 is outside 0..255"},
		{"server.-1=a:1:2", "server id -1 is outside 0..255"},
		{"server.x=a:1:2", `server id "x" is not a number`},
		{"server.99999999999999999999=a:1:2", "server id 99999999999999999999 is outside 0..255"},
		{"server.1=a:1:2\nserver.2=a:2:3", "server.1 and server.2 share the address a:2"},
		{"server.1=a:1:2|a:1:2", "server.1 and server.1 share the address a:1"},
		{"server.1=a:1:2\nserver.2=b:1:2\ngroup.1=1", "Server 2 is not in a group"},
		{"server.1=a:1:2\nweight.1=2", "Server 1 is not in a group"},
		{"server.1=a:1:2\nserver.2=b:1:2:observer\ngroup.1=2", "Server 1 is not in a group"},
		{"server.1=a:1:2\ngroup.1=1:2", "server 2 has a group or a weight but no server.2 entry"},
		{"server.1=a:1:2\ngroup.1=1\ngroup.2=1", "Server 1 is in multiple groups"},
		{"server.1=a:1:2\ngroup.1=1:1", "Server 1 is in multiple groups"},
		{"server.1=a:1:2\ngroup.1=1\ngroup.1=2", "group 1 is defined twice"},
		{"group.x=1", `group id "x" is not a number of 0..2147483647`},
		{"group.1=", `server id "" is not a number`},
		{"weight.1=-1", `weight "-1" is not a number of 0..1073741824`},
		{"weight.1=1\nweight.1=1", "weight.1 is defined twice"},
		{"server.1=a:1:2\ngroup.1=1\nweight.1=0", "no group has any weight: there can be no quorum"},
		{"version=xyz", `version "xyz" is not a hexadecimal zxid`},
		{"version=ffffffffffffffff", `version "ffffffffffffffff" is not a hexadecimal zxid`},
		{"tickTime=1", "Unrecognised parameter: tickTime"},
		{"server.1", `"server.1" is no key=value`},
		{strings.Repeat("\n", quorum.MaxTextLen+1), "configuration has 1048577 bytes, more than 1048576"},
	} {
		if _, err := quorum.ParseEnsemble(c.text); err == nil || err.Error() != c.want {
			t.Errorf("%.60q: got %v, want %s", c.text, err, c.want)
		}
	}
	if _, err := quorum.NewEnsemble(-1, nil); err == nil {
		t.Error("a negative version was accepted")
	}
	if _, err := quorum.NewEnsemble(0, []quorum.Member{{SID: 1}}); err == nil || err.Error() != "server.1 has no address" {
		t.Errorf("no address: %v", err)
	}
}

// drawEnsemble draws any valid ensemble.
func drawEnsemble(t *rapid.T) *quorum.Ensemble {
	var members []quorum.Member
	var voters []quorum.SID
	for sid := range drawSet(t, "members").All() {
		m := quorum.Member{SID: sid, Role: quorum.Role(rapid.IntRange(0, 1).Draw(t, "role"))}
		for i := range rapid.IntRange(1, 3).Draw(t, "addresses") {
			host := rapid.SampledFrom([]string{"10.0.0.1", "zk", "::1", "fe80::1%eth0"}).Draw(t, "host")
			port := 1 + 10*int(sid) + 2*i
			m.Quorum = append(m.Quorum, quorum.HostPorts{Host: host, QuorumPort: port, ElectionPort: port + 1})
		}
		if rapid.Bool().Draw(t, "client") {
			m.Client = &quorum.Address{Host: rapid.SampledFrom([]string{"0.0.0.0", "::", "c.example"}).Draw(t, "clientHost"), Port: int(sid)}
		}
		if m.Role == quorum.Participant {
			voters = append(voters, sid)
		}
		members = append(members, m)
	}
	var groups []quorum.Group
	if len(voters) > 0 && rapid.Bool().Draw(t, "hierarchical") {
		groups = []quorum.Group{{ID: 7}}
		for _, sid := range voters {
			groups[0].Servers = append(groups[0].Servers, quorum.Weighted{SID: sid, Weight: rapid.IntRange(1, 3).Draw(t, "w")})
		}
	}
	e, err := quorum.NewEnsemble(zxid.ID(rapid.Int64Min(0).Draw(t, "version")), members, groups...)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func TestEnsembleTextRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		e := drawEnsemble(t)
		back, err := quorum.ParseEnsemble(e.ConfigData())
		if err != nil || !back.Equal(e) || back.ConfigData() != e.ConfigData() {
			t.Fatalf("%q read back as %v, %v", e.ConfigData(), back, err)
		}
		if v := e.Verifier(); v.Voters() != e.Voters() || (e.Voters().Len() > 0) != v.HasQuorum(e.SIDs()) {
			t.Fatalf("verifier of %v: voters %v", e, v.Voters())
		}
	})
}

// FuzzParseEnsemble: no input panics, and what is accepted has one canonical form.
func FuzzParseEnsemble(f *testing.F) {
	for _, seed := range []string{
		"server.1=host1:2888:3888:participant;0.0.0.0:2181\nserver.2=host2:2888:3888:observer\nversion=100000000",
		"server.1=a:1:2\nserver.2=b:1:2\ngroup.1=1:2\nweight.1=3\nversion=0",
		"server.3=[::1]:1:2|[::2]:1:2:observer;[::]:9",
		"server.1=a:1:2;\nweight.9=9", "=\n==", "group.1=:::",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		e, err := quorum.ParseEnsemble(text)
		if err != nil {
			return
		}
		back, err := quorum.ParseEnsemble(e.ConfigData())
		if err != nil || !back.Equal(e) {
			t.Fatalf("%q -> %q -> %v, %v", text, e.ConfigData(), back, err)
		}
	})
}

// FuzzParseMember: the same for one entry.
func FuzzParseMember(f *testing.F) {
	for _, seed := range []string{"a:2888:3888:observer;2181", "[::1]:1:2|b:3:4;[::]:5", "a:1:2;", "[]:1:2", ":::;;;|||"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		m, err := quorum.ParseMember(1, text)
		if err != nil {
			return
		}
		back, err := quorum.ParseMember(1, m.String())
		if err != nil || back.String() != m.String() {
			t.Fatalf("%q -> %q -> %v, %v", text, m, back, err)
		}
	})
}
