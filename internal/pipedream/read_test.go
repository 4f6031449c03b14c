package pipedream_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/connectlink/connectlink/internal/pipedream"
	"github.com/connectlink/connectlink/internal/secret"
)

func TestApp(t *testing.T) {
	t.Parallel()
	v := start(t, func(w http.ResponseWriter, _ *http.Request) {
		reply(w, 200, map[string]any{"data": map[string]any{
			"id": nil, "name_slug": "slack", "name": "Slack", "img_src": "https://assets.pipedream.net/s.v0/app_1/logo/orig", "auth_type": "oauth",
			"custom_fields_json": "[]", "categories": []string{}, "featured_weight": 1000000098,
		}})
	})
	c := client(v)
	got, err := c.App(t.Context(), "slack")
	if d := cmp.Diff(pipedream.App{Slug: "slack", Name: "Slack", LogoURL: "https://assets.pipedream.net/s.v0/app_1/logo/orig", AuthType: "oauth"}, got); d != "" || err != nil {
		t.Errorf("%v (-want +got):\n%s", err, d)
	}
	// A slug comes from a caller: it must stay one segment of the path.
	_, _ = c.App(t.Context(), "a/../b?c")
	if path := v.Requests()[2].Path; path != "/v1/connect/apps/a%2F..%2Fb%3Fc" {
		t.Errorf("path %q", path)
	}
	v.answers <- status(404)
	if _, err := c.App(t.Context(), "nope"); !errors.Is(err, pipedream.ErrNotFound) {
		t.Errorf("%v, want not found", err)
	}
	v.answers <- func(w http.ResponseWriter, _ *http.Request) { reply(w, 200, map[string]any{"data": nil}) }
	if e := fault(t, errOf(c.App(t.Context(), "x"))); e.Kind != pipedream.Passing {
		t.Errorf("an empty answer: %v", e)
	}
}

func TestAppsAreSearchedOrTheMostUsed(t *testing.T) {
	t.Parallel()
	v := start(t, func(w http.ResponseWriter, _ *http.Request) {
		one := func(slug, auth string) map[string]any {
			return map[string]any{
				"id": "app_1", "name_slug": slug, "name": "The " + slug, "img_src": "https://assets.pipedream.net/s.v0/app_1/logo/orig", "auth_type": auth,
				"custom_fields_json": "[]", "categories": []string{}, "featured_weight": 1,
			}
		}
		reply(w, 200, map[string]any{"data": []any{one("slack", "oauth"), one("rss", "none")}, "page_info": map[string]any{"count": 2, "total_count": 2}})
	})
	c := client(v)
	got, err := c.Apps(t.Context(), "", 100)
	const logo = "https://assets.pipedream.net/s.v0/app_1/logo/orig"
	want := []pipedream.App{
		{ID: "app_1", Slug: "slack", Name: "The slack", LogoURL: logo, AuthType: "oauth"}, {ID: "app_1", Slug: "rss", Name: "The rss", LogoURL: logo, AuthType: "none"},
	}
	if d := cmp.Diff(want, got); d != "" || err != nil {
		t.Errorf("%v (-want +got):\n%s", err, d)
	}
	if _, err := c.Apps(t.Context(), "a&b=c", 5); err != nil {
		t.Fatal(err)
	}
	asked := v.Requests()
	if q := asked[1].Query; q != "limit=100&sort_direction=desc&sort_key=featured_weight" {
		t.Errorf("without words: %s", q)
	}
	if q := asked[2].Query; q != "limit=5&q=a%26b%3Dc" {
		t.Errorf("with words: %s", q)
	}
	v.answers <- func(w http.ResponseWriter, _ *http.Request) { reply(w, 200, map[string]any{"data": "none"}) }
	if e := fault(t, errOf(c.Apps(t.Context(), "x", 5))); e.Kind != pipedream.Passing {
		t.Errorf("an answer that is no list: %v", e)
	}
}

func TestOAuthApp(t *testing.T) {
	t.Parallel()
	for name, body := range map[string]map[string]any{
		"flat":   {"id": "oa_1", "name_slug": "slack"},
		"nested": {"id": "oa_1", "app": map[string]any{"name_slug": "slack"}},
	} {
		v := start(t, func(w http.ResponseWriter, _ *http.Request) { reply(w, 200, body) })
		got, err := client(v).OAuthApp(t.Context(), "oa_1")
		if err != nil || got != (pipedream.OAuthApp{ID: "oa_1", AppSlug: "slack"}) {
			t.Errorf("%s: %+v %v", name, got, err)
		}
	}
	if _, err := client(start(t, status(404))).OAuthApp(t.Context(), "oa_1"); !errors.Is(err, pipedream.ErrNotFound) {
		t.Errorf("%v, want not found", err)
	}
}

func account(n int) map[string]any {
	return map[string]any{
		"id": fmt.Sprintf("apn_%d", n), "name": nil, "external_id": "user-1", "healthy": true, "dead": nil,
		"app": map[string]any{"id": "oa_1", "name_slug": "slack"}, "created_at": "2026-11-23T12:00:00.000Z", "updated_at": "2026-11-23T12:00:01Z",
	}
}

