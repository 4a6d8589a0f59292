package quiet

import (
	"context"
	"strings"
	"sync"
	"time"

	"github.com/rs/zerolog"
)

// Config is what a Log is made of.
type Config struct {
	// Logger takes the lines.
	Logger zerolog.Logger
	// Lines is the number of lines of one kind in a Period. Default 20.
	Lines int
	// Period begins with a kind's first line. Default a minute.
	Period time.Duration
	// Now is the clock. Default time.Now.
	Now func() time.Time
}

const (
	defaultLines  = 20
	defaultPeriod = time.Minute
	// maxKinds bounds the table of kinds; what comes later shares the budget of its text.
	maxKinds = 4096
)

// Log writes lines that others cause. It is safe for concurrent use.
type Log struct {
	cfg Config

	mu    sync.Mutex
	kinds map[string]*kind
}

// kind is what has a budget of its own. Guarded by Log.mu.
type kind struct {
	text, about string
	level       zerolog.Level // of the last line
	since       time.Time     // of the period
	lines       int           // written in it
	more        int           // left out in it
}

// New returns a Log that writes to cfg.Logger. Somebody has to Run it, or call Sweep now and then:
// else a count of lines left out is told no sooner than the next line of their kind.
func New(cfg Config) *Log {
	if cfg.Lines <= 0 {
		cfg.Lines = defaultLines
	}
	if cfg.Period <= 0 {
		cfg.Period = defaultPeriod
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	return &Log{cfg: cfg, kinds: make(map[string]*kind)}
}

// Info begins a line that says text, which is its kind, too, to be ended by Send. It is nil, which
// takes fields and writes nothing, if there were too many of its kind. about has a budget of
// its own and must be one of a few; it is no field of the line.
func (l *Log) Info(text string, about ...string) *zerolog.Event {
	return say(l.Begin(zerolog.InfoLevel, text, about...), text)
}

// Warn is Info for what an operator may have to look at.
func (l *Log) Warn(text string, about ...string) *zerolog.Event {
	return say(l.Begin(zerolog.WarnLevel, text, about...), text)
}

// Error is Info for what puts data, a promise or a configuration at stake.
func (l *Log) Error(text string, about ...string) *zerolog.Event {
	return say(l.Begin(zerolog.ErrorLevel, text, about...), text)
}

func say(e *zerolog.Event, text string) *zerolog.Event { return e.Str(zerolog.MessageFieldName, text) }

// Begin is Info for a line of a kind whose text differs from line to line. It is ended by Msg.
func (l *Log) Begin(level zerolog.Level, text string, about ...string) *zerolog.Event {
	if !l.Allow(level, text, about...) {
		return nil
	}
	return l.cfg.Logger.WithLevel(level)
}

// Allow reports whether there may be another line of a kind, and counts it.
func (l *Log) Allow(level zerolog.Level, text string, about ...string) bool {
	l.mu.Lock()
	now := l.cfg.Now()
	k := l.kind(text, strings.Join(about, " "), now)
	k.level = level
	ended := l.roll(k, now)
	write := k.lines < l.cfg.Lines
	if write {
		k.lines++
	} else {
		k.more++
	}
	l.mu.Unlock()
	l.tell(ended)
	return write
}

// kind finds what a line counts for. The caller holds l.mu.
func (l *Log) kind(text, about string, now time.Time) *kind {
	key := text + "\x00" + about
	if k := l.kinds[key]; k != nil {
		return k
	}
	if len(l.kinds) >= maxKinds && about != "" {
		return l.kind(text, "", now)
	}
	k := &kind{text: text, about: about, since: now}
	l.kinds[key] = k
	return k
}

// roll begins a new period if the kind's is over, and returns the one that has ended. The caller
// holds l.mu.
func (l *Log) roll(k *kind, now time.Time) (ended kind) {
	// A clock that was set back begins a new one too.
	if passed := now.Sub(k.since); passed >= 0 && passed < l.cfg.Period {
		return kind{}
	}
	ended = *k
	k.since, k.lines, k.more = now, 0, 0
	return ended
}

// tell writes how many lines of a period were left out, if any were.
func (l *Log) tell(ended kind) {
	if ended.more == 0 {
		return
	}
	ev := l.cfg.Logger.WithLevel(ended.level).Int("more", ended.more).Str("line", ended.text)
	if ended.about != "" {
		ev = ev.Str("about", ended.about)
	}
	ev.Msg("lines of one kind were left out")
}

// Sweep tells what was left out in periods that are over.
func (l *Log) Sweep() { l.sweep(false) }

// Flush tells what was left out until now.
func (l *Log) Flush() { l.sweep(true) }

func (l *Log) sweep(all bool) {
	var over []kind
	l.mu.Lock()
	now := l.cfg.Now()
	for _, k := range l.kinds {
		switch {
		case k.more == 0:
		case all:
			over = append(over, *k)
			k.more = 0
		default:
			over = append(over, l.roll(k, now))
		}
	}
	l.mu.Unlock()
	for _, k := range over {
		l.tell(k)
	}
}

// Run sweeps until ctx is done. Its caller flushes when nobody writes lines any more.
func (l *Log) Run(ctx context.Context) {
	ticker := time.NewTicker(l.cfg.Period)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			l.Sweep()
		}
	}
}
