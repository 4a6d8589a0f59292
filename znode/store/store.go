package store

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/rs/zerolog"

	"github.com/zabkeeper/zabkeeper/proto"
	"github.com/zabkeeper/zabkeeper/zab/disk"
	"github.com/zabkeeper/zabkeeper/zab/zxid"
	"github.com/zabkeeper/zabkeeper/znode"
)

// Directories inside Config.Dir.
const (
	treeDir    = "tree"    // Pebble's files
	stagingDir = "staging" // one directory per staged snapshot
)

var (
	// ErrLocked means that another process, or another Store of this one, has the directory.
	ErrLocked = errors.New("directory is in use")
	// ErrCorrupt means that what is stored is missing, unreadable or contradicts itself.
	ErrCorrupt = disk.ErrDamaged
	// ErrFailed is what changes are refused with after a fault.
	ErrFailed = errors.New("store has failed")
	// ErrOldPoint means that an Install would not move the applied point forward.
	ErrOldPoint = errors.New("point is not after the applied point")
)

// Store is the znode tree on disk. See the package comment for who may call what.
type Store struct {
	cfg    Config
	fs     vfs.FS // guard
	guard  *disk.Guard
	watch  io.Closer // nil: Config.FS was given
	log    zerolog.Logger
	opts   *pebble.Options // what db was opened with; table files are written by it
	lock   *pebble.Lock
	db     *pebble.DB
	cache  *cache
	failed atomic.Pointer[faultError]

	// totals describes the state that reads see; replaced, never changed.
	totals atomic.Pointer[Totals]
	// system is the part of the digest that lies below znode.SystemPath. The installing goroutine writes it,
	// under mu.
	system uint64

	mu      sync.Mutex // held by whatever writes to db, rotates its memtable or takes a snapshot
	origin  origin
	batch   *pebble.Batch
	key     []byte   // reused by Install
	value   []byte   // reused by Install
	changed []change // reused by Install
}

// change is one node of a batch, remembered until the batch is committed.
type change struct {
	path string
	node *znode.Node
}

var _ znode.View = (*Store)(nil)

// Open opens the tree in cfg.Dir, or makes one: the nodes that every ZooKeeper tree is
// born with, at the point before all history. What a crash left half staged stays until
// DiscardStaged. Errors name the directory and wrap ErrLocked, ErrFormat or ErrCorrupt
// where the operator can act on the difference.
func Open(cfg Config) (*Store, error) {
	cfg = cfg.withDefaults()
	s := &Store{cfg: cfg, fs: cfg.FS, log: cfg.Logger, cache: newCache(cfg.CacheBytes)}
	if s.fs == nil {
		s.fs, s.watch = disk.Watched(cfg.Logger)
	}
	s.guard = disk.NewGuard(s.fs, owner{s})
	s.fs = s.guard
	if err := s.open(); err != nil {
		return nil, errors.Join(err, s.shut())
	}
	s.guard.Arm()
	return s, nil
}

// open locks the directory, making it, and opens what is in it.
func (s *Store) open() error {
	dir := s.fs.PathJoin(s.cfg.Dir, treeDir)
	if err := mkdirSynced(s.fs, dir); err != nil {
		return fmt.Errorf("store: make %s: %w", dir, remedied(err))
	}
	lock, err := pebble.LockDirectory(dir, s.fs)
	if _, kind := disk.Judge(err); kind != nil {
		return fmt.Errorf("store: lock %s: %w", dir, remedied(err))
	} else if err != nil {
		return fmt.Errorf("store: lock %s: %w: %w (stop the process that uses it)", dir, ErrLocked, err)
	}
	s.lock = lock
	if _, err := disk.Inspect(s.fs, dir); err != nil {
		return fmt.Errorf("store: open %s: %w", dir, unopened(err))
	}
	s.opts = s.pebbleOptions(s.cfg, lock)
	db, err := pebble.Open(dir, s.opts)
	s.opts.Cache.Unref()
	if err != nil {
		return fmt.Errorf("store: open %s: %w", dir, unopened(err))
	}
	if err := s.refusal(); err != nil {
		return errors.Join(err, db.Close())
	}
	s.db = db
	s.batch = db.NewBatch()
	if err := s.checkBlobs(dir); err != nil {
		return fmt.Errorf("store: open %s: %w", dir, remedied(err))
	}
	if err := s.load(); err != nil {
		return fmt.Errorf("store: load %s: %w", dir, remedied(err))
	}
	s.system = znode.SystemDigest(s)
	return nil
}

// load reads the meta column, or writes the first tree when there is none.
func (s *Store) load() error {
	totals, version, err := readTotals(s.db)
	if err != nil {
		return fmt.Errorf("applied record: %w", err)
	}
	switch version {
	case 0:
		if err := s.mustBeEmpty(); err != nil {
			return err
		}
		return s.create()
	case appliedUnmarked:
		if err := s.markAll(&totals); err != nil {
			return fmt.Errorf("build the column of marks: %w", err)
		}
	}
	s.totals.Store(&totals)
	return s.loadOrigin()
}

