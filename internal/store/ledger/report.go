package ledger

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/postgres"
)

// OpenReport is a recipient's report that ended an invite, and that nothing followed.
type OpenReport struct {
	At          time.Time
	Suppressed  bool // the address, which was not suppressed before
	Withdrawals int  // of earlier reports of this invite
}

// ReportOpenFor is how long a report can be taken back: long enough for a slip to be
// noticed, too short for a person who finds the page later.
const ReportOpenFor = 10 * time.Minute

// FindOpenReport returns the report that ended an invite within ReportOpenFor; ok
// is false where another fact ended it since. Only of a locked invite does the answer last.
func FindOpenReport(ctx context.Context, db postgres.DB, id invite.ID) (r OpenReport, ok bool, err error) {
	err = db.QueryRow(ctx, `
		SELECT e.created_at, coalesce((e.data->>'suppressed')::boolean, false),
			(SELECT count(*) FROM events w WHERE w.invite_id = $1 AND w.type = $5)
		FROM events e
		WHERE e.invite_id = $1 AND e.type = $2 AND e.created_at > now() - make_interval(secs => $3)
			AND NOT EXISTS (SELECT FROM events l WHERE l.invite_id = $1 AND l.seq > e.seq AND l.type = ANY($4))
		ORDER BY e.seq DESC LIMIT 1`,
		id, string(invite.EventReported), ReportOpenFor.Seconds(), endings(), string(invite.EventReportWithdrawn)).Scan(&r.At, &r.Suppressed, &r.Withdrawals)
	if errors.Is(err, pgx.ErrNoRows) {
		return r, false, nil
	}
	if err != nil {
		return r, false, fmt.Errorf("find the report of invite %s: %w", id, postgres.Translate(err))
	}
	return r, true, nil
}

// endings are the events after which a report cannot be taken back.
func endings() []string {
	var out []string
	for _, t := range []invite.EventType{
		invite.EventReportWithdrawn, invite.EventRevoked, invite.EventReplaced, invite.EventErased, invite.EventConnected, invite.EventConnectedLate,
	} {
		out = append(out, string(t))
	}
	return out
}

// SetCode stores the code of an invite link again that was wiped.
func SetCode(ctx context.Context, tx pgx.Tx, id invite.ID, code uuid.UUID, sealed []byte) error {
	_, err := tx.Exec(ctx, `UPDATE codes SET code = $3 WHERE invite_id = $1 AND id = $2 AND retired_at IS NULL`, id, code, sealed)
	if err != nil {
		return fmt.Errorf("store the code of invite %s: %w", id, postgres.Translate(err))
	}
	return nil
}
