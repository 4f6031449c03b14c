package config_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"io/fs"
	"log/slog"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/connectlink/connectlink/config"
	"github.com/connectlink/connectlink/internal/secret"
)

const (
	database = "postgres://app:CANARY-db@db.acme.example:5432/connectlink?sslmode=require"
	yamlFile = "connectlink.yaml"
)

// minimal is what `serve` cannot do without.
func minimal() map[string]string {
	return map[string]string{"CONNECTLINK_DATABASE_URL": database, "CONNECTLINK_KEYSET": "CANARY-keyset"}
}

// with returns minimal and more; an empty value takes one away.
func with(pairs ...string) map[string]string {
	env := minimal()
	for i := 0; i < len(pairs); i += 2 {
		env[pairs[i]] = pairs[i+1]
	}
	return env
}

// load reads from the given variables and files only. A file called
// connectlink.yaml is the configuration file.
func load(env, files map[string]string) (*config.Config, error) {
	src := config.Sources{
		Env: func(name string) (string, bool) { v, ok := env[name]; return v, ok },
		ReadFile: func(name string) ([]byte, error) {
			if s, ok := files[name]; ok {
				return []byte(s), nil
			}
			return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
		},
	}
	if _, ok := files[yamlFile]; ok {
		src.File = yamlFile
	}
	for name := range env {
		src.Names = append(src.Names, name)
	}
	return config.Load(src)
}

func mustLoad(t *testing.T, env, files map[string]string) *config.Config {
	t.Helper()
	c, err := load(env, files)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// faultsOf loads what must fail and returns its faults by name, having made
// sure that none of them tells a secret.
func faultsOf(t *testing.T, env, files map[string]string) map[string]string {
	t.Helper()
	c, err := load(env, files)
	var faults *config.Error
	if !errors.As(err, &faults) || c != nil {
		t.Fatalf("Load = %v, %v; want a *config.Error", c, err)
	}
	if strings.Contains(err.Error(), "CANARY") {
		t.Fatalf("the error tells a secret: %v", err)
	}
	out := map[string]string{}
	for _, f := range faults.Faults {
		if f.Problem == "" {
			t.Errorf("%s: no problem is named", f.Name)
		}
		if !strings.Contains(err.Error(), f.String()) {
			t.Errorf("the error does not list %s", f)
		}
		out[f.Name] += f.Problem
	}
	return out
}

func publicKey(t *testing.T) string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	return base64.StdEncoding.EncodeToString(der)
}

// same compares secrets by value, which their printing hides.
func same(a, b any) string {
	return cmp.Diff(a, b, cmp.Comparer(func(x, y secret.Text) bool { return x.Reveal() == y.Reveal() }),
		cmp.Comparer(func(x, y netip.Prefix) bool { return x == y }))
}

func TestMinimalEnvironmentGivesTheDefaults(t *testing.T) {
	t.Parallel()
	c := mustLoad(t, minimal(), nil)
	if c.DatabaseURL.Reveal() != database || c.DatabaseDirectURL.Reveal() != database || c.Keyset.Reveal() != "CANARY-keyset" {
		t.Error("the secrets were not read")
	}
	if c.Listen != "127.0.0.1:8080" || c.PublicURL != nil || c.Role != config.RoleAll || c.LogLevel != slog.LevelInfo || !c.SandboxEnabled || c.AllowNoCallbacks {
		t.Errorf("unexpected defaults:\n%s", c.Summary())
	}
	if c.SettleTwilio != time.Minute || c.SettleSendGrid != 5*time.Minute || c.LeaseFor != 8*time.Second || c.RenewEvery != 2*time.Second || c.DatabaseWait != time.Minute {
		t.Errorf("unexpected spans:\n%s", c.Summary())
	}
	want := []config.Project{{
		ID: "default", Brand: config.Brand{Name: "Connect Link"}, Retention: 90 * 24 * time.Hour, OnUnknown: "hold", DefaultVerify: "none", FreeText: "all", WatchConnections: "off", OnUnhealthy: "event", MaxReconnects: 1, Limits: defaultLimits(), Firewall: defaultFirewall(), Alerts: defaultAlerts(),
		Pipedream: config.Pipedream{APIURL: "https://api.pipedream.com", Environment: "development", LinkHosts: []string{"pipedream.com"}, TokenScope: "connect:accounts:read connect:accounts:write"},
		SendGrid:  config.SendGrid{APIURL: "https://api.sendgrid.com", FromName: "Connect Link"},
		Twilio:    config.Twilio{APIURL: "https://api.twilio.com"}, EmailProviders: []string{"sendgrid", "smtp"}, SMSProviders: []string{"twilio", "vonage"}, Vonage: config.Vonage{APIURL: "https://api.nexmo.com"},
	}}
	if diff := same(want, c.Projects); diff != "" {
		t.Error(diff)
	}
}

