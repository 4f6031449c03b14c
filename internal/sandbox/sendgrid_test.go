package sandbox_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/connectlink/connectlink/internal/sandbox"
)

func TestSendGridTakesAMailAndKeepsIt(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.mail("pat@customer.example", "Hi Pat, open https://go.example/c/abc. Thanks")
	if a.Status != http.StatusAccepted || len(a.Body) != 0 || a.Header.Get("X-Message-Id") == "" {
		t.Fatalf("send: %d %q %v", a.Status, a.Body, a.Header)
	}
	list, err := w.Messages(t.Context(), sandbox.MessageFilter{To: "PAT@customer.example"})
	if err != nil || len(list) != 1 {
		t.Fatalf("Messages = %v, %v", list, err)
	}
	m := list[0]
	if m.Channel != "email" || m.To != "pat@customer.example" || m.InviteID != "inv_1" || m.AttemptID != "att_1" ||
		m.Status != "accepted" || len(m.Links) != 1 || m.Links[0] != "https://go.example/c/abc" || !strings.HasPrefix(m.HTML, "<p>") {
		t.Errorf("message = %+v", m)
	}
	one, err := w.Message(t.Context(), m.ID)
	if err != nil || one.Text != m.Text {
		t.Errorf("Message(%s) = %+v, %v", m.ID, one, err)
	}
	if none, err := w.Messages(t.Context(), sandbox.MessageFilter{InviteIDs: []string{}}); err != nil || len(none) != 0 {
		t.Errorf("no invites, no messages: %v, %v", none, err)
	}
	// Nothing of it is readable in the database.
	var dump string
	if err := w.pool.QueryRow(t.Context(), `SELECT string_agg(m::text, ' ') FROM sandbox.messages m`).Scan(&dump); err != nil {
		t.Fatal(err)
	}
	for _, plain := range []string{"pat@", "customer.example", "go.example"} {
		if strings.Contains(dump, plain) || strings.Contains(dump, strings.ToLower(strings.Trim(jsonHex(plain), `"`))) {
			t.Errorf("%q stands in the clear in the database", plain)
		}
	}
}

func jsonHex(s string) string {
	const digits = "0123456789abcdef"
	var b strings.Builder
	for i := range len(s) {
		b.WriteByte(digits[s[i]>>4])
		b.WriteByte(digits[s[i]&15])
	}
	return b.String()
}

func TestSendGridRefuses(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	first := func(m map[string]any) map[string]any { return m["personalizations"].([]any)[0].(map[string]any) }
	for name, c := range map[string]struct {
		field  string
		change func(map[string]any)
	}{
		"no personalizations":    {"personalizations", func(m map[string]any) { m["personalizations"] = []any{} }},
		"no recipients":          {"personalizations.0.to", func(m map[string]any) { first(m)["to"] = []any{} }},
		"a bad recipient":        {"personalizations.0.to.0.email", func(m map[string]any) { first(m)["to"] = []any{map[string]any{"email": "pat"}} }},
		"a recipient twice":      {"personalizations.0", func(m map[string]any) { first(m)["cc"] = []any{map[string]any{"email": "PAT@customer.example"}} }},
		"no sender":              {"from.email", func(m map[string]any) { delete(m, "from") }},
		"a bad reply-to":         {"reply_to.email", func(m map[string]any) { m["reply_to"] = map[string]any{"email": "nobody"} }},
		"no subject":             {"subject", func(m map[string]any) { delete(m, "subject") }},
		"no content":             {"content", func(m map[string]any) { delete(m, "content") }},
		"an empty part":          {"content.0.value", func(m map[string]any) { m["content"].([]any)[0].(map[string]any)["value"] = "" }},
		"HTML before text":       {"content", func(m map[string]any) { c := m["content"].([]any); c[0], c[1] = c[1], c[0] }},
		"a number as argument":   {"personalizations.0.custom_args.n", func(m map[string]any) { first(m)["custom_args"] = map[string]any{"n": 1} }},
		"arguments over 10 kB":   {"personalizations.0.custom_args", func(m map[string]any) { first(m)["custom_args"] = map[string]any{"n": strings.Repeat("x", 10_000)} }},
		"a reserved header":      {"headers", func(m map[string]any) { m["headers"] = map[string]any{"Reply-To": "x"} }},
		"eleven categories":      {"categories", func(m map[string]any) { m["categories"] = strings.Split(strings.Repeat("c,", 11), ",") }},
		"scheduled in four days": {"send_at", func(m map[string]any) { m["send_at"] = time.Now().Add(96 * time.Hour).Unix() }},
	} {
		a := w.mail("pat@customer.example", "text", c.change)
		var body struct {
			Errors []struct{ Message, Field, Help string }
		}
		if err := json.Unmarshal(a.Body, &body); err != nil || a.Status != 400 || len(body.Errors) == 0 || body.Errors[0].Field != c.field {
			t.Errorf("%s: answered %d %s, want field %s", name, a.Status, a.Body, c.field)
		}
	}
	if a := w.call("POST", w.vendors.URL+"/sendgrid/v3/mail/send", strings.NewReader("{}"), "Authorization", "Bearer SG.x.y", "Content-Type", jsonType); a.Status != 401 {
		t.Errorf("a wrong key: %d", a.Status)
	}
	if a := w.mail("pat@customer.example", "x", func(m map[string]any) {
		m["mail_settings"] = map[string]any{"sandbox_mode": map[string]any{"enable": true}}
	}); a.Status != 200 {
		t.Errorf("SendGrid's own sandbox mode: %d, want 200", a.Status)
	}
	if l, err := w.Ledger(t.Context()); err != nil || l.Messages != 0 {
		t.Errorf("refused mails were taken: %+v, %v", l, err)
	}
}

