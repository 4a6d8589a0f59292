package sim

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/zabkeeper/zabkeeper/quorum"
	"github.com/zabkeeper/zabkeeper/zab/zxid"
	"github.com/zabkeeper/zabkeeper/znode/store"
)

// Faults of the disk below a tree come only where the trees are on disk. They are what server/node has to
// refuse to start with, or to end with.

// treeFaults is how many of a hundred ensembles with trees on disk have them.
const treeFaults = 80

// wantTreeFaults lets them happen.
func (s *simulation) wantTreeFaults() {
	if !s.real || source(s.cfg.Seed, streamTree).IntN(100) >= treeFaults {
		return
	}
	s.treeBreaks = true
	for _, f := range []Fault{FaultTreeFlush, FaultTreeRead, FaultTreeBits, FaultTreeOld} {
		s.nemesis.want(f)
	}
}

// failFlush lets the next flush that has something to write fail.
func (a *act) failFlush() {
	if a.v.proc.alive() {
		a.v.disk.breaksFlush = drawBreak(a.rng, FaultTreeFlush, treeForm(a.rng.IntN(int(numFlushForms))))
	}
}

// unreadableTree lets the next start fail to read the tree: all of it, the list of its tables, or the tables.
func (a *act) unreadableTree() {
	what := []string{treeDir, "MANIFEST", ".sst"}[a.rng.IntN(3)]
	a.v.proc.crash(a.chance(0.5))
	a.v.disk.unreadable = what
	a.restartLater(a.v, a.between(50*time.Millisecond, 3*time.Second))
}

// damageTree damages the tables of a server that is down. It must refuse to start, and say so; the operator
// does what docs/operations.md says: he empties the directories. That makes it a wiped server, which must be
// one that the ensemble can do without.
func (a *act) damageTree() {
	v := a.v
	if !v.disk.tabled || !a.dispensable(v) {
		return
	}
	v.proc.crash(true)
	what, n := v.disk.damage(a.rng)
	if n > 0 {
		a.note(FaultTreeBits, v, what)
		v.disk.damaged, v.disk.unreadable, v.disk.breaks = true, "", FaultKill
		a.replaceDisk(v)
	}
	a.restartLater(v, a.between(50*time.Millisecond, 2*time.Second))
}

// replaceDisk holds a server to its refusal to start, and empties its directories.
func (a *act) replaceDisk(v *server) {
	v.start()
	if v.proc.alive() {
		a.fail(failsSafe, "server %v: it has started with a tree that it must refuse", v.sid)
	}
	v.disk.maybe = nil
	v.disk.wipe()
}

// damage damages all tables of a tree, so that it is the same for every order in which Pebble has written
// them. It returns what it did, and to how many.
func (d *disk) damage(rng *rand.Rand) (what string, n int) {
	mem, dir := d.fs.mem, treeDir+"/tree"
	how, bit := rng.IntN(5), byte(1)<<rng.IntN(8)
	at := rng.IntN(8)
	what = []string{"bits in the footers", "bits everywhere", "half of each table", "zeroes", "no tables"}[how]
	names, err := mem.List(dir)
	if err != nil {
		return what, 0 // there is no tree yet
	}
	slices.Sort(names)
	for _, name := range names {
		if !strings.HasSuffix(name, ".sst") {
			continue
		}
		n++
		d.rewrite(path.Join(dir, name), func(b []byte) []byte {
			switch how {
			case 0:
				if len(b) > at { // one that was never synced is empty
					b[len(b)-1-at] ^= bit
				}
			case 1:
				for i := at; i < len(b); i += 16 {
					b[i] ^= bit
				}
			case 2:
				b = b[:len(b)/2]
			case 3:
				clear(b)
			default:
				b = nil
			}
			return b
		})
	}
	return what, n
}

// rewrite changes what is durable of a file; nil: the file is gone.
func (d *disk) rewrite(name string, change func([]byte) []byte) {
	mem := d.fs.mem
	err := func() error {
		f, err := mem.Open(name)
		if err != nil {
			return err
		}
		b, err := io.ReadAll(f)
		if err = errors.Join(err, f.Close()); err != nil {
			return err
		}
		if b = change(b); b == nil {
			err = mem.Remove(name)
		} else if f, err = mem.Create(name, vfs.WriteCategoryUnspecified); err == nil {
			_, err = f.Write(b)
			err = errors.Join(err, f.Sync(), f.Close())
		}
		if err != nil {
			return err
		}
		dir, err := mem.OpenDir(path.Dir(name))
		if err != nil {
			return err
		}
		return errors.Join(dir.Sync(), dir.Close())
	}()
	if err != nil {
		panic(fmt.Sprintf("sim: damage %s: %v", name, err))
	}
}

