package account

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/postgres"
)

// SetConfirmed records that a session's person proved who they are: at a time, which
// the future is not, or, where it is zero, now.
func SetConfirmed(ctx context.Context, db postgres.DB, id invite.SessionID, at time.Time) error {
	_, err := db.Exec(ctx, `UPDATE staff_sessions SET confirmed_at = least($2::timestamptz, now()) WHERE id = $1 AND ended_at IS NULL`, id, orNull(at))
	if err != nil {
		return fmt.Errorf("confirm session %s: %w", id, postgres.Translate(err))
	}
	return nil
}

// SetChecked records that the issuer vouched for a session's person again, in which
// of its sessions; nil leaves that. false means that the session ended meanwhile.
func SetChecked(ctx context.Context, db postgres.DB, id invite.SessionID, issuerSession []byte) (bool, error) {
	tag, err := db.Exec(ctx, `UPDATE staff_sessions SET checked_at = now(), issuer_session = coalesce($2, issuer_session)
		WHERE id = $1 AND ended_at IS NULL`, id, issuerSession)
	if err != nil {
		return false, fmt.Errorf("check session %s: %w", id, postgres.Translate(err))
	}
	return tag.RowsAffected() == 1, nil
}

// SetHeldForm keeps a sealed form with a session until it is sent again; nil
// drops it.
func SetHeldForm(ctx context.Context, db postgres.DB, id invite.SessionID, sealed []byte) error {
	if _, err := db.Exec(ctx, `UPDATE staff_sessions SET held_form = $2, held_at = CASE WHEN $2::bytea IS NOT NULL THEN now() END
		WHERE id = $1 AND ended_at IS NULL`, id, sealed); err != nil {
		return fmt.Errorf("hold a form of session %s: %w", id, postgres.Translate(err))
	}
	return nil
}

// formKept is how long a form is kept in a session's row.
const formKept = time.Hour

// DeleteHeldForms drops the forms that were kept for an hour, and returns how many. The hour
// of those that processes of earlier versions keep begins with the first call.
func DeleteHeldForms(ctx context.Context, db postgres.DB) (int64, error) {
	tag, err := db.Exec(ctx, `UPDATE staff_sessions SET held_form = NULL, held_at = NULL
		WHERE held_form IS NOT NULL AND held_at < now() - make_interval(secs => $1)`, formKept.Seconds())
	if err == nil {
		_, err = db.Exec(ctx, `UPDATE staff_sessions SET held_at = now() WHERE held_form IS NOT NULL AND held_at IS NULL`)
	}
	if err != nil {
		return 0, fmt.Errorf("drop old held forms: %w", postgres.Translate(err))
	}
	return tag.RowsAffected(), nil
}

// FindHeldForm returns the sealed form that a session keeps; ok is false if there
// is none.
func FindHeldForm(ctx context.Context, db postgres.DB, id invite.SessionID) (sealed []byte, ok bool, err error) {
	err = db.QueryRow(ctx, `SELECT held_form FROM staff_sessions WHERE id = $1 AND held_form IS NOT NULL`, id).Scan(&sealed)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, fmt.Errorf("find the held form of session %s: %w", id, postgres.Translate(err))
	}
	return sealed, true, nil
}

// SetIssuerSessionsEnded ends the sessions that an issuer's session began, and returns
// their ids.
func SetIssuerSessionsEnded(ctx context.Context, db postgres.DB, issuerSession []byte) ([]invite.SessionID, error) {
	return endSessions(ctx, db, `issuer_session = $1`, issuerSession)
}

// SetStaffIssuerSessionsEnded ends the sessions that an issuer began for an
// account, all or those whose session at the issuer is unknown, and returns their
// ids.
func SetStaffIssuerSessionsEnded(ctx context.Context, db postgres.DB, id invite.StaffID, all bool) ([]invite.SessionID, error) {
	where := `staff_id = $1 AND method = 'oidc'`
	if !all {
		where += ` AND issuer_session IS NULL`
	}
	return endSessions(ctx, db, where, id)
}

func endSessions(ctx context.Context, db postgres.DB, where string, arg any) ([]invite.SessionID, error) {
	rows, _ := db.Query(ctx, `UPDATE staff_sessions SET ended_at = now(), ended_why = 'issuer', flash = '', held_form = NULL
		WHERE `+where+` AND ended_at IS NULL RETURNING id`, arg)
	ids, err := pgx.CollectRows(rows, pgx.RowTo[invite.SessionID])
	if err != nil {
		return nil, fmt.Errorf("end sessions of an issuer: %w", postgres.Translate(err))
	}
	return ids, nil
}
