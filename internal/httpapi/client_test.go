package httpapi_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/connectlink/connectlink/config"
	"github.com/connectlink/connectlink/internal/access"
	"github.com/connectlink/connectlink/internal/grant"
	"github.com/connectlink/connectlink/internal/httpapi"
	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/limit"
	"github.com/connectlink/connectlink/internal/pause"
	"github.com/connectlink/connectlink/internal/postgres"
	"github.com/connectlink/connectlink/internal/quota"
	"github.com/connectlink/connectlink/internal/secret"
	"github.com/connectlink/connectlink/internal/store/find"
	"github.com/connectlink/connectlink/internal/store/ledger"
	"github.com/connectlink/connectlink/internal/visit"
	"github.com/connectlink/connectlink/internal/watch"
	"github.com/connectlink/connectlink/internal/web"

	"github.com/jackc/pgx/v5"
)

const (
	opensAllowed = 5
	readsAllowed = 100
)

// inApp serves apps; moves are found by looking, as those of other processes are.
func (w *world) inApp(keys *grant.Service) httpapi.InApp {
	w.t.Helper()
	waiting := watch.New(watch.Params{
		Every: 20 * time.Millisecond, PerInvite: 3,
		Versions: func(ctx context.Context, ids []invite.ID) (map[invite.ID]int, error) {
			return find.Versions(ctx, w.db, ids)
		},
	})
	w.waiting = waiting
	ctx, cancel := context.WithCancel(context.WithoutCancel(w.t.Context()))
	var g sync.WaitGroup
	g.Go(func() { _ = waiting.Run(ctx, nil) })
	w.t.Cleanup(func() { cancel(); g.Wait() })
	return httpapi.InApp{
		Clients: keys, Holders: keys, Recheck: 20 * time.Millisecond, Waiting: waiting,
		Opener: must(visit.New(visit.Params{
			DB: w.db, Box: w.box, Minters: w.minters, Publish: publishNothing, Wake: func(invite.Lane) {}, Uses: func(quota.Message) []ledger.Use { return nil },
			Confirmer: never{}, Suppressions: never{}, Pauses: must(pause.NewBoard(w.db, slog.New(slog.DiscardHandler))),
		})),
		Opens:   limit.New(limit.Per(opensAllowed, time.Hour), opensAllowed, time.Now),
		Reads:   limit.New(limit.Per(readsAllowed, time.Hour), readsAllowed, time.Now),
		Streams: web.NewStreams(web.StreamParams{PerKey: 2, Beat: 50 * time.Millisecond}),
		AllowsOrigin: func(project, origin string) bool {
			own := config.Project{AppOrigins: []string{"https://app.acme.example"}}
			return own.AllowsOrigin(origin) && (project != "other" || origin != "https://app.acme.example")
		},
	}
}

const fingerprint = "14:6D:E9:83:C5:73:06:50:D8:EE:B9:95:2F:34:FC:64:16:A0:83:42:E6:1D:BE:A8:8A:04:96:B2:3F:CF:44:E5"

func apps() httpapi.AppLinks {
	return httpapi.AppLinks{
		Apple:   []string{"A1B2C3D4E5.example.acme.app"},
		Android: []httpapi.AndroidApp{{Package: "example.acme.app", Fingerprints: []string{fingerprint}}},
	}
}

// client makes a client token for an invite.
func (w *world) client(t *testing.T, id string) secret.Text {
	t.Helper()
	r := w.call(t, w.key, "POST", "/v1/invites/"+id+"/client_token", "")
	if r.status != http.StatusCreated {
		t.Fatalf("client token: %d %s", r.status, r.body)
	}
	return secret.New(r.at(t, "token").(string))
}

// visited moves an invite on.
func (w *world) visited(t *testing.T, id string) {
	t.Helper()
	w.happens(t, id, invite.Event{Type: invite.EventVisited})
}

