package node

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/zabkeeper/zabkeeper/server"
)

// doubtFile, below the directory of our own, says that the tree beside it is suspect or damaged: a restart must
// not make anybody trust it, who would then be given snapshots of it (hazard H-78).
const doubtFile = "SUSPECT"

// What it holds: doubtSuspect, or doubtDamaged. Whatever else it holds, nothing included, is a damaged tree: a crash
// cut it short, or something else wrote it. That costs a snapshot at most.
const (
	doubtSuspect = "suspect\n"
	doubtDamaged = "damaged\n"
)

// doubted returns what was held against the tree when this server ended, for whichever reason. Whoever is alone
// has nobody who could tell that it is right, or has another one: it does not start.
func (n *Node) doubted() (server.Doubt, error) {
	name := filepath.Join(n.conf.DataDir, ownDir, doubtFile)
	f, err := n.fs().Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return server.NoDoubt, nil
	}
	if err != nil {
		return server.NoDoubt, fmt.Errorf("%w: %w", ErrDataDir, err)
	}
	b, err := io.ReadAll(io.LimitReader(f, int64(len(doubtSuspect))+1))
	if err = errors.Join(err, f.Close()); err != nil {
		return server.NoDoubt, fmt.Errorf("%w: read %s: %w", ErrDataDir, name, err)
	}
	doubt := server.Damaged
	if string(b) == doubtSuspect {
		doubt = server.Suspect
	}
	if judges := n.judges(); judges == nil || judges.Quorum([]server.Origin{server.Origin(n.sid)}) {
		return doubt, fmt.Errorf("%w: %w: it was %v when the server ended, as %s says, and there is no other server to get one from; "+
			"restore a backup, or remove that file to go on with the tree as it is", ErrDataDir, server.ErrDiverged, doubt, name)
	}
	return doubt, nil
}

// doubt is where the server says what it holds against its tree. Nothing that makes the tree wrong is on
// the disk before that is.
func (n *Node) doubt(d server.Doubt) {
	if err := n.markDoubt(d); err != nil {
		n.storeFailed(fmt.Errorf("note whether the tree is in doubt: %w", err))
	}
}

func (n *Node) markDoubt(d server.Doubt) error {
	dir := filepath.Join(n.conf.DataDir, ownDir)
	name := filepath.Join(dir, doubtFile)
	switch d {
	case server.NoDoubt:
		if err := n.fs().Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	case server.Suspect:
		if err := n.writeDoubt(name, doubtSuspect); err != nil {
			return err
		}
	default:
		if err := n.writeDoubt(name, doubtDamaged); err != nil {
			return err
		}
	}
	f, err := n.fs().OpenDir(dir)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

func (n *Node) writeDoubt(name, text string) error {
	f, err := n.fs().Create(name, vfs.WriteCategoryUnspecified)
	if err != nil {
		return err
	}
	_, err = f.Write([]byte(text))
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

// fs returns the file system of the stores.
func (n *Node) fs() vfs.FS {
	if n.cfg.FS != nil {
		return n.cfg.FS
	}
	return vfs.Default
}
