package ledger

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/postgres"
)

const (
	// redactAfter is the time between an invite's end and the first redaction of
	// its texts: by then their provider is not asked about them any more.
	redactAfter = time.Hour
	// redactHold is how long a claimed redaction belongs to its claimer.
	redactHold = 5 * time.Minute
	// maxInProgress is how long a provider of texts may try at most: Twilio's
	// longest validity, ten hours, and an hour for its clock and its receipts.
	maxInProgress = 11 * time.Hour
	// providersKeep is how long Twilio keeps the record of a message by itself.
	providersKeep = 400 * 24 * time.Hour
)

// insertRedactions notes the text messages of invites that a provider took or
// may have taken: of invites $1, due after $2 seconds, with $3 the whole record.
const insertRedactions = `
	INSERT INTO redactions (invite_id, attempt_id, provider, project_id, livemode, message_id, next_at, remove)
	SELECT a.invite_id, a.id, a.provider, d.project_id, d.livemode, a.provider_message_id, now() + make_interval(secs => $2), $3
	FROM attempts a JOIN deliveries d ON d.invite_id = a.invite_id AND d.id = a.delivery_id
	WHERE a.invite_id = ANY($1) AND d.channel = 'sms' AND a.outcome IN ('open', 'accepted', 'unknown')`

// Redaction is a text message whose words are to be taken from its provider.
type Redaction struct {
	invite.Place

	InviteID  invite.ID        `db:"invite_id"`
	AttemptID invite.AttemptID `db:"attempt_id"`
	Provider  string           `db:"provider"`
	MessageID string           `db:"message_id"` // the provider's; empty while unknown
	Remove    bool             `db:"remove"`     // the record too
	Tries     int              `db:"tries"`      // that failed
	// NotTaken: it turned out that the provider never took it.
	NotTaken bool `db:"not_taken"`
	// Status is the delivery's; nil once the invite was deleted.
	Status *invite.DeliveryStatus `db:"status"`
	// OverIn is how long the provider may still be trying; negative when it cannot.
	OverIn float64 `db:"over_in"` // seconds
}

// ClaimRedactions takes up to n redactions that are due. Several processes
// never get the same one; what a process that died had claimed is due again
// after some minutes.
func ClaimRedactions(ctx context.Context, db postgres.DB, n int) ([]Redaction, error) {
	rows, _ := db.Query(ctx, `
		WITH due AS (
			SELECT invite_id, attempt_id FROM redactions WHERE next_at <= now() ORDER BY next_at LIMIT $1 FOR UPDATE SKIP LOCKED
		)
		UPDATE redactions r SET next_at = now() + make_interval(secs => $2), message_id = coalesce(nullif(a.provider_message_id, ''), r.message_id)
		FROM due LEFT JOIN attempts a ON a.invite_id = due.invite_id AND a.id = due.attempt_id
			LEFT JOIN deliveries d ON d.invite_id = a.invite_id AND d.id = a.delivery_id
		WHERE r.invite_id = due.invite_id AND r.attempt_id = due.attempt_id
		RETURNING r.invite_id, r.attempt_id, coalesce(nullif(a.provider, ''), r.provider) AS provider, r.project_id, r.livemode, r.message_id, r.remove, r.tries,
			coalesce(a.outcome IN ('not_sent', 'refused', 'abandoned'), false) AS not_taken, d.status,
			extract(epoch FROM coalesce(a.started_at, r.created_at) + make_interval(secs => $3) - now())::float8 AS over_in`,
		n, redactHold.Seconds(), maxInProgress.Seconds())
	list, err := pgx.CollectRows(rows, pgx.RowToStructByName[Redaction])
	if err != nil {
		return nil, fmt.Errorf("claim redactions: %w", postgres.Translate(err))
	}
	return list, nil
}

// SetRedacted records that a message's words, or its record, are gone. Where
// the record was asked for meanwhile, that is still to be done.
func SetRedacted(ctx context.Context, db postgres.DB, r Redaction) error {
	_, err := db.Exec(ctx, `
		UPDATE redactions SET redacted_at = coalesce(redacted_at, now()), removed_at = CASE WHEN $3 THEN now() ELSE removed_at END,
			next_at = CASE WHEN remove AND NOT $3 THEN now() END, tries = 0, gave_up_at = NULL
		WHERE invite_id = $1 AND attempt_id = $2`, r.InviteID, r.AttemptID, r.Remove)
	if err != nil {
		return fmt.Errorf("record the redaction of attempt %s: %w", r.AttemptID, postgres.Translate(err))
	}
	return nil
}

// SetRedactLater looks at a redaction again after some time; failed says that
// this was a try.
func SetRedactLater(ctx context.Context, db postgres.DB, r Redaction, after time.Duration, failed bool) error {
	_, err := db.Exec(ctx, `
		UPDATE redactions SET next_at = now() + make_interval(secs => $3), tries = tries + CASE WHEN $4 THEN 1 ELSE 0 END
		WHERE invite_id = $1 AND attempt_id = $2`, r.InviteID, r.AttemptID, after.Seconds(), failed)
	if err != nil {
		return fmt.Errorf("put off the redaction of attempt %s: %w", r.AttemptID, postgres.Translate(err))
	}
	return nil
}

// SetRedactGivenUp leaves a redaction to a person.
func SetRedactGivenUp(ctx context.Context, db postgres.DB, r Redaction) error {
	_, err := db.Exec(ctx, `UPDATE redactions SET next_at = NULL, gave_up_at = now() WHERE invite_id = $1 AND attempt_id = $2`,
		r.InviteID, r.AttemptID)
	if err != nil {
		return fmt.Errorf("give up the redaction of attempt %s: %w", r.AttemptID, postgres.Translate(err))
	}
	return nil
}

// DeleteRedaction forgets a redaction of what no provider ever took.
func DeleteRedaction(ctx context.Context, db postgres.DB, r Redaction) error {
	_, err := db.Exec(ctx, `DELETE FROM redactions WHERE invite_id = $1 AND attempt_id = $2`, r.InviteID, r.AttemptID)
	if err != nil {
		return fmt.Errorf("forget the redaction of attempt %s: %w", r.AttemptID, postgres.Translate(err))
	}
	return nil
}

// Unredacted counts, up to a limit, the messages that are still at
// providers although they should not be.
type Unredacted struct {
	Failing int `db:"failing"`  // tried in vain so far
	GivenUp int `db:"given_up"` // left to a person
}

// CountUnredacted counts up to limit of each.
func CountUnredacted(ctx context.Context, db postgres.DB, limit int) (Unredacted, error) {
	rows, _ := db.Query(ctx, `
		SELECT (SELECT count(*) FROM (SELECT FROM redactions WHERE next_at IS NOT NULL AND tries > 0 LIMIT $1) f) AS failing,
			(SELECT count(*) FROM (SELECT FROM redactions WHERE gave_up_at IS NOT NULL LIMIT $1) g) AS given_up`, limit)
	n, err := pgx.CollectExactlyOneRow(rows, pgx.RowToStructByName[Unredacted])
	if err != nil {
		return n, fmt.Errorf("count what is not redacted: %w", postgres.Translate(err))
	}
	return n, nil
}
