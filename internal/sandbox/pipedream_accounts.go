package sandbox

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// account is one row of sandbox.accounts.
type account struct {
	ID         uuid.UUID
	App        string
	OAuthAppID string
	Content    []byte
	CreatedAt  time.Time
	UpdatedAt  time.Time
	Healthy    bool
	Dead       *bool
	Error      *string
}

type accountContent struct {
	ExternalUserID string `json:"external_id"`
	Name           string `json:"name"`
}

const (
	accountColumns = `id, app, oauth_app_id, content, created_at, updated_at, healthy, dead, error`
	userHash       = "sandbox.external_user"
)

func accountID(id uuid.UUID) string { return "apn_" + hex.EncodeToString(id[:]) }

func parseAccountID(s string) (uuid.UUID, bool) {
	rest, ok := strings.CutPrefix(s, "apn_")
	raw, err := hex.DecodeString(rest)
	if !ok || err != nil || len(raw) != 16 {
		return uuid.Nil, false
	}
	return uuid.UUID(raw), true
}

func (s *Sandbox) openAccount(a account) (accountContent, error) {
	var c accountContent
	plain, err := s.box.Open(a.Content, ad("accounts.content", a.ID))
	if err != nil {
		return c, fmt.Errorf("open account %s: %w", a.ID, err)
	}
	if err := json.Unmarshal(plain, &c); err != nil {
		return c, fmt.Errorf("decode account %s: %w", a.ID, err)
	}
	return c, nil
}

// accountJSON is the Account resource.
func (s *Sandbox) accountJSON(a account) (map[string]any, error) {
	c, err := s.openAccount(a)
	if err != nil {
		return nil, err
	}
	app := findApp(a.App)
	if app == nil {
		return nil, fmt.Errorf("account %s: app %q left the catalogue", a.ID, a.App)
	}
	const iso = "2006-01-02T15:04:05.000Z"
	return map[string]any{
		"id": accountID(a.ID), "name": c.Name, "external_id": c.ExternalUserID, "healthy": a.Healthy, "dead": a.Dead,
		"app": s.appJSON(app, a.OAuthAppID), "created_at": a.CreatedAt.UTC().Format(iso), "updated_at": a.UpdatedAt.UTC().Format(iso),
		"authorized_scopes": []string{}, "error": a.Error, "last_refreshed_at": nil, "next_refresh_at": nil,
	}, nil
}

// listAccounts is GET …/accounts: {data, page_info}.
func (s *Sandbox) listAccounts(w http.ResponseWriter, r *http.Request, environment string) {
	q := r.URL.Query()
	var users [][]byte
	if u := q.Get("external_user_id"); u != "" {
		for _, h := range s.box.Hashes(userHash, u) {
			users = append(users, h)
		}
	}
	slug := q.Get("app")
	if a := findApp(slug); a != nil {
		slug = a.slug
	}
	rows, err := s.db.Query(r.Context(), `SELECT `+accountColumns+` FROM sandbox.accounts
		WHERE project_id = $1 AND environment = $2 AND ($3::bytea[] IS NULL OR user_hash = ANY($3))
		  AND ($4 = '' OR app = $4) AND ($5 = '' OR oauth_app_id = $5)
		ORDER BY created_at DESC, id DESC LIMIT 1000`,
		s.cred.PipedreamProjectID, environment, users, slug, q.Get("oauth_app_id"))
	var found []account
	if err == nil {
		found, err = pgx.CollectRows(rows, pgx.RowToStructByPos[account])
	}
	if err != nil {
		s.ownFault(w, pipedream, "accounts", fmt.Errorf("list accounts: %w", err))
		return
	}
	page, info := paged(r, found, func(a account) string { return accountID(a.ID) })
	data := make([]map[string]any, len(page))
	for i, a := range page {
		if data[i], err = s.accountJSON(a); err != nil {
			s.ownFault(w, pipedream, "accounts", err)
			return
		}
	}
	writeJSON(w, http.StatusOK, pipedreamType, map[string]any{"data": data, "page_info": info})
}

// getAccount is GET …/accounts/{id}: the bare Account, not wrapped.
func (s *Sandbox) getAccount(w http.ResponseWriter, r *http.Request, environment, apn string) {
	id, ok := parseAccountID(apn)
	if !ok {
		pipedreamError(w, http.StatusNotFound, "record not found")
		return
	}
	a, found, err := s.findAccount(r.Context(), id, environment)
	if err != nil {
		s.ownFault(w, pipedream, "accounts", err)
		return
	}
	if !found {
		pipedreamError(w, http.StatusNotFound, "record not found")
		return
	}
	js, err := s.accountJSON(a)
	if err != nil {
		s.ownFault(w, pipedream, "accounts", err)
		return
	}
	writeJSON(w, http.StatusOK, pipedreamType, js)
}

func (s *Sandbox) findAccount(ctx context.Context, id uuid.UUID, environment string) (a account, found bool, err error) {
	rows, err := s.db.Query(ctx, `SELECT `+accountColumns+` FROM sandbox.accounts WHERE id = $1 AND project_id = $2 AND environment = $3`,
		id, s.cred.PipedreamProjectID, environment)
	if err == nil {
		a, err = pgx.CollectExactlyOneRow(rows, pgx.RowToStructByPos[account])
	}
	if errors.Is(err, pgx.ErrNoRows) {
		return a, false, nil
	}
	if err != nil {
		return a, false, fmt.Errorf("read account %s: %w", id, err)
	}
	return a, true, nil
}
