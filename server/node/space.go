package node

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/zabkeeper/zabkeeper/server"
	"github.com/zabkeeper/zabkeeper/zab/disk"
)

const (
	// defaultSpaceEvery is how often the free space is looked at.
	defaultSpaceEvery = time.Second
	// reserveShare and ballastShare are the least parts of a file system that the reserve and
	// the ballast may take of it, however much is configured.
	reserveShare = 20
	ballastShare = 100
	// patience is for how many looks a server leads with low space that was elected again though it had handed over:
	// who has got room since is found, and where nobody has the lead does not go round and round.
	patience = 600
	// exhausted is the part of the reserve below which a server does not go on.
	exhausted = 8
	// ballastFile is the name of the ballast below the directory of our own.
	ballastFile = "BALLAST"
)

// space watches how much room the disks have (hazard H-16). It acts before they are full:
//
//   - Below the reserve, space is low. A leader hands over as soon as the others can do without
//     it. Until then, if it is elected all the same, for a while, and on a standalone server, what
//     makes the tree grow is refused, so that reads and deletions go on.
//   - Below an eighth of the reserve the server ends in order, and does not start: a follower
//     leaves the quorum before a write fails in the middle.
//   - When a write fails for want of space all the same, the ballast is given back, so
//     that the server can be started again.
//
// check, watch and what they call run in one goroutine at a time.
type space struct {
	n       *Node
	fs      vfs.FS
	volumes []*volume

	low    bool
	lowNow atomic.Bool // low, for others
	// asked is the last leadership that was asked to end in this episode of low space, 0: none yet. looks
	// counts, since then, how often this server was found to lead.
	asked uint64
	looks int
}

// volume is a directory on a file system that may fill up.
type volume struct {
	name string // in metrics
	dir  string
	// reserve is what should be free, by the size of the file system; 0: it is not known.
	reserve int64
	free    atomic.Int64 // negative: not known
}

func newSpace(n *Node) *space {
	s := &space{n: n, fs: n.cfg.FS}
	if s.fs == nil {
		s.fs = vfs.Default
	}
	s.add("log", n.conf.DataLogDir)
	if n.conf.DataDir != n.conf.DataLogDir {
		s.add("tree", n.conf.DataDir)
	}
	if n.conf.DataLogDirSecondary != "" {
		s.add("secondary", n.conf.DataLogDirSecondary)
	}
	return s
}

func (s *space) add(name, dir string) {
	v := &volume{name: name, dir: dir}
	v.free.Store(-1)
	s.volumes = append(s.volumes, v)
}

// measure asks the file systems, and returns the volume that is the most short of space,
// relative to what it should have; nil if none is known.
func (s *space) measure() (worst *volume) {
	for _, v := range s.volumes {
		usage, err := s.fs.GetDiskUsage(v.dir)
		if err != nil {
			v.reserve = 0
			v.free.Store(-1)
			continue
		}
		v.reserve = limited(s.n.conf.DiskReserveMb, usage.TotalBytes, reserveShare)
		v.free.Store(int64(usage.AvailBytes))
		if v.reserve > 0 && (worst == nil || v.spare() < worst.spare()) {
			worst = v
		}
	}
	return worst
}

// limited is a setting in MiB as bytes, but at most a part of the whole.
func limited(mb int, total uint64, share int64) int64 {
	return min(int64(mb)<<20, int64(total)/share)
}

// spare is the free part of the reserve, in thousandths.
func (v *volume) spare() int64 { return v.free.Load() * 1000 / v.reserve }

func (v *volume) low() bool       { return v.free.Load() < v.reserve }
func (v *volume) exhausted() bool { return v.free.Load() < v.reserve/exhausted }

// recovered is somewhat above the reserve, so that nothing changes from second to second.
func (v *volume) recovered() bool { return v.free.Load() >= v.reserve+v.reserve/8 }

func (v *volume) ballast() string { return filepath.Join(v.dir, ownDir, ballastFile) }

