package zktest

import (
	"bytes"
	"strings"
	"testing"

	"github.com/rs/zerolog"
)

// silent keeps the client library quiet.
type silent struct{}

func (silent) Printf(string, ...any) {}

// newLogger writes the servers' log to the test's.
func newLogger(tb testing.TB, level zerolog.Level, s *Server) zerolog.Logger {
	tb.Helper()
	w := zerolog.ConsoleWriter{Out: logWriter{tb, s}, NoColor: true, TimeFormat: "15:04:05.000"}
	return zerolog.New(w).Level(level).With().Timestamp().Logger()
}

type logWriter struct {
	tb testing.TB
	s  *Server
}

func (w logWriter) Write(p []byte) (int, error) {
	if !w.s.ensemble.damaged.Load() && bytes.Contains(p, []byte("the tree of this server")) {
		w.tb.Errorf("nobody has damaged a tree: %s", p)
	}
	w.tb.Log(strings.TrimRight(string(p), "\n"))
	return len(p), nil
}
