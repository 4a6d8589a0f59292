package server

import (
	"math/rand/v2"
	"sync"

	"github.com/zabkeeper/zabkeeper/conf"
)

// bucket limits how fast connections get sessions: a token bucket, and on top of it a
// probability of being dropped that rises while the bucket is empty (the "BLUE" queue
// management of W. Feng et al.).
type bucket struct {
	cfg                    conf.Throttle
	capacity, perFill      int64
	global, renewal, local int64
	fill, freeze           int64 // ns

	mu                 sync.Mutex
	tokens             int64
	filledAt, frozenAt int64 // ns
	drop               float64
}

// newBucket returns nil if connections are not limited.
func newBucket(cfg conf.Throttle, now int64) *bucket {
	if cfg.ConnectionTokens == 0 {
		return nil
	}
	b := &bucket{
		cfg: cfg, capacity: int64(cfg.ConnectionTokens), perFill: int64(cfg.FillCount), global: 1, renewal: 1, local: 1,
		fill: int64(cfg.FillTime), freeze: int64(cfg.FreezeTime), filledAt: now, frozenAt: now,
	}
	if cfg.Weighted {
		b.local = int64(cfg.LocalWeight)
		b.global, b.renewal = max(int64(cfg.GlobalWeight), b.local), max(int64(cfg.RenewWeight), b.local)
		b.capacity *= b.global
		b.perFill *= b.global
	}
	b.tokens = b.capacity
	return b
}

// take takes tokens for one connection; false means that it has to go. now is in ns, chance a
// number of [0,1).
func (b *bucket) take(need, now int64, chance float64) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if passed := now - b.filledAt; passed > b.fill {
		missing := b.capacity - b.tokens
		// Whole fills, so that nothing is lost to rounding; what would overflow fills it up.
		fills := passed / b.fill
		if fills >= missing/b.perFill+1 {
			b.tokens = b.capacity
		} else {
			b.tokens += fills * b.perFill
		}
		b.filledAt += fills * b.fill
	}
	if b.freeze >= 0 && !b.survive(now, chance) {
		return false
	}
	if b.tokens < need {
		return false
	}
	b.tokens -= need
	return true
}

// survive adapts the probability of a drop and draws.
func (b *bucket) survive(now int64, chance float64) bool {
	if now-b.frozenAt > b.freeze {
		missing := b.capacity - b.tokens
		switch {
		case missing == b.capacity:
			b.drop = min(b.drop+b.cfg.DropIncrease, 1)
		case float64(missing) <= float64(b.capacity)*b.cfg.DecreaseRatio:
			b.drop = max(b.drop-b.cfg.DropDecrease, 0)
		}
		b.frozenAt = now
	}
	return chance >= b.drop
}

// afford takes the tokens of a connection that asks for a session.
func (c *conn) afford(renewal bool) bool {
	b := c.s.bucket
	if b == nil {
		return true
	}
	need := b.global
	switch {
	case renewal:
		need = b.renewal
	case c.s.cfg.LocalSessions:
		need = b.local
	}
	return b.take(need, c.s.now(), rand.Float64())
}
