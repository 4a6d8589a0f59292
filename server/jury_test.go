package server

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/zabkeeper/zabkeeper/zab/zxid"
)

// voters is an ensemble whose first servers vote.
type voters int

func (v voters) Votes(id Origin) bool { return int(id) <= int(v) }

func (v voters) Quorum(ids []Origin) bool {
	n := 0
	for _, id := range ids {
		if v.Votes(id) {
			n++
		}
	}
	return n > int(v)/2
}

// trial is an ensemble in which trees get damaged, as a jury would hear of it.
type trial struct {
	voters, servers int
	leader          int
	last            int // transactions of the epoch, from 1
	// joined is the transaction behind which a server begins to compare; offset by how much its digest is beyond
	// the right one behind each transaction, announced the same of the announcements.
	joined    []int
	offset    [][]uint64
	announced []uint64
	applied   []int
}

const trialEpoch = 2

// at returns the zxid of the n-th transaction; that before the first is of the epoch before.
func (tr *trial) at(n int) zxid.ID {
	if n == 0 {
		return zxid.Make(trialEpoch-1, 100)
	}
	return zxid.Make(trialEpoch, zxid.Counter(n))
}

// report is what a server would say now.
func (tr *trial) report(s int) report {
	n := tr.applied[s]
	r := report{version: uint64(n), at: tr.at(n), digest: uint64(n)*0x9e3779b97f4a7c15 + tr.offset[s][n]}
	if n <= tr.joined[s] {
		// What it has compared, if anything, is of another epoch.
		r.compared, r.since, r.difference = n == 0 && s%2 == 0, r.at, tr.offset[s][n]+uint64(s)
		return r
	}
	since := n
	for since > tr.joined[s]+1 && tr.difference(s, since-1) == tr.difference(s, n) {
		since--
	}
	r.compared, r.since, r.difference = true, tr.at(since), tr.difference(s, n)
	r.suspect = r.difference != 0
	return r
}

func (tr *trial) difference(s, n int) uint64 { return tr.offset[s][n] - tr.announced[n] }

func newTrial(r *rand.Rand) *trial {
	tr := &trial{voters: 1 + r.IntN(5), last: r.IntN(12)}
	tr.servers = tr.voters + r.IntN(3)
	tr.leader = r.IntN(tr.voters)
	for s := range tr.servers {
		tr.joined = append(tr.joined, 0)
		if s != tr.leader {
			tr.joined[s] = max(r.IntN(2*tr.last+1)-tr.last, 0)
		}
		tr.applied = append(tr.applied, tr.joined[s])
		offset := make([]uint64, tr.last+1)
		for range max(r.IntN(6)-3, 0) {
			damage := r.Uint64()
			for n := r.IntN(tr.last + 1); n <= tr.last; n++ {
				offset[n] += damage
			}
		}
		tr.offset = append(tr.offset, offset)
	}
	tr.announced = slices.Clone(tr.offset[tr.leader])
	if r.IntN(3) == 0 { // the leader does not apply what it announces
		for n := range tr.announced {
			tr.announced[n] = tr.offset[tr.leader][0]
		}
	}
	return tr
}

// whole returns the servers whose trees were never damaged.
func (tr *trial) whole() (ids []Origin) {
	for s, offset := range tr.offset {
		if !slices.ContainsFunc(offset, func(o uint64) bool { return o != 0 }) {
			ids = append(ids, Origin(s+1))
		}
	}
	return ids
}

// check holds one ruling against what is true.
func (tr *trial) check(t *testing.T, s sentence, majority bool) {
	t.Helper()
	server := int(s.to) - 1
	n := int(s.version)
	switch {
	case s.verdict == verdictContested:
		t.Errorf("server %d is told of a contest without a delay", s.to)
	case s.verdict == verdictWrong && majority && slices.Contains(tr.whole(), s.to):
		t.Errorf("server %d is right, a quorum has the same tree, and it is told that it is wrong", s.to)
	case s.verdict == verdictRight && majority && tr.offset[server][n] != 0:
		t.Errorf("the tree of server %d is damaged behind transaction %d, and it is told that it is right", s.to, n)
	case s.verdict == verdictWrong && !tr.common(server):
		t.Errorf("no quorum ever had one tree, and server %d is told that it is wrong", s.to)
	}
}

// common reports whether a quorum had the same tree behind some transaction, which was not that
// of the server.
func (tr *trial) common(server int) bool {
	for n := range tr.last + 1 {
		for s := range tr.voters {
			var same []Origin
			for o := range tr.voters {
				if tr.offset[o][n] == tr.offset[s][n] {
					same = append(same, Origin(o+1))
				}
			}
			if voters(tr.voters).Quorum(same) && tr.offset[s][n] != tr.offset[server][n] {
				return true
			}
		}
	}
	return false
}

