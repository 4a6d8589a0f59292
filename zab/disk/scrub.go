package disk

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/objstorage"
	"github.com/cockroachdb/pebble/v2/sstable"
	"github.com/cockroachdb/pebble/v2/sstable/blob"
	"github.com/cockroachdb/pebble/v2/sstable/block"
	"github.com/cockroachdb/pebble/v2/sstable/colblk"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// Scrub reads every block of every table and blob file of the Pebble store in dir and compares it with
// its checksum, while the store goes on. It opens the files itself, one after the other: what it reads
// comes from the disk, neither from Pebble's cache nor, where that can be asked for, from the
// system's, and drives nothing out of Pebble's.
//
// Files are listed once, and each is read for itself: they are written once and never changed,
// so that nothing has to be kept from going on meanwhile. One that is not whole yet was not at rest, and one
// that is deleted meanwhile does not matter any more; both are left out. So is what a crash left half
// written and Pebble has not deleted yet: as long as deleting, see Deleting, returns true, at most patience, a damaged
// file may be one of those. Manifests and write-ahead logs are read when a store is opened.
//
// pace is called after each read with its length; it waits for as long as the next one has to, and
// ends Scrub with its error. The error of a file is a *FileError, which wraps ErrDamaged or is that of the
// disk. The guard's owner is not told.
func (g *Guard) Scrub(dir string, deleting func() bool, pace func(bytes int) error) error {
	names, err := g.List(dir)
	if err != nil {
		return &FileError{Op: "list", Path: dir, Offset: -1, Err: err}
	}
	slices.Sort(names)
	for _, name := range names {
		path := g.PathJoin(dir, name)
		read := scrubTable
		switch {
		case strings.HasSuffix(name, ".blob"):
			read = scrubBlob
		case !strings.HasSuffix(name, ".sst"):
			continue
		}
		if g.unfinished(path) {
			continue
		}
		stopped, err := g.scrub(path, read, pace)
		if stopped != nil {
			return stopped
		}
		if err == nil {
			continue
		}
		stays, stopped := g.stays(path, deleting, pace)
		if stopped != nil {
			return stopped
		}
		if stays {
			return err
		}
	}
	return nil
}

const (
	// patience is for how long a file in which there is damage may still be deleted.
	patience = time.Minute
	// lookEvery is how often it is looked at.
	lookEvery = 10 * time.Millisecond
)

// Deleting returns what tells whether a store has files to delete that it does not refer to.
func Deleting(db *pebble.DB) func() bool {
	return func() bool {
		m := db.Metrics()
		return m.Table.ObsoleteCount > 0 || m.BlobFiles.ObsoleteCount > 0
	}
}

// stays reports whether a file is still there when those are deleted that do not belong to the store. stopped is
// the error of pace.
func (g *Guard) stays(path string, deleting func() bool, pace func(int) error) (stays bool, stopped error) {
	for end := time.Now().Add(patience); ; time.Sleep(lookEvery) {
		done := !deleting() || g.frozen() || time.Now().After(end) // before the look at the file
		if _, gone := g.Stat(path); errors.Is(gone, fs.ErrNotExist) {
			return false, nil
		}
		if done {
			return true, nil
		}
		if err := pace(0); err != nil {
			return false, err
		}
	}
}

// scrub reads one file. stopped is the error of pace, if that has ended it, err is the file's.
func (g *Guard) scrub(path string, read func(*window) error, pace func(int) error) (stopped, err error) {
	f, err := g.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }() // only read
	info, err := f.Stat()
	if err != nil {
		return nil, &FileError{Op: "read", Path: path, Offset: -1, Err: err}
	}
	w := &window{file: f, path: path, size: info.Size(), pace: pace}
	err = read(w)
	switch known := (*FileError)(nil); {
	case w.stopped != nil:
		return w.stopped, nil
	case err == nil, errors.As(err, &known):
		return nil, err
	default:
		return nil, w.damaged(-1, err)
	}
}

// scrubTable reads all blocks of a table.
func scrubTable(w *window) error {
	o := &pebble.Options{}
	o.EnsureDefaults()
	r, err := sstable.NewReader(context.Background(), w, o.MakeReaderOptions())
	if err != nil {
		return err
	}
	defer func() { _ = r.Close() }() // closes nothing: the file is w's
	l, err := r.Layout()
	if err != nil {
		return err
	}
	handles := []block.Handle{l.TopIndex, l.RangeDel, l.RangeKey, l.ValueIndex, l.Properties, l.MetaIndex, l.BlobReferenceIndex}
	handles = slices.Concat(handles, l.Index, l.ValueBlock)
	for i := range l.Data {
		handles = append(handles, l.Data[i].Handle)
	}
	for i := range l.Filter {
		handles = append(handles, l.Filter[i].Handle)
	}
	return w.check(r.BlockReader().ChecksumType(), handles)
}

