package queue

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/postgres"
	"github.com/connectlink/connectlink/internal/seal"
)

// NewAttempt is a call that is about to be made.
type NewAttempt struct {
	Lease
	ID invite.AttemptID
	// Version is the invite's when the message was rendered.
	Version         int
	LinkID          invite.LinkID // the connect link it carries, if it carries one
	Provider        string
	Account         string
	TemplateVersion string
	// BlockKeys are the keys under which a suppression of its address is stored.
	BlockKeys []seal.Hash
}

// Begun is the answer of Begin for one attempt. An attempt that is neither OK, nor
// Stale, nor blocked has lost its lease.
type Begun struct {
	OK    bool         // recorded: the call may be made
	At    time.Time    // when it was recorded; zero unless OK
	Stale bool         // the invite changed after the message was rendered
	Block invite.Block // the address is suppressed; empty for none
}

// Begin records attempts and extends their leases past the end of the calls, in one
// transaction of one round trip. It is the fence before the calls: an attempt is
// recorded only if its lease is held, its invite has the version of the message,
// and its address is not suppressed. The answers are keyed by attempt.
//
// Begin locks the deliveries and not their invites. All who raise an invite's version
// lock its deliveries too, so the version, which is read after they are locked, is
// current. A connect link that leaves with a message changes its invite: those
// invites are locked first, and more adds the statement that records it.
//
// The delivery's status is set here, as invite.Fold sets it for
// EventDeliverySending. No event is stored: the attempt is the timeline's entry.
//
// After an error the attempts may have been recorded; see postgres.IsRolledBack.
func Begin(ctx context.Context, db postgres.DB, attempts []NewAttempt, lease time.Duration, more ...func(*pgx.Batch)) (map[invite.AttemptID]Begun, error) {
	batch := &pgx.Batch{}
	batch.Queue(durablePrelude)
	begun := make(map[invite.AttemptID]Begun, len(attempts))
	queueBegin(batch, attempts, lease, begun)
	for _, add := range more {
		add(batch)
	}
	if err := db.SendBatch(ctx, batch).Close(); err != nil {
		return nil, fmt.Errorf("begin %d attempts: %w", len(attempts), postgres.Translate(err))
	}
	return begun, nil
}

