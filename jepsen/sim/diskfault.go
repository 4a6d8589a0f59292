package sim

import (
	"errors"
	"regexp"
	"strings"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/zabkeeper/zabkeeper/zab"
	"github.com/zabkeeper/zabkeeper/zab/txnlog"
)

// breakDown lets the disk fail while it writes a step. The process ends as server/node ends it: with
// the first error that the log calls fatal. False: nothing was written, so that nothing has failed.
func (d *disk) breakDown(p *process, j job) bool {
	after := d.model.clone()
	after.apply(j.step)
	d.fs.arm(d.s.rng.Float64(), d.breaks)
	err := d.log.Apply(j.step)
	image, imageErr := d.fs.disarm()
	if imageErr != nil {
		panic("sim: image of a broken disk: " + imageErr.Error())
	}
	if image == nil {
		if err == nil {
			d.s.fail(failsSafe, "server %v: %s was written past a broken disk", d.sid, describe(j.step))
		}
		d.queue = append([]job{j}, d.queue...)
		d.breaks = FaultKill
		return false
	}
	d.checkEnd(err)
	d.maybe = &after
	d.breaks = FaultKill
	d.s.counts.Crashes++
	d.s.trace(p.server, line{label: labelExit, text: reason(err)})
	p.end(false, image)
	return true
}

// checkEnd holds the log to what is written about broken disks (spec hazards H-03, H-05, H-16): the
// error is told once, names directory and remedy, and nothing is taken any more.
func (d *disk) checkEnd(err error) {
	told := d.reported()
	switch {
	case err == nil:
		d.s.fail(failsSafe, "server %v: the disk failed and the log did not", d.sid)
	case len(told) != 1:
		d.s.fail(failsSafe, "server %v: the disk failed once, %d errors were called fatal: %v", d.sid, len(told), told)
	case !strings.Contains(told[0].Error(), logDir):
		d.s.fail(failsSafe, "server %v: %v names no directory", d.sid, told[0])
	case d.breaks == FaultFull && !errors.Is(told[0], txnlog.ErrDiskFull):
		d.s.fail(failsSafe, "server %v: the disk was full, it was said: %v", d.sid, told[0])
	case d.log.Apply(&zab.Persist{Token: 1}) == nil:
		d.s.fail(failsSafe, "server %v: the log goes on after %v", d.sid, told[0])
	}
}

// noLog ends a start that could not read the log.
func (d *disk) noLog(err error) {
	if !strings.Contains(err.Error(), logDir) {
		d.s.fail(failsSafe, "server %v: %v names no directory", d.sid, err)
	}
	d.reported()
	d.s.counts.Crashes++
	d.s.trace(d.s.server(d.sid), line{label: labelExit, text: reason(err)})
	d.leave(d.fs.mem.CrashClone(vfs.CrashCloneCfg{}))
}

// fileNumber is what Pebble calls a file: it depends on when its background work came to run.
var fileNumber = regexp.MustCompile(`[0-9]{6}`)

// reason is the text of a store's error, the same for the same seed.
func reason(err error) string { return fileNumber.ReplaceAllString(err.Error(), "N") }
