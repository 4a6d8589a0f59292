package server_test

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"io"
	"math"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/zabkeeper/zabkeeper/proto"
	"github.com/zabkeeper/zabkeeper/server"
	"github.com/zabkeeper/zabkeeper/zab/zxid"
)

// goldenFrames reads the frames of spec client-protocol 14, which package proto holds against its records.
func goldenFrames(tb testing.TB) map[string][]byte {
	tb.Helper()
	text, err := os.ReadFile("../proto/testdata/frames.txt")
	if err != nil {
		tb.Fatal(err)
	}
	frames := map[string][]byte{}
	for line := range strings.Lines(string(text)) {
		name, digits, ok := strings.Cut(strings.TrimSpace(line), " ")
		if !ok || name == "#" {
			continue
		}
		if frames[name], err = hex.DecodeString(strings.ReplaceAll(digits, " ", "")); err != nil {
			tb.Fatal(err)
		}
	}
	return frames
}

// golden is a conversation in golden frames with a server whose clock stands still.
type golden struct {
	*client
	frames map[string][]byte
	used   map[string]bool
	w      *twin
}

const goldenNow = 1_700_000_000_000

// newGolden starts a server whose next transaction is first. Nothing was done in its tree but
// the transactions given.
func newGolden(t *testing.T, used map[string]bool, first zxid.ID, before ...proto.Txn) *golden {
	t.Helper()
	w := newTwin(t, 1, func(c *server.Config) {
		c.MaxSessionTimeout = time.Minute
		c.Now = func() time.Time { return time.UnixMilli(goldenNow) }
	})
	w.depose()
	w.inject(before...)
	w.leadFrom(0, first)
	return &golden{client: w.members[0].dial(t), frames: goldenFrames(t), used: used, w: w}
}

// frame is a golden frame of that name.
func (g *golden) frame(name string) []byte {
	g.t.Helper()
	g.used[name] = true
	if g.frames[name] == nil {
		g.t.Fatalf("there is no golden frame %s", name)
	}
	return bytes.Clone(g.frames[name])
}

// say writes golden frames, in one piece.
func (g *golden) say(names ...string) {
	g.t.Helper()
	var b []byte
	for _, name := range names {
		b = append(b, g.frame(name)...)
	}
	g.write(b)
}

// want reads as many bytes as are expected.
func (g *golden) want(what string, want []byte) {
	g.t.Helper()
	if err := g.nc.SetReadDeadline(time.Now().Add(patience)); err != nil {
		g.t.Fatal(err)
	}
	got := make([]byte, len(want))
	if n, err := io.ReadFull(g.nc, got); err != nil || !bytes.Equal(got, want) {
		g.t.Fatalf("%s: %v\n%x, want\n%x", what, err, got[:n], want)
	}
}

func (g *golden) hear(names ...string) {
	g.t.Helper()
	for _, name := range names {
		g.want(name, g.frame(name))
	}
}

// ends checks that nothing follows but the end.
func (g *golden) ends() {
	g.t.Helper()
	if rest := g.closed(); len(rest) > 0 {
		g.t.Errorf("%x before the end", rest)
	}
}

// open shakes hands with a golden request; the answer is checked, too.
func (g *golden) open(name string, readOnly bool) {
	g.t.Helper()
	g.say(name)
	id := proto.InitialSessionID(goldenNow, 1)
	out, mark := proto.BeginFrame(nil)
	g.want("the answer to "+name, proto.EndFrame(proto.ConnectResponse{
		TimeOut: 30000, SessionID: id, Passwd: proto.Password(id), HasReadOnly: readOnly,
	}.Append(out), mark))
}