func TestEnvironmentOfOneProduct(t *testing.T) {
	t.Parallel()
	key := publicKey(t)
	hook := "whsec_" + base64.StdEncoding.EncodeToString(make([]byte, 32))
	c := mustLoad(t, with(
		"CONNECTLINK_DATABASE_URL", "", "DATABASE_URL", database, "CONNECTLINK_DATABASE_DIRECT_URL", "host=db user=app dbname=x", "CONNECTLINK_DATABASE_READ_URL", "host=two user=app dbname=x", "CONNECTLINK_DATABASE_READ_STALENESS", "5s", "CONNECTLINK_DATABASE_WAIT", "5m",
		"CONNECTLINK_LISTEN", ":9000", "CONNECTLINK_METRICS_LISTEN", "127.0.0.1:9090", "CONNECTLINK_PUBLIC_URL", "HTTPS://Go.Acme.example/", "CONNECTLINK_TRUSTED_PROXIES", "10.1.2.3/8, 192.0.2.7,::1",
		"CONNECTLINK_LOG_LEVEL", "DEBUG", "CONNECTLINK_ROLE", "worker", "CONNECTLINK_SANDBOX", "off", "CONNECTLINK_CONSOLE_PASSWORDS", "off", "CONNECTLINK_OIDC_ISSUER", "https://id.acme.example", "CONNECTLINK_OIDC_CLIENT_ID", "console",
		"CONNECTLINK_OIDC_CLIENT_SECRET", "oidc", "CONNECTLINK_OIDC_SCOPES", "groups", "CONNECTLINK_OIDC_ROLES_CLAIM", "groups", "CONNECTLINK_OIDC_ROLES", "helpdesk:agent", "CONNECTLINK_ALLOW_NO_CALLBACKS", "1",
		"CONNECTLINK_SETTLE_TWILIO", "1s", "CONNECTLINK_SETTLE_SENDGRID", "0", "CONNECTLINK_NO_RECEIPT_EMAIL", "2h", "CONNECTLINK_LEASE_FOR", "20s", "CONNECTLINK_LEASE_RENEW_EVERY", "10s",
		"CONNECTLINK_BRAND_NAME", "Acme", "CONNECTLINK_BRAND_COLOUR", "1D4ED8", "CONNECTLINK_BRAND_LOGO_URL", "https://acme.example/l.png",
		"CONNECTLINK_BRAND_SUPPORT_EMAIL", "help@acme.example", "CONNECTLINK_BRAND_LEGAL_LINE", "Acme Inc.", "CONNECTLINK_BRAND_PRIVACY_URL", "https://acme.example/p",
		"CONNECTLINK_BRAND_REGION", "uk", "CONNECTLINK_DEFAULT_VALID_FOR", "30d", "CONNECTLINK_RETENTION", "365d", "CONNECTLINK_DEFAULT_REMINDERS", "2", "CONNECTLINK_RETURN_URLS", "https://app.acme.example/x,ACME://",
		"CONNECTLINK_APPLE_APP_IDS", "A1B2C3D4E5.example.acme.app, ZZZZZZZZZZ.two", "CONNECTLINK_ANDROID_APPS", "example.acme.app="+strings.Repeat("0a", 32)+",example.acme.app="+strings.Repeat("FF:", 31)+"ff",
		"CONNECTLINK_DEVELOPMENT_RECIPIENTS", "Pat@Acme.example,@acme.example,+12025550123", "CONNECTLINK_ON_UNKNOWN", "resend", "CONNECTLINK_WATCH_CONNECTIONS", "daily", "CONNECTLINK_ON_UNHEALTHY", "invite", "CONNECTLINK_MAX_RECONNECTS_PER_PERSON", "2", "CONNECTLINK_SMS_CONSENT_REQUIRED", "yes",
		"CONNECTLINK_WEBHOOK_URL", "https://api.acme.example/h", "CONNECTLINK_WEBHOOK_SECRET", hook,
		"PIPEDREAM_CLIENT_ID", "cid", "PIPEDREAM_CLIENT_SECRET", "csec", "PIPEDREAM_PROJECT_ID", "proj_1", "PIPEDREAM_PROJECT_ENVIRONMENT", "production",
		"PIPEDREAM_API_URL", "http://127.0.0.1:7777/pipedream/", "PIPEDREAM_LINK_HOSTS", "pipedream.com,Connect.acme.example", "PIPEDREAM_TOKEN_SCOPE", "connect:*",
		"SENDGRID_API_KEY", "SG.x", "SENDGRID_FROM", "Acme Mail <connect@acme.example>", "SENDGRID_REPLY_TO", "help@acme.example", "SENDGRID_WEBHOOK_PUBLIC_KEYS", key+","+key, "SENDGRID_API_URL", "https://api.eu.sendgrid.com",
		"TWILIO_ACCOUNT_SID", "AC1", "TWILIO_AUTH_TOKEN", "t1", "TWILIO_AUTH_TOKEN_SECONDARY", "t2", "TWILIO_API_KEY", "SK1", "TWILIO_API_SECRET", "s", "TWILIO_MESSAGING_SERVICE_SID", "MG1", "TWILIO_FROM", "+12025550123", "TWILIO_TWO_WAY", "no", "TWILIO_API_URL", "https://api.dublin.ie1.twilio.com",
		"SMTP_URL", "smtps://u:p@mail.acme.example:465", "CONNECTLINK_EMAIL_PROVIDERS", "SMTP, sendgrid", "CONNECTLINK_SMS_PROVIDERS", "Twilio", "SENDGRID_PER_SECOND", "100", "TWILIO_PER_SECOND", "0.5", "SMTP_PER_SECOND", "7",
	), nil)
	if got := c.PublicURL.String(); got != "https://go.acme.example" {
		t.Errorf("public URL %q", got)
	}
	c.PublicURL = nil
	want := &config.Config{
		DatabaseURL: secret.New(database), DatabaseDirectURL: secret.New("host=db user=app dbname=x"), DatabaseReadURL: secret.New("host=two user=app dbname=x"), DatabaseReadStaleness: 5 * time.Second, DatabasePoolSize: 10, DatabaseWait: 5 * time.Minute, Listen: ":9000", MetricsListen: "127.0.0.1:9090", Keyset: secret.New("CANARY-keyset"), LogoHosts: []string{"assets.pipedream.net"},
		TrustedProxies: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("192.0.2.7/32"), netip.MustParsePrefix("::1/128")},
		LogLevel:       slog.LevelDebug, Role: "worker", AllowNoCallbacks: true,
		SettleTwilio: time.Second, NoReceiptEmail: 2 * time.Hour, NoReceiptSMS: 30 * time.Minute, KeepAlive: 620 * time.Second, DrainFor: 5 * time.Second, LeaseFor: 20 * time.Second, RenewEvery: 10 * time.Second,
		Console: config.Console{Passwords: config.PasswordsOff, OIDC: config.OIDC{
			Issuer: "https://id.acme.example", ClientID: "console", ClientSecret: secret.New("oidc"), Scopes: []string{"groups"}, RolesClaim: "groups", Roles: []string{"helpdesk:agent"},
		}},
		Projects: []config.Project{{
			ID:              "default",
			Brand:           config.Brand{Name: "Acme", Colour: "#1d4ed8", LogoURL: "https://acme.example/l.png", SupportEmail: "help@acme.example", LegalLine: "Acme Inc.", PrivacyURL: "https://acme.example/p", Region: "GB"},
			DefaultValidFor: 30 * 24 * time.Hour, Retention: 365 * 24 * time.Hour, DefaultVerify: "none", FreeText: "all", WatchConnections: "daily", OnUnhealthy: "invite", MaxReconnects: 2, Limits: defaultLimits(), Firewall: defaultFirewall(), Alerts: defaultAlerts(), DefaultReminders: 2, ReturnURLs: []string{"https://app.acme.example/x", "acme://"},
			AppleAppIDs: []string{"A1B2C3D4E5.example.acme.app", "ZZZZZZZZZZ.two"},
			AndroidApps: []string{
				"example.acme.app=" + strings.TrimSuffix(strings.Repeat("0A:", 32), ":"),
				"example.acme.app=" + strings.TrimSuffix(strings.Repeat("FF:", 32), ":"),
			},
			DevelopmentRecipients: []string{"pat@acme.example", "@acme.example", "+12025550123"}, OnUnknown: "resend", SMSConsentRequired: true,
			Webhook:   &config.Webhook{URL: "https://api.acme.example/h", Secret: secret.New(hook), Events: config.DefaultEvents()},
			Pipedream: config.Pipedream{APIURL: "http://127.0.0.1:7777/pipedream", ClientID: "cid", ClientSecret: secret.New("csec"), ProjectID: "proj_1", Environment: "production", LinkHosts: []string{"pipedream.com", "connect.acme.example"}, TokenScope: "connect:*"},
			SendGrid:  config.SendGrid{APIURL: "https://api.eu.sendgrid.com", APIKey: secret.New("SG.x"), From: "connect@acme.example", FromName: "Acme Mail", ReplyTo: "help@acme.example", WebhookPublicKeys: []string{key, key}, PerSecond: 100},
			Twilio:    config.Twilio{APIURL: "https://api.dublin.ie1.twilio.com", AccountSID: "AC1", AuthToken: secret.New("t1"), AuthTokenSecondary: secret.New("t2"), APIKey: "SK1", APISecret: secret.New("s"), MessagingServiceSID: "MG1", From: "+12025550123", OneWay: true, PerSecond: 0.5},
			SMTPURL:   secret.New("smtps://u:p@mail.acme.example:465"), SMTPPerSecond: 7, EmailProviders: []string{"smtp", "sendgrid"}, SMSProviders: []string{"twilio"}, Vonage: config.Vonage{APIURL: "https://api.nexmo.com"},
		}},
	}
	if diff := cmp.Diff(want, c, cmp.Comparer(func(x, y secret.Text) bool { return x.Reveal() == y.Reveal() }),
		cmp.Comparer(func(x, y netip.Prefix) bool { return x == y }), cmp.AllowUnexported(config.Config{}), cmp.FilterPath(func(p cmp.Path) bool { return p.String() == "notes" }, cmp.Ignore())); diff != "" {
		t.Error(diff)
	}
}

