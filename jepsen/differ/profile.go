package differ

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/zabkeeper/zabkeeper/jepsen/cluster"
)

// Profile is how both servers are configured, and what scripts are made for it.
type Profile struct {
	Name     string
	Settings map[string]string // of zoo.cfg
	Tick     time.Duration     // tickTime, 0 for two seconds
	JAAS     string            // content of the file of java.security.auth.login.config, "" for none
	Weights  Weights
}

// Profiles are the configurations that are compared.
func Profiles() []Profile {
	usual := Weights{FrameLimit: 0xfffff}
	quota := usual
	quota.Quota = true
	expiry := usual
	expiry.Expiry = true
	cleaner := usual
	cleaner.Cleaner = true
	sasl := usual
	sasl.SASL = true
	small := usual
	small.FrameLimit, small.Long = 1500, true
	return []Profile{
		{Name: "usual", Weights: usual},
		{Name: "quota", Weights: quota, Settings: map[string]string{"enforceQuota": "true"}},
		{Name: "small", Weights: small, Settings: map[string]string{"jute.maxbuffer": strconv.Itoa(small.FrameLimit)}},
		{Name: "plain", Weights: usual, Settings: map[string]string{"extendedTypesEnabled": "false"}},
		{Name: "skipacl", Weights: usual, Settings: map[string]string{"skipACL": "yes"}},
		{Name: "expiry", Weights: expiry, Tick: 200 * time.Millisecond, Settings: map[string]string{"minSessionTimeout": strconv.Itoa(shortTimeout)}},
		{Name: "sasl", Weights: sasl, JAAS: jaasFile, Settings: map[string]string{"authProvider.1": "org.apache.zookeeper.server.auth.SASLAuthenticationProvider"}},
		{Name: "local", Weights: usual, Settings: map[string]string{"localSessionsEnabled": "true", "localSessionsUpgradingEnabled": "true"}},
		{Name: "localonly", Weights: usual, Settings: map[string]string{"localSessionsEnabled": "true", "localSessionsUpgradingEnabled": "false"}},
		{Name: "cleaner", Weights: cleaner, Settings: map[string]string{"znode.container.checkIntervalMs": "200"}},
	}
}

// FindProfile returns the profile with that name.
func FindProfile(name string) (Profile, error) {
	all := Profiles()
	var known []string
	for _, p := range all {
		if p.Name == name {
			return p, nil
		}
		known = append(known, p.Name)
	}
	return Profile{}, fmt.Errorf("differ: no profile %q, there are %s", name, strings.Join(known, ", "))
}

// loginConfig is the setting that names the JAAS file.
const loginConfig = "java.security.auth.login.config"

// WithFiles writes the files of the profile into a directory and returns the profile with the
// settings that name them.
func (p Profile) WithFiles(dir string) (Profile, error) {
	if p.JAAS == "" {
		return p, nil
	}
	file := filepath.Join(dir, "jaas.conf")
	if err := os.WriteFile(file, []byte(p.JAAS), 0o600); err != nil {
		return p, fmt.Errorf("differ: %w", err)
	}
	p.Settings = maps.Clone(p.Settings)
	p.Settings[loginConfig] = file
	return p, nil
}

// AllSettings returns what both servers have in zoo.cfg: sessions that do not expire while a script runs, TTL
// nodes, a cleaner that never comes, the super user, and the profile's own settings.
func (p Profile) AllSettings() map[string]string {
	all := map[string]string{
		"minSessionTimeout":                        "60000",
		"maxSessionTimeout":                        "3600000",
		"extendedTypesEnabled":                     "true",
		"znode.container.checkIntervalMs":          "1000000000",
		"forceSync":                                "no",
		"DigestAuthenticationProvider.superDigest": SuperDigest,
	}
	maps.Copy(all, p.Settings)
	return all
}

// properties returns the settings that Apache ZooKeeper knows as system properties alone.
func (p Profile) properties() []string {
	list := []string{"file.encoding=UTF-8"}
	for _, name := range []string{"jute.maxbuffer", "znode.container.checkIntervalMs", loginConfig} {
		if v, ok := p.AllSettings()[name]; ok {
			list = append(list, name+"="+v)
		}
	}
	return list
}

// Shape is which servers of what ensemble the clients are connected to.
type Shape string

// The shapes: a server of its own; one of three in that role; and a follower, the leader and an
// observer, in this order, of four.
const (
	Standalone Shape = "standalone"
	Follower   Shape = "follower"
	Leader     Shape = "leader"
	Observer   Shape = "observer"
	Spread     Shape = "spread"
)

