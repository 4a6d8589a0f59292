package transport_test

import (
	"context"
	"net"
	"sync"
	"testing"

	"github.com/zabkeeper/zabkeeper/quorum"
	"github.com/zabkeeper/zabkeeper/quorum/transport"
	"github.com/zabkeeper/zabkeeper/zab"
)

// resolver knows where the addresses of the server list really are at the moment.
type resolver struct {
	mu     sync.Mutex
	at     map[string]string // "" is a name that cannot be resolved
	failed chan struct{}     // has one more for each dial that failed for that reason
}

func (r *resolver) set(name, address string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.at[name] = address
}

// dial opens connections as the transport's own dialler does, by names.
func (r *resolver) dial(ctx context.Context, name string) (net.Conn, error) {
	r.mu.Lock()
	address, moved := r.at[name]
	r.mu.Unlock()
	switch {
	case moved && address == "":
		select {
		case r.failed <- struct{}{}:
		default:
		}
		return nil, &net.DNSError{Err: "no such host", Name: name, IsTemporary: true}
	case !moved:
		address = name
	}
	var d net.Dialer
	return d.DialContext(ctx, "tcp", address)
}

// A server whose name cannot be resolved for a while, and stands for another address afterwards, is found
// again on both channels, whichever side dials [H-48, ZOOKEEPER-2164, 2982, 3320].
func TestChangedAddress(t *testing.T) {
	for _, moved := range []quorum.SID{1, 2} {
		t.Run(moved.String(), func(t *testing.T) {
			c := newCluster(t, 1, 2)
			names := &resolver{at: map[string]string{}, failed: make(chan struct{}, 3)}
			dial := func(cfg *transport.Config) { cfg.Dial = names.dial }
			stays, moves := c.start(3-moved, dial), c.start(moved, dial)
			stays.awaitReach(t, moved, true)

			moves.stop()
			stays.awaitReach(t, moved, false)
			listed := c.addresses[moved]
			names.set(listed[0], "")
			names.set(listed[1], "")
			stays.Notify(note(moved, 7))
			for range 3 {
				<-names.failed
			}
			quorumListener, electionListener := listen(t, "127.0.0.1:0"), listen(t, "127.0.0.1:0")
			moves = c.start(moved, dial, func(cfg *transport.Config) {
				for _, ln := range append(cfg.QuorumListeners, cfg.ElectionListeners...) {
					_ = ln.Close()
				}
				cfg.QuorumListeners, cfg.ElectionListeners = []net.Listener{quorumListener}, []net.Listener{electionListener}
			})
			names.set(listed[0], quorumListener.Addr().String())
			names.set(listed[1], electionListener.Addr().String())
			stays.awaitReach(t, moved, true)
			moves.awaitNote(t, 3-moved, 7)

			link := stays.Connect(moved)
			stays.Send(link, []zab.Message{{Kind: zab.FollowerInfo}})
			moves.awaitMessages(t, moves.awaitLink(t, 1), 1)
		})
	}
}
