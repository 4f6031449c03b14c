package main_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
)

// feedService is a service whose list of events has one page more with each request;
// the third request meets an outage.
func feedService(t *testing.T) (vars, *atomic.Pointer[http.Request]) {
	t.Helper()
	var n atomic.Int64
	var latest atomic.Pointer[http.Request]
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		latest.Store(r)
		w.Header().Set("Date", "Sat, 28 Nov 2026 09:30:00 GMT")
		w.Header().Set("Content-Type", "application/json")
		event := func(i int) string {
			return fmt.Sprintf(`{"id":"evt_%d","type":"invite.sent","invite_id":"inv\u001b_%d","created_at":"2026-11-28T09:30:0%dZ"}`, i, i, i)
		}
		switch n.Add(1) {
		case 1:
			_, _ = fmt.Fprintf(w, `{"data":[%s],"has_more":true,"next_cursor":"c0"}`, event(0))
		case 2:
			_, _ = fmt.Fprintf(w, `{"data":[%s,%s],"has_more":false,"next_cursor":"c2"}`, event(1), event(2))
		case 3:
			w.WriteHeader(http.StatusBadGateway)
		case 4:
			_, _ = fmt.Fprintf(w, `{"data":[%s],"has_more":false,"next_cursor":"c3"}`, event(3))
		default:
			_, _ = fmt.Fprint(w, `{"data":[],"has_more":false,"next_cursor":"c3"}`)
		}
	}))
	t.Cleanup(server.Close)
	return vars{"CONNECTLINK_API_URL": server.URL, "CONNECTLINK_API_KEY": "cl_test_key"}, &latest
}

func TestTailPrintsEachEventOnceAlsoAfterAnOutage(t *testing.T) {
	t.Parallel()
	api, latest := feedService(t)
	p := start(t, api, "events", "tail", "--every=10ms", "--types=invite.sent", "--invite=inv_1")
	p.until("reads behind the last event", func() bool {
		r := latest.Load()
		return r != nil && r.URL.Query().Get("after") == "c3"
	})
	p.interrupt()
	if n := strings.Count(p.stdout.String(), "\n"); n != 3 || strings.Contains(p.stdout.String(), "evt_0") {
		t.Errorf("printed %d lines: %s", n, p.stdout.String())
	}
	result{0, p.stdout.String(), p.err.String()}.want(t, 0, "2026-11-28 09:30:03Z  invite.sent", "evt_1", "evt_2", "inv·_3", "answered 502; trying again")
	query := latest.Load().URL.Query()
	for name, want := range map[string]string{"created[gte]": "2026-11-28T09:30:00Z", "types": "invite.sent", "invite": "inv_1", "limit": "100"} {
		if got := query.Get(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
}

// TestListenForwardsSignedEvents: events of a service without a public URL reach a
// server on this machine with the bytes and the signature of a webhook.
func TestListenForwardsSignedEvents(t *testing.T) {
	t.Parallel()
	type post struct {
		header http.Header
		body   string
	}
	posts := make(chan post, 100)
	receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		posts <- post{r.Header, string(body)}
		w.WriteHeader(http.StatusTeapot)
	}))
	t.Cleanup(receiver.Close)
	v := deployment(t, "").with(vars{"CONNECTLINK_PUBLIC_URL": "http://127.0.0.1:1"})
	s := startServe(t, v)
	writes := vars{"CONNECTLINK_API_URL": s.url, "CONNECTLINK_API_KEY": newKey(t, v).text("api_key")}
	reads := writes.with(vars{"CONNECTLINK_API_KEY": newKey(t, v, "--scope=webhooks").text("api_key")})

	l := start(t, reads, "listen", "--every=50ms", "--types=invite.sent", "--forward-to", receiver.URL+"/webhooks?token=hidden-word")
	l.says(&l.err, "Ready")
	tail := start(t, reads, "events", "tail", "--every=50ms", "--types=invite.sent", "--json")
	made := parse(t, mustRun(t, writes, "invites", "create", "--user=user-1", "--app=slack", "--email=silent@connectlink.test"))
	l.says(&l.stdout, "418 I'm a teapot")
	tail.says(&tail.stdout, made.text("id"))
	got := <-posts
	hook, err := standardwebhooks.NewWebhook(regexp.MustCompile(`whsec_\S+`).FindString(l.err.String()))
	if err != nil {
		t.Fatal(err)
	}
	if err := hook.Verify([]byte(got.body), got.header); err != nil {
		t.Error(err)
	}
	event := parse(t, got.body)
	if event.text("type") != "invite.sent" || event.text("invite_id") != made.text("id") || got.header.Get("Webhook-Id") != event.text("id") {
		t.Errorf("posted %v with %v", event, got.header)
	}
	if _, _, stored := call(t, http.MethodGet, s.url+"/v1/events/"+event.text("id"), reads["CONNECTLINK_API_KEY"], ""); strings.TrimSpace(stored) != got.body {
		t.Errorf("posted %s, stored is %s", got.body, stored)
	}
	l.interrupt()
	tail.interrupt()
	result{0, l.stdout.String(), l.err.String()}.hides(t, "hidden-word")
	if n := strings.Count(l.stdout.String(), "\n"); n != 1 {
		t.Errorf("%d lines", n)
	}

	file := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(file, []byte("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	receiver.Close()
	again := start(t, reads, "listen", "--every=50ms", "--types=invite.sent", "--since=2026-01-01", "--secret-file", file, "--forward-to", receiver.URL)
	again.says(&again.stdout, "not delivered: ")
	again.interrupt()
	result{0, again.stdout.String(), again.err.String()}.hides(t, "whsec_")
	runCommand(t, writes, "listen", "--forward-to=http://127.0.0.1:1").want(t, 3, "insufficient_scope")
	runCommand(t, reads, "events", "tail", "--types=invite.lost").want(t, 2, "/types")
}

func TestListenRefusesAddressesThatCannotBePostedTo(t *testing.T) {
	t.Parallel()
	_, api := startScripted(t, func(w http.ResponseWriter, _ int) { w.WriteHeader(http.StatusInternalServerError) })
	bad := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(bad, []byte("hidden-word"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct{ flags, says string }{
		"a file":          {"--forward-to=file:///etc/passwd", "http://"},
		"no scheme":       {"--forward-to=localhost:3000/hook", "http://"},
		"no host":         {"--forward-to=http:///hook", "no host"},
		"another scheme":  {"--forward-to=ftp://127.0.0.1/hook", "http://"},
		"no URL":          {"--forward-to=http://[hidden-word", "must be a URL"},
		"a password":      {"--forward-to=http://a:hidden-word@127.0.0.1/", "no password"},
		"no pause":        {"--forward-to=http://127.0.0.1:1 --every=0s", "--every"},
		"no secret":       {"--forward-to=http://127.0.0.1:1 --secret-file=" + bad, "whsec_"},
		"no such file":    {"--forward-to=http://127.0.0.1:1 --secret-file=" + bad + "2", "--secret-file"},
		"nowhere to post": {"", "--forward-to"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := runCommand(t, api, append([]string{"listen"}, strings.Fields(c.flags)...)...)
			r.want(t, 2, c.says)
			r.hides(t, "hidden-word")
		})
	}
}
