package peer

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/rs/zerolog"

	"github.com/zabkeeper/zabkeeper/fle"
	"github.com/zabkeeper/zabkeeper/quorum"
	"github.com/zabkeeper/zabkeeper/zab"
	"github.com/zabkeeper/zabkeeper/zab/zxid"
)

// ErrNoPoint is what a Writer's Submit wraps when a step truncates to a point that the log
// does not hold: nothing was queued, and only a snapshot can help (hazard H-02).
var ErrNoPoint = errors.New("peer: no such point in the log")

// Log is the durable history. Methods are called by the loop, except where noted.
type Log interface {
	// Durable returns what is on disk now.
	Durable() zab.Durable
	// NewWriter fences every earlier writer and returns the only one that may write. done is
	// called, on the log's goroutine and in order, with the highest token that is durable; it
	// must not block.
	NewWriter(done func(token uint64)) (Writer, error)
	// Entries reads (after, upTo] in order, about maxBytes of it but at least one entry
	// if there is any. It is safe for concurrent use.
	Entries(after, upTo zxid.ID, maxBytes int) ([]zab.Entry, error)
	// Pin keeps the entries above id from being trimmed until release is called. It is
	// safe for concurrent use.
	Pin(id zxid.ID) (release func())
	// NoteCommitted says that everything up to id is committed; the log records it with
	// some later step, as a hint for the next start.
	NoteCommitted(id zxid.ID)
	// InstallDone clears the intent that a Persist with Install left, after the state
	// machine has taken the snapshot over.
	InstallDone() error
}

// Writer writes to the log on behalf of one role instance.
type Writer interface {
	// Submit queues one atomic step. It waits for the disk when much is queued, or when it
	// truncates. Faults of the disk end the process; an error other than ErrNoPoint
	// is a step that contradicts the log, which ends this server too.
	Submit(p *zab.Persist) error
	// Stage keeps entries, unsynced, beside a snapshot that is being received.
	Stage(entries []zab.Entry) error
	// Close waits until what was submitted is durable and ends the writer.
	Close()
}

// Transport carries messages between servers. Its methods do not block, except
// SendWait.
type Transport interface {
	// Notify sends an election notification; a newer one to the same server replaces
	// one not yet sent.
	Notify(n fle.Notification)
	// Connect dials the leader's quorum port until it succeeds or Hangup is called. The
	// inbox hears LinkUp and LinkDown with the link's number.
	Connect(leader quorum.SID) (link uint64)
	// Hangup closes a link; no further events of it are reported.
	Hangup(link uint64)
	// SetMembers says whom the server may have to do with from now on, and where they are.
	SetMembers(m quorum.Membership)
	// Send queues messages on a link, in order. A link whose queue exceeds its budget is
	// closed. The slice remains the caller's, what it holds is shared.
	Send(link uint64, msgs []zab.Message)
	// SendWait is Send for bulk history: it blocks while much is queued. It is safe for
	// concurrent use.
	SendWait(ctx context.Context, link uint64, msgs []zab.Message) error
}

// StateMachine is what the committed history drives. Methods are called by the
// loop, must not block on clients, and keep the order of the calls.
type StateMachine interface {
	// Applied is the point up to which the state has been, or is queued to be, brought.
	Applied() zxid.Point
	// Commit hands over committed entries, in order. It may wait while the state is far
	// behind: a server that cannot keep up is given up by its leader.
	Commit(entries []zab.Entry)
	// Answered hands over the answer to a Sync or Revalidate request of this server; it
	// follows everything committed before it.
	Answered(m zab.Message)
	// Lead starts preparing requests as the leader of an epoch, once everything
	// committed so far has been applied; the first proposal will have zxid first.
	Lead(epoch zxid.Epoch, first zxid.ID)
	// Forwarded hands a leader the requests of a learner's clients.
	Forwarded(from quorum.SID, msgs []zab.Message)
	// Serve opens the server to clients.
	Serve(state fle.State)
	// ServeReadOnly opens the server to clients that are content with what is applied, because
	// no leader has been found for Config.ReadOnlyAfter. StopServing is called before a role is
	// taken.
	ServeReadOnly()
	// Drain waits until everything handed over has been applied and answered, but not longer than limit.
	Drain(limit time.Duration)
	// StopServing closes every client and ends what Lead began, and waits for both.
	StopServing(reason string)
	// OpenSnapshot opens an exact snapshot of the applied state. It is safe for
	// concurrent use.
	OpenSnapshot() (SnapshotSource, error)
	// StageSnapshot begins to receive one.
	StageSnapshot() (SnapshotSink, error)
	// Install replaces the state by a staged snapshot, behind everything handed over before.
	Install(s SnapshotSink) error
	// Reconfigured tells of another membership than the last, which is New's first. It comes before
	// the transactions that are proposed under it, and before those that it was committed with.
	Reconfigured(m quorum.Membership)
}

