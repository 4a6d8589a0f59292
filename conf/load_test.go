package conf_test

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/zabkeeper/zabkeeper/conf"
	"github.com/zabkeeper/zabkeeper/quorum"
)

// files is a file system for Input.ReadFile.
type files map[string]string

func (f files) read(path string) ([]byte, error) {
	text, ok := f[path]
	if !ok {
		return nil, &fs.PathError{Op: "open", Path: path, Err: fs.ErrNotExist}
	}
	if text == "unreadable" {
		return nil, &fs.PathError{Op: "open", Path: path, Err: fs.ErrPermission}
	}
	return []byte(text), nil
}

func load(text string, others files) (*conf.Config, error) {
	return conf.Load(conf.Input{Name: "zoo.cfg", Text: []byte(text), ReadFile: others.read})
}

func mustLoad(t *testing.T, text string, others files) *conf.Config {
	t.Helper()
	c, err := load(text, others)
	if err != nil {
		t.Fatalf("%s\n%v", text, err)
	}
	return c
}

const (
	alone  = "dataDir=/d\nclientPort=2181\n"
	trio   = "dataDir=/d\nclientPort=2181\ninitLimit=10\nsyncLimit=5\n"
	trioOf = trio + "server.1=a:2888:3888\nserver.2=b:2888:3888\nserver.3=c:2888:3888\n"
)

func TestDefaults(t *testing.T) {
	c := mustLoad(t, alone, nil)
	got := fmt.Sprintf("%v %v %v | %v %v | %d %d | %v %v | %v %v %v %v %v",
		c.TickTime, c.MinSessionTimeout, c.MaxSessionTimeout, c.DataDir, c.DataLogDir, c.MaxClientCnxns, c.MaxCnxns,
		c.Client, c.ListenBacklog, c.Standalone, c.StandaloneEnabled, c.MyID, c.Ensemble == nil, c.Role)
	if want := "3s 6s 1m0s | /d /d | 60 0 | 0.0.0.0:2181 -1 | true true none true participant"; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	got = fmt.Sprintf("%v %v %v %v | %v %v %d %d | %d %d %v %v", c.ForceSync, c.DataDirAutocreate, c.DBAutocreate, c.FsyncWarning,
		c.SkipACL, c.Auth.Digest, c.SnapCount, c.CommitLogCount, c.JuteMaxBuffer, c.GlobalOutstandingLimit, c.SessionlessTimeout, c.LeaderServes)
	if want := "true true true 1s | false true 100000 500 | 1048575 1000 10s true"; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	got = fmt.Sprintf("%v %d %v %v %v %v", c.CnxTimeout, c.ElectionPortBindRetry, c.MinNotifyInterval, c.MaxNotifyInterval, c.ReadOnlyMode, c.QuorumListenOnAllIPs)
	if want := "5s 3 200ms 1m0s false false"; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	got = fmt.Sprint(c.NodeCacheMb, c.BlockCacheMb, c.DiskReserveMb, c.DiskBallastMb, c.ScrubInterval, c.ScrubMbPerSecond, c.AcceptOlderCopies)
	if want := "16 16 256 64 24h0m0s 8 false"; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if len(c.Notices) != 0 || len(c.Unknown) != 0 {
		t.Errorf("notices %v, unknown %v", c.Notices, c.Unknown)
	}
}

