package network_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/zabkeeper/zabkeeper/jepsen/network"
)

// The test binary lives its second life for the tests that need hosts of the kernel.
func TestMain(m *testing.M) {
	inside, code, err := network.Enter()
	if err == nil && !inside {
		os.Exit(code)
	}
	if err != nil {
		fmt.Println("without hosts of the kernel:", err)
	}
	os.Exit(m.Run())
}

// port is a host in memory.
type port struct {
	out  chan []byte // sent by the host
	in   chan []byte // received
	done chan struct{}
}

func newPort() *port {
	return &port{out: make(chan []byte), in: make(chan []byte, 5000), done: make(chan struct{})}
}

func (p *port) Read(b []byte) (int, error) {
	select {
	case packet := <-p.out:
		return copy(b, packet), nil
	case <-p.done:
		return 0, io.EOF
	}
}

func (p *port) Write(b []byte) (int, error) {
	p.in <- bytes.Clone(b)
	return len(b), nil
}

func (p *port) Close() error {
	close(p.done)
	return nil
}

// packet is the head of an IPv4 packet to a host, a number, and padding.
func packet(to network.Host, number, size int) []byte {
	b := make([]byte, max(size, 24))
	b[0] = 0x45
	a := network.Address(to).As4()
	copy(b[16:], a[:])
	binary.BigEndian.PutUint32(b[20:], uint32(number))
	return b
}

// pair is a fabric with hosts 1 and 2.
func pair(t *testing.T) (f *network.Fabric, a, b *port) {
	t.Helper()
	f, a, b = network.NewFabric(1), newPort(), newPort()
	f.Attach(1, a)
	f.Attach(2, b)
	return f, a, b
}

// numbers returns what a host has received, once nothing is under way.
func numbers(p *port) []uint32 {
	synctest.Wait()
	var out []uint32
	for len(p.in) > 0 {
		out = append(out, binary.BigEndian.Uint32((<-p.in)[20:]))
	}
	return out
}

func TestLinks(t *testing.T) {
	for _, c := range []struct {
		name                    string
		cond                    network.Condition
		after                   time.Duration // when everything has arrived
		sooner                  time.Duration // when not everything has
		size, sent, least, most int
	}{
		{name: "perfect", sent: 100, least: 100, most: 100},
		{name: "cut", cond: network.Condition{Cut: true}, after: time.Hour, sent: 100},
		{name: "loss", cond: network.Condition{Loss: 0.3}, after: time.Hour, sent: 1000, least: 600, most: 800},
		{name: "delay", cond: network.Condition{Delay: time.Second}, after: 1001 * time.Millisecond, sooner: 999 * time.Millisecond, sent: 10, least: 10, most: 10},
		{name: "jitter", cond: network.Condition{Delay: time.Second, Jitter: time.Second}, after: 2001 * time.Millisecond, sooner: time.Second, sent: 100, least: 100, most: 100},
		{name: "slow", cond: network.Condition{Rate: 1000}, after: 10 * time.Second, sooner: 9 * time.Second, size: 100, sent: 100, least: 100, most: 100},
		{name: "full queue", cond: network.Condition{Delay: time.Hour}, after: 2 * time.Hour, sooner: time.Minute, sent: 3000, least: 1000, most: 1001},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f, a, b := pair(t)
				defer f.Close()
				f.Set(1, 2, c.cond)
				for i := range c.sent {
					a.out <- packet(2, i, c.size)
				}
				var got []uint32
				if c.sooner > 0 {
					<-time.After(c.sooner)
					if got = numbers(b); len(got) >= c.sent {
						t.Errorf("everything has arrived after %v", c.sooner)
					}
				}
				<-time.After(c.after - c.sooner)
				got = append(got, numbers(b)...)
				if len(got) < c.least || len(got) > c.most {
					t.Errorf("%d of %d packets have arrived, want %d to %d", len(got), c.sent, c.least, c.most)
				}
				for i := 1; i < len(got); i++ {
					if got[i] <= got[i-1] {
						t.Fatalf("packet %d came after packet %d", got[i], got[i-1])
					}
				}
				// The other direction knows nothing of it.
				b.out <- packet(1, 7, 0)
				if back := numbers(a); len(back) != 1 {
					t.Errorf("the way back carried %d packets of one", len(back))
				}
			})
		})
	}
}

func TestHeal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, a, b := pair(t)
		defer f.Close()
		f.Set(1, 2, network.Condition{Delay: time.Second})
		a.out <- packet(2, 1, 0)
		synctest.Wait()
		f.Set(1, 2, network.Condition{Cut: true}) // with a packet under way
		<-time.After(time.Minute)
		if got := numbers(b); len(got) > 0 {
			t.Errorf("%v arrived over a link that was cut", got)
		}
		f.Heal()
		a.out <- packet(2, 2, 0)
		if got := numbers(b); len(got) != 1 || got[0] != 2 {
			t.Errorf("%v arrived after healing, want 2", got)
		}
	})
}

