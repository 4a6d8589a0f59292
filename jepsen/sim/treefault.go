package sim

import (
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"path"
	"strings"
	"syscall"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	zabdisk "github.com/zabkeeper/zabkeeper/zab/disk"
)

// treeForm is which operations on the files of a tree fail. Pebble flushes and compacts on goroutines of
// its own, so that which operation is the n-th depends on the day. Each form is such that it does not
// matter whose operation is the first to fail: what is on the disk afterwards means the same.
type treeForm uint8

const (
	treeAll      treeForm = iota // whatever changes something
	treeTables                   // on tables
	treeManifest                 // on the list of tables, whose last record may be torn
	treeSyncs                    // syncs, of directories as well
	treeStaging                  // the n-th step that makes, syncs or removes something of an incoming snapshot
	treeSwap                     // on the list of tables, while an incoming snapshot becomes the tree
	numTreeForms
)

// numFlushForms is how many of them a flush can meet.
const numFlushForms = treeSyncs + 1

var treeFormNames = [numTreeForms]string{"everything", "tables", "manifest", "syncs", "staging", "swap"}

// Operations that change something.
const (
	opWrite  = "write"
	opSync   = "sync"
	opRemove = "remove"
	opLink   = "link"
	opMake   = "make"
)

// treeBreak is an error of the disk below a tree: from the first operation that it concerns on nothing can
// be changed any more.
type treeBreak struct {
	fault Fault
	form  treeForm
	after int // operations that it concerns and that still succeed
	errno syscall.Errno
	keep  float64 // part of a write to the list of tables that gets done

	linked bool // tables of a snapshot are on their way into the tree
	failed bool
	torn   tornWrite
}

// tornWrite is what got done of a write.
type tornWrite struct {
	name  string
	at    int64
	bytes []byte
}

// drawBreak makes up what fails in one form.
func drawBreak(rng *rand.Rand, fault Fault, form treeForm) *treeBreak {
	b := &treeBreak{fault: fault, form: form, errno: syscall.EIO, keep: rng.Float64()}
	if rng.IntN(3) == 0 && form != treeSyncs {
		b.errno = syscall.ENOSPC
	}
	return b
}

// concerns reports whether an operation is one that is to fail.
func (b *treeBreak) concerns(op, name string) bool {
	manifest := strings.HasPrefix(path.Base(name), "MANIFEST")
	switch b.form {
	case treeTables:
		return strings.HasSuffix(name, ".sst")
	case treeManifest:
		return manifest
	case treeSyncs:
		return op == opSync
	case treeStaging:
		return op != opWrite && strings.HasPrefix(name, stagingRoot)
	case treeSwap:
		b.linked = b.linked || op == opLink
		return b.linked && manifest
	default:
		return true
	}
}

// String says what fails.
func (b *treeBreak) String() string {
	return fmt.Sprintf("%s: %v, after %d", treeFormNames[b.form], b.errno, b.after)
}

// breakTree lets the disk fail below the tree; nil: not any more, unless it has.
func (c *crashFS) breakTree(b *treeBreak) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.tree == nil || !c.tree.failed {
		c.tree = b
	}
}

// treeBroken returns how the disk has failed below the tree, nil if it has not.
func (c *crashFS) treeBroken() *treeBreak {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.tree == nil || !c.tree.failed {
		return nil
	}
	return c.tree
}

// treeBreaks reports whether it will fail, or has failed.
func (c *crashFS) treeBreaks() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.tree != nil
}