func TestEveryHonouredKey(t *testing.T) {
	c := mustLoad(t, strings.Join([]string{
		"tickTime=100", "initLimit=7", "syncLimit=3", "connectToLearnerMasterLimit=2", "dataDir=/d", "dataLogDir=/l",
		"datadir.autocreate=false", "db.autocreate=false", "snapCount=10", "commitLogCount=20", "scrubIntervalHours=168",
		"scrubMbPerSecond=3", "acceptOlderCopies=yes", "fsync.warningthresholdms=30",
		"clientPort=1", "clientPortAddress=[::1]", "clientPortListenBacklog=9", "maxClientCnxns=-1", "maxCnxns=8",
		"minSessionTimeout=50", "maxSessionTimeout=60", "nio.sessionlessCnxnTimeout=70", "clientTcpKeepAlive=false",
		"jute.maxbuffer=0x400000", "globalOutstandingLimit=11", "readonlymode.enabled=TRUE", "4lw.commands.whitelist= ruok, wchp ,",
		"skipACL=yes", "DigestAuthenticationProvider.enabled=false", "DigestAuthenticationProvider.superDigest=super:x",
		"electionAlg=3", "peerType=OBSERVER", "standaloneEnabled=False", "multiAddress.enabled=true", "quorumListenOnAllIPs=true",
		"leaderServes=no", "cnxTimeout=12", "electionPortBindRetry=0", "tcpKeepAlive=false", "fastleader.minNotificationInterval=13",
		"fastleader.maxNotificationInterval=14", "observer.election.DelayMs=15", "observer.reconnectDelayMs=16", "version=1f",
		"server.1=a:2:3|b:2:3", "server.2=c:2:3:observer;[::1]:1",
	}, "\n"), files{"/d/myid": "2\n"})
	got := fmt.Sprint(c.TickTime, c.InitLimit, c.SyncLimit, c.ConnectLimit, c.DataDir, c.DataLogDir, c.DataDirAutocreate, c.DBAutocreate,
		c.SnapCount, c.CommitLogCount, c.ScrubInterval, c.ScrubMbPerSecond, c.AcceptOlderCopies, c.FsyncWarning, c.Client, c.ListenBacklog, c.MaxClientCnxns, c.MaxCnxns)
	if want := "100ms 7 3 2/d/lfalse false 10 20 168h0m0s 3 true 30ms [::1]:1 9 0 8"; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	got = fmt.Sprint(c.MinSessionTimeout, c.MaxSessionTimeout, c.SessionlessTimeout, c.ClientTCPKeepAlive, c.JuteMaxBuffer,
		c.GlobalOutstandingLimit, c.ReadOnlyMode, c.FourLetterWhitelist, c.SkipACL, c.Auth.Digest, " ", c.Auth.SuperDigest)
	if want := "50ms 60ms 70ms false 4194304 11 true [ruok wchp] true false super:x"; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	got = fmt.Sprint(c.Role, c.StandaloneEnabled, c.Standalone, c.MultiAddress, c.QuorumListenOnAllIPs, c.LeaderServes, c.CnxTimeout,
		c.ElectionPortBindRetry, c.QuorumTCPKeepAlive, c.MinNotifyInterval, c.MaxNotifyInterval, c.ObserverElectionDelay,
		c.ObserverReconnectDelay, c.MyID, c.Ensemble.Version())
	if want := "observer false false true true false 12ms 0 false 13ms 14ms 15ms 16ms 2 0x1f"; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if c.InitTimeout() != 700*time.Millisecond || c.SyncTimeout() != 300*time.Millisecond || c.RoleTick() != 50*time.Millisecond ||
		c.InitRoleTicks() != 14 || c.SyncRoleTicks() != 6 {
		t.Errorf("limits: %v %v %v %d %d", c.InitTimeout(), c.SyncTimeout(), c.RoleTick(), c.InitRoleTicks(), c.SyncRoleTicks())
	}
}

func TestTicks(t *testing.T) {
	for _, c := range []struct {
		d    time.Duration
		want int
	}{{-1, 0}, {0, 0}, {1, 1}, {time.Second, 1}, {time.Second + 1, 2}, {10 * time.Second, 10}} {
		if got := conf.Ticks(c.d, time.Second); got != c.want {
			t.Errorf("Ticks(%v, 1s) = %d, want %d", c.d, got, c.want)
		}
	}
}

