package page

import (
	"cmp"
	"fmt"
	"html/template"
	"maps"
	"math"
	"slices"
	"time"

	"github.com/zabkeeper/zabkeeper/jepsen/check"
)

// latency is how long one kind of operation took.
type latency struct {
	Name          string
	N             int
	P50, P99, Max string // of the whole run
	Plot          template.HTML
}

// maxKinds bounds how many kinds of operations get a plot: the most frequent ones do.
const maxKinds = 16

// latencies are those of the acknowledged operations, by kind, the most frequent first.
func latencies(s scale, h []check.Op) []latency {
	byKind := map[check.Kind][]check.Op{}
	for _, o := range h {
		if o.Outcome == check.OK && o.Return > o.Call {
			byKind[o.Kind] = append(byKind[o.Kind], o)
		}
	}
	kinds := slices.SortedFunc(maps.Keys(byKind), func(a, b check.Kind) int {
		return cmp.Or(cmp.Compare(len(byKind[b]), len(byKind[a])), cmp.Compare(a, b))
	})
	var out []latency
	for _, k := range kinds[:min(len(kinds), maxKinds)] {
		ops := byKind[k]
		all := make([]float64, len(ops))
		buckets := make([][]float64, s.n)
		for i, o := range ops {
			all[i] = float64(o.Return-o.Call) / float64(time.Millisecond)
			if b := s.index(o.Return); b >= 0 {
				buckets[b] = append(buckets[b], all[i])
			}
		}
		slices.Sort(all)
		out = append(out, latency{
			Name: string(k), N: len(ops), P50: ms(percentile(all, 50)), P99: ms(percentile(all, 99)), Max: ms(all[len(all)-1]),
			Plot: plot(s, string(k), buckets, all[len(all)-1]),
		})
	}
	return out
}

// percentile returns the p-th percentile of sorted values: the smallest one that so many percent
// of them do not exceed.
func percentile(sorted []float64, p int) float64 {
	return sorted[(len(sorted)*p+99)/100-1]
}

// ms prints milliseconds.
func ms(v float64) string {
	switch {
	case v < 10:
		return fmt.Sprintf("%.1f ms", v)
	case v < 1000:
		return fmt.Sprintf("%.0f ms", v)
	default:
		return fmt.Sprintf("%.1f s", v/1000)
	}
}

// plot draws median, 99th percentile and maximum of each bucket over a logarithmic axis.
func plot(s scale, name string, buckets [][]float64, most float64) template.HTML {
	const height, least = 150.0, 0.1 // ms
	d := newDrawing(height, "latency of "+name)
	d.times(s)
	decades := math.Ceil(math.Log10(max(most, 1) / least))
	y := func(v float64) float64 {
		return height - bottom - (height-bottom-top)*math.Log10(max(v, least)/least)/decades
	}
	for v, i := least, 0.0; i <= decades; v, i = v*10, i+1 {
		d.f(`<line class="grid" x1="%g" x2="%g" y1="%.1f" y2="%.1f"/>`, left, width-right, y(v), y(v))
		d.text(left-6, y(v)+4, "end", ms(v))
	}
	p50, p99, highest := make([]float64, len(buckets)), make([]float64, len(buckets)), make([]float64, len(buckets))
	for i, b := range buckets {
		p50[i], p99[i], highest[i] = math.NaN(), math.NaN(), math.NaN()
		if len(b) > 0 {
			slices.Sort(b)
			p50[i], p99[i], highest[i] = percentile(b, 50), percentile(b, 99), b[len(b)-1]
		}
	}
	d.curve(s, highest, y, "max")
	d.curve(s, p99, y, "p99")
	d.curve(s, p50, y, "p50")
	return d.html()
}
