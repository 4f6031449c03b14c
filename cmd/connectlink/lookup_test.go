package main_test

import (
	"net/url"
	"strings"
	"testing"

	"github.com/connectlink/connectlink/internal/postgrestest"
)

// TestF09TheCommandLooksUpAddressesOutsideURLsAndParameters: a user or
// recipient that the command looks up is in no URL the server logs, and in no
// statement or parameter.
func TestF09TheCommandLooksUpAddressesOutsideURLsAndParameters(t *testing.T) {
	t.Parallel()
	db, sent := postgrestest.Record(t, postgrestest.New(t))
	v := deployment(t, db).with(vars{"CONNECTLINK_PUBLIC_URL": "http://127.0.0.1:1"})
	s := startServe(t, v)
	api := func(scopes ...string) vars {
		return vars{"CONNECTLINK_API_URL": s.url, "CONNECTLINK_API_KEY": newKey(t, v, scopes...).text("api_key")}
	}
	key, blocks, admin := api(), api("--scope=suppressions"), api("--scope=admin")
	const user, number = "canary.person@victim.example", "+12025550147"
	mustRun(t, key, "invites", "create", "--user="+user, "--app=slack")
	mustRun(t, key, "invites", "create", "--user="+number, "--app=slack")
	sent.Take()
	for _, c := range []struct {
		api  vars
		args []string
		want int
	}{
		{key, []string{"invites", "list", "--user=" + user}, 1},
		{key, []string{"invites", "list", "--user=" + number, "--status=active,pending"}, 1},
		{key, []string{"invites", "list", "--recipient=" + user}, 0},
		{key, []string{"invites", "list", "--recipient=" + number}, 0},
		{blocks, []string{"suppressions", "list", "--recipient=" + user}, 0},
		{blocks, []string{"suppressions", "list", "--recipient=" + number}, 0},
	} {
		if list, _ := parse(t, mustRun(t, c.api, c.args...))["data"].([]any); len(list) != c.want {
			t.Errorf("%v has %d, want %d", c.args, len(list), c.want)
		}
	}
	for _, who := range []string{user, number} {
		mustRun(t, admin, "privacy", "export", who)
		if done := parse(t, mustRun(t, admin, "privacy", "erase", who)); done["invites"] != 1.0 {
			t.Errorf("erase %s: %v", who, done)
		}
	}
	said := sent.Take()
	if !strings.Contains(said, "erased:") {
		t.Fatal("the recording misses the erasure")
	}
	for place, text := range map[string]string{"statements": said, "log": s.err.String() + s.stdout.String()} {
		for _, canary := range []string{user, url.QueryEscape(user), "canary.person", "2025550147"} {
			if at := strings.Index(text, canary); at >= 0 {
				t.Errorf("%q stands in the %s: …%q…", canary, place, text[max(0, at-200):min(len(text), at+100)])
			}
		}
	}
}
