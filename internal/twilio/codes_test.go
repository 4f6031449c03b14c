package twilio_test

import (
	"strconv"
	"testing"

	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/twilio"
)

// TestEveryDocumentedCodeHasItsReason goes through the codes that Twilio
// documents for messages, and what each blocks.
func TestEveryDocumentedCodeHasItsReason(t *testing.T) {
	t.Parallel()
	for code, want := range map[int]struct {
		reason invite.Reason
		block  invite.Block
	}{
		21211: {invite.InvalidNumber, invite.BadNumber},
		21201: {invite.InvalidNumber, invite.BadNumber},
		21604: {invite.InvalidNumber, invite.BadNumber},
		21408: {invite.CountryNotEnabled, ""},
		21610: {invite.OptedOut, invite.OptOut},
		21614: {invite.Landline, invite.BadNumber},
		21635: {invite.Landline, invite.BadNumber},
		21606: {invite.ProviderAccount, ""},
		21603: {invite.ProviderAccount, ""},
		21612: {invite.CountryNotEnabled, ""},
		21611: {invite.ProviderDown, ""},
		21617: {invite.MessageBroken, ""},
		21663: {invite.ProviderAccount, ""},
		20003: {invite.ProviderAccount, ""},
		30001: {invite.ProviderDown, ""},
		30003: {invite.PhoneUnreachable, ""},
		30004: {invite.CarrierFiltered, ""}, // not STOP: nobody said it to us
		30005: {invite.NumberUnknown, invite.BadNumber},
		30006: {invite.Landline, invite.BadNumber},
		30007: {invite.CarrierFiltered, ""},
		30008: {invite.PhoneUnreachable, ""},
		30024: {invite.SenderNotRegistered, ""},
		30034: {invite.SenderNotRegistered, ""},
		30036: {invite.ProviderDown, ""},
		30450: {invite.CarrierFiltered, ""},
		30610: {invite.ProviderRefused, ""}, // quiet hours are no opt-out
		30640: {invite.ProviderRefused, ""},
		63016: {invite.ProviderRefused, ""},
		99999: {invite.ProviderRefused, ""},
	} {
		status, reason := twilio.Fate("undelivered", strconv.Itoa(code))
		if reason != want.reason {
			t.Errorf("%d: reason %s, want %s", code, reason, want.reason)
		}
		if block, _ := invite.BlockOf(status, reason); block != want.block {
			t.Errorf("%d blocks with %q, want %q", code, block, want.block)
		}
		if _, ok := invite.Explain(reason); !ok {
			t.Errorf("%d: reason %s has no words", code, reason)
		}
	}
}