// Whatever is damaged and in whichever order servers report: who has the tree of a quorum is never told
// that it is wrong, nobody is told so without a quorum, and in the end everybody is judged as is right [H-78].
func TestJury(t *testing.T) {
	for seed := range uint64(20_000) {
		tryJury(t, rand.New(rand.NewPCG(seed, 0)))
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
}

func tryJury(t *testing.T, r *rand.Rand) {
	t.Helper()
	now := time.Unix(0, 0)
	tr := newTrial(r)
	majority := voters(tr.voters).Quorum(tr.whole())
	j := &jury{self: Origin(tr.leader + 1), epoch: trialEpoch, voters: voters(tr.voters), patience: time.Hour}
	say := func(s int, told map[Origin]verdict) {
		j.hear(Origin(s+1), tr.report(s), now)
		for _, s := range j.judge(now) {
			tr.check(t, s, majority)
			told[s.to] = s.verdict
		}
	}
	for range r.IntN(60) {
		s := r.IntN(tr.servers)
		tr.applied[s] = min(tr.applied[s]+r.IntN(4), tr.last)
		say(s, map[Origin]verdict{})
	}
	for s := range tr.servers {
		tr.applied[s] = tr.last
	}
	told := map[Origin]verdict{}
	for range 2 {
		for s := range tr.servers {
			say(s, told)
		}
	}
	tr.settled(t, told, majority)
}

// settled checks what all have been told once all stand at the last transaction.
func (tr *trial) settled(t *testing.T, told map[Origin]verdict, majority bool) {
	t.Helper()
	if !majority {
		return
	}
	for s := range tr.servers {
		is, id := tr.offset[s][tr.last], Origin(s+1)
		switch v := told[id]; {
		case is != 0 && v != verdictWrong:
			t.Errorf("server %d has a damaged tree, and is told %q", id, v)
		case is == 0 && v == verdictWrong:
			t.Errorf("server %d has the right tree, and is told that it is wrong", id)
		case is == 0 && tr.report(s).suspect && v != verdictRight:
			t.Errorf("server %d suspects itself, and is not told that it is right", id)
		}
	}
}

// Where no quorum agrees nobody is judged at first; when patience is over all are told so, those who know
// it already excepted; and who has not reported for as long counts no more [H-78].
func TestJuryWithoutQuorum(t *testing.T) {
	const patience = time.Minute
	now := time.Unix(0, 0)
	j := &jury{self: 1, epoch: trialEpoch, voters: voters(3), patience: patience}
	at := zxid.Make(trialEpoch, 7)
	say := func(from Origin, difference uint64, suspect bool) []sentence {
		j.hear(from, report{version: uint64(from), at: at, compared: true, since: at, difference: difference, suspect: suspect}, now)
		return j.judge(now)
	}
	round := func() (last []sentence) {
		say(1, 0, j.contested)
		return say(2, 5, true)
	}
	for range 3 {
		if got := round(); len(got) != 0 || j.contested {
			t.Fatalf("rulings without patience: %v", got)
		}
		now = now.Add(patience / 4)
	}
	now = now.Add(patience / 4)
	if got := round(); !j.contested || !slices.Equal(got, []sentence{{1, ruling{1, verdictContested}}}) {
		t.Fatalf("when patience is over it is contested: %v, rulings %v", j.contested, got)
	}
	if got := round(); len(got) != 0 {
		t.Fatalf("what is known is told again: %v", got)
	}
	if got := say(3, 5, true); !slices.Equal(got, []sentence{
		{1, ruling{1, verdictWrong}}, {2, ruling{2, verdictRight}}, {3, ruling{3, verdictRight}},
	}) {
		t.Fatalf("the third server decides, and the rulings are %v", got)
	}
	if j.contested {
		t.Error("the contest is not over")
	}
	now = now.Add(2 * patience)
	if got := say(1, 0, true); len(got) != 0 || len(j.heard) != 1 {
		t.Errorf("one voter alone: rulings %v, heard %d", got, len(j.heard))
	}
}

func TestReportsRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		since := zxid.Make(3, zxid.Counter(rapid.Uint32().Draw(t, "since")))
		r := report{
			version: rapid.Uint64().Draw(t, "version"), suspect: rapid.Bool().Draw(t, "suspect"), digest: rapid.Uint64().Draw(t, "digest"),
			compared: true, since: since, at: max(since, zxid.Make(3, zxid.Counter(rapid.Uint32().Draw(t, "at")))),
			difference: rapid.Uint64().Draw(t, "difference"),
		}
		if got, err := decodeReport(r.encode()); err != nil || got != r {
			t.Fatalf("report %+v: %+v, %v", r, got, err)
		}
		v := ruling{version: r.version, verdict: rapid.SampledFrom([]verdict{verdictRight, verdictWrong, verdictContested}).Draw(t, "verdict")}
		if got, err := decodeRuling(v.encode()); err != nil || got != v || !isRuling(v.encode()) {
			t.Fatalf("ruling %+v: %+v, %v", v, got, err)
		}
		if isReport(renewal{conn: 2, session: 3}.encode()) || isRuling(notice{moved: true}.encode()) || isRuling(notice{}.encode()) {
			t.Fatal("other payloads are taken for reports or rulings")
		}
	})
}

// FuzzReports: no payload makes a decoder panic, and what one accepts it writes again.
func FuzzReports(f *testing.F) {
	f.Add(report{version: 1, at: zxid.Make(1, 2), compared: true, since: zxid.Make(1, 1), difference: 3}.encode())
	f.Add(ruling{version: 4, verdict: verdictWrong}.encode())
	f.Add([]byte{reportVersion})
	f.Add([]byte{envelopeVersion, rulingAnswer})
	f.Fuzz(func(t *testing.T, b []byte) {
		if r, err := decodeReport(b); err == nil {
			if got, err := decodeReport(r.encode()); err != nil || got != r {
				t.Errorf("report %x: %+v, %v", b, got, err)
			}
		}
		if r, err := decodeRuling(b); err == nil {
			if got, err := decodeRuling(r.encode()); err != nil || got != r {
				t.Errorf("ruling %x: %+v, %v", b, got, err)
			}
		}
	})
}
