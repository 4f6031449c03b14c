package httpapi_test

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/connectlink/connectlink/internal/secret"
)

func TestLists(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var ids []string
	for i := range 5 {
		ids = append(ids, w.create(t, w.key, fmt.Sprintf(
			`{"external_user_id":"user %d","app":"%s","channel":"%s","recipient":{"email":"p%d@customer.example","phone":"+1202555012%d"}}`,
			i%2, []string{"slack", "google_sheets"}[i%2], []string{"email", "sms", "link"}[i%3], i%4, i%4)))
	}
	slices.Reverse(ids)
	w.create(t, w.other, byEmail)
	w.call(t, w.key, "POST", "/v1/invites/"+ids[0]+"/revoke", "")

	// Every page of two, until the end.
	var got []string
	path := "/v1/invites?limit=2"
	for range 4 {
		r := w.call(t, w.key, "GET", path, "")
		for _, inv := range r.at(t, "data").([]any) {
			m := inv.(map[string]any)
			got = append(got, m["id"].(string))
			if m["connect_link_url"] != nil || m["invite_link"] != nil {
				t.Errorf("a list holds links: %v", m)
			}
		}
		if r.at(t, "has_more") == false {
			break
		}
		path = "/v1/invites?limit=2&cursor=" + r.at(t, "next_cursor").(string)
	}
	if !slices.Equal(got, ids) {
		t.Errorf("pages = %v, want %v", got, ids)
	}

	count := func(query string) int {
		t.Helper()
		r := w.call(t, w.key, "GET", "/v1/invites?"+query, "")
		if r.status != 200 {
			t.Fatalf("%s: %d %s", query, r.status, r.body)
		}
		return len(r.at(t, "data").([]any))
	}
	for query, want := range map[string]int{
		"":                              5,
		"status=active":                 4,
		"status=revoked":                1,
		"status=active,revoked":         5,
		"channel=sms":                   2,
		"app=google_sheets":             2,
		"external_user_id=user+0":       3,
		"recipient=P0@Customer.example": 2,
		"recipient=%2B12025550121":      1,
		"recipient=nobody@x.example":    0,
		"created[gte]=2020-01-01":       5,
		"created%5Blt%5D=2020-01-01":    0,
		"created[gte]=2020-01-01T00:00:00Z&created[lt]=2100-01-01T00:00:00%2B01:00": 5,
		"reason=address_not_found":          0,
		"limit=100&channel=email&app=slack": 1,
	} {
		if n := count(query); n != want {
			t.Errorf("%q finds %d, want %d", query, n, want)
		}
	}
	for query, pointer := range map[string]string{
		"limit=0": "/limit", "limit=101": "/limit", "limit=x": "/limit", "cursor=x": "/cursor", "status=open": "/status",
		"channel=fax": "/channel", "recipient=pat": "/recipient", "created[gte]=monday": "/created[gte]", "reason=none": "/reason",
		"stauts=active": "/stauts", "limit=1&limit=2": "/limit", "%zz=1": "/", "app=" + strings.Repeat("x", 101): "/app",
	} {
		r := w.call(t, w.key, "GET", "/v1/invites?"+query, "")
		if r.status != 422 || r.at(t, "errors.0.pointer") != pointer {
			t.Errorf("%q: %d %s, want a fault at %s", query, r.status, r.body, pointer)
		}
	}
}

func TestHealth(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	none := secret.Text{}
	w.play(t, []scenario{
		{name: "alive", key: none, method: "GET", path: "/livez", status: 200, want: map[string]any{"status": "ok"}},
		{name: "ready", key: none, method: "GET", path: "/readyz", status: 200, want: map[string]any{"status": "ok"}},
	})
	w.notReady.Store(true)
	w.play(t, []scenario{
		{name: "still alive", key: none, method: "GET", path: "/livez", status: 200},
		{name: "not ready", key: none, method: "GET", path: "/readyz", status: 503, want: map[string]any{"code": "unavailable", "retryable": true},
			wantHeader: map[string]string{"Retry-After": "2"}},
	})
}

func TestALostDatabaseIsUnavailable(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.call(t, w.key, "GET", "/v1/invites", "") // the key is known from here on
	w.db.Close()
	r := w.call(t, w.key, "GET", "/v1/invites", "")
	if r.status != 503 || r.at(t, "code") != "unavailable" || r.header.Get("Retry-After") == "" {
		t.Errorf("%d %s", r.status, r.body)
	}
	if strings.Contains(string(r.body), "pool") {
		t.Errorf("the cause is told: %s", r.body)
	}
}

func TestReasons(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.play(t, []scenario{
		{name: "the table", method: "GET", path: "/v1/reasons", status: 200, want: map[string]any{"data.0.code": "address_not_found", "has_more": false}},
		{name: "takes no parameters", method: "GET", path: "/v1/reasons?x=1", status: 422, want: map[string]any{"errors.0.pointer": "/x"}},
	})
	if r := w.call(t, secret.Text{}, "GET", "/v1/reasons?"+url.QueryEscape("\xff")+"=1", ""); r.status != 400 {
		t.Errorf("a name that is no text: %d %s", r.status, r.body)
	}
}
