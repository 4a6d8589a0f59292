package check

import (
	"bufio"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"slices"
)

// Kind names what an operation was. The comment tells which fields it fills.
type Kind string

// The kinds of operations.
const (
	KindSet      Kind = "set"      // Key, Value; Stat of the reply
	KindCAS      Kind = "cas"      // Key, Value, Expect; Stat of the reply
	KindGet      Kind = "get"      // Key; Value and Stat of the reply
	KindSyncGet  Kind = "sync-get" // the same, after a sync over the same connection
	KindCreate   Kind = "create"   // Key is the path, Value its data
	KindSequence Kind = "sequence" // Key is the prefix, Value the data; Path of the reply
	KindAcquire  Kind = "acquire"  // Key is the lock, Path the holder's node; Token its czxid, Owner its owner
	KindGuard    Kind = "guard"    // Key is the lock; a write that stands only while node Path exists; Token, Stat of the guarded node
	KindRegister Kind = "register" // Path is an ephemeral node of Session
	KindOwn      Kind = "own"      // the session looks at its own node Path: Found, Owner
	KindObserve  Kind = "observe"  // another session looks at node Path after a sync: Found, Owner
	KindEnd      Kind = "end"      // the session ends: OK when its close was acknowledged, Info when it was left to expire
	KindTotal    Kind = "total"    // Key is the bank; Value are all balances of one moment, with commas
	KindTransfer Kind = "transfer" // Key is the bank; Value says what is moved, the sum stays
	KindEnqueue  Kind = "enqueue"  // Key is the prefix, Value the data; Path of the reply
	KindDequeue  Kind = "dequeue"  // Path is the item that is taken, Value its data
	KindLead     Kind = "lead"     // Path is the lowest candidate at Zxid, and the client's own; Token its czxid
	KindView     Kind = "view"     // Key is the group, Value the sorted names of its members at Zxid, with commas
	KindBelief   Kind = "belief"   // the same as the watcher knows it in the end, from events alone
	KindChange   Kind = "change"   // Path is a watched node, Value the event that this write must cause
	KindWatch    Kind = "watch"    // watch number Token begins, in the state Zxid
	KindEvent    Kind = "event"    // watch number Token is told at Zxid of the event Value of node Path
	KindHeard    Kind = "heard"    // watch number Token has been told of everything up to Zxid
	KindLeft     Kind = "left"     // Key is the path of a create, Value its data, sent over a connection that the session had left
	KindConfig   Kind = "config"   // Value is the list of the ensemble's servers; Stat of its node; Found: read after a sync
	KindReconfig Kind = "reconfig" // the list is changed; Value is the new one, Stat that of its node
	KindKnown    Kind = "known"    // Value is the list as the watcher knows it in the end, from events alone
	KindOther    Kind = "other"    // recorded for the reader; nothing is demanded of it
)

// Outcome says what is known about an operation's effect.
type Outcome string

// The outcomes.
const (
	OK   Outcome = "ok"   // acknowledged: it took effect between Call and Return
	Fail Outcome = "fail" // refused: it certainly never takes effect
	Info Outcome = "info" // unknown: it may take effect at any time after Call, or never
)

// Stat is the part of a node's Stat that the checks need of a reply, or all of it when it was
// read from a final tree.
type Stat struct {
	Czxid          int64 `json:",omitempty"`
	Mzxid          int64 `json:",omitempty"`
	Pzxid          int64 `json:",omitempty"`
	Ctime          int64 `json:",omitempty"` // ms since 1970
	Mtime          int64 `json:",omitempty"` // ms since 1970
	Version        int32
	Cversion       int32 `json:",omitempty"`
	Aversion       int32 `json:",omitempty"`
	EphemeralOwner int64 `json:",omitempty"`
	DataLength     int32 `json:",omitempty"`
	NumChildren    int32 `json:",omitempty"`
}

// Op is one operation of one client. A session has at most one operation under way, but for the
// pipelined ones, whose Zxid is only known when they are writes.
type Op struct {
	Workload string
	Client   int   // which client of the workload
	Session  int64 // session id, 0 when none was ever established
	Server   string
	Kind     Kind

	Key    string `json:",omitempty"`
	Value  string `json:",omitempty"` // written or read
	Expect int32  `json:",omitempty"` // version that a cas demands
	Path   string `json:",omitempty"`
	Token  int64  `json:",omitempty"`
	Owner  int64  `json:",omitempty"`
	Found  bool   `json:",omitempty"`

	Call, Return int64 // ns since the start of the run, one monotonic clock
	Outcome      Outcome
	Err          string `json:",omitempty"`
	Refused      bool   `json:",omitempty"` // Fail by an answer of the server's state (version, existence), not by never being sent
	Stat         Stat
	Zxid         int64 `json:",omitempty"` // of the reply's header, 0 when there was none
}

