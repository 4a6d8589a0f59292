package network

import "net/netip"

// The hosts' addresses: server n has 10.213.0.n, the clients have 10.213.0.100.
const clientsOctet = 100

// Address returns the IPv4 address of a host.
func Address(h Host) netip.Addr {
	octet := byte(h)
	if h == Clients {
		octet = clientsOctet
	}
	return netip.AddrFrom4([4]byte{10, 213, 0, octet})
}

// hostOf is the inverse of Address.
func hostOf(a [4]byte) (Host, bool) {
	h := Host(a[3])
	if a[3] == clientsOctet {
		h = Clients
	}
	if h >= maxHosts || Address(h).As4() != a {
		return 0, false
	}
	return h, true
}
