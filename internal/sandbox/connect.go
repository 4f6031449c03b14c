package sandbox

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/connectlink/connectlink/internal/postgres"
	"github.com/connectlink/connectlink/internal/secret"
)

// errSpent: the token was used, expired, or never existed.
var errSpent = errors.New("the connect token is spent or expired")

// webhookPlan is how the page's tester wants the webhook to behave.
type webhookPlan struct {
	copies int
	late   time.Duration
}

// connectAccount spends the token and makes the account, or refreshes the one
// it was asked to reconnect, and queues CONNECTION_SUCCESS: all or nothing.
func (s *Sandbox) connectAccount(ctx context.Context, token string, a *app, oauthAppID, reconnect string, plan webhookPlan) (apn string, err error) {
	t, c, found, err := s.findToken(ctx, token)
	if err != nil {
		return "", err
	}
	if !found {
		return "", errSpent
	}
	err = postgres.InTx(ctx, s.db, func(tx pgx.Tx) error {
		now := s.now()
		tag, err := tx.Exec(ctx, `UPDATE sandbox.connect_tokens SET spent_at = $2
			WHERE digest = $1 AND spent_at IS NULL AND expires_at > $2`, secret.Digest(secret.New(token)), now)
		if err != nil {
			return fmt.Errorf("spend connect token %s: %w", t.ID, err)
		}
		if tag.RowsAffected() == 0 {
			return errSpent
		}
		row, err := s.putAccount(ctx, tx, t, c, a, oauthAppID, reconnect, now)
		if err != nil {
			return err
		}
		apn = accountID(row.ID)
		js, err := s.accountJSON(row)
		if err != nil {
			return err
		}
		// Present in the published example, absent from the Account schema.
		js["app"].(map[string]any)["connect"] = map[string]any{"allowed_domains": nil, "base_proxy_target_url": nil, "proxy_enabled": false}
		return s.queueConnection(ctx, tx, c, map[string]any{
			"event": "CONNECTION_SUCCESS", "connect_token": token, "environment": t.Environment, "account": js,
		}, plan, now)
	})
	return apn, err
}

func (s *Sandbox) putAccount(ctx context.Context, tx pgx.Tx, t connectToken, c tokenContent, a *app, oauthAppID, reconnect string, now time.Time) (account, error) {
	if id, ok := parseAccountID(reconnect); ok {
		rows, err := tx.Query(ctx, `UPDATE sandbox.accounts SET updated_at = $2, healthy = true, dead = NULL, error = NULL
			WHERE id = $1 AND app = $3 AND environment = $4 AND user_hash = ANY($5) RETURNING `+accountColumns,
			id, now, a.slug, t.Environment, s.box.Hashes(userHash, c.ExternalUserID))
		if err == nil {
			var row account
			if row, err = pgx.CollectExactlyOneRow(rows, pgx.RowToStructByPos[account]); err == nil {
				return row, nil
			}
		}
		if !errors.Is(err, pgx.ErrNoRows) {
			return account{}, fmt.Errorf("reconnect account %s: %w", id, err)
		}
	}
	row := account{ID: newID(), App: a.slug, OAuthAppID: oauthAppID, CreatedAt: now, UpdatedAt: now, Healthy: true}
	plain, err := json.Marshal(accountContent{ExternalUserID: c.ExternalUserID, Name: "Acme Workspace"})
	if err != nil {
		return row, fmt.Errorf("encode account: %w", err)
	}
	if row.Content, err = s.box.Seal(plain, ad("accounts.content", row.ID)); err != nil {
		return row, fmt.Errorf("seal account: %w", err)
	}
	if _, err := tx.Exec(ctx, `INSERT INTO sandbox.accounts (id, project_id, environment, user_hash, app, oauth_app_id, content, created_at, updated_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $8)`,
		row.ID, t.ProjectID, t.Environment, s.box.Hash(userHash, c.ExternalUserID), a.slug, oauthAppID, row.Content, now); err != nil {
		return row, fmt.Errorf("insert account: %w", err)
	}
	return row, nil
}

// failConnection queues CONNECTION_ERROR. The token stays alive: whether a
// failed try spends it is not published, and this is what people need.
func (s *Sandbox) failConnection(ctx context.Context, token, message string, plan webhookPlan) error {
	t, c, found, err := s.findToken(ctx, token)
	if err != nil {
		return err
	}
	now := s.now()
	if !found || !t.alive(now) {
		return errSpent
	}
	return postgres.InTx(ctx, s.db, func(tx pgx.Tx) error {
		return s.queueConnection(ctx, tx, c, map[string]any{
			"event": "CONNECTION_ERROR", "connect_token": token, "environment": t.Environment, "error": message,
		}, plan, now)
	})
}

// connectionPost is the sealed payload of a queued connection webhook.
type connectionPost struct {
	URL     string          `json:"url"`
	Body    json.RawMessage `json:"body"`
	Account string          `json:"account,omitempty"`
}

func (s *Sandbox) queueConnection(ctx context.Context, tx pgx.Tx, c tokenContent, body map[string]any, plan webhookPlan, now time.Time) error {
	if c.WebhookURI == "" || plan.copies == 0 {
		return nil
	}
	// About 2^127 and written as a float: a client that decodes it into an
	// integer loses the whole payload, here as there.
	session := 1.4058728e38 + rand.Float64()*1e33
	body["connect_session_id"] = json.RawMessage(strconv.FormatFloat(session, 'e', -1, 64))
	js, err := json.Marshal(body)
	if err != nil {
		return fmt.Errorf("encode connection webhook: %w", err)
	}
	plain, err := json.Marshal(connectionPost{URL: c.WebhookURI, Body: js, Account: c.Account})
	if err != nil {
		return fmt.Errorf("encode connection webhook: %w", err)
	}
	due := s.faults.callbackDue(pipedream, now.Add(plan.late))
	for range plan.copies {
		id := newID()
		sealed, err := s.box.Seal(plain, ad("events.payload", id))
		if err != nil {
			return fmt.Errorf("seal connection webhook: %w", err)
		}
		if _, err := tx.Exec(ctx, `INSERT INTO sandbox.events (id, source, name, payload, happened_at, due_at)
			VALUES ($1, 'pipedream', $2, $3, $4, $5)`, id, body["event"], sealed, now, due); err != nil {
			return fmt.Errorf("insert connection webhook: %w", err)
		}
	}
	return nil
}

// postConnection posts one connection webhook, once: that Pipedream retries is
// not published, so a receiver must not lean on it.
func (s *Sandbox) postConnection(ctx context.Context, e *dueEvent) {
	plain, err := s.box.Open(e.Payload, ad("events.payload", e.ID))
	if err != nil {
		s.log.Error("sandbox connection webhook", "event", e.ID, "err", err)
		return
	}
	var p connectionPost
	if err := json.Unmarshal(plain, &p); err != nil {
		s.log.Error("sandbox connection webhook", "event", e.ID, "err", err)
		return
	}
	ctx, cancel := context.WithTimeout(ctx, postTimeout)
	defer cancel()
	for range 1 + s.faults.callbacks(pipedream).Copies + s.extraCopies(ctx, p.Account, FaultyPipedream) {
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, p.URL, bytes.NewReader(p.Body))
		if err != nil {
			return
		}
		req.Header.Set("Content-Type", jsonType)
		req.Header.Set("User-Agent", "Pipedream/1.0")
		e.answer = s.do(req)
	}
}
