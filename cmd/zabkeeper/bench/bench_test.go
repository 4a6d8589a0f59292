package bench

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// TestHistogramQuantiles holds quantiles against a sorted list.
func TestHistogramQuantiles(t *testing.T) {
	const seed = 7
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	var h, left, right Histogram
	var all []time.Duration
	for i := range 20_000 {
		d := time.Duration(r.ExpFloat64() * float64(3*time.Millisecond))
		all = append(all, d)
		h.Add(d)
		if i%2 == 0 {
			left.Add(d)
		} else {
			right.Add(d)
		}
	}
	left.Merge(&right)
	slices.Sort(all)
	for _, q := range []float64{0, 0.01, 0.5, 0.9, 0.99, 0.999} {
		want := all[int(q*float64(len(all)))]
		for name, got := range map[string]time.Duration{"one": h.Quantile(q), "merged": left.Quantile(q)} {
			if got > want || float64(got) < float64(want)*(1-1.0/32)-1 {
				t.Errorf("%s: quantile %v is %v, want about %v", name, q, got, want)
			}
		}
	}
	if h.Max() != all[len(all)-1] || h.Count() != int64(len(all)) {
		t.Errorf("max %v of %d, want %v of %d", h.Max(), h.Count(), all[len(all)-1], len(all))
	}
}

// TestBucketsAreOrdered proves that every bucket's low end maps to the bucket itself.
func TestBucketsAreOrdered(t *testing.T) {
	last := time.Duration(-1)
	for i := range 40 * subBuckets {
		l := low(i)
		if l <= last || bucket(l) != i {
			t.Fatalf("bucket %d starts at %v (after %v) and maps to %d", i, l, last, bucket(l))
		}
		last = l
	}
}
