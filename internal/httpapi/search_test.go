package httpapi_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
)

// TestF09SearchByBodyAnswersAsTheQueryDoes: a list has the same entries,
// whether its filters stand in the query string or in a body.
func TestF09SearchByBodyAnswersAsTheQueryDoes(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var ids []string
	for i := range 5 {
		ids = append(ids, w.create(t, w.key, fmt.Sprintf(
			`{"external_user_id":"user%d@customer.example","app":"%s","channel":"%s","recipient":{"email":"p%d@customer.example","phone":"+1202555012%d"},
			"inviter":{"name":"Sam Rivera %d"},"metadata":{"ticket":"%d","a[b]":"x,y"}}`,
			i%2, []string{"slack", "google_sheets"}[i%2], []string{"email", "sms", "link"}[i%3], i%4, i%4, i%2, i%3)))
	}
	w.create(t, w.other, byEmail)
	w.call(t, w.key, "POST", "/v1/invites/"+ids[4]+"/revoke", "")
	for body, c := range map[string]struct {
		query string
		want  int
	}{
		``:                                {"", 5},
		`{}`:                              {"", 5},
		`{"status":null,"limit":null}`:    {"", 5},
		`{"status":["active"]}`:           {"status=active", 4},
		`{"status":["active","revoked"]}`: {"status=active,revoked", 5},
		`{"channel":"sms"}`:               {"channel=sms", 2},
		`{"app":"google_sheets"}`:         {"app=google_sheets", 2},
		`{"external_user_id":"user0@customer.example"}`:                             {"external_user_id=user0@customer.example", 3},
		`{"recipient":"P0@Customer.example"}`:                                       {"recipient=P0@Customer.example", 2},
		`{"recipient":"+12025550121"}`:                                              {"recipient=%2B12025550121", 1},
		`{"recipient":"nobody@x.example"}`:                                          {"recipient=nobody@x.example", 0},
		`{"created":{"gte":"2020-01-01"}}`:                                          {"created[gte]=2020-01-01", 5},
		`{"created":{"lt":"2020-01-01T00:00:00Z"}}`:                                 {"created[lt]=2020-01-01T00:00:00Z", 0},
		`{"reason":"address_not_found"}`:                                            {"reason=address_not_found", 0},
		`{"progress":["none","visited"]}`:                                           {"progress=none,visited", 5},
		`{"progress":["connect_failed"]}`:                                           {"progress=connect_failed", 0},
		`{"delivery_status":["queued","sending"]}`:                                  {"delivery_status=queued,sending", 3},
		`{"delivery_status":["canceled"]}`:                                          {"delivery_status=canceled", 1},
		`{"inviter":"sam RIVERA 1"}`:                                                {"inviter=sam+RIVERA+1", 2},
		`{"metadata":{"ticket":"0"}}`:                                               {"metadata[ticket]=0", 2},
		`{"metadata":{"ticket":"0","a[b]":"x,y"}}`:                                  {"metadata[ticket]=0&metadata%5Ba%5Bb%5D%5D=x,y", 2},
		`{"metadata":{"ticket":"00"}}`:                                              {"metadata[ticket]=00", 0},
		`{"metadata":{}}`:                                                           {"", 5},
		`{"updated":{"gte":"2020-01-01"}}`:                                          {"updated[gte]=2020-01-01", 5},
		`{"updated":{"lt":"2020-01-01"}}`:                                           {"updated[lt]=2020-01-01", 0},
		`{"external_user_ids":["user0@customer.example","user1@customer.example"]}`: {"external_user_id=user0@customer.example&external_user_id=user1@customer.example", 5},
		`{"external_user_id":"user0@customer.example","external_user_ids":["x"]}`:   {"external_user_id=x&external_user_id=user0@customer.example", 3},
		`{"limit":2}`:                                   {"limit=2", 2},
		`{"limit":2,"cursor":"` + ids[2] + `"}`:         {"limit=2&cursor=" + ids[2], 2},
		`{"limit":100,"channel":"email","app":"slack"}`: {"limit=100&channel=email&app=slack", 1},
	} {
		got, want := w.call(t, w.key, "POST", "/v1/invites/search", body), w.call(t, w.key, "GET", "/v1/invites?"+c.query, "")
		if got.status != 200 || string(got.body) != string(want.body) {
			t.Errorf("%s: %d %s\nwant %s", body, got.status, got.body, want.body)
		}
		if n := len(got.at(t, "data").([]any)); n != c.want {
			t.Errorf("%s finds %d, want %d", body, n, c.want)
		}
	}

	var pages []string
	for cursor := ""; ; {
		body, err := json.Marshal(map[string]any{"limit": 2, "cursor": cursor})
		if err != nil {
			t.Fatal(err)
		}
		r := w.call(t, w.key, "POST", "/v1/invites/search", string(body))
		for _, inv := range r.at(t, "data").([]any) {
			pages = append(pages, inv.(map[string]any)["id"].(string))
		}
		if r.at(t, "has_more") == false {
			break
		}
		cursor = r.at(t, "next_cursor").(string)
	}
	slices.Reverse(ids)
	if !slices.Equal(pages, ids) {
		t.Errorf("pages = %v, want %v", pages, ids)
	}
}

