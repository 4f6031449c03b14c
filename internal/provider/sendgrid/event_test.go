package sendgrid_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/provider/sendgrid"
	"github.com/connectlink/connectlink/internal/secret"
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
		"technical":     {bounce("Technical Failure", ""), invite.Bounced, invite.MailReturned},
		"no class, 511": {bounce("", "5.1.1"), invite.Bounced, invite.AddressNotFound},
		"unclassified":  {bounce("Unclassified", "5.2.2"), invite.Bounced, invite.MailboxUnavailable},
		"policy":        {bounce("", "5.7.1"), invite.Bounced, invite.SenderReputation},
		"network":       {bounce("", "4.4.7"), invite.Bounced, invite.MailReturned},
		"says nothing":  {bounce("", ""), invite.Bounced, invite.MailReturned},
		"blocked": {sendgrid.Event{Name: "bounce", Type: "blocked", Classification: "Reputation"},
			invite.Bounced, invite.SenderReputation},
		"dropped, bounced":      {dropped("Bounced Address"), invite.Suppressed, invite.SuppressedBefore},
		"dropped, unsubscribed": {dropped("Unsubscribed Address"), invite.Suppressed, invite.Unsubscribed},
		"dropped, spam report":  {dropped("Spam Reporting Address"), invite.Suppressed, invite.MarkedSpam},
		"dropped, invalid":      {dropped("Invalid"), invite.Suppressed, invite.AddressNotFound},
		"dropped, content":      {dropped("Spam Content (if Spam Checker app is enabled)"), invite.Rejected, invite.ContentRefused},
		"dropped, quota":        {dropped("Recipient List over Package Quota"), invite.Rejected, invite.ProviderAccount},
		"dropped, header":       {dropped("Invalid SMTPAPI header"), invite.Rejected, invite.MessageBroken},
		"dropped":               {dropped(""), invite.Rejected, invite.ProviderRefused},
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

// TestF06BouncesAreReadByClassCodesAndWords plays the inputs of case F06, and
// siblings of them.
func TestF06BouncesAreReadByClassCodesAndWords(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		typ, class, status, words string
		want                      invite.Reason
	}{
		{"bounce", "", "5.0.0", "550 5.1.1 The email account that you tried to reach does not exist", invite.AddressNotFound},
		{"bounce", "Unclassified", "5.0.0", "500 unknown recipient", invite.AddressNotFound},
		{"bounce", "", "", "550 No such user here", invite.AddressNotFound},
		{"bounce", "", "5.4.1", "550 5.4.1 Recipient address rejected: Access denied", invite.MailReturned},
		{"bounce", "Technical Failure", "5.1.2", "unable to get mx info: no such host", invite.AddressNotFound},
		{"expired", "", "", "", invite.MailReturned},
		{"bounce", "Technical Failure", "", "550 5.1.10 RESOLVER.ADR.RecipientNotFound; Recipient not found", invite.AddressNotFound},
		{"bounce", "", "", "554 delivery error: dd This user doesn't have a yahoo.com account", invite.AddressNotFound},
		{"bounce", "", "", "550 #5.1.0 Address rejected.", invite.MailReturned},
		{"blocked", "", "", "552 5.2.2 Over quota", invite.MailboxUnavailable},
		{"blocked", "", "", "552 The email account that you tried to reach is over quota", invite.MailboxUnavailable},
		{"blocked", "", "5.0.0", "554 5.7.1 Service unavailable; Client host [192.0.2.1] blocked using zen.spamhaus.org", invite.SenderReputation},
		{"blocked", "", "", "550 blocked by our blocklist", invite.SenderReputation},
		{"blocked", "", "", "421 too many messages from your host", invite.RateLimitedByHost},
		{"bounce", "", "", "550 message looks like spam", invite.ContentRefused},
		{"bounce", "Invalid Address", "5.7.1", "blocked", invite.AddressNotFound},                // the class first
		{"bounce", "Unclassified", "5.2.1", "550 5.1.1 no such user", invite.MailboxUnavailable}, // then the status
		{"bounce", "", "", "550 rejected by 5.1.1.7, version 5.1.1a", invite.MailReturned},       // neither is a code
		{"bounce", "", "", "550 <no-such-user@spam.example>: rejected", invite.MailReturned},     // a name is no cause
		{"bounce", "", "", "smtp; 550-5.1.1 The email account\n550 5.1.1 does", invite.AddressNotFound},
		{"bounce", "", "5.1.8", "sender's domain", invite.SenderReputation}, // not the recipient's fault
	} {
		e := sendgrid.Event{Name: "bounce", Type: c.typ, Classification: c.class, Status: c.status, Reason: secret.New(c.words)}
		status, reason := e.Fate()
		if status != invite.Bounced || reason != c.want {
			t.Errorf("%+v: %s %s", c, status, reason)
		}
		if why, _ := invite.ExplainDelivery(reason, status); strings.Contains(why.Advice, "tried again") || strings.Contains(why.Advice, "Nothing to do") {
			t.Errorf("%+v: a bounce is over, and the advice is %q", c, why.Advice)
		}
	}
	unclear, _ := invite.Explain(invite.MailReturned)
	if unclear.Action != invite.CorrectAddress || unclear.Other != invite.SwitchToSMS {
		t.Errorf("%+v", unclear)
	}
}

func TestDeferralsAreRead(t *testing.T) {
	t.Parallel()
	for words, want := range map[string]invite.Reason{
		"450 4.2.0 Greylisted":                        invite.DeferredByHost,
		"451 4.4.1 connection timed out":              invite.TechnicalFailure,
		"unable to connect: connection refused":       invite.TechnicalFailure,
		"421 4.7.0 too many messages, slow down":      invite.RateLimitedByHost,
		"452 4.2.2 The recipient's inbox is out of s": invite.MailboxUnavailable,
		"": invite.DeferredByHost,
	} {
		if status, reason := (sendgrid.Event{Name: "deferred", Response: secret.New(words)}).Fate(); status != invite.Deferred || reason != want {
			t.Errorf("%q: %s %s, want %s", words, status, reason, want)
		}
	}
}

// TestF01ADropForAPieceOfANameBlamesNoMailbox: SendGrid took our message apart.
func TestF01ADropForAPieceOfANameBlamesNoMailbox(t *testing.T) {
	t.Parallel()
	to := secret.New("Jane.Doe@Bücher.example")
	for email, want := range map[string]invite.Reason{
		"doe": invite.MessageBroken, "Doe": invite.MessageBroken, "jane@other.example": invite.MessageBroken,
		"jane.doe@bücher.example": invite.AddressNotFound, "jane.doe@xn--bcher-kva.example": invite.AddressNotFound, "": invite.AddressNotFound,
	} {
		status, reason := sendgrid.Event{Name: "dropped", Reason: secret.New("Invalid"), Email: secret.New(email)}.FateFor(to)
		if reason != want {
			t.Errorf("dropped for %q: %s %s, want %s", email, status, reason, want)
		}
		if block, blocks := invite.BlockOf(status, reason); blocks != (want == invite.AddressNotFound) {
			t.Errorf("dropped for %q blocks with %q", email, block)
		}
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
		raw, err := json.Marshal(map[string]string{"event": "delivered", "sg_message_id": c.event})
		if err != nil {
			t.Fatal(err)
		}
		r, err := sendgrid.NewCallbacks(nil).Reread(raw)
		if got := slices.Contains(r.MessageIDs, c.sent); err != nil || got != c.want {
			t.Errorf("%q from %q: %v, %v", c.event, c.sent, got, err)
		}
	}
}

// A post is verified before it is read, but keys leak.
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
