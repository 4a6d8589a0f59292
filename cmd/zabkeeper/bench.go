package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/zabkeeper/zabkeeper/cmd/zabkeeper/bench"
)

func benchCommand() *cobra.Command {
	var (
		servers string
		cfg     bench.Config
		loads   string
		asJSON  bool
	)
	cmd := &cobra.Command{
		Use:   "bench",
		Short: "Measure a server of the ZooKeeper protocol",
		Long: `Measure any server of the ZooKeeper protocol: throughput and latency of pipelined
sessions. --loads lists loads as workload:sessionsxin-flight; the workloads are set, create, get and
mix (70 % get, 30 % set). The nodes live below /zabkeeper-bench.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt)
			defer stop()
			cfg.Servers = strings.Split(servers, ",")
			cfgs, err := parseLoads(loads, cfg)
			if err != nil {
				return &invocationError{err}
			}
			for _, c := range cfgs {
				r, err := bench.Run(ctx, c)
				if err != nil {
					return err
				}
				if err := printResult(r, asJSON); err != nil {
					return err
				}
			}
			return nil
		},
	}
	f := cmd.PersistentFlags()
	f.StringVar(&servers, "servers", "127.0.0.1:2181", "servers, host:port, comma separated")
	f.IntVar(&cfg.Size, "size", 100, "bytes of data per node")
	f.DurationVar(&cfg.SessionTimeout, "session-timeout", 30*time.Second, "session timeout to ask for")
	cmd.Flags().StringVar(&loads, "loads", "set:1x1,set:16x1,set:16x16,set:128x16,create:16x16,get:16x16,get:128x16,mix:16x16", "loads to apply, one after the other")
	cmd.Flags().IntVar(&cfg.Keys, "keys", 1000, "nodes that set, get and mix work on")
	cmd.Flags().DurationVar(&cfg.Warmup, "warmup", 2*time.Second, "time before measuring")
	cmd.Flags().DurationVar(&cfg.Duration, "duration", 10*time.Second, "time to measure")
	cmd.Flags().Uint64Var(&cfg.Seed, "seed", 1, "seed of the random choices")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON object per load")
	cmd.AddCommand(benchGapCommand(&servers, &cfg), benchLoadCommand(&servers, &cfg), benchWatchCommand(&servers, &cfg))
	return cmd
}

// parseLoads reads a list of workload:sessionsxin-flight, each of them on top of base.
func parseLoads(text string, base bench.Config) ([]bench.Config, error) {
	var out []bench.Config
	for _, load := range strings.Fields(strings.ReplaceAll(text, ",", " ")) {
		c := base
		name, shape, _ := strings.Cut(load, ":")
		sessions, inFlight, _ := strings.Cut(shape, "x")
		var errs [2]error
		c.Workload = bench.Workload(name)
		c.Sessions, errs[0] = strconv.Atoi(sessions)
		c.InFlight, errs[1] = strconv.Atoi(inFlight)
		if errors.Join(errs[:]...) != nil {
			return nil, fmt.Errorf("load %q: want workload:sessionsxin-flight, such as set:16x16", load)
		}
		if err := c.Validate(); err != nil {
			return nil, fmt.Errorf("load %q: %w", load, err)
		}
		out = append(out, c)
	}
	if len(out) == 0 {
		return nil, errors.New("--loads names no load")
	}
	return out, nil
}

func printResult(r bench.Result, asJSON bool) error {
	if !asJSON {
		fmt.Println(r)
		return nil
	}
	return json.NewEncoder(os.Stdout).Encode(map[string]any{
		"workload": r.Workload, "sessions": r.Sessions, "in_flight": r.InFlight, "ops_per_second": r.Rate(),
		"p50_ms": r.P50.Seconds() * 1000, "p99_ms": r.P99.Seconds() * 1000, "max_ms": r.Max.Seconds() * 1000,
		"errors": r.Errors,
	})
}

func benchGapCommand(servers *string, cfg *bench.Config) *cobra.Command {
	var duration time.Duration
	cmd := &cobra.Command{
		Use:   "gap",
		Short: "Write without pause and report the longest time without a successful write",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, cancel := context.WithTimeout(cmd.Context(), duration)
			defer cancel()
			g, err := bench.RunGap(ctx, strings.Split(*servers, ","), cfg.SessionTimeout)
			if err != nil {
				return err
			}
			fmt.Printf("%d writes, %d connections lost, longest gap %.1f ms\n", g.Writes, g.Lost, g.Longest.Seconds()*1000)
			return nil
		},
	}
	cmd.Flags().DurationVar(&duration, "duration", 30*time.Second, "time to write")
	return cmd
}

func benchLoadCommand(servers *string, cfg *bench.Config) *cobra.Command {
	var nodes int
	cmd := &cobra.Command{
		Use:   "load",
		Short: "Create many nodes, 1000 to a parent",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			began := time.Now()
			if err := bench.Load(cmd.Context(), strings.Split(*servers, ",")[0], nodes, cfg.Size, cfg.SessionTimeout); err != nil {
				return err
			}
			fmt.Printf("%d nodes of %d bytes in %v\n", nodes, cfg.Size, time.Since(began).Round(time.Millisecond))
			return nil
		},
	}
	cmd.Flags().IntVar(&nodes, "nodes", 1_000_000, "nodes to create")
	return cmd
}
