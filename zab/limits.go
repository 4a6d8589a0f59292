package zab

import (
	"cmp"

	"github.com/zabkeeper/zabkeeper/quorum"
	"github.com/zabkeeper/zabkeeper/zab/zxid"
)

// Config is what a role starts with. It is read once, by the constructor.
type Config struct {
	// Self is this server, Membership the configurations that it knows: those on its disk, or
	// the one of its configuration file as long as there are none.
	Self       quorum.SID
	Membership quorum.Membership

	// Versioned makes a leader give a version to a configuration that has none (0), so that it
	// takes precedence over what other servers have in their files [ZOOKEEPER-1783].
	Versioned bool

	// Durable is what is on disk, and synced, at this moment.
	Durable Durable

	// InitTicks bounds the time until a learner has accepted NEWLEADER, SyncTicks the
	// time without a sign of life after that. Both count role ticks, of which two
	// make one tickTime: initLimit and syncLimit times two.
	InitTicks, SyncTicks int

	// Distrusted are voters that must not be counted though nothing in Durable.Known
	// speaks against them.
	Distrusted quorum.Set

	// AcceptOlder counts voters that have less than they are known to have acknowledged: copies of a quorum
	// of servers, made one after the other, were put back after the loss of an ensemble.
	AcceptOlder bool

	// Heard is the highest epoch that this server knows anybody to have promised, in an
	// earlier role; a leader begins above it.
	Heard zxid.Epoch

	// NewCluster is the name that a leader gives to the ensemble if Durable has none.
	NewCluster quorum.ClusterID

	// NeedSnap makes a learner ask for a snapshot: the previous role's NeedSnap.
	NeedSnap bool

	// DeliverDurable holds Ready.Commit back until this server's own log is durable
	// up to it. Without it a quorum is enough, which is legal as long as no state that
	// was computed from Commit can reach the disk before the log does (spec 8.3, 8.4).
	DeliverDurable bool

	Limits Limits
}

// Limits bounds what a role keeps in memory. A zero field takes its default.
type Limits struct {
	// Outstanding and OutstandingBytes bound what is proposed and not yet committed:
	// beyond either CanPropose says no. Defaults 10,000 and 64 MiB.
	Outstanding      int
	OutstandingBytes int
	// WindowEntries and WindowBytes bound the recent history that a leader keeps to
	// bring learners up to date without its disk. What is not yet committed,
	// announced and durable stays in any case. Defaults 4,096 and 16 MiB.
	WindowEntries int
	WindowBytes   int
	// MaxDiff is the number of entries beyond which a learner is sent a snapshot rather
	// than the log from disk. Default 100,000.
	MaxDiff int
	// StageBytes bounds the history that a learner collects in memory during DIFF and
	// TRUNC; beyond it the learner stops and asks for a snapshot. Default 64 MiB.
	StageBytes int
	// UnsyncedBytes bounds what a learner has received and its disk has not: beyond it the learner
	// stops. Default 128 MiB.
	UnsyncedBytes int
	// MessageBytes bounds the entries of one message, except that one entry always
	// fits. Default 1 MiB.
	MessageBytes int
	// HandOver is the counter at which a leader stops so that a new epoch begins.
	// Default zxid.HandOverCounter.
	HandOver zxid.Counter
}

// withDefaults fills in what is zero.
func (l Limits) withDefaults() Limits {
	const mib = 1 << 20
	return Limits{
		Outstanding:      cmp.Or(l.Outstanding, 10_000),
		OutstandingBytes: cmp.Or(l.OutstandingBytes, 64*mib),
		WindowEntries:    cmp.Or(l.WindowEntries, 4096),
		WindowBytes:      cmp.Or(l.WindowBytes, 16*mib),
		MaxDiff:          cmp.Or(l.MaxDiff, 100_000),
		StageBytes:       cmp.Or(l.StageBytes, 64*mib),
		UnsyncedBytes:    cmp.Or(l.UnsyncedBytes, 128*mib),
		MessageBytes:     cmp.Or(l.MessageBytes, mib),
		HandOver:         min(cmp.Or(l.HandOver, zxid.HandOverCounter), zxid.MaxCounter),
	}
}

// syncStretch is how many times InitTicks a synchronisation may take in all as long as it
// makes progress (spec 9, hazard H-75).
const syncStretch = 20

// entryOverhead is what an entry is taken to cost beside its data.
const entryOverhead = 64

// cost is the memory that an entry is accounted for.
func (e Entry) cost() int { return len(e.Data) + entryOverhead }
