package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/zabkeeper/zabkeeper/jepsen/differ"
)

// lab holds the servers of one profile.
type lab struct {
	o                 *options
	profile           differ.Profile
	reference, tested *differ.Servers
	pair              *differ.Pair
	outcomes          map[string]int // of all pairs so far
}

// fresh starts new servers on both sides.
func (l *lab) fresh(ctx context.Context) error {
	l.close()
	var failed error
	done := make(chan struct{})
	go func() {
		defer close(done)
		l.reference, failed = differ.StartApache(ctx, l.o.apache, l.o.dir, l.profile, l.o.mirror)
	}()
	var err error
	l.tested, err = differ.StartZabkeeper(ctx, l.o.binary, l.o.dir, l.profile, l.o.target)
	<-done
	if err = errors.Join(failed, err); err != nil {
		return err
	}
	if l.outcomes == nil {
		l.outcomes = map[string]int{}
	}
	l.pair = &differ.Pair{Rules: differ.Deviations(), Outcomes: l.outcomes}
	if l.ensemble() {
		l.pair.Rules = differ.EnsembleDeviations()
	}
	if l.pair.Reference, err = l.profile.Connect("Apache ZooKeeper", l.reference.Addrs...); err != nil {
		return err
	}
	l.pair.Tested, err = l.profile.Connect("ZabKeeper", l.tested.Addrs...)
	return err
}

// ensemble reports whether a side is more than one server.
func (l *lab) ensemble() bool {
	return l.o.mirror != differ.Standalone || l.o.target != differ.Standalone
}

// close ends the servers.
func (l *lab) close() {
	if l.pair != nil {
		for _, s := range []*differ.Side{l.pair.Reference, l.pair.Tested} {
			if s != nil {
				s.Close()
			}
		}
		l.pair = nil
	}
	for _, s := range []*differ.Servers{l.reference, l.tested} {
		if s != nil {
			s.Close(false)
		}
	}
	l.reference, l.tested = nil, nil
}

// clean makes both servers' trees empty, with new servers if need be.
func (l *lab) clean(ctx context.Context) error {
	if l.pair != nil {
		if err := l.pair.Reset(); err == nil {
			return nil
		}
	}
	return l.fresh(ctx)
}

// weights are the profile's, without what the command line leaves out and what wedges the
// reference.
func (l *lab) weights() (differ.Weights, error) {
	w := l.profile.Weights
	w.Ensemble = l.ensemble()
	w.Servers = max(l.o.target.Servers(), l.o.mirror.Servers())
	for name := range strings.SplitSeq(l.o.without, ",") {
		if name == "" {
			continue
		}
		op, ok := differ.FindOp(name)
		if !ok {
			return w, fmt.Errorf("no operation %q", name)
		}
		w.Without = append(w.Without, op)
	}
	w.Sound = l.o.mirror != differ.Standalone // semantics 17 row 1
	return w, nil
}

// compare runs all scripts of the profile.
func (l *lab) compare(ctx context.Context) (clean bool, err error) {
	w, err := l.weights()
	if err != nil {
		return false, err
	}
	if err := l.fresh(ctx); err != nil {
		return false, err
	}
	start := time.Now()
	steps, scripts, found := 0, 0, 0
	for i := range l.o.seeds {
		if ctx.Err() != nil || found == l.o.most || l.o.limit > 0 && time.Since(start) > l.o.limit {
			break
		}
		if err = l.clean(ctx); err != nil {
			return false, err
		}
		seed := l.o.seed + uint64(i)
		script := differ.Generate(seed, l.o.ops, w)
		d := l.pair.Run(script)
		scripts++
		steps += len(script)
		if d != nil {
			found++
			if err = l.report(ctx, seed, d); err != nil {
				return false, err
			}
		}
	}
	fmt.Fprintf(l.o.out, "%s: %s against %s: %d scripts from seed %d, %d steps, %d differences, %.0f steps/s\n", l.profile.Name,
		l.o.target, l.o.mirror, scripts, l.o.seed, steps, found, float64(steps)/time.Since(start).Seconds())
	if l.o.outcomes {
		for _, kind := range slices.Sorted(maps.Keys(l.outcomes)) {
			fmt.Fprintf(l.o.out, "%8d %s\n", l.outcomes[kind], kind)
		}
	}
	return found == 0, ctx.Err()
}

// report makes the script of a difference short and prints both.
func (l *lab) report(ctx context.Context, seed uint64, d *differ.Difference) error {
	fmt.Fprintf(l.o.out, "\ndifference in profile %s, seed %d, step %d: %v\n", l.profile.Name, seed, len(d.Script), d)
	smallest, broken := d, error(nil)
	if err := l.fresh(ctx); err != nil {
		return err
	}
	differ.Shrink(d.Script, l.o.effort, func(s differ.Script) bool {
		if broken == nil && ctx.Err() == nil {
			broken = l.clean(ctx)
		}
		if broken != nil || ctx.Err() != nil {
			return false
		}
		again := l.pair.Run(s)
		if again != nil {
			smallest = again
		}
		return again != nil
	})
	fmt.Fprintf(l.o.out, "the shortest script found, and its last step:\n\n%v\n%v\n", smallest.Script, smallest)
	l.close()
	return broken
}

// replay runs one script on fresh servers of the first profile, or of the one that the script
// names.
func replay(ctx context.Context, o *options) (bool, error) {
	text, err := os.ReadFile(o.replay)
	if err != nil {
		return false, err
	}
	golden, err := differ.ParseGolden(string(text))
	if err != nil {
		return false, fmt.Errorf("%s: %w", o.replay, err)
	}
	profile := o.profiles[0]
	if golden.Profile != "" {
		if profile, err = differ.FindProfile(golden.Profile); err != nil {
			return false, err
		}
	}
	l := &lab{o: o, profile: profile}
	defer l.close()
	if err = l.fresh(ctx); err != nil {
		return false, err
	}
	if o.record != "" {
		golden.Profile = profile.Name
		golden.Record(l.pair)
		if err = os.WriteFile(o.record, []byte(golden.String()), 0o644); err != nil {
			return false, err
		}
		if err = l.fresh(ctx); err != nil {
			return false, err
		}
	}
	if d := l.pair.Run(golden.Script); d != nil {
		fmt.Fprintf(o.out, "%v\n", d)
		return false, nil
	}
	fmt.Fprintln(o.out, "no difference")
	return true, nil
}