func TestAccount(t *testing.T) {
	t.Parallel()
	v := start(t, func(w http.ResponseWriter, _ *http.Request) { reply(w, 200, account(1)) }) // bare, unlike apps
	c := client(v)
	got, err := c.Account(t.Context(), "apn_1")
	want := pipedream.Account{
		ID: "apn_1", ExternalID: "user-1", AppSlug: "slack", Healthy: true, HealthKnown: true,
		CreatedAt: time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC), UpdatedAt: time.Date(2026, 11, 23, 12, 0, 1, 0, time.UTC),
	}
	if got.ReadAt.IsZero() {
		t.Error("it is not said when Pipedream answered")
	}
	got.ReadAt = time.Time{}
	if d := cmp.Diff(want, got); d != "" || err != nil {
		t.Errorf("%v (-want +got):\n%s", err, d)
	}
	for name, c2 := range map[string]struct {
		body    map[string]any
		healthy bool
	}{
		"only an id": {map[string]any{"id": "apn_1"}, true}, "dead": {map[string]any{"id": "apn_1", "healthy": true, "dead": true}, false},
		"unhealthy": {map[string]any{"id": "apn_1", "healthy": false}, false},
	} {
		v.answers <- func(w http.ResponseWriter, _ *http.Request) { reply(w, 200, c2.body) }
		if got, err := c.Account(t.Context(), "apn_1"); err != nil || got.Healthy != c2.healthy {
			t.Errorf("%s: %+v %v", name, got, err)
		}
	}
	v.answers <- func(w http.ResponseWriter, _ *http.Request) { reply(w, 200, map[string]any{"data": account(1)}) }
	if e := fault(t, errOf(c.Account(t.Context(), "apn_1"))); e.Code != "bad_answer" {
		t.Errorf("an answer that is no account: %v", e)
	}
}

func TestAccountsPages(t *testing.T) {
	t.Parallel()
	pages := map[string][]any{"": {account(1), account(2)}, "c2": {account(3), account(4)}, "c4": {account(5)}}
	v := start(t, func(w http.ResponseWriter, r *http.Request) {
		q := r.URL.Query()
		after := q.Get("after")
		q.Del("after")
		if d := cmp.Diff(url.Values{"external_user_id": {"user 1&x"}, "app": {"slack"}, "oauth_app_id": {"oa_1"}, "limit": {"2"}}, q); d != "" {
			t.Errorf("query (-want +got):\n%s", d)
		}
		end := map[string]string{"": "c2", "c2": "c4", "c4": "c5"}[after]
		reply(w, 200, map[string]any{"data": pages[after], "page_info": map[string]any{"count": len(pages[after]), "total_count": 5, "start_cursor": "x", "end_cursor": end}})
	})
	c := client(v)
	filter := pipedream.AccountFilter{ExternalUserID: "user 1&x", App: "slack", OAuthAppID: "oa_1", Limit: 2}
	var ids []string
	for range 10 {
		got, next, err := c.Accounts(t.Context(), filter)
		if err != nil {
			t.Fatal(err)
		}
		for _, a := range got {
			ids = append(ids, a.ID)
		}
		if filter.After = next; next == "" {
			break
		}
	}
	if d := cmp.Diff([]string{"apn_1", "apn_2", "apn_3", "apn_4", "apn_5"}, ids); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

func TestAccountsEndWhateverTheCursorSays(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		body  map[string]any
		after string
		n     int
		next  string
	}{
		"empty with a cursor":     {map[string]any{"data": []any{}, "page_info": map[string]any{"end_cursor": "c"}}, "", 0, ""},
		"the same cursor again":   {map[string]any{"data": []any{account(1)}, "page_info": map[string]any{"end_cursor": "c"}}, "c", 1, ""},
		"all on the first page":   {map[string]any{"data": []any{account(1)}, "page_info": map[string]any{"total_count": 1, "end_cursor": "c"}}, "", 1, ""},
		"no page info":            {map[string]any{"data": []any{account(1)}}, "", 1, ""},
		"null cursor":             {map[string]any{"data": []any{account(1)}, "page_info": map[string]any{"end_cursor": nil}}, "", 1, ""},
		"the older, nested shape": {map[string]any{"data": map[string]any{"accounts": []any{account(1)}}}, "", 1, ""},
		"more to come":            {map[string]any{"data": []any{account(1)}, "page_info": map[string]any{"total_count": 2, "end_cursor": "c"}}, "", 1, "c"},
	} {
		v := start(t, func(w http.ResponseWriter, _ *http.Request) { reply(w, 200, c.body) })
		got, next, err := client(v).Accounts(t.Context(), pipedream.AccountFilter{After: c.after})
		if err != nil || len(got) != c.n || next != c.next {
			t.Errorf("%s: %d accounts, next %q, %v", name, len(got), next, err)
		}
	}
}

func TestValidate(t *testing.T) {
	t.Parallel()
	v := start(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Get("app_id") != "slack" || r.URL.Query().Get("oauth_app_id") != "oa_1" {
			t.Errorf("query %q", r.URL.RawQuery)
		}
		reply(w, 200, map[string]any{"success": true, "error": nil, "app": map[string]any{"name_slug": "slack"}, "oauth_app_id": "oa_1"})
	})
	c := client(v)
	got, err := c.Validate(t.Context(), secret.New(connectToken), "slack", "oa_1")
	if err != nil || got != (pipedream.Validation{Success: true, App: "slack", OAuthAppID: "oa_1"}) {
		t.Errorf("%+v %v", got, err)
	}
	v.answers <- func(w http.ResponseWriter, _ *http.Request) {
		reply(w, 200, map[string]any{"success": false, "error": "Token invalid"})
	}
	if got, err = c.Validate(t.Context(), secret.New(connectToken), "slack", "oa_1"); err != nil || got.Success || got.Error.Reveal() != "Token invalid" {
		t.Errorf("%+v %v", got, err)
	}
	if v.issued.Load() != 0 {
		t.Error("an access token was fetched for a call that wants none")
	}
}
