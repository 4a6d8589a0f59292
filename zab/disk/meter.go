package disk

import "time"

// Meter bounds how fast something is read: BytesPerSecond, 0 for as fast as the disk can. What was left
// unread is not made up for, so that there are no bursts. One goroutine uses it.
type Meter struct {
	BytesPerSecond int64

	free time.Time // from then on more may be read
}

// Take notes that bytes were read by now, and returns how long to wait before the next ones.
func (m *Meter) Take(now time.Time, bytes int) time.Duration {
	if m.BytesPerSecond <= 0 {
		return 0
	}
	if m.free.Before(now) {
		m.free = now
	}
	m.free = m.free.Add(time.Duration(float64(bytes) / float64(m.BytesPerSecond) * float64(time.Second)))
	return m.free.Sub(now)
}
