package page

import (
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"maps"
	"slices"
	"time"

	"github.com/zabkeeper/zabkeeper/jepsen/check"
	"github.com/zabkeeper/zabkeeper/jepsen/nemesis"
)

// Run is what is known of a run when it is over.
type Run struct {
	Title      string
	Facts      []Fact // shown above everything, in this order
	Took       time.Duration
	History    []check.Op
	Events     []nemesis.Event
	Violations []string
	Notes      []string // what else is worth a line
}

// Fact is a name and a value.
type Fact struct{ Name, Value string }

//go:embed page.html
var text string

// view is what the template shows.
type view struct {
	Run
	Clean                bool
	Tiles                []Fact
	Timeline, Throughput template.HTML
	Latencies            []latency
	Counts               []row
	Acts                 []act
	Gaps                 []gap
}

// row is a line of the table of outcomes.
type row struct {
	Name           string
	OK, Fail, Info int
}

// act is a line of the list of acts.
type act struct {
	At, Kind, Role, Held, Whole, Note string
	Servers                           []int
	Within                            bool
}

// Write writes the page.
func Write(w io.Writer, r Run) error {
	t, err := template.New("page").Parse(text)
	if err != nil {
		return fmt.Errorf("page: %w", err)
	}
	s := newScale(r)
	v := view{
		Run: r, Clean: len(r.Violations) == 0, Tiles: tiles(r), Timeline: timeline(s, r.Events),
		Throughput: throughput(s, r), Latencies: latencies(s, r.History), Counts: counts(r.History),
		Acts: acts(r.Events), Gaps: gaps(r.History, r.Took),
	}
	if err := t.Execute(w, v); err != nil {
		return fmt.Errorf("page: %w", err)
	}
	return nil
}

// tiles are the numbers that say most.
func tiles(r Run) []Fact {
	total, ok, info := len(r.History), 0, 0
	for _, o := range r.History {
		switch o.Outcome {
		case check.OK:
			ok++
		case check.Info:
			info++
		case check.Fail:
		}
	}
	longest, at := check.LongestGap(r.History, int64(r.Took))
	seconds := max(r.Took.Seconds(), 1)
	return []Fact{
		{"operations", fmt.Sprint(total)},
		{"acknowledged", fmt.Sprintf("%d (%.0f/s)", ok, float64(ok)/seconds)},
		{"outcome unknown", fmt.Sprint(info)},
		{"acts of the nemesis", fmt.Sprint(len(r.Events))},
		{"longest time without a write", fmt.Sprintf("%v, at %s", time.Duration(longest).Round(time.Millisecond), clock(time.Duration(at)))},
	}
}

// counts are the outcomes by workload.
func counts(h []check.Op) []row {
	c := check.Count(h)
	out := make([]row, 0, len(c))
	for _, name := range slices.Sorted(maps.Keys(c)) {
		out = append(out, row{Name: name, OK: c[name].OK, Fail: c[name].Fail, Info: c[name].Info})
	}
	return out
}

// acts are the acts in the order of their beginnings.
func acts(events []nemesis.Event) []act {
	out := make([]act, len(events))
	within := 0
	for i, e := range events {
		a := act{At: clock(e.Begin), Kind: string(e.Act.Kind), Role: string(e.Act.Role), Note: e.Note, Servers: e.Servers, Within: within > 0}
		if e.Healed > 0 {
			a.Held = (e.Healed - e.Begin).Round(time.Millisecond).String()
		}
		if e.Whole > 0 {
			a.Whole = (e.Whole - e.Healed).Round(time.Millisecond).String()
		}
		within = 0
		if e.Act.Within != nil {
			within = 1
		}
		out[i] = a
	}
	return out
}

// gap is a time in which no write was acknowledged to anybody.
type gap struct {
	from, until time.Duration
	Text        string
}

// A gap is shown from a second on, and only the longest ones.
const (
	shortestGap = time.Second
	maxGaps     = 200
)

// gaps are the times without an acknowledged write, in the order of time.
func gaps(h []check.Op, took time.Duration) []gap {
	var done []time.Duration
	for _, o := range h {
		if o.Outcome == check.OK && o.Write() && o.Return <= int64(took) {
			done = append(done, time.Duration(o.Return))
		}
	}
	slices.Sort(done)
	done = append(done, took)
	var out []gap
	for i := 1; i < len(done); i++ {
		if d := done[i] - done[i-1]; d >= shortestGap && len(out) < maxGaps {
			out = append(out, gap{from: done[i-1], until: done[i], Text: fmt.Sprintf("%s: %v", clock(done[i-1]), d.Round(10*time.Millisecond))})
		}
	}
	return out
}

// clock prints a time since the start.
func clock(d time.Duration) string {
	d = d.Round(10 * time.Millisecond)
	return fmt.Sprintf("%d:%05.2f", int(d.Minutes()), (d % time.Minute).Seconds())
}
