package main_test

import (
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"go.yaml.in/yaml/v3"
)

// scripted is a service that answers as it is told, and keeps what it was asked.
type scripted struct {
	answer func(w http.ResponseWriter, n int)

	mu  sync.Mutex
	all asked
}

// asked is what a service was asked, in the order of the requests.
type asked struct{ bodies, keys, paths []string }

// asked returns what the service was asked so far.
func (s *scripted) asked() asked {
	s.mu.Lock()
	defer s.mu.Unlock()
	return asked{slices.Clone(s.all.bodies), slices.Clone(s.all.keys), slices.Clone(s.all.paths)}
}

func startScripted(t *testing.T, answer func(w http.ResponseWriter, n int)) (*scripted, vars) {
	t.Helper()
	s := &scripted{answer: answer}
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	return s, vars{"CONNECTLINK_API_URL": server.URL, "CONNECTLINK_API_KEY": "cl_test_key"}
}

func (s *scripted) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	body, _ := io.ReadAll(r.Body)
	s.all.bodies, s.all.keys = append(s.all.bodies, string(body)), append(s.all.keys, r.Header.Get("Idempotency-Key"))
	s.all.paths = append(s.all.paths, r.Method+" "+r.URL.Path)
	w.Header().Set("Content-Type", "application/json")
	s.answer(w, len(s.all.bodies))
}

// TestInvitesCreateHasAFlagForEachFieldOfTheAPI: half of the fields could not be set.
func TestInvitesCreateHasAFlagForEachFieldOfTheAPI(t *testing.T) {
	t.Parallel()
	s, api := startScripted(t, func(w http.ResponseWriter, _ int) { _, _ = fmt.Fprint(w, `{"id":"inv_1"}`) })
	mustRun(t, api, "invites", "create", "--user=u", "--app=slack", "--kind=reconnect", "--account=apn_1", "--oauth-app=oa_1", "--channel=email", "--email=a@b.example", "--phone=+12025550100",
		"--name=Pat", "--locale=de", "--time-zone=Europe/Berlin", "--sms-consent=form", "--sms-consent-at=2026-11-29T09:00:00Z", "--inviter=Sam",
		"--reason=we can post", "--note=Hello", "--initiated-by=user", "--return-url=acme://x", "--metadata=ticket=47;11", "--metadata=a=b=c", "--link-type=invite",
		"--expires-in=60", "--valid-for=600", "--send-at=2026-11-29T09:00:00Z", "--verify=code", "--fallback=sms", "--fallback-after=not_visited",
		"--fallback-delay=0", "--reminders=0", "--if-active=return", "--if-connected=new", "--kind=reconnect", "--account=apn_1", "--idempotency-key=once")
	sent := parse(t, s.asked().bodies[0])
	setsEveryField(t, sent)
	if m, _ := sent["metadata"].(map[string]any); m["ticket"] != "47;11" || m["a"] != "b=c" {
		t.Errorf("metadata %v", sent["metadata"])
	}
}

// setsEveryField checks that a create has each field of the API.
func setsEveryField(t *testing.T, sent object) {
	t.Helper()
	raw, err := os.ReadFile("../../internal/httpapi/openapi.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var doc struct {
		Components struct {
			Schemas map[string]struct{ Properties map[string]any }
		}
	}
	if err := yaml.Unmarshal(raw, &doc); err != nil {
		t.Fatal(err)
	}
	compare := func(schema string, have any) {
		fields, _ := have.(map[string]any)
		want := slices.Sorted(maps.Keys(doc.Components.Schemas[schema].Properties))
		if got := slices.Sorted(maps.Keys(fields)); len(want) == 0 || !slices.Equal(got, want) {
			t.Errorf("%s: sent %v, the API has %v", schema, got, want)
		}
	}
	recipient, _ := sent["recipient"].(map[string]any)
	compare("CreateInvite", map[string]any(sent))
	compare("Recipient", recipient)
	compare("Consent", recipient["sms_consent"])
	compare("Inviter", sent["inviter"])
	compare("Fallback", sent["fallback"])
	compare("Reminders", sent["reminders"])
}

