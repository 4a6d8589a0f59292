package workload

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/zabkeeper/zabkeeper/jepsen/oracle"
)

// maxTrace bounds a trace, in bytes: who judges it reads all of it into memory.
const maxTrace = 1 << 30

// errTraceLong ends a trace that has become too long to be judged.
var errTraceLong = fmt.Errorf("workload: the trace is longer than %d bytes: let the run be shorter, or leave the oracle out", maxTrace)

// trace writes what passes over the connections of all sessions to a file, of which it holds one
// buffer in memory. Its methods are safe for concurrent use; the order of their calls is the order
// of the file.
type trace struct {
	start time.Time

	mu    sync.Mutex
	file  *os.File // nil: closed
	buf   *bufio.Writer
	out   *oracle.Writer
	conns uint32
	err   error // the first one; nothing is written behind it
}

func newTrace(path string, start time.Time) (*trace, error) {
	f, err := os.Create(path)
	if err != nil {
		return nil, fmt.Errorf("workload: trace: %w", err)
	}
	t := &trace{start: start, file: f, buf: bufio.NewWriterSize(f, 64<<10)}
	if t.out, err = oracle.NewWriter(t.buf); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return t, nil
}

// dialled notes a new connection and returns its number.
func (t *trace) dialled(server string) uint32 {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.conns++
	t.write(oracle.Dialled, t.conns, []byte(server))
	return t.conns
}

// note notes what happened on a connection; frame is without its length and not kept.
func (t *trace) note(kind oracle.Kind, conn uint32, frame []byte) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.write(kind, conn, frame)
}

// write adds a record. The time is taken under the lock, so that it never falls.
func (t *trace) write(kind oracle.Kind, conn uint32, data []byte) {
	if t.file == nil || t.err != nil {
		return
	}
	t.err = t.out.Write(oracle.Record{Kind: kind, Conn: conn, At: int64(time.Since(t.start)), Data: data})
	if t.err == nil && t.out.Bytes > maxTrace {
		t.err = errTraceLong
	}
}

// close ends the file. The error says that the file is not the whole truth.
func (t *trace) close() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.file == nil {
		return t.err
	}
	t.err = errors.Join(t.err, t.buf.Flush(), t.file.Close())
	t.file = nil
	return t.err
}

// Trace begins to write everything that passes over the connections of all sessions of this recorder
// to a file, for package oracle. It is called before the first session is opened.
func (r *Recorder) Trace(path string) error {
	t, err := newTrace(path, r.start)
	if err != nil {
		return err
	}
	r.trace = t
	return nil
}

// EndTrace ends the file that Trace began. An error says that it does not hold everything.
func (r *Recorder) EndTrace() error {
	if r.trace == nil {
		return nil
	}
	return r.trace.close()
}
