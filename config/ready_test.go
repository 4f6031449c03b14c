package config_test

import (
	"encoding/base64"
	"fmt"
	"net/url"
	"strings"
	"testing"

	"github.com/connectlink/connectlink/config"
)

func TestCallbacksReachable(t *testing.T) {
	t.Parallel()
	const twilio = "https://api.twilio.com"
	for public, want := range map[string]bool{
		"":                             false,
		"https://go.acme.example":      true,
		"https://go.acme.example/":     true,
		"https://GO.acme.example:8443": true,
		"https://93.184.216.34":        true,
		"http://go.acme.example":       false,
		"https://go_link.acme.example": false,
		"https://localhost":            false,
		"https://app.localhost":        false,
		"https://acme":                 false,
		"https://acme.local":           false,
		"https://acme.internal":        false,
		"https://acme.test":            false,
		"https://127.0.0.1":            false,
		"https://10.1.2.3":             false,
		"https://192.168.0.1":          false,
		"https://100.64.1.1":           false,
		"https://169.254.1.1":          false,
		"https://0.0.0.0":              false,
		"https://[::1]":                false,
		"https://[fd00::1]":            false,
		"https://[::ffff:10.0.0.1]":    false,
		"https://[2606:2800:220:1::1]": true,
	} {
		c := mustLoad(t, with("CONNECTLINK_PUBLIC_URL", public), nil)
		if got := c.CallbacksReachable(twilio); got != want {
			t.Errorf("public URL %q: Twilio reaches it = %v, want %v", public, got, want)
		}
		for vendor, want := range map[string]bool{"http://127.0.0.1:7777/twilio": true, "http://localhost:1": true, "https://[::1]:1/x": true, "ftp://127.0.0.1": want, "127.0.0.1": want, "": want, "https://127.0.0.1.evil.example": want} {
			if got := c.CallbacksReachable(vendor); got != want {
				t.Errorf("public URL %q, vendor %q: %v, want %v", public, vendor, got, want)
			}
		}
	}
}

func TestListenURL(t *testing.T) {
	t.Parallel()
	for listen, want := range map[string]string{
		"127.0.0.1:8080": "http://127.0.0.1:8080", ":9": "http://127.0.0.1:9", "0.0.0.0:9": "http://127.0.0.1:9", "[::]:9": "http://127.0.0.1:9", "[::1]:9": "http://[::1]:9", "host:9": "http://host:9",
	} {
		if got := mustLoad(t, with("CONNECTLINK_LISTEN", listen), nil).ListenURL(); got != want {
			t.Errorf("%s: %s, want %s", listen, got, want)
		}
	}
}

func live() []string {
	return []string{"PIPEDREAM_CLIENT_ID", "c", "PIPEDREAM_CLIENT_SECRET", "CANARY", "PIPEDREAM_PROJECT_ID", "proj_1",
		"SENDGRID_API_KEY", "SG.CANARY", "SENDGRID_FROM", "a@acme.example", "TWILIO_ACCOUNT_SID", "AC1", "TWILIO_AUTH_TOKEN", "CANARY", "TWILIO_FROM", "+12025550123", "CONNECTLINK_BRAND_REGION", "US"}
}

