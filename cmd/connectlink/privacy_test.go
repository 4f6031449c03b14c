package main_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestPrivacy(t *testing.T) {
	t.Parallel()
	v := deployment(t, "").with(vars{"CONNECTLINK_PUBLIC_URL": "http://127.0.0.1:1"})
	s := startServe(t, v)
	keyed := func(args ...string) vars {
		return vars{"CONNECTLINK_API_URL": s.url, "CONNECTLINK_API_KEY": newKey(t, v, args...).text("api_key")}
	}
	api, admin := keyed(), keyed("--scope=admin")
	mustRun(t, api, "invites", "create", "--user=user-1", "--app=slack", "--email=silent@connectlink.test", "--name=Pat")

	out := parse(t, mustRun(t, admin, "privacy", "export", "user-1"))
	if list, _ := out["invites"].([]any); len(list) != 1 || out.text("object") != "privacy_export" {
		t.Errorf("export: %v", out)
	}
	file := filepath.Join(t.TempDir(), "export.json")
	mustRun(t, admin, "privacy", "export", "user-1", "--output="+file)
	written, err := os.ReadFile(file)
	if info, _ := os.Stat(file); err != nil || !strings.Contains(string(written), "silent@connectlink.test") || info.Mode().Perm() != 0o600 {
		t.Errorf("the file: %v %s", err, written)
	}
	runCommand(t, admin, "privacy", "export", "user-1", "--output="+file).want(t, 2, "--output")
	runCommand(t, api, "privacy", "export", "user-1").want(t, 3, "insufficient_scope")
	runCommand(t, vars{"CONNECTLINK_API_URL": s.url}, "privacy", "erase", "user-1").want(t, 3, "no API key")

	done := parse(t, mustRun(t, admin, "privacy", "erase", "user-1", "--reason=Request 4711"))
	if done["invites"] != 1.0 {
		t.Errorf("erase: %v", done)
	}
	if again := parse(t, mustRun(t, admin, "privacy", "erase", "user-1")); again["before"] != 1.0 {
		t.Errorf("erase again: %v", again)
	}
	// Without a terminal there is no question.
	live := keyed("--scope=admin", "--live", "--environment=production")
	runCommand(t, live, "privacy", "erase", "user-1").want(t, 2, "--yes")
	if done := parse(t, mustRun(t, live, "privacy", "erase", "user-1", "--yes")); done["invites"] != 0.0 {
		t.Errorf("erase with a live key: %v", done)
	}
}

func TestSuppressions(t *testing.T) {
	t.Parallel()
	v := deployment(t, "").with(vars{"CONNECTLINK_PUBLIC_URL": "http://127.0.0.1:1"})
	s := startServe(t, v)
	api := vars{"CONNECTLINK_API_URL": s.url, "CONNECTLINK_API_KEY": newKey(t, v, "--scope=suppressions").text("api_key")}
	do := func(args ...string) object {
		t.Helper()
		return parse(t, mustRun(t, api, append([]string{"suppressions"}, args...)...))
	}
	made := do("add", "--email=pat@customer.example", "--reason=Asked by phone")
	do("add", "--phone=+12025550123", "--reason=Asked by phone")
	for _, filter := range []string{"--recipient=pat@customer.example", "--channel=sms", "--kind=by_hand --limit=1"} {
		if list, _ := do(append([]string{"list"}, strings.Fields(filter)...)...)["data"].([]any); len(list) != 1 {
			t.Errorf("list %s has %d", filter, len(list))
		}
	}
	if lifted := do("lift", made.text("id"), "--reason=Was wrong"); lifted["lifted_at"] == nil {
		t.Errorf("lift: %v", lifted)
	}
	runCommand(t, api, "suppressions", "lift", "sup_0", "--reason=x").want(t, 4, "suppression_not_found")
	runCommand(t, api, "suppressions", "lift", made.text("id")).want(t, 2, "--reason")
	runCommand(t, api, "suppressions", "add", "--email=a@b.example", "--phone=+12025550123", "--reason=x").want(t, 2, "--email", "--phone")
	runCommand(t, api, "suppressions", "add", "--reason=x").want(t, 2, "--email")
}

func TestReasonsAreExplainedWithoutAService(t *testing.T) {
	t.Parallel()
	runCommand(t, nil, "reasons").want(t, 0, "opted_out", "The person replied STOP")
	one := runCommand(t, nil, "reasons", "landline")
	one.want(t, 0, "This is a landline")
	if strings.Contains(one.stdout, "opted_out") {
		t.Errorf("more than one: %s", one.stdout)
	}
	runCommand(t, nil, "reasons", "landline", "--json").want(t, 0, `"code": "landline"`, `"action": "switch_to_email"`)
	runCommand(t, nil, "reasons", "weather").want(t, 4, "weather")
}
