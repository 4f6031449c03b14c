package app_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/connectlink/connectlink/internal/servertest"
)

const (
	alertRules = "../../deploy/prometheus/alerts.yml"
	runbooks   = "../../docs/runbooks/"
)

// rule is one alert of the rules.
type rule struct {
	Alert       string            `yaml:"alert"`
	Expr        string            `yaml:"expr"`
	Labels      map[string]string `yaml:"labels"`
	Annotations map[string]string `yaml:"annotations"`
}

func readRules(t *testing.T) []rule {
	t.Helper()
	raw, err := os.ReadFile(alertRules)
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Groups []struct {
			Rules []rule `yaml:"rules"`
		} `yaml:"groups"`
	}
	if err := yaml.Unmarshal(raw, &file); err != nil {
		t.Fatal(err)
	}
	var out []rule
	for _, g := range file.Groups {
		out = append(out, g.Rules...)
	}
	return out
}

// TestAlertsNameMetricsThatExist: in the rules, the dashboards and the guides, with
// labels that the program's metrics have.
func TestAlertsNameMetricsThatExist(t *testing.T) {
	t.Parallel()
	labels := start(t, boot{}).app.MetricLabels()
	check := func(where, expr string) {
		for _, f := range unknownMetrics(labels, expr) {
			t.Errorf("%s: %s", where, f)
		}
	}
	rules := readRules(t)
	for _, r := range rules {
		check(r.Alert, r.Expr)
	}
	boards, _ := filepath.Glob("../../deploy/grafana/*.json")
	for _, name := range boards {
		var board struct {
			Panels []struct {
				Title   string
				Targets []struct{ Expr string }
			}
		}
		raw, err := os.ReadFile(name)
		if err != nil || json.Unmarshal(raw, &board) != nil || len(board.Panels) == 0 {
			t.Fatalf("%s is no dashboard: %v", name, err)
		}
		for _, p := range board.Panels {
			for _, target := range p.Targets {
				check(name+": "+p.Title, target.Expr)
			}
		}
	}
	pages, _ := filepath.Glob(runbooks + "*.md")
	for _, name := range append(pages, "../../docs/operations.md") {
		raw, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		check(name, string(raw))
	}
	if len(rules) < 10 || len(boards) < 2 || len(pages) < 10 {
		t.Errorf("%d rules, %d dashboards, %d runbooks", len(rules), len(boards), len(pages))
	}
	for _, wrong := range []string{"connectlink_dispatch_oldest_due", `connectlink_dispatch_due{project="x"}`, "sum by (app) (connectlink_invite_events_total)", "connectlink_dispatch_due_bucket"} {
		if len(unknownMetrics(labels, wrong)) == 0 {
			t.Errorf("%s is taken for a metric", wrong)
		}
	}
}

// TestEveryMetricIsDocumented in the table of docs/operations.md.
func TestEveryMetricIsDocumented(t *testing.T) {
	t.Parallel()
	raw, err := os.ReadFile("../../docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	for name := range start(t, boot{}).app.MetricLabels() {
		if strings.HasPrefix(name, "connectlink_") && !strings.Contains(string(raw), "`"+name+"`") {
			t.Errorf("docs/operations.md lacks %s", name)
		}
	}
}

// unknownMetrics returns a fault for each metric or label of a text that does not exist.
func unknownMetrics(labels map[string][]string, text string) []string {
	metric := regexp.MustCompile(`connectlink_[a-z_]+[a-z](\{[^}]*\})?`)
	label := regexp.MustCompile(`([a-z_]+) *(=~|!~|!=|=)`)
	grouped := regexp.MustCompile(`by \(([a-z_, ]+)\)`)
	var faults []string
	had := map[string]bool{"le": true}
	for _, m := range metric.FindAllString(text, -1) {
		name, matchers, _ := strings.Cut(m, "{")
		if strings.HasPrefix(name, "connectlink_program") { // a role of the database
			continue
		}
		known, ok := labels[name]
		for _, suffix := range []string{"_bucket", "_sum", "_count"} {
			if base, cut := strings.CutSuffix(name, suffix); cut && !ok && slices.Contains(labels[base], "le") {
				known, ok = labels[base], true
			}
		}
		if !ok {
			faults = append(faults, "no metric "+name)
			continue
		}
		for _, l := range known {
			had[l] = true
		}
		for _, l := range label.FindAllStringSubmatch(matchers, -1) {
			if !slices.Contains(known, l[1]) {
				faults = append(faults, name+" has no label "+l[1])
			}
		}
	}
	for _, g := range grouped.FindAllStringSubmatch(text, -1) {
		for _, l := range strings.Split(g[1], ",") {
			if !had[strings.TrimSpace(l)] {
				faults = append(faults, "no label "+l)
			}
		}
	}
	return faults
}

