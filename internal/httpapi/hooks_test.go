package httpapi_test

import (
	"bytes"
	"compress/gzip"
	"strings"
	"testing"

	"github.com/connectlink/connectlink/internal/access"
	"github.com/connectlink/connectlink/internal/secret"
)

func TestCallbacksAreAnsweredWithBareStatuses(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var zipped bytes.Buffer
	z := gzip.NewWriter(&zipped)
	_, _ = z.Write([]byte(`[]`))
	_ = z.Close()
	const text = "/hooks/twilio/status/default/test/inv_1/att_1"
	event := `[{"event":"delivered","sg_event_id":"e1","sg_message_id":"m1","timestamp":1790000000,"email":"x@y.example"}]`
	hook := "/hooks/pipedream/" + access.NewCallbackSecret().Reveal()
	for name, c := range map[string]struct {
		path, body string
		header     []string
		status     int
	}{
		"mail events, rightly signed":          {"/hooks/sendgrid/signed/test", event, w.sign(event), 204},
		"mail events, compressed":              {"/hooks/sendgrid/signed/test", zipped.String(), append(w.sign(zipped.String()), "Content-Encoding: gzip"), 204},
		"mail events without signature":        {"/hooks/sendgrid/signed/test", event, nil, 403},
		"mail events of another body":          {"/hooks/sendgrid/signed/test", event, w.sign("[]"), 403},
		"mail events for another project":      {"/hooks/sendgrid/default/test", event, w.sign(event), 403},
		"mail events for no project":           {"/hooks/sendgrid/nobody/test", event, w.sign(event), 403},
		"mail events for a mode without keys":  {"/hooks/sendgrid/signed/live", event, w.sign(event), 403},
		"mail events for a mode that is none":  {"/hooks/sendgrid/signed/prod", event, w.sign(event), 403},
		"mail events that are none":            {"/hooks/sendgrid/signed/test", `{"a":1}`, w.sign(`{"a":1}`), 400},
		"mail events that are no gzip":         {"/hooks/sendgrid/signed/test", event, append(w.sign(event), "Content-Encoding: br"), 400},
		"mail events beyond the limit":         {"/hooks/sendgrid/signed/test", strings.Repeat(" ", 5<<20), nil, 413},
		"a thousand mail events fit":           {"/hooks/sendgrid/signed/test", "[" + strings.Repeat(" ", 3<<20) + "]", w.sign("[" + strings.Repeat(" ", 3<<20) + "]"), 204},
		"a text status without signature":      {text, "MessageStatus=sent&MessageSid=SM1", []string{"Content-Type: application/x-www-form-urlencoded"}, 403},
		"a text status with a wrong signature": {text, "MessageStatus=sent&MessageSid=SM1", []string{"Content-Type: application/x-www-form-urlencoded", "X-Twilio-Signature: AAAA"}, 403},
		"a text status of no mode":             {"/hooks/twilio/status/default/x/inv_1/att_1", "a=b", nil, 403},
		"a text status beyond the limit":       {text, strings.Repeat("x", 65<<10), nil, 413},
		"a connection to no secret":            {hook, `{"event":"CONNECTION_SUCCESS"}`, nil, 403},
		"a connection to what is no secret":    {"/hooks/pipedream/x", `{}`, nil, 403},
		"a connection beyond the limit":        {hook, strings.Repeat(" ", 65<<10), nil, 413},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := w.call(t, secret.Text{}, "POST", c.path, c.body, c.header...)
			if r.status != c.status {
				t.Fatalf("%d, want %d: %s", r.status, c.status, r.body)
			}
			if len(r.body) > 0 && c.status != 413 {
				t.Errorf("body = %s", r.body)
			}
		})
	}
}

// TestF2EveryPostOfMailEventsThatIsNotTakenIsRecorded: SendGrid repeats such a
// post for up to a day, and until then the absence of a report proves nothing.
func TestF2EveryPostOfMailEventsThatIsNotTakenIsRecorded(t *testing.T) {
	t.Parallel()
	event := `[{"event":"delivered","sg_event_id":"e1","sg_message_id":"m1","timestamp":1790000000,"email":"x@y.example"}]`
	for name, c := range map[string]struct {
		path, body string
		signed     bool
		want       string // the scope that is recorded
	}{
		"taken":              {"/hooks/sendgrid/signed/test", event, true, ""},
		"forged":             {"/hooks/sendgrid/signed/test", event, false, "sendgrid/signed/test"},
		"malformed":          {"/hooks/sendgrid/signed/test", `{"a":1}`, true, "sendgrid/signed/test"},
		"beyond the limit":   {"/hooks/sendgrid/signed/test", strings.Repeat(" ", 5<<20), false, "sendgrid/signed/test"},
		"for no project":     {"/hooks/sendgrid/nobody/test", event, false, ""},
		"for an unused mode": {"/hooks/sendgrid/signed/live", event, false, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			var header []string
			if c.signed {
				header = w.sign(c.body)
			}
			w.call(t, secret.Text{}, "POST", c.path, c.body, header...)
			var scope string
			err := w.db.QueryRow(t.Context(), `SELECT coalesce(string_agg(scope || ' ' || cause, ','), '') FROM callback_gaps`).Scan(&scope)
			want := c.want
			if want != "" {
				want += " refused"
			}
			if err != nil || scope != want {
				t.Errorf("recorded %q, want %q (%v)", scope, want, err)
			}
		})
	}
}

func TestSecretsOfPathsAndHeadersAreNotLogged(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	hook := access.NewCallbackSecret().Reveal()
	w.call(t, secret.Text{}, "POST", "/hooks/pipedream/"+hook, `{}`)
	w.call(t, secret.New("cl_test_"+hook), "GET", "/v1/invites?recipient=canary@customer.example", "")
	w.call(t, w.key, "GET", "/v1/invites?recipient=canary@customer.example&external_user_id=canary", "")
	w.call(t, w.key, "POST", "/v1/invites", `{"external_user_id":"canary","app":"slack","channel":"email","recipient":{"email":"canary"}}`)
	created := w.call(t, w.key, "POST", "/v1/invites", byEmail)
	w.server.Close()
	log := w.log.String()
	for _, s := range []string{hook, "canary", w.key.Reveal(), created.at(t, "connect_link_url").(string), "token=", "customer.example"} {
		if strings.Contains(log, s) {
			t.Errorf("%q is in the log:\n%s", s, log)
		}
	}
	if n := strings.Count(log, "\n"); n != 5 {
		t.Errorf("%d lines for 5 requests:\n%s", n, log)
	}
	for _, want := range []string{`"route":"/hooks/pipedream/:secret"`, `"code":"callback_unknown"`, `"code":"invalid_api_key"`, `"principal":"key:key_`} {
		if !strings.Contains(log, want) {
			t.Errorf("the log lacks %s:\n%s", want, log)
		}
	}
}
