package pipedream

import (
	"context"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/connectlink/connectlink/internal/secret"
)

// CreateToken asks for a connect token. Empty members are left out.
type CreateToken struct {
	ExternalUserID     string
	Scope              string // of the connect token; Pipedream's default is all of connect
	SuccessRedirectURI secret.Text
	ErrorRedirectURI   secret.Text
	WebhookURI         secret.Text
	ExpiresIn          int // seconds, 1 to 14400; 0 for Pipedream's default, 14400
}

// Token is a connect token and its link, as Pipedream gave them.
type Token struct {
	Token          secret.Text
	ConnectLinkURL secret.Text
	ExpiresAt      time.Time
	// ServerDate is Pipedream's clock when it answered, whole seconds; zero if it
	// did not say. ReceivedAt is ours then.
	ServerDate, ReceivedAt time.Time
}

// CreateToken mints a connect token. It is retried; a token minted twice lapses.
func (c *Client) CreateToken(ctx context.Context, in CreateToken) (Token, error) {
	const op = "create token"
	body := map[string]any{"external_user_id": in.ExternalUserID}
	for name, v := range map[string]string{
		"scope":                in.Scope,
		"success_redirect_uri": in.SuccessRedirectURI.Reveal(),
		"error_redirect_uri":   in.ErrorRedirectURI.Reveal(),
		"webhook_uri":          in.WebhookURI.Reveal(),
	} {
		if v != "" {
			body[name] = v
		}
	}
	if in.ExpiresIn > 0 {
		body["expires_in"] = in.ExpiresIn
	}
	var got struct {
		Token          string    `json:"token"`
		ExpiresAt      time.Time `json:"expires_at"`
		ConnectLinkURL string    `json:"connect_link_url"`
	}
	a, err := c.do(ctx, request{
		op: op, method: http.MethodPost, path: c.project() + "/tokens", body: body, scoped: true,
	}, &got)
	if err != nil {
		return Token{}, err
	}
	if got.Token == "" || got.ExpiresAt.IsZero() || got.ConnectLinkURL == "" {
		return Token{}, &Error{Op: op, Status: http.StatusOK, Code: "bad_answer", Kind: Passing}
	}
	if code := c.checkLink(got.ConnectLinkURL); code != "" {
		return Token{}, &Error{Op: op, Status: http.StatusOK, Code: code, Kind: Lasting}
	}
	return Token{
		Token:          secret.New(got.Token),
		ConnectLinkURL: secret.New(got.ConnectLinkURL),
		ExpiresAt:      got.ExpiresAt,
		ServerDate:     a.date,
		ReceivedAt:     c.p.Now(),
	}, nil
}

// checkLink refuses links we would not want to send people to. The form of
// token and path is Pipedream's business.
func (c *Client) checkLink(link string) (code string) {
	u, err := url.Parse(link)
	if err != nil || u.Host == "" || u.User != nil {
		return "link_not_a_url"
	}
	host := strings.ToLower(u.Hostname())
	switch u.Scheme {
	case "https":
	case "http":
		if ip := net.ParseIP(host); host != "localhost" && (ip == nil || !ip.IsLoopback()) {
			return "link_not_https"
		}
	default:
		return "link_not_https"
	}
	if len(c.p.LinkHosts) == 0 {
		return ""
	}
	for _, allowed := range c.p.LinkHosts {
		allowed = strings.ToLower(allowed)
		if host == allowed || strings.HasPrefix(allowed, ".") && strings.HasSuffix(host, allowed) {
			return ""
		}
	}
	return "link_host_not_allowed"
}

// Validation is Pipedream's word on a connect token and an app.
type Validation struct {
	Success    bool
	Error      secret.Text // Pipedream's words
	App        string
	OAuthAppID string
}

// Validate asks whether a token is alive and fits the app. It is what the
// hosted page asks itself, and it is not known to spend the token.
func (c *Client) Validate(ctx context.Context, token secret.Text, app, oauthAppID string) (Validation, error) {
	q := url.Values{}
	if app != "" {
		q.Set("app_id", app)
	}
	if oauthAppID != "" {
		q.Set("oauth_app_id", oauthAppID)
	}
	var got struct {
		Success    bool   `json:"success"`
		Error      any    `json:"error"`
		App        any    `json:"app"`
		OAuthAppID string `json:"oauth_app_id"`
	}
	_, err := c.do(ctx, request{
		op: "validate token", method: http.MethodGet,
		path: "/v1/connect/tokens/" + url.PathEscape(token.Reveal()) + "/validate", query: q.Encode(),
		public: true, // the token is the credential
	}, &got)
	if err != nil {
		return Validation{}, err
	}
	v := Validation{Success: got.Success, OAuthAppID: got.OAuthAppID}
	if s, ok := got.Error.(string); ok {
		v.Error = secret.New(s)
	}
	switch app := got.App.(type) {
	case string:
		v.App = app
	case map[string]any:
		v.App, _ = app["name_slug"].(string)
	}
	return v, nil
}

// project is the escaped path of the project.
func (c *Client) project() string { return "/v1/connect/" + url.PathEscape(c.p.ProjectID) }
