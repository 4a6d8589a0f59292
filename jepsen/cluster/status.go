package cluster

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"time"
)

// ErrNotServing is returned for a server that answers, but not for clients.
var ErrNotServing = errors.New("not serving")

// Status is what a server says about itself.
type Status struct {
	Mode  string // leader, follower, observer or standalone
	Zxid  int64  // last applied
	Nodes int64
}

// statusTimeout bounds one question: a stopped process accepts connections and says nothing.
const statusTimeout = time.Second

// maxStatus bounds an answer, in bytes.
const maxStatus = 64 << 10

// ask sends a four-letter word and returns the answer.
func ask(ctx context.Context, addr, word string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, statusTimeout)
	defer cancel()
	var d net.Dialer
	c, err := d.DialContext(ctx, "tcp", addr)
	if err != nil {
		return "", err
	}
	defer c.Close()
	if deadline, ok := ctx.Deadline(); ok {
		if err = c.SetDeadline(deadline); err != nil {
			return "", err
		}
	}
	if _, err = io.WriteString(c, word); err != nil {
		return "", err
	}
	b, err := io.ReadAll(io.LimitReader(c, maxStatus))
	return string(b), err
}

// parseStatus reads the answer to `srvr`.
func parseStatus(text string) (Status, error) {
	var s Status
	if strings.Contains(text, "not currently serving requests") {
		return s, ErrNotServing
	}
	lines := bufio.NewScanner(strings.NewReader(text))
	for lines.Scan() {
		name, value, _ := strings.Cut(lines.Text(), ": ")
		var err error
		switch name {
		case "Mode":
			s.Mode = value
		case "Zxid":
			s.Zxid, err = strconv.ParseInt(value, 0, 64)
		case "Node count":
			s.Nodes, err = strconv.ParseInt(value, 10, 64)
		}
		if err != nil {
			return s, fmt.Errorf("srvr: %s: %w", name, err)
		}
	}
	if s.Mode == "" {
		return s, fmt.Errorf("srvr: no mode in %q", text)
	}
	return s, nil
}
