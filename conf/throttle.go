package conf

import (
	"errors"
	"math"
	"strconv"
	"time"
)

// Throttle is what protects a server from too much at once (spec semantics 15). Everything in it
// is off by default.
type Throttle struct {
	// Requests that the server works on at once; more wait before they enter the pipeline. 0: no limit.
	Requests int
	// StaleLatency drops a waiting request, and its connection, that has waited for longer than
	// its session lives.
	StaleLatency bool
	// OpWait is the wait after which a request is answered with ThrottledOp. 0: never.
	OpWait time.Duration

	// LargeRequest is the length in bytes above which a request is large, -1: none is.
	LargeRequest int
	// LargeRequestBytes bounds the sum of the large requests in progress.
	LargeRequestBytes int

	// ConnectionTokens is the capacity of the bucket that new connections draw from. 0: no limit.
	ConnectionTokens int
	// FillTime and FillCount say how fast the bucket fills.
	FillTime  time.Duration
	FillCount int
	// FreezeTime is how often the probability of a drop is adapted, negative: it stays 0.
	FreezeTime time.Duration
	// DropIncrease and DropDecrease are the steps of that probability, DecreaseRatio the share of
	// the bucket that may be missing when it falls.
	DropIncrease, DropDecrease, DecreaseRatio float64
	// Weighted lets connections cost what they do to the ensemble; else each costs one token.
	Weighted                               bool
	GlobalWeight, RenewWeight, LocalWeight int
}

// throttleKeys have two names where the original documents one and reads the other.
func throttleKeys() []key {
	t := func(f func(*Throttle) *int) func(*Config) *int { return func(c *Config) *int { return f(&c.Throttle) } }
	b := func(f func(*Throttle) *bool) func(*Config) *bool {
		return func(c *Config) *bool { return f(&c.Throttle) }
	}
	d := func(f func(*Throttle) *time.Duration) func(*Config) *time.Duration {
		return func(c *Config) *time.Duration { return f(&c.Throttle) }
	}
	return []key{
		limit("request_throttle_max_requests", "0", t(func(t *Throttle) *int { return &t.Requests })).alias("requestThrottleLimit"),
		loose("request_stale_latency_check", "false", b(func(t *Throttle) *bool { return &t.StaleLatency })).alias("requestStaleLatencyCheck"),
		millis("throttled_op_wait_time", "0", 0, d(func(t *Throttle) *time.Duration { return &t.OpWait })).alias("throttledOpWaitTime"),
		number("largeRequestThreshold", "-1", -1, math.MaxInt32, t(func(t *Throttle) *int { return &t.LargeRequest })),
		number("largeRequestMaxBytes", "104857600", 1, math.MaxInt32, t(func(t *Throttle) *int { return &t.LargeRequestBytes })),
		limit("connection_throttle_tokens", "0", t(func(t *Throttle) *int { return &t.ConnectionTokens })).alias("connectionMaxTokens"),
		millis("connection_throttle_fill_time", "1", 1, d(func(t *Throttle) *time.Duration { return &t.FillTime })).alias("connectionTokenFillTime"),
		number("connection_throttle_fill_count", "1", 1, math.MaxInt32, t(func(t *Throttle) *int { return &t.FillCount })).alias("connectionTokenFillCount"),
		millis("connection_throttle_freeze_time", "-1", -1, d(func(t *Throttle) *time.Duration { return &t.FreezeTime })).alias("connectionFreezeTime"),
		share("connection_throttle_drop_increase", "0.02", func(t *Throttle) *float64 { return &t.DropIncrease }).alias("connectionDropIncrease"),
		share("connection_throttle_drop_decrease", "0.002", func(t *Throttle) *float64 { return &t.DropDecrease }).alias("connectionDropDecrease"),
		share("connection_throttle_decrease_ratio", "0", func(t *Throttle) *float64 { return &t.DecreaseRatio }).alias("connectionDecreaseRatio"),
		loose("connection_throttle_weight_enabled", "false", b(func(t *Throttle) *bool { return &t.Weighted })),
		number("connection_throttle_global_session_weight", "3", 1, maxWeight, t(func(t *Throttle) *int { return &t.GlobalWeight })),
		number("connection_throttle_renew_session_weight", "2", 1, maxWeight, t(func(t *Throttle) *int { return &t.RenewWeight })),
		number("connection_throttle_local_session_weight", "1", 1, maxWeight, t(func(t *Throttle) *int { return &t.LocalWeight })),
	}
}

// maxWeight keeps products of weights and tokens small.
const maxWeight = 1000

// share is a number of 0..1.
func share(name, def string, field func(*Throttle) *float64) key {
	return key{name: name, def: def, set: func(c *Config, v string) (string, error) {
		f, err := strconv.ParseFloat(v, 64)
		if err != nil || !(f >= 0 && f <= 1) {
			return "", errors.New("must be a number of 0..1")
		}
		*field(&c.Throttle) = f
		return "", nil
	}}
}
