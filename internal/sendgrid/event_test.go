package sendgrid_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/secret"
	"github.com/connectlink/connectlink/internal/sendgrid"
)

func TestParseEventsKeepsWhatItCannotRead(t *testing.T) {
	t.Parallel()
	events, err := sendgrid.ParseEvents([]byte(`[
		{"event":"delivered","sg_event_id":"e1","sg_message_id":"m1.filter.0","timestamp":1700000000,"email":"pat@customer.example",
		 "cl_invite":"inv_1","cl_attempt":"att_1","cl_env":"live","category":"connect-invite","response":"250 OK","tls":1},
		{"event":"bounce","type":"blocked","bounce_classification":"Reputation","status":"5.7.1","reason":"550 pat@customer.example","category":["a","b"],"timestamp":"1700000001"},
		{"event":"open","sg_machine_open":true,"timestamp":1700000002.5},
		{"event":"account_status_change","type":"compliance_suspend","timestamp":{}},
		{"event":7,"cl_attempt":["x"]},
		"odd", null, 3
	]` + "\r\n"))
	if err != nil {
		t.Fatal(err)
	}
	if len(events) != 8 {
		t.Fatalf("%d events, want all 8", len(events))
	}
	for i := range events {
		if len(events[i].Raw) == 0 {
			t.Errorf("event %d lost its raw form", i)
		}
		events[i].Raw = nil
	}
	reveal := cmp.Transformer("reveal", func(s secret.Text) string { return s.Reveal() })
	want := []sendgrid.Event{
		{Name: "delivered", ID: "e1", MessageID: "m1.filter.0", At: time.Unix(1700000000, 0).UTC(), Email: secret.New("pat@customer.example"),
			InviteID: "inv_1", AttemptID: "att_1", Env: "live", Categories: []string{"connect-invite"}, Response: secret.New("250 OK")},
		{Name: "bounce", Type: "blocked", Classification: "Reputation", Status: "5.7.1", Reason: secret.New("550 pat@customer.example"),
			Categories: []string{"a", "b"}, At: time.Unix(1700000001, 0).UTC()},
		{Name: "open", MachineOpen: true, At: time.UnixMilli(1700000002500).UTC()},
		{Name: "account_status_change", Type: "compliance_suspend"},
		{Name: "7"},
		{}, {}, {},
	}
	if d := cmp.Diff(want, events, reveal); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	for _, bad := range []string{"", "{}", "null", "[", `[{}] [{}]`, "7"} {
		if got, err := sendgrid.ParseEvents([]byte(bad)); err == nil {
			t.Errorf("%q was read as %v", bad, got)
		}
	}
}

