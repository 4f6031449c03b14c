package access

import "net/netip"

// Classes of addresses that are not public.
const (
	Loopback       = "loopback"
	PrivateNetwork = "private"
)

// Network is the class of an address that may be stored and shown: "loopback",
// "private", or the public network, an IPv4 /24 or an IPv6 /48. It is empty for the
// zero Addr. It never tells one machine from its neighbours.
func Network(a netip.Addr) string {
	a = a.Unmap().WithZone("")
	switch {
	case !a.IsValid():
		return ""
	case a.IsLoopback():
		return Loopback
	case a.IsPrivate(), a.IsLinkLocalUnicast(), a.IsUnspecified(), sharedNetwork().Contains(a):
		return PrivateNetwork
	}
	bits := 48
	if a.Is4() {
		bits = 24
	}
	p, err := a.Prefix(bits)
	if err != nil {
		return ""
	}
	return p.String()
}

// sharedNetwork is what carriers and clusters use between machines of their own (RFC 6598).
func sharedNetwork() netip.Prefix {
	return netip.PrefixFrom(netip.AddrFrom4([4]byte{100, 64, 0, 0}), 10)
}