func TestSecretsFromFiles(t *testing.T) {
	t.Parallel()
	files := map[string]string{"/run/db": database + "\n", "/run/keys": " CANARY-keyset \r\n", "/run/twilio": "tok\n", "/run/empty": "\n"}
	c := mustLoad(t, map[string]string{
		"CONNECTLINK_DATABASE_URL_FILE": "/run/db", "CONNECTLINK_KEYSET_FILE": "/run/keys",
		"TWILIO_ACCOUNT_SID": "AC1", "TWILIO_AUTH_TOKEN_FILE": "/run/twilio", "TWILIO_FROM": "+12025550123",
	}, files)
	if c.DatabaseURL.Reveal() != database || c.Keyset.Reveal() != "CANARY-keyset" || c.Projects[0].Twilio.AuthToken.Reveal() != "tok" {
		t.Error("a secret's file was not read as it should be")
	}
	if c := mustLoad(t, map[string]string{"DATABASE_URL_FILE": "/run/db", "CONNECTLINK_KEYSET_FILE": "/run/keys"}, files); c.DatabaseURL.Reveal() != database {
		t.Error("DATABASE_URL_FILE was not read")
	}
	got := faultsOf(t, with("CONNECTLINK_KEYSET_FILE", "/run/keys", "TWILIO_ACCOUNT_SID", "AC1", "TWILIO_FROM", "x",
		"TWILIO_AUTH_TOKEN_FILE", "/run/gone", "SENDGRID_API_KEY_FILE", "/run/empty"), files)
	for name, want := range map[string]string{
		"CONNECTLINK_KEYSET": "so is CONNECTLINK_KEYSET_FILE", "TWILIO_AUTH_TOKEN_FILE": "no such file", "SENDGRID_API_KEY_FILE": "empty",
	} {
		if !strings.Contains(got[name], want) {
			t.Errorf("%s: %q, want %q", name, got[name], want)
		}
	}
}

