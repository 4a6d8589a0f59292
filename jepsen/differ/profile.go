package differ

import (
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
	Weights  Weights
}

// Profiles are the configurations that are compared.
func Profiles() []Profile {
	usual := Weights{FrameLimit: 0xfffff}
	quota := usual
	quota.Quota = true
	small := usual
	small.FrameLimit, small.Long = 1500, true
	return []Profile{
		{Name: "usual", Weights: usual},
		{Name: "quota", Weights: quota, Settings: map[string]string{"enforceQuota": "true"}},
		{Name: "small", Weights: small, Settings: map[string]string{"jute.maxbuffer": strconv.Itoa(small.FrameLimit)}},
		{Name: "plain", Weights: usual, Settings: map[string]string{"extendedTypesEnabled": "false"}},
		{Name: "skipacl", Weights: usual, Settings: map[string]string{"skipACL": "yes"}},
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
	for _, name := range []string{"jute.maxbuffer", "znode.container.checkIntervalMs"} {
		if v, ok := p.AllSettings()[name]; ok {
			list = append(list, name+"="+v)
		}
	}
	return list
}

// Shape is which server of what ensemble the clients are connected to.
type Shape string

// The shapes: a server of its own, or one of three in that role.
const (
	Standalone Shape = "standalone"
	Follower   Shape = "follower"
	Leader     Shape = "leader"
	Observer   Shape = "observer"
)

// Servers are the running processes of one side.
type Servers struct {
	cluster *cluster.Cluster
	dir     string
	Addr    string // of the server for the clients
}

// tick is tickTime.
const tick = 2 * time.Second

// startLimit bounds the start of an ensemble.
const startLimit = 90 * time.Second

// StartApache starts Apache ZooKeeper from the jars in home.
func StartApache(ctx context.Context, home, dir string, p Profile, shape Shape) (*Servers, error) {
	launch, err := cluster.ApacheHome(home, p.properties()...)
	if err != nil {
		return nil, err
	}
	return start(ctx, launch, dir, p, shape)
}

// StartZabkeeper starts the binary.
func StartZabkeeper(ctx context.Context, binary, dir string, p Profile, shape Shape) (*Servers, error) {
	launch, err := cluster.Zabkeeper(binary)
	if err != nil {
		return nil, err
	}
	return start(ctx, launch, dir, p, shape)
}

func start(ctx context.Context, launch cluster.Launch, dir string, p Profile, shape Shape) (*Servers, error) {
	dir, err := os.MkdirTemp(dir, filepath.Base(launch.Argv[0])+"-")
	if err != nil {
		return nil, fmt.Errorf("differ: %w", err)
	}
	cfg := cluster.Config{Dir: dir, Servers: 1, Launch: launch, Tick: tick, Extra: p.AllSettings()}
	if shape != Standalone {
		cfg.Servers = 3
	}
	if shape == Observer {
		cfg.Observers = 1
	}
	s := &Servers{dir: dir}
	if s.cluster, err = cluster.New(cfg); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	if err = s.cluster.StartAll(); err == nil {
		err = s.cluster.WaitServing(ctx)
	}
	for _, id := range s.cluster.IDs() {
		if err != nil {
			break
		}
		var st cluster.Status
		if st, err = s.cluster.Status(ctx, id); err == nil && st.Mode == string(shape) {
			s.Addr = s.cluster.Addr(id)
		}
	}
	if err == nil && s.Addr == "" {
		err = fmt.Errorf("differ: no server is %s", shape)
	}
	if err != nil {
		s.Close(true)
		return nil, fmt.Errorf("%w; see %s", err, dir)
	}
	return s, nil
}

// Close kills the processes. Their files are removed unless they are to be kept.
func (s *Servers) Close(keep bool) {
	_ = s.cluster.Close() // they are killed: what goes wrong with that, nobody can mend
	if !keep {
		_ = os.RemoveAll(s.dir)
	}
}

// Shapes are the shapes by name.
func Shapes() []Shape { return []Shape{Standalone, Follower, Leader, Observer} }

// FindShape returns the shape with that name.
func FindShape(name string) (Shape, error) {
	if s := Shape(name); slices.Contains(Shapes(), s) {
		return s, nil
	}
	return "", fmt.Errorf("differ: no shape %q", name)
}