// SnapshotSource is an open snapshot; one goroutine uses it.
type SnapshotSource interface {
	Point() zxid.Point
	// Next returns the next chunk of about maxBytes, which stays as it is: it waits in the queue
	// of a link while later ones are made. done is true with the last one.
	Next(maxBytes int) (chunk []byte, done bool, err error)
	Close() error
}

// SnapshotSink receives a snapshot.
type SnapshotSink interface {
	Write(chunk []byte) error
	// Finish verifies what was written and makes it durable.
	Finish() (zxid.Point, error)
	// Discard forgets it.
	Discard() error
}

// Config is what a Peer is made of. Durations are real time; the loop turns them into the
// machines' ticks.
type Config struct {
	Self quorum.SID
	// Membership is what this server's files say. What the log holds counts instead as long as
	// its committed configuration is not older.
	Membership quorum.Membership
	// AcceptOlder is zab.Config.AcceptOlder.
	AcceptOlder bool
	// Reconfigurable says that the ensemble may change while it lives (reconfigEnabled): its
	// configurations get versions, and newer ones are learnt from other servers.
	Reconfigurable bool

	Log          Log
	Transport    Transport // nil for a server that will always be alone
	StateMachine StateMachine

	TickTime             time.Duration
	InitLimit, SyncLimit int // ticks
	// Finalize is how long an election waits for a better vote once a quorum agrees.
	Finalize time.Duration
	// MinNotify and MaxNotify bound the back-off of repeated notifications.
	MinNotify, MaxNotify time.Duration
	Limits               zab.Limits
	// ReadOnlyAfter is how long a search for a leader lasts before the state machine serves
	// reads on its own; 0 is never.
	ReadOnlyAfter time.Duration

	Logger zerolog.Logger
	// Rand draws the cluster id of a new ensemble and randomised waits.
	Rand *rand.Rand
}

// Defaults of the election's timing (spec zab-and-election 17).
const (
	DefaultFinalize  = 200 * time.Millisecond
	DefaultMinNotify = 200 * time.Millisecond
	DefaultMaxNotify = 5 * time.Second

	// electionTick is the resolution of the election's timers.
	electionTick = 10 * time.Millisecond
)

func (c *Config) validate() error {
	if c.Log == nil || c.StateMachine == nil {
		return errors.New("peer: log and state machine are required")
	}
	if c.Membership.Voters().Len() == 0 {
		return errors.New("peer: an ensemble needs a voter")
	}
	if !c.Reconfigurable && !c.Membership.SIDs().Has(c.Self) {
		return fmt.Errorf("peer: server %v is not in the ensemble", c.Self)
	}
	if n := len(c.Membership.Committed.String()); c.Reconfigurable && n > quorum.MaxEnsemble {
		return fmt.Errorf("peer: the list of servers takes %d bytes, more than %d: too much for an ensemble that can change", n, quorum.MaxEnsemble)
	}
	alone := c.Membership.SIDs() == quorum.SetOf(c.Self) && !c.Reconfigurable
	if c.Transport == nil && !alone {
		return errors.New("peer: an ensemble of several servers needs a transport")
	}
	if c.TickTime <= 0 || c.InitLimit <= 0 || c.SyncLimit <= 0 {
		return fmt.Errorf("peer: tickTime %v, initLimit %d and syncLimit %d must be positive",
			c.TickTime, c.InitLimit, c.SyncLimit)
	}
	if c.Finalize <= 0 {
		c.Finalize = DefaultFinalize
	}
	if c.MinNotify <= 0 {
		c.MinNotify = DefaultMinNotify
	}
	if c.MaxNotify <= 0 {
		c.MaxNotify = DefaultMaxNotify
	}
	if c.Rand == nil {
		return errors.New("peer: a random source is required")
	}
	return nil
}

// electionTicks turns a duration into ticks of the election, at least one.
func electionTicks(d time.Duration) int {
	return max(1, int((d+electionTick-1)/electionTick))
}