func (s *Store) loadOrigin() error {
	rec, closer, err := s.db.Get(originKey)
	if errors.Is(err, pebble.ErrNotFound) {
		s.origin = origin{}
		return nil
	}
	if err != nil {
		return fmt.Errorf("origin record: %w", err)
	}
	err = s.origin.decode(rec)
	if err := errors.Join(err, closer.Close()); err != nil {
		return fmt.Errorf("origin record: %w", err)
	}
	return nil
}

// mustBeEmpty fails when there are keys though there is no applied record.
func (s *Store) mustBeEmpty() error {
	it, err := s.db.NewIter(nil)
	if err != nil {
		return err
	}
	some := it.First()
	if err := it.Close(); err != nil {
		return err
	}
	if some {
		return fmt.Errorf("%w: keys without an applied record", ErrCorrupt)
	}
	return nil
}

// create writes the nodes of a new tree, alike on every server.
func (s *Store) create() error {
	totals := Totals{}
	for _, n := range znode.InitialNodes() {
		if err := s.putNode(n.Path, n.Node); err != nil {
			return err
		}
		totals.Nodes++
		totals.Digest += znode.NodeDigest(n.Path, n.Node)
		totals.DataSize += nodeSize(n.Path, n.Node)
	}
	return s.commit(&totals)
}

// nodeSize is what a node adds to the data size: ZooKeeper's approximate_data_size.
func nodeSize(path string, n *znode.Node) int64 { return int64(len(path) + len(n.Data)) }

// Close flushes the tree, so that the next start has nothing to replay, and closes it.
// Every Snapshot must be closed and no read may be under way.
func (s *Store) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	var err error
	if s.failed.Load() == nil {
		err = s.db.Flush()
	}
	if err := errors.Join(err, s.shut()); err != nil {
		return fmt.Errorf("store: close %s: %w", s.cfg.Dir, err)
	}
	return nil
}

func (s *Store) shut() error {
	var errs []error
	if s.db != nil {
		errs = append(errs, s.batch.Close(), s.db.Close())
	}
	if s.lock != nil {
		errs = append(errs, s.lock.Close())
	}
	if s.watch != nil {
		errs = append(errs, s.watch.Close())
	}
	return errors.Join(errs...)
}

// Totals returns the counters of the state that reads see. It costs nothing.
func (s *Store) Totals() Totals { return *s.totals.Load() }

// Applied returns the point up to which transactions are installed.
func (s *Store) Applied() zxid.Point { return s.totals.Load().At }

// Digest returns the sum of the digests of all nodes.
func (s *Store) Digest() uint64 { return s.totals.Load().Digest }

// PublicDigest returns Digest without what lies below znode.SystemPath: the digest that travels with
// transactions. Only the goroutine that installs may call it.
func (s *Store) PublicDigest() uint64 { return s.Digest() - s.system }

// NodeCount returns the number of nodes.
func (s *Store) NodeCount() int { return s.totals.Load().Nodes }

// EphemeralCount returns the number of ephemeral nodes.
func (s *Store) EphemeralCount() int { return s.totals.Load().Ephemerals }

// DataSize returns the bytes of all paths and data.
func (s *Store) DataSize() int64 { return s.totals.Load().DataSize }

// CachedBytes returns the memory that the cache of decoded nodes accounts for.
func (s *Store) CachedBytes() int64 { return s.cache.bytes() }

// Install makes the changes visible, as the state after all transactions up to at,
// which must be after Applied. It returns when readers see them; they reach the disk
// later (Durable). One caller at a time. An error means that nothing was
// installed and, but for ErrOldPoint, that the store has failed.
func (s *Store) Install(c *znode.Changes, at zxid.Point) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.refusal(); err != nil {
		return err
	}
	old := s.totals.Load()
	if at.ID <= old.At.ID {
		return fmt.Errorf("store: install %v on %v: %w", at, old.At, ErrOldPoint)
	}
	nodes, ephemerals, size := c.CountDelta()
	totals := &Totals{
		At:         at,
		Digest:     old.Digest + c.DigestDelta(),
		Nodes:      old.Nodes + nodes,
		Ephemerals: old.Ephemerals + ephemerals,
		DataSize:   old.DataSize + size,
	}
	if err := s.fill(c); err != nil {
		return s.fault("fill batch", err)
	}
	if s.batchIsLarge() {
		if err := s.makeRoom(); err != nil {
			return err
		}
	}
	if err := s.commit(totals); err != nil {
		return s.fault("install", err)
	}
	s.system += c.DigestDelta() - c.PublicDelta()
	for i := range s.changed {
		s.cache.change(s.changed[i].path, s.changed[i].node)
	}
	clear(s.changed)
	s.changed = s.changed[:0]
	return nil
}