// scrubBlob reads all blocks of a blob file, whose footer was found in order when it was opened.
func scrubBlob(w *window) error {
	const kindAt = 20 // of checksum
	var footer [blobFooter]byte
	if err := w.ReadAt(context.Background(), footer[:], w.size-blobFooter); err != nil {
		return err
	}
	r, err := blob.NewFileReader(context.Background(), w, blob.FileReaderOptions{})
	if err != nil {
		return err
	}
	defer func() { _ = r.Close() }() // closes nothing: the file is w's
	index, err := r.ReadIndexBlock(context.Background(), block.NoReadEnv, nil)
	if err != nil {
		return err
	}
	defer index.Release()
	handles, err := blobBlocks(index.BlockData())
	if err != nil {
		return err
	}
	return w.check(block.ChecksumType(footer[kindAt]), append(handles, r.IndexHandle()))
}

// blobBlocks decodes the index of a blob file, which Pebble does for itself alone: a block of two columns
// behind the length of the first one. That one is for files that were rewritten; the second
// one says where each block begins, and where the last one ends.
func blobBlocks(index []byte) (handles []block.Handle, err error) {
	defer func() {
		if r := recover(); r != nil { // as Pebble takes an index that is not one
			err = fmt.Errorf("%w: the index of the blocks: %v", ErrDamaged, r)
		}
	}()
	const header = 4
	virtual := int(binary.LittleEndian.Uint32(index))
	d := colblk.DecodeBlock(index, header)
	_ = colblk.DecodeColumn(&d, 0, virtual, colblk.DataTypeUint, colblk.DecodeUnsafeUints)
	offsets := colblk.DecodeColumn(&d, 1, d.Rows()+1, colblk.DataTypeUint, colblk.DecodeUnsafeUints)
	for i := range d.Rows() {
		at, end := offsets.At(i), offsets.At(i+1)
		if end < at+block.TrailerLen {
			return nil, fmt.Errorf("%w: block %d begins at %d and ends at %d", ErrDamaged, i, at, end)
		}
		handles = append(handles, block.Handle{Offset: at, Length: end - at - block.TrailerLen})
	}
	return handles, nil
}

const (
	// windowBytes is how much of a file is read at once.
	windowBytes = 256 << 10
	// pageBytes is what the system's cache keeps or drops.
	pageBytes = 4 << 10
)

// window is a file of which a part is in memory. It implements objstorage.Readable.
type window struct {
	file vfs.File
	path string
	size int64
	pace func(bytes int) error

	at      int64 // where buf begins
	buf     []byte
	stopped error // of pace
}

var _ objstorage.Readable = (*window)(nil)

// check reads blocks and compares them with their checksums.
func (w *window) check(kind block.ChecksumType, handles []block.Handle) error {
	slices.SortFunc(handles, func(a, b block.Handle) int {
		switch {
		case a.Offset < b.Offset:
			return -1
		case a.Offset > b.Offset:
			return 1
		}
		return 0
	})
	for _, h := range handles {
		if h.Length == 0 {
			continue // there is no such block
		}
		at, end := int64(h.Offset), int64(h.Offset+h.Length+block.TrailerLen)
		if at < 0 || end < at || end > w.size {
			return w.damaged(at, fmt.Errorf("a block of %d bytes in a file of %d", h.Length, w.size))
		}
		b, err := w.part(at, end)
		if err != nil {
			return err
		}
		if err := block.ValidateChecksum(kind, b, h); err != nil {
			return w.damaged(at, err)
		}
	}
	return nil
}

// damaged is the error of what is not what was written.
func (w *window) damaged(at int64, err error) error {
	return &FileError{Op: "read", Path: w.path, Offset: at, Err: fmt.Errorf("%w: %w", ErrDamaged, err)}
}

// part returns the bytes from at to end, which lie in the file, until the next call.
func (w *window) part(at, end int64) ([]byte, error) {
	if at < w.at || end > w.at+int64(len(w.buf)) {
		if err := w.move(at, end); err != nil {
			return nil, err
		}
	}
	return w.buf[at-w.at : end-w.at], nil
}

// move reads the part of the file that begins with at, or its end if at lies in that: the blocks that tell
// of the others are there.
func (w *window) move(at, end int64) error {
	start := min(at, max(w.size-windowBytes, 0))
	start -= start % pageBytes
	n := min(max(end-start, windowBytes+pageBytes), w.size-start)
	if int64(cap(w.buf)) < n {
		w.buf = make([]byte, n)
	}
	w.at, w.buf = start, w.buf[:n]
	uncache(w.file, start, n)
	if _, err := w.file.ReadAt(w.buf, start); err != nil && !errors.Is(err, io.EOF) {
		w.buf = w.buf[:0]
		return err
	}
	if err := w.pace(int(n)); err != nil {
		w.stopped, w.buf = err, w.buf[:0]
		return err
	}
	return nil
}

// ReadAt implements objstorage.Readable.
func (w *window) ReadAt(_ context.Context, p []byte, off int64) error {
	end := off + int64(len(p))
	if off < 0 || end > w.size {
		return w.damaged(off, fmt.Errorf("%d bytes in a file of %d", len(p), w.size))
	}
	b, err := w.part(off, end)
	if err != nil {
		return err
	}
	copy(p, b)
	return nil
}

// Close implements objstorage.Readable.
func (w *window) Close() error { return nil }

// Size implements objstorage.Readable.
func (w *window) Size() int64 { return w.size }

// NewReadHandle implements objstorage.Readable.
func (w *window) NewReadHandle(objstorage.ReadBeforeSize) objstorage.ReadHandle {
	h := objstorage.MakeNoopReadHandle(w)
	return &h
}
