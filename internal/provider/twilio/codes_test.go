package twilio_test

import (
	"net/http"
	"strconv"
	"testing"

	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/provider"
	"github.com/connectlink/connectlink/internal/provider/twilio"
	"github.com/connectlink/connectlink/internal/wire/wiretest"
)

// TestF09EveryDocumentedCodeHasItsReason goes through the codes that Twilio
// documents for messages, and what each blocks.
func TestF09EveryDocumentedCodeHasItsReason(t *testing.T) {
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
		30004: {invite.CarrierFiltered, ""}, // not STOP: we received none
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
		30010: {invite.ProviderAccount, ""},
		30017: {invite.ProviderDown, ""},
		30018: {invite.SenderNotRegistered, ""},
		30019: {invite.MessageBroken, ""},
		30022: {invite.ProviderDown, ""},
		30023: {invite.ProviderDown, ""},
		30027: {invite.ProviderDown, ""},
		30032: {invite.SenderNotRegistered, ""},
		30033: {invite.SenderNotRegistered, ""},
		30040: {invite.SenderNotRegistered, ""},
		30044: {invite.ProviderAccount, ""},
		30133: {invite.ProviderAccount, ""},
		30410: {invite.ProviderDown, ""},
		30453: {invite.CarrierFiltered, ""},
		30454: {invite.ProviderAccount, ""},
		30485: {invite.CarrierFiltered, ""},
		30500: {invite.ProviderDown, ""},
		63038: {invite.ProviderAccount, ""},
		63033: {invite.OptedOut, invite.OptOut},
		63024: {invite.Landline, invite.BadNumber},
		14107: {invite.ProviderDown, ""},
		30002: {invite.ProviderAccount, ""},
		21659: {invite.ProviderAccount, ""},
		21660: {invite.ProviderAccount, ""},
		21601: {invite.ProviderAccount, ""},
		21616: {invite.ProviderAccount, ""},
		21704: {invite.ProviderAccount, ""},
		21705: {invite.ProviderAccount, ""},
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

// TestF08ARefusalThatNamesOurSenderRestsTheAccount: listed or not, what names
// From, the Messaging Service or the account meets every text.
func TestF08ARefusalThatNamesOurSenderRestsTheAccount(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		code  int
		words string
		scope provider.Scope
		want  invite.Reason
	}{
		{21659, "'From' +15005550006 is not a Twilio phone number or Short Code country mismatch", provider.ScopeAccount, invite.ProviderAccount},
		{21660, "Mismatch between the 'From' number +15005550006 and the account AC0", provider.ScopeAccount, invite.ProviderAccount},
		{21601, "Phone number is not a valid SMS-capable inbound phone number", provider.ScopeAccount, invite.ProviderAccount},
		{21616, "The 'From' number matches multiple numbers for your account", provider.ScopeAccount, invite.ProviderAccount},
		{21704, "The Messaging Service contains no phone numbers", provider.ScopeAccount, invite.ProviderAccount},
		{21705, "The Messaging Service is invalid", provider.ScopeAccount, invite.ProviderAccount},
		{21799, "The 'From' number may not send today", provider.ScopeAccount, invite.ProviderAccount},
		{29998, "MessagingServiceSid MG0 is paused", provider.ScopeAccount, invite.ProviderAccount},
		{29997, "Your account is not allowed to do this", provider.ScopeAccount, invite.ProviderAccount},
		{29996, "The alphanumeric sender ID is not known", provider.ScopeAccount, invite.ProviderAccount},
		{29999, "A thing that is new", provider.ScopeMessage, invite.ProviderRefused},
		{29995, "The 'To' number is odd", provider.ScopeMessage, invite.ProviderRefused},
		{29994, "The 'To' number cannot be reached from this 'From' number", provider.ScopeMessage, invite.ProviderRefused},
		{21608, "The number +1 is unverified. Trial accounts cannot send messages to unverified numbers", provider.ScopeMessage, invite.ProviderRefused},
	} {
		srv := wiretest.Twilio(t).Serve(t, func(w http.ResponseWriter, _ *http.Request) { refuse(w, http.StatusBadRequest, c.code, c.words) })
		_, err := twilio.New(params(srv.URL, nil)).Send(t.Context(), sms(1))
		se, ok := err.(*provider.SendError)
		if !ok || se.Scope != c.scope || se.Reason != c.want {
			t.Errorf("%d %q: %+v", c.code, c.words, err)
		}
	}
	if why, _ := invite.Explain(invite.ProviderRefused); why.Action != invite.NoAction {
		t.Errorf("an unknown refusal offers %q", why.Action)
	}
}
