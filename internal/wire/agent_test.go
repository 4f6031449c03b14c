package wire_test

import (
	"strings"
	"testing"

	"github.com/connectlink/connectlink/internal/wire"
)

// Every call to a vendor carries it; reading the build's list of modules for each
// was a twelfth of all memory that an invite allocated.
func TestUserAgentIsReadFromTheBuildOnce(t *testing.T) { //nolint:paralleltest // counts allocations
	if name, version, ok := strings.Cut(wire.UserAgent(), "/"); name != "connectlink" || version == "" || !ok {
		t.Errorf("%q", wire.UserAgent())
	}
	if n := testing.AllocsPerRun(100, func() { _ = wire.UserAgent() }); n > 0 {
		t.Errorf("%v allocations", n)
	}
}