func TestEmptyVariablesCountAsUnset(t *testing.T) {
	t.Parallel()
	env := minimal()
	for _, o := range config.Describe() {
		if _, ok := env[o.Env]; !ok {
			env[o.Env] = ""
			env[o.Env+"_FILE"] = ""
		}
	}
	if diff := same(mustLoad(t, minimal(), nil).Projects, mustLoad(t, env, nil).Projects); diff != "" {
		t.Error(diff)
	}
}

func TestAllFaultsAreReportedAtOnce(t *testing.T) {
	t.Parallel()
	bad := map[string]string{
		"CONNECTLINK_DATABASE_DIRECT_URL": "mysql://CANARY@x/y", "CONNECTLINK_DATABASE_READ_URL": "CANARY", "CONNECTLINK_DATABASE_READ_STALENESS": "2m", "CONNECTLINK_LISTEN": "CANARY", "CONNECTLINK_METRICS_LISTEN": "CANARY", "CONNECTLINK_SECURITY_CONTACT": "CANARY", "CONNECTLINK_PUBLIC_URL": "go.acme.example?CANARY",
		"CONNECTLINK_TRUSTED_PROXIES": "10.0.0.0/8,CANARY", "CONNECTLINK_LOG_LEVEL": "CANARY", "CONNECTLINK_ROLE": "CANARY", "CONNECTLINK_SANDBOX": "CANARY",
		"CONNECTLINK_SETTLE_TWILIO": "CANARY", "CONNECTLINK_LEASE_FOR": "1ms", "CONNECTLINK_BRAND_COLOUR": "CANARY", "CONNECTLINK_BRAND_LOGO_URL": "http://CANARY",
		"CONNECTLINK_BRAND_SUPPORT_EMAIL": "CANARY", "CONNECTLINK_BRAND_LEGAL_LINE": strings.Repeat("CANARY", 100), "CONNECTLINK_BRAND_PRIVACY_URL": "CANARY", "CONNECTLINK_BRAND_REGION": "CANARY",
		"CONNECTLINK_DEFAULT_VALID_FOR": "31d", "CONNECTLINK_RETENTION": "6d", "CONNECTLINK_DEFAULT_REMINDERS": "4", "CONNECTLINK_RETURN_URLS": "https://*.CANARY", "CONNECTLINK_APPLE_APP_IDS": "example.CANARY", "CONNECTLINK_ANDROID_APPS": "example.acme.app=14:CANARY", "CONNECTLINK_DEVELOPMENT_RECIPIENTS": "CANARY", "CONNECTLINK_ON_UNKNOWN": "CANARY",
		"CONNECTLINK_SMS_CONSENT_REQUIRED": "CANARY", "CONNECTLINK_WEBHOOK_URL": "http://CANARY", "CONNECTLINK_WEBHOOK_SECRET": "whsec_CANARY", "CONNECTLINK_BRAND_NAME": "CAN\nARY",
		"PIPEDREAM_PROJECT_ENVIRONMENT": "CANARY", "PIPEDREAM_API_URL": "CANARY", "PIPEDREAM_LINK_HOSTS": "https://CANARY/",
		"SENDGRID_FROM": "CANARY", "SENDGRID_REPLY_TO": "CANARY <a@b.c>", "SENDGRID_WEBHOOK_PUBLIC_KEYS": "CANARY", "SENDGRID_API_URL": "https://a:CANARY@b",
		"TWILIO_API_URL": "CANARY", "SMTP_URL": "https://CANARY", "SENDGRID_PER_SECOND": "NaN", "TWILIO_PER_SECOND": "-1", "SMTP_PER_SECOND": "CANARY", "CONNECTLINK_EMAIL_PROVIDERS": "smtp,smtp",
	}
	got := faultsOf(t, bad, nil)
	for name := range bad {
		if got[name] == "" {
			t.Errorf("%s: no fault", name)
		}
	}
	for _, name := range []string{"CONNECTLINK_DATABASE_URL", "CONNECTLINK_KEYSET"} {
		if !strings.Contains(got[name], "is needed") {
			t.Errorf("%s: %q, want: is needed", name, got[name])
		}
	}
	for name := range got {
		_, set := bad[name]
		if !set && name != "CONNECTLINK_DATABASE_URL" && name != "CONNECTLINK_KEYSET" {
			t.Errorf("%s: a fault of its own making: %s", name, got[name])
		}
	}
}