// change is asked before everything that changes something below the tree. first: this very operation
// breaks the disk.
func (c *crashFS) change(op, name string) (b *treeBreak, first bool, err error) {
	if !strings.HasPrefix(name, treeDir+"/") {
		return nil, false, nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	b = c.tree
	if b == nil {
		return nil, false, nil
	}
	if !b.failed {
		if !b.concerns(op, name) {
			return b, false, nil
		}
		if b.after > 0 {
			b.after--
			return b, false, nil
		}
		b.failed, first = true, true
	}
	return b, first, &fs.PathError{Op: op, Path: name, Err: b.errno}
}

// changes is change for who need not know more.
func (c *crashFS) changes(op, name string) error {
	_, _, err := c.change(op, name)
	return err
}

// Link implements vfs.FS. What is linked counts for where it comes from.
func (c *crashFS) Link(from, to string) error {
	if err := c.changes(opLink, from); err != nil {
		return err
	}
	return c.FS.Link(from, to)
}

// Remove implements vfs.FS.
func (c *crashFS) Remove(name string) error {
	if err := c.changes(opRemove, name); err != nil {
		return err
	}
	return c.FS.Remove(name)
}

// RemoveAll implements vfs.FS.
func (c *crashFS) RemoveAll(name string) error {
	if err := c.changes(opRemove, name); err != nil {
		return err
	}
	return c.FS.RemoveAll(name)
}

// Rename implements vfs.FS.
func (c *crashFS) Rename(from, to string) error {
	if err := c.changes(opMake, to); err != nil {
		return err
	}
	return c.FS.Rename(from, to)
}

// MkdirAll implements vfs.FS.
func (c *crashFS) MkdirAll(dir string, perm fs.FileMode) error {
	if err := c.changes(opMake, dir); err != nil {
		return err
	}
	return c.FS.MkdirAll(dir, perm)
}

// OpenDir implements vfs.FS: directories are opened to be synced.
func (c *crashFS) OpenDir(name string) (vfs.File, error) {
	f, err := c.FS.OpenDir(name)
	if err != nil || !strings.HasPrefix(name, treeDir) {
		return f, err
	}
	return &treeFile{File: f, fs: c, name: name}, nil
}

// treeFile is a file of a tree, or a directory, that may fail to be written.
type treeFile struct {
	vfs.File
	fs   *crashFS
	name string
	end  int64
}

// Write implements vfs.File. Of a record of the list of tables a part may get done.
func (f *treeFile) Write(p []byte) (int, error) {
	b, first, err := f.fs.change(opWrite, f.name)
	if err == nil {
		n, err := f.File.Write(p)
		f.end += int64(n)
		return n, err
	}
	if first && b.form == treeManifest && len(p) > 0 {
		n := int(b.keep * float64(len(p)))
		f.fs.mu.Lock()
		defer f.fs.mu.Unlock()
		b.torn = tornWrite{f.name, f.end, append([]byte(nil), p[:n]...)}
		return n, err
	}
	return 0, err
}

// Sync implements vfs.File.
func (f *treeFile) Sync() error {
	if err := f.fs.changes(opSync, f.name); err != nil {
		return err
	}
	return f.File.Sync()
}

// SyncData implements vfs.File.
func (f *treeFile) SyncData() error {
	if err := f.fs.changes(opSync, f.name); err != nil {
		return err
	}
	return f.File.SyncData()
}

// SyncTo implements vfs.File: nothing is promised.
func (f *treeFile) SyncTo(int64) (bool, error) { return false, nil }

// into adds to what survived of a disk what got done of a write that failed.
func (w *tornWrite) into(image *vfs.MemFS) error {
	if len(w.bytes) == 0 {
		return nil
	}
	info, err := image.Stat(w.name)
	if err != nil || info.Size() != w.at {
		return nil //nolint:nilerr // what was before it is not there: then it is not, either
	}
	f, err := image.OpenReadWrite(w.name, vfs.WriteCategoryUnspecified)
	if err != nil {
		return err
	}
	_, err = f.WriteAt(w.bytes, w.at)
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

// errTreeBroken unwinds the turn in which the disk has failed below the tree.
var errTreeBroken = errors.New("sim: the disk failed below the tree")

// treeEnds ends the process because its tree could not be written, as server/node ends it. err is what the
// store said; it must have said something, and must have called it fatal, once and with directory and
// kind, unless it only could not remove something, which is an error like another.
func (d *disk) treeEnds(b *treeBreak, err error) {
	told := d.reported()
	kind := zabdisk.ErrIO
	if b.errno == syscall.ENOSPC {
		kind = zabdisk.ErrFull
	}
	switch {
	case len(told) == 0 && err == nil:
		d.s.fail(failsSafe, "server %v: the disk failed below the tree (%v), and nobody noticed", d.sid, b)
	case len(told) > 1:
		d.s.fail(failsSafe, "server %v: the disk failed once below the tree, %d errors were called fatal: %v", d.sid, len(told), told)
	case len(told) == 1 && (!strings.Contains(told[0].Error(), treeDir) || !errors.Is(told[0], kind)):
		d.s.fail(failsSafe, "server %v: %v names no directory, or is not %v", d.sid, told[0], kind)
	}
	panic(errTreeBroken)
}

// treeBroke is the end that treeEnds has begun. What the log had to write is lost or not, as in a power cut.
func (p *process) treeBroke() {
	s, d := p.s, p.disk
	b := d.fs.treeBroken()
	s.counts.Crashes++
	s.counts.Faults[b.fault]++
	s.trace(nil, line{label: labelFault, peer: p.sid, text: b.fault.String() + " " + b.String()})
	s.trace(p.server, line{label: labelExit, text: "the disk failed below the tree"})
	power := s.chance(0.5)
	image := d.remains(true)
	if err := b.torn.into(image); err != nil {
		panic(fmt.Sprintf("sim: image of a disk that failed below the tree: %v", err))
	}
	p.end(power, image)
	d.reported() // of a store that could not remove something: closing it has written
	s.restartLater(p.server, s.between(50*time.Millisecond, 3*time.Second))
}
