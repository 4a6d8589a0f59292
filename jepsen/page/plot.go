package page

import (
	"fmt"
	"html"
	"html/template"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/zabkeeper/zabkeeper/jepsen/check"
	"github.com/zabkeeper/zabkeeper/jepsen/nemesis"
)

// The size of the plots, in units of the SVG.
const (
	width  = 1000.0
	left   = 64.0 // for the labels of the axis
	right  = 18.0
	bottom = 20.0
	top    = 6.0
)

// maxBuckets bounds the points of a curve.
const maxBuckets = 900

// scale turns times into places. All plots of a page have the same one.
type scale struct {
	took   time.Duration
	bucket time.Duration // a second, or as many as keep the points few
	n      int           // buckets
}

func newScale(r Run) scale {
	s := scale{took: max(r.Took, time.Second), bucket: time.Second}
	for s.took/s.bucket > maxBuckets {
		s.bucket += time.Second
	}
	s.n = int((s.took + s.bucket - 1) / s.bucket)
	return s
}

// x is the place of a time.
func (s scale) x(d time.Duration) float64 {
	d = min(max(d, 0), s.took)
	return left + (width-left-right)*float64(d)/float64(s.took)
}

// index is the bucket of a time in ns, -1 for one after the run.
func (s scale) index(ns int64) int {
	if i := int(time.Duration(ns) / s.bucket); ns >= 0 && i < s.n {
		return i
	}
	return -1
}

// drawing is an SVG under construction.
type drawing struct {
	strings.Builder
	height float64
}

func newDrawing(height float64, label string) *drawing {
	d := &drawing{height: height}
	d.f(`<svg viewBox="0 0 %g %g" role="img" aria-label="%s">`, width, height, html.EscapeString(label))
	return d
}

func (d *drawing) f(format string, args ...any) { fmt.Fprintf(d, format, args...) }

func (d *drawing) html() template.HTML {
	d.WriteString("</svg>")
	return template.HTML(d.String()) //nolint:gosec // all text in it was escaped
}

// text puts a label.
func (d *drawing) text(x, y float64, anchor, s string) {
	d.f(`<text x="%.1f" y="%.1f" text-anchor="%s">%s</text>`, x, y, anchor, html.EscapeString(s))
}

// times draws the axis of time.
func (d *drawing) times(s scale) {
	step := time.Second
	for _, next := range []time.Duration{2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600} {
		if s.took/step > 12 {
			step = next * time.Second
		}
	}
	for at := time.Duration(0); at <= s.took; at += step {
		x := s.x(at)
		d.f(`<line class="grid" x1="%.1f" x2="%.1f" y1="%g" y2="%g"/>`, x, x, top, d.height-bottom)
		d.text(x, d.height-6, "middle", fmt.Sprintf("%d:%02d", int(at.Minutes()), int(at.Seconds())%60))
	}
}

// group is the colour of a kind of act.
func group(k nemesis.Kind) string {
	switch {
	case slices.Contains(nemesis.Partitions(), k):
		return "partition"
	case k.Network():
		return "link"
	case k.Disk():
		return "disk"
	case k == nemesis.Clock:
		return "clock"
	default:
		return "process"
	}
}

// timeline draws the acts: a line for each kind, a bar from hurting to healing, a thin one until all
// served again.
func timeline(s scale, events []nemesis.Event) template.HTML {
	var kinds []nemesis.Kind
	for _, k := range nemesis.Kinds() {
		if slices.ContainsFunc(events, func(e nemesis.Event) bool { return e.Act.Kind == k }) {
			kinds = append(kinds, k)
		}
	}
	const lane = 18.0
	d := newDrawing(top+bottom+lane*float64(max(len(kinds), 1)), "faults over time")
	d.times(s)
	for i, k := range kinds {
		y := top + lane*float64(i)
		d.text(left-6, y+13, "end", string(k))
		for _, e := range events {
			if e.Act.Kind != k {
				continue
			}
			end := max(e.Healed, e.Begin)
			title := fmt.Sprintf("%s %s %v, servers %v, %v", clock(e.Begin), k, e.Act.Role, e.Servers, (end - e.Begin).Round(time.Millisecond))
			if e.Note != "" {
				title += "\n" + e.Note
			}
			x := s.x(e.Begin)
			if e.Whole > end {
				d.f(`<rect class="%s after" x="%.1f" y="%.1f" width="%.1f" height="4"/>`, group(k), s.x(end), y+7, s.x(e.Whole)-s.x(end))
			}
			d.f(`<rect class="%s" x="%.1f" y="%.1f" width="%.1f" height="12" rx="2"><title>%s</title></rect>`,
				group(k), x, y+3, max(s.x(end)-x, 2), html.EscapeString(title))
		}
	}
	return d.html()
}

// throughput draws the acknowledged operations of each second, and marks the times without writes.
func throughput(s scale, r Run) template.HTML {
	all, writes := make([]float64, s.n), make([]float64, s.n)
	per := s.bucket.Seconds()
	for _, o := range r.History {
		if i := s.index(o.Return); i >= 0 && o.Outcome == check.OK {
			all[i] += 1 / per
			if o.Write() {
				writes[i] += 1 / per
			}
		}
	}
	const height = 170.0
	d := newDrawing(height, "acknowledged operations per second")
	d.times(s)
	limit := max(slices.Max(all), 1)
	y := func(v float64) float64 { return height - bottom - (height-bottom-top)*v/limit }
	for _, g := range gaps(r.History, r.Took) {
		d.f(`<rect class="gap" x="%.1f" y="%g" width="%.1f" height="%g"><title>no write acknowledged: %s</title></rect>`,
			s.x(g.from), top, max(s.x(g.until)-s.x(g.from), 1), height-bottom-top, g.Text)
	}
	for _, v := range []float64{0, limit / 2, limit} {
		d.f(`<line class="grid" x1="%g" x2="%g" y1="%.1f" y2="%.1f"/>`, left, width-right, y(v), y(v))
		d.text(left-6, y(v)+4, "end", fmt.Sprintf("%.0f/s", v))
	}
	d.curve(s, all, y, "all")
	d.curve(s, writes, y, "writes")
	return d.html()
}

// curve draws one value for each bucket; NaN leaves a hole.
func (d *drawing) curve(s scale, values []float64, y func(float64) float64, class string) {
	open := false
	for i, v := range values {
		if math.IsNaN(v) {
			if open {
				d.WriteString(`"/>`)
			}
			open = false
			continue
		}
		if !open {
			d.f(`<polyline class="%s" points="`, class)
			open = true
		}
		d.f("%.1f,%.1f ", s.x(time.Duration(i)*s.bucket+s.bucket/2), y(v))
	}
	if open {
		d.WriteString(`"/>`)
	}
}
