package disk

import (
	"errors"
	"io"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/rs/zerolog"
)

// Owner is the store above a Guard. Its methods may be called from any goroutine, with
// Pebble's locks held.
type Owner interface {
	// Fail records the first failure of the disk and ends the process. When it returns, as in
	// tests, Failed is true from then on.
	Fail(err *FileError)
	// Failed reports whether the disk must be left alone.
	Failed() bool
	// Survives reports whether the owner goes on without a file that cannot be written.
	Survives(path string) bool
}

// Guard is the file system that a store and Pebble see; see the package comment.
//
// If the owner's Fail returns, which only tests let it do, the disk stays as it is, like that
// of a process that has ended: from the failed operation on every change goes to memory and
// is said to have succeeded, so that Pebble comes to rest instead of panicking. Nobody
// is told of such a success, since the owner has failed before.
type Guard struct {
	vfs.FS
	owner  Owner
	armed  atomic.Bool
	memory *vfs.MemFS

	mu      sync.Mutex
	writing map[string]int // files that are open since they were created: not whole yet
}

// NewGuard returns a guard over a file system that is not armed yet.
func NewGuard(fs vfs.FS, owner Owner) *Guard {
	return &Guard{FS: fs, owner: owner, memory: vfs.NewMem(), writing: map[string]int{}}
}

// Arm makes the next failure the last one.
func (g *Guard) Arm() { g.armed.Store(true) }

// Unwrap lets Pebble find the file system below.
func (g *Guard) Unwrap() vfs.FS { return g.FS }

// frozen reports whether the disk must not be changed any more.
func (g *Guard) frozen() bool { return g.armed.Load() && g.owner.Failed() }

// check ends the process if err is an error that tells that the disk failed. It returns
// what Pebble is to see.
func (g *Guard) check(op, path string, at int64, err error) error {
	if err == nil {
		return nil
	}
	named := &FileError{Op: op, Path: path, Offset: at, Err: err}
	if !g.armed.Load() || g.owner.Survives(path) {
		return named
	}
	g.owner.Fail(named)
	return nil
}

// file opens a file for writing. It is noted before it is there, so that whoever finds it knows that it is not whole.
func (g *Guard) file(op, name string, open func() (vfs.File, error)) (vfs.File, error) {
	if !g.frozen() {
		g.note(name, 1)
		f, err := open()
		if err == nil {
			return &guardedFile{File: f, guard: g, path: name}, nil
		}
		g.note(name, -1)
		if err := g.check(op, name, -1, err); err != nil {
			return nil, err
		}
	}
	return g.memory.Create(g.PathBase(name), vfs.WriteCategoryUnspecified)
}

// note counts how often a file is open for writing.
func (g *Guard) note(name string, more int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.writing[name] += more; g.writing[name] <= 0 {
		delete(g.writing, name)
	}
}

// unfinished reports whether a file is being written.
func (g *Guard) unfinished(name string) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.writing[name] > 0
}

// Create implements vfs.FS.
func (g *Guard) Create(name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	return g.file("create", name, func() (vfs.File, error) { return g.FS.Create(name, c) })
}

// OpenReadWrite implements vfs.FS.
func (g *Guard) OpenReadWrite(name string, c vfs.DiskWriteCategory, opts ...vfs.OpenOption) (vfs.File, error) {
	return g.file("open", name, func() (vfs.File, error) { return g.FS.OpenReadWrite(name, c, opts...) })
}

// ReuseForWrite implements vfs.FS.
func (g *Guard) ReuseForWrite(old, name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	return g.file("reuse", name, func() (vfs.File, error) { return g.FS.ReuseForWrite(old, name, c) })
}

// OpenDir implements vfs.FS: directories are opened to be synced.
func (g *Guard) OpenDir(name string) (vfs.File, error) {
	return g.file("open", name, func() (vfs.File, error) { return g.FS.OpenDir(name) })
}

// Open implements vfs.FS.
func (g *Guard) Open(name string, opts ...vfs.OpenOption) (vfs.File, error) {
	if g.frozen() {
		if f, err := g.memory.Open(g.PathBase(name), opts...); err == nil {
			return f, nil
		}
	}
	f, err := g.FS.Open(name, opts...)
	if err != nil {
		return nil, err
	}
	r := &readFile{File: f, path: name}
	if err := g.checkBlob(r); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return r, nil
}

