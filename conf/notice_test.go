package conf_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/zabkeeper/zabkeeper/conf"
)

func notices(c *conf.Config) []string {
	var out []string
	for _, n := range c.Notices {
		out = append(out, n.String())
	}
	return out
}

// What is not acted on is said [H-84, H-85].
func TestNotices(t *testing.T) {
	id := files{"/d/myid": "1"}
	for _, c := range []struct{ text, want string }{
		{alone + "tickTme=1", "warn: unknown key tickTme is ignored; did you mean tickTime? (zoo.cfg:3)"},
		{alone + "zookeeper.maxclientcnxns=1", "warn: unknown key zookeeper.maxclientcnxns is ignored; did you mean maxClientCnxns? (zoo.cfg:3)"},
		{alone + "quiteSomethingElse=1", "warn: unknown key quiteSomethingElse is ignored (zoo.cfg:3)"},
		{alone + strings.Repeat("k", 300) + "=1", "warn: unknown key " + strings.Repeat("k", 200) + "... is ignored (zoo.cfg:3)"},
		{alone + "preAllocSize=1", "info: preAllocSize is accepted and ignored: it tunes something that this server does not have (zoo.cfg:3)"},
		{alone + "preAllocSize=65536", ""},
		{alone + "kinit=/x", "warn: kinit has no effect on this server (zoo.cfg:3)"},
		{alone + "autopurge.purgeInterval=1", "info: autopurge.purgeInterval is known but not acted on in this version (zoo.cfg:3)"},
		{alone + "maxConcurrentSnapSyncs=7", "info: leader.maxConcurrentSnapSyncs is known but not acted on in this version (zoo.cfg:3)"},
		{alone + "oraclePath=/o", "info: oraclePath is known but not acted on in this version (zoo.cfg:3)"},
		{alone + "observerMasterPort=7", "info: observerMasterPort is known but not acted on in this version (zoo.cfg:3)"},
		{alone + "metricsProvider.httpPort=7000", "info: metricsProvider.httpPort is known but not acted on in this version (zoo.cfg:3)"},
		{alone + "sslQuorum=true", "warn: sslQuorum is NOT acted on in this version: the protection it asks for is not in place (zoo.cfg:3)"},
		{alone + "sslQuorum=false", ""},
		{alone + "ssl.quorum.keyStore.location=/k", "info: ssl.quorum.keyStore.location is known but not acted on in this version (zoo.cfg:3)"},
		{alone + "ssl.clientHostnameVerfication=true", "warn: unknown key ssl.clientHostnameVerfication is ignored; did you mean ssl.clientHostnameVerification? (zoo.cfg:3)"},
		{alone + "ssl.crl=false", ""},
		{alone + "ssl.sslProvider=JDK", "info: ssl.sslProvider is accepted and ignored: it tunes something that this server does not have (zoo.cfg:3)"},
		{alone + "ssl.authProvider=x509", ""},
		{alone + "ssl.authProvider=mine", "warn: ssl.authProvider is NOT acted on in this version: the protection it asks for is not in place (zoo.cfg:3)"},
		{alone + "ssl.context.supplier.class=org.example.Mine", "warn: ssl.context.supplier.class has no effect on this server (zoo.cfg:3)"},
		{alone + "tickTime=1\ntickTime=2", "warn: tickTime overrides the value of zoo.cfg:3 (zoo.cfg:4)"},
		{alone + "tickTime=1\nzookeeper.tickTime=1", ""},
		{alone + "db.autocreate=no", "warn: db.autocreate=no counts as false: only true and false are meant here (zoo.cfg:3)"},
		{alone + "forceSync=false", "warn: forceSync=false counts as yes: only yes and no are meant here (zoo.cfg:3)"},
		{alone + "forceSync=no", "warn: forceSync=no: a crash of this machine LOSES acknowledged writes (zoo.cfg:3)"},
		{alone + "skipACL=yes", "warn: skipACL=yes: every client may do everything (zoo.cfg:3)"},
		{alone + "acceptOlderCopies=yes", "warn: acceptOlderCopies=yes: servers that have lost what they acknowledged count; it is for one start after backups were restored (zoo.cfg:3)"},
		{alone + "authProvider.1=org.example.Mine", "warn: org.example.Mine cannot be loaded here: nobody can authenticate by it (zoo.cfg:3)"},
		{alone + "skipACL=true", "warn: skipACL=true counts as no: only yes and no are meant here (zoo.cfg:3)"},
		{"dataDir=data\nclientPort=1", "warn: data is relative. Prepend ./ to indicate that you're sure! (zoo.cfg:1)"},
		{"dataDir=./data\nclientPort=1", ""},
		{alone + "server.1=a:1:2", "info: only one server specified: running standalone (zoo.cfg)"},
		{trioOf, ""},
		{trioOf + "forceSync=no", "warn: forceSync=no is not honoured in an ensemble: every write is synced before it is acknowledged (zoo.cfg:8)"},
		{trioOf + "server.4=d:1:2", "warn: Non-optimal configuration, consider an odd number of servers. (zoo.cfg)"},
		{trioOf + "peerType=observer", "warn: Peer type from servers list (PARTICIPANT) doesn't match peerType (OBSERVER). Defaulting to servers list. (zoo.cfg:8)"},
		{"dataDir=/d\ninitLimit=1\nsyncLimit=1\nserver.1=a:1:2\nserver.2=b:1:2\nserver.3=c:1:2", "warn: clientPort is not set: this server serves no clients (zoo.cfg)"},
	} {
		if got := strings.Join(notices(mustLoad(t, c.text, id)), "|"); got != c.want {
			t.Errorf("%s\n got %s\nwant %s", c.text, got, c.want)
		}
	}
}