func TestWhatBelongsTogether(t *testing.T) {
	t.Parallel()
	hook := "whsec_" + base64.StdEncoding.EncodeToString(make([]byte, 24))
	for name, tc := range map[string]struct {
		env  map[string]string
		want []string
	}{
		"client id alone":            {with("PIPEDREAM_CLIENT_ID", "x"), []string{"PIPEDREAM_CLIENT_SECRET", "PIPEDREAM_PROJECT_ID"}},
		"client secret alone":        {with("PIPEDREAM_CLIENT_SECRET", "x"), []string{"PIPEDREAM_CLIENT_ID"}},
		"API key without a sender":   {with("SENDGRID_API_KEY", "SG.x"), []string{"SENDGRID_FROM"}},
		"account without the rest":   {with("TWILIO_ACCOUNT_SID", "AC1"), []string{"TWILIO_AUTH_TOKEN", "TWILIO_MESSAGING_SERVICE_SID"}},
		"Twilio key alone":           {with("TWILIO_API_KEY", "SK1"), []string{"TWILIO_ACCOUNT_SID", "TWILIO_API_SECRET"}},
		"Twilio sender alone":        {with("TWILIO_FROM", "+12025550123"), []string{"TWILIO_ACCOUNT_SID"}},
		"webhook URL alone":          {with("CONNECTLINK_WEBHOOK_URL", "https://a.example"), []string{"CONNECTLINK_WEBHOOK_SECRET"}},
		"webhook secret alone":       {with("CONNECTLINK_WEBHOOK_SECRET", hook), []string{"CONNECTLINK_WEBHOOK_URL"}},
		"renewal as long as lease":   {with("CONNECTLINK_LEASE_RENEW_EVERY", "8s"), []string{"CONNECTLINK_LEASE_RENEW_EVERY"}},
		"a database of another kind": {with("CONNECTLINK_DATABASE_URL", "CANARY"), []string{"CONNECTLINK_DATABASE_URL"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := faultsOf(t, tc.env, nil)
			for _, n := range tc.want {
				if got[n] == "" {
					t.Errorf("%s: no fault among %v", n, got)
				}
			}
			if len(got) != len(tc.want) {
				t.Errorf("faults %v, want %v", got, tc.want)
			}
		})
	}
}