func TestLiveReady(t *testing.T) {
	t.Parallel()
	names := func(faults []config.Fault) string {
		var out []string
		for _, f := range faults {
			out = append(out, f.Name)
		}
		return strings.Join(out, " ")
	}
	const public = "CONNECTLINK_PUBLIC_URL"
	for name, tc := range map[string]struct {
		env              []string
		live, email, sms string
	}{
		"everything":              {append(live(), public, "https://go.acme.example"), "", "", ""},
		"nothing":                 {nil, "PIPEDREAM_CLIENT_ID", "SENDGRID_API_KEY SENDGRID_FROM", "TWILIO_ACCOUNT_SID"},
		"vendors cannot call":     {live(), public, "", ""},
		"vendors on this machine": {append(live(), "PIPEDREAM_API_URL", "http://127.0.0.1:1", "SENDGRID_API_URL", "http://127.0.0.1:1", "TWILIO_API_URL", "http://127.0.0.1:1"), "", "", ""},
		"no country":              {append(live(), public, "https://go.acme.example", "CONNECTLINK_BRAND_REGION", ""), "", "", "CONNECTLINK_LIMIT_SMS_COUNTRIES"},
		"polling is enough":       {append(live(), "CONNECTLINK_ALLOW_NO_CALLBACKS", "true"), "", "", ""},
		"email by SMTP":           {[]string{"SMTP_URL", "smtp://u:p@h", "SENDGRID_FROM", "a@acme.example"}, "PIPEDREAM_CLIENT_ID", "", "TWILIO_ACCOUNT_SID"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := mustLoad(t, with(tc.env...), nil)
			p := c.Projects[0]
			if got := names(c.LiveReady(p)); got != tc.live {
				t.Errorf("live: %q, want %q", got, tc.live)
			}
			if got := names(p.EmailReady()); got != tc.email {
				t.Errorf("email: %q, want %q", got, tc.email)
			}
			if got := names(p.SMSReady()); got != tc.sms {
				t.Errorf("SMS: %q, want %q", got, tc.sms)
			}
		})
	}
	c := mustLoad(t, minimal(), map[string]string{yamlFile: "projects: [{id: acme}]"})
	if got := names(c.LiveReady(c.Projects[0])); got != "projects[acme].pipedream.client_id" {
		t.Errorf("a project of the file is named %q", got)
	}
}

func TestWarnings(t *testing.T) {
	t.Parallel()
	complete := append(live(), "CONNECTLINK_TRUSTED_PROXIES", "10.0.0.0/8", "CONNECTLINK_PUBLIC_URL", "https://go.acme.example", "CONNECTLINK_BRAND_NAME", "Acme", "CONNECTLINK_BRAND_LEGAL_LINE", "Acme Inc.",
		"CONNECTLINK_BRAND_PRIVACY_URL", "https://acme.example/p", "CONNECTLINK_DEVELOPMENT_RECIPIENTS", "@acme.example", "SENDGRID_WEBHOOK_PUBLIC_KEYS", publicKey(t))
	if w := mustLoad(t, with(complete...), nil).Warnings(); len(w) > 0 {
		t.Fatalf("a complete configuration is warned of: %v", w)
	}
	// Each warning appears when its cause does, and alone.
	for cause, want := range map[[2]string]string{
		{"CONNECTLINK_PUBLIC_URL", ""}:                       "CONNECTLINK_PUBLIC_URL: not set",
		{"CONNECTLINK_PUBLIC_URL", "http://go.acme.example"}: "CONNECTLINK_PUBLIC_URL: is not https",
		{"CONNECTLINK_TRUSTED_PROXIES", ""}:                  "CONNECTLINK_TRUSTED_PROXIES: not set, although",
		{"CONNECTLINK_TRUSTED_PROXIES", "0.0.0.0/0"}:         "CONNECTLINK_TRUSTED_PROXIES: trusts everybody",
		{"CONNECTLINK_BRAND_NAME", ""}:                       "CONNECTLINK_BRAND_NAME: not set",
		{"CONNECTLINK_BRAND_LEGAL_LINE", ""}:                 "CONNECTLINK_BRAND_LEGAL_LINE: not set",
		{"CONNECTLINK_BRAND_PRIVACY_URL", ""}:                "CONNECTLINK_BRAND_PRIVACY_URL: not set",
		{"CONNECTLINK_DEVELOPMENT_RECIPIENTS", ""}:           "CONNECTLINK_DEVELOPMENT_RECIPIENTS: empty",
		{"SENDGRID_WEBHOOK_PUBLIC_KEYS", ""}:                 "SENDGRID_WEBHOOK_PUBLIC_KEYS: not set",
		{"PIPEDREAM_PROJECT_ID", "CANARY"}:                   "PIPEDREAM_PROJECT_ID: does not begin with proj_",
		{"SENDGRID_API_KEY", "CANARY"}:                       "SENDGRID_API_KEY: does not begin with SG.",
		{"TWILIO_ACCOUNT_SID", "CANARY"}:                     "TWILIO_ACCOUNT_SID: does not begin with AC",
	} {
		w := mustLoad(t, with(append(complete, cause[0], cause[1])...), nil).Warnings()
		if len(w) != 1 || !strings.HasPrefix(w[0], want) || strings.Contains(w[0], "CANARY") {
			t.Errorf("%v: %q, want only %q…", cause, w, want)
		}
	}
	letters := append(complete, "TWILIO_FROM", "ACME")
	if w := mustLoad(t, with(letters...), nil).Warnings(); len(w) != 1 || !strings.HasPrefix(w[0], "TWILIO_TWO_WAY: true, but") {
		t.Errorf("a sender that nobody can reply to: %q", w)
	}
	if w := mustLoad(t, with(append(letters, "TWILIO_TWO_WAY", "false")...), nil).Warnings(); len(w) > 0 {
		t.Errorf("%q", w)
	}
	noPages := append(complete, "TWILIO_TWO_WAY", "false", "CONNECTLINK_PUBLIC_URL", "")
	if w := mustLoad(t, with(noPages...), nil).Warnings(); len(w) != 2 || !strings.Contains(w[1], "needs a public URL") {
		t.Errorf("no page to stop on: %q", w)
	}
	noToken := append(complete, "TWILIO_AUTH_TOKEN", "", "TWILIO_API_KEY", "SK1", "TWILIO_API_SECRET", "s")
	if w := mustLoad(t, with(noToken...), nil).Warnings(); len(w) != 1 || !strings.HasPrefix(w[0], "TWILIO_AUTH_TOKEN: not set") {
		t.Errorf("%q", w)
	}
}

