package sim

import (
	"fmt"
	"strings"
)

// Fault is a kind of fault.
type Fault uint8

// Kinds of faults. The nemesis draws from most of them; torn writes and crashes during
// synchronisation happen on the way.
const (
	FaultKill      Fault = iota // the process ends, the page cache stays
	FaultPower                  // the machine loses power
	FaultPoint                  // the process ends at one of its next points of persistence
	FaultSync                   // the process ends while it is synchronised
	FaultRoom                   // all machines lose power
	FaultTorn                   // a step was being written when the process ended
	FaultIsolate                // one server is cut off
	FaultCamps                  // the ensemble falls in two
	FaultOneWay                 // some directions are closed
	FaultBridge                 // two camps, and one server that reaches both
	FaultRing                   // everybody reaches a majority, each another one
	FaultHub                    // everybody reaches one server, hardly anybody else
	FaultFlap                   // a connection opens and closes
	FaultReset                  // connections between two servers break
	FaultDelay                  // packets of one server take long
	FaultLoss                   // packets between two servers are lost and sent again
	FaultSlow                   // a server computes slowly
	FaultPause                  // a process stands still: SIGSTOP, a garbage collector
	FaultSlowDisk               // a disk takes long
	FaultWrite                  // a write to the log fails, perhaps half done
	FaultFsync                  // a sync of the log fails
	FaultFull                   // the disk is full
	FaultRead                   // the disk fails to be read at the start
	FaultClock                  // the time of day jumps
	FaultWipe                   // a voter comes back with an empty disk
	FaultMembers                // somebody asks for other members
	FaultTail                   // a leader logs what nobody else gets, and ends
	FaultRot                    // a node goes wrong in a server's memory
	FaultTreeFlush              // a flush of the tree fails, perhaps half done
	FaultTreeStage              // a write fails while a snapshot comes in or becomes the tree
	FaultTreeRead               // the tree fails to be read at the start
	FaultTreeBits               // the tables of a tree are damaged or gone
	FaultTreeOld                // a tree is replaced by an old copy, its log is not
	numFaults
)

var faultNames = [numFaults]string{
	"kill", "power", "point", "sync", "room", "torn", "isolate", "camps", "oneway", "bridge", "ring", "hub", "flap", "reset",
	"delay", "loss", "slow", "pause", "slowdisk", "write", "fsync", "full", "read", "clock", "wipe", "members", "tail", "rot",
	"treeflush", "treestage", "treeread", "treebits", "treeold",
}

// String prints the name.
func (f Fault) String() string { return faultNames[f] }

// Faults lists the kinds.
func Faults() []Fault {
	all := make([]Fault, numFaults)
	for i := range all {
		all[i] = Fault(i)
	}
	return all
}

// Counts tells whether a run has seen anything worth the name.
type Counts struct {
	// Elections ended, Epochs were established, Commits is the length of the committed
	// history, Acked the writes that a client was told of.
	Elections, Epochs, Commits, Acked int
	// Syncs of learners: by DIFF, TRUNC or SNAP; Cuts of a log.
	Syncs, Diffs, Truncs, Snaps, Cuts int
	// Sessions that were Moved to another connection, that have Expired.
	Moved, Expired int
	// Reconfigurations that were committed, that were Refused, leaderships that were handed on by one.
	Reconfigurations, Refused, Inherited int
	// Lost ensembles: a reconfiguration made a server indispensable that was just wiped or taken away.
	Lost int
	// Suspects are servers whose digest was another than the announced one, Repairs rulings that a tree is wrong.
	// Contested ensembles are those that nobody could tell which tree is right in.
	Suspects, Repairs, Contested int
	// Refusals to start with a tree that is damaged, or of another time than the log: the directories were emptied.
	Refusals int
	// Crashes of processes, for whatever reason.
	Crashes int
	// Faults by kind.
	Faults [numFaults]int
}

// Add adds other counts.
func (c *Counts) Add(o *Counts) {
	c.Elections += o.Elections
	c.Epochs += o.Epochs
	c.Commits += o.Commits
	c.Acked += o.Acked
	c.Syncs += o.Syncs
	c.Diffs += o.Diffs
	c.Truncs += o.Truncs
	c.Snaps += o.Snaps
	c.Cuts += o.Cuts
	c.Moved += o.Moved
	c.Expired += o.Expired
	c.Reconfigurations += o.Reconfigurations
	c.Refused += o.Refused
	c.Inherited += o.Inherited
	c.Lost += o.Lost
	c.Suspects += o.Suspects
	c.Repairs += o.Repairs
	c.Contested += o.Contested
	c.Refusals += o.Refusals
	c.Crashes += o.Crashes
	for i, n := range o.Faults {
		c.Faults[i] += n
	}
}

// String prints the counts in two lines.
func (c *Counts) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "elections %d, epochs %d, commits %d, acknowledged %d, synchronised %d (DIFF %d, TRUNC %d, SNAP %d), cuts %d, sessions moved %d, expired %d, reconfigurations %d, refused %d, inherited %d, lost %d, suspects %d, repairs %d, contested %d, refusals %d, crashes %d\nfaults:",
		c.Elections, c.Epochs, c.Commits, c.Acked, c.Syncs, c.Diffs, c.Truncs, c.Snaps, c.Cuts,
		c.Moved, c.Expired, c.Reconfigurations, c.Refused, c.Inherited, c.Lost, c.Suspects, c.Repairs, c.Contested, c.Refusals, c.Crashes)
	for i, n := range c.Faults {
		fmt.Fprintf(&b, " %v %d", Fault(i), n)
	}
	return b.String()
}

// sync counts how learners are synchronised.
func (c *Counts) sync(leader bool, how string) {
	if !leader {
		return
	}
	c.Syncs++
	switch {
	case strings.HasPrefix(how, "DIFF"):
		c.Diffs++
	case strings.HasPrefix(how, "TRUNC"):
		c.Truncs++
	case strings.HasPrefix(how, "SNAP"):
		c.Snaps++
	}
}
