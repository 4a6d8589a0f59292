package nemesis

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"
)

// Disks are the servers' disks, which can be hurt. Data is changed only while its server is down.
type Disks interface {
	// Slow lets each sync of a server take so much longer, Fail lets all of them fail.
	Slow(id int, delay time.Duration)
	Fail(id int)
	// Failed returns how many syncs have met what Slow or Fail did.
	Failed(id int) int
	// Fill leaves no room.
	Fill(id int) error
	// Heal undoes what Slow, Fail and Fill did.
	Heal(id int) error

	// Corrupt flips some bytes of one file and says where.
	Corrupt(id int, r *rand.Rand) (string, error)
	// Wipe removes all data, Save copies it, Restore puts the copy in its place.
	Wipe(id int) error
	Save(id int) error
	Restore(id int) error

	// Remedy returns an error unless the server, which has ended by itself, has said which file or
	// directory is bad and what to do.
	Remedy(id int) error
}

var errNoDisks = errors.New("there are no disks that can be hurt")

// spoil hurts the disk of one server.
func (n *runner) spoil(ctx context.Context, a Act, id int) (string, error) {
	if n.opt.Disks == nil {
		return "", errNoDisks
	}
	r := rand.New(rand.NewPCG(a.Seed, 0))
	switch a.Kind {
	case SlowDisk:
		d := time.Duration(20+r.IntN(1000)) * time.Millisecond
		n.opt.Disks.Slow(id, d)
		return fmt.Sprintf("each sync of server %d takes %v more", id, d), nil
	case BadDisk:
		return n.bad(ctx, id)
	case FullDisk:
		return n.full(ctx, a, id)
	case Corrupt:
		return n.corrupt(ctx, a, id, r)
	case Wipe:
		err := errors.Join(n.e.Kill(id), n.opt.Disks.Wipe(id))
		sleep(ctx, a.Hold)
		return "", err
	default: // Backup
		return "", n.backup(ctx, a, id)
	}
}

// bad lets syncs fail until the server has ended, which it must do when it has seen one.
func (n *runner) bad(ctx context.Context, id int) (string, error) {
	n.e.Excuse(id)
	n.opt.Disks.Fail(id)
	if n.ends(ctx, id, n.opt.Patience) {
		return fmt.Sprintf("server %d has ended", id), n.opt.Disks.Remedy(id)
	}
	failed := n.opt.Disks.Failed(id)
	if failed > 0 && ctx.Err() == nil {
		return "", fmt.Errorf("server %d goes on after %d failed syncs", id, failed)
	}
	return fmt.Sprintf("server %d did not sync", id), n.e.Kill(id)
}

// full leaves no room while the act holds. The server may live on as long as it needs none; then
// it has to start without room.
func (n *runner) full(ctx context.Context, a Act, id int) (string, error) {
	n.e.Excuse(id)
	if err := n.opt.Disks.Fill(id); err != nil {
		return "", err
	}
	if n.ends(ctx, id, a.Hold) {
		return fmt.Sprintf("server %d has ended", id), n.opt.Disks.Remedy(id)
	}
	if err := errors.Join(n.e.Kill(id), n.e.Start(id)); err != nil {
		return "", err
	}
	n.e.Excuse(id)
	if n.ends(ctx, id, a.Hold+time.Second) {
		return fmt.Sprintf("server %d did not start", id), n.opt.Disks.Remedy(id)
	}
	// What it could not write in the background may end it at any time: better now.
	return fmt.Sprintf("server %d needed no room", id), n.e.Kill(id)
}

// corrupt starts a server on damaged data. It must refuse, or do without what is damaged and
// serve what is right; then it gets the remedy of the manual: empty directories.
func (n *runner) corrupt(ctx context.Context, a Act, id int, r *rand.Rand) (string, error) {
	if err := n.e.Kill(id); err != nil {
		return "", err
	}
	note, err := n.opt.Disks.Corrupt(id, r)
	if err != nil {
		return "", err
	}
	if err = n.e.Start(id); err != nil {
		return note, err
	}
	n.e.Excuse(id)
	if n.ends(ctx, id, a.Hold+time.Second) {
		note += ": it has ended"
		err = n.opt.Disks.Remedy(id)
	}
	return note, errors.Join(err, n.e.Kill(id), n.opt.Disks.Wipe(id))
}

// backup sets a server back to what it held a hold ago.
func (n *runner) backup(ctx context.Context, a Act, id int) error {
	if err := errors.Join(n.e.Kill(id), n.opt.Disks.Save(id), n.e.Start(id)); err != nil {
		return err
	}
	if err := n.settle(ctx); err != nil {
		if ctx.Err() != nil {
			return nil
		}
		return err
	}
	sleep(ctx, a.Hold)
	return errors.Join(n.e.Kill(id), n.opt.Disks.Restore(id))
}

// ends waits until a server has ended by itself; false when it did not within the patience.
func (n *runner) ends(ctx context.Context, id int, patience time.Duration) bool {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for n.e.Running(id) {
		if !sleep(ctx, 20*time.Millisecond) {
			return false
		}
	}
	return true
}

// Clocks are the servers' wall clocks.
type Clocks interface {
	// Step puts the clock of a server's present process so many seconds off the true time.
	Step(id int, seconds int64) error
}

var errNoClocks = errors.New("there are no clocks that can be turned")

// turn lets the wall clock of a server jump, forward or back, by seconds or by years.
func (n *runner) turn(a Act, id int) (string, error) {
	if n.opt.Clocks == nil {
		return "", errNoClocks
	}
	r := rand.New(rand.NewPCG(a.Seed, 0))
	far := []int64{5, 60, 3600, 86_400, 400 * 86_400}
	seconds := 1 + r.Int64N(far[r.IntN(len(far))])
	if r.IntN(2) == 0 {
		seconds = -seconds
	}
	return fmt.Sprintf("the clock of server %d is off by %ds", id, seconds), n.opt.Clocks.Step(id, seconds)
}
