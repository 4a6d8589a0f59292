package transport

import "time"

// outage decides which of many failures in a row are worth a line of the log: the first one after they have
// lasted for patience, since servers seldom start together, and one every quietPeriod from then on. It belongs to
// one goroutine.
type outage struct {
	patience time.Duration
	since    time.Time // of the first failure; zero: there is none
	told     time.Time // zero: nothing was told of this outage
}

// failed notes a failure and reports whether to tell it.
func (o *outage) failed(now time.Time) bool {
	if o.since.IsZero() {
		o.since = now
	}
	if now.Sub(o.since) < o.patience || !o.told.IsZero() && now.Sub(o.told) < quietPeriod {
		return false
	}
	o.told = now
	return true
}

// over ends the outage, if there is one.
func (o *outage) over() { o.since, o.told = time.Time{}, time.Time{} }
