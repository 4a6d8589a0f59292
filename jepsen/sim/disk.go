package sim

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/rs/zerolog"

	"github.com/zabkeeper/zabkeeper/quorum"
	"github.com/zabkeeper/zabkeeper/zab"
	"github.com/zabkeeper/zabkeeper/zab/txnlog"
	"github.com/zabkeeper/zabkeeper/zab/zxid"
)

// disk is what a server keeps over a crash: the transaction log, on Pebble, and what was
// flushed of the tree. Beside it stands a model of what the log must hold, which the invariants
// look at and each reopening is compared with.
type disk struct {
	s    *simulation
	sid  quorum.SID
	life int // disks that were wiped
	fs   *crashFS
	log  *txnlog.Log

	saved  *tree // flushed
	staged *tree // complete snapshot, durable, not yet installed

	model model
	maybe *model // a step that a crash has torn: it may be there or not
	// amnesiac is set on a wiped disk until an established leader has taken it in.
	amnesiac bool

	queue   []job
	working bool
	slow    float64 // factor on all delays
}

// job is one thing to write.
type job struct {
	generation uint64
	step       *zab.Persist
	stage      []zab.Entry
}

// logDir is where the log lives on each disk.
const logDir = "/log"

// trimStep is how many entries a trim removes at least.
const trimStep = 8

// watermarkBytes makes the watermark move often.
const watermarkBytes = 1500

func newDisk(s *simulation, sid quorum.SID) *disk {
	d := &disk{s: s, sid: sid, slow: 1}
	d.format()
	return d
}

// format puts a new, empty disk in.
func (d *disk) format() {
	d.fs = newCrashFS(vfs.NewCrashableMem())
	d.saved, d.staged = newTree(), nil
	d.model, d.maybe = model{promise: zab.Promise{Leader: quorum.None}}, nil
}

// wipe loses everything.
func (d *disk) wipe() {
	d.life++
	d.format()
	d.amnesiac = true
}

// seeded is a source of bytes for incarnations.
type seeded struct{ rng *rand.Rand }

// Read implements io.Reader.
func (r seeded) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = byte(r.rng.Uint32())
	}
	return len(p), nil
}

// open opens the log and checks that it holds what it must hold.
func (d *disk) open() {
	source := seeded{rand.New(rand.NewPCG(d.s.cfg.Seed, uint64(d.sid)<<32|uint64(d.life)))}
	l, err := txnlog.Open(txnlog.Config{
		Dir: logDir, FS: d.fs, SID: d.sid, Rand: source, Logger: zerolog.Nop(), Fatal: func(error) {},
		WatermarkBytes: watermarkBytes, TrimStep: trimStep,
	})
	if err != nil {
		d.s.fail("AckMeansDurable", "server %v: the log does not open: %v", d.sid, err)
	}
	d.log = l
	got := l.Durable()
	why := d.model.differs(&got)
	if why != "" && d.maybe != nil && d.maybe.differs(&got) == "" {
		d.model, why = *d.maybe, ""
		d.s.oracle.durable(d)
	}
	if why != "" {
		d.s.fail("AckMeansDurable", "server %v: after a crash %s", d.sid, why)
	}
	d.maybe = nil
	d.model.incarnation = got.Incarnation
	d.model.staged = nil
}

// submit queues a job.
func (d *disk) submit(j job) {
	d.queue = append(d.queue, j)
	d.pump()
}

// delay draws how long something on this disk takes.
func (d *disk) delay(least, most time.Duration) time.Duration {
	return time.Duration(float64(d.s.between(least, most)) * d.slow)
}

// pump works on the queue if there is something and nobody does yet.
func (d *disk) pump() {
	if d.working || len(d.queue) == 0 {
		return
	}
	d.working = true
	d.s.server(d.sid).proc.after(d.delay(100*time.Microsecond, 8*time.Millisecond), d.work)
}

