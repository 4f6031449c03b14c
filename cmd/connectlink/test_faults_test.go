package main_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestVendorsFailForOneProjectOnly: two projects in test mode on one service.
func TestVendorsFailForOneProjectOnly(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "connectlink.yaml")
	yaml := "projects:\n  - id: default\n    brand: {name: Acme}\n  - id: other\n    brand: {name: Other}\n"
	if err := os.WriteFile(file, []byte(yaml), 0o600); err != nil {
		t.Fatal(err)
	}
	v := deployment(t, "").with(vars{"CONNECTLINK_PUBLIC_URL": "http://127.0.0.1:1", "CONNECTLINK_CONFIG": file})
	delete(v, "CONNECTLINK_BRAND_NAME")
	s := startServe(t, v)
	api := vars{"CONNECTLINK_API_URL": s.url, "CONNECTLINK_API_KEY": newKey(t, v).text("api_key")}
	other := vars{"CONNECTLINK_API_URL": s.url, "CONNECTLINK_API_KEY": newKey(t, v, "--project=other").text("api_key")}

	runCommand(t, api, "test", "faults", "set", "pipedream", "down", "--for=2m", "--table").want(t, 0, "VENDOR     FAULT  ENDS", "pipedream  down   20")
	create := []string{"invites", "create", "--user=u", "--app=slack"}
	// Pipedream cannot make a link now: the invite is stored without one.
	if status := parse(t, mustRun(t, api, create...)).text("status"); status != "pending" {
		t.Errorf("with Pipedream down the invite is %s", status)
	}
	if status := parse(t, mustRun(t, other, create...)).text("status"); status != "active" {
		t.Errorf("the other project's invite is %s", status)
	}
	runCommand(t, other, "test", "faults", "list", "--table").want(t, 0, "VENDOR  FAULT  ENDS\n")
	mustRun(t, api, "test", "faults", "set", "email", "slow")
	if list := mustRun(t, api, "test", "faults", "list"); strings.Count(list, `"object": "test_fault"`) != 2 {
		t.Errorf("faults %s", list)
	}
	runCommand(t, api, "test", "faults", "clear").want(t, 0, "2 faults cleared")
	runCommand(t, api, "test", "faults", "clear", "sms").want(t, 0, "1 faults cleared")
	runCommand(t, api, "test", "faults", "list", "--table").want(t, 0, "VENDOR  FAULT  ENDS\n")
	runCommand(t, api, "test", "faults", "set", "email", "down", "--for=2h").want(t, 2, "/duration")
	runCommand(t, api, "test", "faults", "set", "fax", "down").want(t, 2, "pipedream")
	runCommand(t, api, "test", "faults", "clear", "fax").want(t, 4, "pipedream, email, sms")
}