func TestFateOfAMailIsOneOfOurWords(t *testing.T) {
	t.Parallel()
	bounce := func(class, status string) sendgrid.Event {
		return sendgrid.Event{Name: "bounce", Type: "bounce", Classification: class, Status: status}
	}
	dropped := func(reason string) sendgrid.Event {
		return sendgrid.Event{Name: "dropped", Reason: secret.New(reason)}
	}
	for name, c := range map[string]struct {
		event  sendgrid.Event
		status invite.DeliveryStatus
		reason invite.Reason
	}{
		"processed":     {sendgrid.Event{Name: "processed"}, invite.Accepted, ""},
		"deferred":      {sendgrid.Event{Name: "deferred"}, invite.Deferred, invite.DeferredByHost},
		"delivered":     {sendgrid.Event{Name: "delivered"}, invite.Delivered, ""},
		"spamreport":    {sendgrid.Event{Name: "spamreport"}, invite.Complained, invite.MarkedSpam},
		"open":          {sendgrid.Event{Name: "open"}, "", ""},
		"click":         {sendgrid.Event{Name: "click"}, "", ""},
		"unsubscribe":   {sendgrid.Event{Name: "unsubscribe"}, "", ""},
		"of tomorrow":   {sendgrid.Event{Name: "teleported"}, "", ""},
		"invalid":       {bounce("Invalid Address", ""), invite.Bounced, invite.AddressNotFound},
		"mailbox":       {bounce("Mailbox Unavailable", "5.1.1"), invite.Bounced, invite.MailboxUnavailable},
		"reputation":    {bounce("Reputation", ""), invite.Bounced, invite.SenderReputation},
		"content":       {bounce("Content", ""), invite.Bounced, invite.ContentRefused},
		"frequency":     {bounce("Frequency or Volume Too High", ""), invite.Bounced, invite.RateLimitedByHost},
		"technical":     {bounce("Technical Failure", ""), invite.Bounced, invite.TechnicalFailure},
		"no class, 511": {bounce("", "5.1.1"), invite.Bounced, invite.AddressNotFound},
		"unclassified":  {bounce("Unclassified", "5.2.2"), invite.Bounced, invite.MailboxUnavailable},
		"policy":        {bounce("", "5.7.1"), invite.Bounced, invite.SenderReputation},
		"network":       {bounce("", "4.4.7"), invite.Bounced, invite.TechnicalFailure},
		"says nothing":  {bounce("", ""), invite.Bounced, invite.TechnicalFailure},
		"blocked": {sendgrid.Event{Name: "bounce", Type: "blocked", Classification: "Reputation"},
			invite.Bounced, invite.SenderReputation},
		"dropped, bounced":      {dropped("Bounced Address"), invite.Suppressed, invite.SuppressedBefore},
		"dropped, unsubscribed": {dropped("Unsubscribed Address"), invite.Suppressed, invite.SuppressedBefore},
		"dropped, spam report":  {dropped("Spam Reporting Address"), invite.Suppressed, invite.MarkedSpam},
		"dropped, invalid":      {dropped("Invalid"), invite.Suppressed, invite.AddressNotFound},
		"dropped, content":      {dropped("Spam Content (if Spam Checker app is enabled)"), invite.Rejected, invite.ContentRefused},
		"dropped, quota":        {dropped("Recipient List over Package Quota"), invite.Rejected, invite.ProviderAccount},
		"dropped, header":       {dropped("Invalid SMTPAPI header"), invite.Rejected, invite.MessageBroken},
		"dropped":               {dropped(""), invite.Suppressed, invite.SuppressedBefore},
	} {
		status, reason := c.event.Fate()
		if status != c.status || reason != c.reason {
			t.Errorf("%s: %q %q, want %q %q", name, status, reason, c.status, c.reason)
		}
		if _, known := invite.Explain(reason); reason != "" && !known {
			t.Errorf("%s: reason %q has no words", name, reason)
		}
	}
	if got := bounce("Invalid Address", "5.1.1").Code(); got != "bounce Invalid Address 5.1.1" {
		t.Errorf("code %q", got)
	}
}

func TestMatchesMessageIDByPrefix(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		event, sent string
		want        bool
	}{
		{"LRzXl_NHStOGhQ4kofSm_A.filterdrecv-p3mdw1-756b745b58-kmzbl-18-5F5FC76C-9.0", "LRzXl_NHStOGhQ4kofSm_A", true},
		{"14c5d75ce93.dfd.64b469.filter0001.16648.5515E0B88.0", "14c5d75ce93.dfd.64b469", true}, // an id with dots of its own
		{"abc", "abc", true},
		{"abcd.filter", "abc", false},
		{"abc.filter", "", false},
		{"", "", false},
	} {
		if got := sendgrid.MatchesMessageID(c.event, c.sent); got != c.want {
			t.Errorf("%q from %q: %v", c.event, c.sent, got)
		}
	}
}

// What is posted is verified before it is read, but keys leak.
func FuzzParseEvents(f *testing.F) {
	f.Add([]byte(`[{"event":"bounce","timestamp":1e400,"category":[[]],"email":"a"}]`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		events, err := sendgrid.ParseEvents(raw)
		if err != nil && events != nil {
			t.Error("events beside an error")
		}
		for _, e := range events {
			e.Fate()
		}
	})
}
