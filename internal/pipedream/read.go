package pipedream

import (
	"cmp"
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// App is an app people can connect.
type App struct{ ID, Slug, Name, LogoURL, AuthType string }

// App reads an app by slug. Every error but "not found" says nothing about it.
func (c *Client) App(ctx context.Context, slug string) (App, error) {
	var got struct {
		Data appBody `json:"data"`
	}
	r := request{op: "get app", method: http.MethodGet, path: "/v1/connect/apps/" + url.PathEscape(slug)}
	if _, err := c.do(ctx, r, &got); err != nil {
		return App{}, err
	}
	if got.Data.NameSlug == "" {
		return App{}, &Error{Op: r.op, Status: http.StatusOK, Code: "bad_answer", Kind: Passing}
	}
	return got.Data.app(), nil
}

// Apps reads up to limit apps: those that fit words, as loosely as Pipedream's
// search is, or the ones it puts first where there are no words.
func (c *Client) Apps(ctx context.Context, words string, limit int) ([]App, error) {
	q := url.Values{"limit": {strconv.Itoa(limit)}}
	if words == "" {
		q.Set("sort_key", "featured_weight")
		q.Set("sort_direction", "desc")
	} else {
		q.Set("q", words)
	}
	var got struct {
		Data []appBody `json:"data"`
	}
	if _, err := c.do(ctx, request{op: "list apps", method: http.MethodGet, path: "/v1/connect/apps", query: q.Encode()}, &got); err != nil {
		return nil, err
	}
	apps := make([]App, 0, len(got.Data))
	for _, b := range got.Data {
		if b.NameSlug != "" {
			apps = append(apps, b.app())
		}
	}
	return apps, nil
}

type appBody struct {
	ID       string `json:"id"`
	NameSlug string `json:"name_slug"`
	Name     string `json:"name"`
	ImgSrc   string `json:"img_src"`
	AuthType string `json:"auth_type"` // "oauth", "keys", "none" or empty
}

func (b appBody) app() App {
	return App{ID: b.ID, Slug: b.NameSlug, Name: b.Name, LogoURL: b.ImgSrc, AuthType: b.AuthType}
}

// OAuthApp is an OAuth client of the project or its workspace.
type OAuthApp struct{ ID, AppSlug string }

// OAuthApp reads an OAuth client, to see that it exists and for which app.
func (c *Client) OAuthApp(ctx context.Context, id string) (OAuthApp, error) {
	var got struct {
		ID       string          `json:"id"`
		NameSlug string          `json:"name_slug"`
		App      json.RawMessage `json:"app"`
	}
	r := request{op: "get oauth app", method: http.MethodGet, path: c.project() + "/oauth_apps/" + url.PathEscape(id), scoped: true}
	if _, err := c.do(ctx, r, &got); err != nil {
		return OAuthApp{}, err
	}
	if got.ID == "" {
		got.ID = id
	}
	if got.NameSlug == "" {
		got.NameSlug = slugOf(got.App)
	}
	return OAuthApp{ID: got.ID, AppSlug: got.NameSlug}, nil
}

// Account is a connected account. Credentials are never asked for.
type Account struct {
	ID, Name, ExternalID, AppSlug string
	// Healthy is true of an account of which Pipedream says nothing bad; HealthKnown
	// tells whether it said anything. A Dead account will not recover.
	Healthy, HealthKnown, Dead bool
	Error                      string // why it is unhealthy, in Pipedream's words
	CreatedAt, UpdatedAt       time.Time
	// ReadAt is when Pipedream answered, by its own clock as CreatedAt and
	// UpdatedAt are; zero when it did not say.
	ReadAt time.Time
}

type accountBody struct {
	ID         string          `json:"id"`
	Name       *string         `json:"name"`
	ExternalID string          `json:"external_id"`
	Healthy    *bool           `json:"healthy"`
	Dead       *bool           `json:"dead"`
	Error      json.RawMessage `json:"error"`
	App        json.RawMessage `json:"app"`
	CreatedAt  time.Time       `json:"created_at"`
	UpdatedAt  time.Time       `json:"updated_at"`
}

func (b accountBody) account() Account {
	a := Account{ID: b.ID, ExternalID: b.ExternalID, AppSlug: slugOf(b.App), CreatedAt: b.CreatedAt, UpdatedAt: b.UpdatedAt}
	if b.Name != nil {
		a.Name = *b.Name
	}
	// Only the id is a required member; an account of which nothing bad is said
	// is taken for healthy.
	a.HealthKnown, a.Dead, a.Error = b.Healthy != nil || b.Dead != nil, b.Dead != nil && *b.Dead, wordsOf(b.Error)
	a.Healthy = (b.Healthy == nil || *b.Healthy) && (b.Dead == nil || !*b.Dead)
	return a
}

// Account reads one account by its "apn_…" id.
func (c *Client) Account(ctx context.Context, id string) (Account, error) {
	var got accountBody
	r := request{op: "get account", method: http.MethodGet, path: c.project() + "/accounts/" + url.PathEscape(id), scoped: true}
	answered, err := c.do(ctx, r, &got)
	if err != nil {
		return Account{}, err
	}
	if got.ID == "" {
		return Account{}, &Error{Op: r.op, Status: http.StatusOK, Code: "bad_answer", Kind: Passing}
	}
	a := got.account()
	a.ReadAt = answered.date
	return a, nil
}

// AccountFilter selects accounts; empty members do not select.
type AccountFilter struct {
	ExternalUserID, App, OAuthAppID string
	After                           string // the cursor of the previous page
	Limit                           int    // 0 for Pipedream's default
}

// Accounts reads one page of accounts, and the cursor of the next or "".
func (c *Client) Accounts(ctx context.Context, f AccountFilter) ([]Account, string, error) {
	q := url.Values{}
	for name, v := range map[string]string{
		"external_user_id": f.ExternalUserID, "app": f.App, "oauth_app_id": f.OAuthAppID, "after": f.After,
	} {
		if v != "" {
			q.Set(name, v)
		}
	}
	if f.Limit > 0 {
		q.Set("limit", strconv.Itoa(f.Limit))
	}
	var got struct {
		Data json.RawMessage `json:"data"`
		Page struct {
			TotalCount int    `json:"total_count"`
			EndCursor  string `json:"end_cursor"`
		} `json:"page_info"`
	}
	r := request{op: "list accounts", method: http.MethodGet, path: c.project() + "/accounts", query: q.Encode(), scoped: true}
	answered, err := c.do(ctx, r, &got)
	if err != nil {
		return nil, "", err
	}
	bodies, err := accountBodies(got.Data)
	if err != nil {
		return nil, "", &Error{Op: r.op, Status: http.StatusOK, Code: "bad_answer", Kind: Passing}
	}
	accounts := make([]Account, 0, len(bodies))
	for _, b := range bodies {
		a := b.account()
		a.ReadAt = answered.date
		accounts = append(accounts, a)
	}
	next := got.Page.EndCursor
	switch n := len(accounts); {
	case n == 0, next == f.After, f.Limit > 0 && n < f.Limit, f.After == "" && n == got.Page.TotalCount:
		next = ""
	}
	return accounts, next, nil
}

// accountBodies reads a list, or the object with a list that older documents show.
func accountBodies(raw json.RawMessage) ([]accountBody, error) {
	var list []accountBody
	if err := json.Unmarshal(raw, &list); err == nil {
		return list, nil
	}
	var nested struct {
		Accounts []accountBody `json:"accounts"`
	}
	err := json.Unmarshal(raw, &nested)
	return nested.Accounts, err
}

// wordsOf reads an error given as text, or as an object with a message. Which of them
// Pipedream sends is not published.
func wordsOf(raw json.RawMessage) string {
	var s string
	if json.Unmarshal(raw, &s) == nil {
		return s
	}
	var o struct {
		Message string `json:"message"`
		Error   string `json:"error"`
	}
	_ = json.Unmarshal(raw, &o)
	return cmp.Or(o.Message, o.Error)
}

// slugOf reads an app given as an object or as its slug.
func slugOf(raw json.RawMessage) string {
	var o struct {
		NameSlug string `json:"name_slug"`
	}
	if json.Unmarshal(raw, &o) == nil && o.NameSlug != "" {
		return o.NameSlug
	}
	var s string
	_ = json.Unmarshal(raw, &s)
	return s
}
