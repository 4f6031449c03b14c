package main_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"

	"github.com/connectlink/connectlink/internal/postgres"
	"github.com/connectlink/connectlink/internal/postgrestest"
	"github.com/connectlink/connectlink/internal/sandbox"
	"github.com/connectlink/connectlink/internal/seal"
	"github.com/connectlink/connectlink/internal/secret"
)

// TestDoctor asks stand-ins that speak the vendors' wire contracts and know
// their own credentials.
func TestDoctor(t *testing.T) {
	t.Parallel()
	v := deployment(t, "")
	keyset, err := seal.ParseKeyset(secret.New(v["CONNECTLINK_KEYSET"]))
	if err != nil {
		t.Fatal(err)
	}
	box, err := seal.NewBox(keyset)
	if err != nil {
		t.Fatal(err)
	}
	pool, err := postgres.Open(t.Context(), postgres.Params{URL: v["CONNECTLINK_DATABASE_URL"]})
	if err != nil {
		t.Fatal(err)
	}
	var vendors *sandbox.Sandbox
	t.Cleanup(func() { // after the subtests
		defer pool.Close()
		sent, err := vendors.Messages(context.WithoutCancel(t.Context()), sandbox.MessageFilter{})
		if err != nil || len(sent) > 0 {
			t.Errorf("the doctor sent %d messages (%v)", len(sent), err)
		}
	})
	vendors, err = sandbox.New(t.Context(), sandbox.Params{DB: pool, Box: box, PublicURL: "http://127.0.0.1:1/sandbox"})
	if err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewServer(vendors.Vendors())
	t.Cleanup(srv.Close)
	public := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/livez" {
			w.WriteHeader(http.StatusNotFound)
		}
	}))
	t.Cleanup(public.Close)
	elsewhere := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(elsewhere.Close)
	c := vendors.Credentials()
	v = v.with(vars{
		"CONNECTLINK_PUBLIC_URL": public.URL,
		"PIPEDREAM_API_URL":      srv.URL + "/pipedream", "PIPEDREAM_CLIENT_ID": c.PipedreamClientID,
		"PIPEDREAM_CLIENT_SECRET": c.PipedreamClientSecret.Reveal(), "PIPEDREAM_PROJECT_ID": c.PipedreamProjectID,
		"SENDGRID_API_URL": srv.URL + "/sendgrid", "SENDGRID_API_KEY": c.SendGridAPIKey.Reveal(), "SENDGRID_FROM": "connect@acme.example",
		"SENDGRID_WEBHOOK_PUBLIC_KEYS": c.SendGridWebhookPublicKey,
		"TWILIO_API_URL":               srv.URL + "/twilio", "TWILIO_ACCOUNT_SID": c.TwilioAccountSID, "TWILIO_AUTH_TOKEN": c.TwilioAuthToken.Reveal(),
		"TWILIO_API_KEY": c.TwilioAPIKey, "TWILIO_API_SECRET": c.TwilioAPISecret.Reveal(), "TWILIO_MESSAGING_SERVICE_SID": c.TwilioMessagingServiceSID,
	})
	secrets := []string{
		c.PipedreamClientSecret.Reveal(), c.SendGridAPIKey.Reveal(), c.TwilioAuthToken.Reveal(), c.TwilioAPISecret.Reveal(), v["CONNECTLINK_KEYSET"], "hidden-word",
	}

	well := runCommand(t, v, "doctor")
	well.want(t, 0,
		"ok    configuration", "ok    database", "ok    migrations", "ok    direct database connection", "ok    public URL",
		"ok    project default: ready for live keys", "ok    project default: Pipedream's token endpoint", "ok    project default: SendGrid (a send in sandbox mode)",
		"ok    project default: Twilio (reading the account)",
		"ok    project default: Twilio's Messaging Service and its senders",
		"note  project default: STOP replies are heard once Twilio posts incoming messages", public.URL+"/hooks/twilio/inbound/default/live")
	if strings.Contains(well.stdout, "WRONG") {
		t.Error("something is wrong, and the exit code is 0")
	}
	well.hides(t, secrets...)

	// A missing optional setting is a note, printed once, with exit code 0.
	deaf := runCommand(t, v.with(vars{"SENDGRID_WEBHOOK_PUBLIC_KEYS": ""}), "doctor")
	deaf.want(t, 0, "note  SENDGRID_WEBHOOK_PUBLIC_KEYS: not set")
	if n := strings.Count(deaf.stdout, "receipts"); n != 1 || strings.Contains(deaf.stdout, "WRONG") {
		t.Errorf("missing receipts are said %d times:\n%s", n, deaf.stdout)
	}

	ill := regexp.MustCompile(`(?m)^WRONG (.*?):`)
	for name, c := range map[string]struct {
		set   vars
		wrong []string // in this order
		says  []string
	}{
		"credentials of somebody else": {
			vars{"PIPEDREAM_CLIENT_SECRET": "hidden-word", "SENDGRID_API_KEY": "SG.hidden-word", "TWILIO_API_SECRET": "hidden-word"},
			[]string{"project default", "project default", "project default"}, // the Messaging Service may not be read: a note
			[]string{"note  project default: Twilio's Messaging Service", "PIPEDREAM_CLIENT_ID and PIPEDREAM_CLIENT_SECRET must be", "The API key needs Mail Send", "TWILIO_ACCOUNT_SID must fit"},
		},
		"events to a private address": {
			vars{"CONNECTLINK_WEBHOOK_URL": "https://10.0.0.5/hook", "CONNECTLINK_WEBHOOK_SECRET": hookSecret}, []string{"project default"},
			[]string{"webhook URL: CONNECTLINK_WEBHOOK_URL: the address is not a public one", "CONNECTLINK_WEBHOOK_ALLOW_PRIVATE"},
		},
		"vendors away": {
			vars{"PIPEDREAM_API_URL": "http://127.0.0.1:1", "TWILIO_API_URL": "http://127.0.0.1:1", "SENDGRID_API_URL": "http://127.0.0.1:1"},
			[]string{"project default", "project default", "project default", "project default"},
			[]string{"Pipedream's token endpoint", "the connection was refused", "(connection_refused)", "neither key nor account was tried"},
		},
		"a Messaging Service of another account": {
			vars{"TWILIO_MESSAGING_SERVICE_SID": "MG" + strings.Repeat("0", 32)}, []string{"project default"}, []string{"no Messaging Service with this SID"},
		},
		"another public URL": {vars{"CONNECTLINK_PUBLIC_URL": elsewhere.URL}, []string{"public URL"}, []string{"it answers 404", "must lead to this service"}},
		"nobody can call back": {
			vars{"PIPEDREAM_API_URL": "https://127.0.0.1.invalid", "CONNECTLINK_PUBLIC_URL": public.URL},
			[]string{"project default", "project default"}, []string{"ready for live keys: CONNECTLINK_PUBLIC_URL", "refuses to start"},
		},
		"no database": {
			vars{"CONNECTLINK_DATABASE_URL": "postgres://me:hidden-word@127.0.0.1:1/none"},
			[]string{"database", "migrations", "direct database connection"}, []string{"Is the server up", "CONNECTLINK_DATABASE_DIRECT_URL"},
		},
		"a primary for lists": {
			vars{"CONNECTLINK_DATABASE_READ_URL": postgrestest.NewEmpty(t)}, []string{"replica for lists"}, []string{"names a primary, not a standby", "Lists and searches come from the primary"},
		},
		"a replica that is away": {
			vars{"CONNECTLINK_DATABASE_READ_URL": "postgres://me:hidden-word@127.0.0.1:1/none"}, []string{"replica for lists"}, []string{"database unavailable"},
		},
		"pending migrations":     {vars{"CONNECTLINK_DATABASE_URL": postgrestest.NewEmpty(t)}, []string{"migrations"}, []string{"are pending", "Run `connectlink migrate`"}},
		"a faulty configuration": {vars{"CONNECTLINK_KEYSET": "hidden-word"}, []string{"configuration"}, []string{"CONNECTLINK_KEYSET"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := runCommand(t, v.with(c.set), "doctor")
			r.want(t, 1, c.says...)
			r.hides(t, secrets...)
			var wrong []string
			for _, m := range ill.FindAllStringSubmatch(r.stdout, -1) {
				wrong = append(wrong, m[1])
			}
			if strings.Join(wrong, ", ") != strings.Join(c.wrong, ", ") {
				t.Errorf("wrong: %q, want %q\n%s", wrong, c.wrong, r.stdout)
			}
		})
	}
	// Nothing live is configured: that is a note, no fault.
	bare := deployment(t, "")
	runCommand(t, bare, "doctor").want(t, 0, "note  project default cannot serve live keys", "note  CONNECTLINK_PUBLIC_URL: not set")
}
