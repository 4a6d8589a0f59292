package node_test

import (
	"net"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/zabkeeper/zabkeeper/server/node"
)

// slowToClose is a listener of which the first Close takes its time when it has woken who accepts. As
// with a listener of package net, a second Close does not wait for the first.
type slowToClose struct {
	net.Listener
	begun, ended atomic.Bool
	accepting    atomic.Bool
	woken        chan struct{}
	wake         func()
}

func newSlowToClose(tb testing.TB) *slowToClose {
	tb.Helper()
	l := &slowToClose{Listener: reserve(tb), woken: make(chan struct{})}
	l.wake = sync.OnceFunc(func() { close(l.woken) })
	return l
}

func (l *slowToClose) Accept() (net.Conn, error) {
	l.accepting.Store(true)
	conn, err := l.Listener.Accept()
	if err != nil {
		l.wake()
	}
	return conn, err
}

func (l *slowToClose) Close() error {
	if l.begun.Swap(true) {
		return net.ErrClosed
	}
	err := l.Listener.Close()
	if l.accepting.Load() {
		<-l.woken
	}
	for range 10_000 {
		runtime.Gosched() // whoever does not wait comes first
	}
	l.ended.Store(true)
	return err
}

// A server that has stopped can be started again at once: its ports are free, those too that it
// was given and has no use for.
func TestStopFreesEveryPort(t *testing.T) {
	servers := reserveServers(t, 3)
	for name, c := range map[string]struct {
		id    string
		lines []string
	}{
		"standalone":            {"", []string{"clientPort=1"}},
		"of an ensemble":        {"1", serverLines(servers)},
		"an ensemble of itself": {"1", append(serverLines(servers[:1]), "standaloneEnabled=false")},
	} {
		t.Run(name, func(t *testing.T) {
			for range 5 {
				l := [3]*slowToClose{newSlowToClose(t), newSlowToClose(t), newSlowToClose(t)}
				n := start(t, node.Config{
					Conf: config(t, c.id, c.lines...), FS: vfs.NewMem(),
					ClientListener: l[0], QuorumListener: l[1], ElectionListener: l[2],
				})
				n.stop()
				for i, kind := range []string{"client", "quorum", "election"} {
					if !l[i].ended.Load() {
						t.Errorf("the %s port is not closed, begun: %v", kind, l[i].begun.Load())
					}
				}
			}
		})
	}
}