// TestARetryableProblemIsAskedAboutOnceMore: a create met a 503 just after the start
// of the service and gave up.
func TestARetryableProblemIsAskedAboutOnceMore(t *testing.T) {
	t.Parallel()
	down := func(w http.ResponseWriter, code string, retryable bool) {
		w.Header().Set("Retry-After", "1")
		w.WriteHeader(http.StatusServiceUnavailable)
		_, _ = fmt.Fprintf(w, `{"code":%q,"detail":"Not now.","request_id":"req_1","retryable":%t}`, code, retryable)
	}
	for name, c := range map[string]struct {
		answer  func(w http.ResponseWriter, n int)
		code, n int
	}{
		"once": {func(w http.ResponseWriter, n int) {
			if n == 1 {
				down(w, "unavailable", true)
				return
			}
			_, _ = fmt.Fprint(w, `{"id":"inv_1"}`)
		}, 0, 2},
		"always":       {func(w http.ResponseWriter, _ int) { down(w, "unavailable", true) }, 1, 2},
		"not passing":  {func(w http.ResponseWriter, _ int) { down(w, "token_mint_failed", false) }, 1, 1},
		"much later":   {func(w http.ResponseWriter, _ int) { w.Header().Set("Retry-After", "3600"); down429(w) }, 1, 1},
		"no retryable": {func(w http.ResponseWriter, _ int) { w.WriteHeader(http.StatusBadGateway) }, 1, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, api := startScripted(t, c.answer)
			runCommand(t, api, "invites", "create", "--user=u", "--app=slack").want(t, c.code)
			if len(s.asked().keys) != c.n || s.asked().keys[0] == "" || s.asked().keys[0] != s.asked().keys[c.n-1] || s.asked().bodies[0] != s.asked().bodies[c.n-1] {
				t.Errorf("asked %d times, keys %q", len(s.asked().keys), s.asked().keys)
			}
		})
	}
}

func down429(w http.ResponseWriter) {
	w.WriteHeader(http.StatusTooManyRequests)
	_, _ = fmt.Fprint(w, `{"code":"rate_limited","detail":"Too many.","request_id":"req_1","retryable":true}`)
}

func TestListsAreTablesOnATerminalAndJSONElsewhere(t *testing.T) {
	t.Parallel()
	const list = `{"data":[{"id":"inv_1","status":"active","progress":"none","app":{"slug":"slack"},"external_user_id":"u\u001b[2J1","channel":"email",
		"delivery":{"status":"delivered","reason":null},"created_at":"2026-11-28T09:30:00.5+00:00"}],"has_more":true,"next_cursor":"next1"}`
	_, api := startScripted(t, func(w http.ResponseWriter, _ int) { _, _ = fmt.Fprint(w, list) })
	table := runCommand(t, api, "invites", "list", "--table")
	table.want(t, 0, "ID     STATUS  PROGRESS  APP", "inv_1  active  none      slack  u·[2J1  email    delivered  -       2026-11-28 09:30:00Z", "--cursor=next1")
	table.hides(t, "\x1b", "{")
	for _, args := range [][]string{{"invites", "list"}, {"invites", "list", "--json"}} {
		if got := parse(t, mustRun(t, api, args...)); got.text("next_cursor") != "next1" {
			t.Errorf("%v: %v", args, got)
		}
	}
	runCommand(t, api, "invites", "list", "--json", "--table").want(t, 2, "--json")
}

