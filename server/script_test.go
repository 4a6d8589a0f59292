package server_test

import (
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"

	"github.com/zabkeeper/zabkeeper/conf"
	"github.com/zabkeeper/zabkeeper/proto"
	"github.com/zabkeeper/zabkeeper/server"
	"github.com/zabkeeper/zabkeeper/zab/zxid"
)

// TestScripts runs the protocol scripts of testdata/scripts. Each file starts its own
// servers; a client is named by its first use. The commands:
//
//	servers n=<n> [max-client-cnxns=<n>] [global-outstanding=<n>] ...   start
//	        [local | upgrading]               with local sessions, with or without upgrade
//	connect <client> [server=<n>] [timeout=] [last-zxid=] [readonly | ro] [like=<client>]
//	        [bad-password] [id=] [nowait]     handshake; "like" renews that client's session;
//	                                          "readonly" sends the byte, "ro" sends it set
//	send <client>                             one request per line, all in one write
//	recv <client> [n=<frames>]                the next frames
//	call <client>                             send, and as many frames as lines
//	closed <client>                           the connection ends; prints what came before that
//	events <client>                           the events that came until now, known by a sync
//	hang-up <client>                          the client closes its connection
//	hex <client>                              raw bytes out; with recv=<n>, n raw bytes in
//	hold, release [merged]                    keep back what the leader decides
//	held n=<n> | answers=<n>                  wait until so many transactions or answers are held back
//	throttled n=<n> [server=]                 wait until the throttle keeps so many requests waiting
//	tick [server=] [n=], era [server=] [n=]   let time pass at a server
//	run [server=], pause [server=] [n=]       the leader's cleaner begins a run, or goes on with it
//	clock ms=<n> [server=]                    a server's time of day jumps
//	depose, lead server=<n>                   change the leader
//	read-only server=<n>                      a server without a leader serves reads
//	word-lines <word> <prefix>... [server=]   the lines of a word that begin with a prefix
//	word <word> [hex=] [server=]              a four-letter word, and what follows it; clients appear
//	                                          by their names, times not at all
//	watches n=<n> [server=]                   wait until a server has so many, as mntr counts them
func TestScripts(t *testing.T) {
	datadriven.Walk(t, "testdata/scripts", func(t *testing.T, path string) {
		s := &script{clients: map[string]*client{}, crowd: -1}
		datadriven.RunTest(t, path, s.run)
	})
}

// TestScriptsWithCrowds runs the scripts with every event broadcast, and with none but the first of
// each batch delivered by the applier itself: nobody can see a difference.
func TestScriptsWithCrowds(t *testing.T) {
	for _, crowd := range []int{0, 1} {
		t.Run(fmt.Sprint(crowd), func(t *testing.T) {
			datadriven.Walk(t, "testdata/scripts", func(t *testing.T, path string) {
				s := &script{clients: map[string]*client{}, crowd: crowd}
				datadriven.RunTest(t, path, s.run)
			})
		})
	}
}

type script struct {
	twin    *twin
	clients map[string]*client
	crowd   int // see server.SetCrowd; negative for the usual
}

