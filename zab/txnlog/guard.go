package txnlog

import (
	"fmt"
	"strings"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// guard is the file system that the log and Pebble see. The first write, sync, creation or
// renaming that fails ends the process on the spot, with the name of the file and
// before anybody can go on, retry, or panic on a way out (hazards H-03, H-16).
//
// If Config.Fatal returns, which only tests let it do, the disk stays as it is, like that
// of a process that has ended: from the failed operation on every change goes to memory and
// is said to have succeeded, so that Pebble comes to rest instead of panicking. Nobody
// is told of such a success, since the log has failed before.
//
// Until Open returns the guard only passes errors on.
type guard struct {
	vfs.FS
	log    *Log
	armed  atomic.Bool
	memory *vfs.MemFS
}

// Unwrap lets Pebble find the file system below.
func (g *guard) Unwrap() vfs.FS { return g.FS }

// frozen reports whether the disk must not be changed any more.
func (g *guard) frozen() bool { return g.armed.Load() && g.log.failed() != nil }

// check ends the process if err is an error that tells that the disk failed. It returns
// what Pebble is to see. With a backup directory Pebble turns to that by itself when a
// write-ahead log fails.
func (g *guard) check(op, name string, err error) error {
	if err == nil || !g.armed.Load() || g.log.cfg.BackupDir != "" && strings.HasSuffix(name, ".log") {
		return err
	}
	_ = g.log.fail(fault(fmt.Sprintf("%s %s in", op, g.FS.PathBase(name)), g.log.cfg.Dir, err))
	return nil
}

// file opens a file for writing.
func (g *guard) file(op, name string, open func() (vfs.File, error)) (vfs.File, error) {
	if !g.frozen() {
		f, err := open()
		if err == nil {
			return &guardedFile{File: f, guard: g, name: name}, nil
		}
		if err := g.check(op, name, err); err != nil {
			return nil, err
		}
	}
	return g.memory.Create(g.PathBase(name), vfs.WriteCategoryUnspecified)
}

// Create implements vfs.FS.
func (g *guard) Create(name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	return g.file("create", name, func() (vfs.File, error) { return g.FS.Create(name, c) })
}

// OpenReadWrite implements vfs.FS.
func (g *guard) OpenReadWrite(name string, c vfs.DiskWriteCategory, opts ...vfs.OpenOption) (vfs.File, error) {
	return g.file("open", name, func() (vfs.File, error) { return g.FS.OpenReadWrite(name, c, opts...) })
}

// ReuseForWrite implements vfs.FS.
func (g *guard) ReuseForWrite(old, name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	return g.file("reuse", name, func() (vfs.File, error) { return g.FS.ReuseForWrite(old, name, c) })
}

// OpenDir implements vfs.FS: directories are opened to be synced.
func (g *guard) OpenDir(name string) (vfs.File, error) {
	return g.file("open", name, func() (vfs.File, error) { return g.FS.OpenDir(name) })
}

// Open implements vfs.FS.
func (g *guard) Open(name string, opts ...vfs.OpenOption) (vfs.File, error) {
	if g.frozen() {
		if f, err := g.memory.Open(g.PathBase(name), opts...); err == nil {
			return f, nil
		}
	}
	return g.FS.Open(name, opts...)
}

// Stat implements vfs.FS.
func (g *guard) Stat(name string) (vfs.FileInfo, error) {
	if g.frozen() {
		if info, err := g.memory.Stat(g.PathBase(name)); err == nil {
			return info, nil
		}
	}
	return g.FS.Stat(name)
}

// Rename implements vfs.FS.
func (g *guard) Rename(old, name string) error {
	if g.frozen() {
		return nil
	}
	return g.check("rename to", name, g.FS.Rename(old, name))
}

// Remove implements vfs.FS. Nothing is deleted in reaction to a failure.
func (g *guard) Remove(name string) error {
	if g.frozen() {
		return nil
	}
	return g.FS.Remove(name)
}

// guardedFile is a file opened for writing.
type guardedFile struct {
	vfs.File
	guard *guard
	name  string
}

// Write implements vfs.File.
func (f *guardedFile) Write(p []byte) (int, error) {
	if f.guard.frozen() {
		return len(p), nil
	}
	n, err := f.File.Write(p)
	return f.wrote(n, len(p), err)
}

// WriteAt implements vfs.File.
func (f *guardedFile) WriteAt(p []byte, at int64) (int, error) {
	if f.guard.frozen() {
		return len(p), nil
	}
	n, err := f.File.WriteAt(p, at)
	return f.wrote(n, len(p), err)
}

func (f *guardedFile) wrote(n, want int, err error) (int, error) {
	if err == nil {
		return n, nil
	}
	if err := f.guard.check("write", f.name, err); err != nil {
		return n, err
	}
	return want, nil
}

// Sync implements vfs.File.
func (f *guardedFile) Sync() error { return f.sync(f.File.Sync) }

// SyncData implements vfs.File.
func (f *guardedFile) SyncData() error { return f.sync(f.File.SyncData) }

// SyncTo implements vfs.File.
func (f *guardedFile) SyncTo(n int64) (full bool, err error) {
	err = f.sync(func() (err error) {
		full, err = f.File.SyncTo(n)
		return err
	})
	return full, err
}

func (f *guardedFile) sync(sync func() error) error {
	if f.guard.frozen() {
		return nil
	}
	return f.guard.check("sync", f.name, sync())
}