func TestCommandsMayLackWhatTheyDoNotNeed(t *testing.T) {
	t.Parallel()
	env := map[string]string{"CONNECTLINK_DATABASE_URL": database}
	c, err := config.Load(config.Sources{
		Env:     func(n string) (string, bool) { v, ok := env[n]; return v, ok },
		MayLack: []string{"CONNECTLINK_KEYSET"},
	})
	if err != nil || !c.Keyset.IsZero() {
		t.Fatal(c, err)
	}
}

func TestPublicURL(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"https://go.acme.example": "https://go.acme.example", "http://localhost:8080/": "http://localhost:8080", "https://go.acme.example//": "https://go.acme.example",
		"go.acme.example": "", "//go.acme.example": "", "ftp://x.example": "", "https://": "", "https://:8080": "", "/c": "", "https://x.example/?": "", "https://x.example?a=b": "",
		"https://x.example/#": "", "https://x.example#f": "", "https://u:p@x.example": "", "mailto:a@b.c": "", "https://x.example:port": "",
		// F15: links, forms and cookies would leave the path.
		"https://acme.example/connect/": "", "https://acme.example/connect": "", "https://acme.example//connect//": "", "https://acme.example/%2F": "",
	} {
		c, err := load(with("CONNECTLINK_PUBLIC_URL", in), nil)
		switch {
		case want == "" && err == nil:
			t.Errorf("%s was accepted", in)
		case want != "" && err != nil:
			t.Errorf("%s: %v", in, err)
		case want != "" && c.PublicURL.String() != want:
			t.Errorf("%s became %s", in, c.PublicURL)
		}
	}
}

