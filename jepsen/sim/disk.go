package sim

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/rs/zerolog"

	"github.com/zabkeeper/zabkeeper/quorum"
	"github.com/zabkeeper/zabkeeper/zab"
	"github.com/zabkeeper/zabkeeper/zab/txnlog"
	"github.com/zabkeeper/zabkeeper/zab/zxid"
	"github.com/zabkeeper/zabkeeper/znode/store"
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

	// Of the twin of a tree: what was flushed, and a complete snapshot, durable, not yet installed.
	// The real store has both on fs.
	saved, staged *tree
	snapshots     []*storeSnapshot // of the real store, to be closed before it
	staging       *store.Staging   // of the real store, likewise

	model model
	maybe *model // a step that a crash has torn: it may be there or not
	// amnesiac is set on the wiped disk of a voter until it holds the note that it was taken in.
	amnesiac bool
	tainted  bool // the tree is wrong, or was: what is flushed may be
	doubted  bool // the server has noted that its tree is suspect

	queue   []job
	working bool
	slow    float64 // factor on all delays

	breaks      Fault // what fails next; FaultKill: nothing
	breaksAfter int   // of FaultRead: how many reads succeed before
	faults      faultLog

	// Of the real store: what the next flush meets, which of its files the next start cannot read,
	// and whether its files were damaged or are an old copy since the last start.
	breaksFlush       *treeBreak
	unreadable        string
	damaged, restored bool
	tabled            bool // the tree has tables that count; those of an interrupted replacement do not
}

// faultLog keeps what the log called fatal, from whichever goroutine.
type faultLog struct {
	mu   sync.Mutex
	errs []error
}

// fatal is where the stores report what must end the process.
func (d *disk) fatal(err error) {
	d.faults.mu.Lock()
	defer d.faults.mu.Unlock()
	d.faults.errs = append(d.faults.errs, err)
}

// reported returns what was called fatal since the last time.
func (d *disk) reported() []error {
	d.faults.mu.Lock()
	defer d.faults.mu.Unlock()
	errs := d.faults.errs
	d.faults.errs = nil
	return errs
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
	d.tainted, d.doubted = false, false
	d.breaksFlush, d.unreadable, d.damaged, d.restored, d.tabled = nil, "", false, false, false
	d.model, d.maybe = model{promise: zab.Promise{Leader: quorum.None}}, nil
}

// wipe loses everything.
func (d *disk) wipe() {
	d.life++
	d.s.oracle.wiped(d)
	d.format()
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

// open opens the log and checks that it holds what it must hold. False: the disk could not be read,
// and the process has ended as it must.
func (d *disk) open() bool {
	source := seeded{rand.New(rand.NewPCG(d.s.cfg.Seed, uint64(d.sid)<<32|uint64(d.life)))}
	if d.breaks == FaultRead {
		d.fs.failRead(d.breaksAfter)
	}
	l, err := txnlog.Open(txnlog.Config{
		Dir: logDir, FS: d.fs, SID: d.sid, Rand: source, Logger: zerolog.Nop(), Fatal: d.fatal,
		WatermarkBytes: watermarkBytes, TrimStep: trimStep,
	})
	if d.breaks == FaultRead {
		d.breaks = FaultKill
		if d.fs.readFailed() && err != nil {
			d.noLog(err)
			return false
		}
	}
	if err != nil {
		d.s.fail(ackMeansDurable, "server %v: the log does not open: %v", d.sid, err)
	}
	d.log = l
	got := l.Durable()
	why := d.model.differs(&got)
	if why != "" && d.maybe != nil && d.maybe.differs(&got) == "" {
		d.model, why = *d.maybe, ""
		d.s.oracle.durable(d)
	}
	if why != "" {
		d.s.fail(ackMeansDurable, "server %v: after a crash %s", d.sid, why)
	}
	d.maybe = nil
	d.model.incarnation = got.Incarnation
	d.model.staged = nil
	return true
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
		if j.step != nil && d.failsWrites() && d.breakDown(p, j) {
			return
		}
		switch err := d.write(j); {
		case errors.Is(err, txnlog.ErrNoPoint):
			p.put(message{kind: evNoPoint, generation: j.generation})
		case err != nil:
			d.s.fail(stepRefused, "server %v: the log refuses %s: %v", d.sid, describe(j.step), err)
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

// failsWrites reports whether the next step fails.
func (d *disk) failsWrites() bool { return d.breaks != FaultKill && d.breaks != FaultRead }

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
	d.model.apply(j.step)
	d.logged(j.step)
	d.s.oracle.durable(d)
	return nil
}

// logged writes down what has become durable.
func (d *disk) logged(p *zab.Persist) {
	srv := d.s.server(d.sid)
	if p.Promise != nil {
		d.s.trace(srv, line{label: labelSetAccepted, peer: p.Promise.Leader, n: int64(p.Promise.Epoch)})
	}
	if p.Install != nil {
		d.s.trace(srv, line{label: labelInstall, point: *p.Install, n: int64(len(d.model.entries))})
	}
	if p.Truncate != nil {
		d.s.trace(srv, line{label: labelCut, point: *p.Truncate})
	}
	if len(p.Append) > 0 {
		d.s.trace(srv, line{label: labelLogged, entries: p.Append})
	}
	if p.Current != nil {
		d.s.trace(srv, line{label: labelSetCurrent, n: int64(*p.Current)})
	}
	if m := p.Membership; !m.IsZero() {
		d.s.trace(srv, line{label: labelConfigured, point: zxid.Point{ID: m.Seen.Version()}, n: int64(m.Committed.Version()), set: m.Voters()})
	}
}

// trim cuts the front of the log as far as the tree is flushed.
func (d *disk) trim(flushed zxid.Point) {
	generation, ok := d.log.Generation()
	if !ok {
		return
	}
	h := d.log.Durable().History
	upTo := min(flushed.ID, keepFrom(h, int64(d.s.keep)))
	if upTo <= h.Base.ID {
		return
	}
	if err := d.log.Trim(generation, upTo); err != nil {
		d.s.fail(stepRefused, "server %v: trim to %v: %v", d.sid, upTo, err)
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

// remains returns what a crash leaves on the disk. Of what was queued a prefix has reached it;
// power says whether the page cache is lost, too.
func (d *disk) remains(power bool) *vfs.MemFS {
	s := d.s
	for done := s.rng.IntN(len(d.queue) + 1); done > 0; done-- {
		j := d.queue[0]
		d.queue = d.queue[1:]
		if err := d.write(j); err != nil {
			d.queue = nil
			break
		}
	}
	if len(d.queue) > 0 && d.queue[0].step != nil && s.chance(0.7) {
		if image := d.tear(d.queue[0].step, power); image != nil {
			return image
		}
	}
	return d.fs.mem.CrashClone(vfs.CrashCloneCfg{})
}

// leave ends the use of the disk by a process; image is what is on it from now on.
func (d *disk) leave(image *vfs.MemFS) {
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
	d.fs.arm(keep, FaultTorn)
	err := d.log.Apply(step)
	image, imageErr := d.fs.disarm()
	if imageErr != nil {
		panic(fmt.Sprintf("sim: image of a torn disk: %v", imageErr))
	}
	if err != nil || image == nil {
		return nil // refused before anything was written
	}
	d.s.counts.Faults[FaultTorn]++
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
