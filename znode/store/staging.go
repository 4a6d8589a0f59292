package store

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"

	"github.com/cespare/xxhash/v2"
	"github.com/cockroachdb/pebble/v2/objstorage/objstorageprovider"
	"github.com/cockroachdb/pebble/v2/sstable"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/zabkeeper/zabkeeper/zab/zxid"
)

const (
	// stagedTableBytes is where a staged table file ends and the next begins.
	stagedTableBytes = 32 << 20
	// completeFile says that a staging is whole; it is written last.
	completeFile = "COMPLETE"
	lowestLevel  = 6
	maxName      = 64
	// maxTables bounds what a COMPLETE file may claim: 2 TiB.
	maxTables = 1 << 16
)

// ErrNotStaged means that there is no complete staging of that name.
var ErrNotStaged = errors.New("no complete staged snapshot")

// Staging takes a snapshot stream into table files beside the live tree, which it never
// touches. One goroutine uses it.
type Staging struct {
	store *Store
	name  string
	dir   string
	about complete

	// The stream.
	number uint32 // of the next chunk
	audit  audit
	hash   *xxhash.Digest
	ended  bool // the trailer came and agreed
	// unmarked is set when the stream has no column of marks, though the nodes need one.
	unmarked bool

	table *sstable.Writer // nil between tables
	err   error           // of the first failure; nothing is taken after it
	whole bool            // Finish succeeded
}

// complete is the content of completeFile.
type complete struct {
	generation uint64 // that the live tree has after the replacement
	tables     uint32 // files 1.sst .. n.sst
	at         zxid.Point
}

// Stage begins to take a snapshot stream, under a name of letters, digits, '.', '_' and
// '-'. What an earlier staging of that name left is deleted.
func (s *Store) Stage(name string) (*Staging, error) {
	if err := s.refusal(); err != nil {
		return nil, err
	}
	if !validName(name) {
		return nil, fmt.Errorf("store: stage: invalid name %q", name)
	}
	s.mu.Lock()
	generation := s.origin.generation + 1
	s.mu.Unlock()
	st := &Staging{store: s, name: name, dir: s.stagingPath(name), hash: xxhash.New()}
	st.about.generation = generation
	if err := s.fs.RemoveAll(st.dir); err != nil {
		return nil, fmt.Errorf("store: stage %s: %w", st.dir, err)
	}
	if err := mkdirSynced(s.fs, st.dir); err != nil {
		return nil, fmt.Errorf("store: stage %s: %w", st.dir, err)
	}
	return st, nil
}

// validName reports whether name can be a directory of ours.
func validName(name string) bool {
	if name == "" || len(name) > maxName || name[0] == '.' {
		return false
	}
	for _, c := range []byte(name) {
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9':
		case c == '.', c == '_', c == '-':
		default:
			return false
		}
	}
	return true
}

func (s *Store) stagingPath(name string) string {
	return s.fs.PathJoin(s.cfg.Dir, stagingDir, name)
}

func tableName(n uint32) string { return fmt.Sprintf("%d.sst", n) }

// Name returns the name that the staging was begun with.
func (st *Staging) Name() string { return st.name }

// Write takes the next chunk. An error that wraps ErrBadStream is the sender's fault;
// any other is this disk's. After an error the staging is only good for Close.
func (st *Staging) Write(b []byte) error {
	if st.err != nil {
		return st.err
	}
	if err := st.write(b); err != nil {
		st.err = fmt.Errorf("store: stage %s, chunk %d: %w", st.name, st.number, err)
		return st.err
	}
	st.number++
	return nil
}

func (st *Staging) write(b []byte) error {
	if err := st.store.refusal(); err != nil {
		return err
	}
	c, err := decodeChunk(b)
	if err != nil {
		return bad(err)
	}
	if c.number != st.number {
		return bad(fmt.Errorf("chunk says it is number %d", c.number))
	}
	if st.ended {
		return bad(errors.New("chunk after the trailer"))
	}
	if (c.kind == chunkHeader) != (c.number == 0) {
		return bad(errChunkHeader)
	}
	switch c.kind {
	case chunkHeader:
		if st.about.at, err = decodeHeader(c.payload); err != nil {
			return bad(err)
		}
		return nil
	case chunkRecords:
		return st.writeRecords(c)
	default:
		return st.writeTrailer(c)
	}
}

// bad marks an error as the stream's fault.
func bad(err error) error { return fmt.Errorf("%w: %w", ErrBadStream, err) }

func (st *Staging) writeRecords(c chunk) error {
	_, _ = st.hash.Write(c.payload)
	for len(c.payload) > 0 {
		key, value, err := c.record()
		if err != nil {
			return bad(err)
		}
		if err := st.audit.add(key, value); err != nil {
			return bad(err)
		}
		if err := st.put(key, value); err != nil {
			return err
		}
	}
	return nil
}

func (st *Staging) writeTrailer(c chunk) error {
	var t trailer
	if err := t.decode(c.payload); err != nil {
		return bad(err)
	}
	err := st.audit.finish()
	if errors.Is(err, errMarks) && st.audit.marks == 0 {
		// The sender is of a version that has no marks: Replace makes them.
		st.unmarked, err = true, nil
	}
	if err != nil {
		return bad(err)
	}
	st.audit.totals.At = st.about.at
	if t.totals != st.audit.totals || t.records != st.audit.records || t.hash != st.hash.Sum64() {
		return bad(fmt.Errorf("trailer says %d records, hash %#x, %+v; the records come to %d, %#x, %+v",
			t.records, t.hash, t.totals, st.audit.records, st.hash.Sum64(), st.audit.totals))
	}
	st.ended = true
	return nil
}

