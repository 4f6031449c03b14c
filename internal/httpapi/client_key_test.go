package httpapi_test

import (
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/connectlink/connectlink/internal/access"
	"github.com/connectlink/connectlink/internal/grant"
	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/secret"
)

// endKey ends a key as another process does it: nothing in the memory of the
// process that serves hears of it.
func (w *world) endKey(t *testing.T, key secret.Text, how string) {
	t.Helper()
	var id invite.KeyID
	if err := w.db.QueryRow(t.Context(), `SELECT id FROM api_keys WHERE digest = $1`, secret.Digest(key)).Scan(&id); err != nil {
		t.Fatal(err)
	}
	switch how {
	case "revoked":
		if changed, err := grant.New(w.db, time.Now).Revoke(t.Context(), id); err != nil || !changed {
			t.Fatal(changed, err)
		}
	case "expired":
		if _, err := w.db.Exec(t.Context(), `UPDATE api_keys SET expires_at = now() WHERE id = $1`, id); err != nil {
			t.Fatal(err)
		}
	case "deleted":
		if _, err := w.db.Exec(t.Context(), `DELETE FROM api_keys WHERE id = $1`, id); err != nil {
			t.Fatal(err)
		}
	}
}

func TestF05AClientTokenEndsWithTheKeyThatMadeIt(t *testing.T) {
	t.Parallel()
	for _, how := range []string{"revoked", "expired", "deleted"} {
		t.Run(how, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			keys := grant.New(w.db, time.Now)
			second := w.newKey(keys, grant.NewKey{Place: invite.Place{Project: "default"}, Environment: "development", Scopes: access.DefaultScopes()})
			id := w.create(t, w.key, byLink)
			own := w.client(t, id)
			other := secret.New(w.call(t, second, "POST", "/v1/invites/"+id+"/client_token", "").at(t, "token").(string))
			w.endKey(t, w.key, how)
			w.play(t, []scenario{
				{name: "read", key: own, method: "GET", path: "/v1/client/invite", status: 401, want: map[string]any{"code": "invalid_api_key"}},
				{name: "open", key: own, method: "POST", path: "/v1/client/invite/open", status: 401, want: map[string]any{"code": "invalid_api_key"}},
				{name: "another key's token reads", key: other, method: "GET", path: "/v1/client/invite", status: 200},
				{name: "another key's token opens", key: other, method: "POST", path: "/v1/client/invite/open", status: 200},
			})
			if s := w.follow(t, own, ""); s.reply.StatusCode != 401 {
				t.Errorf("a new stream: %d", s.reply.StatusCode)
			}
		})
	}
}

func TestF05AStreamEndsWithTheKeyThatMadeItsToken(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id := w.create(t, w.key, byLink)
	s := w.follow(t, w.client(t, id), "")
	if at, _ := s.next(); at != "a1" {
		t.Fatalf("first %q", at)
	}
	w.endKey(t, w.key, "revoked")
	// Nothing moves; the stream must end by itself, well before its longest time.
	if at, data := s.next(); at != "" {
		t.Errorf("after the key's end comes %s %v", at, data)
	}
	w.visited(t, id)
	if line, err := s.lines.ReadString('\n'); err == nil {
		t.Errorf("the stream goes on: %q", line)
	}
}

func TestF05ALongPollEndsWithTheKeyThatMadeItsToken(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id := w.create(t, w.key, byLink)
	own := w.client(t, id)
	answers := make(chan reply, 1)
	go func() {
		answers <- w.call(t, own, "GET", "/v1/client/invite", "", `If-None-Match: "a1"`, "Prefer: wait=25")
	}()
	for w.waiting.Waiting() == 0 {
		runtime.Gosched()
	}
	w.endKey(t, w.key, "expired")
	r := <-answers
	if r.status != 401 || !strings.Contains(string(r.body), "invalid_api_key") || r.header.Get("Preference-Applied") != "wait=25" {
		t.Errorf("%d %s", r.status, r.body)
	}
}
