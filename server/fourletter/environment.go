package fourletter

import (
	"math"
	"os"
	"os/user"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
)

// notAvailable stands for what a server that is no Java program has not got.
const notAvailable = "<NA>"

// appendEnvironment writes the answer to envi: ZooKeeper's keys in ZooKeeper's order, because
// clients (kazoo's server_version) look for the version there, and our own behind them.
func appendEnvironment(b []byte, version string) []byte {
	host, err := os.Hostname()
	if err != nil {
		host = notAvailable
	}
	name, home := notAvailable, notAvailable
	if u, err := user.Current(); err == nil {
		name, home = u.Username, u.HomeDir
	}
	dir, err := os.Getwd()
	if err != nil {
		dir = notAvailable
	}
	var mem runtime.MemStats
	runtime.ReadMemStats(&mem)
	most := uint64(debug.SetMemoryLimit(-1)) // a negative limit only asks
	if most == math.MaxInt64 {
		most = mem.Sys
	}
	b = append(b, "Environment:\n"...)
	for _, e := range [][2]string{
		{"zookeeper.version", version},
		{"host.name", host},
		{"java.version", notAvailable},
		{"java.vendor", notAvailable},
		{"java.home", notAvailable},
		{"java.class.path", notAvailable},
		{"java.library.path", notAvailable},
		{"java.io.tmpdir", os.TempDir()},
		{"java.compiler", notAvailable},
		{"os.name", systemName()},
		{"os.arch", runtime.GOARCH},
		{"os.version", systemVersion()},
		{"user.name", name},
		{"user.home", home},
		{"user.dir", dir},
		{"os.memory.free", megabytes(mem.HeapIdle - mem.HeapReleased)},
		{"os.memory.max", megabytes(most)},
		{"os.memory.total", megabytes(mem.Sys)},
		{"go.version", runtime.Version()},
		{"server.product", "ZabKeeper"},
	} {
		b = append(b, e[0]+"="+e[1]+"\n"...)
	}
	return b
}

func megabytes(n uint64) string { return strconv.FormatUint(n>>20, 10) + "MB" }

// systemName is the name that Java gives to the operating system, where it is known.
func systemName() string {
	switch runtime.GOOS {
	case "linux":
		return "Linux"
	case "darwin":
		return "Mac OS X"
	case "freebsd":
		return "FreeBSD"
	default:
		return runtime.GOOS
	}
}

// systemVersion is the release of a Linux kernel.
func systemVersion() string {
	text, err := os.ReadFile("/proc/sys/kernel/osrelease")
	if err != nil {
		return notAvailable
	}
	return strings.TrimSpace(string(text))
}