func queueBegin(batch *pgx.Batch, attempts []NewAttempt, lease time.Duration, begun map[invite.AttemptID]Begun) {
	var (
		held                           []Lease
		ids, keyed                     []invite.AttemptID
		versions                       []int32
		links                          []invite.LinkID
		handingOut                     []invite.ID
		providers, accounts, templates []string
		keys                           []seal.Hash
	)
	for _, a := range attempts {
		held = append(held, a.Lease)
		ids = append(ids, a.ID)
		versions = append(versions, int32(a.Version))
		links = append(links, a.LinkID)
		providers = append(providers, a.Provider)
		accounts = append(accounts, a.Account)
		templates = append(templates, a.TemplateVersion)
		for _, k := range a.BlockKeys {
			keyed, keys = append(keyed, a.ID), append(keys, k)
		}
		if !a.LinkID.IsZero() {
			handingOut = append(handingOut, a.InviteID)
		}
	}
	c := columns(held)
	if len(handingOut) > 0 {
		batch.Queue(`SELECT FROM invites WHERE id = ANY($1) ORDER BY id FOR NO KEY UPDATE`, handingOut)
	}
	batch.Queue(`
		SELECT FROM unnest($1::uuid[], $2::uuid[]) AS t(invite_id, id)
		JOIN deliveries d ON d.invite_id = t.invite_id AND d.id = t.id
		ORDER BY d.invite_id, d.number -- as ledger locks them: no circle closes
		FOR NO KEY UPDATE OF d`, c.invites, c.deliveries)
	batch.Queue(`
		WITH t AS (
			SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::bigint[], $4::bigint[], $5::uuid[], $6::int[], $7::uuid[], $8::text[], $9::text[], $10::text[])
				AS t(invite_id, id, token, owner, attempt_id, version, link_id, provider, account, template_version)
		), unchanged AS MATERIALIZED (
			SELECT t.attempt_id FROM t JOIN invites i ON i.id = t.invite_id WHERE i.seq = t.version
		), blocked AS MATERIALIZED (
			SELECT DISTINCT ON (k.attempt_id) k.attempt_id, s.kind
			FROM unnest($11::uuid[], $12::bytea[]) AS k(attempt_id, hash)
			JOIN suppressions s ON s.hash = k.hash AND s.lifted_at IS NULL
			ORDER BY k.attempt_id, s.kind = 'opt_out' DESC, s.id -- an opt-out weighs most
		), begun AS (
			UPDATE deliveries d SET next_at = now() + make_interval(secs => $13), attempts = d.attempts + 1, updated_at = now(),
				status = CASE d.status WHEN 'queued' THEN 'sending' ELSE d.status END,
				provider = CASE d.status WHEN 'queued' THEN t.provider ELSE d.provider END,
				reason = CASE d.status WHEN 'queued' THEN '' ELSE d.reason END,
				provider_code = CASE d.status WHEN 'queued' THEN '' ELSE d.provider_code END
			FROM t WHERE d.invite_id = t.invite_id AND d.id = t.id AND `+ofOwner+` AND `+inQueue+`
				AND t.attempt_id IN (SELECT attempt_id FROM unchanged) AND t.attempt_id NOT IN (SELECT attempt_id FROM blocked)
			RETURNING d.invite_id, d.id, d.attempts, d.lease_token, t.attempt_id, t.version, t.link_id, t.provider, t.account, t.template_version
		), recorded AS (
			INSERT INTO attempts (invite_id, delivery_id, id, number, provider, account, template_version, lease_token, link_id, after_seq, started_at)
			SELECT invite_id, id, attempt_id, attempts, provider, account, template_version, lease_token, link_id, version, now() FROM begun
			RETURNING id, started_at
		)
		SELECT t.attempt_id, t.attempt_id IN (SELECT id FROM recorded), (SELECT started_at FROM recorded r WHERE r.id = t.attempt_id), t.attempt_id NOT IN (SELECT attempt_id FROM unchanged),
			coalesce((SELECT kind FROM blocked b WHERE b.attempt_id = t.attempt_id), '')
		FROM t`,
		c.invites, c.deliveries, c.tokens, c.owners, ids, versions, links, providers, accounts, templates, keyed, keys, lease.Seconds(),
	).Query(func(rows pgx.Rows) error {
		var id invite.AttemptID
		var b Begun
		var at *time.Time
		_, err := pgx.ForEachRow(rows, []any{&id, &b.OK, &at, &b.Stale, &b.Block}, func() error {
			if b.At = (time.Time{}); at != nil {
				b.At = *at
			}
			begun[id] = b
			return nil
		})
		return err
	})
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

// QueueResults records the results of attempts, also without their leases: a late
// result is still true. A less specific result does not replace a more specific
// one: an acceptance stays, and an unknown outcome never overwrites a known
// one. The statement becomes part of the batch; without results there is none.
func QueueResults(batch *pgx.Batch, results []Result) {
	if len(results) == 0 {
		return
	}
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
	batch.Queue(`
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
}

// QueueNext gives deliveries back to be due after a delay. It is for a transaction
// that has asked Held before; a delivery that was settled meanwhile stays so.
// The statement becomes part of the batch; without leases there is none.
func QueueNext(batch *pgx.Batch, held []Lease, after []time.Duration) {
	if len(held) == 0 {
		return
	}
	c := columns(held)
	secs := make([]float64, len(after))
	for i, d := range after {
		secs[i] = d.Seconds()
	}
	batch.Queue(`
		UPDATE deliveries d SET next_at = now() + make_interval(secs => t.after), lease_owner = NULL
		FROM unnest($1::uuid[], $2::uuid[], $3::bigint[], $4::float8[]) AS t(invite_id, id, token, after)
		WHERE d.invite_id = t.invite_id AND d.id = t.id AND d.lease_token = t.token AND `+inQueue,
		c.invites, c.deliveries, c.tokens, secs)
}