func TestActsAskForConfirmationWithALiveKey(t *testing.T) {
	t.Parallel()
	s, api := startScripted(t, func(w http.ResponseWriter, _ int) { _, _ = fmt.Fprint(w, `{"id":"inv_1","status":"revoked"}`) })
	live := api.with(vars{"CONNECTLINK_API_KEY": "cl_live_key"})
	runCommand(t, live, "invites", "revoke", "inv_1").want(t, 2, "--yes")
	if len(s.asked().paths) != 0 {
		t.Errorf("asked %v", s.asked().paths)
	}
	runCommand(t, live, "invites", "revoke", "inv_1", "--yes").want(t, 0)
	runCommand(t, api, "invites", "revoke", "inv_1").want(t, 0)
	before := len(s.asked().paths)
	runCommand(t, live, "trigger", "invite.connected", "--endpoint=whe_1").want(t, 2, "--yes")
	if len(s.asked().paths) != before {
		t.Errorf("asked %v", s.asked().paths)
	}
	if !slices.Equal(s.asked().paths, []string{"POST /v1/invites/inv_1/revoke", "POST /v1/invites/inv_1/revoke"}) {
		t.Errorf("asked %v", s.asked().paths)
	}
}

func TestWatchPrintsEachEventOnceAndEndsWithTheInvite(t *testing.T) {
	t.Parallel()
	for end, code := range map[string]int{"connected": 0, "expired": 1, "revoked": 1, "failed": 1} {
		t.Run(end, func(t *testing.T) {
			t.Parallel()
			_, api := startScripted(t, func(w http.ResponseWriter, n int) {
				status, events := "active", `{"type":"created","occurred_at":"2026-11-28T09:30:00Z","detail":null}`
				if n > 2 {
					status, events = end, events+`,{"type":"`+end+`","occurred_at":"2026-11-28T09:31:00Z","detail":"the\u001b end"}`
				}
				_, _ = fmt.Fprintf(w, `{"status":%q,"events":[%s]}`, status, events)
			})
			r := runCommand(t, api, "invites", "watch", "inv_1", "--every=10ms")
			r.want(t, code, "2026-11-28 09:31:00Z  "+end)
			if n := strings.Count(r.stdout, "created"); n != 1 || strings.Count(r.stdout, "\n") != 2 {
				t.Errorf("printed %q", r.stdout)
			}
			r.hides(t, "\x1b")
		})
	}
	_, api := startScripted(t, func(w http.ResponseWriter, _ int) { _, _ = fmt.Fprint(w, `{"status":"active","events":[]}`) })
	runCommand(t, api, "invites", "watch", "inv_1", "--every=10ms", "--timeout=50ms").want(t, 1, "the invite is active after 50ms")
}

func TestHelpAndCompletionKnowTheCommands(t *testing.T) {
	t.Parallel()
	runCommand(t, nil, "help").want(t, 0, "Exit codes: 0 success", "CONNECTLINK_API_KEY")
	runCommand(t, nil, "help", "invites", "watch").want(t, 0, "Usage: connectlink invites watch")
	runCommand(t, nil, "help", "nothing").want(t, 2, "nothing")
	runCommand(t, nil, "--version").want(t, 0, "connectlink ")
	for typed, want := range map[string]string{
		"inv": "invites", "invites w": "watch", "invites create --remi": "--reminders", "completion ": "bash fish zsh", "invites create --no": "--note", "complete-w": "",
	} {
		got := strings.Join(strings.Fields(mustRun(t, nil, append([]string{"complete-words", "--"}, strings.Split(typed, " ")...)...)), " ")
		if got != want {
			t.Errorf("%q: %q, want %q", typed, got, want)
		}
	}
	for _, shell := range []string{"bash", "zsh", "fish"} {
		runCommand(t, nil, "completion", shell).want(t, 0, "complete-words")
	}
	bash := exec.CommandContext(t.Context(), "bash", "-c", `source <(connectlink completion bash); COMP_WORDS=(connectlink invites re); COMP_CWORD=2; _connectlink; echo "${COMPREPLY[@]}"`)
	bash.Env = append(os.Environ(), "PATH="+filepath.Dir(binary)+string(os.PathListSeparator)+os.Getenv("PATH"))
	if out, err := bash.CombinedOutput(); err != nil || strings.TrimSpace(string(out)) != "reconnect resend revoke" {
		t.Errorf("bash: %q, %v", out, err)
	}
}
