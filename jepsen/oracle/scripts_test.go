package oracle_test

import (
	"context"
	"encoding/binary"
	"maps"
	"net"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/zabkeeper/zabkeeper/jepsen/cluster"
	"github.com/zabkeeper/zabkeeper/jepsen/differ"
	"github.com/zabkeeper/zabkeeper/jepsen/oracle"
	"github.com/zabkeeper/zabkeeper/proto"
	"github.com/zabkeeper/zabkeeper/zab/zxid"
)

// listener stands between clients and a server and writes down all frames.
type listener struct {
	net.Listener
	server string
	book   *book
	wg     sync.WaitGroup
}

// book collects records of several listeners.
type book struct {
	mu      sync.Mutex
	start   time.Time
	records []oracle.Record
	conns   uint32
}

func (b *book) note(k oracle.Kind, conn uint32, data []byte) uint32 {
	b.mu.Lock()
	defer b.mu.Unlock()
	if k == oracle.Dialled {
		b.conns++
		conn = b.conns
	}
	b.records = append(b.records, oracle.Record{Kind: k, Conn: conn, At: int64(time.Since(b.start)), Data: append([]byte(nil), data...)})
	return conn
}

func (b *book) listen(t *testing.T, server string) *listener {
	t.Helper()
	nl, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := &listener{Listener: nl, server: server, book: b}
	l.wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			l.wg.Go(func() { l.serve(c) })
		}
	})
	t.Cleanup(func() { l.Close(); l.wg.Wait() })
	return l
}

func (l *listener) serve(client net.Conn) {
	defer client.Close()
	server, err := net.Dial("tcp", l.server)
	if err != nil {
		return
	}
	defer server.Close()
	number := l.book.note(oracle.Dialled, 0, []byte(l.server))
	defer l.book.note(oracle.Ended, number, nil)
	var wg sync.WaitGroup
	wg.Go(func() { l.pass(client, server, number, oracle.Sent); server.(*net.TCPConn).CloseWrite() })
	wg.Go(func() { l.pass(server, client, number, oracle.Received); client.(*net.TCPConn).CloseWrite() })
	wg.Wait()
}

// pass notes each frame before it is passed on. What has the length of no frame is passed on and
// not noted, nor is anything behind it.
func (l *listener) pass(from, to net.Conn, number uint32, kind oracle.Kind) {
	var in []byte
	deaf := false
	buf := make([]byte, 64<<10)
	for {
		n, err := from.Read(buf)
		for in = append(in, buf[:n]...); len(in) >= 4 && !deaf; {
			size := int32(binary.BigEndian.Uint32(in))
			if deaf = size < 0 || size > 8<<20; deaf || len(in) < 4+int(size) {
				break
			}
			l.book.note(kind, number, in[4:4+size])
			in = in[4+size:]
		}
		if _, err2 := to.Write(buf[:n]); err != nil || err2 != nil {
			return
		}
	}
}

// TestScriptsOfEveryOperation lets real servers answer scripts that hold every operation in every
// way, good and bad, pipelined, from clients that come and go, and asks the oracle about it: its
// rules and those of the servers were written down apart from each other.
func TestScriptsOfEveryOperation(t *testing.T) {
	binary := filepath.Join(t.TempDir(), "zabkeeper")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", binary, "../../cmd/zabkeeper").CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	launch, err := cluster.Zabkeeper(binary)
	if err != nil {
		t.Fatal(err)
	}
	for _, servers := range []int{1, 3} {
		log, records := answered(t, launch, servers)
		r := oracle.Check(log, records, oracle.Options{SyncReads: true})
		for _, v := range r.Violations {
			t.Errorf("%d servers: %v", servers, v)
		}
		if r.Decisions < 100 || r.Writes < 100 || r.Reads < 300 || r.Events < 5 || r.Unjudged > r.Requests/3 {
			t.Errorf("%d servers: little was judged: %+v", servers, *r)
		}
		r.Violations = nil
		t.Logf("%d servers: %+v", servers, *r)
	}
}

// answered runs the scripts against an ensemble, whose servers the clients are spread over, and
// returns its log and what was seen.
func answered(t *testing.T, launch cluster.Launch, servers int) ([]proto.Txn, []oracle.Record) {
	t.Helper()
	profile, err := differ.FindProfile("usual")
	if err != nil {
		t.Fatal(err)
	}
	extra := profile.AllSettings()
	maps.Copy(extra, cluster.KeepLog())
	c, err := cluster.New(cluster.Config{Dir: t.TempDir(), Servers: servers, Launch: launch, Extra: extra})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := c.StartAll(); err != nil {
		t.Fatal(err)
	}
	if err := c.WaitServing(ctx); err != nil {
		t.Fatal(err)
	}
	b := &book{start: time.Now()}
	var addrs []string
	for _, addr := range c.Addrs() {
		addrs = append(addrs, b.listen(t, addr).Addr().String())
	}
	side, err := profile.Connect("tested", addrs...)
	if err != nil {
		t.Fatal(err)
	}
	w := profile.Weights
	w.Ensemble, w.Servers = servers > 1, servers
	for seed := range uint64(6) {
		for _, step := range differ.Generate(seed, 60, w) {
			side.Do(step)
		}
		side.End()
	}
	side.Close()
	var end zxid.ID
	for _, id := range c.IDs() {
		st, err := c.Status(ctx, id)
		if err != nil {
			t.Fatal(err)
		}
		end = max(end, zxid.ID(st.Zxid))
	}
	for _, id := range c.IDs() { // in order: the profile has forceSync=no
		if err := c.Terminate(id, time.Minute); err != nil {
			t.Fatal(err)
		}
	}
	log, err := c.History(end)
	if err != nil {
		t.Fatal(err)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	return log, b.records
}
