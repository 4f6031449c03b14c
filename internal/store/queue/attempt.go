package queue

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/postgres"
)

// NewAttempt is a call that is about to be made.
type NewAttempt struct {
	Lease
	ID              invite.AttemptID
	LinkID          invite.LinkID // the connect link it carries, if it carries one
	Provider        string
	Account         string
	TemplateVersion string
}

// Begin records attempts and, in the same breath, extends their leases past
// the end of the calls: it is the fence before them. It returns those that
// were recorded; for others the lease is lost, and their call must not be made. The invites must be locked.
func Begin(ctx context.Context, tx pgx.Tx, attempts []NewAttempt, lease time.Duration) (map[invite.AttemptID]bool, error) {
	held := make([]Lease, len(attempts))
	var (
		ids                         []invite.AttemptID
		links                       []invite.LinkID
		providers, accounts, drafts []string
	)
	for i, a := range attempts {
		held[i] = a.Lease
		ids = append(ids, a.ID)
		links = append(links, a.LinkID)
		providers = append(providers, a.Provider)
		accounts = append(accounts, a.Account)
		drafts = append(drafts, a.TemplateVersion)
	}
	c := columns(held)
	rows, _ := tx.Query(ctx, `
		WITH t AS (
			SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::bigint[], $4::bigint[], $5::uuid[], $6::uuid[], $7::text[], $8::text[], $9::text[])
				AS t(invite_id, id, token, owner, attempt_id, link_id, provider, account, template_version)
		), f AS (
			UPDATE deliveries d SET next_at = now() + make_interval(secs => $10), attempts = d.attempts + 1
			FROM t WHERE d.invite_id = t.invite_id AND d.id = t.id AND `+ofOwner+` AND `+inQueue+`
			RETURNING d.invite_id, d.id, d.attempts, d.lease_token, t.attempt_id, t.link_id, t.provider, t.account, t.template_version
		)
		INSERT INTO attempts (invite_id, delivery_id, id, number, provider, account, template_version, lease_token, link_id, started_at)
		SELECT invite_id, id, attempt_id, attempts, provider, account, template_version, lease_token, link_id, now() FROM f
		RETURNING id`,
		c.invites, c.deliveries, c.tokens, c.owners, ids, links, providers, accounts, drafts, lease.Seconds())
	begun, err := pgx.CollectRows(rows, pgx.RowTo[invite.AttemptID])
	if err != nil {
		return nil, fmt.Errorf("begin %d attempts: %w", len(attempts), postgres.Translate(err))
	}
	out := make(map[invite.AttemptID]bool, len(begun))
	for _, id := range begun {
		out[id] = true
	}
	return out, nil
}

// Result is what became of an attempt.
type Result struct {
	InviteID          invite.ID
	AttemptID         invite.AttemptID
	Outcome           string
	ProviderMessageID string
	HTTPStatus        int
	ProviderCode      string
	Detail            []byte // sealed
}

// SetResults records the results of attempts, also without their leases: a late
// result is still true. A less specific result does not replace a more specific
// one: an acceptance stays, and an unknown outcome never overwrites a known
// one.
func SetResults(ctx context.Context, tx pgx.Tx, results []Result) error {
	var (
		invites                  []invite.ID
		ids                      []invite.AttemptID
		outcomes, messages, code []string
		status                   []int32
		details                  [][]byte
	)
	for _, r := range results {
		invites = append(invites, r.InviteID)
		ids = append(ids, r.AttemptID)
		outcomes = append(outcomes, r.Outcome)
		messages = append(messages, r.ProviderMessageID)
		code = append(code, r.ProviderCode)
		status = append(status, int32(r.HTTPStatus))
		details = append(details, r.Detail)
	}
	_, err := tx.Exec(ctx, `
		UPDATE attempts a SET outcome = t.outcome, finished_at = coalesce(a.finished_at, now()),
			provider_message_id = CASE WHEN t.message_id <> '' THEN t.message_id ELSE a.provider_message_id END,
			http_status = CASE WHEN t.http_status <> 0 THEN t.http_status ELSE a.http_status END,
			provider_code = CASE WHEN t.provider_code <> '' THEN t.provider_code ELSE a.provider_code END,
			detail = CASE WHEN t.detail IS NULL THEN a.detail
				WHEN NOT EXISTS (SELECT FROM invites i WHERE i.id = a.invite_id AND i.erased_at IS NOT NULL) THEN t.detail END
		FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[], $5::int[], $6::text[], $7::bytea[])
			AS t(invite_id, id, outcome, message_id, http_status, provider_code, detail)
		WHERE a.invite_id = t.invite_id AND a.id = t.id
			AND (t.outcome = 'accepted' OR a.outcome IN ('open', 'unknown') OR (a.outcome = 'abandoned' AND t.outcome <> 'unknown'))`,
		invites, ids, outcomes, messages, status, code, details)
	if err != nil {
		return fmt.Errorf("record %d results: %w", len(results), postgres.Translate(err))
	}
	return nil
}

// SetNext gives deliveries back to be due after a delay. It is for a transaction
// that has asked Held before; a delivery that was settled meanwhile stays so.
func SetNext(ctx context.Context, tx pgx.Tx, held []Lease, after []time.Duration) error {
	c := columns(held)
	secs := make([]float64, len(after))
	for i, d := range after {
		secs[i] = d.Seconds()
	}
	_, err := tx.Exec(ctx, `
		UPDATE deliveries d SET next_at = now() + make_interval(secs => t.after), lease_owner = NULL
		FROM unnest($1::uuid[], $2::uuid[], $3::bigint[], $4::float8[]) AS t(invite_id, id, token, after)
		WHERE d.invite_id = t.invite_id AND d.id = t.id AND d.lease_token = t.token AND `+inQueue,
		c.invites, c.deliveries, c.tokens, secs)
	if err != nil {
		return fmt.Errorf("reschedule %d deliveries: %w", len(held), postgres.Translate(err))
	}
	return nil
}