// work writes some of what is queued and reports it.
func (d *disk) work() {
	p := d.s.server(d.sid).proc
	n := 1 + d.s.rng.IntN(len(d.queue))
	for range n {
		j := d.queue[0]
		d.queue = d.queue[1:]
		switch err := d.write(j); {
		case errors.Is(err, txnlog.ErrNoPoint):
			p.put(message{kind: evNoPoint, generation: j.generation})
		case err != nil:
			d.s.fail("StepRefused", "server %v: the log refuses %s: %v", d.sid, describe(j.step), err)
		case j.step != nil:
			p.put(message{kind: evPersisted, generation: j.generation, token: j.step.Token})
		}
		p.crashPoint()
	}
	d.working = false
	d.pump()
	if len(d.queue) == 0 {
		p.drained()
	}
}

// write writes one job durably and moves the model.
func (d *disk) write(j job) error {
	if j.step == nil {
		if err := d.log.StageNow(j.stage); err != nil {
			return err
		}
		d.model.stage(j.stage)
		return nil
	}
	if d.s.mutant.dropTruncation && j.step.Truncate != nil && len(j.step.Append) == 0 {
		step := *j.step
		step.Truncate = nil
		j.step = &step
	}
	d.s.oracle.step(d, j.step)
	if err := d.log.Apply(j.step); err != nil {
		return err
	}
	d.s.tracef("%v DISK %s", d.sid, describe(j.step))
	d.model.apply(j.step)
	d.s.oracle.durable(d)
	return nil
}

// flush makes the tree durable as it is.
func (d *disk) flush(t *tree) { d.saved = t.clone() }

// trim cuts the front of the log as far as the tree is durable.
func (d *disk) trim() {
	generation, ok := d.log.Generation()
	if !ok {
		return
	}
	h := d.log.Durable().History
	upTo := min(d.saved.applied.ID, keepFrom(h, int64(d.s.keep)))
	if upTo <= h.Base.ID {
		return
	}
	if err := d.log.Trim(generation, upTo); err != nil {
		d.s.fail("StepRefused", "server %v: trim to %v: %v", d.sid, upTo, err)
	}
}

// keepFrom returns the highest zxid above which at least keep entries remain, or the base.
func keepFrom(h zab.Summary, keep int64) zxid.ID {
	for i := len(h.Runs) - 1; i >= 0; i-- {
		run := h.Runs[i]
		if last := int64(run.Last); last >= keep {
			return max(h.Base.ID, zxid.Make(run.Epoch, run.Last)-zxid.ID(keep))
		}
		keep -= int64(run.Last)
	}
	return h.Base.ID
}

// crash ends the process that used the disk. Of what was queued a prefix has reached the
// disk; power says whether the page cache is lost, too.
func (d *disk) crash(power bool) {
	s := d.s
	for done := s.rng.IntN(len(d.queue) + 1); done > 0; done-- {
		j := d.queue[0]
		d.queue = d.queue[1:]
		if err := d.write(j); err != nil {
			d.queue = nil
			break
		}
	}
	var image *vfs.MemFS
	if len(d.queue) > 0 && d.queue[0].step != nil && s.chance(0.7) {
		image = d.tear(d.queue[0].step, power)
	}
	if image == nil {
		image = d.fs.mem.CrashClone(vfs.CrashCloneCfg{})
	}
	d.queue, d.working = nil, false
	d.abandon()
	d.fs = newCrashFS(image)
}

// tear begins to write a step that does not get to its end.
func (d *disk) tear(step *zab.Persist, power bool) *vfs.MemFS {
	keep := 1.0
	if power {
		keep = d.s.rng.Float64()
	}
	after := d.model.clone()
	after.apply(step)
	d.fs.arm(keep)
	err := d.log.Apply(step)
	image, imageErr := d.fs.disarm()
	if imageErr != nil {
		panic(fmt.Sprintf("sim: image of a torn disk: %v", imageErr))
	}
	if err != nil || image == nil {
		return nil // refused before anything was written
	}
	d.s.counts.Torn++
	d.maybe = &after
	return image
}

// abandon gives back the memory of a log whose process has ended.
func (d *disk) abandon() {
	if d.log != nil {
		_ = d.log.Close() // what it writes no longer reaches this disk
		d.log = nil
	}
}