func TestRefusals(t *testing.T) {
	myid := func(text string) files { return files{"/d/myid": text} }
	const badForm = " does not have the form server_config or server_config;client_config" +
		" where server_config is the pipe separated list of host:port:port or host:port:port:type" +
		" and client_config is port or host:port"
	for _, c := range []struct {
		text   string
		others files
		want   string
	}{
		{"clientPort=2181", nil, "zoo.cfg: dataDir: dataDir is not set"},
		{"dataDir=\nclientPort=2181", nil, "zoo.cfg:1: dataDir: dataDir is not set"},
		{"dataDir=/d", nil, "zoo.cfg: clientPort: clientPort is not set"},
		{"dataDir=/d\nclientPortAddress=::1", nil, "zoo.cfg:2: clientPortAddress=::1: clientPortAddress is set but clientPort is not set"},
		{alone + "clientPortAddress=a b", nil, "zoo.cfg:3: clientPortAddress=a b: is not a host name or address"},
		{alone + "clientPort=65536", nil, "zoo.cfg:3: clientPort=65536: must be in 0..65535"},
		{alone + "clientPort=http", nil, "zoo.cfg:3: clientPort=http: must be a whole number of 0..65535"},
		{alone + "clientPort=", nil, "zoo.cfg:3: clientPort: must be a whole number of 0..65535"},
		{alone + "tickTime=0", nil, "zoo.cfg:3: tickTime=0: tickTime is not set"},
		{alone + "tickTime=-5", nil, "zoo.cfg:3: tickTime=-5: must be in 0..3600000"},
		{alone + "tickTime=99999999999999999999", nil, "zoo.cfg:3: tickTime=99999999999999999999: must be a whole number of 0..3600000"},
		{alone + "tickTime=\\u0007" + strings.Repeat("9", 300), nil, "zoo.cfg:3: tickTime=" + strings.Repeat("9", 200) + "...: must be a whole number of 0..3600000"},
		{alone + "minSessionTimeout=61000", nil, "zoo.cfg:3: minSessionTimeout=61000: minSessionTimeout must not be larger than maxSessionTimeout (61000 and 60000 ms)"},
		{alone + "maxSessionTimeout=5999", nil, "zoo.cfg:3: maxSessionTimeout=5999: minSessionTimeout must not be larger than maxSessionTimeout (6000 and 5999 ms)"},
		{alone + "fastleader.minNotificationInterval=60001", nil, "zoo.cfg:3: fastleader.minNotificationInterval=60001: must not be larger than fastleader.maxNotificationInterval (60000 ms)"},
		{alone + "electionAlg=0", nil, "zoo.cfg:3: electionAlg=0: Invalid electionAlg value. Only 3 is supported."},
		{alone + "peerType=leader", nil, "zoo.cfg:3: peerType=leader: Unrecognised peertype: leader"},
		{alone + "standaloneEnabled=yes", nil, "zoo.cfg:3: standaloneEnabled=yes: Invalid option yes for standaloneEnabled. Choose 'true' or 'false.'"},
		{alone + "standaloneEnabled=false", nil, "zoo.cfg:3: standaloneEnabled=false: standaloneEnabled = false then number of participants should be >0"},
		{alone + "version=xyz", nil, `zoo.cfg:3: version=xyz: version "xyz" is not a hexadecimal zxid`},
		{alone + "jute.maxbuffer=0", nil, "zoo.cfg:3: jute.maxbuffer=0: must be in 1..2147483647"},
		{alone + "scrubIntervalHours=-1", nil, "zoo.cfg:3: scrubIntervalHours=-1: must be in 0..8784"},
		{alone + "scrubMbPerSecond=0", nil, "zoo.cfg:3: scrubMbPerSecond=0: must be in 1..1048576"},
		{alone + "linearizableReads=true\nreadonlymode.enabled=true", nil, "zoo.cfg:3: linearizableReads=true: a server without a quorum cannot answer linearizable reads: switch readonlymode.enabled off"},
		{alone + "ssl.crl=true", nil, "zoo.cfg:3: ssl.crl=true: certificate revocation is not supported, and leaving it out silently would be unsafe"},
		{alone + "quorum.auth.serverRequireSasl=true", nil, "zoo.cfg:3: quorum.auth.serverRequireSasl=true: quorum.auth.enableSasl is disabled, so cannot enable quorum.auth.serverRequireSasl"},
		{alone + "quorum.auth.enableSasl=true\nquorum.auth.serverRequireSasl=true", nil, "zoo.cfg:4: quorum.auth.serverRequireSasl=true: quorum.auth.learnerRequireSasl is disabled, so cannot enable quorum.auth.serverRequireSasl"},
		{alone + "secureClientPortAddress=a", nil, "zoo.cfg:3: secureClientPortAddress=a: secureClientPortAddress is set but secureClientPort is not set"},
		{alone + "secureClientPort=2182", nil, "zoo.cfg:3: secureClientPort=2182: TLS needs a certificate: ssl.keyStore.location is not set"},
		{alone + "client.portUnification=true", nil, "zoo.cfg:3: client.portUnification=true: TLS needs a certificate: ssl.keyStore.location is not set"},
		{alone + "secureClientPort=2182\nssl.keyStore.location=/k.pem", nil, "zoo.cfg: ssl.trustStore.location: certificates of clients cannot be checked: set ssl.trustStore.location, or ssl.clientAuth=none"},
		{alone + "ssl.keyStore.type=zip", nil, "zoo.cfg:3: ssl.keyStore.type=zip: must be one of JKS, PEM, PKCS12, BCFKS"},
		{alone + "ssl.clientAuth=maybe", nil, "zoo.cfg:3: ssl.clientAuth=maybe: must be none, want or need"},
		{alone + "ssl.enabledProtocols=TLSv1.2,SSLv3", nil, "zoo.cfg:3: ssl.enabledProtocols=TLSv1.2,SSLv3: must be one of TLSv1, TLSv1.1, TLSv1.2, TLSv1.3"},
		{alone + "connection_throttle_drop_increase=1.1", nil, "zoo.cfg:3: connection_throttle_drop_increase=1.1: must be a number of 0..1"},
		{alone + "connectionDropIncrease=NaN", nil, "zoo.cfg:3: connection_throttle_drop_increase=NaN: must be a number of 0..1"},
		{alone + "DigestAuthenticationProvider.digestAlg=MD2", nil, "zoo.cfg:3: DigestAuthenticationProvider.digestAlg=MD2: must be one of SHA, SHA-1, SHA-256, SHA-384, SHA-512, SHA1, SHA3-256, SHA3-384, SHA3-512"},
		{alone + "enforce.auth.enabled=true", nil, "zoo.cfg:3: enforce.auth.enabled=true: enforce.auth.enabled is true, but enforce.auth.schemes names no scheme"},
		{alone + "enforce.auth.enabled=true\nenforce.auth.schemes=sasl", nil, "zoo.cfg:4: enforce.auth.schemes=sasl: the scheme sasl is required, but no provider of it is configured"},
		{alone + "sessionRequireClientSASLAuth=true", nil, "zoo.cfg:3: sessionRequireClientSASLAuth=true: the scheme sasl is required, but no provider of it is configured"},
		{alone + "a=\\u1", nil, `zoo.cfg:3: Malformed \uxxxx encoding.`},

		{trioOf, nil, "/d/myid: myid: myid file is missing; write into it the number N of the line server.N that is this server's"},
		{trioOf, myid(""), "/d/myid:1: myid: the file has no server id in its first line"},
		{trioOf, myid("one\n"), "/d/myid:1: myid=one: serverid one is not a number"},
		{trioOf, myid("256"), "/d/myid:1: myid=256: server id 256 is outside 0..255"},
		{trioOf, myid("-1"), "/d/myid:1: myid=-1: server id -1 is outside 0..255"},
		{trioOf, myid("99999999999999999999"), "/d/myid:1: myid=99999999999999999999: server id 99999999999999999999 is outside 0..255"},
		{trioOf, myid("4"), "/d/myid:1: myid=4: My id 4 not in the peer list; there is no server.4"},
		{trioOf, myid("unreadable"), "/d/myid: cannot be read: open /d/myid: permission denied"},
		{alone, myid("x"), "/d/myid:1: myid=x: serverid x is not a number"},
		{trioOf + "initLimit=0", myid("1"), "zoo.cfg:8: initLimit=0: initLimit is not set"},
		{strings.Replace(trioOf, "syncLimit=5\n", "", 1), myid("1"), "zoo.cfg: syncLimit: syncLimit is not set"},
		{trioOf + "clientPort=2888", myid("1"), "zoo.cfg:8: clientPort=2888: client port 2888 is also the quorum port of server.1"},
		{trioOf + "clientPort=3888\nclientPortAddress=a", myid("1"), "zoo.cfg:8: clientPort=3888: client port 3888 is also the election port of server.1"},
		{trio + "server.1=a:1:2;2\nserver.2=b:1:2\nclientPort=2", myid("1"), "zoo.cfg:7: clientPort=2: client port 2 is also the election port of server.1"},

		{trio + "server.1=a:1", nil, "zoo.cfg:5: server.1=a:1: a:1" + badForm},
		{trio + "server.1=" + strings.Repeat("h", 99) + ":1", nil, "zoo.cfg:5: server.1=" + strings.Repeat("h", 99) + ":1: " + strings.Repeat("h", 99) + ":1" + badForm},
		{trio + "server.1=a:1:1", nil, "zoo.cfg:5: server.1=a:1:1: Client and election port must be different! Please update the configuration file on server.1"},
		{trio + "server.x=a:1:2", nil, `zoo.cfg:5: server.x=a:1:2: server id "x" is not a number`},
		{trio + "server.256=a:1:2", nil, "zoo.cfg:5: server.256=a:1:2: server id 256 is outside 0..255"},
		{trio + "server.1=a:1:2|b:1:2", nil, "zoo.cfg:5: server.1=a:1:2|b:1:2: Multiple address feature is disabled, but multiple addresses were specified for sid 1"},
		{trio + "multiAddress.enabled=true\nserver.1=a:1:2:observer|b:1:2:participant", nil, "zoo.cfg:6: server.1=a:1:2:observer|b:1:2:participant: Multiple addresses should have similar roles: observer vs participant"},
		{trio + "server.1=a:1:2\nserver.2=a:1:3", nil, "zoo.cfg: server.1 and server.2 share the address a:1"},
		{trio + "server.1=a:1:2\nserver.01=b:1:2", nil, "zoo.cfg:5: server.1=a:1:2: server.1 is defined twice"},
		{trio + "server.1=a:1:2:observer", myid("1"), "zoo.cfg: Observers w/o participants is an invalid configuration"},
		{trio + "server.1=a:1:2\nserver.2=b:1:2:observer", myid("1"), "zoo.cfg: Observers w/o quorum is an invalid configuration"},
		{trioOf + "group.1=1:2", nil, "zoo.cfg: Server 3 is not in a group"},
		{trioOf + "weight.1=2", nil, "zoo.cfg: Server 1 is not in a group"},
		{trioOf + "group.1=1:2\ngroup.2=2:3", nil, "zoo.cfg:9: group.2=2:3: Server 2 is in multiple groups"},
		{trioOf + "group.1=1:2:3:4", nil, "zoo.cfg: server 4 has a group or a weight but no server.4 entry"},
		{trioOf + "group.1=1:2:3\nweight.1=-1", nil, `zoo.cfg:9: weight.1=-1: weight "-1" is not a number of 0..1073741824`},
		{trio + "server.1=a:1:2;3\nserver.2=b:1:2", myid("1"), "zoo.cfg:2: clientPort=2181: client address for this server (id = 1) in static config file is 0.0.0.0:2181 is different from client address found in dynamic file: 0.0.0.0:3"},
		{trio + "clientPortAddress=h\nserver.1=a:1:2;2181\nserver.2=b:1:2", myid("1"), "zoo.cfg:2: clientPort=2181: client address for this server (id = 1) in static config file is h:2181 is different from client address found in dynamic file: 0.0.0.0:2181"},

		{trioOf + "dynamicConfigFile=/c/dyn", nil, "zoo.cfg:5: server.1=a:2888:3888: parameter: server.1 must be in a separate dynamic config file"},
		{trio + "dynamicConfigFile=/c/dyn", nil, "zoo.cfg:5: dynamicConfigFile=/c/dyn: cannot be read: open /c/dyn: file does not exist"},
		{trio + "dynamicConfigFile=/c/dyn", files{"/c/dyn": "#\nversion=1"}, "/c/dyn:2: version=1: dynamic file shouldn't have version inside"},
		{trio + "dynamicConfigFile=/c/dyn", files{"/c/dyn": "tickTime=1"}, "/c/dyn:1: tickTime=1: Unrecognised parameter: tickTime"},
		{trio + "dynamicConfigFile=/c/dyn", files{"/c/dyn": "server.1=a:1"}, "/c/dyn:1: server.1=a:1: a:1" + badForm},
		{trio + "dynamicConfigFile=/c/dyn", files{"/c/dyn": "\\u"}, `/c/dyn:1: Malformed \uxxxx encoding.`},
	} {
		_, err := load(c.text, c.others)
		var refused *conf.Error
		if !errors.As(err, &refused) || err.Error() != c.want {
			t.Errorf("%s\n got %v\nwant %s", c.text, err, c.want)
		}
	}
}