// TestEveryAlertHasARunbook, and every runbook an alert.
func TestEveryAlertHasARunbook(t *testing.T) {
	t.Parallel()
	const at = "https://github.com/connectlink/connectlink/blob/main/docs/runbooks/"
	linked := map[string]bool{}
	for _, r := range readRules(t) {
		name, ok := strings.CutPrefix(r.Annotations["runbook_url"], at)
		linked[name] = true
		page, err := os.ReadFile(runbooks + name)
		if !ok || err != nil {
			t.Errorf("%s: its runbook is %q: %v", r.Alert, r.Annotations["runbook_url"], err)
			continue
		}
		for _, want := range []string{"`" + r.Alert + "`", "severity " + r.Labels["severity"], "## What it means", "## Confirm", "## What to do", "## What users see"} {
			if !strings.Contains(string(page), want) {
				t.Errorf("%s lacks %q", name, want)
			}
		}
		if s := r.Labels["severity"]; s != "page" && s != "ticket" {
			t.Errorf("%s has severity %q", r.Alert, s)
		}
	}
	pages, _ := filepath.Glob(runbooks + "*.md")
	for _, p := range pages {
		if !linked[filepath.Base(p)] {
			t.Errorf("%s belongs to no alert", p)
		}
	}
}

// series is one series of a simulation, in promtool's notation.
type series struct {
	Series string `yaml:"series"`
	Values string `yaml:"values"`
}

// faults are simulations in which each alert fires, and the labels it fires with.
func faults() map[string]struct {
	input  []series
	labels map[string]string
} {
	type fault = struct {
		input  []series
		labels map[string]string
	}
	one := func(name, values string) []series { return []series{{name, values}} }
	return map[string]fault{
		"ConnectLinkDeliveriesOverdue": {append(one(`connectlink_dispatch_oldest_due_seconds{instance="a"}`, "0+60x60"), one(`connectlink_dispatch_oldest_due_seconds{instance="b"}`, "0x60")...), nil},
		"ConnectLinkWorkersMissing":    {one(`connectlink_http_requests_total{status="200"}`, "0+60x60"), nil},
		"ConnectLinkRequestsFailing":   {append(one(`connectlink_http_requests_total{status="200"}`, "0+90x60"), one(`connectlink_http_requests_total{status="503"}`, "0+10x60")...), nil},
		"ConnectLinkProviderFailing":   {one(`connectlink_dispatch_breaker_open{account="twilio:default"}`, "1x60"), map[string]string{"account": "twilio:default"}},
		"ConnectLinkJobsOverdue":       {one(`connectlink_jobs_oldest_due_seconds{queue="periodic"}`, "0+60x60"), map[string]string{"queue": "periodic"}},
		"ConnectLinkKeysMissing":       {one(`connectlink_missing_key_rows{column="invites.content"}`, "3x60"), map[string]string{"column": "invites.content"}},
		"ConnectLinkSendingPaused":     {one(`connectlink_firewall_pauses_total{scope="sms_country"}`, "0x25 1x35"), map[string]string{"scope": "sms_country"}},
		"ConnectLinkMessageParked":     {one(`connectlink_dispatch_parked_total`, "0x10 1x50"), nil},
		"ConnectLinkDeliveriesFailing": {append(one(`connectlink_delivery_failures_total{channel="sms",reason="carrier_filtered",livemode="true"}`, "0+30x60"),
			one(`connectlink_invite_events_total{event="invite.sent",channel="sms",livemode="true"}`, "0+100x60")...), map[string]string{"channel": "sms"}},
		"ConnectLinkAnswersLost": {append(one(`connectlink_dispatch_attempts_total{provider="smtp",outcome="unknown"}`, "0+10x60"),
			one(`connectlink_dispatch_attempts_total{provider="smtp",outcome="accepted"}`, "0+100x60")...), map[string]string{"provider": "smtp"}},
		"ConnectLinkWebhooksOverdue":  {one(`connectlink_webhook_oldest_due_seconds`, "0+60x60"), nil},
		"ConnectLinkDatabasePool":     {one(`connectlink_database_pool_abandoned_total{pool="api"}`, "0+60x60"), map[string]string{"pool": "api"}},
		"ConnectLinkLeasesLost":       {append(one(`connectlink_dispatch_leases_lost_total{instance="a"}`, "0+1x60"), one(`connectlink_dispatch_leases_lost_total{instance="b"}`, "0+1x60")...), nil},
		"ConnectLinkReplicaUnused":    {append(one(`connectlink_database_replica_used{instance="a"}`, "1x60"), one(`connectlink_database_replica_used{instance="b"}`, "0x60")...), nil},
		"ConnectLinkCallbacksRefused": {one(`connectlink_http_requests_total{route="/hooks/:provider/:project/:mode",status="403",code="callback_forged"}`, "0+60x60"), map[string]string{"route": "/hooks/:provider/:project/:mode"}},
	}
}