// Servers returns how many servers have clients.
func (s Shape) Servers() int { return len(s.modes()) }

// modes returns the modes of the servers with clients.
func (s Shape) modes() []Shape {
	if s == Spread {
		return []Shape{Follower, Leader, Observer}
	}
	return []Shape{s}
}

// config returns the sizes of the ensemble.
func (s Shape) config() (servers, observers int) {
	switch s {
	case Standalone:
		return 1, 0
	case Observer:
		return 3, 1
	case Spread:
		return 4, 1
	case Follower, Leader:
	}
	return 3, 0
}

// Servers are the running processes of one side.
type Servers struct {
	cluster *cluster.Cluster
	dir     string
	Addrs   []string // of the servers for the clients
}

// usualTick is tickTime where no profile says otherwise. A server may be as slow as that allows, whatever a
// tick is: ticksFor counts that in ticks.
const (
	usualTick = 2 * time.Second
	patience  = 30 * time.Second
)

// ticksFor returns initLimit and syncLimit.
func ticksFor(tick time.Duration) int { return int(patience / tick) }

// startLimit bounds the start of an ensemble.
const startLimit = 90 * time.Second

// StartApache starts Apache ZooKeeper from the jars in home.
func StartApache(ctx context.Context, home, dir string, p Profile, shape Shape) (*Servers, error) {
	return start(ctx, dir, "apache", p, shape, func(properties []string) (cluster.Launch, error) {
		return cluster.ApacheHome(home, properties...)
	})
}

// StartZabkeeper starts the binary.
func StartZabkeeper(ctx context.Context, binary, dir string, p Profile, shape Shape) (*Servers, error) {
	return start(ctx, dir, "zabkeeper", p, shape, func([]string) (cluster.Launch, error) { return cluster.Zabkeeper(binary) })
}

func start(ctx context.Context, dir, kind string, p Profile, shape Shape, launcher func(properties []string) (cluster.Launch, error)) (*Servers, error) {
	dir, err := os.MkdirTemp(dir, kind+"-")
	if err != nil {
		return nil, fmt.Errorf("differ: %w", err)
	}
	if p, err = p.WithFiles(dir); err != nil {
		return nil, err
	}
	launch, err := launcher(p.properties())
	if err != nil {
		_ = os.RemoveAll(dir)
		return nil, err
	}
	tick := cmp.Or(p.Tick, usualTick)
	cfg := cluster.Config{Dir: dir, Launch: launch, Tick: tick, InitLimit: ticksFor(tick), SyncLimit: ticksFor(tick), Extra: p.AllSettings()}
	cfg.Servers, cfg.Observers = shape.config()
	s := &Servers{dir: dir}
	if s.cluster, err = cluster.New(cfg); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	if err = s.cluster.StartAll(); err == nil {
		err = s.cluster.WaitServing(ctx)
	}
	if err == nil {
		err = s.find(ctx, shape)
	}
	if err != nil {
		s.Close(true)
		return nil, fmt.Errorf("%w; see %s", err, dir)
	}
	return s, nil
}

// find finds the servers for the clients.
func (s *Servers) find(ctx context.Context, shape Shape) error {
	byMode := map[Shape]string{}
	for _, id := range s.cluster.IDs() {
		st, err := s.cluster.Status(ctx, id)
		if err != nil {
			return err
		}
		byMode[Shape(st.Mode)] = s.cluster.Addr(id)
	}
	for _, mode := range shape.modes() {
		addr, ok := byMode[mode]
		if !ok {
			return fmt.Errorf("differ: no server is %s", mode)
		}
		s.Addrs = append(s.Addrs, addr)
	}
	return nil
}

// Close kills the processes. Their files are removed unless they are to be kept.
func (s *Servers) Close(keep bool) {
	_ = s.cluster.Close() // they are killed: what goes wrong with that, nobody can mend
	if !keep {
		_ = os.RemoveAll(s.dir)
	}
}

// Shapes are the shapes by name.
func Shapes() []Shape { return []Shape{Standalone, Follower, Leader, Observer, Spread} }

// FindShape returns the shape with that name.
func FindShape(name string) (Shape, error) {
	if s := Shape(name); slices.Contains(Shapes(), s) {
		return s, nil
	}
	return "", fmt.Errorf("differ: no shape %q", name)
}
