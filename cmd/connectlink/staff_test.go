package main_test

import (
	"os/exec"
	"strings"
	"testing"
)

// runWith is run with something to read.
func runWith(t *testing.T, v vars, input string, args ...string) result {
	t.Helper()
	var out, errs strings.Builder
	cmd := exec.CommandContext(t.Context(), binary, args...)
	cmd.Env, cmd.Stdin, cmd.Stdout, cmd.Stderr = environ(t, v), strings.NewReader(input), &out, &errs
	_ = cmd.Run() // the exit code says it
	return result{code: cmd.ProcessState.ExitCode(), stdout: out.String(), stderr: errs.String()}
}

func TestStaffFromCreationToDisabling(t *testing.T) {
	t.Parallel()
	v := deployment(t, "")
	const password = "correct horse battery"
	create := []string{"staff", "create", "sam@northwind.example", "--name=Sam"}
	made := runWith(t, v, password+"\n", append(create, "--role=lead", "--role=default=admin")...)
	made.want(t, 0, "stf_", "may sign in")
	made.hides(t, password)
	id, _, _ := strings.Cut(made.stdout, " ")
	runWith(t, v, password+"\n", append(create, "--role=lead")...).want(t, 2, "there is an account with this login")
	runWith(t, v, "too short\n", "staff", "create", "x@northwind.example", "--name=X", "--role=lead").want(t, 2, "15 to 200 characters")
	runWith(t, v, "123456789012345\n", "staff", "create", "x@northwind.example", "--name=X", "--role=lead").want(t, 2, "too easy to guess")
	runWith(t, v, "passwordpassword1\n", "staff", "password", "sam@northwind.example").want(t, 2, "too easy to guess")
	runWith(t, v, password, "staff", "create", "x@northwind.example", "--name=X", "--role=root", "--role=beta=lead").
		want(t, 2, `"root" is no role`, `no project "beta"`)
	runCommand(t, v, "staff", "create", "nobody", "--name=X", "--role=lead").want(t, 2, "bare email address")

	runCommand(t, v, "staff", "list").want(t, 0, id, "sam@northwind.example", "*=lead,default=admin", "never", "enabled", "SECOND FACTOR", "  none yet  ")
	runWith(t, v, "another long password\n", "staff", "password", "SAM@northwind.example").want(t, 0, "password is set")
	runWith(t, v, "another long password\n", "staff", "password", "nobody@northwind.example").want(t, 4, "no emergency account")
	runCommand(t, v, "staff", "reset", "sam@northwind.example").want(t, 0, "has no second factor")
	runCommand(t, v, "staff", "reset", "nobody@northwind.example").want(t, 4, "no emergency account")
	runCommand(t, v, "staff", "roles", id, "--role=default=viewer").want(t, 0, id)
	runCommand(t, v, "staff", "list").want(t, 0, "  default=viewer  ")
	runCommand(t, v, "staff", "roles", id, "--role=root").want(t, 2, `"root" is no role`)
	runCommand(t, v, "staff", "roles", id).want(t, 2, "--role")
	runCommand(t, v, "staff", "roles", "stf_00000000000000000000000000", "--role=viewer").want(t, 4, "no such")
	runCommand(t, v, "staff", "disable", id).want(t, 0, id+" is disabled")
	runCommand(t, v, "staff", "disable", id).want(t, 0, id+" was disabled before")
	runCommand(t, v, "staff", "list").want(t, 0, "disabled")
	runCommand(t, v, "staff", "enable", id).want(t, 0, id+" is enabled")
	runCommand(t, v, "staff", "disable", "stf_00000000000000000000000000").want(t, 4, "no such")
	runCommand(t, v, "staff", "disable", "key_1").want(t, 2, "begins with stf_")
}

// Security F10: with single sign-on configured, emergency accounts are on only
// if the configuration asks for them, and the commands say which.
func TestF10EmergencyAccountsAreOffBesideAnIssuerUnlessAskedFor(t *testing.T) {
	t.Parallel()
	issuer := vars{"CONNECTLINK_PUBLIC_URL": "https://go.acme.example", "CONNECTLINK_OIDC_ISSUER": "https://login.acme.example", "CONNECTLINK_OIDC_CLIENT_ID": "console"}
	const note = "note: staff sign in by "
	for name, c := range map[string]struct {
		set  vars
		says string
	}{
		"no issuer":                     {nil, note + "emergency accounts only"},
		"an issuer":                     {issuer, note + "single sign-on only: emergency accounts are off"},
		"an issuer, and asked for":      {issuer.with(vars{"CONNECTLINK_CONSOLE_PASSWORDS": "true"}), note + "single sign-on, and by emergency accounts"},
		"an issuer, and refused":        {issuer.with(vars{"CONNECTLINK_CONSOLE_PASSWORDS": "off"}), note + "single sign-on only: CONNECTLINK_CONSOLE_PASSWORDS is false"},
		"neither":                       {vars{"CONNECTLINK_CONSOLE_PASSWORDS": "false"}, "note: no member of staff can sign in"},
		"no issuer, and asked for":      {vars{"CONNECTLINK_CONSOLE_PASSWORDS": "yes"}, note + "emergency accounts only"},
		"no issuer, and left to itself": {vars{"CONNECTLINK_CONSOLE_PASSWORDS": "auto"}, note + "emergency accounts only"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			runCommand(t, deployment(t, "").with(c.set), "config", "check").want(t, 0, c.says)
		})
	}
	v := deployment(t, "")
	runCommand(t, v.with(vars{"CONNECTLINK_CONSOLE_PASSWORDS": "maybe"}), "config", "check").want(t, 2, "CONNECTLINK_CONSOLE_PASSWORDS", "want auto, true or false")
	runWith(t, v.with(issuer), "correct horse battery\n", "staff", "create", "sam@northwind.example", "--name=Sam", "--role=lead").
		want(t, 0, "may sign in")
	if r := runCommand(t, v.with(issuer), "doctor"); !strings.Contains(r.stdout, "note  staff sign in by single sign-on only") {
		t.Errorf("doctor: %s", r.stdout)
	}
}
