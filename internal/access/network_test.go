package access_test

import (
	"net/netip"
	"testing"

	"github.com/connectlink/connectlink/internal/access"
)

func TestNetworkNamesNoMachine(t *testing.T) {
	t.Parallel()
	for address, want := range map[string]string{
		"203.0.113.77": "203.0.113.0/24", "::ffff:203.0.113.77": "203.0.113.0/24", "2001:db8:1:2:3:4:5:6": "2001:db8:1::/48",
		"127.0.0.1": access.Loopback, "::1": access.Loopback, "10.1.2.3": access.PrivateNetwork, "192.168.7.7": access.PrivateNetwork,
		"fd00::7": access.PrivateNetwork, "fe80::1%eth0": access.PrivateNetwork, "100.64.3.4": access.PrivateNetwork, "0.0.0.0": access.PrivateNetwork,
	} {
		if got := access.Network(netip.MustParseAddr(address)); got != want {
			t.Errorf("Network(%s) = %q, want %q", address, got, want)
		}
	}
	if got := access.Network(netip.Addr{}); got != "" {
		t.Errorf("without an address: %q", got)
	}
}
