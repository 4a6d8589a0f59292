package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/http/pprof"
	"os"
	"os/signal"
	"path/filepath"
	"runtime/debug"
	"strings"
	"syscall"
	"time"

	"github.com/mattn/go-isatty"
	"github.com/rs/zerolog"
	"github.com/spf13/cobra"

	"github.com/zabkeeper/zabkeeper/conf"
	"github.com/zabkeeper/zabkeeper/server/node"
)

// defaultDataDir is where a server without a configuration keeps its data.
const defaultDataDir = "./zabkeeper-data"

type serverOptions struct {
	dataDir  string
	logLevel string
	strict   bool
	pprof    string
	set      []string
}

func serverCommand() *cobra.Command {
	var o serverOptions
	cmd := &cobra.Command{
		Use:   "server [zoo.cfg]",
		Short: "Run a server in the foreground",
		Long: `Run a server in the foreground, with the given zoo.cfg, or, without one, a
standalone server on 127.0.0.1:2181 that keeps its data in ` + defaultDataDir + `.

-D flags of SERVER_JVMFLAGS and JVMFLAGS count as settings. SIGTERM and SIGINT stop the server in
order, with exit code 0. A second one ends it at once.`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error { return runServer(o, args) },
	}
	cmd.Flags().StringVar(&o.dataDir, "data-dir", "", "data directory, in place of dataDir of the configuration")
	cmd.Flags().StringVar(&o.logLevel, "log-level", "info", "debug, info, warn or error")
	cmd.Flags().BoolVar(&o.strict, "strict-config", false, "refuse unknown keys")
	cmd.Flags().StringVar(&o.pprof, "pprof", "", "serve Go profiles on this address, such as 127.0.0.1:6060")
	cmd.Flags().StringArrayVarP(&o.set, "set", "D", nil, "override a setting: -D key=value")
	return cmd
}

func runServer(o serverOptions, args []string) error {
	level, err := zerolog.ParseLevel(o.logLevel)
	if err != nil {
		return &invocationError{fmt.Errorf("--log-level %q: want debug, info, warn or error", o.logLevel)}
	}
	log := newLogger(os.Stderr, level)
	cfg, err := loadConfig(o, args)
	if err != nil {
		log.Error().Err(err).Msg("configuration refused")
		return &reportedError{err}
	}
	report(log, cfg)
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}

	if o.pprof != "" {
		if err := serveProfiles(log, o.pprof); err != nil {
			log.Error().Err(err).Msg("cannot start")
			return &reportedError{err}
		}
	}
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT)
	b := thisBuild()
	n, err := node.Start(node.Config{
		Conf: cfg, Logger: log, Revision: b.revision, Built: b.built,
		Fatal: func(err error) { os.Exit(node.ExitCode(err)) },
	})
	if err != nil {
		log.Error().Err(err).Msg("cannot start")
		return &reportedError{err}
	}
	if len(args) == 0 {
		welcome(os.Stderr, n.ClientAddr(), cfg.DataDir)
	}
	if n.SpeaksTLS() {
		reloadOnHangup(log, n)
	}
	go func() {
		log.Info().Stringer("signal", <-signals).Msg("stopping")
		go n.Stop() //nolint:errcheck // Wait, below, returns the same error
		<-signals
		os.Exit(node.ExitUnexpected)
	}()
	if err := n.Wait(); err != nil {
		log.Error().Err(err).Msg("ended")
		return &reportedError{err}
	}
	log.Info().Msg("stopped")
	return nil
}

// gcPercent is the garbage collector's room in percent of the live heap, unless GOGC says
// otherwise. Most of that heap is the node cache: less room than Go's 100 costs three percent of
// the processor under full load and saves a sixth of the memory.
const gcPercent = 60

// reloadOnHangup reads keys and certificates at every SIGHUP, for the life of the process.
func reloadOnHangup(log zerolog.Logger, n *node.Node) {
	hangups := make(chan os.Signal, 1)
	signal.Notify(hangups, syscall.SIGHUP)
	go func() {
		for range hangups {
			log.Info().Msg("reading keys and certificates as told")
			n.ReloadCertificates()
		}
	}()
}