func TestSecurity(t *testing.T) {
	c := mustLoad(t, `dataDir=/d
secureClientPort=2182
ssl.keyStore.location=/k.pem
ssl.trustStore.location=/t.p12
ssl.trustStore.type=pkcs12
ssl.clientAuth=Want
ssl.protocol=TLS
ssl.enabledProtocols=TLSv1.2, TLSv1.3
authProvider.sasl=org.apache.zookeeper.server.auth.SASLAuthenticationProvider
authProvider.2=org.apache.zookeeper.server.auth.EnsembleAuthenticationProvider
superUser=root
superUser.b=boss
sessionRequireClientSASLAuth=true
enforce.auth.enabled=true
enforce.auth.schemes=digest
digestAlg=x
DigestAuthenticationProvider.digestAlg=sha-256
`, nil)
	got := fmt.Sprintln(c.Client, c.SecureClient, c.TLS, c.Auth)
	const want = "<nil> 0.0.0.0:2182 {{/k.pem   } {/t.p12   PKCS12} TLSv1.3 [TLSv1.2 TLSv1.3] [] 1 true false false 0 5s}" +
		" {true SHA-256   [ensemble sasl] [] [root boss]   false  Server [sasl]}\n"
	if got != want {
		t.Errorf(" got %swant %s", got, want)
	}
	for scheme, want := range map[string]bool{"ip": true, "digest": true, "x509": true, "sasl": true, "ensemble": true, "key": false, "world": false} {
		if c.OffersScheme(scheme) != want {
			t.Errorf("scheme %s: offered %v", scheme, !want)
		}
	}
}