// mailEvent is what a receiver reads of an event.
type mailEvent struct {
	Event, Email, Reason, Status, Type, Attempt, Response string
	SGEventID                                             string `json:"sg_event_id"`
	SGMessageID                                           string `json:"sg_message_id"`
	Class                                                 string `json:"bounce_classification"`
	Invite                                                string `json:"cl_invite"`
	AttemptID                                             string `json:"cl_attempt"`
	Timestamp                                             int64
}

// mailEvents verifies and reads every event posted so far.
func (w *world) mailEvents() []mailEvent {
	w.t.Helper()
	der, err := base64.StdEncoding.DecodeString(w.cred.SendGridWebhookPublicKey)
	if err != nil {
		w.t.Fatal(err)
	}
	key, err := x509.ParsePKIXPublicKey(der)
	if err != nil {
		w.t.Fatal(err)
	}
	var out []mailEvent
	for _, r := range w.product.requests("/hooks/sendgrid/default/test") {
		sig, err := base64.StdEncoding.DecodeString(r.Header.Get("X-Twilio-Email-Event-Webhook-Signature"))
		if err != nil {
			w.t.Fatal(err)
		}
		sum := sha256.Sum256(append([]byte(r.Header.Get("X-Twilio-Email-Event-Webhook-Timestamp")), r.Body...))
		if !ecdsa.VerifyASN1(key.(*ecdsa.PublicKey), sum[:], sig) {
			w.t.Fatal("an event batch's signature does not verify")
		}
		if !bytes.HasSuffix(r.Body, []byte("\r\n")) {
			w.t.Error("the body does not end in CRLF")
		}
		var batch []mailEvent
		if err := json.Unmarshal(r.Body, &batch); err != nil {
			w.t.Fatal(err)
		}
		out = append(out, batch...)
	}
	return out
}

func (w *world) eventNames(invite string) []string {
	var out []string
	for _, e := range w.mailEvents() {
		if e.Invite == invite {
			out = append(out, e.Event)
		}
	}
	return out
}

func TestMailFates(t *testing.T) {
	t.Parallel()
	w := newWorld(t).run()
	for name, c := range map[string]struct {
		events string
		check  func(*testing.T, []mailEvent)
	}{
		"delivered":   {events: "processed delivered"},
		"anyone":      {events: "processed delivered"},
		"bounced":     {events: "processed bounce", check: class("bounce", "Invalid Address", "5.1.1")},
		"mailboxfull": {events: "processed bounce", check: class("bounce", "Mailbox Unavailable", "5.2.2")},
		"blocked":     {events: "processed bounce", check: class("blocked", "Reputation", "5.7.1")},
		"delayed":     {events: "processed deferred deferred delivered"},
		"suppressed": {events: "dropped", check: func(t *testing.T, es []mailEvent) {
			if es[0].Reason != "Bounced Address" {
				t.Errorf("reason = %q", es[0].Reason)
			}
		}},
		"complained": {events: "processed delivered spamreport"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			invite, to := "inv_"+name, name+"@connectlink.test"
			a := w.mail(to, "x", marked(invite, "att_"+name))
			if a.Status != 202 {
				t.Fatalf("send: %d", a.Status)
			}
			want := strings.Fields(c.events)
			var got []mailEvent
			eventually(t, c.events, func() bool {
				got = nil
				for _, e := range w.mailEvents() {
					if e.Invite == invite {
						got = append(got, e)
					}
				}
				return len(got) >= len(want)
			})
			for i, e := range got {
				if i >= len(want) || e.Event != want[i] {
					t.Fatalf("event %d = %s, want %v", i, e.Event, want)
				}
				if e.Email != to || e.AttemptID != "att_"+name || e.SGEventID == "" || e.Timestamp == 0 ||
					!strings.HasPrefix(e.SGMessageID, a.Header.Get("X-Message-Id")+".recvd-") {
					t.Errorf("event = %+v", e)
				}
			}
			if c.check != nil {
				c.check(t, got)
			}
		})
	}
}

