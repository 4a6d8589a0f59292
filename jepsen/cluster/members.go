package cluster

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Ports of a server, by their places in server.ports.
const (
	clientPort = iota
	quorumPort
	electionPort
	secondPort // for clients, when the first one is moved

	portsPerServer
)

// Super is the identity of the super user of an ensemble that can be changed, as clients give it with the
// scheme digest.
const Super = "super:admin"

// changeable adds to lines of zoo.cfg what lets the super user change the members, down to one voter.
func changeable(extra map[string]string) map[string]string {
	out := map[string]string{
		"reconfigEnabled": "true", "standaloneEnabled": "false",
		"DigestAuthenticationProvider.superDigest": "super:xQJmxLMiHGwaqBvst5y6rkB6HQs=", // of Super
	}
	maps.Copy(out, extra)
	return out
}

// Entry returns the entry of server id in a list of servers: a voter's, or an observer's; with the
// second of its two client ports if it has moved.
func (c *Cluster) Entry(id int, observer, moved bool) string {
	s := c.servers[id-1]
	role := "participant"
	if observer {
		role = "observer"
	}
	text := fmt.Sprintf("server.%d=%s:%d:%d:%s", id, s.host, s.ports[quorumPort], s.ports[electionPort], role)
	if c.cfg.Changeable {
		at := 0
		if moved {
			at = 1
		}
		text += ";" + s.addrs()[at]
	}
	return text
}

// MovedAddr returns the second of the places where server id may serve clients.
func (c *Cluster) MovedAddr(id int) string { return c.servers[id-1].addrs()[1] }

// List returns the content of /zookeeper/config before the members are changed for the first time,
// without the version.
func (c *Cluster) List() string { return strings.Join(c.list(), "\n") }

// Enlist lets an idle server be started. With a list of entries, those of the present members, it gets a
// new configuration, in which it is an observer, as one that is to join; with none it comes back with
// the files that it had.
func (c *Cluster) Enlist(id int, list []string) error {
	s := c.servers[id-1]
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.idle {
		return fmt.Errorf("cluster: server %d is not idle", id)
	}
	if list != nil {
		if err := errors.Join(s.forget(), c.join(s, list)); err != nil {
			return fmt.Errorf("cluster: server %d: %w", id, err)
		}
	}
	s.idle, s.at = false, 0
	return nil
}

// join gives a server that does not run the configuration of one that is to join the servers of a list.
func (c *Cluster) join(s *server, list []string) error {
	entries := []string{c.Entry(s.id, true, false)}
	for _, e := range list {
		if !strings.HasPrefix(e, s.key()) {
			entries = append(entries, e)
		}
	}
	return s.write(c.cfg, entries)
}

func (s *server) key() string { return fmt.Sprintf("server.%d=", s.id) }

// readmit does what an operator must before the next start of a server whose own files say that it has left: no
// server starts from a list that it is not in.
func (c *Cluster) readmit(s *server) error {
	text, err := os.ReadFile(s.cfg())
	if err != nil {
		return err
	}
	var list []string
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSpace(line)
		if path, ok := strings.CutPrefix(line, "dynamicConfigFile="); ok {
			more, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			list = append(list, strings.Fields(string(more))...)
		} else if strings.HasPrefix(line, "server.") {
			list = append(list, line)
		}
	}
	if slices.ContainsFunc(list, func(e string) bool { return strings.HasPrefix(e, s.key()) }) {
		return nil
	}
	return c.join(s, list)
}

// forget removes the files that a former configuration has left beside zoo.cfg.
func (s *server) forget() error {
	files, err := filepath.Glob(s.cfg() + ".*")
	for _, f := range files {
		err = errors.Join(err, os.Remove(f))
	}
	return err
}

// Retire makes server id idle and ends it by SIGTERM, as Terminate does. Its files stay.
func (c *Cluster) Retire(id int, patience time.Duration) error {
	s := c.servers[id-1]
	s.mu.Lock()
	s.idle = true
	s.mu.Unlock()
	return s.terminate(patience)
}

// Idle returns the numbers of the servers that are idle.
func (c *Cluster) Idle() []int {
	var ids []int
	for _, s := range c.servers {
		if s.isIdle() {
			ids = append(ids, s.id)
		}
	}
	return ids
}

func (s *server) isIdle() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.idle
}

// addrs are the places where a server may serve clients.
func (s *server) addrs() [2]string {
	at := func(port int) string { return net.JoinHostPort(s.host, strconv.Itoa(s.ports[port])) }
	return [2]string{at(clientPort), at(secondPort)}
}

func (s *server) addr() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.addrs()[s.at]
}

// ask sends a four-letter word to where the server was found last, and, if nobody is there, to the
// other place where its configuration may have put it.
func (s *server) ask(ctx context.Context, word string) (string, error) {
	s.mu.Lock()
	at := s.at
	s.mu.Unlock()
	text, err := ask(ctx, s.addrs()[at], word)
	if !s.movable || !errors.Is(err, syscall.ECONNREFUSED) {
		return text, err
	}
	text, other := ask(ctx, s.addrs()[1-at], word)
	if other != nil {
		return "", err
	}
	s.mu.Lock()
	s.at = 1 - at
	s.mu.Unlock()
	return text, nil
}