func TestSummaryShowsSettingsAndNoSecret(t *testing.T) {
	t.Parallel()
	hook := "whsec_" + base64.StdEncoding.EncodeToString([]byte(strings.Repeat("CANARY", 5)))
	c := mustLoad(t, with(append(live(), "CONNECTLINK_WEBHOOK_URL", "https://api.acme.example/CANARY?token=CANARY", "CONNECTLINK_WEBHOOK_SECRET", hook,
		"CONNECTLINK_DEVELOPMENT_RECIPIENTS", "canary@acme.example", "SMTP_URL", "smtp://u:CANARY@h", "CONNECTLINK_DATABASE_DIRECT_URL", "host=db password=CANARY")...), nil)
	s := c.Summary()
	for _, want := range []string{
		"database.url = postgres://[redacted]@db.acme.example:5432/connectlink\n", "database.direct_url = [redacted]\n", "keyset = [redacted]\n", "listen = 127.0.0.1:8080\n",
		"settle.sendgrid = 5m\n", "projects[default].sendgrid.api_key = [redacted]\n", "projects[default].twilio.from = +12025550123\n",
		"projects[default].webhook.url = https://api.acme.example/…\n", "projects[default].development_recipients = 1 of them\n", "log_level = info\n",
	} {
		if !strings.Contains(s, want) {
			t.Errorf("missing %q in:\n%s", want, s)
		}
	}
	dump := s + fmt.Sprintf("%v %+v %#v", c, *c, *c)
	if strings.Contains(s, "canary") || strings.Contains(dump, "CANARY-") || strings.Contains(s, "CANARY") || strings.Contains(dump, hook) {
		t.Errorf("a secret is shown:\n%s", s)
	}
}