func (s *script) run(t *testing.T, d *datadriven.TestData) string {
	t.Helper()
	num := func(name string, def int) int {
		d.MaybeScanArgs(t, name, &def)
		return def
	}
	m := func() *member { return s.twin.members[num("server", 1)-1] }
	switch d.Cmd {
	case "servers":
		s.twin = newTwin(t, num("n", 1), func(c *server.Config) {
			c.MaxClientCnxns = num("max-client-cnxns", 0)
			c.MaxCnxns = num("max-cnxns", 0)
			c.MaxFrame = num("max-frame", 0)
			c.MaxOutstanding = num("max-outstanding", 0)
			c.GlobalOutstanding = num("global-outstanding", 0)
			c.Throttle = &conf.Throttle{
				Requests: num("throttle", 0), StaleLatency: d.HasArg("stale-latency"),
				LargeRequest: num("large", -1), LargeRequestBytes: num("large-bytes", 0),
				ConnectionTokens: num("tokens", 0), FillTime: time.Hour, FillCount: 1, FreezeTime: -1,
				Weighted: d.HasArg("weighted"), GlobalWeight: 3, RenewWeight: 2, LocalWeight: 1,
			}
			if d.HasArg("op-wait") {
				c.Throttle.OpWait = 1
			}
			c.LocalSessionsUpgrading = d.HasArg("upgrading")
			c.LocalSessions = d.HasArg("local") || c.LocalSessionsUpgrading
			c.ExtendedTypes = d.HasArg("extended")
			c.ContainersPerMinute = num("per-minute", 0)
			c.ContainerNeverUsed = time.Duration(num("never-used-ms", 0)) * time.Millisecond
			if d.HasArg("ensemble") {
				c.Ensemble = &server.Ensemble{Text: []byte("server.1=h:1:2:participant\nversion=0"), Version: zxid.ID(num("ensemble", 0))}
			}
			c.SessionlessTimeout = time.Duration(num("sessionless-ms", 0)) * time.Millisecond
			if d.HasArg("super") {
				c.Auth.SuperDigest = "super:xQJmxLMiHGwaqBvst5y6rkB6HQs=" // super:admin
			}
			c.EagerACLCheck, c.EnforceQuota = d.HasArg("eager"), d.HasArg("enforce-quota")
			c.SkipACL = d.HasArg("skip-acl")
			c.LinearizableReads = d.HasArg("linearizable")
			if d.HasArg("all-words") {
				c.AllowWord = func(string) bool { return true }
			}
		})
		s.twin.setCrowd(s.crowd)
	case "connect":
		return s.connect(t, d, m())
	case "hold":
		s.twin.hold()
	case "release":
		s.twin.release(d.HasArg("merged"))
	case "held":
		n, answers := num("n", -1), num("answers", -1)
		eventually(t, fmt.Sprintf("%d transactions, %d answers held back", n, answers), func() bool {
			return (n < 0 || s.twin.heldTxns() == n) && (answers < 0 || s.twin.heldAnswers() == answers)
		})
	case "throttled":
		n := num("n", 0)
		eventually(t, fmt.Sprintf("%d requests kept waiting", n), func() bool { return m().srv.Waiting() == n })
	case "tick":
		for range num("n", 1) {
			m().ticks <- time.Time{}
		}
	case "era":
		for range num("n", 1) {
			m().eras <- time.Time{}
		}
	case "run":
		clean(t, "begin", m().runs)
	case "pause":
		for range num("n", 1) {
			clean(t, "pause", m().pauses)
		}
	case "clock":
		m().clock.Add(int64(num("ms", 0)))
	case "depose":
		s.twin.depose()
	case "lead":
		s.twin.lead(num("server", 1) - 1)
	case "watches":
		n := num("n", 0)
		eventually(t, fmt.Sprintf("%d watches", n), func() bool { return m().srv.Stats().Watches == n })
	case "read-only":
		m().peer.Store(&server.PeerStatus{Mode: "looking", PeerState: "looking", QuorumSize: len(s.twin.members)})
		m().srv.ServeReadOnly()
		eventually(t, "the server serves reads", m().srv.ReadOnly)
	case "word-lines":
		return m().wordLines(t, d.CmdArgs)
	case "word":
		m().caughtUp(t) // the answers that came so far may have been another server's
		return s.anonymous(m().word(t, d.CmdArgs[0].Key+argument(t, d))) + "|\n"
	default:
		return s.client(t, d)
	}
	return ""
}

func (s *script) connect(t *testing.T, d *datadriven.TestData, m *member) string {
	t.Helper()
	if d.HasArg("refused-silently") && m.refuses(t) {
		return "closed behind 0 bytes\n"
	}
	c := m.dial(t)
	s.clients[d.CmdArgs[0].Key] = c
	req := proto.ConnectRequest{TimeOut: 1000, HasReadOnly: d.HasArg("readonly") || d.HasArg("ro"), ReadOnly: d.HasArg("ro")}
	var like string
	var last, id int64
	d.MaybeScanArgs(t, "timeout", &req.TimeOut)
	d.MaybeScanArgs(t, "like", &like)
	if like != "" {
		old := s.clients[like]
		req.SessionID, req.Passwd, req.LastZxidSeen = old.session, old.passwd[:], old.last
	}
	if d.HasArg("last-zxid") {
		d.ScanArgs(t, "last-zxid", &last)
		req.LastZxidSeen = zxid.ID(last)
	}
	if d.HasArg("id") {
		d.ScanArgs(t, "id", &id)
		req.SessionID = proto.SessionID(id)
		good := proto.Password(req.SessionID)
		req.Passwd = good[:]
	}
	if d.HasArg("bad-password") {
		req.Passwd = make([]byte, proto.PasswordLen)
	}
	c.sendConnect(req)
	if d.HasArg("nowait") {
		return ""
	}
	if d.HasArg("refused-silently") {
		return fmt.Sprintf("closed behind %d bytes\n", len(c.closed()))
	}
	return c.welcome(s, like)
}

