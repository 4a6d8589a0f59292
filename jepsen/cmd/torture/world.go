package main

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/zabkeeper/zabkeeper/jepsen/clock"
	"github.com/zabkeeper/zabkeeper/jepsen/cluster"
	"github.com/zabkeeper/zabkeeper/jepsen/disk"
	"github.com/zabkeeper/zabkeeper/jepsen/nemesis"
	"github.com/zabkeeper/zabkeeper/jepsen/network"
)

// maxServers is how many servers there can be.
const maxServers = 9

// diskSize is the room of a server's own file system, in bytes, when it is to become full.
const diskSize = 256 << 20

// world is what the servers run in: hosts, disks and clocks, as far as the nemesis hurts them.
type world struct {
	*cluster.Cluster
	dir     string
	net     *network.Net         // nil: all are on 127.0.0.1
	syncs   *disk.Syncs          // nil: nobody touches them
	mounted bool                 // the data directories are file systems of their own
	clocks  map[int]*clock.Clock // by process; of the nemesis alone
}

// isolated reports whether the run needs namespaces of its own.
func (o options) isolated() bool {
	return slices.ContainsFunc(o.kinds, func(k nemesis.Kind) bool { return k.Network() || k == nemesis.FullDisk })
}

// changes reports whether the members of the ensemble are changed.
func (o options) changes() bool { return slices.Contains(o.kinds, nemesis.Reconfig) }

// spares is how many servers can join that are no members in the beginning.
func (o options) spares() int {
	if !o.changes() {
		return 0
	}
	return min(2, maxServers-o.servers)
}

// newWorld makes the files of an ensemble and what its servers run in.
func newWorld(opt options, dir string) (*world, error) {
	w := &world{dir: dir, clocks: map[int]*clock.Clock{}}
	cfg := cluster.Config{
		Dir: dir, Servers: opt.servers, Launch: opt.launch, Tick: opt.tick, Changeable: opt.changes(), Spares: opt.spares(),
	}
	cfg.Extra = maps.Clone(opt.set)
	if opt.oracle {
		cfg.Extra = cluster.KeepLog()
		maps.Copy(cfg.Extra, opt.set)
	}
	var err error
	if slices.ContainsFunc(opt.kinds, nemesis.Kind.Network) {
		if w.net, err = network.New(opt.servers+opt.spares(), opt.seed); err != nil {
			return nil, err
		}
		cfg.Host = func(id int) string { return network.Address(network.Host(id)).String() }
	}
	if slices.Contains(opt.kinds, nemesis.SlowDisk) || slices.Contains(opt.kinds, nemesis.BadDisk) {
		w.syncs = &disk.Syncs{}
	}
	if w.net != nil || w.syncs != nil {
		cfg.Thread = w.thread
	}
	if w.Cluster, err = cluster.New(cfg); err == nil && slices.Contains(opt.kinds, nemesis.FullDisk) {
		w.mounted = true
		err = w.mount()
	}
	if err != nil {
		return nil, errors.Join(err, w.close())
	}
	return w, nil
}

// thread makes a thread one of a server.
func (w *world) thread(id int) error {
	var err error
	if w.net != nil {
		err = w.net.Enter(id)
	}
	if err == nil && w.syncs != nil {
		err = w.syncs.Thread(id)
	}
	return err
}

// mount gives each data directory a file system of its own.
func (w *world) mount() error {
	for _, id := range w.All() {
		dir := w.DataDir(id)
		if err := errors.Join(disk.Save(dir, w.copied(id)), disk.Mount(dir, diskSize), disk.Restore(w.copied(id), dir)); err != nil {
			return err
		}
	}
	return nil
}

// rescue copies the data directories that would vanish with this process.
func (w *world) rescue() error {
	if !w.mounted {
		return nil
	}
	var errs []error
	for _, id := range w.All() {
		errs = append(errs, disk.Save(w.DataDir(id), filepath.Join(filepath.Dir(w.DataDir(id)), "data.kept")))
	}
	return errors.Join(errs...)
}

