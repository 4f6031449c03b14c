package config_test

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/connectlink/connectlink/config"
)

func TestSeveralProjectsFromTheFile(t *testing.T) {
	t.Parallel()
	c := mustLoad(t, with("SENDGRID_FROM", "env@acme.example", "CONNECTLINK_LISTEN", ":7000"), map[string]string{yamlFile: `
listen: 0.0.0.0:8080
role: api
lease:
projects:
  - id: other
    brand: {name: Other}
    sendgrid: {from: other@acme.example}
    default_valid_for: 0
    sms_consent_required: true
  - id: default
    sendgrid:
      from: file@acme.example
      api_key_file: /run/key
    twilio:
      auth_token:
`, "/run/key": "SG.1"})
	if c.Listen != ":7000" || c.Role != "api" {
		t.Errorf("the environment must win over the file, and the file over defaults:\n%s", c.Summary())
	}
	other, ok := c.Project("other")
	if !ok || other.SendGrid.From != "other@acme.example" || other.Brand.Name != "Other" || !other.SMSConsentRequired {
		t.Errorf("other: %+v", other)
	}
	def, ok := c.Project("default")
	if !ok || def.SendGrid.From != "env@acme.example" || def.SendGrid.APIKey.Reveal() != "SG.1" {
		t.Errorf("default: %+v", def)
	}
	if _, ok := c.Project("none"); ok || len(c.Projects) != 2 {
		t.Error("projects from nowhere")
	}
}

func TestEnvironmentAppliesToTheOnlyProject(t *testing.T) {
	t.Parallel()
	c := mustLoad(t, with("CONNECTLINK_BRAND_NAME", "Env"), map[string]string{yamlFile: "projects: [{id: acme}]"})
	if p, ok := c.Project("acme"); !ok || p.Brand.Name != "Env" {
		t.Errorf("%+v", p)
	}
	c = mustLoad(t, with("CONNECTLINK_BRAND_NAME", "Env"), map[string]string{yamlFile: "projects: [{id: a}, {id: b}]"})
	if a, _ := c.Project("a"); a.Brand.Name == "Env" {
		t.Error("the environment was applied to a project nobody named")
	}
	if w := strings.Join(c.Warnings(), "\n"); !strings.Contains(w, "CONNECTLINK_BRAND_NAME: not used") {
		t.Errorf("no warning about a variable that is not used:\n%s", w)
	}
}

func TestFileNamedByTheEnvironment(t *testing.T) {
	t.Parallel()
	env := with(config.FileVariable, "/etc/c.yaml")
	if c := mustLoad(t, env, map[string]string{"/etc/c.yaml": "role: api"}); c.Role != "api" {
		t.Error("the file was not read")
	}
	if got := faultsOf(t, env, nil); !strings.Contains(got["/etc/c.yaml"], "no such file") {
		t.Errorf("%v", got)
	}
}

