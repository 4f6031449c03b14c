package sandbox_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/connectlink/connectlink/internal/contact"
	"github.com/connectlink/connectlink/internal/sandbox"
)

// TestAddressesWithoutAScriptAreRefused: bounce@, rejected@ and others were taken
// and delivered, so a guess looked like a test that passed.
func TestAddressesWithoutAScriptAreRefused(t *testing.T) {
	t.Parallel()
	for address, want := range map[string]string{ // the suggestion; - for accepted
		"bounce@connectlink.test": "bounced", "Bounce@ConnectLink.test": "bounced", "delivred+connect@connectlink.test": "delivered",
		"rejected@connectlink.test": "", "undelivered@connectlink.test": "delivered", "spam@connectlink.test": "", "failed@connectlink.test": "",
		"timeout@connectlink.test": "", "pat.lee@connectlink.test": "", "@connectlink.test": "",
		"delivered+conect@connectlink.test": "+connect", "delivered+visits@connectlink.test": "+visit", "delivered+connect+slw@connectlink.test": "+slow",
		"delivered@connectlink.test": "-", "delivered+connect+slow@connectlink.test": "-", "MintFail@connectlink.test": "-",
		"delivered+team7@connectlink.test": "-", "bounced+pat+1@connectlink.test": "-", "delivered+de@connectlink.test": "-",
		"bounce@acme.example": "-",
	} {
		err := sandbox.CheckEmail(address)
		var fault *contact.Fault
		switch {
		case want == "-":
			if err != nil {
				t.Errorf("%s: %v", address, err)
			}
		case !errors.As(err, &fault) || fault.Suggestion != want || !strings.Contains(fault.Detail, "+connect"):
			t.Errorf("%s: %v, want the suggestion %q", address, err, want)
		}
	}
}

func TestNumbersWithoutAScriptAreRefusedAmongTheScripted(t *testing.T) {
	t.Parallel()
	for number, ok := range map[string]bool{
		"+12025550100": true, "+12025550111": true, "+15005550009": true, "+12025550123": true, "+4915112345678": true,
		"+12025550101": false, "+12025550119": false, "+15005550005": false, "+15005550000": false,
	} {
		err := sandbox.CheckPhone(number)
		if (err == nil) != ok || err != nil && !strings.Contains(err.Error(), "+12025550103") {
			t.Errorf("%s: %v", number, err)
		}
	}
}
