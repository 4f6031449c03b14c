package deploy

import (
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"
)

// unit reads a systemd unit: each setting with its values, in order.
func unit(t *testing.T, name string) (settings map[string][]string, text string) {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(root, "deploy/systemd", name))
	if err != nil {
		t.Fatal(err)
	}
	settings = map[string][]string{}
	for line := range strings.Lines(string(raw)) {
		if key, value, ok := strings.Cut(strings.TrimSpace(line), "="); ok && !strings.HasPrefix(line, "#") {
			settings[key] = append(settings[key], value)
		}
	}
	return settings, string(raw)
}

func units() []string { return []string{"connectlink.service", "connectlink-migrate.service"} }

func TestUnitsGiveSecretsAsCredentialsAndTimeToStop(t *testing.T) {
	t.Parallel()
	known := options(t)
	for _, name := range units() {
		s, _ := unit(t, name)
		credentials := map[string]bool{}
		for _, c := range s["LoadCredential"] {
			id, path, _ := strings.Cut(c, ":")
			credentials["%d/"+id] = strings.HasPrefix(path, "/etc/connectlink/secrets/")
		}
		for _, e := range s["Environment"] {
			variable, value, _ := strings.Cut(e, "=")
			plain, isFile := strings.CutSuffix(variable, "_FILE")
			switch {
			case !known[plain]:
				t.Errorf("%s: nothing reads %s", name, variable)
			case isFile && !credentials[value]:
				t.Errorf("%s: %s is %s, which is no credential", name, variable, value)
			case !isFile && isSecret(variable):
				t.Errorf("%s: %s is a secret", name, variable)
			}
		}
		for _, required := range []string{"database_url", "keyset"} {
			if !credentials["%d/"+required] {
				t.Errorf("%s has no credential %s", name, required)
			}
		}
	}
	s, _ := unit(t, "connectlink.service")
	var stop int
	if _, err := fmt.Sscan(strings.Join(s["TimeoutStopSec"], ""), &stop); err != nil || stop < 5+afterDrain {
		t.Errorf("TimeoutStopSec is %v, and a stop takes up to %d s", s["TimeoutStopSec"], 5+afterDrain)
	}
}

// TestUnitsAreValidAndHardened asks systemd: it knows its settings, and rates the
// exposure of a unit from 0 to 10, which its own scale calls OK up to 4.
func TestUnitsAreValidAndHardened(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("systemd-analyze"); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal("systemd-analyze is not installed (Debian's package systemd)")
		}
		t.Skip("systemd-analyze is not installed (Debian's package systemd): the units are not verified")
	}
	dir := t.TempDir()
	var files []string
	for _, name := range units() {
		_, text := unit(t, name)
		file := filepath.Join(dir, name)
		// The program is not installed where tests run.
		text = strings.ReplaceAll(text, "ExecStart=/usr/local/bin/connectlink", "ExecStart=/bin/true")
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		files = append(files, file)
	}
	out, err := exec.CommandContext(t.Context(), "systemd-analyze", append([]string{"verify", "--man=no"}, files...)...).CombinedOutput()
	if err != nil || strings.Contains(string(out), dir) {
		t.Errorf("systemd-analyze verify: %v\n%s", err, out)
	}
	for _, file := range files {
		out, err := exec.CommandContext(t.Context(), "systemd-analyze", "security", "--no-pager", "--offline=true", "--threshold=20", file).CombinedOutput()
		if err != nil {
			t.Errorf("systemd-analyze security %s: %v\n%s", filepath.Base(file), err, out)
		}
	}
}

// composeFile is as much of a compose file as is looked at here.
type composeFile struct {
	Services map[string]struct {
		Environment map[string]string
		Volumes     []string
		Ports       []string
		ReadOnly    bool `json:"read_only"`
		Configs     []struct{ Source, Target string }
		DependsOn   map[string]struct{ Condition string } `json:"depends_on"`
		Networks    map[string]struct {
			Address string `json:"ipv4_address"`
		}
	}
	Configs  map[string]struct{ Content string }
	Volumes  map[string]any
	Networks map[string]struct {
		IPAM struct{ Config []struct{ Subnet string } }
	}
}

