package node

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// doubtFile, below the directory of our own, says that the tree beside it is suspect: a restart must not make
// anybody trust it, who would then be given snapshots of it (hazard H-78).
const doubtFile = "SUSPECT"

// doubted reports whether the tree was suspect when this server ended, for whichever reason. Whoever is
// alone, or compares no digests, has nobody who could tell that it is right.
func (n *Node) doubted() (bool, error) {
	if !n.conf.Digest || n.judges() == nil {
		return false, nil
	}
	name := filepath.Join(n.conf.DataDir, ownDir, doubtFile)
	switch _, err := n.fs().Stat(name); {
	case err == nil:
		return true, nil
	case errors.Is(err, fs.ErrNotExist):
		return false, nil
	default:
		return false, fmt.Errorf("%w: %w", ErrDataDir, err)
	}
}

// doubt is where the server says that its tree is suspect, or is not any more. Nothing that makes the tree
// wrong is on the disk before that is.
func (n *Node) doubt(suspect bool) {
	if err := n.markDoubt(suspect); err != nil {
		n.storeFailed(fmt.Errorf("note whether the tree is in doubt: %w", err))
	}
}

func (n *Node) markDoubt(suspect bool) error {
	dir := filepath.Join(n.conf.DataDir, ownDir)
	name := filepath.Join(dir, doubtFile)
	if suspect {
		f, err := n.fs().Create(name, vfs.WriteCategoryUnspecified)
		if err != nil {
			return err
		}
		if err := errors.Join(f.Sync(), f.Close()); err != nil {
			return err
		}
	} else if err := n.fs().Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	d, err := n.fs().OpenDir(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// fs returns the file system of the stores.
func (n *Node) fs() vfs.FS {
	if n.cfg.FS != nil {
		return n.cfg.FS
	}
	return vfs.Default
}
