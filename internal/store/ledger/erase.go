package ledger

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/postgres"
	"github.com/connectlink/connectlink/internal/seal"
	"github.com/connectlink/connectlink/migrations"
)

// ListErased returns up to n ids of the invites that stand under one of the
// marks that erasing them has put in the person's place.
func ListErased(ctx context.Context, db postgres.DB, place invite.Place, marks []string, n int) ([]invite.ID, error) {
	rows, _ := db.Query(ctx, `
		SELECT id FROM invites WHERE project_id = $1 AND livemode = $2 AND external_user_id = ANY($3) AND erased_at IS NOT NULL
		ORDER BY app_slug, id DESC LIMIT $4`, place.Project, place.Live, marks, n)
	ids, err := pgx.CollectRows(rows, pgx.RowTo[invite.ID])
	if err != nil {
		return nil, fmt.Errorf("list erased invites: %w", postgres.Translate(err))
	}
	return ids, nil
}

// ListContents reads the sealed contents of invites; those without one are left out.
func ListContents(ctx context.Context, db postgres.DB, ids []invite.ID) (map[invite.ID][]byte, error) {
	rows, _ := db.Query(ctx, `SELECT id, content FROM invites WHERE id = ANY($1) AND content IS NOT NULL`, ids)
	out := make(map[invite.ID][]byte, len(ids))
	var id invite.ID
	var content []byte
	_, err := pgx.ForEachRow(rows, []any{&id, &content}, func() error {
		out[id] = content
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("list contents of invites: %w", postgres.Translate(err))
	}
	return out, nil
}

// ListVendorKeys returns the keys by which Pipedream knows the users of invites: digests of
// their connect tokens, and their connected accounts.
func ListVendorKeys(ctx context.Context, db postgres.DB, ids []invite.ID) (tokens [][]byte, accounts []string, err error) {
	rows, _ := db.Query(ctx, `SELECT token_digest FROM connect_links WHERE invite_id = ANY($1)`, ids)
	if tokens, err = pgx.CollectRows(rows, pgx.RowTo[[]byte]); err != nil {
		return nil, nil, fmt.Errorf("list connect tokens of invites: %w", postgres.Translate(err))
	}
	rows, _ = db.Query(ctx, `SELECT DISTINCT account_id FROM invites WHERE id = ANY($1) AND account_id <> ''`, ids)
	if accounts, err = pgx.CollectRows(rows, pgx.RowTo[string]); err != nil {
		return nil, nil, fmt.Errorf("list accounts of invites: %w", postgres.Translate(err))
	}
	return tokens, accounts, nil
}

// SetErased takes everything personal from locked invites and puts mark in
// place of the external user's id; hash is userid.Hash of mark. Hashes of links and codes stay, so that an
// old link still leads to a page, and so does the timeline but for its words.
func SetErased(ctx context.Context, tx pgx.Tx, ids []invite.ID, mark string, hash seal.Hash) error {
	batch := &pgx.Batch{}
	batch.Queue(`
		UPDATE invites SET external_user_id = $2, user_hash = $3, erased_at = coalesce(erased_at, now()), send_at = NULL, poll_at = NULL, poll_until = NULL
		WHERE id = ANY($1)`, ids, mark, hash)
	queueErase(batch, ids)
	if err := tx.SendBatch(ctx, batch).Close(); err != nil {
		return fmt.Errorf("erase %d invites: %w", len(ids), postgres.Translate(err))
	}
	return nil
}

// EraseAgain erases data of erased invites that was still in transit when they
// were erased: the answer to a call, a callback. Invites that were not erased
// are left alone.
func EraseAgain(ctx context.Context, tx pgx.Tx, ids []invite.ID) error {
	rows, _ := tx.Query(ctx, `SELECT id FROM invites WHERE id = ANY($1) AND erased_at IS NOT NULL ORDER BY id FOR NO KEY UPDATE`, ids)
	erased, err := pgx.CollectRows(rows, pgx.RowTo[invite.ID])
	if err != nil {
		return fmt.Errorf("lock erased invites: %w", postgres.Translate(err))
	}
	batch := &pgx.Batch{}
	queueErase(batch, erased)
	if err := tx.SendBatch(ctx, batch).Close(); err != nil {
		return fmt.Errorf("erase again %d invites: %w", len(erased), postgres.Translate(err))
	}
	return nil
}

// dropBodies removes the stored body of each publish job of the invites $1. The jobs
// of each invite are looked up apart, along River's index of arguments: the members
// kind and body alone are those of every published event.
const dropBodies = `
	UPDATE ` + migrations.RiverSchema + `.river_job SET args = args - 'body'
	WHERE id = ANY(ARRAY(
		SELECT j.id FROM unnest($1::text[]) i CROSS JOIN LATERAL (
			SELECT id FROM ` + migrations.RiverSchema + `.river_job WHERE args @> jsonb_build_object('invite_id', i) OFFSET 0) j))
	AND kind = 'publish' AND args ? 'body'`

func queueErase(batch *pgx.Batch, ids []invite.ID) {
	for _, sql := range []string{
		`UPDATE invites SET content = NULL, account_name = NULL, sealed_user_id = NULL
			WHERE id = ANY($1) AND (content IS NOT NULL OR account_name IS NOT NULL OR sealed_user_id IS NOT NULL)`,
		`UPDATE connect_links SET url = NULL WHERE invite_id = ANY($1) AND url IS NOT NULL`,
		`UPDATE codes SET code = NULL WHERE invite_id = ANY($1) AND code IS NOT NULL`,
		`UPDATE attempts SET detail = NULL WHERE invite_id = ANY($1) AND detail IS NOT NULL`,
		// Why it was erased stays, in the words of who did it.
		`UPDATE events SET detail = NULL WHERE invite_id = ANY($1) AND detail IS NOT NULL AND type <> 'erased'`,
		// A public event without a body is shown with the invite as the erasure left it.
		`UPDATE public_events SET body = NULL WHERE invite_id = ANY($1) AND body IS NOT NULL`,
		// An endpoint may have answered with what it was sent.
		`UPDATE webhook_attempts SET answer = NULL WHERE answer IS NOT NULL
			AND event_id = ANY(ARRAY(SELECT id FROM public_events WHERE invite_id = ANY($1)))`,
		`DELETE FROM invite_notes WHERE invite_id = ANY($1)`,
		`DELETE FROM connections WHERE invite_id = ANY($1)`,
		`DELETE FROM search_terms WHERE invite_id = ANY($1)`,
		`DELETE FROM client_tokens WHERE invite_id = ANY($1)`,
		`DELETE FROM callbacks WHERE invite_id = ANY($1)`,
		`DELETE FROM callbacks c USING unmatched u WHERE u.callback_id = c.id AND u.invite_ref = ANY($1)`,
	} {
		batch.Queue(sql, ids)
	}
	// Events that wait to be delivered tell of the invite as it is from here on.
	names := make([]string, len(ids))
	for i, id := range ids {
		names[i] = id.String()
	}
	batch.Queue(dropBodies, names)
	// What providers of texts keep goes too: words, numbers, the record itself.
	batch.Queue(insertRedactions+`
		ON CONFLICT (invite_id, attempt_id) DO UPDATE SET remove = true, tries = 0, gave_up_at = NULL,
			next_at = CASE WHEN redactions.removed_at IS NULL THEN least(redactions.next_at, now()) END`, ids, 0.0, true)
}
