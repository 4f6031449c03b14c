package wire

import (
	"errors"
	"fmt"
	"syscall"

	"code.dny.dev/ssrf"
)

// ErrPrivateAddress: a name or an address leads into a private network.
var ErrPrivateAddress = errors.New("the address is not a public one")

// guardian knows the ranges that lead nowhere public, by IANA's registries of special
// addresses. It allows any port.
var guardian = ssrf.New(ssrf.WithAnyPort())

// CheckPublic is a net.Dialer's Control that refuses addresses that are not public:
// after DNS, so that a name that resolves to a private address is caught too.
func CheckPublic(network, address string, _ syscall.RawConn) error {
	if err := guardian.Safe(network, address, nil); err != nil {
		return fmt.Errorf("%w: %w", ErrPrivateAddress, err)
	}
	return nil
}