func TestDescribe(t *testing.T) {
	t.Parallel()
	envs, yamls := map[string]bool{}, map[string]bool{}
	for _, o := range config.Describe() {
		if o.Env != "" && envs[o.Env] || yamls[o.YAML] || o.YAML == "" {
			t.Errorf("%s / %s: twice or nameless", o.Env, o.YAML)
		}
		envs[o.Env], yamls[o.YAML] = true, true
		if len(o.Help) < 10 || !strings.HasSuffix(o.Help, ".") {
			t.Errorf("%s: %q is not a sentence", o.YAML, o.Help)
		}
		if o.Secret && o.Default != "" {
			t.Errorf("%s: a secret with a default", o.YAML)
		}
	}
	// The names the documentation promises.
	for _, name := range []string{
		"CONNECTLINK_DATABASE_URL", "CONNECTLINK_DATABASE_DIRECT_URL", "CONNECTLINK_DATABASE_READ_URL", "CONNECTLINK_LISTEN", "CONNECTLINK_PUBLIC_URL", "CONNECTLINK_KEYSET", "CONNECTLINK_ALLOW_NO_CALLBACKS",
		"PIPEDREAM_CLIENT_ID", "PIPEDREAM_CLIENT_SECRET", "PIPEDREAM_PROJECT_ID", "PIPEDREAM_PROJECT_ENVIRONMENT", "PIPEDREAM_API_URL",
		"SENDGRID_API_KEY", "SENDGRID_API_URL", "SENDGRID_FROM", "SENDGRID_WEBHOOK_PUBLIC_KEYS",
		"TWILIO_ACCOUNT_SID", "TWILIO_AUTH_TOKEN", "TWILIO_API_KEY", "TWILIO_API_SECRET", "TWILIO_MESSAGING_SERVICE_SID", "TWILIO_FROM", "TWILIO_TWO_WAY", "TWILIO_API_URL", "SMTP_URL",
	} {
		if !envs[name] {
			t.Errorf("%s is missing", name)
		}
	}
}

func TestAllowsReturn(t *testing.T) {
	t.Parallel()
	p := mustLoad(t, with("CONNECTLINK_RETURN_URLS", "https://app.acme.example/connect,https://root.acme.example,ACME://,http://localhost:3000/x/"), nil).Projects[0]
	for in, want := range map[string]bool{
		"https://app.acme.example/connect": true, "https://app.acme.example/connect/": true, "https://app.acme.example/connect/done?x=1#y": true, "https://APP.acme.example/connect": true,
		"https://root.acme.example": true, "https://root.acme.example/any": true, "acme://anything/at?all": true, "Acme:opaque": true, "http://localhost:3000/x": true,
		"https://app.acme.example/connected": false, "https://app.acme.example/": false, "https://app.acme.example": false, "http://app.acme.example/connect": false,
		"https://app.acme.example:8443/connect": false, "https://app.acme.example.evil.example/connect": false, "https://evil.app.acme.example/connect": false,
		"https://app.acme.example@evil.example/connect": false, "https://u@app.acme.example/connect": false, "https://app.acme.example/connect/../admin": false,
		"https://app.acme.example/connect/%2e%2e/admin": false, `https://app.acme.example/connect/..%5cadmin`: false, "https://root.acme.example//evil.example": false,
		"https:app.acme.example/connect": false, "//app.acme.example/connect": false, "/connect": false, "javascript:alert(1)": false, "data:text/html,x": false, "": false, "acmex://x": false, "http://localhost:3001/x": false,
	} {
		u, err := url.Parse(in)
		if err != nil {
			t.Fatal(err)
		}
		if got := p.AllowsReturn(u); got != want {
			t.Errorf("%s: %v, want %v", in, got, want)
		}
	}
	if p.AllowsReturn(nil) {
		t.Error("nothing at all is allowed")
	}
	for _, bad := range []string{"javascript://x", "data://", "file:///etc", "http://app.acme.example", "https://*.acme.example", "acme://only/this", "https://a.example?x=1", "https://u:p@a.example", "app.acme.example", "1a://"} {
		if _, err := load(with("CONNECTLINK_RETURN_URLS", bad), nil); err == nil {
			t.Errorf("%s was accepted as a place to return to", bad)
		}
	}
}
