package main

import (
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/zabkeeper/zabkeeper/jepsen/sim"
)

// batch shares seeds out.
type batch struct {
	o      *options
	stdout io.Writer
	end    uint64
	began  time.Time

	mu       sync.Mutex
	next     uint64
	done     int
	failed   int
	steps    int
	acts     int
	virtual  time.Duration
	reported time.Time
	counts   sim.Counts
	err      error
}

func newBatch(o *options, stdout io.Writer) *batch {
	now := time.Now()
	return &batch{o: o, stdout: stdout, next: o.cfg.Seed, end: o.cfg.Seed + o.seeds, began: now, reported: now}
}

func (b *batch) run() {
	var wg sync.WaitGroup
	for range max(b.o.workers, 1) {
		wg.Go(b.work)
	}
	wg.Wait()
}

// take returns the next seed.
func (b *batch) take() (uint64, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	late := b.o.within > 0 && time.Since(b.began) > b.o.within
	if b.next >= b.end || b.err != nil || late || b.failed > 0 && !b.o.all {
		return 0, false
	}
	b.next++
	return b.next - 1, true
}

func (b *batch) work() {
	for seed, ok := b.take(); ok; seed, ok = b.take() {
		cfg := b.o.cfg
		cfg.Seed = seed
		r, err := sim.Run(cfg)
		b.note(cfg, &r, err)
	}
}

func (b *batch) note(cfg sim.Config, r *sim.Result, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if err != nil {
		b.err = err
		return
	}
	b.done++
	b.steps += r.Steps
	b.acts += r.Acts
	b.virtual += r.Virtual
	b.counts.Add(&r.Counts)
	if r.Violation != nil {
		b.failed++
		b.o.explain(b.stdout, cfg, r)
	}
	if b.o.progress > 0 && time.Since(b.reported) > b.o.progress {
		b.reported = time.Now()
		b.summary()
	}
}

// summary prints one line.
func (b *batch) summary() {
	took := time.Since(b.began)
	fmt.Fprintf(b.stdout, "%d seeds in %v (%.0f/min), next %d; %.1f h simulated, %d steps (%.0f/min), %d failed\n",
		b.done, took.Round(time.Second/10), float64(b.done)/took.Minutes(), b.next, b.virtual.Hours(),
		b.steps, float64(b.steps)/took.Minutes(), b.failed)
}

// report prints what has happened in all.
func (b *batch) report() {
	b.summary()
	fmt.Fprintf(b.stdout, "acts %d, %v\n", b.acts, &b.counts)
}
