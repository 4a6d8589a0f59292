package cluster

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// Launch is how to start one server. "{cfg}" and "{dir}" in the arguments stand for the server's
// zoo.cfg and its directory, which is also its working directory.
type Launch struct {
	Argv []string
}

// Zabkeeper starts the project's own binary.
func Zabkeeper(binary string) (Launch, error) {
	path, err := filepath.Abs(binary)
	if err != nil {
		return Launch{}, fmt.Errorf("cluster: binary %s: %w", binary, err)
	}
	if _, err = exec.LookPath(path); err != nil {
		return Launch{}, fmt.Errorf("cluster: binary: %w", err)
	}
	return Launch{Argv: []string{path, "server", "{cfg}"}}, nil
}

// Apache starts Apache ZooKeeper from Debian's packages zookeeper and libzookeeper-java.
func Apache() (Launch, error) {
	java, err := exec.LookPath("java")
	if err != nil {
		return Launch{}, fmt.Errorf("cluster: Apache ZooKeeper needs java: %w", err)
	}
	jars := []string{"/usr/share/java/zookeeper.jar", "/usr/share/java/slf4j-simple.jar"}
	for _, jar := range jars {
		if _, err = os.Stat(jar); err != nil {
			return Launch{}, fmt.Errorf("cluster: Apache ZooKeeper is not installed: %w", err)
		}
	}
	return apache(java, strings.Join(jars, ":"), nil), nil
}

// ApacheHome starts the Apache ZooKeeper whose jars, and those that it needs, are in a directory,
// such as one that jepsen/suites/fetch-zookeeper has filled. Properties are Java system properties,
// "name=value", for what zoo.cfg cannot say.
func ApacheHome(dir string, properties ...string) (Launch, error) {
	java, err := exec.LookPath("java")
	if err != nil {
		return Launch{}, fmt.Errorf("cluster: Apache ZooKeeper needs java: %w", err)
	}
	dir, err = filepath.Abs(dir)
	if err != nil {
		return Launch{}, fmt.Errorf("cluster: Apache ZooKeeper: %w", err)
	}
	if jars, err := filepath.Glob(filepath.Join(dir, "zookeeper-[0-9]*.jar")); err != nil || len(jars) != 1 {
		return Launch{}, fmt.Errorf("cluster: %d jars of Apache ZooKeeper in %s, want one", len(jars), dir)
	}
	return apache(java, filepath.Join(dir, "*"), properties), nil
}

func apache(java, classPath string, properties []string) Launch {
	argv := []string{
		java, "-Xmx192m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-XX:-UsePerfData",
		"-Dorg.slf4j.simpleLogger.showDateTime=true",
		"-Dorg.slf4j.simpleLogger.dateTimeFormat=HH:mm:ss.SSS",
		"-Dzookeeper.admin.enableServer=false",
	}
	for _, p := range properties {
		argv = append(argv, "-D"+p)
	}
	return Launch{Argv: append(argv, "-cp", classPath, "org.apache.zookeeper.server.quorum.QuorumPeerMain", "{cfg}")}
}

// command returns the command for a server with the given directory.
func (l Launch) command(dir, cfg string) *exec.Cmd {
	r := strings.NewReplacer("{cfg}", cfg, "{dir}", dir)
	argv := make([]string, len(l.Argv))
	for i, a := range l.Argv {
		argv[i] = r.Replace(a)
	}
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Dir = dir
	return cmd
}
