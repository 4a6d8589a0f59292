package sim

import "fmt"

// Invariant is a rule of spec hazards 12, or one that the simulator adds.
type Invariant struct {
	// ID is the number in the specification, I-01 to I-20 and L-1 to L-3, or S-n.
	ID   string
	Name string
	// Holds says where it is checked.
	Holds string
}

// Names of the invariants, as violations carry them.
const (
	leaderUniqueness     = "LeaderUniqueness"
	prefixConsistency    = "PrefixConsistency"
	integrity            = "Integrity"
	agreement            = "Agreement"
	totalOrder           = "TotalOrder"
	localPrimaryOrder    = "LocalPrimaryOrder"
	globalPrimaryOrder   = "GlobalPrimaryOrder"
	primaryIntegrity     = "PrimaryIntegrity"
	processConsistency   = "ProcessConsistency"
	leaderCompleteness   = "LeaderCompleteness"
	committedDurability  = "CommittedDurability"
	epochMonotony        = "EpochMonotony"
	ackMeansDurable      = "AckMeansDurable"
	stateIsFold          = "StateIsFold"
	sessionOrder         = "SessionOrder"
	quorumIntersection   = "QuorumIntersection"
	messageLegal         = "MessageLegal"
	commitConsistent     = "CommitConsistent"
	configMonotony       = "ConfigMonotony"
	noReplyWithoutCommit = "NoReplyWithoutCommit"
	electionSettles      = "ElectionSettles"
	progress             = "Progress"
	rejoin               = "Rejoin"
	syncOrder            = "SyncOrder"
	syncFreshness        = "SyncFreshness"
	stepRefused          = "StepRefused"
	failsSafe            = "FailsSafe"
	quietElection        = "QuietElection"
	noPanic              = "Panic"
)

// invariants lists them in the order of the specification.
var invariants = []Invariant{
	{"I-01", leaderUniqueness, "at every proposal and between two steps of a leader"},
	{"I-02", prefixConsistency, "at every commit, apply and snapshot"},
	{"I-03", integrity, "at every first apply: some leader proposed just that"},
	{"I-04", agreement, "in the end, over all servers"},
	{"I-05", totalOrder, "at every apply: it follows what the server applied before"},
	{"I-06", localPrimaryOrder, "at every proposal: the leader's proposals have no hole"},
	{"I-07", globalPrimaryOrder, "at every apply: the epoch never falls"},
	{"I-08", primaryIntegrity, "at every first apply and when a leader's pipeline begins"},
	{"I-09", processConsistency, "at every ACK of NEWLEADER"},
	{"I-10", leaderCompleteness, "when a leader establishes its epoch"},
	{"I-11", committedDurability, "at every cut and installation of a history, and in the end"},
	{"I-12", epochMonotony, "at every step on disk and start of a role"},
	{"I-13", ackMeansDurable, "at every ACK, ACKEPOCH and LEADERINFO, and at every start"},
	{"I-14", stateIsFold, "behind every batch that is applied, and in the end from scratch"},
	{"I-15", sessionOrder, "at every reply and every transaction of a session"},
	{"I-16", quorumIntersection, "at every commit of a leader and establishment of an epoch, by every configuration that has a say"},
	{"I-17", messageLegal, "at every message that arrives, by an automaton for each link"},
	{"I-18", commitConsistent, "at every proposal and commit of a leader"},
	{"I-19", configMonotony, "at every step on disk, proposal and commit of a configuration, and in the end"},
	{"I-20", noReplyWithoutCommit, "at every reply and every first apply"},
	{"L-1", electionSettles, "after the faults: somebody establishes an epoch"},
	{"L-2", progress, "after the faults: writes are answered"},
	{"L-3", rejoin, "after the faults: every server serves and has everything"},
	{"S-1", syncOrder, "at every answer to a sync: what the leader had proposed is applied"},
	{"S-5", syncFreshness, "at every answer to a sync: what anybody had applied before is applied"},
	{"S-2", stepRefused, "at every step on disk: the log never refuses what a role wants"},
	{"S-3", failsSafe, "at every disk error: the process ends with the documented message, and nothing more is taken"},
	{"S-4", noPanic, "always"},
	{"S-6", quietElection, "at every notification: servers do not answer each other for ever"},
}

// Invariants lists what is checked, in the order of the specification.
func Invariants() []Invariant { return append([]Invariant(nil), invariants...) }

// invariantID finds the number of an invariant.
func invariantID(name string) string {
	for _, i := range invariants {
		if i.Name == name {
			return i.ID
		}
	}
	panic(fmt.Sprintf("sim: %q is no invariant", name))
}
