package main_test

import (
	"bytes"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/connectlink/connectlink/internal/postgrestest"
	"github.com/connectlink/connectlink/internal/seal"
	"github.com/connectlink/connectlink/internal/secret"
)

func TestKeysFromCreationToRevocation(t *testing.T) {
	t.Parallel()
	v := deployment(t, "").with(vars{"CONNECTLINK_KEYSET": ""}) // keys need none
	r := runCommand(t, v, "keys", "create", "--name=backend", "--scope=invites:read,links:read", "--expires-in=24h")
	r.want(t, 0, "cl_test_", "This is key_", "not shown again")
	key, _, _ := strings.Cut(r.stdout, "\n")
	live := newKey(t, v, "--live", "--environment=production")
	if live["livemode"] != true || live.text("pipedream_environment") != "production" || !strings.HasPrefix(live.text("api_key"), "cl_live_") {
		t.Errorf("a live key: %v", live)
	}
	list := runCommand(t, v, "keys", "list")
	list.want(t, 0, "backend", "invites:read links:read", "never", "active", live.text("id"))
	list.hides(t, key, live.text("api_key"))
	runCommand(t, v, "keys", "list", "--project=other").want(t, 0, "ID")
	if strings.Contains(mustRun(t, v, "keys", "list", "--project=other"), "backend") {
		t.Error("another project's list holds this one's key")
	}

	if end, err := time.Parse(time.RFC3339, live.text("expires_at")); err != nil || time.Until(end) < 364*24*time.Hour || time.Until(end) > 366*24*time.Hour {
		t.Errorf("it ends %v by default, not in a year: %v", end, err)
	}
	runCommand(t, v, "keys", "create", "--name=forever", "--expires-in=never").want(t, 0, "cl_test_")
	runCommand(t, v, "keys", "list").want(t, 0, "never ends", "ENDS ", "active until ")
	next := parse(t, mustRun(t, v, "keys", "rotate", live.text("id"), "--overlap=2h", "--expires-in=90d", "--json"))
	if next.text("replaces") != live.text("id") || next["livemode"] != true || next.text("api_key") == live.text("api_key") {
		t.Errorf("the replacement: %v", next)
	}
	if end, err := time.Parse(time.RFC3339, next.text("replaced_key_ends_at")); err != nil || time.Until(end) > 2*time.Hour || time.Until(end) < time.Hour {
		t.Errorf("the replaced key ends %v: %v", end, err)
	}
	runCommand(t, v, "keys", "rotate", "key_00000000000000000000000000").want(t, 4, "no such key")
	runCommand(t, v, "keys", "rotate", live.text("id"), "--overlap=721h").want(t, 2, "--overlap")

	id := live.text("id")
	runCommand(t, v, "keys", "revoke", id).want(t, 0, id+" is revoked")
	runCommand(t, v, "keys", "revoke", id).want(t, 0, id+" was revoked before")
	runCommand(t, v, "keys", "list").want(t, 0, "revoked")
	runCommand(t, v, "keys", "rotate", id).want(t, 1, "was revoked or has expired")
	runCommand(t, v, "keys", "revoke", "key_00000000000000000000000000").want(t, 4, "no such key")
	runCommand(t, v, "keys", "revoke", "inv_1").want(t, 2, "begins with key_")

	for name, c := range map[string]struct {
		args []string
		says string
	}{
		"no name":                            {nil, "--name"},
		"a project that is none":             {[]string{"--name=x", "--project=other"}, `no project "other"`},
		"a scope that is none":               {[]string{"--name=x", "--scope=everything"}, `no scope "everything"; there are invites:write`},
		"an environment for a test key":      {[]string{"--name=x", "--environment=production"}, "add --live"},
		"an environment that is none":        {[]string{"--name=x", "--live", "--environment=staging"}, "--environment"},
		"an end before the beginning":        {[]string{"--name=x", "--expires-in=-1h"}, "--expires-in"},
		"an argument that nothing asked for": {[]string{"--name=x", "y"}, "unexpected argument"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			runCommand(t, v, append([]string{"keys", "create"}, c.args...)...).want(t, 2, c.says)
		})
	}
	// A live key whose project is incomplete names the missing settings.
	runCommand(t, v, "keys", "create", "--name=x", "--live").want(t, 0, "note: project default cannot serve live keys: PIPEDREAM_CLIENT_ID")
	gone := v.with(vars{"CONNECTLINK_DATABASE_URL": "postgres://me:hidden-word@127.0.0.1:1/none", "CONNECTLINK_DATABASE_WAIT": "100ms"})
	for _, args := range [][]string{{"keys", "list"}, {"keys", "revoke", id}, {"migrate"}} {
		r := runCommand(t, gone, args...)
		r.want(t, 1, "database unavailable")
		r.hides(t, "hidden-word")
	}
}