// close ends the servers and takes down what they ran in. Their files stay.
func (w *world) close() error {
	var errs []error
	if w.Cluster != nil {
		errs = append(errs, w.Cluster.Close())
	}
	if w.net != nil {
		errs = append(errs, w.net.Close())
	}
	return errors.Join(errs...)
}

// unmount takes off the file systems, so that the directory can be removed.
func (w *world) unmount() error {
	if !w.mounted {
		return nil
	}
	var errs []error
	for _, id := range w.All() {
		errs = append(errs, disk.Unmount(w.DataDir(id)))
	}
	return errors.Join(errs...)
}

// copied is where the copy of a server's data is.
func (w *world) copied(id int) string { return filepath.Join(w.dir, fmt.Sprintf("copy%d", id)) }

// options returns what the nemesis needs of the world.
func (w *world) options() nemesis.Options {
	o := nemesis.Options{Settle: settleLimit, Disks: w, Clocks: w}
	if w.net != nil {
		o.Network = w.net
	}
	return o
}

// Slow implements nemesis.Disks.
func (w *world) Slow(id int, d time.Duration) { w.syncs.Slow(id, d) }

// Fail implements nemesis.Disks.
func (w *world) Fail(id int) { w.syncs.Fail(id) }

// Failed implements nemesis.Disks.
func (w *world) Failed(id int) int { return w.syncs.Met(id) }

// Fill implements nemesis.Disks.
func (w *world) Fill(id int) error { return disk.Fill(w.DataDir(id)) }

// Heal implements nemesis.Disks.
func (w *world) Heal(id int) error {
	if w.syncs != nil {
		w.syncs.Heal(id)
	}
	if w.mounted {
		return disk.Drain(w.DataDir(id))
	}
	return nil
}

// Corrupt implements nemesis.Disks.
func (w *world) Corrupt(id int, r *rand.Rand) (string, error) { return disk.Corrupt(w.DataDir(id), r) }

// Wipe implements nemesis.Disks.
func (w *world) Wipe(id int) error { return disk.Wipe(w.DataDir(id)) }

// Save implements nemesis.Disks.
func (w *world) Save(id int) error { return disk.Save(w.DataDir(id), w.copied(id)) }

// Restore implements nemesis.Disks.
func (w *world) Restore(id int) error { return disk.Restore(w.copied(id), w.DataDir(id)) }

// Remedy implements nemesis.Disks: an error line of the server's last process names its directory
// or a file in it, and says what to do.
func (w *world) Remedy(id int) error {
	log, err := os.ReadFile(w.LogFile(id))
	if err != nil {
		return err
	}
	log = log[bytes.LastIndex(log, []byte("--- start "))+1:]
	for line := range bytes.Lines(log) {
		if bytes.Contains(line, []byte(`"error":`)) && bytes.Contains(line, []byte(w.DataDir(id))) && advice(line) {
			return nil
		}
	}
	return fmt.Errorf("server %d has ended, and %s does not say which file was bad and what to do", id, w.LogFile(id))
}

// advice reports whether a line says what to do.
func advice(line []byte) bool {
	for _, word := range []string{"empty", "remove", "free", "restore", "resynchronised", "replace", "start the", "restart"} {
		if bytes.Contains(line, []byte(word)) {
			return true
		}
	}
	return false
}

// Step implements nemesis.Clocks.
func (w *world) Step(id int, seconds int64) error {
	pid := w.PID(id)
	c := w.clocks[pid]
	if pid == 0 || c == nil && seconds == 0 {
		return nil
	}
	for tries := 0; c == nil; tries++ {
		if err := w.Pause(id); err != nil {
			return err
		}
		var err error
		c, err = clock.Take(pid)
		if err = errors.Join(err, w.Resume(id)); err != nil && (!clock.Busy(err) || tries == 100) {
			return err
		}
	}
	w.clocks[pid] = c
	return c.Set(seconds)
}
