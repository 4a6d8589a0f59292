package nemesis

import (
	"fmt"
	"slices"
	"strings"
)

// Kind is a sort of act.
type Kind string

// Acts on processes.
const (
	Kill    Kind = "kill"    // SIGKILL to one server, started again after the hold
	Pause   Kind = "pause"   // SIGSTOP to one server, SIGCONT after the hold
	KillAll Kind = "killall" // SIGKILL to all at once, started again after the hold
	Rolling Kind = "rolling" // SIGTERM and start of one server after the other
	Clock   Kind = "clock"   // the wall clock of one server jumps, and back after the hold
)

// Reconfig changes the members of the ensemble while it runs: one joins or leaves, the leader too, a voter
// becomes an observer or the other way round, a client port moves, or the whole list is a new one.
const Reconfig Kind = "reconfig"

// Acts on the network between the servers. Clients reach every server all the time, but for Delay
// and Loss, which hit their links too, half of the time.
const (
	Halves  Kind = "halves"  // a majority and the rest do not reach each other
	Ring    Kind = "ring"    // everybody sees a majority, no two the same
	Bridge  Kind = "bridge"  // two halves that have one server in common
	Isolate Kind = "isolate" // one server is cut off from the others
	OneWay  Kind = "oneway"  // one server is heard by nobody, or hears nobody
	Flap    Kind = "flap"    // one server is cut off and let in again several times a second
	Delay   Kind = "delay"   // packets take up to some tenths of a second more, and waver
	Loss    Kind = "loss"    // up to a third of the packets are lost
	Slow    Kind = "slow"    // the links of one server carry some kilobytes a second
)

// Acts on disks, each on one server.
const (
	SlowDisk Kind = "slowdisk" // each sync takes up to a second more
	BadDisk  Kind = "baddisk"  // syncs fail: the server must end, and start again on a good disk
	FullDisk Kind = "fulldisk" // no room is left: likewise, when it needs some
	Corrupt  Kind = "corrupt"  // some bytes of a file of a server that is down are flipped
	Wipe     Kind = "wipe"     // a server is killed, its data removed, and it is started empty
	Backup   Kind = "backup"   // a server is set back to a copy of its data that was made a hold ago
)

// groups are names for several kinds.
func groups() map[Kind][]Kind {
	g := map[Kind][]Kind{
		"process":   {Kill, Pause, KillAll, Rolling},
		"partition": {Halves, Ring, Bridge, Isolate, OneWay, Flap},
		"link":      {Delay, Loss, Slow},
		"disk":      {SlowDisk, BadDisk, FullDisk, Corrupt, Wipe, Backup},
		"members":   {Reconfig},
	}
	g["network"] = slices.Concat(g["partition"], g["link"])
	g["all"] = slices.Concat(g["process"], []Kind{Clock}, g["network"], g["disk"], g["members"])
	return g
}

// Kinds returns all kinds.
func Kinds() []Kind { return groups()["all"] }

// Processes returns the kinds that need nothing but the processes of the ensemble.
func Processes() []Kind { return groups()["process"] }

// Partitions returns the kinds that cut links.
func Partitions() []Kind { return groups()["partition"] }

// Network reports whether a kind needs a network that can be hurt.
func (k Kind) Network() bool { return slices.Contains(groups()["network"], k) }

// Disk reports whether a kind needs disks that can be hurt.
func (k Kind) Disk() bool { return slices.Contains(groups()["disk"], k) }

// Destructive reports whether a server loses data by it. Such an act waits until all the others
// are well, and the next one waits until its victim is: the loss is that of a minority.
func (k Kind) Destructive() bool { return k == Corrupt || k == Wipe || k == Backup }

// lasting reports whether the ensemble can be hurt by something else while the act holds.
func (k Kind) lasting() bool { return k.Network() || k == SlowDisk || k == Clock || k == Reconfig }

// ParseKinds reads a comma-separated list of kinds and of their groups (process, partition, link,
// network, disk, members, all); "none" and "" are the empty list.
func ParseKinds(list string) ([]Kind, error) {
	if list == "" || list == "none" {
		return nil, nil
	}
	var out []Kind
	for name := range strings.SplitSeq(list, ",") {
		k := Kind(strings.TrimSpace(name))
		many, ok := groups()[k]
		if !ok {
			many = []Kind{k}
		}
		for _, k := range many {
			if !slices.Contains(Kinds(), k) {
				return nil, fmt.Errorf("nemesis: unknown kind %q, want some of %v, process, partition, link, network, disk, members, all", k, Kinds())
			}
			if !slices.Contains(out, k) {
				out = append(out, k)
			}
		}
	}
	return out, nil
}

// Role is who is hit, found when the act is due.
type Role string

// The roles.
const (
	Leader   Role = "leader"
	Follower Role = "follower"
	All      Role = "all"
)

// all reports whether a kind has no single victim.
func (k Kind) all() bool {
	return slices.Contains([]Kind{KillAll, Rolling, Halves, Ring, Bridge, Delay, Loss}, k)
}
