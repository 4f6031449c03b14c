package main_test

import "testing"

func TestAppsSearch(t *testing.T) {
	t.Parallel()
	api := importAPI(t)
	runCommand(t, api, "apps", "search", "slack", "--table").want(t, 0, "SLUG", "slack", "Slack")
	if list := parse(t, mustRun(t, api, "apps", "search", "google", "sheets")); list.text("object") != "list" {
		t.Errorf("JSON: %v", list)
	}
	runCommand(t, api, "apps", "search", "slak").want(t, 0, "did you mean slack?")
	runCommand(t, api, "apps", "search").want(t, 2, "word")
	runCommand(t, api, "apps", "search", "").want(t, 2, "/q")
}
