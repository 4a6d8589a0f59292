package bench

import (
	"math/bits"
	"time"
)

// subBuckets is the number of linear steps per power of two: values are kept within 1/64.
const subBuckets = 64

// Histogram counts durations in logarithmic buckets. The zero Histogram is empty. It is not safe
// for concurrent use.
type Histogram struct {
	counts [64 * subBuckets]int64
	n      int64
	max    time.Duration
}

func bucket(d time.Duration) int {
	v := uint64(max(d, 0))
	if v < subBuckets {
		return int(v)
	}
	shift := bits.Len64(v) - bits.Len64(subBuckets)
	return (shift+1)*subBuckets + int(v>>shift) - subBuckets
}

// low is the smallest duration of a bucket.
func low(i int) time.Duration {
	if i < subBuckets {
		return time.Duration(i)
	}
	shift := i/subBuckets - 1
	return time.Duration(uint64(i%subBuckets+subBuckets) << shift)
}

// Add counts one duration.
func (h *Histogram) Add(d time.Duration) {
	h.counts[bucket(d)]++
	h.n++
	h.max = max(h.max, d)
}

// Merge adds what another histogram has counted.
func (h *Histogram) Merge(o *Histogram) {
	for i, c := range o.counts {
		h.counts[i] += c
	}
	h.n += o.n
	h.max = max(h.max, o.max)
}

// Count returns how many durations were added.
func (h *Histogram) Count() int64 { return h.n }

// Max returns the longest duration.
func (h *Histogram) Max() time.Duration { return h.max }

// Quantile returns the duration below which the fraction q of all lies, within 1/64.
func (h *Histogram) Quantile(q float64) time.Duration {
	if h.n == 0 {
		return 0
	}
	rank := int64(q * float64(h.n))
	for i, c := range h.counts {
		if rank -= c; rank < 0 {
			return low(i)
		}
	}
	return h.max
}
