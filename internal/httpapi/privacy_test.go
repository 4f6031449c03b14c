package httpapi_test

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/connectlink/connectlink/config"
	"github.com/connectlink/connectlink/internal/erase"
	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/provider"
)

func (w *world) privacy() *erase.Service {
	return must(erase.New(erase.Params{
		Redactor: func(string, invite.Place) (provider.Redactor, bool) { return nil, false },
		Keep:     func(string) time.Duration { return config.DefaultRetention },
		DB:       w.db, Box: w.box, Senders: w.textSenders, Inbox: w.sandbox, Publish: publishNothing,
		Later: func(context.Context, pgx.Tx, []invite.ID) error { return nil },
	}))
}

func TestAPersonIsExportedAndErased(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id, other := w.create(t, w.key, byEmail), w.create(t, w.other, byEmail)
	who := `{"external_user_id":"u1"}`
	w.play(t, []scenario{
		{name: "without the scope", key: w.key, method: "POST", path: "/v1/privacy/export", body: who, status: 403},
		{name: "erase without the scope", key: w.key, method: "POST", path: "/v1/privacy/erase", body: who, status: 403},
		{name: "nobody", key: w.admin, method: "POST", path: "/v1/privacy/export", body: `{"external_user_id":" "}`, status: 422, want: map[string]any{"errors.0.pointer": "/external_user_id"}},
		{name: "everything that is wrong", key: w.admin, method: "POST", path: "/v1/privacy/erase", status: 422,
			body: `{"external_user_id":"` + strings.Repeat("x", 251) + `","reason":"` + strings.Repeat("y", 201) + `"}`,
			want: map[string]any{"errors.0.code": "too_long", "errors.1.pointer": "/reason"}},
		{name: "an unknown member", key: w.admin, method: "POST", path: "/v1/privacy/erase", body: `{"user":"u1"}`, status: 422},
		{name: "export", key: w.admin, method: "POST", path: "/v1/privacy/export", body: who, status: 200, want: map[string]any{
			"object": "privacy_export", "external_user_id": "u1", "invites.0.id": id, "invites.0.recipient.email": "pat@customer.example", "invites.1": nil,
			"invites.0.connect_link_url": nil, "invites.0.events.0.type": "created", "invites.0.deliveries.0.number": 1.0,
		}},
		{name: "somebody unknown", key: w.admin, method: "POST", path: "/v1/privacy/export", body: `{"external_user_id":"u9"}`, status: 200, want: map[string]any{"invites.0": nil}},
		{name: "erase", key: w.admin, method: "POST", path: "/v1/privacy/erase", body: `{"external_user_id":"u1","reason":"Request 4711"}`, status: 200,
			want: map[string]any{"object": "erasure", "invites": 1.0, "before": 0.0}},
		{name: "erase again", key: w.admin, method: "POST", path: "/v1/privacy/erase", body: who, status: 200, want: map[string]any{"invites": 0.0, "before": 1.0}},
		{name: "the invite", key: w.key, method: "GET", path: "/v1/invites/" + id, status: 200,
			want: map[string]any{"status": "revoked", "recipient": nil, "invite_link": nil, "connect_link_url": nil, "delivery.status": "canceled"}},
		{name: "found by the user no more", key: w.key, method: "GET", path: "/v1/invites?external_user_id=u1", status: 200, want: map[string]any{"data.0": nil}},
		{name: "nor by the address", key: w.key, method: "GET", path: "/v1/invites?recipient=pat@customer.example", status: 200, want: map[string]any{"data.0": nil}},
		{name: "it cannot be sent again", key: w.key, method: "POST", path: "/v1/invites/" + id + "/resend", status: 409},
		{name: "another project's is untouched", key: w.other, method: "GET", path: "/v1/invites/" + other, status: 200,
			want: map[string]any{"status": "active", "recipient.email": "pat@customer.example"}},
	})
	read := w.call(t, w.key, "GET", "/v1/invites/"+id, "")
	if mark, _ := read.at(t, "external_user_id").(string); !strings.HasPrefix(mark, "erased:") || read.at(t, "erased_at") == nil {
		t.Errorf("the erased invite is of %q", mark)
	}
}

// A document that cannot be finished must not look like a whole one.
func TestAnExportThatFailsBreaksOff(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for range 30 { // more than one buffer
		w.create(t, w.key, byEmail)
	}
	if _, err := w.db.Exec(t.Context(), `UPDATE invites SET content = '\x00' WHERE id = (SELECT id FROM invites ORDER BY id LIMIT 1)`); err != nil {
		t.Fatal(err)
	}
	r, err := http.NewRequestWithContext(t.Context(), "POST", w.server.URL+"/v1/privacy/export", strings.NewReader(`{"external_user_id":"u1"}`))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+w.admin.Reveal())
	r.Header.Set("Content-Type", "application/json")
	resp, err := w.server.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	if n, err := resp.Body.Read(make([]byte, 10)); n == 0 {
		t.Fatalf("nothing came: %v", err)
	}
	for err == nil {
		_, err = resp.Body.Read(make([]byte, 4096))
	}
	if err.Error() == "EOF" {
		t.Error("the answer ended as if it were whole")
	}
}
