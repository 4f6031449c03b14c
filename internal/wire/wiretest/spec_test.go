package wiretest_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/connectlink/connectlink/internal/wire/wiretest"
)

// A checker that accepts everything would make every edge's test worthless.
func TestTheDocumentsRefuseWhatVendorsWould(t *testing.T) {
	t.Parallel()
	const messages = "/2010-04-01/Accounts/AC0123456789abcdef0123456789abcdef/Messages.json"
	form, json := "application/x-www-form-urlencoded", "application/json"
	for name, c := range map[string]struct {
		spec             *wiretest.Spec
		path, kind, body string
		header           map[string]string
		ok               bool
	}{
		"mail":                                   {wiretest.SendGrid(t), "/v3/mail/send", json, `{"personalizations":[{"to":[{"email":"a@b.example"}]}],"from":{"email":"c@d.example"},"subject":"s","content":[{"type":"text/plain","value":"x"}]}`, nil, true},
		"mail without a sender":                  {wiretest.SendGrid(t), "/v3/mail/send", json, `{"personalizations":[{"to":[{"email":"a@b.example"}]}],"subject":"s","content":[{"type":"text/plain","value":"x"}]}`, nil, false},
		"mail with a number as custom arg":       {wiretest.SendGrid(t), "/v3/mail/send", json, `{"personalizations":[{"to":[{"email":"a@b.example"}],"custom_args":{"n":1}}],"from":{"email":"c@d.example"},"subject":"s","content":[{"type":"text/plain","value":"x"}]}`, nil, false},
		"a path that is not there":               {wiretest.SendGrid(t), "/v3/mail/sent", json, `{}`, nil, false},
		"text":                                   {wiretest.Twilio(t), messages, form, "To=%2B12025550100&Body=x&From=%2B12025550111", nil, true},
		"text without a recipient":               {wiretest.Twilio(t), messages, form, "Body=x", nil, false},
		"text by a service with a bad id":        {wiretest.Twilio(t), messages, form, "To=%2B12025550100&Body=x&MessagingServiceSid=MG1", nil, false},
		"connect token":                          {wiretest.Pipedream(t), "/v1/connect/proj_abc/tokens", json, `{"external_user_id":"u"}`, map[string]string{"x-pd-environment": "production"}, true},
		"connect token without an environment":   {wiretest.Pipedream(t), "/v1/connect/proj_abc/tokens", json, `{"external_user_id":"u"}`, nil, false},
		"connect token that would live too long": {wiretest.Pipedream(t), "/v1/connect/proj_abc/tokens", json, `{"external_user_id":"u","expires_in":14401}`, map[string]string{"x-pd-environment": "production"}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r, err := http.NewRequest(http.MethodPost, "http://vendor.example"+c.path, strings.NewReader(c.body))
			if err != nil {
				t.Fatal(err)
			}
			r.Header.Set("Content-Type", c.kind)
			for k, v := range c.header {
				r.Header.Set(k, v)
			}
			if err := c.spec.Check(r, []byte(c.body)); (err == nil) != c.ok {
				t.Errorf("Check: %v, want it to pass: %v", err, c.ok)
			}
		})
	}
}
