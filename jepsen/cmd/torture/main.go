// Command torture runs an ensemble of real server processes, lets clients use it while a nemesis
// hurts servers, their network, disks and clocks, and judges everything that the clients saw.
//
//	go run ./jepsen/cmd/torture --binary ./zabkeeper --minutes 5 --seed 7
//	go run ./jepsen/cmd/torture --binary ./zabkeeper --minutes 30 --nemesis partition,kill --report reports
//	go run ./jepsen/cmd/torture --apache --minutes 2
//
// It prints the seed, a line of progress every few seconds, and a report. On a violation it keeps
// the histories, the servers' logs and data in a directory that it names, and exits with 1.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/zabkeeper/zabkeeper/jepsen/cluster"
	"github.com/zabkeeper/zabkeeper/jepsen/nemesis"
	"github.com/zabkeeper/zabkeeper/jepsen/network"
	"github.com/zabkeeper/zabkeeper/jepsen/workload"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := command(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// command runs the command line and returns the exit code: 0 clean, 1 violated or failed, 2 for a
// wrong command line.
func command(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	opt, err := parse(args, stdout, stderr)
	if errors.Is(err, flag.ErrHelp) {
		return 0
	}
	if err != nil {
		fmt.Fprintln(stderr, "torture:", err)
		return 2
	}
	if opt.isolated() {
		inside, code, err := network.Enter()
		if err != nil {
			fmt.Fprintln(stderr, "torture:", err)
			return 1
		}
		if !inside {
			return code
		}
	}
	r, err := torture(ctx, opt)
	if err != nil {
		fmt.Fprintln(stderr, "torture:", err)
		return 1
	}
	r.print(stdout)
	if opt.report != "" {
		if err := r.publish(opt.report); err != nil {
			fmt.Fprintln(stderr, "torture:", err)
			return 1
		}
	}
	if !r.clean() {
		return 1
	}
	return 0
}

func parse(args []string, stdout, stderr io.Writer) (options, error) {
	var (
		o       options
		f       = flag.NewFlagSet("torture", flag.ContinueOnError)
		binary  = f.String("binary", "", "the zabkeeper `binary`")
		apache  = f.Bool("apache", false, "run Apache ZooKeeper from Debian's package instead, as a control")
		minutes = f.Float64("minutes", 1, "how long clients and nemesis are at work")
		kinds   = f.String("nemesis", "process", "acts: kinds, or the groups process, partition, link, network, disk, all, or none")
		tick    = f.Int("tick", 500, "tickTime in ms")
		session = f.Int("session", 8, "session timeout in ticks, 2 to 20")
		rate    = f.Float64("rate", 20, "operations a second of one client")
		sync    = f.String("sync", "linearizable", "what a read after sync is held against: linearizable, or session (of a server whose deposed leader may answer, as ZooKeeper's)")
	)
	f.SetOutput(stderr)
	f.Func("set", "a `line` of zoo.cfg, key=value, as often as needed", func(line string) error {
		key, value, ok := strings.Cut(line, "=")
		if !ok || key == "" {
			return errors.New("want key=value")
		}
		if o.set == nil {
			o.set = map[string]string{}
		}
		o.set[key] = value
		return nil
	})
	f.BoolVar(&o.oracle, "oracle", true, "hold everything that clients saw against the committed log (never of Apache ZooKeeper, whose log cannot be read)")
	f.IntVar(&o.servers, "servers", 3, "number of servers")
	f.Uint64Var(&o.seed, "seed", rand.Uint64()>>32, "seed of the nemesis and the clients")
	f.StringVar(&o.workloads, "workloads", workload.All, "workloads")
	f.DurationVar(&o.gap, "gap", 4*time.Second, "mean time between acts")
	f.DurationVar(&o.hold, "hold", 4*time.Second, "longest time between hurting and healing")
	f.StringVar(&o.report, "report", "", "`directory` for a report with plots, torture-SEED.html, and the history beside it")
	f.StringVar(&o.dir, "dir", "", "`directory` for everything, kept; default a temporary one, kept after a failure")
	if err := f.Parse(args); err != nil {
		return o, err
	}
	var err error
	if o.kinds, err = nemesis.ParseKinds(*kinds); err != nil {
		return o, err
	}
	switch {
	case f.NArg() > 0:
		return o, fmt.Errorf("unexpected argument %q", f.Arg(0))
	case *minutes <= 0 || *rate <= 0 || *tick <= 0:
		return o, fmt.Errorf("minutes, rate and tick must be positive")
	case *session < 2 || *session > 20:
		return o, fmt.Errorf("--session %d, servers grant 2 to 20 ticks", *session)
	case *sync != "linearizable" && *sync != "session":
		return o, fmt.Errorf("--sync %q, want linearizable or session", *sync)
	case *apache == (*binary != ""):
		return o, fmt.Errorf("give either --binary or --apache")
	case *apache:
		o.launch, err = cluster.Apache()
	default:
		o.launch, err = cluster.Zabkeeper(*binary)
	}
	o.exact = !*apache
	o.oracle = o.oracle && !*apache
	o.duration = time.Duration(*minutes * float64(time.Minute))
	o.tick = time.Duration(*tick) * time.Millisecond
	o.session = time.Duration(*session) * o.tick
	o.pace = time.Duration(float64(time.Second) / *rate)
	o.syncGets = *sync == "linearizable"
	o.logf = func(format string, args ...any) { fmt.Fprintf(stdout, format+"\n", args...) }
	return o, err
}