// backup is a copy of the directory of a tree, made while its server was down.
type backup struct {
	files *vfs.MemFS
	at    zxid.Point
	table bool // as disk.tabled
	life  quorum.Incarnation
}

// copyTree copies the directory of a tree from one disk to another.
func copyTree(from, to *vfs.MemFS) {
	if _, err := vfs.Clone(from, to, treeDir, treeDir, vfs.CloneSync); err != nil {
		panic(fmt.Sprintf("sim: copy a tree: %v", err))
	}
	root, err := to.OpenDir("/")
	if err == nil {
		err = errors.Join(root.Sync(), root.Close())
	}
	if err != nil {
		panic(fmt.Sprintf("sim: copy a tree: %v", err))
	}
}

// oldTree makes a copy of a server's tree, and later puts it into the place of the tree, alone.
func (a *act) oldTree() {
	v := a.v
	if !v.proc.alive() || v.disk.tainted {
		return
	}
	b := &backup{files: vfs.NewCrashableMem(), at: v.proc.app.tree.flushed(), table: v.disk.tabled, life: v.disk.model.incarnation}
	v.proc.crash(true)
	copyTree(v.disk.fs.mem, b.files)
	a.restartLater(v, a.between(20*time.Millisecond, 500*time.Millisecond))
	a.later(a.between(500*time.Millisecond, 5*time.Second), func() { a.restore(v, b) })
}

// restore puts the copy back. A tree that is only older than the log is brought up to date by it; one from
// before the log's beginning is refused, and the operator empties both directories.
func (a *act) restore(v *server, b *backup) {
	d := v.disk
	fits, spare := v.proc.alive() && d.continues(b.at), a.dispensable(v)
	if d.model.incarnation != b.life || !fits && !spare {
		return
	}
	v.proc.crash(true)
	d.unreadable, d.breaks = "", FaultKill
	if err := d.fs.mem.RemoveAll(treeDir); err != nil {
		panic(fmt.Sprintf("sim: remove a tree: %v", err))
	}
	copyTree(b.files, d.fs.mem)
	a.note(FaultTreeOld, v, fmt.Sprintf("at %v", b.at.ID))
	d.restored, d.tabled = true, b.table
	v.start()
	switch {
	case v.proc.alive():
	case fits:
		a.fail(failsSafe, "server %v: it refuses a tree at %v, from where its log goes on", v.sid, b.at)
	default:
		a.counts.Refusals++
		d.maybe = nil
		d.wipe()
		a.restartLater(v, a.between(50*time.Millisecond, 2*time.Second))
	}
}

// continues reports whether the log goes on from a point of its history, whatever becomes of the steps that
// are queued.
func (d *disk) continues(at zxid.Point) bool {
	if _, pending := d.log.Intent(); pending || d.log.Durable().History.Base.ID > at.ID {
		return false
	}
	return !slices.ContainsFunc(d.queue, func(j job) bool { return j.step != nil && j.step.Install != nil })
}

// openTree opens the tree. False: it could not be read, or is damaged, and the process has ended as it must.
func (d *disk) openTree() (state, bool) {
	if !d.s.real {
		return &twin{d.saved.clone(), d}, true
	}
	what := d.unreadable
	d.unreadable = ""
	d.fs.failTree(what)
	t, err := d.openStore()
	broken := d.fs.treeUnread()
	switch {
	case broken && err == nil:
		d.s.fail(failsSafe, "server %v: the tree could not be read (%s), and was opened", d.sid, what)
	case broken:
		d.s.counts.Faults[FaultTreeRead]++
		d.s.trace(nil, line{label: labelFault, peer: d.sid, text: FaultTreeRead.String() + " " + what})
		d.refuse(err, "the tree cannot be read")
		return nil, false
	case err != nil && d.damaged && errors.Is(err, store.ErrCorrupt):
		d.s.counts.Refusals++
		d.refuse(err, "the tree is damaged")
		return nil, false
	case err != nil:
		d.s.fail(stateIsFold, "server %v: the tree does not open: %v", d.sid, err)
	}
	d.tabled = d.tabled || t.at() != zxid.Point{}
	return t, true
}

// refuse ends a start.
func (d *disk) refuse(err error, why string) {
	if !strings.Contains(err.Error(), treeDir) {
		d.s.fail(failsSafe, "server %v: %v names no directory", d.sid, err)
	}
	d.reported() // by Pebble's background work, which may have met it as well, or not
	d.s.counts.Crashes++
	d.s.trace(d.s.server(d.sid), line{label: labelExit, text: why})
	d.leave(d.fs.mem.CrashClone(vfs.CrashCloneCfg{}))
}