// put adds a record to the table files.
func (st *Staging) put(key, value []byte) error {
	if st.table == nil {
		st.about.tables++
		f, err := st.store.fs.Create(st.file(tableName(st.about.tables)), vfs.WriteCategoryUnspecified)
		if err != nil {
			return err
		}
		opts := st.store.opts.MakeWriterOptions(lowestLevel, st.store.db.TableFormat())
		st.table = sstable.NewWriter(objstorageprovider.NewFileWritable(f), opts)
	}
	if err := st.table.Set(key, value); err != nil {
		return err
	}
	if st.table.Raw().EstimatedSize() < stagedTableBytes {
		return nil
	}
	return st.endTable()
}

// endTable completes and syncs the current table file.
func (st *Staging) endTable() error {
	t := st.table
	st.table = nil
	return t.Close()
}

func (st *Staging) file(name string) string { return st.store.fs.PathJoin(st.dir, name) }

// Finish verifies that the stream was whole and makes the staging durable: after it, and
// after any crash, Replace or ReplaceFrom can use it. It returns the point of the staged tree.
func (st *Staging) Finish() (zxid.Point, error) {
	if st.err == nil && !st.ended {
		st.err = fmt.Errorf("store: stage %s: %w", st.name, bad(io.ErrUnexpectedEOF))
	}
	if st.err != nil {
		return zxid.Point{}, st.err
	}
	if st.whole {
		return st.about.at, nil
	}
	if err := st.finish(); err != nil {
		st.err = fmt.Errorf("store: stage %s: %w", st.name, err)
		return zxid.Point{}, st.err
	}
	st.whole = true
	return st.about.at, nil
}

func (st *Staging) finish() error {
	// The meta column makes the staged tree a tree: it is in the same files, so the
	// replacement is one step.
	version := appliedVersion
	if st.unmarked {
		version = appliedUnmarked
	}
	if err := st.put(appliedKey, st.audit.totals.append(nil, version)); err != nil {
		return err
	}
	o := origin{generation: st.about.generation, name: st.name}
	if err := st.put(originKey, o.append(nil)); err != nil {
		return err
	}
	if st.table != nil {
		if err := st.endTable(); err != nil {
			return err
		}
	}
	fs := st.store.fs
	if err := syncDir(fs, st.dir); err != nil {
		return err
	}
	if err := writeSynced(fs, st.file(completeFile), st.about.append(nil)); err != nil {
		return err
	}
	return errors.Join(syncDir(fs, st.dir), st.store.refusal())
}

// Close deletes what was staged, unless Finish succeeded; a finished staging stays until
// Replace or DiscardStaged. It may be called at any time, also again.
func (st *Staging) Close() error {
	if st.whole {
		return nil
	}
	if st.err == nil {
		st.err = fmt.Errorf("store: stage %s: closed", st.name)
	}
	if st.table != nil {
		_ = st.endTable() // the file is deleted next
	}
	if err := st.store.fs.RemoveAll(st.dir); err != nil {
		return fmt.Errorf("store: discard %s: %w", st.dir, err)
	}
	return nil
}

// completeLen is the length of a COMPLETE file.
const completeLen = 1 + 8 + 4 + 8 + 8 + 4

const completeVersion = 1

func (c *complete) append(dst []byte) []byte {
	start := len(dst)
	dst = append(dst, completeVersion)
	dst = binary.BigEndian.AppendUint64(dst, c.generation)
	dst = binary.BigEndian.AppendUint32(dst, c.tables)
	dst = binary.BigEndian.AppendUint64(dst, uint64(c.at.ID))
	dst = binary.BigEndian.AppendUint64(dst, c.at.Hash)
	return binary.BigEndian.AppendUint32(dst, crc32.Checksum(dst[start:], castagnoli))
}

func (c *complete) decode(b []byte) error {
	if len(b) != completeLen {
		return errTruncated
	}
	sum := completeLen - 4
	if crc32.Checksum(b[:sum], castagnoli) != binary.BigEndian.Uint32(b[sum:]) {
		return errChunkChecksum
	}
	if b[0] != completeVersion {
		return ErrFormat
	}
	c.generation = binary.BigEndian.Uint64(b[1:])
	c.tables = binary.BigEndian.Uint32(b[9:])
	c.at = zxid.Point{ID: zxid.ID(binary.BigEndian.Uint64(b[13:])), Hash: binary.BigEndian.Uint64(b[21:])}
	if c.tables == 0 || c.tables > maxTables {
		return errRange
	}
	return nil
}

// mkdirSynced makes a directory and its missing parents, each of them durable.
func mkdirSynced(fs vfs.FS, dir string) error {
	if _, err := fs.Stat(dir); err == nil || !isNotExist(err) {
		return err
	}
	parent := fs.PathDir(dir)
	if parent != dir {
		if err := mkdirSynced(fs, parent); err != nil {
			return err
		}
	}
	if err := fs.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	return syncDir(fs, parent)
}

func syncDir(fs vfs.FS, dir string) error {
	d, err := fs.OpenDir(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

func writeSynced(fs vfs.FS, path string, content []byte) error {
	f, err := fs.Create(path, vfs.WriteCategoryUnspecified)
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}