// String returns the operation on one line.
func (o Op) String() string {
	b, err := json.Marshal(o)
	if err != nil {
		return fmt.Sprintf("%+v", struct{ Op }{o})
	}
	return string(b)
}

// Write reports whether the operation, when acknowledged, is a transaction whose zxid the reply
// named.
func (o Op) Write() bool {
	switch o.Kind {
	case KindSet, KindCAS, KindCreate, KindSequence, KindGuard, KindRegister, KindTransfer, KindEnqueue, KindDequeue, KindChange, KindReconfig:
		return true
	default:
		return false
	}
}

// Violation is a broken promise with its proof.
type Violation struct {
	Check string // name of the check
	Text  string
	Ops   []Op `json:",omitempty"`
}

// String returns the violation with its operations, one a line.
func (v Violation) String() string {
	s := v.Check + ": " + v.Text
	for _, o := range v.Ops {
		s += "\n    " + o.String()
	}
	return s
}

// maxViolations bounds what one check reports: the first few say it all, and a broken run can
// break thousands of operations.
const maxViolations = 20

type violations struct {
	check string
	list  []Violation
}

func (v *violations) add(text string, ops ...Op) {
	if len(v.list) < maxViolations {
		v.list = append(v.list, Violation{Check: v.check, Text: text, Ops: ops})
	}
}

func (v *violations) addf(ops []Op, format string, args ...any) {
	v.add(fmt.Sprintf(format, args...), ops...)
}

// byCall returns the operations that keep accepts, in the order of their calls.
func byCall(h []Op, keep func(Op) bool) []Op {
	var out []Op
	for _, o := range h {
		if keep(o) {
			out = append(out, o)
		}
	}
	slices.SortStableFunc(out, func(a, b Op) int { return cmp.Compare(a.Call, b.Call) })
	return out
}

// byReturn returns operations in the order of their returns.
func byReturn(ops []Op) []Op {
	out := slices.Clone(ops)
	slices.SortStableFunc(out, func(a, b Op) int { return cmp.Compare(a.Return, b.Return) })
	return out
}

// WriteJSON writes the history, one operation a line.
func WriteJSON(w io.Writer, h []Op) error {
	b := bufio.NewWriter(w)
	e := json.NewEncoder(b)
	for _, o := range h {
		if err := e.Encode(o); err != nil {
			return fmt.Errorf("check: write history: %w", err)
		}
	}
	if err := b.Flush(); err != nil {
		return fmt.Errorf("check: write history: %w", err)
	}
	return nil
}

// ReadJSON reads what WriteJSON wrote.
func ReadJSON(r io.Reader) ([]Op, error) {
	var h []Op
	d := json.NewDecoder(r)
	for {
		var o Op
		switch err := d.Decode(&o); err {
		case nil:
			h = append(h, o)
		case io.EOF:
			return h, nil
		default:
			return nil, fmt.Errorf("check: read history, operation %d: %w", len(h), err)
		}
	}
}

// Counts is how many operations had which outcome.
type Counts struct{ OK, Fail, Info int }

// Count counts the outcomes of a history by workload.
func Count(h []Op) map[string]Counts {
	out := map[string]Counts{}
	for _, o := range h {
		c := out[o.Workload]
		switch o.Outcome {
		case OK:
			c.OK++
		case Fail:
			c.Fail++
		case Info:
			c.Info++
		}
		out[o.Workload] = c
	}
	return out
}

// LongestGap returns the longest time, in ns, in which no write was acknowledged to anybody, and
// when it began. A gap ends with a write or with until.
func LongestGap(h []Op, until int64) (gap, at int64) {
	var done []int64
	for _, o := range h {
		if o.Write() && o.Outcome == OK && o.Return <= until {
			done = append(done, o.Return)
		}
	}
	if len(done) == 0 {
		return until, 0
	}
	slices.Sort(done)
	done = append(done, until)
	for i := 1; i < len(done); i++ {
		if d := done[i] - done[i-1]; d > gap {
			gap, at = d, done[i-1]
		}
	}
	return gap, at
}
