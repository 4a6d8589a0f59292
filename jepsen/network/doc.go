// Package network is a network that can be hurt: every server of a run is a host of its own, and
// between each two of them lies a link for either direction that can lose, delay, slow down or stop
// what goes over it.
//
// A Fabric carries IP packets between ports, as a switch does, under the Condition of the link from
// the sender to the receiver. It knows nothing of the kernel: a port is anything that packets can be
// read from and written to, one at a time. On Linux each port is a TUN device in a network namespace
// of its own, so the servers speak TCP of the real kernel over it: what is lost is sent again, what
// is cut stays half-open until somebody notices, and nothing tells a server that it is being cheated.
// That needs neither netem nor nftables, which not every kernel has.
//
// Enter runs the program again in a network and mount namespace of its own, as a plain user in a
// user namespace. All that is made in there, namespaces, devices, addresses and mounts, goes with
// the last process that uses it, whatever ends it: nothing is left over and nothing has to be swept.
//
// The addresses are of a private range, 10.213.0.0/24, and exist in those namespaces only.
//
// What partitions are made of (Halves, Ring, Bridge, ...) are pure functions from servers to links.
package network