// refusal is why a server does not go on with a volume.
func (v *volume) refusal() error {
	return fmt.Errorf("%w: %s has %d bytes free, fewer than the %d without which this server does not write: "+
		"free space on that file system, or remove %s; delete nothing else in the directory",
		disk.ErrFull, v.dir, v.free.Load(), v.reserve/exhausted, v.ballast())
}

// check refuses a start on a disk that is all but full.
func (s *space) check() error {
	if worst := s.measure(); worst != nil && worst.exhausted() {
		return fmt.Errorf("%w: %w", ErrDataDir, worst.refusal())
	}
	return nil
}

// watch looks at the free space until ctx ends, or until there is too little of it to go on.
func (s *space) watch(ctx context.Context) error {
	t := time.NewTicker(cmp.Or(s.n.cfg.SpaceEvery, defaultSpaceEvery))
	defer t.Stop()
	s.keepBallast()
	for {
		if err := s.look(); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-t.C:
		}
	}
}

// look measures and acts.
func (s *space) look() error {
	worst := s.measure()
	if worst == nil {
		return nil
	}
	log := s.n.log
	switch {
	case worst.exhausted():
		err := fmt.Errorf("%w: %w", ErrStore, worst.refusal())
		log.Error().Err(err).Msg("this server leaves before its disk is full")
		return err
	case !s.low && worst.low():
		s.low = true
		s.lowNow.Store(true)
		log.Warn().Str("dir", worst.dir).Int64("free", worst.free.Load()).Int64("reserve", worst.reserve).
			Msg("space is low: a leader hands over, or refuses what makes the tree grow")
		s.n.server.RefuseGrowth(true)
	case s.low && worst.recovered():
		s.low, s.asked = false, 0
		s.lowNow.Store(false)
		log.Info().Str("dir", worst.dir).Int64("free", worst.free.Load()).Msg("there is space again")
		s.n.server.RefuseGrowth(false)
		s.keepBallast()
	}
	if generation := s.n.peer.Leading(); s.low && generation != 0 {
		s.ask(generation, worst)
	}
	return nil
}

// ask asks a leadership of this server to end, at each look: the others may not be able to do without it yet. A later one
// of the same episode has patience first.
func (s *space) ask(generation uint64, low *volume) {
	s.looks++
	if s.asked == 0 || s.asked != generation && s.looks > patience {
		s.asked, s.looks = generation, 0
	}
	if s.asked == generation {
		s.n.peer.HandOver(generation, "space is low on "+low.dir)
	}
}

// keepBallast makes the ballasts where there is room for them.
func (s *space) keepBallast() {
	for _, v := range s.volumes {
		usage, err := s.fs.GetDiskUsage(v.dir)
		if err != nil {
			continue
		}
		size := limited(s.n.conf.DiskBallastMb, usage.TotalBytes, ballastShare)
		if size == 0 || int64(usage.AvailBytes) < v.reserve+4*size {
			continue
		}
		if err := disk.KeepBallast(s.fs, v.ballast(), size); err != nil {
			s.n.log.Warn().Err(err).Str("file", v.ballast()).Msg("no ballast can be kept")
		}
	}
}

// release gives the ballasts back if err says that a disk is full.
func (s *space) release(err error) {
	if !errors.Is(err, disk.ErrFull) {
		return
	}
	for _, v := range s.volumes {
		freed, err := disk.ReleaseBallast(s.fs, v.ballast())
		if err != nil {
			s.n.log.Error().Err(err).Str("file", v.ballast()).Msg("the ballast cannot be given back")
		} else if freed > 0 {
			s.n.log.Warn().Str("file", v.ballast()).Int64("bytes", freed).Msg("the ballast was given back")
		}
	}
}

// metrics are lines of the mntr command.
func (s *space) metrics() []server.Metric {
	out := make([]server.Metric, 0, len(s.volumes)+1)
	for _, v := range s.volumes {
		if free := v.free.Load(); free >= 0 {
			out = append(out, server.Metric{Name: v.name + "_disk_free", Value: strconv.FormatInt(free, 10)})
		}
	}
	low := "0"
	if s.lowNow.Load() {
		low = "1"
	}
	return append(out, server.Metric{Name: "disk_low", Value: low})
}