func TestFaultsOfTheFile(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct{ yaml, fault, problem string }{
		"a misspelt key":            {"listn: x", "listn", "did you mean listen?"},
		"a misspelt key deep down":  {"projects: [{id: a, sendgrid: {api_kye: CANARY}}]", "projects[0].sendgrid.api_kye", "did you mean projects[0].sendgrid.api_key?"},
		"an American colour":        {"projects: [{id: a, brand: {color: \"#000000\"}}]", "projects[0].brand.color", "did you mean projects[0].brand.colour?"},
		"a key of nothing known":    {"quux: CANARY", "quux", "there is no such setting"},
		"a setting one level up":    {"projects: [{id: a, from: x}]", "projects[0].from", "there is no such setting"},
		"a section that is a value": {"database: CANARY", "database", "indented"},
		"a value that is a section": {"listen: {CANARY: 1}", "listen", "not settings below"},
		"a list for one value":      {"listen: [CANARY]", "listen", "not a list"},
		"a list of lists":           {"trusted_proxies: [[CANARY]]", "trusted_proxies", "entry 1"},
		"broken YAML":               {"listen: x\n  CANARY: [", yamlFile, "line"},
		"a key twice":               {"role: api\nrole: CANARY", yamlFile, "not valid YAML (line 2)"},
		"no mapping at all":         {"CANARY", yamlFile, "not valid YAML"},
		"projects that are none":    {"projects: CANARY", "projects", "want a list"},
		"no projects":               {"projects: []", "projects", "want a list"},
		"a project that is none":    {"projects: [CANARY]", "projects[0]", "want a project's settings"},
		"a project without an id":   {"projects: [{on_unknown: hold}]", "projects[0].id", "is needed"},
		"an id not fit for a path":  {"projects: [{id: CAN/ARY}]", "projects[0].id", "a-z"},
		"an id twice":               {"projects: [{id: a}, {id: a}]", "projects[1].id", "same id"},
		"a bad value":               {"projects: [{id: a}, {id: b, on_unknown: CANARY}]", "projects[1].on_unknown", "hold or resend"},
		"half an account":           {"projects: [{id: a, pipedream: {client_id: CANARY, project_id: x}}]", "projects[0].pipedream.client_secret", "needed together"},
		"a secret twice":            {"projects: [{id: a, smtp_url: \"smtp://CANARY\", smtp_url_file: CANARY}]", "projects[0].smtp_url", "smtp_url_file"},
		"a secret's file is gone":   {"keyset_file: gone", "keyset_file", "no such file"},
		"a secret's file is a list": {"keyset_file: [gone]", "keyset_file", "name of a file"},
		"a phone number unquoted":   {"projects: [{id: a, development_recipients: [+12025550123]}]", "projects[0].development_recipients", "quotes"},
		"a numeric secret unquoted": {"projects: [{id: a, twilio: {account_sid: AC, from: x, auth_token: 0123}}]", "projects[0].twilio.auth_token", "quotes"},
		"a date for a name":         {"projects: [{id: a, brand: {name: 2026-11-23}}]", "projects[0].brand.name", "quotes"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			env := minimal()
			if strings.HasPrefix(tc.fault, "keyset") {
				delete(env, "CONNECTLINK_KEYSET")
			}
			got := faultsOf(t, env, map[string]string{yamlFile: tc.yaml})
			if !strings.Contains(got[tc.fault], tc.problem) {
				t.Fatalf("faults %v; want %s: …%s…", got, tc.fault, tc.problem)
			}
		})
	}
}

func TestUnknownKeysAreAllListed(t *testing.T) {
	t.Parallel()
	got := faultsOf(t, minimal(), map[string]string{yamlFile: "a1: 1\nb2: 2\nlease: {c3: 3}\nprojects: [{id: a, d4: 4}, {id: b, e5: {f: 6}}]"})
	for _, name := range []string{"a1", "b2", "lease.c3", "projects[0].d4", "projects[1].e5"} {
		if got[name] == "" {
			t.Errorf("%s is not reported", name)
		}
	}
}

func TestMisspeltVariablesAreWarnedOf(t *testing.T) {
	t.Parallel()
	c := mustLoad(t, with("CONNECTLINK_PUBLC_URL", "x", "CONNECTLINK_QUUX", "x", "CONNECTLINK_STATE_DIR", "x", "HOME", "x", "CONNECTLINK_WEBHOOK_SECRET_FILE", ""), nil)
	w := strings.Join(c.Warnings(), "\n")
	for _, want := range []string{"CONNECTLINK_PUBLC_URL: there is no such variable; did you mean CONNECTLINK_PUBLIC_URL?", "CONNECTLINK_QUUX: there is no such variable"} {
		if !strings.Contains(w, want) {
			t.Errorf("missing %q in:\n%s", want, w)
		}
	}
	if strings.Contains(w, "STATE_DIR") || strings.Contains(w, "HOME") || strings.Contains(w, "SECRET_FILE") {
		t.Errorf("too many warnings:\n%s", w)
	}
}

