package sim

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"

	"github.com/zabkeeper/zabkeeper/quorum"
)

// Bounds of what can be simulated.
const (
	maxVoters    = 9
	maxObservers = 3
	maxSpares    = 3
	maxWeight    = 9
)

// shape is an ensemble: how many voters, in which groups and of which weight, how many observers, and how
// many servers that are no members yet. It is written as the number of voters, or as the weights of the
// voters of each group, groups separated by a slash, behind a plus the number of observers, and behind a
// tilde that of spare servers:
//
//	5      7+2      2,1,1,0      1,1,1/1,1,1/1,1,0+1      3+1~2
type shape struct {
	text      string
	voters    int
	weights   [][]int // by group; nil: majority
	observers int
	spares    int
}

// parseShape reads a shape.
func parseShape(text string) (shape, error) {
	sh := shape{text: text}
	bad := func(what string) error { return fmt.Errorf("sim: shape %q: %s", text, what) }
	members, spares, with := strings.Cut(text, "~")
	if with {
		n, err := strconv.Atoi(spares)
		if err != nil || n < 1 || n > maxSpares {
			return shape{}, bad(fmt.Sprintf("between 1 and %d spare servers", maxSpares))
		}
		sh.spares = n
	}
	voters, observers, with := strings.Cut(members, "+")
	if with {
		n, err := strconv.Atoi(observers)
		if err != nil || n < 0 || n > maxObservers {
			return shape{}, bad(fmt.Sprintf("between 0 and %d observers", maxObservers))
		}
		sh.observers = n
	}
	if !strings.ContainsAny(voters, ",/") {
		n, err := strconv.Atoi(voters)
		if err != nil || n < 1 || n > maxVoters {
			return shape{}, bad(fmt.Sprintf("between 1 and %d voters", maxVoters))
		}
		sh.voters = n
		return sh, nil
	}
	for group := range strings.SplitSeq(voters, "/") {
		var weights []int
		for w := range strings.SplitSeq(group, ",") {
			n, err := strconv.Atoi(w)
			if err != nil || n < 0 || n > maxWeight {
				return shape{}, bad(fmt.Sprintf("weights are between 0 and %d", maxWeight))
			}
			weights = append(weights, n)
		}
		sh.weights = append(sh.weights, weights)
		sh.voters += len(weights)
	}
	if sh.voters > maxVoters {
		return shape{}, bad(fmt.Sprintf("between 1 and %d voters", maxVoters))
	}
	return sh, nil
}

// drawShape makes up a shape: half of them are three voters, the rest is everything else.
func drawShape(rng *rand.Rand) shape {
	text := ""
	switch n := rng.IntN(100); {
	case n < 42:
		text = "3"
	case n < 58:
		text = "5"
	case n < 64:
		text = "7"
	case n < 66:
		text = "1"
	case n < 80:
		text = fmt.Sprintf("%d+%d", 3+2*rng.IntN(2), 1+rng.IntN(2))
	case n < 90:
		text = drawWeights(rng, 3+rng.IntN(3))
	default:
		groups := []string{drawWeights(rng, 1+rng.IntN(3)), drawWeights(rng, 1+rng.IntN(3)), drawWeights(rng, 2)}
		text = strings.Join(groups, "/")
		if rng.IntN(3) == 0 {
			text += "+1"
		}
	}
	sh, err := parseShape(text)
	if err != nil {
		panic(fmt.Sprintf("sim: drew a bad shape: %v", err))
	}
	return sh
}

// drawWeights makes up one group: mostly of weight 1, somebody has one at all.
func drawWeights(rng *rand.Rand, n int) string {
	weights := make([]string, n)
	for i := range weights {
		weights[i] = strconv.Itoa([]int{1, 1, 1, 0, 2, 3}[rng.IntN(6)])
	}
	weights[rng.IntN(n)] = strconv.Itoa(1 + rng.IntN(2))
	return strings.Join(weights, ",") + strings.Repeat(",0", max(0, 2-n))
}

// withSpares adds servers that are no members.
func (sh *shape) withSpares(n int) {
	if n > 0 && sh.spares == 0 {
		sh.spares = n
		sh.text += "~" + strconv.Itoa(n)
	}
}

// ensemble makes the membership that the ensemble starts with.
func (sh *shape) ensemble() (*quorum.Ensemble, error) {
	members := make([]quorum.Member, sh.voters+sh.observers)
	for i := range members {
		members[i] = place(quorum.SID(i+1), 0)
		if i >= sh.voters {
			members[i].Role = quorum.Observer
		}
	}
	var groups []quorum.Group
	sid := quorum.SID(1)
	for id, weights := range sh.weights {
		g := quorum.Group{ID: id + 1}
		for _, w := range weights {
			g.Servers = append(g.Servers, quorum.Weighted{SID: sid, Weight: w})
			sid++
		}
		groups = append(groups, g)
	}
	e, err := quorum.NewEnsemble(0, members, groups...)
	if err != nil {
		return nil, fmt.Errorf("sim: shape %q: %w", sh.text, err)
	}
	return e, nil
}

// place makes a participant at one of its server's addresses.
func place(sid quorum.SID, address int) quorum.Member {
	return quorum.Member{
		SID:    sid,
		Quorum: []quorum.HostPorts{{Host: fmt.Sprintf("s%v", sid), QuorumPort: 2888 + address, ElectionPort: 3888 + address}},
	}
}

// file makes what the configuration file of a server says: the ensemble as it begins and, if this is one
// that may join, itself beside it.
func (s *simulation) file(sid quorum.SID, rng *rand.Rand) *quorum.Ensemble {
	if _, ok := s.ensemble.Member(sid); ok {
		return s.ensemble
	}
	self := place(sid, 0)
	if _, groups := s.ensemble.Verifier().(*quorum.Hierarchical); groups || rng.IntN(2) == 0 {
		self.Role = quorum.Observer
	}
	e, err := quorum.NewEnsemble(0, append(s.ensemble.Members(), self), groupsOf(s.ensemble)...)
	if err != nil {
		panic(fmt.Sprintf("sim: file of server %v: %v", sid, err))
	}
	return e
}

// groupsOf returns the groups of an ensemble, none if majorities decide.
func groupsOf(e *quorum.Ensemble) []quorum.Group {
	if h, ok := e.Verifier().(*quorum.Hierarchical); ok {
		return h.Groups()
	}
	return nil
}