// TestF24ADatabaseURLOfKeywordsIsReadOrRefusedWithoutItsPassword: a password with
// a space and no quotes was printed from the space on.
func TestF24ADatabaseURLOfKeywordsIsReadOrRefusedWithoutItsPassword(t *testing.T) {
	t.Parallel()
	for in, ok := range map[string]bool{
		"host=db user=u dbname=cl":                      true,
		"host=db  user = u\tdbname=cl":                  true,
		"host=db password='CANARY two' dbname=cl":       true,
		`host=db password='CANARY\'s \\ two' dbname=cl`: true,
		`host=db password=CANARY\ two dbname=cl`:        true,
		"host=db password= dbname=cl":                   true,
		"host=db user=u password=CANARY ret9 dbname=c":  false,
		"host=db password='CANARY two dbname=cl":        false,
		"host=db password='CANARY'two dbname=cl":        false,
		"CANARY":                                        false,
		"=CANARY":                                       false,
		"pass word=CANARY":                              false,
		"user:CANARY@host/db":                           false,
	} {
		c, err := load(with("CONNECTLINK_DATABASE_URL", in), nil)
		if (err == nil) != ok {
			t.Errorf("%q: %v", in, err)
		}
		if err != nil && (strings.Contains(err.Error(), "CANARY") || strings.Contains(err.Error(), "ret9")) {
			t.Errorf("%q is told: %v", in, err)
		}
		if ok && c.DatabaseURL.Reveal() != in {
			t.Errorf("%q became another one", in)
		}
	}
}

func TestThePrimaryIsNoReplica(t *testing.T) {
	t.Parallel()
	got := faultsOf(t, with("CONNECTLINK_DATABASE_READ_URL", database), nil)
	if !strings.Contains(got["CONNECTLINK_DATABASE_READ_URL"], "name a standby") {
		t.Errorf("%q", got)
	}
}