// Stat implements vfs.FS.
func (g *Guard) Stat(name string) (vfs.FileInfo, error) {
	if g.frozen() {
		if info, err := g.memory.Stat(g.PathBase(name)); err == nil {
			return info, nil
		}
	}
	return g.FS.Stat(name)
}

// Rename implements vfs.FS.
func (g *Guard) Rename(old, name string) error {
	if g.frozen() {
		return nil
	}
	return g.check("rename to", name, -1, g.FS.Rename(old, name))
}

// Link implements vfs.FS. Whoever cannot link copies.
func (g *Guard) Link(old, name string) error {
	if g.frozen() {
		return nil
	}
	return g.FS.Link(old, name)
}

// MkdirAll implements vfs.FS.
func (g *Guard) MkdirAll(dir string, perm os.FileMode) error {
	if g.frozen() {
		return nil
	}
	return g.check("make", dir, -1, g.FS.MkdirAll(dir, perm))
}

// Remove implements vfs.FS. Nothing is deleted in reaction to a failure.
func (g *Guard) Remove(name string) error {
	if g.frozen() {
		return nil
	}
	return g.FS.Remove(name)
}

// RemoveAll implements vfs.FS, like Remove.
func (g *Guard) RemoveAll(name string) error {
	if g.frozen() {
		return nil
	}
	return g.FS.RemoveAll(name)
}

// guardedFile is a file opened for writing.
type guardedFile struct {
	vfs.File
	guard *Guard
	path  string
	end   atomic.Int64 // of what Write has written
}

// Close implements vfs.File.
func (f *guardedFile) Close() error {
	defer f.guard.note(f.path, -1)
	return f.File.Close()
}

// Write implements vfs.File.
func (f *guardedFile) Write(p []byte) (int, error) {
	if f.guard.frozen() {
		return len(p), nil
	}
	n, err := f.File.Write(p)
	if err != nil {
		return f.short(n, len(p), f.end.Load()+int64(n), err)
	}
	f.end.Add(int64(n))
	return n, nil
}

// WriteAt implements vfs.File.
func (f *guardedFile) WriteAt(p []byte, at int64) (int, error) {
	if f.guard.frozen() {
		return len(p), nil
	}
	n, err := f.File.WriteAt(p, at)
	if err != nil {
		return f.short(n, len(p), at+int64(n), err)
	}
	return n, nil
}

func (f *guardedFile) short(n, want int, at int64, err error) (int, error) {
	if err := f.guard.check("write", f.path, at, err); err != nil {
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
	if err := sync(); err != nil {
		return f.guard.check("sync", f.path, f.end.Load(), err)
	}
	return nil
}

// readFile is a file opened for reading; its errors tell where.
type readFile struct {
	vfs.File
	path string
	at   int64 // of the next Read; one goroutine reads
}

// Read implements vfs.File.
func (f *readFile) Read(p []byte) (int, error) {
	n, err := f.File.Read(p)
	f.at += int64(n)
	return n, f.named(f.at, err)
}

// ReadAt implements vfs.File.
func (f *readFile) ReadAt(p []byte, at int64) (int, error) {
	n, err := f.File.ReadAt(p, at)
	return n, f.named(at, err)
}

func (f *readFile) named(at int64, err error) error {
	if err == nil || errors.Is(err, io.EOF) {
		return err
	}
	return &FileError{Op: "read", Path: f.path, Offset: at, Err: err}
}

// slowDisk is how long an operation of the disk may take before it is told.
const slowDisk = 2 * time.Second

// Watched is the operating system's file system, watched for stalls (hazard H-74) until it is
// closed.
func Watched(logger zerolog.Logger) (vfs.FS, io.Closer) {
	return vfs.WithDiskHealthChecks(vfs.Default, slowDisk, nil, func(info vfs.DiskSlowInfo) {
		logger.Warn().Str("path", info.Path).Stringer("op", info.OpType).
			Dur("took_ms", info.Duration).Msg("disk is slow")
	})
}