func class(kind, class, status string) func(*testing.T, []mailEvent) {
	return func(t *testing.T, es []mailEvent) {
		last := es[len(es)-1]
		if last.Type != kind || last.Class != class || last.Status != status || last.Reason == "" || strings.Contains(last.Reason, "{") {
			t.Errorf("bounce = %+v", last)
		}
	}
}

func TestSilentMailIsNeverReported(t *testing.T) {
	t.Parallel()
	w := newWorld(t).run()
	w.mail("silent@connectlink.test", "x", marked("inv_silent", "att_s"))
	w.mail("delivered@connectlink.test", "x", marked("inv_loud", "att_l"))
	eventually(t, "the later mail's events, and the silent one's arrival", func() bool {
		list, err := w.Messages(t.Context(), sandbox.MessageFilter{InviteIDs: []string{"inv_silent"}})
		return err == nil && list[0].Status == "delivered" && len(w.eventNames("inv_loud")) == 2
	})
	if got := w.eventNames("inv_silent"); len(got) != 0 {
		t.Errorf("silent@ was reported: %v", got)
	}
}

func TestProviderDownRefusesThreeTimes(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for i, want := range []int{503, 503, 503, 202, 202} {
		if a := w.mail("providerdown@connectlink.test", "x"); a.Status != want {
			t.Errorf("try %d: %d, want %d", i+1, a.Status, want)
		}
	}
	if a := w.mail("providerdown@connectlink.test", "x", marked("inv_other", "a")); a.Status != 503 {
		t.Errorf("another invite starts anew: %d", a.Status)
	}
}

func TestSuppressedAddressCanBeLifted(t *testing.T) {
	t.Parallel()
	w := newWorld(t).run()
	auth := []string{"Authorization", "Bearer " + w.cred.SendGridAPIKey.Reveal()}
	at := w.vendors.URL + "/sendgrid/v3/suppression/bounces/suppressed%40connectlink.test"
	if a := w.call("GET", at, nil, auth...); !strings.Contains(string(a.Body), "suppressed@connectlink.test") {
		t.Fatalf("list = %s", a.Body)
	}
	if a := w.call("DELETE", at, nil, auth...); a.Status != 204 {
		t.Fatalf("lift: %d", a.Status)
	}
	if a := w.call("GET", at, nil, auth...); string(a.Body) != "[]" {
		t.Errorf("list after lifting = %s", a.Body)
	}
	w.mail("suppressed@connectlink.test", "x", marked("inv_lifted", "a"))
	eventually(t, "delivery after lifting", func() bool { return strings.Join(w.eventNames("inv_lifted"), " ") == "processed delivered" })
}

func TestEventsAreRetriedWithTheSameIDs(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.product.deny = 3
	w.run()
	w.mail("delivered@connectlink.test", "x", marked("inv_again", "a"))
	eventually(t, "four posts", func() bool { return len(w.product.requests("/hooks/sendgrid")) >= 4 })
	seen := map[string]int{}
	for _, e := range w.mailEvents() {
		seen[e.SGEventID]++
	}
	if len(seen) != 2 {
		t.Errorf("two events came under %d ids: %v", len(seen), seen)
	}
	eventually(t, "the answered batch to be settled", func() bool {
		var open int
		return w.pool.QueryRow(t.Context(), `SELECT count(*) FROM sandbox.events WHERE due_at IS NOT NULL`).Scan(&open) == nil && open == 0
	})
}

func TestDoctorCanSeeWhetherReceiptsAreOn(t *testing.T) {
	t.Parallel()
	for name, url := range map[string]string{"on": "http://127.0.0.1:1/x", "off": ""} {
		w := newWorld(t, func(p *sandbox.Params) { p.CallbackURL, p.EventWebhookURL = "", url })
		a := w.call("GET", w.vendors.URL+"/sendgrid/v3/user/webhooks/event/settings", nil, "Authorization", "Bearer "+w.cred.SendGridAPIKey.Reveal())
		if got := a.json(t)["enabled"]; got != (name == "on") {
			t.Errorf("%s: enabled = %v", name, got)
		}
		if a := w.call("GET", w.vendors.URL+"/sendgrid/v3/scopes", nil, "Authorization", "Bearer "+w.cred.SendGridAPIKey.Reveal()); !strings.Contains(string(a.Body), `"mail.send"`) {
			t.Errorf("scopes = %s", a.Body)
		}
	}
}
