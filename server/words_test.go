package server_test

import (
	"fmt"
	"io"
	"net"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/zabkeeper/zabkeeper/proto"
	"github.com/zabkeeper/zabkeeper/server"
)

func everyWord(c *server.Config) { c.AllowWord = func(string) bool { return true } }

// latencies returns llat, minlat, avglat and maxlat of the only session of a server.
func latencies(t *testing.T, m *member) (list [4]int) {
	t.Helper()
	text := m.word(t, "cons")
	found := regexp.MustCompile(`llat=(\d+),minlat=(\d+),avglat=(\d+),maxlat=(\d+)\)`).FindStringSubmatch(text)
	if found == nil {
		t.Fatalf("no latencies in %q", text)
	}
	for i := range list {
		n, err := strconv.Atoi(found[i+1])
		if err != nil {
			t.Fatal(err)
		}
		list[i] = n
	}
	return list
}

// TestLatenciesOfConnections delays a write, and the read behind it: both count, and crst forgets them.
func TestLatenciesOfConnections(t *testing.T) {
	w := newTwin(t, 1, everyWord)
	m := w.members[0]
	c := m.connect(t)
	m.word(t, "crst")
	const delay = 20 * time.Millisecond
	for _, ops := range [][]proto.Op{{proto.OpSetData}, {proto.OpSetData, proto.OpGetData}, {proto.OpSync}} {
		w.hold()
		begun := time.Now()
		for _, op := range ops {
			switch op {
			case proto.OpSetData:
				c.write(c.append(nil, op, proto.SetDataRequest{Path: "/", Version: -1}))
			case proto.OpSync:
				c.write(c.append(nil, op, proto.SyncRequest{Path: proto.Str("/")}))
			default:
				c.write(c.append(nil, op, proto.ReadRequest{Path: "/"}))
			}
		}
		eventually(t, "the requests arrive and some time passes", func() bool {
			return m.srv.Stats().Outstanding == int64(len(ops)) && time.Since(begun) > 2*delay
		})
		w.release(false)
		for range ops {
			c.next()
		}
		got := latencies(t, m)
		for i, name := range []string{"llat", "minlat", "avglat", "maxlat"} {
			if got[i] < int(delay.Milliseconds()) || got[i] > got[3] {
				t.Errorf("%v: %s=%d of %v", ops, name, got[i], got)
			}
		}
		m.word(t, "crst")
		if got := latencies(t, m); got != [4]int{} {
			t.Errorf("%v: %v behind a reset", ops, got)
		}
	}
	w.depose()
	w.lead(0)
	m.connect(t).must(proto.OpPing, nil)
	if got := latencies(t, m); got[0] > got[3] || got[1] > got[2] || got[2] > got[3] {
		t.Errorf("latencies of a new connection: %v", got)
	}
}

// TestDumpInPages lists more ephemerals, sessions and watches than fit into a page of anything, to a
// client that takes its time, while others are served.
func TestDumpInPages(t *testing.T) {
	const nodes, sessions = 2500, 700
	m := newTwin(t, 1, everyWord).members[0]
	c := m.connect(t)
	var b []byte
	for i := range nodes {
		path := fmt.Sprintf("/e%06d", i)
		b = c.append(b, proto.OpCreate, createRequest(path, "", proto.ModeEphemeral))
		b = c.append(b, proto.OpExists, proto.ReadRequest{Path: path, Watch: true})
	}
	go func() { _, _ = c.nc.Write(b) }()
	for range 2 * nodes {
		if r := c.next(); r.Err != proto.CodeOK {
			t.Fatal(r)
		}
	}
	for range sessions {
		m.connect(t)
	}
	slow := m.dial(t)
	slow.write([]byte("dump"))
	head := make([]byte, 1)
	if _, err := io.ReadFull(slow.nc, head); err != nil {
		t.Fatal(err)
	}
	c.must(proto.OpSetData, proto.SetDataRequest{Path: "/", Version: -1})
	dump := string(head) + string(slow.closed())
	if n := strings.Count(dump, "\n\t/e"); n != nodes {
		t.Errorf("%d ephemerals in dump, want %d", n, nodes)
	}
	if !strings.Contains(dump, fmt.Sprintf(")/(%d):\n", sessions+1)) || !strings.Contains(dump, fmt.Sprintf(")/(%d):\n", sessions+2)) {
		t.Errorf("dump does not count %d sessions and a connection more: %.300q", sessions+1, dump)
	}
	if n := strings.Count(dump, c.session.String()+"\n"); n != 2 { // among sessions, and with its connection
		t.Errorf("the session is in dump %d times", n)
	}
	for _, word := range []string{"wchp", "wchc"} {
		if n := strings.Count(m.word(t, word), "/e"); n != nodes {
			t.Errorf("%d paths in %s, want %d", n, word, nodes)
		}
	}
	if n := strings.Count(m.word(t, "cons"), "sid="); n != sessions+1 {
		t.Errorf("%d sessions in cons, want %d", n, sessions+1)
	}
}

// TestWordsWhileClientsComeAndGo asks for everything while the answers change.
func TestWordsWhileClientsComeAndGo(t *testing.T) {
	w := newTwin(t, 2, func(c *server.Config) {
		everyWord(c)
		c.LocalSessions, c.LocalSessionsUpgrading = true, true
	})
	done := make(chan struct{})
	go func() {
		defer close(done)
		for range 10 {
			for _, m := range w.members {
				for word := range strings.FieldsSeq("cons dump wchc wchp wchs stat mntr crst srst") {
					if text, err := ask(m.addr, word); err != nil || text == "" || strings.Contains(text, "not currently serving") {
						t.Errorf("%s of %v: %q, %v", word, m, text, err)
					}
				}
			}
		}
	}()
	for i, asking := 0, true; asking; i++ {
		select {
		case <-done:
			asking = false
		default:
		}
		m := w.members[i%2]
		c := m.connect(t)
		path := fmt.Sprintf("/n%d", i)
		c.create(path, "", proto.ModeEphemeral)
		c.must(proto.OpExists, proto.ReadRequest{Path: path, Watch: true})
		if c.nc.Close(); i%5 == 4 {
			m.eras <- time.Time{}
			w.members[0].ticks <- time.Time{}
		}
	}
	if n := w.members[1].resets.Load(); n != 10 {
		t.Errorf("%d of 10 resets reached the peer", n)
	}
}

// ask is word for other goroutines.
func ask(addr, word string) (string, error) {
	nc, err := net.Dial("tcp", addr)
	if err != nil {
		return "", err
	}
	defer nc.Close()
	if err := nc.SetDeadline(time.Now().Add(patience)); err != nil {
		return "", err
	}
	if _, err := io.WriteString(nc, word); err != nil {
		return "", err
	}
	text, err := io.ReadAll(nc)
	return string(text), err
}

// TestHalfAMask: a mask that is not complete changes nothing.
func TestHalfAMask(t *testing.T) {
	m := newTwin(t, 1, everyWord).members[0]
	c := m.dial(t)
	c.write([]byte("stmk\x00\x00\x00"))
	if err := c.nc.(interface{ CloseWrite() error }).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if text := c.closed(); len(text) > 0 {
		t.Errorf("the answer to half a mask: %q", text)
	}
	if got := m.word(t, "gtmk"); got != "306" {
		t.Errorf("the mask is %q", got)
	}
}