// refuses reports whether the server ends a new connection at once, maybe before it is looked at.
func (m *member) refuses(t *testing.T) bool {
	t.Helper()
	nc, err := net.Dial("tcp", m.addr)
	if err == nil {
		defer nc.Close()
		if err := nc.SetReadDeadline(time.Now().Add(100 * time.Millisecond)); err != nil {
			t.Fatal(err)
		}
		_, err = nc.Read(make([]byte, 1))
	}
	return errors.Is(err, io.EOF) || errors.Is(err, syscall.EPIPE)
}

// welcome shows a connect response.
func (c *client) welcome(s *script, like string) string {
	frame := c.connected()
	out := fmt.Sprintf("%d bytes, timeout %d, ", len(frame), c.timeout)
	if len(frame) == 37 && frame[36] != 0 {
		out += "read-only, "
	}
	switch {
	case c.session == 0:
		return out + "refused\n"
	case like != "" && c.session == s.clients[like].session:
		return out + "the session of " + like + "\n"
	case c.passwd != proto.Password(c.session):
		return out + "wrong password\n"
	}
	return out + fmt.Sprintf("new session of server %d\n", byte(uint64(c.session)>>56))
}

// client runs the commands about one client.
func (s *script) client(t *testing.T, d *datadriven.TestData) string {
	t.Helper()
	if len(d.CmdArgs) == 0 || s.clients[d.CmdArgs[0].Key] == nil {
		d.Fatalf(t, "unknown command or client")
	}
	c := s.clients[d.CmdArgs[0].Key]
	n := 1
	d.MaybeScanArgs(t, "n", &n)
	switch d.Cmd {
	case "send", "call":
		var b []byte
		lines := strings.Split(strings.TrimSpace(d.Input), "\n")
		for _, line := range lines {
			b = c.parse(t, b, line)
		}
		c.write(b)
		if d.Cmd == "send" {
			return ""
		}
		n = len(lines)
	case "recv":
	case "events":
		return c.events()
	case "welcome":
		var like string
		d.MaybeScanArgs(t, "like", &like)
		return c.welcome(s, like)
	case "closed":
		return fmt.Sprintf("closed behind %d bytes\n", len(c.closed()))
	case "hang-up":
		c.nc.Close()
		return ""
	case "hex":
		return c.hex(t, d)
	default:
		d.Fatalf(t, "unknown command %s", d.Cmd)
	}
	var out strings.Builder
	for range n {
		fmt.Fprintln(&out, c.next())
	}
	return out.String()
}

func (c *client) hex(t *testing.T, d *datadriven.TestData) string {
	t.Helper()
	b, err := hex.DecodeString(strings.Join(strings.Fields(d.Input), ""))
	if err != nil {
		d.Fatalf(t, "%v", err)
	}
	c.write(b)
	n := 0
	d.MaybeScanArgs(t, "recv", &n)
	var out strings.Builder
	for range n {
		frame, err := c.frame()
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&out, "%x\n", frame)
	}
	return out.String()
}

