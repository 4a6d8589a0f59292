package sim

import (
	"errors"
	"strings"
	"sync"

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
	keep  float64    // part of the unsynced bytes that survives
	image *vfs.MemFS // what the power cut left behind
	err   error      // of making the image
}

func newCrashFS(mem *vfs.MemFS) *crashFS { return &crashFS{FS: mem, mem: mem} }

// arm makes the next sync of a write-ahead log the moment of a power cut.
func (c *crashFS) arm(keep float64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.armed, c.keep, c.image = true, keep, nil
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
	f, err := c.FS.Create(name, category)
	return c.watch(name, f, err)
}

// ReuseForWrite implements vfs.FS.
func (c *crashFS) ReuseForWrite(from, to string, category vfs.DiskWriteCategory) (vfs.File, error) {
	f, err := c.FS.ReuseForWrite(from, to, category)
	return c.watch(to, f, err)
}

// watch follows what is written to write-ahead logs.
func (c *crashFS) watch(name string, f vfs.File, err error) (vfs.File, error) {
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
	if f.fs.armed && len(f.unsynced) > 0 {
		f.fs.armed = false
		f.fs.image, f.fs.err = f.cut()
	}
	f.fs.mu.Unlock()
	if err := do(); err != nil {
		return err
	}
	f.synced += int64(len(f.unsynced))
	f.unsynced = f.unsynced[:0]
	return nil
}

// cut makes the image of the file system at this very moment.
func (f *walFile) cut() (*vfs.MemFS, error) {
	image := f.fs.mem.CrashClone(vfs.CrashCloneCfg{})
	torn := f.unsynced[:int(f.fs.keep*float64(len(f.unsynced)))]
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
