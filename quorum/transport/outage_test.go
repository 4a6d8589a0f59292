package transport_test

import (
	"context"
	"errors"
	"net"
	"testing"
	"time"

	"github.com/zabkeeper/zabkeeper/quorum"
	"github.com/zabkeeper/zabkeeper/quorum/transport"
)

// A wrong host name or a closed port in the server list must not leave an operator with a server that
// silently looks for a leader. Dialling (to a lower sid) and poking (to a higher one) tell alike.
func TestUnreachableServerIsTold(t *testing.T) {
	for _, away := range []quorum.SID{1, 3} {
		t.Run(away.String(), func(t *testing.T) {
			c := newCluster(t, 1, 2, 3)
			log := newLogbook()
			dials := make(chan struct{}, 64)
			s := c.start(2, func(cfg *transport.Config) {
				log.attach(cfg)
				cfg.UnreachableAfter = time.Nanosecond
				cfg.Dial = func(ctx context.Context, address string) (net.Conn, error) {
					if address != c.addresses[away][1] {
						var d net.Dialer
						return d.DialContext(ctx, "tcp", address)
					}
					dials <- struct{}{}
					return nil, errors.New("lookup zk.invalid: no such host")
				}
			})
			other := c.start(4 - away)
			for range 6 { // the backoff lets these take a second or two
				select {
				case <-dials:
				case <-time.After(patience):
					t.Fatal("no more dials")
				}
			}
			s.awaitReach(t, 4-away, true)
			s.stop()
			other.stop()
			told := log.count(`"peer":"` + away.String() + `","error":"lookup zk.invalid: no such host"`)
			if told != 1 || log.count(`"message":"server cannot be reached"`) != 1 {
				t.Errorf("an outage of half a minute at most was told %d times, want once:\n%s", told, &log.buf)
			}
		})
	}
}
