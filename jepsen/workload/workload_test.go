package workload_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-zookeeper/zk"

	"github.com/zabkeeper/zabkeeper/jepsen/check"
	"github.com/zabkeeper/zabkeeper/jepsen/workload"
	"github.com/zabkeeper/zabkeeper/proto"
)

func TestOutcomes(t *testing.T) {
	for _, c := range []struct {
		err     error
		want    check.Outcome
		refused bool
	}{
		{nil, check.OK, false},
		{zk.ErrBadVersion, check.Fail, true},
		{zk.ErrNodeExists, check.Fail, true},
		{fmt.Errorf("wrapped: %w", zk.ErrNoNode), check.Fail, true},
		{zk.ErrNoServer, check.Fail, false},
		{fmt.Errorf("wrapped: %w", proto.CodeBadVersion), check.Fail, true},
		{proto.CodeSessionExpired, check.Info, false},
		{zk.ErrConnectionClosed, check.Info, false},
		{zk.ErrSessionExpired, check.Info, false},
		{zk.ErrSessionMoved, check.Info, false},
		{zk.ErrClosing, check.Info, false},
		{errors.New("anything else"), check.Info, false},
	} {
		if got, refused := workload.Outcome(c.err); got != c.want || refused != c.refused {
			t.Errorf("%v: got %s, %v; want %s, %v", c.err, got, refused, c.want, c.refused)
		}
	}
}

func frame(body ...any) []byte {
	b := make([]byte, 4)
	for _, v := range body {
		b, _ = binary.Append(b, binary.BigEndian, v)
	}
	binary.BigEndian.PutUint32(b, uint32(len(b)-4))
	return b
}

func reply(xid int32, zxid int64, rest ...byte) []byte { return frame(xid, zxid, int32(0), rest) }

// The tap must see the same whatever the pieces in which the bytes arrive.
func TestTap(t *testing.T) {
	connected := frame(int32(0), int32(4000), int64(0x77), int32(16), make([]byte, 16), false)
	stream := [][]byte{
		connected, reply(1, 11), reply(-2, 99), reply(2, 12, make([]byte, 100)...), reply(-1, -1, 1, 2, 3), // an event
		reply(3, 50), // of setWatches
	}
	var all []byte
	for _, b := range stream {
		all = append(all, b...)
	}
	for _, piece := range []int{1, 2, 3, 7, 19, 20, 21, 64, len(all)} {
		client, server := net.Pipe()
		tap := workload.NewTap(client, time.Minute)
		var wg sync.WaitGroup
		wg.Go(func() {
			io.CopyN(io.Discard, server, 4+44+4*12)
			for rest := all; len(rest) > 0; {
				n := min(piece, len(rest))
				server.Write(rest[:n])
				rest = rest[n:]
			}
			server.Write(reply(4, 60))
			server.Close()
		})
		tap.Write(frame(make([]byte, 44))) // the connect request
		for xid, op := range []int32{1: 4, 2: 4, 3: 101, 4: -11} {
			if xid > 0 {
				tap.Write(frame(int32(xid), op))
			}
		}
		got := make([]byte, len(all))
		if _, err := io.ReadFull(tap, got); err != nil || string(got) != string(all) {
			t.Fatalf("pieces of %d: the bytes were not passed on as they came: %v", piece, err)
		}
		if session, zxid, closed := tap.Seen(); session != 0x77 || zxid != 12 || closed {
			t.Errorf("pieces of %d: got session %#x, zxid %d, closed %v; want 0x77, 12, false", piece, session, zxid, closed)
		}
		io.Copy(io.Discard, tap)
		if _, zxid, closed := tap.Seen(); zxid != 12 || !closed {
			t.Errorf("pieces of %d: got zxid %d, closed %v after the close; want 12, true", piece, zxid, closed)
		}
		wg.Wait()
	}
}

func TestTapDoesNotWaitForASilentServer(t *testing.T) {
	client, server := net.Pipe()
	defer server.Close()
	tap := workload.NewTap(client, 10*time.Millisecond)
	if err := tap.SetReadDeadline(time.Now().Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	if _, err := tap.Read(make([]byte, 4)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("got %v, want a timeout", err)
	}
}

func TestNew(t *testing.T) {
	all, err := workload.New(strings.ReplaceAll(workload.All, ",", ", "))
	names := strings.Split(workload.All, ",")
	if err != nil || len(all) != len(names) || len(all) < 11 {
		t.Fatalf("got %v, %v", all, err)
	}
	for i, name := range names {
		if all[i].Name() != name || len(all[i].Paths()) == 0 {
			t.Errorf("workload %d is %s with %v", i, all[i].Name(), all[i].Paths())
		}
	}
	if _, err := workload.New("register,sleep"); err == nil {
		t.Error("an unknown workload was accepted")
	}
}

// When all sessions are let go, clients of servers that serve nobody end, whatever they do.
func TestClientsOfNobodyEnd(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	all, err := workload.New("append,lock,ephemeral,bank,queue,latch,membership,watch,move,config")
	if err != nil {
		t.Fatal(err)
	}
	env := &workload.Env{
		Servers: []string{l.Addr().String()}, Recorder: workload.NewRecorder(), Timeout: time.Second,
		Pace: time.Millisecond, Duration: time.Second,
	}
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	for _, w := range all {
		wg.Go(func() { w.Run(ctx, env) })
	}
	time.AfterFunc(50*time.Millisecond, env.Abandon) // in the middle of their first operations
	time.AfterFunc(200*time.Millisecond, cancel)     // they have tried to open others
	wg.Wait()
}

// A session that can reach nobody can still be closed.
func TestCloseWithoutServers(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	s, err := workload.Open([]string{l.Addr().String()}, time.Second, 1, nil)
	if err != nil {
		t.Fatal(err)
	}
	if s.Close() || !s.Dead() || s.ID() != 0 {
		t.Error("a session that never was cannot have been closed by a server")
	}
}