// healthyCalls are what a healthy process is asked in its simulation.
const healthyCalls = 3

// TestAlertsFireOnFaultsAndStaySilentOtherwise: with promtool, over series of a minute
// a sample. The healthy process and the failing mints are scraped from the program.
func TestAlertsFireOnFaultsAndStaySilentOtherwise(t *testing.T) {
	t.Parallel()
	promtool := servertest.Need(t, "promtool", "prometheus")
	p := start(t, boot{})
	before := p.scrape()
	for i := range healthyCalls {
		made := p.invite(http.StatusCreated, with(to("delivered@connectlink.test"), "external_user_id", "user "+strconv.Itoa(i)))
		p.until(made.text("id"), "delivered", func(inv object) bool { return inv.text("delivery.status") == "delivered" })
	}
	healthy := p.scrape()
	for range healthyCalls {
		p.call(http.MethodPost, "/v1/invites", to("mintfail@connectlink.test"))
	}
	refusing := p.scrape()

	type expected struct {
		Labels      map[string]string `yaml:"exp_labels"`
		Annotations map[string]string `yaml:"exp_annotations"`
	}
	type check struct {
		At     string     `yaml:"eval_time"`
		Name   string     `yaml:"alertname"`
		Alerts []expected `yaml:"exp_alerts"`
	}
	type test struct {
		Name     string   `yaml:"name"`
		Interval string   `yaml:"interval"`
		Input    []series `yaml:"input_series"`
		Checks   []check  `yaml:"alert_rule_test"`
	}
	calm := test{Name: "healthy", Interval: "1m", Input: growth(before, healthy)}
	var tests []test
	simulated := faults()
	simulated["ConnectLinkMintFailing"] = struct {
		input  []series
		labels map[string]string
	}{growth(healthy, refusing), nil}
	for _, r := range readRules(t) {
		f, ok := simulated[r.Alert]
		if !ok {
			t.Errorf("%s is not simulated", r.Alert)
			continue
		}
		labels := map[string]string{"severity": r.Labels["severity"]}
		maps.Copy(labels, f.labels)
		tests = append(tests, test{Name: r.Alert, Interval: "1m", Input: f.input, Checks: []check{{"30m", r.Alert, []expected{{labels, r.Annotations}}}}})
		for _, at := range []string{"10m", "30m", "55m"} {
			calm.Checks = append(calm.Checks, check{At: at, Name: r.Alert})
		}
	}
	rules, err := filepath.Abs(alertRules)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := yaml.Marshal(map[string]any{"rule_files": []string{rules}, "evaluation_interval": "1m", "tests": append(tests, calm)})
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "simulations.yml")
	if err := os.WriteFile(file, raw, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"check", "rules", rules}, {"test", "rules", file}} {
		if out, err := exec.CommandContext(t.Context(), promtool, args...).CombinedOutput(); err != nil {
			t.Errorf("promtool %s: %v\n%s", args[0], err, out)
		}
	}
}

// scrape reads the program's series, by name with labels.
func (p *product) scrape() map[string]float64 {
	p.t.Helper()
	resp, err := p.http.Get(p.base + "/metrics")
	if err != nil {
		p.t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	out := map[string]float64{}
	for lines := bufio.NewScanner(resp.Body); lines.Scan(); {
		line := lines.Text()
		i := strings.LastIndexByte(line, ' ')
		if !strings.HasPrefix(line, "connectlink_") || i < 0 {
			continue
		}
		if v, err := strconv.ParseFloat(line[i+1:], 64); err == nil {
			out[line[:i]] = v
		}
	}
	if len(out) < 50 {
		p.t.Fatalf("%d series", len(out))
	}
	return out
}

// growth makes an hour of series that move each minute as they did between two
// scrapes. Gauges stay: they are no sums.
func growth(from, to map[string]float64) []series {
	var out []series
	for _, name := range slices.Sorted(maps.Keys(to)) {
		metric, _, _ := strings.Cut(name, "{")
		step := 0.0
		if strings.HasSuffix(metric, "_total") || strings.HasSuffix(metric, "_count") || strings.HasSuffix(metric, "_sum") || strings.HasSuffix(metric, "_bucket") {
			step = to[name] - from[name]
		}
		out = append(out, series{name, fmt.Sprintf("%f+%fx60", from[name], step)})
		if step == 0 {
			out[len(out)-1].Values = fmt.Sprintf("%fx60", to[name])
		}
	}
	return out
}
