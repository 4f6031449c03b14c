package sandbox

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/connectlink/connectlink/internal/secret"
)

// maxTokenLife is the longest and default life of a Connect token, in seconds.
const maxTokenLife = 14400

// connectToken is one row of sandbox.connect_tokens. The token itself is not
// stored: its holder sends it.
type connectToken struct {
	Digest      []byte
	ID          uuid.UUID
	ProjectID   string
	Environment string
	App         string
	OAuthAppID  string
	Scope       string
	Content     []byte
	CreatedAt   time.Time
	ExpiresAt   time.Time
	SpentAt     *time.Time
}

// tokenContent is the sealed part of a Connect token.
type tokenContent struct {
	ExternalUserID string `json:"external_user_id"`
	SuccessURI     string `json:"success_redirect_uri,omitempty"`
	ErrorURI       string `json:"error_redirect_uri,omitempty"`
	WebhookURI     string `json:"webhook_uri,omitempty"`
	Account        string `json:"account,omitempty"` // whose faults its webhooks meet
}

// mintRequest is create-token's body. A body may carry members we never heard
// of; Pipedream's treatment of them is not published, so they pass.
type mintRequest struct {
	ExternalUserID string   `json:"external_user_id"`
	ExpiresIn      *int     `json:"expires_in"`
	Scope          *string  `json:"scope"`
	SuccessURI     string   `json:"success_redirect_uri"`
	ErrorURI       string   `json:"error_redirect_uri"`
	WebhookURI     string   `json:"webhook_uri"`
	AllowedOrigins []string `json:"allowed_origins"`
	Progressive    bool     `json:"allow_progressive_scopes"`
	AppID          string   `json:"app_id"`
	OAuthAppID     string   `json:"oauth_app_id"`
}

func (in *mintRequest) fault() string {
	switch {
	case in.ExternalUserID == "":
		return "external_user_id is required"
	case utf8.RuneCountInString(in.ExternalUserID) > 250:
		return "external_user_id must be at most 250 characters"
	case in.ExpiresIn != nil && (*in.ExpiresIn < 1 || *in.ExpiresIn > maxTokenLife):
		return "expires_in must be between 1 and 14400"
	case in.AppID != "" && findApp(in.AppID) == nil:
		return "app not found"
	case in.OAuthAppID != "" && !strings.HasPrefix(in.OAuthAppID, "oa_"):
		return "oauth_app_id is invalid"
	}
	if in.Scope != nil {
		for sc := range strings.FieldsSeq(*in.Scope) {
			if !strings.HasPrefix(sc, "connect:") { // "*" above all
				return "scope is not allowed: " + sc
			}
		}
	}
	for _, u := range []string{in.SuccessURI, in.ErrorURI, in.WebhookURI} {
		if p, err := url.Parse(u); u != "" && (err != nil || p.Scheme == "") {
			return "redirect and webhook URIs must be absolute"
		}
	}
	return ""
}

// mint is POST /v1/connect/{project_id}/tokens.
func (s *Sandbox) mint(w http.ResponseWriter, r *http.Request, environment string) {
	var in mintRequest
	if !decodeSmall(w, r, &in) {
		return
	}
	if fault := in.fault(); fault != "" {
		pipedreamError(w, http.StatusBadRequest, fault)
		return
	}
	now := s.now()
	if ok, reset := s.mintRate.take(environment+in.ExternalUserID, now); !ok {
		s.pipedreamThrottled(w, mintsPerMinute, reset)
		return
	}
	life := time.Duration(maxTokenLife) * time.Second
	if in.ExpiresIn != nil {
		life = time.Duration(*in.ExpiresIn) * time.Second
	}
	switch script, err := s.mintScript(r.Context(), in.ExternalUserID); {
	case err != nil:
		s.ownFault(w, pipedream, "mint", err)
		return
	case script == MintFails:
		pipedreamError(w, http.StatusForbidden, "this workspace may not create tokens for this user")
		return
	case script == MintSlow:
		pipedreamError(w, http.StatusServiceUnavailable, "temporarily unavailable")
		return
	case script == MintShort:
		life = min(life, s.paces(5))
	}
	token := "ctok_" + randomHex(16)
	expires := now.Add(life).Truncate(time.Millisecond)
	if err := s.storeToken(r.Context(), token, in, accountOf(r), environment, now, expires); err != nil {
		s.ownFault(w, pipedream, "mint", err)
		return
	}
	writeJSON(w, http.StatusOK, pipedreamType, map[string]string{
		"token":            token,
		"expires_at":       expires.UTC().Format("2006-01-02T15:04:05.000+00:00"),
		"connect_link_url": s.public.String() + "/connect.html?token=" + token + "&connectLink=true",
	})
}

