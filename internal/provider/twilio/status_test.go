package twilio_test

import (
	"net/url"
	"testing"

	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/provider/twilio"
)

func TestParseStatus(t *testing.T) {
	t.Parallel()
	got, err := twilio.ParseStatus(url.Values{
		"AccountSid": {account}, "MessageSid": {isSID(1)}, "SmsSid": {isSID(1)}, "MessageStatus": {"undelivered"},
		"SmsStatus": {"undelivered"}, "ErrorCode": {"30003"}, "To": {"+12025550001"}, "RawDlrDoneDate": {"2611231200"}, "Unheard": {"of"},
	})
	if err != nil || got.MessageSID != isSID(1) || got.Word != "undelivered" || got.ErrorCode != "30003" || got.To.Reveal() != "+12025550001" {
		t.Errorf("%+v %v", got, err)
	}
	if got, err = twilio.ParseStatus(url.Values{"SmsSid": {isSID(2)}, "SmsStatus": {"SENT"}, "ErrorCode": {"0"}}); err != nil || got.Word != "sent" || got.ErrorCode != "" {
		t.Errorf("by the older names: %+v %v", got, err)
	}
	for _, form := range []url.Values{{}, {"MessageSid": {isSID(1)}}, {"MessageStatus": {"sent"}}, {"MessageSid": {"../x"}, "MessageStatus": {"sent"}}} {
		if got, err := twilio.ParseStatus(form); err == nil {
			t.Errorf("%v was read as %+v", form, got)
		}
	}
}

func TestFateOfATextIsOneOfOurWords(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		word, code string
		status     invite.DeliveryStatus
		reason     invite.Reason
	}{
		{"accepted", "", invite.Accepted, ""},
		{"scheduled", "", invite.Accepted, ""},
		{"queued", "", invite.Accepted, ""},
		{"sending", "", invite.Accepted, ""},
		{"sent", "", invite.Sent, ""},
		{"delivered", "", invite.Delivered, ""},
		{"read", "", invite.Delivered, ""},
		{"undelivered", "30003", invite.Undelivered, invite.PhoneUnreachable},
		{"undelivered", "30005", invite.Undelivered, invite.NumberUnknown},
		{"undelivered", "30006", invite.Undelivered, invite.Landline},
		{"undelivered", "30007", invite.Undelivered, invite.CarrierFiltered},
		{"undelivered", "30034", invite.Undelivered, invite.SenderNotRegistered},
		{"failed", "21610", invite.Undelivered, invite.OptedOut},
		{"failed", "30024", invite.Undelivered, invite.SenderNotRegistered},
		{"failed", "30001", invite.Undelivered, invite.ProviderDown},
		{"failed", "12345", invite.Undelivered, invite.ProviderRefused},
		{"failed", "", invite.Undelivered, invite.ProviderRefused},
		{"canceled", "", invite.Canceled, ""},
		{"received", "", "", ""},
		{"beamed", "", "", ""},
	} {
		status, reason := twilio.Fate(c.word, c.code)
		if status != c.status || reason != c.reason {
			t.Errorf("%s %s: %q %q, want %q %q", c.word, c.code, status, reason, c.status, c.reason)
		}
		if _, known := invite.Explain(reason); reason != "" && !known {
			t.Errorf("%s %s: reason %q has no words", c.word, c.code, reason)
		}
	}
}
