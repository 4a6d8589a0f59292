package node

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"

	"github.com/zabkeeper/zabkeeper/conf"
	"github.com/zabkeeper/zabkeeper/quorum"
)

// follow does what a changed membership asks for and what takes its time, until ctx ends: the
// files that other tools read, and the client port. The log has it all; this is derived from it
// (hazard H-80).
func (n *Node) follow(ctx context.Context) error {
	files := dynamicFiles{n: n}
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-n.changed:
		}
		m := *n.members.Load()
		if n.conf.ReconfigEnabled {
			files.write(m)
		}
		n.moveClientPort(ctx, m.Committed)
	}
}

// moveClientPort listens where the configuration says that this server's clients connect, if it says
// so. Clients that are connected stay. A port that cannot be bound is a matter for the log: the
// old one is kept.
func (n *Node) moveClientPort(ctx context.Context, e *quorum.Ensemble) {
	self, ok := e.Member(n.sid)
	if !ok || self.Client == nil || n.clientAt != nil && *self.Client == *n.clientAt {
		return
	}
	l, err := n.listenAt(nil, self.Client)
	if err != nil {
		n.log.Error().Err(err).Stringer("address", self.Client).
			Msg("the ensemble's configuration moves the client port: it cannot be bound, the old one is kept")
		return
	}
	if !n.server.Move(ctx, l) {
		_ = l.Close() // the server is stopping
		return
	}
	n.clientAt = self.Client
	n.listening.Store(&l)
	n.log.Info().Stringer("address", l.Addr()).Msg("the client port has moved")
}

// dynamicFiles keeps the files that ZooKeeper keeps of its membership (spec operations 1.6): the
// proposed one in .dynamic.next, each committed one in a file with the version in its name, and
// that name in the configuration file.
type dynamicFiles struct {
	n *Node
	// written is the version of the list that the files are known to hold.
	written string
	// hopeless is set once a file could not be written, so that the log says it once.
	hopeless bool
}

func (d *dynamicFiles) write(m quorum.Membership) {
	c := d.n.conf
	if !isFile(c.File) {
		return // configured without a file
	}
	err := d.writeNext(m)
	if e := m.Committed; err == nil && e.Version() != 0 {
		if version := strconv.FormatUint(uint64(e.Version()), 16); version != d.written {
			if err = d.writeList(e, version); err == nil {
				d.written = version
			}
		}
	}
	if err == nil || d.hopeless {
		return
	}
	d.hopeless = true
	ev, text := d.n.log.Error(), "cannot write the files of the membership; the log has it"
	if errors.Is(err, fs.ErrPermission) || isReadOnly(err) {
		ev, text = d.n.log.Info(), "the configuration cannot be written: the membership is kept in the log alone"
	}
	ev.Err(err).Str("file", c.File).Msg(text)
}

// writeNext keeps the file of a configuration that is proposed and not committed.
func (d *dynamicFiles) writeNext(m quorum.Membership) error {
	path := d.n.conf.File + ".dynamic.next"
	if m.Pending() {
		return replaceFile(path, []byte(m.Seen.ConfigData()))
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// writeList writes a committed list, and points the configuration file to it.
func (d *dynamicFiles) writeList(e *quorum.Ensemble, version string) error {
	c := d.n.conf
	path, err := filepath.Abs(c.File + ".dynamic." + version)
	if err != nil {
		return err
	}
	if err := replaceFile(path, []byte(e.String())); err != nil {
		return err
	}
	old, err := os.ReadFile(c.File)
	if err != nil {
		return err
	}
	self, _ := e.Member(d.n.sid)
	text, err := conf.PointToDynamic(old, path, self.Client != nil)
	if err != nil || slices.Equal(old, text) {
		return err
	}
	if c.DynamicConfigFile == "" && !isFile(c.File+".bak") {
		if err := replaceFile(c.File+".bak", old); err != nil {
			return err
		}
	}
	return replaceFile(c.File, text)
}

func isFile(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular()
}

// replaceFile makes content the file at path, or leaves what is there.
func replaceFile(path string, content []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".new*")
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	err = errors.Join(err, f.Chmod(0o644), f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return nil
}
