package sandbox

import (
	"encoding/base64"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// app is an entry of Pipedream's catalogue.
type app struct {
	id, slug, name, auth, about, category string
	weight                                int
}

// apps is a dozen of the several thousand. Ids are made up; the rest is what
// the catalogue says.
func apps() []app {
	return []app{
		{"app_OkrhR1", "slack", "Slack", "oauth", "Slack is a channel-based messaging platform.", "Communication", 1000000110},
		{"app_168hvn", "google_sheets", "Google Sheets", "oauth", "Use Google Sheets to create and edit online spreadsheets.", "Productivity", 1000000098},
		{"app_mWnheL", "gmail", "Gmail", "oauth", "Gmail offers private and secure email by Google.", "Communication", 1000000095},
		{"app_1Z2hw1", "google_drive", "Google Drive", "oauth", "Store, share and access files from any device.", "File Storage", 1000000092},
		{"app_OrZhaO", "github", "GitHub", "oauth", "Where the world builds software.", "Developer Tools", 1000000090},
		{"app_X7Lhxr", "notion", "Notion", "oauth", "One workspace for notes, documents and projects.", "Productivity", 1000000088},
		{"app_13Gh2V", "airtable_oauth", "Airtable", "oauth", "A low-code platform for collaborative apps.", "Productivity", 1000000085},
		{"app_1oZhwq", "hubspot", "HubSpot", "oauth", "A customer platform for marketing, sales and service.", "CRM", 1000000084},
		{"app_m5ghQZ", "salesforce_rest_api", "Salesforce (REST API)", "oauth", "Cloud-based customer relationship management.", "CRM", 1000000080},
		{"app_k1BhdP", "google_search_console", "Google Search Console", "oauth", "Measure a site's search traffic and performance.", "Marketing", 1000000040},
		{"app_9Kdh3b", "stripe", "Stripe", "keys", "Payments infrastructure for the internet.", "Payment Processing", 1000000078},
		{"app_m0wh7Y", "openai", "OpenAI (ChatGPT)", "keys", "An AI research and deployment company.", "Artificial Intelligence (AI)", 1000000105},
		{"app_k7Lhnz", "rss", "RSS", "none", "Real Simple Syndication.", "News & Lifestyle", 1000000020},
	}
}

// findApp finds by slug or id.
func findApp(slugOrID string) *app {
	list := apps()
	if i := slices.IndexFunc(list, func(a app) bool { return slugOrID != "" && (a.slug == slugOrID || a.id == slugOrID) }); i >= 0 {
		return &list[i]
	}
	return nil
}

// appJSON is the App resource. With an OAuth client of the customer's own, id
// names that.
func (s *Sandbox) appJSON(a *app, oauthAppID string) map[string]any {
	id := a.id
	if oauthAppID != "" {
		id = oauthAppID
	}
	return map[string]any{
		"id": id, "name_slug": a.slug, "name": a.name, "auth_type": a.auth, "description": a.about,
		"img_src":            s.logoAddress(a),
		"custom_fields_json": "[]", "categories": []string{a.category}, "featured_weight": a.weight, "scope_profiles": []any{},
	}
}

func (s *Sandbox) serveApps(w http.ResponseWriter, r *http.Request, rest []string) {
	if len(rest) == 1 {
		a := findApp(rest[0])
		if a == nil {
			pipedreamError(w, http.StatusNotFound, "record not found")
			return
		}
		writeJSON(w, http.StatusOK, pipedreamType, map[string]any{"data": s.appJSON(a, "")})
		return
	}
	q := r.URL.Query()
	want := strings.ToLower(q.Get("q"))
	var found []app
	for _, a := range apps() {
		// Fuzzy, as the real one: a caller that wants one app compares name_slug.
		if strings.Contains(a.slug, want) || strings.Contains(strings.ToLower(a.name+" "+a.about), want) {
			found = append(found, a)
		}
	}
	slices.SortFunc(found, func(x, y app) int {
		switch q.Get("sort_key") {
		case "name":
			return strings.Compare(x.name, y.name)
		case "name_slug":
			return strings.Compare(x.slug, y.slug)
		}
		return y.weight - x.weight
	})
	page, info := paged(r, found, func(a app) string { return a.slug })
	data := make([]map[string]any, len(page))
	for i, a := range page {
		data[i] = s.appJSON(&a, "")
	}
	writeJSON(w, http.StatusOK, pipedreamType, map[string]any{"data": data, "page_info": info})
}

// paged cuts a list by "after" and "limit", with Pipedream's page_info.
func paged[T any](r *http.Request, all []T, key func(T) string) ([]T, map[string]any) {
	cursor := func(v T) string { return base64.RawURLEncoding.EncodeToString([]byte(key(v))) }
	start := 0
	if after := r.URL.Query().Get("after"); after != "" {
		start = len(all)
		if i := slices.IndexFunc(all, func(v T) bool { return cursor(v) == after }); i >= 0 {
			start = i + 1
		}
	}
	limit, err := strconv.Atoi(r.URL.Query().Get("limit"))
	if err != nil || limit < 1 || limit > 100 {
		limit = 10
	}
	page := all[start:min(start+limit, len(all))]
	info := map[string]any{"count": len(page), "total_count": len(all), "start_cursor": nil, "end_cursor": nil}
	if len(page) > 0 {
		info["start_cursor"], info["end_cursor"] = cursor(page[0]), cursor(page[len(page)-1])
	}
	return page, info
}

// serveOAuthApps takes any oa_…: a test need not register clients. "oa_gone…"
// is one that does not exist.
func (s *Sandbox) serveOAuthApps(w http.ResponseWriter, r *http.Request, rest []string) {
	if len(rest) == 0 {
		writeJSON(w, http.StatusOK, pipedreamType, map[string]any{"data": []any{}, "page_info": map[string]any{
			"count": 0, "total_count": 0, "start_cursor": nil, "end_cursor": nil,
		}})
		return
	}
	id := rest[0]
	if !strings.HasPrefix(id, "oa_") || strings.HasPrefix(id, "oa_gone") {
		pipedreamError(w, http.StatusNotFound, "record not found")
		return
	}
	// Which app it belongs to may be written into it: oa_googlesheets1.
	a := findApp("slack")
	for _, one := range apps() {
		if strings.HasPrefix(strings.ToLower(id), "oa_"+strings.ReplaceAll(one.slug, "_", "")) {
			a = &one
			break
		}
	}
	out := s.appJSON(a, id)
	out["client_id"], out["owner_id"] = "1234567890.apps.example.com", s.cred.PipedreamProjectID
	out["scopes"], out["additional_scopes"], out["redirect_uri"] = []string{}, nil, nil
	writeJSON(w, http.StatusOK, pipedreamType, out)
}
