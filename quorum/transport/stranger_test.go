package transport_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/zabkeeper/zabkeeper/proto/peerwire"
	"github.com/zabkeeper/zabkeeper/quorum/transport"
)

// logbook collects log lines.
type logbook struct {
	mu      sync.Mutex
	buf     bytes.Buffer
	changed chan struct{}
}

func newLogbook() *logbook { return &logbook{changed: make(chan struct{})} }

func (l *logbook) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	close(l.changed)
	l.changed = make(chan struct{})
	return l.buf.Write(b)
}

func (l *logbook) attach(cfg *transport.Config) { cfg.Logger = zerolog.New(l).Level(zerolog.WarnLevel) }

func (l *logbook) await(t *testing.T, text string) {
	t.Helper()
	deadline := time.After(patience)
	for {
		l.mu.Lock()
		found, changed := strings.Contains(l.buf.String(), text), l.changed
		l.mu.Unlock()
		if found {
			return
		}
		select {
		case <-changed:
		case <-deadline:
			t.Fatalf("%q is not in the log:\n%s", text, l.buf.String())
		}
	}
}

func (l *logbook) count(text string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Count(l.buf.String(), text)
}

// stranger is a test that speaks the protocol by hand.
type stranger struct {
	t    *testing.T
	conn net.Conn
	seq  uint32
}

func dialStranger(t *testing.T, address string) *stranger {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return &stranger{t: t, conn: conn}
}

// frame is written down here once more, as the package comment draws it.
func frame(seq uint32, payload []byte) []byte {
	out := binary.BigEndian.AppendUint32(nil, uint32(len(payload)))
	body := append(binary.BigEndian.AppendUint32(nil, seq), payload...)
	out = binary.BigEndian.AppendUint32(out, crc32.Checksum(body, crc32.MakeTable(crc32.Castagnoli)))
	return append(out, body...)
}

func (s *stranger) send(b []byte) {
	// The other side may have closed already; what it does is seen by reading.
	_, _ = s.conn.Write(b)
}

func (s *stranger) frame(payload []byte) {
	s.send(frame(s.seq, payload))
	s.seq++
}

func (s *stranger) hello(h peerwire.Hello) { s.frame(peerwire.AppendHello(nil, &h)) }

// answer reads the other side's introduction.
func (s *stranger) answer() (peerwire.Hello, error) {
	head := make([]byte, 12)
	_ = s.conn.SetReadDeadline(time.Now().Add(patience))
	if _, err := io.ReadFull(s.conn, head); err != nil {
		return peerwire.Hello{}, err
	}
	payload := make([]byte, binary.BigEndian.Uint32(head))
	if _, err := io.ReadFull(s.conn, payload); err != nil {
		return peerwire.Hello{}, err
	}
	return peerwire.DecodeHello(payload)
}

// awaitClose reads until the other side closes the connection.
func (s *stranger) awaitClose() {
	s.t.Helper()
	_ = s.conn.SetReadDeadline(time.Now().Add(patience))
	_, err := io.Copy(io.Discard, s.conn)
	var timeout net.Error
	if errors.As(err, &timeout) && timeout.Timeout() {
		s.t.Error("the connection stays open")
	}
}

// However many strangers come, they are worth a line and in the end their number.
func TestStrangersLeaveFewLines(t *testing.T) {
	c := newCluster(t, 1, 2)
	book := newLogbook()
	s1 := c.start(1, book.attach)
	const n = 50
	for i := range n {
		s := dialStranger(t, c.addresses[1][i%2])
		s.send([]byte("GET / HTTP/1.1\r\nHost: quorum\r\n\r\n"))
		s.awaitClose()
	}
	s1.stop()
	if lines := book.count("\n"); lines != 2 {
		t.Errorf("%d lines for %d strangers:\n%s", lines, n, &book.buf)
	}
	if book.count("does not speak our protocol") != 2 || book.count(`"more":49,`) != 1 {
		t.Errorf("the log of %d strangers:\n%s", n, &book.buf)
	}
}