func TestComposeWithTLSHangsTogether(t *testing.T) {
	t.Parallel()
	var plain, tls composeFile
	for file, into := range map[string]*composeFile{"docker-compose.yml": &plain, "deploy/compose.tls.yml": &tls} {
		text, err := os.ReadFile(filepath.Join(root, file))
		if err != nil {
			t.Fatal(err)
		}
		if err := yaml.Unmarshal(text, into); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
	}
	service, proxy := tls.Services["connectlink"], tls.Services["caddy"]
	if _, ok := plain.Services["connectlink"]; !ok || len(tls.Services) != 2 || len(service.Ports) > 0 || !proxy.ReadOnly {
		t.Errorf("the services are %+v", tls.Services)
	}
	for variable := range service.Environment {
		if known := options(t); !known[variable] {
			t.Errorf("nothing reads %s", variable)
		}
	}
	if !strings.HasPrefix(service.Environment["CONNECTLINK_PUBLIC_URL"], "https://${CONNECTLINK_HOST:?") {
		t.Errorf("the public URL is %s", service.Environment["CONNECTLINK_PUBLIC_URL"])
	}
	address, err := netip.ParseAddr(proxy.Networks["edge"].Address)
	if err != nil {
		t.Fatal(err)
	}
	subnet, err := netip.ParsePrefix(tls.Networks["edge"].IPAM.Config[0].Subnet)
	if err != nil || !subnet.Contains(address) {
		t.Errorf("Caddy's address %s is not in %s: %v", address, subnet, err)
	}
	if got := service.Environment["CONNECTLINK_TRUSTED_PROXIES"]; got != address.String() {
		t.Errorf("the trusted proxy is %s, and Caddy's address %s", got, address)
	}
	for _, volume := range proxy.Volumes {
		name, _, _ := strings.Cut(volume, ":")
		if _, ok := tls.Volumes[name]; !ok {
			t.Errorf("the volume %s is not declared", name)
		}
	}
	text := tls.Configs["caddyfile"].Content
	if !slices.ContainsFunc(proxy.Configs, func(c struct{ Source, Target string }) bool {
		return c.Source == "caddyfile" && c.Target == "/etc/caddy/Caddyfile"
	}) || strings.Count(text, "{") != strings.Count(text, "}") {
		t.Errorf("Caddy's configuration is %s", text)
	}
	for _, want := range []string{"reverse_proxy connectlink:8080", "health_uri /readyz", "flush_interval -1"} {
		if !strings.Contains(text, want) {
			t.Errorf("Caddy's configuration lacks %q", want)
		}
	}
}

// Actions are named by a version, and run with no more rights than they need; .ci/run is
// what a change must pass.
func TestWorkflowsHaveFewRights(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob(root + "/.github/workflows/*.yml")
	if err != nil || len(files) < 3 {
		t.Fatalf("%d workflows, %v", len(files), err)
	}
	version := regexp.MustCompile(`@(v\d+(\.\d+)*|[0-9a-f]{40})$`)
	runs := false
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var w struct {
			Permissions map[string]string
			Jobs        map[string]struct {
				Timeout int `json:"timeout-minutes"`
				Steps   []struct{ Uses, Run string }
			}
		}
		if err := yaml.Unmarshal(text, &w); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		if len(w.Permissions) != 1 || w.Permissions["contents"] != "read" {
			t.Errorf("%s: the rights are %v", file, w.Permissions)
		}
		for name, job := range w.Jobs {
			if job.Timeout == 0 {
				t.Errorf("%s: %s may run for hours", file, name)
			}
			for _, step := range job.Steps {
				if step.Uses != "" && !version.MatchString(step.Uses) {
					t.Errorf("%s: %s has no version", file, step.Uses)
				}
				runs = runs || step.Run == ".ci/run"
			}
		}
	}
	if !runs {
		t.Error("no workflow runs .ci/run")
	}
}

// goreleaser is as much of its configuration as is looked at here; the workflow ci has
// goreleaser check all of it.
type goreleaser struct {
	Version int
	Builds  []struct {
		Env, Goos, Goarch, Flags []string
		Timestamp                string `json:"mod_timestamp"`
	}
	SBOMs []struct {
		Artifacts, Cmd string
		Args           []string
	}
	Checksum struct{ Algorithm string }
}

func TestReleasesAreReproducibleAndHaveABillOfMaterials(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(root + "/.goreleaser.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var g goreleaser
	if err := yaml.Unmarshal(text, &g); err != nil {
		t.Fatal(err)
	}
	if g.Version != 2 || len(g.Builds) != 1 || len(g.SBOMs) != 1 || g.Checksum.Algorithm != "sha256" {
		t.Fatalf("the configuration is %+v", g)
	}
	b := g.Builds[0]
	if !slices.Equal(b.Goos, []string{"linux", "darwin"}) || !slices.Equal(b.Goarch, []string{"amd64", "arm64"}) {
		t.Errorf("built for %v, %v", b.Goos, b.Goarch)
	}
	if !slices.Contains(b.Flags, "-trimpath") || !slices.Contains(b.Env, "CGO_ENABLED=0") || b.Timestamp != "{{ .CommitTimestamp }}" {
		t.Errorf("two builds may differ: %+v", b)
	}
	if s := g.SBOMs[0]; s.Artifacts != "binary" || s.Cmd != "cyclonedx-gomod" || !slices.Contains(s.Args, "$artifact") || !slices.Contains(s.Args, "$document") {
		t.Errorf("the bill of materials is made by %+v", s)
	}
	version := regexp.MustCompile(`goreleaser-action@.*\n\s+with:\n\s+version: (\S+)`)
	var versions []string
	for _, file := range []string{"ci.yml", "release.yml"} {
		text, err := os.ReadFile(root + "/.github/workflows/" + file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range version.FindAllSubmatch(text, -1) {
			versions = append(versions, string(m[1]))
		}
	}
	if len(versions) != 2 || versions[0] != versions[1] {
		t.Errorf("checked and released by the versions %v of goreleaser", versions)
	}
}
