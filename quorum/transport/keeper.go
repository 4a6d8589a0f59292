package transport

import (
	"context"
	"time"

	"github.com/zabkeeper/zabkeeper/proto/peerwire"
)

// keeper sees to it that the election connection to a member exists, as long as it is one.
type keeper struct {
	v *voice
	// kick ends a wait early: the connection was lost, the peer asks for one, or has moved.
	kick chan struct{}

	// Guarded by voice.mu.
	left   bool               // the server is no member any more
	cancel context.CancelFunc // ends run; nil before it began
}

// run maintains the connection until ctx ends or the server leaves.
func (k *keeper) run(ctx context.Context) {
	mine, cancel := context.WithCancel(ctx)
	defer cancel()
	k.v.mu.Lock()
	k.cancel = cancel
	left := k.left
	k.v.mu.Unlock()
	if !left {
		k.maintain(mine, ctx)
	}
}

// maintain dials a server with a lower sid and pokes one with a higher sid until ctx ends. A
// connection that is made lasts until conns does.
func (k *keeper) maintain(ctx, conns context.Context) {
	v := k.v
	pause := backoff{least: minElectionBackoff, most: maxElectionBackoff}
	trouble := outage{patience: v.t.cfg.UnreachableAfter}
	if !v.dials() && !sleep(ctx, pause.next(), k.kick) {
		return // the higher one probably dials at this moment, too
	}
	for attempt := 0; ctx.Err() == nil; attempt++ {
		if !v.satisfied() {
			s, err := v.t.dial(ctx, v.sid, peerwire.Election, attempt)
			switch {
			case err != nil && ctx.Err() != nil:
				return
			case err != nil:
				v.failed(&trouble, err)
			case v.dials() || s.hello.Keep:
				if c := v.install(s); c != nil {
					v.t.wg.Go(func() { v.run(conns, c) })
				}
			default:
				trouble.over()
				s.close() // it knows now that we want to be dialled
			}
		}
		if v.satisfied() {
			trouble.over()
		}
		began := time.Now()
		for v.satisfied() && ctx.Err() == nil {
			select {
			case <-ctx.Done():
			case <-k.kick:
			}
		}
		// A connection that breaks at once, again and again, is not dialled at full speed.
		if time.Since(began) > maxElectionBackoff {
			pause.reset()
		}
		sleep(ctx, pause.next(), k.kick)
	}
}

// failed tells of a dial that failed.
func (v *voice) failed(trouble *outage, err error) {
	now := time.Now()
	ev, text := v.t.cfg.Logger.Debug(), "election dial failed"
	if trouble.failed(now) {
		ev, text = v.t.cfg.Logger.Warn(), "server cannot be reached"
	}
	ev.Stringer("peer", v.sid).Err(err).Dur("since_ms", now.Sub(trouble.since)).Msg(text)
}