func TestExtendedTypesNeedLowServerIDs(t *testing.T) {
	text := trio + "server.255=a:1:2\nserver.2=b:1:2\nserver.3=c:1:2\n"
	id := files{"/d/myid": "255"}
	if c := mustLoad(t, alone, nil); !c.ExtendedTypes {
		t.Error("off by default")
	}
	c := mustLoad(t, text, id)
	const want = "warn: there are no nodes with a time to live: the server id is above 254 (/d/myid:1)"
	if got := strings.Join(notices(c), "|"); c.ExtendedTypes || got != want {
		t.Errorf("server 255: on %v, notices %s", c.ExtendedTypes, got)
	}
	const refusal = "zoo.cfg:8: extendedTypesEnabled=true: extendedTypesEnabled needs server ids up to 254, this server is 255"
	if _, err := load(text+"extendedTypesEnabled=true", id); err == nil || err.Error() != refusal {
		t.Errorf("asked for: %v", err)
	}
}

// TestForceSyncIsTakenFromVoters holds hazard H-91.
func TestForceSyncIsTakenFromVoters(t *testing.T) {
	if c := mustLoad(t, alone+"forceSync=no", nil); c.ForceSync {
		t.Error("forceSync=no is honoured by a standalone server")
	}
	c := mustLoad(t, trioOf+"forceSync=no", files{"/d/myid": "1"})
	if s, _ := c.Lookup("forceSync"); !c.ForceSync || s.Value != "yes" {
		t.Errorf("a voter must sync; effective value %q", s.Value)
	}
}

func TestUnknownKeys(t *testing.T) {
	in := conf.Input{
		Name: "zoo.cfg", Text: []byte(alone + "myOwn.key=x"),
		Flags: []conf.Setting{
			{Key: "com.example.agent", Value: "1", Origin: conf.Origin{Name: "JVMFLAGS"}},
			{Key: "zookeeper.tickTimes", Value: "1", Origin: conf.Origin{Name: "JVMFLAGS"}},
		},
		CommandLine: []conf.Setting{{Key: "zzz", Value: "1", Origin: conf.Origin{Name: conf.OriginCommandLine}}},
	}
	c, err := conf.Load(in)
	if err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprint(c.Unknown); got != "[{zookeeper.tickTimes 1 JVMFLAGS} {myOwn.key x zoo.cfg:3} {zzz 1 command line}]" {
		t.Errorf("unknown: %s", got)
	}
	if s, ok := c.Lookup("zookeeper.myOwn.key"); !ok || s.Value != "x" {
		t.Errorf("an unknown key is kept: %+v", s)
	}
	in.Strict = true
	if _, err = conf.Load(in); err == nil || err.Error() != "JVMFLAGS: zookeeper.tickTimes=1: unknown key; did you mean tickTime?" {
		t.Errorf("strict: %v", err)
	}
}