func TestErrorFields(t *testing.T) {
	_, err := load(alone+"electionAlg=1", nil)
	want := conf.Error{File: "zoo.cfg", Line: 3, Key: "electionAlg", Value: "1", Reason: "Invalid electionAlg value. Only 3 is supported."}
	var got *conf.Error
	if !errors.As(err, &got) || *got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestEnsembleModes(t *testing.T) {
	for _, c := range []struct {
		name, text string
		others     files
		want       string // standalone, id, role, client
	}{
		{"no server list", alone, nil, "true none participant 0.0.0.0:2181"},
		{"no server list, myid", alone, files{"/d/myid": "7"}, "true 7 participant 0.0.0.0:2181"},
		{"three", trioOf, files{"/d/myid": "2"}, "false 2 participant 0.0.0.0:2181"},
		{"blanks around myid", trioOf, files{"/d/myid": " 3 \r\nrest"}, "false 3 participant 0.0.0.0:2181"},
		{"observer", trioOf + "server.4=d:1:2:observer\npeerType=observer", files{"/d/myid": "4"}, "false 4 observer 0.0.0.0:2181"},
		{"one", "dataDir=/d\nserver.1=localhost:2888:3888;2181", nil, "true none participant 0.0.0.0:2181"},
		{"one of them self", "dataDir=/d\nserver.1=localhost:2888:3888;h:1", files{"/d/myid": "1"}, "true 1 participant h:1"},
		{"one, not standalone", trio + "standaloneEnabled=false\nserver.9=h:1:2", files{"/d/myid": "9"}, "false 9 participant 0.0.0.0:2181"},
		{"client of the list", "dataDir=/d\ninitLimit=1\nsyncLimit=1\nserver.1=a:1:2;10.0.0.1:5\nserver.2=b:1:2", files{"/d/myid": "1"}, "false 1 participant 10.0.0.1:5"},
		{"both agree", trio + "server.1=a:1:2;10.0.0.1:2181\nserver.2=b:1:2", files{"/d/myid": "1"}, "false 1 participant 10.0.0.1:2181"},
		{"serves nobody", "dataDir=/d\ninitLimit=1\nsyncLimit=1\nserver.1=a:1:2\nserver.2=b:1:2", files{"/d/myid": "1"}, "false 1 participant <nil>"},
	} {
		t.Run(c.name, func(t *testing.T) {
			cfg := mustLoad(t, c.text, c.others)
			if got := fmt.Sprint(cfg.Standalone, " ", cfg.MyID, " ", cfg.Role, " ", cfg.Client); got != c.want {
				t.Errorf("got %s, want %s", got, c.want)
			}
		})
	}
}

func TestDynamicConfigFile(t *testing.T) {
	const path = "/c/zoo.cfg.dynamic.10000000b"
	c := mustLoad(t, trio+"dynamicConfigFile="+path, files{
		path:      "server.1=a:1:2:participant;0.0.0.0:2181\nserver.2=b:1:2\nserver.3=c:1:2:observer\ngroup.1=1:2:3\nweight.3=4",
		"/d/myid": "1", "zoo.cfg.dynamic.next": "version=10000000c",
	})
	const want = "server.1=a:1:2:participant;0.0.0.0:2181\nserver.2=b:1:2:participant\nserver.3=c:1:2:observer\n" +
		"group.1=1:2\nweight.1=1\nweight.2=1\nversion=10000000b"
	if got := c.Ensemble.ConfigData(); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if s, ok := c.Lookup("server.2"); !ok || s.Value != "b:1:2:participant" || s.Origin.String() != path+":2" {
		t.Errorf("server.2 is %+v", s)
	}
	self, ok := c.Self()
	if !ok || self.SID != 1 || c.Ensemble.Verifier().HasQuorum(quorum.SetOf(1, 3)) {
		t.Errorf("self %v; and an observer must not count [H-49]", self)
	}
	wantNotices := []string{
		"warn: a proposed configuration is not read: finish the reconfiguration with the servers that wrote it (zoo.cfg.dynamic.next)",
		"warn: server.3 is an observer: its group and weight are left out of the quorum (" + path + ")",
		"warn: No server failure will be tolerated. You need at least 3 servers. (" + path + ")",
	}
	if got := notices(c); !slices.Equal(got, wantNotices) {
		t.Errorf("notices %q", got)
	}
	if c := mustLoad(t, trio+"dynamicConfigFile=/c/dynamic", files{"/c/dynamic": "server.1=a:1:2\nserver.2=b:1:2", "/d/myid": "1"}); c.Ensemble.Version() != 0 {
		t.Errorf("a file name without a version gave version %v", c.Ensemble.Version())
	}
}

func TestPrecedence(t *testing.T) {
	flag := func(k, v string) conf.Setting {
		return conf.Setting{Key: k, Value: v, Origin: conf.Origin{Name: "JVMFLAGS"}}
	}
	arg := func(k, v string) conf.Setting {
		return conf.Setting{Key: k, Value: v, Origin: conf.Origin{Name: conf.OriginCommandLine}}
	}
	for _, c := range []struct {
		name       string
		flags      []conf.Setting
		file       string
		args       []conf.Setting
		want, from string
	}{
		{"default", nil, "", nil, "3000", "default"},
		{"flag", []conf.Setting{flag("zookeeper.tickTime", "1")}, "", nil, "1", "JVMFLAGS"},
		{"later flag", []conf.Setting{flag("zookeeper.tickTime", "1"), flag("tickTime", "2")}, "", nil, "2", "JVMFLAGS"},
		{"file over flag", []conf.Setting{flag("zookeeper.tickTime", "1")}, "tickTime=3", nil, "3", "zoo.cfg:3"},
		{"prefixed file over flag", []conf.Setting{flag("tickTime", "1")}, "zookeeper.tickTime=3", nil, "3", "zoo.cfg:3"},
		{"argument over file", []conf.Setting{flag("tickTime", "1")}, "tickTime=3", []conf.Setting{arg("tickTime", "4")}, "4", "command line"},
	} {
		t.Run(c.name, func(t *testing.T) {
			cfg, err := conf.Load(conf.Input{Name: "zoo.cfg", Text: []byte(alone + c.file), Flags: c.flags, CommandLine: c.args})
			if err != nil {
				t.Fatal(err)
			}
			s, ok := cfg.Lookup("tickTime")
			if !ok || s.Value != c.want || s.Origin.String() != c.from || fmt.Sprint(cfg.TickTime.Milliseconds()) != c.want {
				t.Errorf("got %+v and %v, want %s from %s", s, cfg.TickTime, c.want, c.from)
			}
		})
	}
}

func TestEffective(t *testing.T) {
	c := mustLoad(t, "dataDir=/d\nserver.1=h:1:2;5\nssl.keyStore.password=hush\nssl.keyStore.passwordPath=/p\n"+
		"zookeeper.DigestAuthenticationProvider.superDigest=super:hush\nmine=1", nil)
	var keys []string
	byKey := make(map[string]string)
	for _, s := range c.Effective() {
		keys = append(keys, s.Key)
		byKey[s.Key] = s.Value + " @ " + s.Origin.String()
	}
	if !slices.IsSorted(keys) || len(byKey) != len(keys) {
		t.Errorf("keys are not sorted, or repeated: %v", keys)
	}
	for key, want := range map[string]string{
		"dataDir": "/d @ zoo.cfg:1", "dataLogDir": "/d @ default", "clientPort": "5 @ default", "tickTime": "3000 @ default",
		"minSessionTimeout": "6000 @ default", "maxSessionTimeout": "60000 @ default", "server.1": "h:1:2:participant;0.0.0.0:5 @ zoo.cfg:2",
		"ssl.keyStore.password": "*** @ zoo.cfg:3", "ssl.keyStore.passwordPath": "/p @ zoo.cfg:4", "mine": "1 @ zoo.cfg:6",
		"DigestAuthenticationProvider.superDigest": "*** @ zoo.cfg:5", "DigestAuthenticationProvider.enabled": "true @ default",
	} {
		if byKey[key] != want {
			t.Errorf("%s: got %s, want %s", key, byKey[key], want)
		}
	}
	if c.Auth.SuperDigest != "super:hush" {
		t.Errorf("super digest %q", c.Auth.SuperDigest)
	}
}

func TestFourLetterWords(t *testing.T) {
	for _, c := range []struct{ text, yes, no string }{
		{"", "ruok srvr stat mntr isro conf", "wchp dump"},
		{"4lw.commands.whitelist=ruok", "srvr ruok", "stat isro"},
		{"4lw.commands.whitelist=", "srvr", "ruok"},
		{"4lw.commands.whitelist=*", "srvr wchp isro", ""},
		{"4lw.commands.whitelist=mntr\nreadonlymode.enabled=true", "isro mntr", "ruok MNTR"},
	} {
		cfg := mustLoad(t, alone+c.text, nil)
		for _, w := range strings.Fields(c.yes) {
			if !cfg.AllowsFourLetterWord(w) {
				t.Errorf("%q refuses %s", c.text, w)
			}
		}
		for _, w := range strings.Fields(c.no) {
			if cfg.AllowsFourLetterWord(w) {
				t.Errorf("%q allows %s", c.text, w)
			}
		}
	}
}

// FuzzLoad: no configuration panics; what is accepted is coherent and can be
// loaded again from its own effective settings, to the same ensemble.
func FuzzLoad(f *testing.F) {
	f.Add(trioOf+"group.1=1:2:3\nweight.2=3\nserver.4=[::1]:1:2:observer;[::]:7", "1", "-Dzookeeper.tickTime=7")
	f.Add(alone+"minSessionTimeout=-1\nmaxSessionTimeout=1000000", "", "-Djute.maxbuffer=0x10")
	f.Add("dataDir=/d\ndynamicConfigFile=/d/myid\n", "server.1=a:1:2;3", "")
	f.Fuzz(func(t *testing.T, text, myid, flags string) {
		settings, _ := conf.ParseJVMFlags("JVMFLAGS", flags)
		in := conf.Input{
			Name: "zoo.cfg", Text: []byte(text), Flags: settings,
			ReadFile: func(string) ([]byte, error) { return []byte(myid), nil },
		}
		c, err := conf.Load(in)
		if err != nil {
			var refused *conf.Error
			if !errors.As(err, &refused) || refused.Reason == "" || strings.ContainsAny(err.Error(), "\n\r") {
				t.Fatalf("error %q is not one line of the proper type", err)
			}
			return
		}
		if c.MinSessionTimeout > c.MaxSessionTimeout || c.TickTime <= 0 || !c.Standalone && (c.InitLimit < 1 || c.SyncLimit < 1) {
			t.Fatalf("incoherent: %+v", c)
		}
		if self, ok := c.Self(); !c.Standalone && (!ok || self.Role != c.Role) {
			t.Fatalf("server %v is not in %v", c.MyID, c.Ensemble)
		}
		if c.Ensemble == nil {
			return
		}
		again, err := quorum.ParseEnsemble(c.Ensemble.ConfigData())
		if err != nil || !again.Equal(c.Ensemble) {
			t.Fatalf("%q became %v, %v", c.Ensemble.ConfigData(), again, err)
		}
	})
}

func TestSecondaryLogDirectory(t *testing.T) {
	text := "dataDir=/data\nclientPort=2181\ndataLogDirSecondary=/data/\n"
	if _, err := conf.Load(conf.Input{Name: "zoo.cfg", Text: []byte(text)}); err == nil || !strings.Contains(err.Error(), "another disk") {
		t.Errorf("one directory for both: %v", err)
	}
	c, err := conf.Load(conf.Input{Name: "zoo.cfg", Text: []byte("dataDir=/data\nclientPort=2181\ndataLogDirSecondary=/second\n")})
	if err != nil || c.DataLogDirSecondary != "/second" {
		t.Errorf("got %+v, %v", c, err)
	}
}
