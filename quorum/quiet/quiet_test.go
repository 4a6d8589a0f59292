package quiet_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"

	"github.com/zabkeeper/zabkeeper/quorum/quiet"
	"github.com/zabkeeper/zabkeeper/quorum/quiet/logbook"
)

// lines takes what was written, as "level message" with the fields that count lines.
func lines(t *testing.T, b *logbook.Book) string {
	t.Helper()
	var out []string
	for line := range strings.Lines(b.Take()) {
		var m map[string]any
		if err := json.Unmarshal([]byte(line), &m); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		s := fmt.Sprint(m["level"], " ", m["message"])
		for _, name := range []string{"n", "more", "line", "about"} {
			if v, ok := m[name]; ok {
				s += fmt.Sprintf(" %s=%v", name, v)
			}
		}
		out = append(out, s)
	}
	return strings.Join(out, "\n")
}

func expect(t *testing.T, b *logbook.Book, want ...string) {
	t.Helper()
	if got := lines(t, b); got != strings.Join(want, "\n") {
		t.Errorf("written:\n%s\nwant:\n%s", got, strings.Join(want, "\n"))
	}
}

func TestFewLinesOfAKind(t *testing.T) {
	b := new(logbook.Book)
	now := time.Unix(1000, 0)
	l := quiet.New(quiet.Config{
		Logger: zerolog.New(b), Lines: 2, Period: time.Minute, Now: func() time.Time { return now },
	})
	for n := range 5 {
		l.Warn("refused").Int("n", n).Send()
	}
	expect(t, b, "warn refused n=0", "warn refused n=1")
	l.Info("served").Send() // other kinds have their own budget
	l.Warn("refused", "peer 1").Send()
	expect(t, b, "info served", "warn refused")

	now = now.Add(time.Minute - 1)
	l.Warn("refused").Send()
	l.Sweep()
	expect(t, b, "")
	now = now.Add(1)
	l.Error("refused").Int("n", 6).Send() // tells of those before it
	expect(t, b, "error lines of one kind were left out more=4 line=refused", "error refused n=6")

	for range 3 {
		l.Warn("refused").Send()
		l.Warn("refused", "peer 1").Send()
	}
	expect(t, b, "warn refused", "warn refused", "warn refused")
	now = now.Add(time.Minute)
	l.Sweep() // nobody is refused any more
	got := strings.Split(lines(t, b), "\n")
	if len(got) != 2 {
		t.Fatalf("written at the end: %q", got)
	}
	l.Sweep()
	expect(t, b, "")

	now = now.Add(-time.Hour) // the clock was set back
	l.Warn("refused").Int("n", 7).Send()
	expect(t, b, "warn refused n=7")
}

// A level that is off writes neither lines nor their number.
func TestLevels(t *testing.T) {
	b := new(logbook.Book)
	now := time.Unix(1000, 0)
	l := quiet.New(quiet.Config{
		Logger: zerolog.New(b).Level(zerolog.ErrorLevel), Lines: 1, Now: func() time.Time { return now },
	})
	for range 3 {
		l.Warn("refused").Send()
	}
	now = now.Add(time.Hour)
	l.Sweep()
	expect(t, b, "")
}

// Names that are not from a few share one budget in the end.
func TestManyKinds(t *testing.T) {
	b := new(logbook.Book)
	l := quiet.New(quiet.Config{Logger: zerolog.New(b), Lines: 1})
	for n := range 10000 {
		l.Info("refused", fmt.Sprint(n)).Send()
	}
	if n := strings.Count(lines(t, b), "\n") + 1; n > 5000 {
		t.Errorf("%d lines", n)
	}
}

// However many write at once, each line is written or counted.
func TestRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := new(logbook.Book)
		l := quiet.New(quiet.Config{Logger: zerolog.New(b)})
		ctx, cancel := context.WithCancel(t.Context())
		var running, writers sync.WaitGroup
		running.Go(func() { l.Run(ctx) })
		for range 10 {
			writers.Go(func() {
				for range 100 {
					l.Info("refused").Send()
				}
			})
		}
		writers.Wait()
		<-time.After(61 * time.Second) // of the bubble
		got := lines(t, b)
		if n := strings.Count(got, "info refused"); n != 20 || !strings.HasSuffix(got, "more=980 line=refused") {
			t.Errorf("%d lines, and then %q", n, got[strings.LastIndexByte(got, '\n')+1:])
		}
		for range 21 {
			l.Info("refused").Send()
		}
		cancel()
		running.Wait()
		l.Flush()
		if got := lines(t, b); !strings.HasSuffix(got, "more=1 line=refused") {
			t.Errorf("at the end %q", got)
		}
	})
}
