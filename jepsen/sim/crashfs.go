package sim

import (
	"errors"
	"io/fs"
	"strings"
	"sync"
	"syscall"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// crashFS is a file system in memory that can lose power in the middle of a sync. What
// survives is what was synced before, and of the write-ahead log that was being synced a
// prefix of the new bytes.
type crashFS struct {
	vfs.FS
	mem *vfs.MemFS

	mu    sync.Mutex // Pebble syncs on a goroutine of its own
	armed bool
	fault Fault      // what happens: FaultTorn, or one of the errors of a disk
	keep  float64    // part of the unsynced bytes that survives
	image *vfs.MemFS // what the power cut left behind
	err   error      // of making the image

	reads  int // reads that still succeed; -1: all
	unread bool

	tree     *treeBreak // what fails below the tree
	treeRead string     // reads of which files of it fail: those with this in their names; "": none
	treeMiss bool       // one has
}

func newCrashFS(mem *vfs.MemFS) *crashFS { return &crashFS{FS: mem, mem: mem, reads: -1} }

// arm makes the next sync of a write-ahead log the moment of a power cut, or of an error of the disk.
func (c *crashFS) arm(keep float64, fault Fault) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.armed, c.fault, c.keep, c.image = true, fault, keep, nil
}

// failRead lets a read fail, after some that succeed.
func (c *crashFS) failRead(after int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.reads, c.unread = after, false
}

// readFailed ends that, and reports whether one has failed.
func (c *crashFS) readFailed() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.reads = -1
	return c.unread
}

// failTree lets reads of the tree fail, of those files that have what in their names; "": of none.
func (c *crashFS) failTree(what string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.treeRead, c.treeMiss = what, false
}

// treeUnread ends that, and reports whether one has failed.
func (c *crashFS) treeUnread() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.treeRead = ""
	return c.treeMiss
}

// read is asked before every read.
func (c *crashFS) read(name string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.treeRead != "" && strings.HasPrefix(name, treeDir) && strings.Contains(name, c.treeRead) {
		c.treeMiss = true
		return syscall.EIO
	}
	if c.reads < 0 {
		return nil
	}
	if c.reads == 0 {
		c.unread = true
		return syscall.EIO
	}
	c.reads--
	return nil
}

// disarm returns what the power cut left behind, nil if there was none.
func (c *crashFS) disarm() (*vfs.MemFS, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.armed = false
	return c.image, c.err
}

// Create implements vfs.FS.
func (c *crashFS) Create(name string, category vfs.DiskWriteCategory) (vfs.File, error) {
	if err := c.changes(opMake, name); err != nil {
		return nil, err
	}
	f, err := c.FS.Create(name, category)
	return c.watch(name, f, err)
}

// ReuseForWrite implements vfs.FS.
func (c *crashFS) ReuseForWrite(from, to string, category vfs.DiskWriteCategory) (vfs.File, error) {
	if err := c.changes(opMake, to); err != nil {
		return nil, err
	}
	f, err := c.FS.ReuseForWrite(from, to, category)
	return c.watch(to, f, err)
}

// Open implements vfs.FS.
func (c *crashFS) Open(name string, opts ...vfs.OpenOption) (vfs.File, error) {
	if err := c.read(name); err != nil {
		return nil, &fs.PathError{Op: "open", Path: name, Err: err}
	}
	f, err := c.FS.Open(name, opts...)
	if err != nil {
		return nil, err
	}
	return &readFile{File: f, fs: c, name: name}, nil
}

// readFile is a file that may fail to be read.
type readFile struct {
	vfs.File
	fs   *crashFS
	name string
}

// Read implements vfs.File.
func (f *readFile) Read(p []byte) (int, error) {
	if err := f.fs.read(f.name); err != nil {
		return 0, &fs.PathError{Op: "read", Path: f.name, Err: err}
	}
	return f.File.Read(p)
}

// ReadAt implements vfs.File.
func (f *readFile) ReadAt(p []byte, at int64) (int, error) {
	if err := f.fs.read(f.name); err != nil {
		return 0, &fs.PathError{Op: "read", Path: f.name, Err: err}
	}
	return f.File.ReadAt(p, at)
}

// watch follows what is written to write-ahead logs and to the tree.
func (c *crashFS) watch(name string, f vfs.File, err error) (vfs.File, error) {
	if err == nil && strings.HasPrefix(name, treeDir) {
		return &treeFile{File: f, fs: c, name: name}, nil
	}
	if err != nil || !strings.HasSuffix(name, ".log") {
		return f, err
	}
	return &walFile{File: f, fs: c, name: name}, nil
}

// walFile is a write-ahead log that remembers what was not synced. Pebble uses it from one
// goroutine at a time.
type walFile struct {
	vfs.File
	fs       *crashFS
	name     string
	synced   int64
	unsynced []byte
}

// Write implements vfs.File.
func (f *walFile) Write(p []byte) (int, error) {
	f.fs.mu.Lock()
	defer f.fs.mu.Unlock()
	if c := f.fs; c.armed && (c.fault == FaultWrite || c.fault == FaultFull) && len(p) > 0 {
		c.armed = false
		n := int(c.keep * float64(len(p)))
		f.unsynced = append(f.unsynced, p[:n]...)
		c.image, c.err = f.cut(1)
		return n, &fs.PathError{Op: "write", Path: f.name, Err: c.cause()}
	}
	n, err := f.File.Write(p)
	f.unsynced = append(f.unsynced, p[:n]...)
	return n, err
}

// Sync implements vfs.File.
func (f *walFile) Sync() error { return f.sync(f.File.Sync) }

// SyncData implements vfs.File.
func (f *walFile) SyncData() error { return f.sync(f.File.SyncData) }

// SyncTo implements vfs.File: nothing is promised.
func (f *walFile) SyncTo(int64) (bool, error) { return false, nil }

func (f *walFile) sync(do func() error) error {
	f.fs.mu.Lock()
	if c := f.fs; c.armed && (c.fault == FaultTorn || c.fault == FaultFsync) && len(f.unsynced) > 0 {
		c.armed = false
		c.image, c.err = f.cut(c.keep)
		if c.fault == FaultFsync {
			c.mu.Unlock()
			return &fs.PathError{Op: "sync", Path: f.name, Err: c.cause()}
		}
	}
	f.fs.mu.Unlock()
	if err := do(); err != nil {
		return err
	}
	f.synced += int64(len(f.unsynced))
	f.unsynced = f.unsynced[:0]
	return nil
}

// cause is the error of a broken disk.
func (c *crashFS) cause() error {
	if c.fault == FaultFull {
		return syscall.ENOSPC
	}
	return syscall.EIO
}

// cut makes the image of the file system at this very moment; keep is the part of the unsynced bytes
// that survives.
func (f *walFile) cut(keep float64) (*vfs.MemFS, error) {
	image := f.fs.mem.CrashClone(vfs.CrashCloneCfg{})
	torn := f.unsynced[:int(keep*float64(len(f.unsynced)))]
	if len(torn) == 0 {
		return image, nil
	}
	g, err := image.OpenReadWrite(f.name, vfs.WriteCategoryUnspecified)
	if err != nil {
		return image, nil // the file's name was not durable
	}
	_, err = g.WriteAt(torn, f.synced)
	if err == nil {
		err = g.Sync()
	}
	return image, errors.Join(err, g.Close())
}
