package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/zabkeeper/zabkeeper/cmd/zabkeeper/bench"
)

func benchWatchCommand(servers *string, common *bench.Config) *cobra.Command {
	var (
		cfg    bench.WatchConfig
		mode   string
		asJSON bool
	)
	cmd := &cobra.Command{
		Use:   "watch",
		Short: "Let many sessions watch many nodes, change all of these, and report how long it takes and who else waits",
		Long: `Let each session watch the same paths, on the first of --servers. In each round one transaction (or a few,
beyond some 10000 paths) changes all of them, and every session is told of each. Reported are the time until the
last event, and how long reads and writes of two other sessions took before and meanwhile. With --pid, of a server
on this machine, also how much its resident memory grew by the watches. With --own each session watches paths of its
own, at which there is nothing, and nothing is changed.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt)
			defer stop()
			cfg.Server, _, _ = strings.Cut(*servers, ",")
			cfg.Mode, cfg.SessionTimeout = bench.WatchMode(mode), common.SessionTimeout
			if err := cfg.Validate(); err != nil {
				return &invocationError{err}
			}
			r, err := bench.RunWatch(ctx, cfg)
			if err != nil {
				return err
			}
			if !asJSON {
				fmt.Println(r)
				return nil
			}
			return printWatchJSON(cfg, r)
		},
	}
	f := cmd.Flags()
	f.StringVar(&mode, "mode", string(bench.WatchData), "data, persistent or recursive")
	f.IntVar(&cfg.Sessions, "sessions", 100, "sessions that watch")
	f.IntVar(&cfg.Paths, "paths", 1000, "paths that each of them watches")
	f.BoolVar(&cfg.Own, "own", false, "give each session paths of its own")
	f.IntVar(&cfg.Rounds, "rounds", 5, "rounds of changes")
	f.IntVar(&cfg.Pid, "pid", 0, "process of the server, to measure its memory")
	f.DurationVar(&cfg.Idle, "idle", 2*time.Second, "time to measure other sessions before the first change")
	f.BoolVar(&asJSON, "json", false, "print one JSON object")
	return cmd
}

func printWatchJSON(cfg bench.WatchConfig, r bench.WatchResult) error {
	out := map[string]any{
		"mode": cfg.Mode, "sessions": cfg.Sessions, "paths": cfg.Paths, "watches": r.Watches,
		"set_ms": r.SetIn.Seconds() * 1000, "bytes_per_watch": r.BytesPerWatch,
	}
	last := make([]float64, len(r.Last))
	for i, d := range r.Last {
		last[i] = d.Seconds() * 1000
	}
	out["last_event_ms"] = last
	for name, h := range map[string]*bench.Histogram{
		"reads_before": r.IdleReads, "reads_meanwhile": r.Reads, "writes_before": r.IdleWrites, "writes_meanwhile": r.Writes,
	} {
		if h != nil {
			out[name] = map[string]float64{
				"p50_ms": h.Quantile(0.50).Seconds() * 1000, "p99_ms": h.Quantile(0.99).Seconds() * 1000,
				"max_ms": h.Max().Seconds() * 1000,
			}
		}
	}
	return json.NewEncoder(os.Stdout).Encode(out)
}