// serveProfiles serves net/http/pprof for the life of the process.
func serveProfiles(log zerolog.Logger, addr string) error {
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return fmt.Errorf("--pprof: %w", err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/debug/pprof/", pprof.Index)
	mux.HandleFunc("/debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("/debug/pprof/trace", pprof.Trace)
	srv := &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	log.Warn().Stringer("address", l.Addr()).Msg("profiles are served without authentication")
	go func() { log.Error().Err(srv.Serve(l)).Msg("profiles ended") }()
	return nil
}

// newLogger writes for people on a terminal and JSON otherwise.
func newLogger(out *os.File, level zerolog.Level) zerolog.Logger {
	var w io.Writer = out
	if isatty.IsTerminal(out.Fd()) {
		w = zerolog.ConsoleWriter{Out: out, TimeFormat: "15:04:05.000"}
	}
	return zerolog.New(w).Level(level).With().Timestamp().Logger()
}

// loadConfig reads the configuration that the arguments name, or the built-in one.
func loadConfig(o serverOptions, args []string) (*conf.Config, error) {
	in := conf.Default(defaultDataDir)
	if len(args) == 1 {
		path, err := filepath.Abs(args[0])
		if err != nil {
			return nil, err
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return nil, &conf.Error{File: args[0], Reason: "cannot be read: " + err.Error()}
		}
		in = conf.Input{Name: path, Text: text}
	}
	in.ReadFile = readFile
	in.Strict = o.strict
	in.Flags, _ = conf.FromEnvironment(os.Getenv)
	if o.dataDir != "" {
		in.CommandLine = append(in.CommandLine, conf.Setting{Key: "dataDir", Value: o.dataDir, Origin: commandLine})
	}
	for _, s := range o.set {
		key, value, ok := strings.Cut(s, "=")
		if !ok || key == "" {
			return nil, &conf.Error{Key: s, Reason: "-D wants key=value"}
		}
		in.CommandLine = append(in.CommandLine, conf.Setting{Key: key, Value: value, Origin: commandLine})
	}
	return conf.Load(in)
}

// readFile reads a file that belongs to the configuration. Below something that is no
// directory there is none, and that is the data directory's fault, not the configuration's.
func readFile(name string) ([]byte, error) {
	text, err := os.ReadFile(name)
	if errors.Is(err, syscall.ENOTDIR) {
		return nil, fs.ErrNotExist
	}
	return text, err
}

// report logs what the configuration has to say.
func report(log zerolog.Logger, cfg *conf.Config) {
	for _, n := range cfg.Notices {
		ev := log.Info()
		if n.Level == conf.Warn {
			ev = log.Warn()
		}
		ev.Str("origin", n.Origin.String()).Msg(n.Text)
	}
	for _, s := range cfg.Effective() {
		if s.Origin.Name != conf.OriginDefault {
			log.Info().Str("key", s.Key).Str("value", s.Value).Stringer("origin", s.Origin).Msg("setting")
		}
	}
}

func welcome(w io.Writer, addr net.Addr, dataDir string) {
	if dir, err := filepath.Abs(dataDir); err == nil {
		dataDir = dir
	}
	_, port, err := net.SplitHostPort(addr.String())
	if err != nil {
		port = "2181"
	}
	fmt.Fprintf(w, `
ZabKeeper listens on %s and keeps its data in %s.
Any ZooKeeper client can use it now. Try, in another terminal:

    exec 3<>/dev/tcp/127.0.0.1/%s; echo srvr >&3; cat <&3
    go run ./cmd/zabkeeper bench --servers 127.0.0.1:%s --duration 5s

Stop it with Ctrl-C; what was acknowledged is kept.

`, addr, dataDir, port, port)
}

var commandLine = conf.Origin{Name: conf.OriginCommandLine}