func TestF09SearchByBodyRefusesFaultsWithTheirPlace(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for body, pointer := range map[string]string{
		`{"limit":0}`: "/limit", `{"limit":101}`: "/limit", `{"limit":"2"}`: "/limit", `{"cursor":"x"}`: "/cursor",
		`{"status":["open"]}`: "/status", `{"status":["active,revoked"]}`: "/status", `{"status":"active"}`: "/status",
		`{"channel":"fax"}`: "/channel", `{"recipient":"pat"}`: "/recipient", `{"created":{"gte":"monday"}}`: "/created/gte",
		`{"created":{"lt":5}}`: "/created/lt", `{"created[gte]":"2020-01-01"}`: "/created[gte]", `{"reason":"none"}`: "/reason",
		`{"recipient":""}`: "/recipient", `{"external_user_id":""}`: "/external_user_id", `{"status":[""]}`: "/status", `{"status":[]}`: "/status",
		`{"created":{"gte":""}}`: "/created/gte", `{"app":""}`: "/app", `{"channel":""}`: "/channel", `{"reason":""}`: "/reason",
		`{"stauts":["active"]}`: "/stauts", `{"limit":1,"limit":2}`: "/limit", `{"app":"` + strings.Repeat("x", 101) + `"}`: "/app",
		`{"external_user_id":"` + strings.Repeat("x", 251) + `"}`: "/external_user_id",
		`{"progress":["seen"]}`:                                   "/progress", `{"delivery_status":["lost"]}`: "/delivery_status", `{"delivery_status":["queued,sent"]}`: "/delivery_status",
		`{"external_user_ids":[""]}`: "/external_user_id", `{"external_user_ids":["x",null]}`: "/external_user_ids/1", `{"inviter":"!?"}`: "/inviter",
		`{"external_user_ids":["` + strings.Repeat(`x","`, 50) + `x"]}`: "/external_user_id",
		`{"metadata":{"":"x"}}`: "/metadata", `{"metadata":{"k":""}}`: "/metadata/k", `{"metadata":{"k":7}}`: "/metadata/k",
		`{"metadata":{"` + strings.Repeat("k", 41) + `":"x"}}`: "/metadata", `{"metadata":{"k":"` + strings.Repeat("x", 501) + `"}}`: "/metadata/k",
		`{"metadata":{"1":"x","2":"x","3":"x","4":"x","5":"x","6":"x","7":"x","8":"x","9":"x","10":"x","11":"x"}}`: "/metadata",
		`{"updated":{"gte":"monday"}}`: "/updated/gte", `{"updated":{"gt":"2020-01-01"}}`: "/updated/gt",
	} {
		r := w.call(t, w.key, "POST", "/v1/invites/search", body)
		if r.status != 422 || r.at(t, "errors.0.pointer") != pointer {
			t.Errorf("%s: %d %s, want a fault at %s", body, r.status, r.body, pointer)
		}
	}
	w.play(t, []scenario{
		{name: "an empty filter in the URL", key: w.key, method: "GET", path: "/v1/invites?recipient=", status: 422, want: map[string]any{"errors.0.pointer": "/recipient"}},
		{name: "suppressions with an empty recipient", key: w.blocks, method: "POST", path: "/v1/suppressions/search", body: `{"recipient":""}`, status: 422,
			want: map[string]any{"errors.0.pointer": "/recipient"}},
		{name: "no JSON", key: w.key, method: "POST", path: "/v1/invites/search", body: `{`, status: 400},
		{name: "a list", key: w.key, method: "POST", path: "/v1/invites/search", body: `["x"]`, status: 422},
		{name: "an address in the URL", key: w.key, method: "POST", path: "/v1/invites/search?recipient=pat@customer.example", body: `{}`,
			status: 422, want: map[string]any{"errors.0.pointer": "/recipient"}},
		{name: "faults of form and of meaning together", key: w.key, method: "POST", path: "/v1/invites/search", body: `{"x":1,"limit":0}`,
			status: 422, want: map[string]any{"errors.0.pointer": "/x", "errors.1.pointer": "/limit"}},
		{name: "without the scope", key: w.blocks, method: "POST", path: "/v1/invites/search", body: `{}`, status: 403},
		{name: "suppressions without the scope", key: w.key, method: "POST", path: "/v1/suppressions/search", body: `{}`, status: 403},
		{name: "a kind that is none", key: w.blocks, method: "POST", path: "/v1/suppressions/search", body: `{"kind":"whim"}`,
			status: 422, want: map[string]any{"errors.0.pointer": "/kind"}},
		{name: "an address of a suppression in the URL", key: w.blocks, method: "POST", path: "/v1/suppressions/search?recipient=pat@customer.example",
			status: 422, want: map[string]any{"errors.0.pointer": "/recipient"}},
	})
}

