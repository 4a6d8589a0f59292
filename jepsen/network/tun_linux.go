package network

import (
	"fmt"
	"net/netip"
	"os"
	"runtime"

	"golang.org/x/sys/unix"
)

// Net is a fabric whose ports are hosts of the kernel: the clients are on the namespace of this
// process, each server on one of its own.
type Net struct {
	*Fabric
	spaces [maxHosts]*os.File // network namespaces of the servers
}

// New returns a network of so many servers, 1 to 9. It needs Enter.
func New(servers int, seed uint64) (*Net, error) {
	if servers < 1 || servers >= maxHosts {
		return nil, fmt.Errorf("network: %d servers, want 1 to %d", servers, maxHosts-1)
	}
	n := &Net{Fabric: NewFabric(seed)}
	port, err := device(Clients)
	if err == nil {
		n.Attach(Clients, port)
	}
	for h := Host(1); int(h) <= servers && err == nil; h++ {
		err = n.host(h)
	}
	if err != nil {
		_ = n.Close() // the other error tells
		return nil, err
	}
	return n, nil
}

// host makes a server's namespace and its port.
func (n *Net) host(h Host) error {
	result := make(chan error)
	go func() {
		// The thread that changes its namespace is not fit for anything else: it stays locked, so
		// it ends with this goroutine.
		runtime.LockOSThread()
		result <- func() error {
			if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
				return fmt.Errorf("network: namespace of server %d: %w", h, err)
			}
			space, err := os.Open(fmt.Sprintf("/proc/self/task/%d/ns/net", unix.Gettid()))
			if err != nil {
				return fmt.Errorf("network: namespace of server %d: %w", h, err)
			}
			n.spaces[h] = space
			if err := up("lo"); err != nil {
				return err
			}
			port, err := device(h)
			if err == nil {
				n.Attach(h, port)
			}
			return err
		}()
	}()
	return <-result
}

// Enter moves the calling thread, which must be locked to its goroutine and end with it, to a
// server's host. A process that the thread starts is on that host too.
func (n *Net) Enter(server int) error {
	if err := unix.Setns(int(n.spaces[server].Fd()), unix.CLONE_NEWNET); err != nil {
		return fmt.Errorf("network: enter the host of server %d: %w", server, err)
	}
	return nil
}

// Close takes the network down. Processes that are still on its hosts reach nobody any more.
func (n *Net) Close() error {
	err := n.Fabric.Close()
	for _, s := range n.spaces {
		if s != nil {
			_ = s.Close() // a handle, nothing more
		}
	}
	return err
}

// device makes the network device of a host in the namespace of the calling thread.
func device(h Host) (*os.File, error) {
	const name = "run0"
	fd, err := unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, fmt.Errorf("network: /dev/net/tun: %w", err)
	}
	req, err := unix.NewIfreq(name)
	if err == nil {
		req.SetUint16(unix.IFF_TUN | unix.IFF_NO_PI)
		err = unix.IoctlIfreq(fd, unix.TUNSETIFF, req)
	}
	if err == nil {
		err = address(name, unix.SIOCSIFADDR, Address(h))
	}
	if err == nil {
		err = address(name, unix.SIOCSIFNETMASK, netip.AddrFrom4([4]byte{255, 255, 255, 0}))
	}
	if err == nil {
		err = up(name)
	}
	if err != nil {
		_ = unix.Close(fd) // the other error tells
		return nil, fmt.Errorf("network: device of host %d: %w", h, err)
	}
	return os.NewFile(uintptr(fd), "/dev/net/tun"), nil
}

// address sets an address of a device.
func address(name string, request uint, a netip.Addr) error {
	return control(name, func(fd int, req *unix.Ifreq) error {
		b := a.As4()
		if err := req.SetInet4Addr(b[:]); err != nil {
			return err
		}
		return unix.IoctlIfreq(fd, request, req)
	})
}

// up lets a device work.
func up(name string) error {
	return control(name, func(fd int, req *unix.Ifreq) error {
		if err := unix.IoctlIfreq(fd, unix.SIOCGIFFLAGS, req); err != nil {
			return err
		}
		req.SetUint16(req.Uint16() | unix.IFF_UP)
		return unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, req)
	})
}

// control asks the kernel something about a device of the calling thread's namespace.
func control(name string, f func(fd int, req *unix.Ifreq) error) error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd) //nolint:errcheck // it carried no data
	req, err := unix.NewIfreq(name)
	if err != nil {
		return err
	}
	if err := f(fd, req); err != nil {
		return fmt.Errorf("device %s: %w", name, err)
	}
	return nil
}
