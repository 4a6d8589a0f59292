package server

import (
	"cmp"
	"slices"
	"strconv"
	"time"

	"github.com/zabkeeper/zabkeeper/zab/zxid"
)

// Electorate says who votes on what is right.
type Electorate interface {
	// Votes reports whether a server is a voter. It may be called from any goroutine.
	Votes(id Origin) bool
	// Quorum reports whether the voters among these servers are a quorum. It may be called from any
	// goroutine.
	Quorum(ids []Origin) bool
}

// jury finds out, of what all servers report of their trees, whose tree is right. A leader has one
// for its reign, and is one of those who are judged.
//
// Every server measures how far its digest is beyond the announced one. Servers with equal trees measure
// the same, whatever the leader's tree is. Each difference holds from one zxid to another; so that the
// differences of one moment are compared, votes are counted at the latest zxid at which the difference of
// a voter has changed, and only of voters who have come as far. A difference that a quorum shares is
// that of the right tree.
//
// Who has not compared anything in this epoch counts where the leader itself stands at the same zxid,
// and the digests can be compared directly.
type jury struct {
	self     Origin
	epoch    zxid.Epoch
	voters   Electorate
	patience time.Duration // for a quorum, and with servers that report no more

	heard     []testimony // ascending by server
	at        zxid.ID     // where votes were counted last, and found what they came to
	found     poll
	split     time.Time // when voters were found to disagree without a quorum; zero: they do not
	contested bool      // for longer than patience
}

// newJury returns nil where there are no trees to compare.
func (s *Server) newJury(epoch zxid.Epoch) *jury {
	cfg := &s.cfg
	if !cfg.Digest || cfg.Electorate == nil {
		return nil
	}
	return &jury{
		self: cfg.Self, epoch: epoch, voters: cfg.Electorate,
		patience: time.Duration(cfg.SyncLimit) * cfg.TickTime,
	}
}

// testify takes the report of a server.
func (p *primary) testify(from Origin, payload []byte) error {
	r, err := decodeReport(payload)
	if err != nil || p.jury == nil {
		return err
	}
	now := time.Now()
	p.jury.hear(from, r, now)
	p.judge(now)
	return nil
}

// judge tells the servers what their trees are found to be.
func (p *primary) judge(now time.Time) {
	if p.jury == nil {
		return
	}
	sentences := p.jury.judge(now)
	p.undecided.Store(!p.jury.split.IsZero())
	for _, s := range sentences {
		if s.verdict == verdictWrong {
			p.s.quiet.Error("a quorum has another tree than this server", strconv.Itoa(int(s.to))).Int("server", int(s.to)).Send()
		}
		p.out.Answer(s.to, KindRevalidate, s.encode())
	}
}

// testimony is what a server has reported last.
type testimony struct {
	from Origin
	when time.Time
	report
	known bool // difference holds from since until at; the leader's own always does
	// settled says that its tree will be replaced: what was said of it does not matter any more.
	settled bool
}

// sentence is a ruling for a server.
type sentence struct {
	to Origin
	ruling
}

// hear takes a report.
func (j *jury) hear(from Origin, r report, now time.Time) {
	t := testimony{from: from, when: now, report: r}
	i, found := slices.BinarySearchFunc(j.heard, from, func(t testimony, id Origin) int { return cmp.Compare(t.from, id) })
	if found {
		j.heard[i] = t
		return
	}
	j.heard = slices.Insert(j.heard, i, t)
}

// judge returns what is to be told to whom.
func (j *jury) judge(now time.Time) []sentence {
	j.heard = slices.DeleteFunc(j.heard, func(t testimony) bool { return now.Sub(t.when) > j.patience })
	if !j.assess() {
		return nil
	}
	j.at = j.latest()
	j.found = j.vote(j.at)
	switch {
	case j.found.decided || !j.found.disagree:
		j.split, j.contested = time.Time{}, false
	case j.split.IsZero():
		j.split = now
	default:
		j.contested = now.Sub(j.split) >= j.patience
	}
	var out []sentence
	for i := range j.heard {
		t := &j.heard[i]
		if v, ok := j.verdictOn(t); ok {
			out = append(out, sentence{t.from, ruling{t.version, v}})
			t.settled = v == verdictWrong
		}
	}
	j.heard = slices.DeleteFunc(j.heard, func(t testimony) bool { return t.settled })
	return out
}

// assess finds out which differences are known. It returns false if the leader's is not.
func (j *jury) assess() bool {
	i := slices.IndexFunc(j.heard, func(t testimony) bool { return t.from == j.self })
	if i < 0 {
		return false
	}
	own := &j.heard[i]
	own.known = true
	if !own.compared || own.at.Epoch() != j.epoch {
		own.difference, own.since = 0, own.at // what is announced next begins with this digest
	}
	for i := range j.heard {
		t := &j.heard[i]
		switch {
		case t.from == j.self:
		case t.compared && t.at.Epoch() == j.epoch:
			t.known = true
		case t.at == own.at:
			t.known, t.since, t.difference = true, t.at, own.difference+t.digest-own.digest
		}
	}
	return true
}

// latest returns the zxid at which the difference of a voter has changed last.
func (j *jury) latest() (at zxid.ID) {
	for i := range j.heard {
		if t := &j.heard[i]; t.known && j.voters.Votes(t.from) {
			at = max(at, t.since)
		}
	}
	return at
}

// poll is what the voters think at one zxid.
type poll struct {
	difference uint64 // of the right tree, if decided
	decided    bool   // a quorum has the same difference
	disagree   bool   // not all voters have
}

// vote counts the voters whose difference at a zxid, from latest on, is known.
func (j *jury) vote(at zxid.ID) (p poll) {
	var first *testimony
	for i := range j.heard {
		t := &j.heard[i]
		if p.decided && p.disagree || !j.votes(t, at) || first != nil && t.difference == first.difference {
			continue
		}
		if first == nil {
			first = t
		}
		p.disagree = t != first
		var same []Origin
		for k := range j.heard {
			if u := &j.heard[k]; u.difference == t.difference && j.votes(u, at) {
				same = append(same, u.from)
			}
		}
		if !p.decided && j.voters.Quorum(same) {
			p.difference, p.decided = t.difference, true
		}
	}
	return p
}

func (j *jury) votes(t *testimony, at zxid.ID) bool {
	return t.known && t.at >= at && j.voters.Votes(t.from)
}

// verdictOn returns the verdict on one tree, if there is one that its server does not know.
func (j *jury) verdictOn(t *testimony) (v verdict, ok bool) {
	at, p := j.at, j.found
	if t.known && t.since > at { // an observer's
		at = t.since
		p = j.vote(at)
	}
	switch {
	case !t.known || t.at < at:
		return 0, false
	case p.decided && t.difference == p.difference:
		return verdictRight, t.suspect
	case p.decided:
		return verdictWrong, true
	default:
		return verdictContested, j.contested && !t.suspect
	}
}