// model is what a log must hold. It ignores trimming: base moves by Install alone.
type model struct {
	base        zxid.Point
	entries     []zxid.Point
	staged      []zxid.Point
	promise     zab.Promise
	current     zxid.Epoch
	known       []zab.Known
	incarnation quorum.Incarnation
}

func (m *model) last() zxid.Point {
	if n := len(m.entries); n > 0 {
		return m.entries[n-1]
	}
	return m.base
}

func (m *model) clone() model {
	c := *m
	c.entries, c.staged = slices.Clone(m.entries), slices.Clone(m.staged)
	return c
}

func (m *model) stage(entries []zab.Entry) {
	for i := range entries {
		m.staged = append(m.staged, entries[i].Point())
	}
}

// apply does what a step does.
func (m *model) apply(p *zab.Persist) {
	if p.Promise != nil {
		m.promise = *p.Promise
	}
	if p.Install != nil {
		m.base, m.entries, m.staged = *p.Install, m.staged, nil
	}
	if p.Truncate != nil {
		n := len(m.entries)
		for n > 0 && m.entries[n-1].ID > p.Truncate.ID {
			n--
		}
		m.entries = m.entries[:n:n]
	}
	for i := range p.Append {
		m.entries = append(m.entries, p.Append[i].Point())
	}
	if p.Current != nil {
		m.current = *p.Current
	}
	if p.Known != nil {
		m.known = p.Known
	}
}

// point returns the point of the history at id.
func (m *model) point(id zxid.ID) (zxid.Point, bool) {
	if id == m.base.ID {
		return m.base, true
	}
	i, found := slices.BinarySearchFunc(m.entries, id, func(p zxid.Point, id zxid.ID) int { return p.Compare(zxid.Point{ID: id}) })
	if !found {
		return zxid.Point{}, false
	}
	return m.entries[i], true
}

// holds reports whether the history passes through p, as far as it is known.
func (m *model) holds(p zxid.Point) bool {
	if p.ID < m.base.ID {
		return true
	}
	at, ok := m.point(p.ID)
	return ok && at == p
}

// remembers returns the incarnation known of a voter.
func (m *model) remembers(sid quorum.SID) quorum.Incarnation {
	for _, k := range m.known {
		if k.SID == sid {
			return k.Incarnation
		}
	}
	return quorum.Incarnation{}
}

// differs says in what a log is not what it must be.
func (m *model) differs(d *zab.Durable) string {
	switch {
	case !m.incarnation.IsZero() && d.Incarnation != m.incarnation:
		return fmt.Sprintf("it is incarnation %v, was %v", d.Incarnation, m.incarnation)
	case d.Promise != m.promise || d.Current != m.current:
		return fmt.Sprintf("it has promised %v and is in epoch %d, was %v and %d", d.Promise, d.Current, m.promise, m.current)
	case d.History.Last() != m.last():
		return fmt.Sprintf("its log ends at %v, ended at %v", d.History.Last(), m.last())
	case d.History.Base.ID < m.base.ID || !m.holds(d.History.Base):
		return fmt.Sprintf("its log begins at %v, began at %v", d.History.Base, m.base)
	case !slices.Equal(d.Known, m.known):
		return fmt.Sprintf("it knows %v, knew %v", d.Known, m.known)
	case d.Untrusted:
		return "it does not trust itself"
	}
	return ""
}

// describe prints a step.
func describe(p *zab.Persist) string {
	if p == nil {
		return "stage"
	}
	out := fmt.Sprintf("step %d:", p.Token)
	if p.Promise != nil {
		out += fmt.Sprintf(" promise %d to %v", p.Promise.Epoch, p.Promise.Leader)
	}
	if p.Install != nil {
		out += fmt.Sprintf(" install %v", *p.Install)
	}
	if p.Truncate != nil {
		out += fmt.Sprintf(" truncate %v", *p.Truncate)
	}
	if n := len(p.Append); n > 0 {
		out += fmt.Sprintf(" append %v..%v", p.Append[0].ID, p.Append[n-1].Point())
	}
	if p.Current != nil {
		out += fmt.Sprintf(" current %d", *p.Current)
	}
	if p.Known != nil {
		out += fmt.Sprintf(" known %v", p.Known)
	}
	return out
}
