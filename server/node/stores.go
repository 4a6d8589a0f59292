package node

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/zabkeeper/zabkeeper/conf"
	"github.com/zabkeeper/zabkeeper/quorum"
	"github.com/zabkeeper/zabkeeper/zab/txnlog"
	"github.com/zabkeeper/zabkeeper/znode/store"
)

// Where the stores lie below dataDir and dataLogDir. The directory of our own keeps
// them apart from the version-2 directory of Apache ZooKeeper.
const (
	ownDir  = "zabkeeper"
	treeDir = "tree"
	logDir  = "log"
	// stagingName names the one snapshot that can be on its way in.
	stagingName = "incoming"
)

// stores are the two stores of a server, at one point of history.
type stores struct {
	log  *txnlog.Log
	tree *store.Store
}

// openStores opens both stores and completes what a crash interrupted between them.
func (n *Node) openStores() (*stores, error) {
	c := n.conf
	treePath := filepath.Join(c.DataDir, ownDir, treeDir)
	logPath := filepath.Join(c.DataLogDir, ownDir, logDir)
	if n.cfg.FS == nil {
		if err := checkDirs(c, treePath); err != nil {
			return nil, fmt.Errorf("%w: %w", ErrDataDir, err)
		}
	}
	backup := c.DataLogDirSecondary
	if backup != "" {
		backup = filepath.Join(backup, ownDir, logDir)
	}
	log, err := txnlog.Open(txnlog.Config{
		Dir: logPath, BackupDir: backup, FS: n.cfg.FS, SID: n.sid, Standalone: c.Standalone, NoSync: !c.ForceSync, ReturnAfter: n.cfg.LogReturnsAfter,
		Logger: n.log.With().Str("store", "log").Logger(), Fatal: n.storeFailed,
	})
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrDataDir, err)
	}
	tree, err := store.Open(store.Config{
		Dir: treePath, FS: n.cfg.FS,
		CacheBytes: nodeCache(n.conf.NodeCacheMb), BlockCacheBytes: int64(n.conf.BlockCacheMb) << 20,
		Logger: n.log.With().Str("store", "tree").Logger(), Fatal: n.storeFailed,
	})
	if err != nil {
		return nil, errors.Join(fmt.Errorf("%w: %w", ErrDataDir, err), log.Close())
	}
	s := &stores{log: log, tree: tree}
	err = s.reconcile(treePath)
	if err == nil && log.Durable().Untrusted && n.configured.Voters() == quorum.SetOf(n.sid) {
		// It would look for a trusted leader for ever, and there is no other voter.
		err = fmt.Errorf("%s has lost transactions that were acknowledged; restore both directories from a backup, or remove %s "+
			"to go on with what is left", logPath, filepath.Join(logPath, "WATERMARK"))
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("%w: %w", ErrDataDir, err), s.close())
	}
	return s, nil
}

// checkDirs makes missing directories, if that is allowed, and refuses one that holds the
// data of Apache ZooKeeper and none of ours: starting empty there would look like loss.
func checkDirs(c *conf.Config, treePath string) error {
	for _, dir := range []string{c.DataDir, c.DataLogDir} {
		info, err := os.Stat(dir)
		switch {
		case err == nil && !info.IsDir():
			return fmt.Errorf("%s is not a directory", dir)
		case errors.Is(err, os.ErrNotExist) && c.DataDirAutocreate:
			if err := os.MkdirAll(dir, 0o755); err != nil {
				return err
			}
		case err != nil:
			return fmt.Errorf("%w (create it, or correct dataDir and dataLogDir)", err)
		}
	}
	if _, err := os.Stat(treePath); err == nil {
		return nil
	}
	for _, dir := range []string{c.DataDir, c.DataLogDir} {
		for _, pattern := range []string{"snapshot.*", "log.*"} {
			found, err := filepath.Glob(filepath.Join(dir, "version-2", pattern))
			if err == nil && len(found) > 0 {
				return fmt.Errorf("%s holds the data of Apache ZooKeeper, which this version cannot take over; "+
					"choose an empty dataDir, or remove version-2 to start with nothing", filepath.Dir(found[0]))
			}
		}
	}
	return nil
}

// reconcile brings the two stores to states that belong together (invariants R1 to R4 of spec
// zab-and-election 14.5).
func (s *stores) reconcile(treePath string) error {
	if point, pending := s.log.Intent(); pending {
		if s.tree.Applied() != point {
			if err := s.tree.ReplaceFrom(stagingName); err != nil {
				return fmt.Errorf("%s: complete the snapshot at %v: %w", treePath, point.ID, err)
			}
		}
		if s.tree.Applied() != point {
			return fmt.Errorf("%s is at %v after the snapshot at %v was installed", treePath, s.tree.Applied(), point)
		}
		if err := s.log.InstallDone(); err != nil {
			return err
		}
	}
	if err := s.tree.DiscardStaged(""); err != nil {
		return err
	}
	history := s.log.Durable().History
	applied := s.tree.Applied()
	switch {
	case applied.ID > history.Last().ID:
		return fmt.Errorf("%s is at zxid %v, beyond the end %v of the transaction log: the log was lost or is another's; "+
			"restore it, or empty both directories so that the server is resynchronised", treePath, applied.ID, history.Last().ID)
	case applied.ID < history.Base.ID:
		return fmt.Errorf("%s is at zxid %v, but the transaction log begins only after %v: the tree was lost or is an old copy; "+
			"empty both directories so that the server is resynchronised", treePath, applied.ID, history.Base.ID)
	case applied.ID == history.Last().ID && applied != history.Last():
		return fmt.Errorf("%s and the transaction log agree on zxid %v and differ in what led to it: they are not of the same history; "+
			"empty both directories so that the server is resynchronised", treePath, applied.ID)
	}
	return nil
}

func (s *stores) close() error { return errors.Join(s.tree.Close(), s.log.Close()) }

// nodeCache returns the setting in bytes as store.Config means it, where 0 is the default.
func nodeCache(mb int) int64 {
	if mb == 0 {
		return -1
	}
	return int64(mb) << 20
}