// fill puts all changes but the totals into the batch.
func (s *Store) fill(c *znode.Changes) (err error) {
	keep := func(e error) {
		if err == nil {
			err = e
		}
	}
	c.Nodes(func(path string, old, n *znode.Node) {
		s.changed = append(s.changed, change{path, n})
		keep(s.putNode(path, n))
		keep(s.putMark(path, old, n))
	})
	c.EphemeralChanges(func(owner proto.SessionID, path string, added bool) {
		s.key = appendEphemeralKey(s.key[:0], owner, path)
		if added {
			keep(s.batch.Set(s.key, nil, nil))
		} else {
			keep(s.batch.Delete(s.key, nil))
		}
	})
	c.Sessions(func(id proto.SessionID, timeout int32, live bool) {
		s.key = appendSessionKey(s.key[:0], id)
		if live {
			s.value = appendTimeout(s.value[:0], timeout)
			keep(s.batch.Set(s.key, s.value, nil))
		} else {
			keep(s.batch.Delete(s.key, nil))
		}
	})
	return err
}

// putNode puts the node at path into the batch, or its removal for nil.
func (s *Store) putNode(path string, n *znode.Node) error {
	s.key = appendNodeKey(s.key[:0], path)
	if n == nil {
		return s.batch.Delete(s.key, nil)
	}
	s.value = appendNode(s.value[:0], n)
	return s.batch.Set(s.key, s.value, nil)
}

// commit adds the totals to the batch and makes the batch visible.
func (s *Store) commit(totals *Totals) error {
	s.value = totals.append(s.value[:0], appliedVersion)
	if err := s.batch.Set(appliedKey, s.value, nil); err != nil {
		return err
	}
	if err := s.batch.Commit(pebble.NoSync); err != nil {
		return err
	}
	s.batch.Reset()
	s.totals.Store(totals)
	if cap(s.value) > maxReused {
		s.value = nil
	}
	return nil
}

// maxReused bounds the buffer that is kept for the next install.
const maxReused = 64 << 10

// Durable returns the applied point that would survive a crash right now. A store that has
// failed claims nothing.
func (s *Store) Durable() (zxid.Point, error) {
	if err := s.refusal(); err != nil {
		return zxid.Point{}, err
	}
	it, err := s.db.NewIter(&pebble.IterOptions{LowerBound: appliedKey, OnlyReadGuaranteedDurable: true})
	if err != nil {
		return zxid.Point{}, s.fault("read durable point", err)
	}
	var totals Totals
	if it.First() && bytes.Equal(it.Key(), appliedKey) {
		var rec []byte
		if rec, err = it.ValueAndErr(); err == nil {
			err = totals.decode(rec, appliedVersion)
		}
	}
	if err := errors.Join(err, it.Close()); err != nil {
		return zxid.Point{}, s.fault("read durable point", err)
	}
	return totals.At, nil
}

// Flush writes everything installed so far to disk; afterwards Durable is at least what
// Applied was. Installs go on meanwhile.
func (s *Store) Flush() error {
	flushed, err := s.rotate()
	if err != nil {
		return err
	}
	<-flushed
	return s.refusal() // a flush that fails is told of through the listener, and tried again
}

// rotate has Pebble begin a new memtable and flush the ones before, and returns what is closed when
// that is done.
//
// The lock keeps an install from being half way through it. Pebble applies a batch to the
// memtable first and makes its sequence number visible afterwards. A flush that runs in between
// keeps of each key the newest version alone, which nobody may see yet, and whoever begins to
// read just then finds the key at an older version still, or not at all.
func (s *Store) rotate() (flushed <-chan struct{}, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.refusal(); err != nil {
		return nil, err
	}
	if flushed, err = s.db.AsyncFlush(); err != nil {
		return nil, s.fault("flush", err)
	}
	return flushed, nil
}

// recordRoom is more than what a record takes in a memtable besides key and value.
const recordRoom = 256

// batchIsLarge reports whether Pebble may make a memtable of its own of the batch, which it does from
// half a memtable on. That one is flushed together with the one before it, and without waiting
// for the batch to be visible.
func (s *Store) batchIsLarge() bool {
	return int64(s.batch.Len())+recordRoom*int64(s.batch.Count()) > s.cfg.MemTableBytes/2
}

// makeRoom empties the memtable before a large batch, so that they are not flushed together. The
// caller holds mu; see rotate for what is at stake.
func (s *Store) makeRoom() error {
	flushed, err := s.db.AsyncFlush()
	if err != nil {
		return s.fault("flush", err)
	}
	<-flushed
	return s.refusal()
}

// readTotals reads the applied record; version is 0 where there is none.
func readTotals(r pebble.Reader) (totals Totals, version byte, err error) {
	rec, closer, err := r.Get(appliedKey)
	if errors.Is(err, pebble.ErrNotFound) {
		return totals, 0, nil
	}
	if err != nil {
		return totals, 0, err
	}
	if err = totals.decode(rec, appliedVersion); err == nil {
		version = rec[0]
	}
	return totals, version, errors.Join(err, closer.Close())
}