// secretFiles answers every file the example mentions.
func exampleSources(t *testing.T) (map[string]string, map[string]string) {
	t.Helper()
	example, err := os.ReadFile("connectlink.example.yaml")
	if err != nil {
		t.Fatal(err)
	}
	return map[string]string{}, map[string]string{
		yamlFile:                               string(example),
		"/run/secrets/database_url":            database,
		"/run/secrets/keyset":                  "CANARY",
		"/run/secrets/webhook_secret":          "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
		"/run/secrets/pipedream_client_secret": "CANARY",
		"/run/secrets/sendgrid_api_key":        "SG.CANARY",
		"/run/secrets/twilio_auth_token":       "CANARY",
		"/run/secrets/twilio_api_secret":       "CANARY",
		"/run/secrets/oidc_client_secret":      "CANARY",
	}
}

func TestExampleFileIsValidCompleteAndWithoutWarning(t *testing.T) {
	t.Parallel()
	env, files := exampleSources(t)
	c := mustLoad(t, env, files)
	if len(c.Projects) != 2 || c.Projects[1].SendGrid.FromName != "Beta" {
		t.Errorf("%+v", c.Projects)
	}
	if faults := c.LiveReady(c.Projects[0]); len(faults) > 0 {
		t.Errorf("the example is not ready for live keys: %v", faults)
	}
	for _, w := range c.Warnings() {
		if strings.Contains(w, "projects[default]") || strings.HasPrefix(w, "CONNECTLINK_") && !strings.Contains(w, "beta") {
			t.Errorf("the example's first project is warned of: %s", w)
		}
	}
	for _, o := range config.Describe() {
		path := strings.Split(o.YAML, ".")
		leaf := path[len(path)-1]
		if !regexp.MustCompile(`(?m)^\s*(- |# )?` + regexp.QuoteMeta(leaf) + `(_file)?:`).MatchString(files[yamlFile]) {
			t.Errorf("the example does not show %s", o.YAML)
		}
	}
}

func TestExampleEnvironmentListsEveryVariable(t *testing.T) {
	t.Parallel()
	raw, err := os.ReadFile(".env.example")
	if err != nil {
		t.Fatal(err)
	}
	listed := map[string]string{}
	for _, m := range regexp.MustCompile(`(?m)^#?([A-Z][A-Z_]+)=(.*)$`).FindAllStringSubmatch(string(raw), -1) {
		if _, twice := listed[m[1]]; twice {
			t.Errorf("%s is listed twice", m[1])
		}
		listed[m[1]] = m[2]
	}
	for _, o := range config.Describe() {
		if o.Env == "" {
			continue
		}
		value, ok := listed[o.Env]
		if !ok || value != o.Default {
			t.Errorf("%s: listed %v as %q, want %q", o.Env, ok, value, o.Default)
		}
		if o.Required == strings.Contains(string(raw), "\n#"+o.Env+"=") {
			t.Errorf("%s: a variable is commented out unless it is needed", o.Env)
		}
		if !strings.Contains(string(raw), o.Help) {
			t.Errorf("%s: its description differs", o.Env)
		}
		delete(listed, o.Env)
	}
	for name := range listed {
		t.Errorf("%s is listed and is no setting", name)
	}
}

func FuzzLoadYAML(f *testing.F) {
	f.Add("listen: :8080\nprojects:\n  - id: a\n    twilio: {from: \"+1\"}\n")
	f.Add("projects: [{id: [a]}, 1, null, {1: 2}]")
	f.Add("? {a: b}\n: c\nlease: {for: {}}\n")
	f.Add("a: &a [*a]")
	f.Add("<<: {listen: x}")
	f.Fuzz(func(t *testing.T, doc string) {
		c, err := load(minimal(), map[string]string{yamlFile: doc})
		if (c == nil) == (err == nil) {
			t.Fatalf("Load = %v, %v", c, err)
		}
		if c != nil {
			_, _ = c.Summary(), c.Warnings()
			for _, p := range c.Projects {
				_ = c.LiveReady(p)
			}
		}
	})
}