func TestStrangePackets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, a, b := pair(t)
		defer f.Close()
		strange := packet(2, 1, 0)
		strange[16] = 11
		for _, p := range [][]byte{{}, {0x45}, bytes.Repeat([]byte{0x60}, 40), strange, packet(9, 1, 0), packet(1, 1, 0)} {
			a.out <- p
		}
		if got := len(numbers(a)) + len(numbers(b)); got > 0 {
			t.Errorf("%d packets for nobody have arrived", got)
		}
	})
}

// reach says who hears whom under a partition.
func reach(servers []network.Host, cut []network.Link) map[network.Host]int {
	hears := map[network.Host]int{}
	for _, s := range servers {
		hears[s] = len(servers)
	}
	seen := map[network.Link]bool{}
	for _, l := range cut {
		if !seen[l] {
			hears[l.To]--
		}
		seen[l] = true
	}
	return hears
}

func hosts(n int) []network.Host {
	var out []network.Host
	for i := range n {
		out = append(out, network.Host(i+1))
	}
	return out
}

func TestShapes(t *testing.T) {
	for _, n := range []int{3, 5, 7} {
		servers, majority := hosts(n), n/2+1
		for seed := range uint64(50) {
			r := rand.New(rand.NewPCG(seed, 0))
			if h := reach(servers, network.Halves(servers, r)); count(h, majority) != majority || count(h, n-majority) != n-majority {
				t.Fatalf("halves of %d: %v", n, h)
			}
			if h := reach(servers, network.Isolate(servers, 2)); h[2] != 1 || count(h, n-1) != n-1 {
				t.Fatalf("isolated of %d: %v", n, h)
			}
			if h := reach(servers, network.Bridge(servers, r)); count(h, n) != 1 || count(h, majority) != n-1 {
				t.Fatalf("bridge of %d: %v", n, h)
			}
			ring := network.Ring(servers, r)
			for s, heard := range reach(servers, ring) {
				if heard < majority || n > 3 && heard == n {
					t.Fatalf("ring of %d: server %d hears %d", n, s, heard)
				}
			}
			if n > 3 && !distinct(servers, ring) {
				t.Fatalf("ring of %d: two see the same majority: %v", n, ring)
			}
		}
		if got := len(network.All(servers)); got != n*(n-1) {
			t.Errorf("%d links between %d servers", got, n)
		}
	}
}

func count(h map[network.Host]int, hears int) int {
	n := 0
	for _, v := range h {
		if v == hears {
			n++
		}
	}
	return n
}

// distinct reports whether no two servers see the same servers.
func distinct(servers []network.Host, cut []network.Link) bool {
	sees := map[string]bool{}
	for _, to := range servers {
		var s []bool
		for _, from := range servers {
			s = append(s, !contains(cut, network.Link{From: from, To: to}))
		}
		sees[fmt.Sprint(s)] = true
	}
	return len(sees) == len(servers)
}

func contains(links []network.Link, l network.Link) bool {
	for _, other := range links {
		if other == l {
			return true
		}
	}
	return false
}

// Real TCP between hosts of the kernel: a connection survives a cut that is healed in time, and one
// way is not the other. Where the kernel gives no hosts the message must say what is missing.
func TestHostsOfTheKernel(t *testing.T) {
	inside, _, err := network.Enter()
	if err != nil {
		if !strings.Contains(err.Error(), "need") && runtime.GOOS == "linux" {
			t.Fatalf("the message does not say what is needed: %v", err)
		}
		return
	}
	if !inside {
		t.Fatal("the tests do not run in their own network")
	}
	n, err := network.New(2, 1)
	if err != nil {
		t.Fatal(err)
	}
	defer n.Close()
	l := listen(t, n, 1)
	defer l.Close()
	echoes := make(chan string)
	go func() {
		c, err := l.Accept()
		if err != nil {
			return
		}
		defer c.Close()
		b := make([]byte, 1)
		for {
			if _, err := io.ReadFull(c, b); err != nil {
				return
			}
			echoes <- string(b)
		}
	}()
	c, err := net.DialTimeout("tcp", l.Addr().String(), 5*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	n.Set(network.Clients, 1, network.Condition{Cut: true})
	if _, err := c.Write([]byte("x")); err != nil {
		t.Fatal(err)
	}
	select {
	case <-echoes:
		t.Fatal("a byte came through a link that is cut")
	case <-time.After(100 * time.Millisecond):
	}
	n.Heal()
	if got := <-echoes; got != "x" {
		t.Errorf("got %q", got)
	}
}

// listen listens on a server's host.
func listen(t *testing.T, n *network.Net, server int) net.Listener {
	t.Helper()
	type result struct {
		l   net.Listener
		err error
	}
	done := make(chan result)
	go func() {
		runtime.LockOSThread() // and never unlocked: the thread ends here
		var r result
		if r.err = n.Enter(server); r.err == nil {
			r.l, r.err = net.Listen("tcp", net.JoinHostPort(network.Address(network.Host(server)).String(), "0"))
		}
		done <- r
	}()
	r := <-done
	if r.err != nil {
		t.Fatal(r.err)
	}
	return r.l
}