func (s *Sandbox) storeToken(ctx context.Context, token string, in mintRequest, account, environment string, now, expires time.Time) error {
	row := connectToken{
		Digest: secret.Digest(secret.New(token)), ID: newID(), ProjectID: s.cred.PipedreamProjectID, Environment: environment,
		App: in.AppID, OAuthAppID: in.OAuthAppID, Scope: "connect:*", CreatedAt: now, ExpiresAt: expires,
	}
	if in.Scope != nil {
		row.Scope = *in.Scope
	}
	plain, err := json.Marshal(tokenContent{
		ExternalUserID: in.ExternalUserID, SuccessURI: in.SuccessURI, ErrorURI: in.ErrorURI, WebhookURI: in.WebhookURI, Account: account,
	})
	if err != nil {
		return fmt.Errorf("encode connect token: %w", err)
	}
	if row.Content, err = s.box.Seal(plain, ad("connect_tokens.content", row.ID)); err != nil {
		return fmt.Errorf("seal connect token: %w", err)
	}
	return s.takeTokens.put(ctx, row)
}

func (s *Sandbox) insertConnectTokens(ctx context.Context, rows []connectToken) error {
	var b pgx.Batch
	for _, t := range rows {
		b.Queue(`INSERT INTO sandbox.connect_tokens (digest, id, project_id, environment, app, oauth_app_id, scope, content, created_at, expires_at)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)`,
			t.Digest, t.ID, t.ProjectID, t.Environment, t.App, t.OAuthAppID, t.Scope, t.Content, t.CreatedAt, t.ExpiresAt)
	}
	// A pipelined batch is one implicit transaction: one commit for all.
	if err := s.db.SendBatch(ctx, &b).Close(); err != nil {
		return fmt.Errorf("insert %d connect tokens: %w", len(rows), err)
	}
	return nil
}

// findToken reads a token's row, alive or not.
func (s *Sandbox) findToken(ctx context.Context, token string) (t connectToken, c tokenContent, found bool, err error) {
	rows, err := s.db.Query(ctx, `SELECT digest, id, project_id, environment, app, oauth_app_id, scope, content, created_at, expires_at, spent_at
		FROM sandbox.connect_tokens WHERE digest = $1`, secret.Digest(secret.New(token)))
	if err == nil {
		t, err = pgx.CollectExactlyOneRow(rows, pgx.RowToStructByPos[connectToken])
	}
	if errors.Is(err, pgx.ErrNoRows) {
		return t, c, false, nil
	}
	if err != nil {
		return t, c, false, fmt.Errorf("read connect token: %w", err)
	}
	plain, err := s.box.Open(t.Content, ad("connect_tokens.content", t.ID))
	if err != nil {
		return t, c, false, fmt.Errorf("open connect token %s: %w", t.ID, err)
	}
	if err := json.Unmarshal(plain, &c); err != nil {
		return t, c, false, fmt.Errorf("decode connect token %s: %w", t.ID, err)
	}
	return t, c, true, nil
}

// alive reports whether the token still connects something.
func (t connectToken) alive(now time.Time) bool { return t.SpentAt == nil && now.Before(t.ExpiresAt) }

// validateToken is the hosted page's own question. The token is the only
// credential. A token that will not do is a 200 with success false.
func (s *Sandbox) validateToken(w http.ResponseWriter, r *http.Request, token string) {
	q := r.URL.Query()
	out := map[string]any{"success": false, "error": nil}
	t, c, found, err := s.findToken(r.Context(), token)
	if err != nil {
		s.ownFault(w, pipedream, "validate", err)
		return
	}
	app := findApp(q.Get("app_id"))
	switch {
	case !found || !t.alive(s.now()):
		out["error"] = "Token is invalid or expired, please generate a new one"
	case app == nil:
		out["error"] = "App not found, please check the app id"
	default:
		out["success"] = true
		out["app"] = s.appJSON(app, q.Get("oauth_app_id"))
		if id := q.Get("oauth_app_id"); id != "" {
			out["oauth_app_id"] = id
		}
		out["project_id"], out["project_environment"] = t.ProjectID, t.Environment
		out["project_app_name"], out["project_support_email"] = s.app, ""
		out["success_redirect_uri"], out["error_redirect_uri"] = c.SuccessURI, c.ErrorURI
	}
	writeJSON(w, http.StatusOK, pipedreamType, out)
}
