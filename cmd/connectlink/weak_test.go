package main_test

import (
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/connectlink/connectlink/internal/postgrestest"
)

const hookSecret = "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="

// TestF11WeakConfigurationIsSaid: `config check` warns of it, and doctor notes
// it without calling it wrong.
func TestF11WeakConfigurationIsSaid(t *testing.T) {
	t.Parallel()
	good := deployment(t, "")
	mode := func(m os.FileMode) string {
		t.Helper()
		name := filepath.Join(t.TempDir(), "keyset")
		if err := os.WriteFile(name, []byte(newKeyset(t)), m); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(name, m); err != nil {
			t.Fatal(err)
		}
		return name
	}
	inline := filepath.Join(t.TempDir(), "connectlink.yaml")
	if err := os.WriteFile(inline, []byte("keyset: "+newKeyset(t)+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(inline, 0o644); err != nil {
		t.Fatal(err)
	}
	hook := func(address string) vars {
		return vars{"CONNECTLINK_WEBHOOK_URL": address, "CONNECTLINK_WEBHOOK_SECRET": hookSecret}
	}
	for name, c := range map[string]struct {
		set  vars
		says string // empty: no warning of it
		not  string
	}{
		"a vendor by http":                    {vars{"SENDGRID_API_URL": "http://mail.acme.example"}, "SENDGRID_API_URL: is not https", ""},
		"another vendor by http":              {vars{"TWILIO_API_URL": "http://10.0.0.9:8080"}, "TWILIO_API_URL: is not https", ""},
		"a vendor by http on this machine":    {vars{"PIPEDREAM_API_URL": "http://127.0.0.1:9"}, "", "is not https"},
		"a keyset that all can read":          {vars{"CONNECTLINK_KEYSET": "", "CONNECTLINK_KEYSET_FILE": mode(0o644)}, "CONNECTLINK_KEYSET_FILE: the file can be read by every user of this machine (mode 0644)", ""},
		"a keyset of its owner":               {vars{"CONNECTLINK_KEYSET": "", "CONNECTLINK_KEYSET_FILE": mode(0o600)}, "", "can be read by"},
		"a keyset of a group":                 {vars{"CONNECTLINK_KEYSET": "", "CONNECTLINK_KEYSET_FILE": mode(0o440)}, "", "can be read by"},
		"a file that holds secrets":           {vars{"CONNECTLINK_CONFIG": inline, "CONNECTLINK_KEYSET": ""}, "the configuration file, which holds secrets: the file can be read", ""},
		"a database without TLS":              {vars{"CONNECTLINK_DATABASE_URL": "postgres://u:hidden-word@db.acme.example/x"}, "CONNECTLINK_DATABASE_URL: goes to db.acme.example without TLS", ""},
		"a direct database without TLS":       {vars{"CONNECTLINK_DATABASE_DIRECT_URL": "postgres://u:hidden-word@db.acme.example/x?sslmode=disable"}, "CONNECTLINK_DATABASE_DIRECT_URL: goes to", ""},
		"a database on this machine":          {nil, "", "without TLS"},
		"proxies that are not named":          {vars{"CONNECTLINK_PUBLIC_URL": "https://go.acme.example"}, "CONNECTLINK_TRUSTED_PROXIES: not set", ""},
		"events to this machine":              {hook("http://127.0.0.1:8135/hook"), "CONNECTLINK_WEBHOOK_URL: the address is not a public one", ""},
		"events to this machine by name":      {hook("http://localhost:8135/hook"), "CONNECTLINK_WEBHOOK_ALLOW_PRIVATE", ""},
		"events to a private address":         {hook("https://192.168.1.4/hook"), "is not a public one", ""},
		"events to a private address in IPv6": {hook("https://[fd00::4]/hook"), "is not a public one", ""},
		"events to a private address, allowed": {
			hook("https://192.168.1.4/hook").with(vars{"CONNECTLINK_WEBHOOK_ALLOW_PRIVATE": "true"}), "", "is not a public one",
		},
		"events to a public address": {hook("https://93.184.216.34/hook"), "", "is not a public one"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := runCommand(t, good.with(c.set), "config", "check")
			r.want(t, 0, c.says)
			r.hides(t, "hidden-word")
			if c.says != "" && strings.Count(r.stdout, c.says) != 1 {
				t.Errorf("said %d times", strings.Count(r.stdout, c.says))
			}
			if c.not != "" && strings.Contains(r.stdout, c.not) {
				t.Errorf("warned of: %s", r.stdout)
			}
		})
	}
	runCommand(t, good.with(vars{"CONNECTLINK_KEYSET": "", "CONNECTLINK_KEYSET_FILE": mode(0o644), "SENDGRID_API_URL": "http://mail.acme.example"}), "doctor").
		want(t, 0, "note  CONNECTLINK_KEYSET_FILE: the file can be read", "note  SENDGRID_API_URL: is not https")
}

// TestItem10DoctorNamesMissingRights: a role that may not look into the schema
// finds no tables there, which is not the same as pending migrations.
func TestItem10DoctorNamesMissingRights(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		database func(t testing.TB) string
		grant    string
		says     string
	}{
		"an empty database":           {postgrestest.NewEmpty, "", "permission denied for schema public"},
		"tables of another role":      {postgrestest.New, "", "permission denied for schema public"},
		"tables that are not granted": {postgrestest.New, "GRANT USAGE ON SCHEMA public TO ", "permission denied for table"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			v := deployment(t, c.database(t))
			admin, err := pgx.Connect(t.Context(), v["CONNECTLINK_DATABASE_URL"])
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = admin.Close(t.Context()) }()
			role := "doctor_" + admin.Config().Database
			statements := []string{"CREATE ROLE " + pgx.Identifier{role}.Sanitize() + " LOGIN", "REVOKE ALL ON SCHEMA public FROM PUBLIC"}
			if c.grant != "" {
				statements = append(statements, c.grant+pgx.Identifier{role}.Sanitize())
			}
			for _, sql := range statements {
				if _, err := admin.Exec(t.Context(), sql); err != nil {
					t.Fatal(err)
				}
			}
			u, err := url.Parse(v["CONNECTLINK_DATABASE_URL"])
			if err != nil {
				t.Fatal(err)
			}
			u.User = url.User(role)
			r := runCommand(t, v.with(vars{"CONNECTLINK_DATABASE_URL": u.String()}), "doctor")
			r.want(t, 1, "WRONG migrations: ", c.says, "GRANT")
			if strings.Contains(r.stdout, "are pending") {
				t.Errorf("it says that migrations are pending:\n%s", r.stdout)
			}
		})
	}
}
