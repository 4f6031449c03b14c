package structure_test

import (
	"go/ast"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/connectlink/connectlink/config"
)

func documents() []string {
	list := []string{"README.md", "CONTRIBUTING.md", "CHANGELOG.md"}
	pages, err := filepath.Glob(filepath.Join(root, "docs", "*.md"))
	if err != nil {
		panic(err) // the pattern is a constant
	}
	for _, page := range pages {
		list = append(list, "docs/"+filepath.Base(page))
	}
	return list
}

// fences are the blocks of code in a Markdown file whose info string is one of kinds.
func fences(t *testing.T, file string, kinds ...string) []string {
	t.Helper()
	var out []string
	for _, m := range regexp.MustCompile("(?ms)^ *```([^\n]*)\n(.*?)^ *```").FindAllStringSubmatch(read(t, file), -1) {
		if slices.Contains(kinds, m[1]) {
			out = append(out, m[2])
		}
	}
	return out
}

func TestDocumentsNameFilesThatExist(t *testing.T) {
	t.Parallel()
	link := regexp.MustCompile(`\]\(([^)#]+)`)
	path := regexp.MustCompile("`((?:internal/|config/|cmd/)?[a-z0-9_/]+/[a-z0-9_]+\\.(?:go|md|yml|yaml))`")
	for _, file := range documents() {
		text := read(t, file)
		for _, m := range link.FindAllStringSubmatch(text, -1) {
			if u, err := url.Parse(m[1]); err == nil && u.Scheme == "" {
				if _, err := os.Stat(filepath.Join(root, filepath.Dir(file), m[1])); err != nil {
					t.Errorf("%s links to %s: %v", file, m[1], err)
				}
			}
		}
		for _, m := range path.FindAllStringSubmatch(text, -1) {
			if _, err := os.Stat(filepath.Join(root, m[1])); err == nil {
				continue
			}
			if _, err := os.Stat(filepath.Join(root, "internal", m[1])); err != nil {
				t.Errorf("%s names %s, which is not there", file, m[1])
			}
		}
	}
}

// Variables in documents, the compose file, the image and the tour are ones that
// the program reads.
func TestDocumentsNameVariablesThatExist(t *testing.T) {
	t.Parallel()
	known := []string{
		"CONNECTLINK_STATE_DIR", "CONNECTLINK_TEST_DATABASE_URL", "CONNECTLINK_API_KEY", "CONNECTLINK_API_URL", "CONNECTLINK_PROFILE", "CONNECTLINK_DEV_POSTGRES", "CONNECTLINK_SCREENSHOTS",
		"CONNECTLINK_BENCH_ROWS", "CONNECTLINK_BENCH_PLANS", "CONNECTLINK_BENCH_DATABASE_URL", // the console's benchmark
		"CONNECTLINK_FUZZ_ROUNDS", "CONNECTLINK_TEST_LONG", "CONNECTLINK_TEST_BROWSER", "CONNECTLINK_TEST_WEBHOOK_LIBRARY", "CONNECTLINK_TEST_PREVIOUS", // tests in their long form, tests with a browser
		"CONNECTLINK_HOST", "CONNECTLINK_HEALTHCHECK_URL", "POSTGRES_PASSWORD_FILE", // Postgres' own image
	}
	for _, o := range config.Describe() {
		known = append(known, o.Env)
		if o.Secret {
			known = append(known, o.Env+"_FILE")
		}
	}
	variable := regexp.MustCompile(`\b(?:(?:CONNECTLINK|PIPEDREAM|SENDGRID|TWILIO|SMTP)_[A-Z_]*[A-Z]|[A-Z_]+_FILE)\b`)
	for _, file := range append(documents(), "docker-compose.yml", "Dockerfile", ".ci/run") {
		for _, name := range variable.FindAllString(read(t, file), -1) {
			if !slices.Contains(known, name) {
				t.Errorf("%s names %s, which nothing reads", file, name)
			}
		}
	}
}

// compose is as much of a compose file as is looked at here.
type compose struct {
	Services map[string]struct {
		Image       string
		Command     any
		Environment map[string]string
		Volumes     []string
		Secrets     []string
		Ports       []string
		DependsOn   map[string]struct{ Condition string } `yaml:"depends_on"`
		Healthcheck struct{ Test []string }
	}
	Volumes map[string]any
	Secrets map[string]struct{ File string }
}

func composed(t *testing.T, text string) compose {
	t.Helper()
	var c compose
	if err := yaml.Unmarshal([]byte(text), &c); err != nil {
		t.Fatal(err)
	}
	return c
}