// Every golden frame of spec client-protocol 14 goes through a socket: those of clients in, those of
// servers out, byte for byte.
func TestGoldenConversations(t *testing.T) {
	used := map[string]bool{}
	t.Run("daily", func(t *testing.T) {
		g := newGolden(t, used, 0x17) // the session; /a is 0x18
		g.open("connect-request", true)
		g.say("create", "ping", "auth", "add-watch")
		g.hear("create-reply", "pong", "auth-ok", "add-watch-reply")
		g.say("get-data")
		stat := proto.Stat{Czxid: 0x18, Mzxid: 0x18, Pzxid: 0x18, Ctime: goldenNow, Mtime: goldenNow, DataLength: 2}
		g.want("the data", proto.AppendReply(nil, proto.ReplyHeader{Xid: 3, Zxid: 0x18}, proto.GetDataResponse{Data: []byte("hi"), Stat: stat}))
		again := g.frame("create")
		binary.BigEndian.PutUint32(again[4:], 2)
		g.write(again)
		g.hear("error-reply") // 0x19
		g.say("close-session")
		g.want("the end", proto.AppendBareReply(nil, proto.ReplyHeader{Xid: 9, Zxid: 0x1a}))
		g.ends()
	})
	t.Run("old client, refused identity", func(t *testing.T) {
		g := newGolden(t, used, 1)
		g.open("connect-request-old", false)
		stranger := bytes.Replace(g.frame("auth"), []byte("digest"), []byte("digesT"), 1)
		g.write(stranger)
		g.hear("auth-failed")
		g.ends()
	})
	t.Run("events", func(t *testing.T) {
		g := newGolden(t, used, 0xff)
		g.open("connect-request", true)
		b := g.client.append(nil, proto.OpCreate, createRequest("/w", "", 0))
		b = g.client.append(b, proto.OpCreate, createRequest("/w/a", "", 0))
		b = g.client.append(b, proto.OpGetData, proto.ReadRequest{Path: "/w/a", Watch: true})
		g.write(b)
		for range 3 {
			g.next()
		}
		g.send(proto.OpSetData, proto.SetDataRequest{Path: "/w/a", Version: -1})
		g.hear("event")
		g.next()
		g.send(proto.OpSetWatches, proto.SetWatches{RelativeZxid: 0x101, Data: []string{"/w/a"}})
		g.hear("event-set-watches")
		g.next()
	})
	for name, version := range map[string]byte{"multi-reply": 0, "multi-failed": 1} {
		t.Run(name, func(t *testing.T) {
			g := newGolden(t, used, 0x18)
			g.open("connect-request", true)
			g.say("create") // 0x19
			created := g.frame("create-reply")
			created[15]++
			g.want("the node", created)
			multi := g.frame("multi")
			multi[len(multi)-10] = version // of the delete
			g.write(multi)
			g.hear(name)
		})
	}
	t.Run("sessions", func(t *testing.T) {
		const id = 0x0100000e94310000
		g := newGolden(t, used, 0x18, sessionTxn(id))
		passwd := proto.Password(id)
		g.sendConnect(proto.ConnectRequest{TimeOut: 10000, SessionID: id, Passwd: passwd[:], HasReadOnly: true})
		g.hear("connect-response")
		stranger := &golden{client: g.w.members[0].dial(t), frames: g.frames, used: used}
		stranger.sendConnect(proto.ConnectRequest{TimeOut: 10000, SessionID: id, Passwd: make([]byte, 16), HasReadOnly: true})
		stranger.hear("connect-refused")
		stranger.ends()
	})
	for name := range goldenFrames(t) {
		if !used[name] {
			t.Errorf("nobody said %s", name)
		}
	}
}

// sessionTxn creates a session of any id.
func sessionTxn(id proto.SessionID) proto.Txn {
	return proto.Txn{
		TxnHeader: proto.TxnHeader{ClientID: id, Time: goldenNow, Type: proto.OpCreateSession},
		Body:      &proto.CreateSessionTxn{TimeOut: 10000},
	}
}

// The password vectors of spec client-protocol 4.3, as clients of ZooKeeper bring them: each is taken, and
// answered, for its session and for no other.
func TestGoldenPasswords(t *testing.T) {
	vectors := map[proto.SessionID]string{
		0x0100000e94310000: "b579a3719ea164371b90b5a817e64ccd",
		1:                  "054cc74a37327db215e702e20c73f005",
		math.MaxInt64:      "20f62cb5648dc2d771471c8a2486a9ee",
		-1<<56 + 1:         "054cc74a37327db215e702e20c73f005", // 0xff00000000000001
	}
	w := newTwin(t, 2, nil)
	w.depose()
	for id := range vectors {
		w.inject(sessionTxn(id))
	}
	w.lead(0)
	for _, m := range w.members {
		for id := range vectors {
			for other, text := range vectors {
				passwd, err := hex.DecodeString(text)
				if err != nil {
					t.Fatal(err)
				}
				c := m.dial(t)
				c.open(proto.ConnectRequest{TimeOut: 1000, SessionID: id, Passwd: passwd})
				if vectors[id] != vectors[other] {
					if c.session != 0 {
						t.Errorf("%v: %v is renewed by the password of %v", m, id, other)
					}
					continue
				}
				if c.session != id || !bytes.Equal(c.passwd[:], passwd) {
					t.Errorf("%v: %v is answered %v, password %x", m, id, c.session, c.passwd)
				}
			}
		}
	}
}