// TestKeysetRotationWithoutDowntime walks the three steps, with an old and a
// new process side by side at each.
func TestKeysetRotationWithoutDowntime(t *testing.T) {
	t.Parallel()
	box := func(text string) *seal.Box {
		t.Helper()
		k, err := seal.ParseKeyset(secret.New(text))
		if err != nil {
			t.Fatal(err)
		}
		b, err := seal.NewBox(k)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	rotate := func(keyset string, flags ...string) string {
		t.Helper()
		v := vars{"CONNECTLINK_KEYSET": keyset}
		if slices.Contains(flags, "--retire") {
			v["CONNECTLINK_DATABASE_URL"] = postgrestest.New(t)
		}
		return strings.TrimSpace(mustRun(t, v, append([]string{"keyset", "rotate"}, flags...)...))
	}
	at := seal.AD{Column: "test.column"}
	opens := func(by, sealedBy string) bool {
		t.Helper()
		sealed, err := box(sealedBy).Seal([]byte("what is personal"), at)
		if err != nil {
			t.Fatal(err)
		}
		plain, err := box(by).Open(sealed, at)
		return err == nil && bytes.Equal(plain, []byte("what is personal"))
	}
	first := newKeyset(t)
	introduced := rotate(first, "--introduce")
	promoted := rotate(introduced, "--promote")
	retired := rotate(promoted, "--retire")
	steps := []string{first, introduced, promoted, retired}
	for i := range steps[:3] {
		if !opens(steps[i], steps[i+1]) || i < 2 && !opens(steps[i+1], steps[i]) {
			t.Errorf("step %d: old and new processes cannot read each other's", i+1)
		}
	}
	if opens(retired, first) {
		t.Error("a retired key still opens what it sealed")
	}
	if box(introduced).HashKeyID() != box(first).HashKeyID() || box(promoted).HashKeyID() == box(first).HashKeyID() {
		t.Error("the primary key changes with --promote, and not before")
	}
	if at := rotate(first); !opens(at, first) || opens(first, at) {
		t.Error("rotate in one step: what was sealed before opens, and new values get a new key")
	}
	runCommand(t, vars{"CONNECTLINK_KEYSET": promoted}, "keyset", "rotate", "--promote").want(t, 1, "changes nothing")
	runCommand(t, vars{"CONNECTLINK_KEYSET": first}, "keyset", "rotate", "--introduce", "--retire").want(t, 2, "--introduce", "--retire")
	runCommand(t, vars{"CONNECTLINK_KEYSET": promoted}, "keyset", "rotate", "--retire").want(t, 2, "CONNECTLINK_DATABASE_URL: is needed")
	runCommand(t, vars{"CONNECTLINK_KEYSET": promoted}, "keyset", "rotate", "--keep-hashing").want(t, 2, "--retire")
	bad := runCommand(t, vars{"CONNECTLINK_KEYSET": "hidden-word"}, "keyset", "rotate")
	bad.want(t, 2, "CONNECTLINK_KEYSET: the keyset is not readable")
	bad.hides(t, "hidden-word")
	runCommand(t, nil, "keyset", "rotate").want(t, 2, "CONNECTLINK_KEYSET: is needed")
	if first == newKeyset(t) {
		t.Error("two keysets are the same")
	}
}

// TestF05RevokeTellsAndCancelsWhatTheKeyHasNotSent: an invite that the key
// scheduled would be sent a month after the key's end.
func TestF05RevokeTellsAndCancelsWhatTheKeyHasNotSent(t *testing.T) {
	t.Parallel()
	v := deployment(t, "").with(vars{"CONNECTLINK_PUBLIC_URL": "https://go.acme.example", "CONNECTLINK_LISTEN": "127.0.0.1:0"})
	key := newKey(t, v)
	s := startServe(t, v)
	s.until("is ready", func() bool { return runCommand(t, nil, "healthcheck", "--url", s.url).code == 0 })
	later := time.Now().Add(48 * time.Hour).UTC().Format(time.RFC3339)
	body := `{"external_user_id":"u1","app":"slack","channel":"email","recipient":{"email":"delivered@connectlink.test"},"inviter":{"name":"Sam"},"send_at":"` + later + `"}`
	status, _, answer := call(t, "POST", s.url+"/v1/invites", key.text("api_key"), body)
	if status != 201 {
		t.Fatalf("%d %s", status, answer)
	}
	made := parse(t, answer)
	without := v.with(vars{"CONNECTLINK_KEYSET": ""})
	runCommand(t, without, "keys", "revoke", key.text("id")).want(t, 0, "is revoked", "not sent yet: 1", "--cancel-pending")
	runCommand(t, without, "keys", "revoke", key.text("id"), "--cancel-pending").want(t, 2, "CONNECTLINK_KEYSET")
	runCommand(t, v, "keys", "revoke", key.text("id"), "--end-invites").want(t, 0, "was revoked before", "not sent yet: 1, revoked")
	if r := runCommand(t, v, "keys", "revoke", key.text("id")); r.code != 0 || strings.Contains(r.stdout, "not sent yet") {
		t.Errorf("nothing remains, and it says: %s", r.stdout)
	}
	// The reader's key is another: the first one has ended.
	_, _, answer = call(t, "GET", s.url+"/v1/invites/"+made.text("id"), newKey(t, v).text("api_key"), "")
	if got := parse(t, answer); got.text("status") != "revoked" || !strings.Contains(answer, `"canceled"`) {
		t.Errorf("the invite is %s", answer)
	}
}
