package cluster

import (
	"fmt"
	"math/rand/v2"
	"net"
	"strconv"
)

// Ports are searched here: above the well-known ones, below what kernels give to outgoing
// connections.
const (
	firstPort = 10000
	lastPort  = 31999
)

// freePorts returns n loopback ports that nobody listens on.
func freePorts(n int) ([]int, error) {
	ports := make([]int, 0, n)
	held := make([]net.Listener, 0, n) // until all are found, so that they differ
	defer func() {
		for _, l := range held {
			l.Close() // it only kept the port
		}
	}()
	for tries := 0; len(ports) < n; tries++ {
		if tries == 100*n {
			return nil, fmt.Errorf("cluster: no %d free ports in %d..%d", n, firstPort, lastPort)
		}
		port := firstPort + rand.IntN(lastPort-firstPort+1)
		l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
		if err != nil {
			continue
		}
		held = append(held, l)
		ports = append(ports, port)
	}
	return ports, nil
}