func (w *world) happens(t *testing.T, id string, e invite.Event) {
	t.Helper()
	inv := must(invite.Parse[invite.ID](id))
	err := postgres.InTx(t.Context(), w.db, func(tx pgx.Tx) error {
		applied, err := ledger.Append(t.Context(), tx, w.box, inv, e)
		if err != nil {
			return err
		}
		return w.outbox.Enqueue(t.Context(), tx, applied)
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestAClientTokenIsForOneInviteOnly(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id := w.create(t, w.key, byEmail)
	other := w.create(t, w.key, byLink)
	own := w.client(t, id)
	none := secret.Text{}
	w.play(t, []scenario{
		{name: "its own", key: own, method: "GET", path: "/v1/client/invite", status: 200,
			want: map[string]any{"object": "client_invite", "id": id, "status": "active", "progress": "none", "app.slug": "slack", "connection": nil, "version": 1}},
		{name: "no key of the API", key: own, method: "GET", path: "/v1/invites/" + id, status: 401, want: map[string]any{"code": "invalid_api_key"}},
		{name: "nor for another", key: own, method: "GET", path: "/v1/invites/" + other, status: 401},
		{name: "nor for making tokens", key: own, method: "POST", path: "/v1/invites/" + id + "/client_token", status: 401},
		{name: "an API key is no client token", key: w.key, method: "GET", path: "/v1/client/invite", status: 401, want: map[string]any{"code": "invalid_api_key"}},
		{name: "nothing", key: none, method: "GET", path: "/v1/client/invite", status: 401, want: map[string]any{"code": "authentication_required"}},
		{name: "a made-up one", key: access.NewClientToken(), method: "POST", path: "/v1/client/invite/open", status: 401},
		{name: "a damaged one", key: secret.New(own.Reveal() + "0"), method: "GET", path: "/v1/client/invite", status: 401},
		{name: "another project's invite", key: w.other, method: "POST", path: "/v1/invites/" + id + "/client_token", status: 404, want: map[string]any{"code": "invite_not_found"}},
		{name: "another mode's", key: w.live, method: "POST", path: "/v1/invites/" + id + "/client_token", status: 404},
		{name: "a key that sees no links", key: w.narrow, method: "POST", path: "/v1/invites/" + id + "/client_token", status: 403, want: map[string]any{"code": "insufficient_scope"}},
		{name: "fields there are none of", key: w.key, method: "POST", path: "/v1/invites/" + id + "/client_token", body: `{"expires_in":1}`, status: 422},
	})
	// What the app is told holds nothing of people and no links.
	r := w.call(t, own, "GET", "/v1/client/invite", "")
	for _, private := range []string{"pat@", "Pat", `"u1"`, "connect.html", "/c/", "token", "recipient", "metadata", "external_user_id"} {
		if strings.Contains(string(r.body), private) {
			t.Errorf("the app is told %q: %s", private, r.body)
		}
	}
	if n := w.count(t, `SELECT count(*) FROM client_tokens WHERE encode(digest, 'escape') LIKE '%clc_%'`); n != 0 {
		t.Error("a token is stored as it is")
	}
}

func (w *world) count(t *testing.T, sql string, args ...any) int {
	t.Helper()
	var n int
	if err := w.db.QueryRow(t.Context(), sql, args...).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

func TestAClientTokenEndsInTime(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	short := w.create(t, w.key, `{"external_user_id":"u1","app":"slack","channel":"link","expires_in":600}`)
	long := w.create(t, w.key, `{"external_user_id":"u1","app":"slack","channel":"link","valid_for":2592000}`)
	for id, most := range map[string]time.Duration{short: 10 * time.Minute, long: 24 * time.Hour} {
		r := w.call(t, w.key, "POST", "/v1/invites/"+id+"/client_token", "")
		at := must(time.Parse(time.RFC3339Nano, r.at(t, "expires_at").(string)))
		if left := time.Until(at); left > most || left < most-time.Minute {
			t.Errorf("%s left, want almost %s", left, most)
		}
		own := secret.New(r.at(t, "token").(string))
		if _, err := w.db.Exec(t.Context(), `UPDATE client_tokens SET expires_at = now() WHERE digest = $1`, secret.Digest(own)); err != nil {
			t.Fatal(err)
		}
		if r := w.call(t, own, "GET", "/v1/client/invite", ""); r.status != 401 {
			t.Errorf("%d after its end", r.status)
		}
	}
}

func TestTokensOfOneInviteAreBounded(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id := w.create(t, w.key, byLink)
	first := w.client(t, id)
	var last secret.Text
	for range 20 {
		last = w.client(t, id)
	}
	if r := w.call(t, first, "GET", "/v1/client/invite", ""); r.status != 401 {
		t.Errorf("the oldest of too many: %d", r.status)
	}
	if r := w.call(t, last, "GET", "/v1/client/invite", ""); r.status != 200 {
		t.Errorf("the newest: %d", r.status)
	}
	if n := w.count(t, `SELECT count(*) FROM client_tokens`); n != 20 {
		t.Errorf("%d tokens are stored", n)
	}
}

func TestAnEndedInviteIsReadableAndNotOpenable(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for name, c := range map[string]struct {
		end          invite.Event
		status, code string
	}{
		"connected": {invite.Event{Type: invite.EventConnected, Data: invite.Data{AccountID: "apn_1"}}, "connected", "already_connected"},
		"revoked":   {invite.Event{Type: invite.EventRevoked}, "revoked", "invite_ended"},
		"expired":   {invite.Event{Type: invite.EventExpired}, "expired", "invite_ended"},
	} {
		id := w.create(t, w.key, byLink)
		own := w.client(t, id)
		w.happens(t, id, c.end)
		w.play(t, []scenario{
			{name: name, key: own, method: "GET", path: "/v1/client/invite", status: 200, want: map[string]any{"status": c.status}},
			{name: name, key: own, method: "POST", path: "/v1/client/invite/open", status: 409, want: map[string]any{"code": c.code}},
			{name: name, key: w.key, method: "POST", path: "/v1/invites/" + id + "/client_token", status: 409, want: map[string]any{"code": c.code}},
		})
	}
}

func TestTheAppOpensTheLink(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id := w.create(t, w.key, byLink)
	own := w.client(t, id)
	url := w.call(t, own, "POST", "/v1/client/invite/open", "").at(t, "url").(string)
	if !strings.Contains(url, "&app=slack") {
		t.Error("the link does not name the app")
	}
	w.play(t, []scenario{
		{name: "again within a minute", key: own, method: "POST", path: "/v1/client/invite/open", status: 200, want: map[string]any{"url": url}},
		{name: "how it stands", key: own, method: "GET", path: "/v1/client/invite", status: 200, want: map[string]any{"progress": "continued"}},
		{name: "fields there are none of", key: own, method: "POST", path: "/v1/client/invite/open", body: `{"app":"x"}`, status: 422},
	})
	r := w.call(t, w.key, "GET", "/v1/invites/"+id+"/events", "")
	var list struct {
		Data []struct {
			Type  string `json:"type"`
			Actor struct{ Kind, ID string }
		}
	}
	if err := json.Unmarshal(r.body, &list); err != nil {
		t.Fatal(err)
	}
	found := false
	for _, e := range list.Data {
		found = found || e.Type == "link.continued" && e.Actor.Kind == "recipient" && e.Actor.ID == "client"
	}
	if !found {
		t.Errorf("the timeline does not say that the app opened it: %s", r.body)
	}
	for range opensAllowed {
		r = w.call(t, own, "POST", "/v1/client/invite/open", "")
	}
	if r.status != 429 || r.header.Get("Retry-After") == "" {
		t.Errorf("%d, Retry-After %q after too many", r.status, r.header.Get("Retry-After"))
	}
}

func TestTheAppIsToldWhenPipedreamGivesNoLink(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.mintDown.Store(true)
	made := w.call(t, w.key, "POST", "/v1/invites", byLink)
	if made.status != http.StatusAccepted {
		t.Fatalf("create: %d %s", made.status, made.body)
	}
	own := w.client(t, made.at(t, "id").(string))
	r := w.call(t, own, "POST", "/v1/client/invite/open", "")
	if r.status != 503 || r.at(t, "retryable") != true || r.header.Get("Retry-After") == "" {
		t.Errorf("%d %s", r.status, r.body)
	}
}

func TestWaitingForAChange(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id := w.create(t, w.key, byLink)
	own := w.client(t, id)
	first := w.call(t, own, "GET", "/v1/client/invite", "", "Prefer: wait=25")
	tag := first.header.Get("ETag")
	if first.status != 200 || tag == "" || first.header.Get("Preference-Applied") != "" {
		t.Fatalf("who knows nothing waits for nothing: %d, tag %q", first.status, tag)
	}
	if r := w.call(t, own, "GET", "/v1/client/invite", "", "If-None-Match: "+tag); r.status != 304 || len(r.body) != 0 || r.header.Get("ETag") != tag {
		t.Errorf("unchanged: %d %q", r.status, r.body)
	}
	begun := time.Now()
	r := w.call(t, own, "GET", "/v1/client/invite", "", "If-None-Match: "+tag, "Prefer: respond-async, wait=1; x=y")
	if took := time.Since(begun); r.status != 304 || r.header.Get("Preference-Applied") != "wait=1" || took < time.Second {
		t.Errorf("%d after %s, applied %q", r.status, took, r.header.Get("Preference-Applied"))
	}
	answers := make(chan reply, 1)
	go func() {
		answers <- w.call(t, own, "GET", "/v1/client/invite", "", `If-None-Match: "x", W/`+tag, "Prefer: wait=999")
	}()
	for w.count(t, `SELECT seq FROM invites WHERE id = $1`, must(invite.Parse[invite.ID](id))) == 1 {
		w.visited(t, id)
	}
	r = <-answers
	if r.status != 200 || r.at(t, "progress") != "visited" || r.header.Get("ETag") == tag {
		t.Errorf("%d %s", r.status, r.body)
	}
	if got := r.header.Get("Preference-Applied"); got != "" && got != "wait=25" {
		t.Errorf("applied %q", got)
	}
}

func TestWhatCannotBeReadIsNoPreference(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	own := w.client(t, w.create(t, w.key, byLink))
	tag := w.call(t, own, "GET", "/v1/client/invite", "").header.Get("ETag")
	for _, prefer := range []string{"wait", "wait=", "wait=soon", "wait=-1", "wait=0", "await=9", `wait="1s"`, "wait=1e9", "return=minimal", ",;="} {
		r := w.call(t, own, "GET", "/v1/client/invite", "", "If-None-Match: "+tag, "Prefer: "+prefer)
		if r.status != 304 || r.header.Get("Preference-Applied") != "" {
			t.Errorf("%q: %d, applied %q", prefer, r.status, r.header.Get("Preference-Applied"))
		}
	}
	for _, known := range []string{`"a0"`, `a1`, "garbage"} {
		if r := w.call(t, own, "GET", "/v1/client/invite", "", "If-None-Match: "+known, "Prefer: wait=20"); r.status != 200 {
			t.Errorf("%s: %d", known, r.status)
		}
	}
	if r := w.call(t, own, "GET", "/v1/client/invite", "", "If-None-Match: *"); r.status != 304 {
		t.Errorf("*: %d", r.status)
	}
}

func TestWhoFindsNoPlaceIsAnsweredAtOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id := w.create(t, w.key, byLink)
	own := w.client(t, id)
	tag := w.call(t, own, "GET", "/v1/client/invite", "").header.Get("ETag")
	var all sync.WaitGroup
	got := make(chan string, 4)
	for range 4 { // one more than there is room for
		all.Go(func() {
			r := w.call(t, own, "GET", "/v1/client/invite", "", "If-None-Match: "+tag, "Prefer: wait=3")
			got <- fmt.Sprint(r.status, " ", r.header.Get("Preference-Applied"))
		})
	}
	if first := <-got; first != "304 " {
		t.Errorf("the first answer is %q", first)
	}
	w.visited(t, id)
	all.Wait()
	close(got)
	for r := range got {
		if r != "200 wait=3" {
			t.Errorf("who waited got %q", r)
		}
	}
}

func TestAppsMayTakeReturnsAndNothingElse(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	type rule struct {
		Path    string `json:"/"`
		Exclude bool   `json:"exclude"`
	}
	claimed := func(rules []rule, path string) bool {
		for _, r := range rules { // the first match counts
			if r.Path == "*" || strings.HasPrefix(path, strings.TrimSuffix(r.Path, "*")) {
				return !r.Exclude
			}
		}
		return false
	}
	var apple struct {
		AppLinks struct {
			Details []struct {
				AppIDs     []string `json:"appIDs"`
				Components []rule   `json:"components"`
			} `json:"details"`
		} `json:"applinks"`
		WebCredentials struct {
			Apps []string `json:"apps"`
		} `json:"webcredentials"`
	}
	r := w.call(t, secret.Text{}, "GET", "/.well-known/apple-app-site-association", "")
	if err := json.Unmarshal(r.body, &apple); err != nil || r.status != 200 || r.header.Get("Content-Type") != "application/json" {
		t.Fatalf("%d %s %v", r.status, r.header.Get("Content-Type"), err)
	}
	d := apple.AppLinks.Details
	if len(d) != 1 || !cmp.Equal(d[0].AppIDs, apps().Apple) || !cmp.Equal(apple.WebCredentials.Apps, apps().Apple) {
		t.Fatalf("%s", r.body)
	}
	var android []struct {
		Relation []string `json:"relation"`
		Target   struct {
			Namespace, Package string
			PackageName        string   `json:"package_name"`
			Fingerprints       []string `json:"sha256_cert_fingerprints"`
		} `json:"target"`
		Extensions map[string]struct {
			Rules []rule `json:"dynamic_app_link_components"`
		} `json:"relation_extensions"`
	}
	r = w.call(t, secret.Text{}, "GET", "/.well-known/assetlinks.json", "")
	if err := json.Unmarshal(r.body, &android); err != nil || r.status != 200 || r.header.Get("Content-Type") != "application/json" {
		t.Fatalf("%d %s %v", r.status, r.header.Get("Content-Type"), err)
	}
	const all = "delegate_permission/common.handle_all_urls"
	if len(android) != 1 || !cmp.Equal(android[0].Relation, []string{all}) || android[0].Target.Namespace != "android_app" ||
		android[0].Target.PackageName != "example.acme.app" || !cmp.Equal(android[0].Target.Fingerprints, []string{fingerprint}) {
		t.Fatalf("%s", r.body)
	}
	for path, want := range map[string]bool{"/r/": true, "/r/acme": true, "/c/" + access.NewCode().Reveal(): false, "/c/": false, "/done/x": false, "/": false, "/v1/invites": false} {
		if got := claimed(d[0].Components, path); got != want {
			t.Errorf("iOS claims %s: %t", path, got)
		}
		if got := claimed(android[0].Extensions[all].Rules, path); got != want {
			t.Errorf("Android claims %s: %t", path, got)
		}
	}
}

// never confirms and blocks nothing.
type never struct{}

func (never) Confirm(context.Context, invite.ID) (bool, error)                { return false, nil }
func (never) Suppressed(context.Context, pgx.Tx, visit.Address) (bool, error) { return false, nil }
func (never) Suppress(context.Context, pgx.Tx, visit.Address) (bool, error)   { return false, nil }
func (never) Unsuppress(context.Context, pgx.Tx, invite.ID, []visit.Address, time.Time) error {
	return nil
}
func (never) Resume(context.Context, pgx.Tx, visit.Address) (bool, error) { return false, nil }