// There is no engine in the tests; what can be wrong without one is looked for here.
func TestComposeFileHangsTogether(t *testing.T) {
	t.Parallel()
	text := read(t, "docker-compose.yml")
	c := composed(t, text)
	script, ok := c.Services["secrets"].Command.([]any)
	if !ok {
		t.Fatal("the service secrets runs no script")
	}
	making := script[len(script)-1].(string)
	for name, s := range c.Services {
		for other, d := range s.DependsOn {
			switch target, ok := c.Services[other]; {
			case !ok:
				t.Errorf("%s depends on %s, which is not there", name, other)
			case d.Condition == "service_healthy" && len(target.Healthcheck.Test) == 0:
				t.Errorf("%s waits for %s to be healthy, and that has no health check", name, other)
			}
		}
		for _, v := range s.Volumes {
			volume, _, _ := strings.Cut(v, ":")
			if _, ok := c.Volumes[volume]; !ok {
				t.Errorf("%s mounts %s, which is not declared", name, volume)
			}
		}
		for variable, value := range s.Environment {
			if !strings.HasSuffix(variable, "_FILE") {
				continue
			}
			// /run/secrets/<folder>/<file> is made as <folder>/<file>, from a volume that this service mounts.
			file := strings.TrimPrefix(value, "/run/secrets/")
			folder, _, _ := strings.Cut(file, "/")
			if !strings.Contains(making, "> "+file+".new") || !strings.Contains(making, "mv "+file+".new "+file+"\n") {
				t.Errorf("%s reads %s from %s, which the service secrets does not make", name, variable, value)
			}
			if !slices.Contains(s.Volumes, folder+"-secrets:/run/secrets/"+folder+":ro") {
				t.Errorf("%s reads %s from a folder that it does not mount", name, value)
			}
		}
		for _, p := range s.Ports {
			if !strings.HasPrefix(p, "127.0.0.1:") {
				t.Errorf("%s is open to the network: %s", name, p)
			}
		}
	}
	for _, name := range []string{"postgres", "migrate", "connectlink"} {
		if _, ok := c.Services[name]; !ok {
			t.Errorf("there is no service %s", name)
		}
	}
	if !strings.Contains(read(t, "Dockerfile"), " AS build\n") || !strings.Contains(text, "target: build") {
		t.Error("the secrets are made in the stage build, and the Dockerfile has none")
	}
	if user := regexp.MustCompile(`(?m)^USER (\d+:\d+)$`).FindStringSubmatch(read(t, "Dockerfile")); user == nil || !strings.Contains(making, "chown -R "+user[1]+" connectlink") {
		t.Errorf("the image runs as %v, and the secrets belong to somebody else", user)
	}
}

func TestComposeOverridesHangTogether(t *testing.T) {
	t.Parallel()
	blocks := fences(t, "docs/operations.md", "yaml")
	if len(blocks) == 0 {
		t.Fatal("docs/operations.md shows no override")
	}
	for _, block := range blocks {
		c := composed(t, block)
		for name, s := range c.Services {
			for variable, value := range s.Environment {
				file, ok := strings.CutPrefix(value, "/run/secrets/")
				if !ok {
					continue
				}
				if _, declared := c.Secrets[file]; !declared || !slices.Contains(s.Secrets, file) {
					t.Errorf("%s: %s comes from the secret %s, which is not declared or not given to it", name, variable, file)
				}
			}
		}
	}
}

// A list of tests that do not exist proves nothing.
func TestDocumentsNameTestsThatExist(t *testing.T) {
	t.Parallel()
	exists := map[string]bool{}
	for _, s := range sources(t) {
		for _, d := range s.syntax.Decls {
			if f, ok := d.(*ast.FuncDecl); ok && s.test {
				exists[f.Name.Name] = true
			}
		}
	}
	for document, least := range map[string]int{"CONTRIBUTING.md": 5, "docs/security.md": 50} {
		text, err := os.ReadFile(filepath.Join(root, document))
		if err != nil {
			t.Fatal(err)
		}
		named := regexp.MustCompile("`(Test[A-Za-z0-9]+)`").FindAllStringSubmatch(string(text), -1)
		if len(named) < least {
			t.Fatalf("%s names %d tests; this test looks in the wrong place", document, len(named))
		}
		for _, n := range named {
			if !exists[n[1]] {
				t.Errorf("%s names %s, which is no test", document, n[1])
			}
		}
	}
}

// The table of questions in docs/architecture.md leads to files that contain the
// named place.
func TestArchitectureAnswersQuestionsByOneFile(t *testing.T) {
	t.Parallel()
	row := regexp.MustCompile("(?m)^\\| [^|]*\\? \\| `([^`]+)` \\| `([^`]+)` \\|$")
	rows := row.FindAllStringSubmatch(read(t, "docs/architecture.md"), -1)
	if len(rows) < 5 {
		t.Fatalf("found %d questions", len(rows))
	}
	for _, r := range rows {
		if !strings.Contains(read(t, r[1]), r[2]) {
			t.Errorf("%s does not contain %s", r[1], r[2])
		}
	}
}