// parse appends the request that a line of a script means: its name, then path and whatever
// the operation takes; "xid=<n>" first sets the xid, "w" last a watch.
func (c *client) parse(t *testing.T, b []byte, line string) []byte {
	t.Helper()
	f := strings.Fields(line)
	if v, ok := strings.CutPrefix(f[0], "xid="); ok {
		n, err := strconv.Atoi(v)
		if err != nil {
			t.Fatal(err)
		}
		c.xid = proto.Xid(n) - 1
		f = f[1:]
	}
	arg := func(i int) string {
		if i < len(f) {
			return f[i]
		}
		return ""
	}
	read := proto.ReadRequest{Path: arg(1), Watch: arg(2) == "w"}
	switch f[0] {
	case "create", "create2":
		mode := map[string]proto.CreateMode{
			"": 0, "e": proto.ModeEphemeral, "s": proto.ModePersistentSequential, "es": proto.ModeEphemeralSequential,
		}[arg(3)]
		op := proto.OpCreate
		if f[0] == "create2" {
			op = proto.OpCreate2
		}
		return c.append(b, op, createRequest(arg(1), arg(2), mode))
	case "private":
		acl := []proto.ACL{{Perms: proto.PermAll, ID: proto.ID{Scheme: "auth"}}}
		return c.append(b, proto.OpCreate, proto.CreateRequest{Path: arg(1), Data: []byte(arg(2)), ACL: acl})
	case "hidden": // from those who may write it
		acl := proto.WorldACL(proto.PermAll &^ proto.PermRead)
		return c.append(b, proto.OpCreate, proto.CreateRequest{Path: arg(1), Data: []byte(arg(2)), ACL: acl})
	case "set":
		return c.append(b, proto.OpSetData, proto.SetDataRequest{Path: arg(1), Data: []byte(arg(2)), Version: -1})
	case "delete":
		return c.append(b, proto.OpDelete, proto.DeleteRequest{Path: arg(1), Version: -1})
	case "protect":
		acl := []proto.ACL{{Perms: proto.PermAll, ID: proto.ID{Scheme: "auth"}}}
		return c.append(b, proto.OpSetACL, proto.SetACLRequest{Path: arg(1), ACL: acl, Version: -1})
	case "get":
		return c.append(b, proto.OpGetData, read)
	case "exists":
		return c.append(b, proto.OpExists, read)
	case "children":
		return c.append(b, proto.OpGetChildren, read)
	case "children2":
		return c.append(b, proto.OpGetChildren2, read)
	case "acl":
		return c.append(b, proto.OpGetACL, proto.PathRequest{Path: arg(1)})
	case "sync":
		return c.append(b, proto.OpSync, proto.SyncRequest{Path: proto.Str(arg(1))})
	case "ping":
		return c.append(b, proto.OpPing, nil)
	case "close":
		return c.append(b, proto.OpCloseSession, nil)
	case "auth":
		return c.append(b, proto.OpAuth, proto.AuthPacket{Scheme: arg(1), Auth: []byte(arg(2))})
	case "multi":
		return c.append(b, proto.OpMulti, multi(t, f[1:]))
	case "ephemerals":
		return c.append(b, proto.OpGetEphemerals, proto.GetEphemeralsRequest{PrefixPath: arg(1)})
	case "multiread":
		return c.append(b, proto.OpMultiRead, proto.MultiRequest{Ops: []proto.MultiOp{
			{Op: proto.OpGetData, Request: &proto.ReadRequest{Path: arg(1)}},
		}})
	case "whoami":
		return c.append(b, proto.OpWhoAmI, nil)
	case "reconfig":
		return c.append(b, proto.OpReconfig, proto.ReconfigRequest{JoiningServers: proto.Str(arg(1)), CurConfigID: -1})
	case "op": // a number, without a body
		n, err := strconv.Atoi(arg(1))
		if err != nil {
			t.Fatal(err)
		}
		return c.append(b, proto.Op(n), nil)
	}
	if op, body := watchRequest(t, f); body != nil {
		return c.append(b, op, body)
	}
	if op, body, ok := kindRequest(t, f); ok {
		return c.append(b, op, body)
	}
	t.Fatalf("what is %q?", line)
	return nil
}

// multi reads "create=/a ephemeral=/e set=/b delete=/c check=/d".
func multi(t *testing.T, f []string) proto.MultiRequest {
	t.Helper()
	var r proto.MultiRequest
	for _, f := range f {
		kind, path, _ := strings.Cut(f, "=")
		switch kind {
		case "create", "ephemeral":
			req := createRequest(path, "", map[string]proto.CreateMode{"ephemeral": proto.ModeEphemeral}[kind])
			r.Ops = append(r.Ops, proto.MultiOp{Op: proto.OpCreate, Request: &req})
		case "set":
			r.Ops = append(r.Ops, proto.MultiOp{Op: proto.OpSetData, Request: &proto.SetDataRequest{Path: path, Version: -1}})
		case "delete":
			r.Ops = append(r.Ops, proto.MultiOp{Op: proto.OpDelete, Request: &proto.DeleteRequest{Path: path, Version: -1}})
		case "check":
			r.Ops = append(r.Ops, proto.MultiOp{Op: proto.OpCheck, Request: &proto.CheckVersionRequest{Path: path, Version: 0}})
		default:
			r.Ops = append(r.Ops, kindOp(t, kind, path))
		}
	}
	return r
}
