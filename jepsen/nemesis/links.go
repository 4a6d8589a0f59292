package nemesis

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/zabkeeper/zabkeeper/jepsen/network"
)

// Network is a network that can be hurt. Package network has one.
type Network interface {
	// Apply puts links into a condition.
	Apply(links []network.Link, c network.Condition)
	// Heal makes every link perfect.
	Heal()
}

var errNoNetwork = errors.New("there is no network that can be hurt")

// wire hurts the network. It returns in which way.
func (n *runner) wire(a Act, ids []int) (string, error) {
	if n.opt.Network == nil {
		return "", errNoNetwork
	}
	links, c := n.damage(a, ids)
	n.opt.Network.Apply(links, c)
	return fmt.Sprintf("%s: %s of %v", a.Kind, condition(c), links), nil
}

// damage returns which links an act hurts, and how.
func (n *runner) damage(a Act, ids []int) ([]network.Link, network.Condition) {
	r := rand.New(rand.NewPCG(a.Seed, 0))
	servers := hosts(n.e.IDs())
	victim := network.Host(ids[0])
	cut := network.Condition{Cut: true}
	switch a.Kind {
	case Halves:
		return network.Halves(hosts(n.counted()), r), cut
	case Ring:
		return network.Ring(hosts(n.counted()), r), cut
	case Bridge:
		return network.Bridge(hosts(n.counted()), r), cut
	case OneWay:
		if r.IntN(2) == 0 {
			return network.OneWay([]network.Host{victim}, servers), cut
		}
		return network.OneWay(servers, []network.Host{victim}), cut
	case Delay, Loss:
		if r.IntN(2) == 0 {
			servers = append(servers, network.Clients)
		}
		if a.Kind == Loss {
			return network.All(servers), network.Condition{Loss: 0.03 + 0.3*r.Float64()}
		}
		d := time.Duration(1+r.IntN(150)) * time.Millisecond
		return network.All(servers), network.Condition{Delay: d, Jitter: d}
	case Slow:
		return network.Isolate(servers, victim), network.Condition{Rate: 4000 + r.IntN(60_000)}
	default: // Isolate, Flap
		return network.Isolate(servers, victim), cut
	}
}

// flap lets the victim in and cuts it off again until ctx ends; the caller heals.
func (n *runner) flap(ctx context.Context, a Act, victim int) {
	r := rand.New(rand.NewPCG(a.Seed, 1))
	links := network.Isolate(hosts(n.e.IDs()), network.Host(victim))
	for cut := false; sleep(ctx, time.Duration(20+r.IntN(600))*time.Millisecond); cut = !cut {
		n.opt.Network.Apply(links, network.Condition{Cut: cut})
	}
}

func hosts(ids []int) []network.Host {
	out := make([]network.Host, len(ids))
	for i, id := range ids {
		out[i] = network.Host(id)
	}
	return out
}

// condition returns a condition for people.
func condition(c network.Condition) string {
	switch {
	case c.Cut:
		return "cut"
	case c.Loss > 0:
		return fmt.Sprintf("%.0f%% loss", 100*c.Loss)
	case c.Rate > 0:
		return fmt.Sprintf("%d bytes/s", c.Rate)
	default:
		return fmt.Sprintf("%v to %v delay", c.Delay, c.Delay+c.Jitter)
	}
}
