package contact_test

import (
	"slices"
	"testing"

	"github.com/connectlink/connectlink/internal/contact"
)

func TestPhoneZones(t *testing.T) {
	t.Parallel()
	for number, want := range map[string]string{
		"+12025550100": "America/New_York", "+12135550123": "America/Los_Angeles", "+4915112345678": "Europe/Berlin",
		"+819012345678": "Asia/Tokyo", "+447911123456": "Europe/London",
	} {
		var names []string
		for _, zone := range contact.PhoneZones(number) {
			names = append(names, zone.String())
		}
		if !slices.Contains(names, want) {
			t.Errorf("%s may be in %v, want %s", number, names, want)
		}
	}
	for _, bad := range []string{"", "12", "no number"} {
		if z := contact.PhoneZones(bad); len(z) != 0 {
			t.Errorf("%q is in %v", bad, z)
		}
	}
}
