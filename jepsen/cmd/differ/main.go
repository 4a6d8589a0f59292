// Command differ gives seeded random operations to Apache ZooKeeper and to ZabKeeper, in lock step,
// and compares all that clients can see.
//
//	go run ./jepsen/cmd/differ --binary ./zabkeeper --apache "$(jepsen/suites/fetch-zookeeper)" --seeds 100
//	go run ./jepsen/cmd/differ --binary ./zabkeeper --apache ... --replay FILE
//
// It prints a script for every difference, as short as it could be made, and exits with 1 if there
// was one.
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

	"github.com/zabkeeper/zabkeeper/jepsen/differ"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := command(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// options are the command line.
type options struct {
	binary, apache string
	profiles       []differ.Profile
	target, mirror differ.Shape
	seed           uint64
	seeds, ops     int
	limit          time.Duration
	most, effort   int
	without        string
	replay, record string
	dir            string
	outcomes       bool
	out            io.Writer
}

// command runs the command line and returns the exit code: 0 no difference, 1 a difference or a
// failure, 2 for a wrong command line.
func command(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	o, err := parse(args, stderr)
	if errors.Is(err, flag.ErrHelp) {
		return 0
	}
	if err != nil {
		fmt.Fprintln(stderr, "differ:", err)
		return 2
	}
	o.out = stdout
	clean, err := run(ctx, o)
	if err != nil {
		fmt.Fprintln(stderr, "differ:", err)
		return 1
	}
	if !clean {
		return 1
	}
	return 0
}

func parse(args []string, stderr io.Writer) (*options, error) {
	o := &options{}
	f := flag.NewFlagSet("differ", flag.ContinueOnError)
	f.SetOutput(stderr)
	f.StringVar(&o.binary, "binary", "", "the zabkeeper `binary`")
	f.StringVar(&o.apache, "apache", "", "`directory` with the jars of Apache ZooKeeper, see jepsen/suites/fetch-zookeeper")
	profiles := f.String("profiles", "all", "configurations to compare, or all")
	target := f.String("target", "standalone", "the server under test: standalone, the follower, leader or observer of three, or spread over them")
	mirror := f.String("reference", "standalone", "the same for Apache ZooKeeper")
	f.Uint64Var(&o.seed, "seed", rand.Uint64()>>32, "first seed")
	f.IntVar(&o.seeds, "seeds", 100, "scripts for each profile")
	f.IntVar(&o.ops, "ops", 100, "steps of a script")
	f.DurationVar(&o.limit, "time", 0, "stop after that time for each profile, 0 for never")
	f.IntVar(&o.most, "most", 5, "stop a profile after so many differences")
	f.IntVar(&o.effort, "effort", 400, "attempts to make a script shorter")
	f.StringVar(&o.without, "without", "", "operations to leave out, by name, with commas")
	f.StringVar(&o.replay, "replay", "", "run the script in this `file` on fresh servers, and nothing else")
	f.StringVar(&o.record, "record", "", "write what Apache ZooKeeper does with the script of --replay to this `file`")
	f.StringVar(&o.dir, "dir", "", "`directory` for the servers; default a temporary one in memory, if there is one")
	f.BoolVar(&o.outcomes, "outcomes", false, "print how often the reference gave which answer")
	if err := f.Parse(args); err != nil {
		return nil, err
	}
	if f.NArg() > 0 {
		return nil, fmt.Errorf("unexpected argument %q", f.Arg(0))
	}
	if o.binary == "" || o.apache == "" {
		return nil, errors.New("--binary and --apache are needed")
	}
	var err error
	if o.target, err = differ.FindShape(*target); err != nil {
		return nil, err
	}
	if o.mirror, err = differ.FindShape(*mirror); err != nil {
		return nil, err
	}
	if *profiles == "all" {
		o.profiles = differ.Profiles()
		return o, nil
	}
	for name := range strings.SplitSeq(*profiles, ",") {
		p, err := differ.FindProfile(name)
		if err != nil {
			return nil, err
		}
		o.profiles = append(o.profiles, p)
	}
	return o, nil
}

// run compares, or replays.
func run(ctx context.Context, o *options) (clean bool, err error) {
	dir, err := workDir(o.dir)
	if err != nil {
		return false, err
	}
	if o.dir == "" {
		defer os.RemoveAll(dir) //nolint:errcheck // a temporary directory
	}
	o.dir = dir
	if o.replay != "" {
		return replay(ctx, o)
	}
	clean = true
	for _, p := range o.profiles {
		l := &lab{o: o, profile: p}
		ok, err := l.compare(ctx)
		l.close()
		if err != nil {
			return false, fmt.Errorf("%s: %w", p.Name, err)
		}
		clean = clean && ok
	}
	return clean, nil
}

// workDir makes the directory for the servers: in memory if possible, since no test here is about
// disks.
func workDir(dir string) (string, error) {
	if dir != "" {
		return dir, os.MkdirAll(dir, 0o755)
	}
	const memory = "/dev/shm"
	if _, err := os.Stat(memory); err == nil {
		dir = memory
	}
	return os.MkdirTemp(dir, "differ-")
}