func TestF09SearchOfSuppressionsAnswersAsTheQueryDoes(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, body := range []string{`{"email":"pat@customer.example","reason":"x"}`, `{"email":"sam@customer.example","reason":"x"}`, `{"phone":"+12025550123","reason":"x"}`} {
		if r := w.call(t, w.blocks, "POST", "/v1/suppressions", body); r.status != 201 {
			t.Fatalf("add: %d %s", r.status, r.body)
		}
	}
	for body, c := range map[string]struct {
		query string
		want  int
	}{
		``:                                     {"", 3},
		`{"recipient":"PAT@customer.example"}`: {"recipient=PAT@customer.example", 1},
		`{"recipient":"+12025550123"}`:         {"recipient=%2B12025550123", 1},
		`{"recipient":"jo@customer.example"}`:  {"recipient=jo@customer.example", 0},
		`{"channel":"email","limit":1}`:        {"channel=email&limit=1", 1},
		`{"kind":"opt_out"}`:                   {"kind=opt_out", 0},
		`{"kind":"by_hand"}`:                   {"kind=by_hand", 3},
	} {
		got, want := w.call(t, w.blocks, "POST", "/v1/suppressions/search", body), w.call(t, w.blocks, "GET", "/v1/suppressions?"+c.query, "")
		if got.status != 200 || string(got.body) != string(want.body) {
			t.Errorf("%s: %d %s\nwant %s", body, got.status, got.body, want.body)
		}
		if n := len(got.at(t, "data").([]any)); n != c.want {
			t.Errorf("%s finds %d, want %d", body, n, c.want)
		}
	}
}
