package server_test

import (
	"errors"
	"io"
	"net"
	"syscall"
	"testing"
	"time"

	"github.com/zabkeeper/zabkeeper/server"
)

// Whoever is one too many reads the end of the connection, as from ZooKeeper, and not an error: the
// server hangs up before it forgets the connection.
func TestTooManyConnectionsAreHungUp(t *testing.T) {
	for name, limit := range map[string]func(*server.Config){
		"of all":         func(c *server.Config) { c.MaxCnxns = 1 },
		"of one address": func(c *server.Config) { c.MaxClientCnxns = 1 },
	} {
		m := newTwin(t, 1, limit).members[0]
		served := m.connect(t)
		for range 20 {
			nc, err := net.Dial("tcp", m.addr)
			switch {
			case errors.Is(err, syscall.EPIPE):
				continue // hung up before it was looked at
			case err != nil:
				t.Fatal(err)
			}
			if err := nc.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
				t.Fatal(err)
			}
			if n, err := nc.Read(make([]byte, 1)); n != 0 || !errors.Is(err, io.EOF) {
				t.Errorf("too many %s: read %d bytes, %v", name, n, err)
			}
			nc.Close()
		}
		served.nc.Close()
	}
}
