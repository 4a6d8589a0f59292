package zab

import "fmt"

// Check exposes the invariants to the tests, which ask after every step.
func (l *Leader) Check() error { return l.check() }

// Proposed returns the last entry of a leader's history, if it is of this epoch.
func (l *Leader) Proposed() []Entry { return l.win.between(l.win.last().ID-1, l.win.last().ID) }

// Check exposes the invariants of learners.
func (l *learner) Check() error { return l.check() }

// Cells describes one column of the dispatch table: for each kind "handled",
// "illegal" or "forgotten".
func Cells(role string) map[Kind]string {
	out := make(map[Kind]string)
	for k := range kindEnd {
		var handled, illegal bool
		switch role {
		case "leader":
			handled, illegal = leaderTable[k] != nil, same(leaderTable[k], leaderHandler((*Leader).illegal))
		case "follower":
			handled, illegal = followerTable[k] != nil, same(followerTable[k], learnerHandler((*learner).illegal))
		case "observer":
			handled, illegal = observerTable[k] != nil, same(observerTable[k], learnerHandler((*learner).illegal))
		}
		switch {
		case illegal:
			out[k] = "illegal"
		case handled:
			out[k] = "handled"
		default:
			out[k] = "forgotten"
		}
	}
	return out
}

func same(a, b any) bool { return fmt.Sprintf("%p", a) == fmt.Sprintf("%p", b) }
