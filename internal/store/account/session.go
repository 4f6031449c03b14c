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

// How long a session lasts. The database's clock decides.
const (
	SessionIdle = 30 * time.Minute // without a request
	SessionMost = 12 * time.Hour   // in all
	// SessionChecked is for sessions by an issuer: only the issuer knows whether
	// the person still has the role there. Until it vouches for the person again
	// the session is over.
	SessionChecked = 5 * time.Minute
	// SessionDue is when a page that is opened asks the issuer beforehand.
	SessionDue = 3 * time.Minute
	// SessionFresh is how long after a proof of identity acts of consequence are
	// done without another one.
	SessionFresh = 5 * time.Minute
	// sessionKept is how long the reason of an ended session is kept.
	sessionKept = 30 * 24 * time.Hour
	// sessionStep is how exactly the last request is recorded.
	sessionStep = time.Minute
)

// Ended is the reason for a session's end; "" while it is active.
type Ended string

// Why sessions end. The first two are the clock's, the others are stored.
const (
	EndedIdle Ended = "idle"
	EndedOld  Ended = "old"
	// EndedConfirm: the issuer is to be asked again, and the session goes on if it
	// vouches for the person; stored, it did not.
	EndedConfirm   Ended = "confirm"
	EndedIssuer    Ended = "issuer" // the person signed out at the issuer, or was
	EndedSignedOut Ended = "signed_out"
	EndedRevoked   Ended = "revoked"
	EndedReplaced  Ended = "replaced" // by another sign-in of the same browser
	EndedDisabled  Ended = "disabled"
)

// Session is one signed-in browser.
type Session struct {
	ID        invite.SessionID `db:"id"`
	StaffID   invite.StaffID   `db:"staff_id"`
	Method    string           `db:"method"`
	Device    string           `db:"device"`
	Flash     string           `db:"flash"`
	CreatedAt time.Time        `db:"created_at"`
	SeenAt    time.Time        `db:"seen_at"`
	Ended     Ended            `db:"ended"`
	Stored    bool             `db:"stored"` // Ended is stored, and for good
	Due       bool             `db:"due"`    // the issuer is to be asked again soon
	Fresh     bool             `db:"fresh"`  // the person proved who they are within SessionFresh
	Held      bool             `db:"held"`   // a form waits for a confirmation
}

// sessionColumns are a session's, with why it is over by the database's clock.
func sessionColumns() string {
	return fmt.Sprintf(`id, staff_id, method, device, flash, created_at, seen_at, CASE
	WHEN ended_at IS NOT NULL THEN ended_why
	WHEN created_at < now() - interval '%d seconds' THEN 'old'
	WHEN seen_at < now() - interval '%d seconds' THEN 'idle'
	WHEN method = 'oidc' AND coalesce(checked_at, created_at) < now() - interval '%d seconds' THEN 'confirm'
	ELSE '' END AS ended, ended_at IS NOT NULL AS stored,
	method = 'oidc' AND coalesce(checked_at, created_at) < now() - interval '%d seconds' AS due,
	coalesce(CASE WHEN method = 'oidc' THEN confirmed_at ELSE coalesce(confirmed_at, created_at) END >= now() - interval '%d seconds', false) AS fresh, held_form IS NOT NULL AS held`,
		int(SessionMost/time.Second), int(SessionIdle/time.Second), int(SessionChecked/time.Second), int(SessionDue/time.Second), int(SessionFresh/time.Second))
}

// NewSession is a session to be stored.
type NewSession struct {
	ID      invite.SessionID
	StaffID invite.StaffID
	Method  string
	Device  string
	Digest  []byte // of its token
	// IssuerSession is the digest of the issuer's own session; nil: it names none.
	IssuerSession []byte
	// ConfirmedAt is when the person signed in at the issuer; zero: unknown. Of other
	// methods the session's beginning is the proof of identity.
	ConfirmedAt time.Time
}

// orNull returns nil for a zero time.
func orNull(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

// InsertSession stores a session, and drops old ones.
func InsertSession(ctx context.Context, tx pgx.Tx, s NewSession) error {
	_, err := tx.Exec(ctx, `DELETE FROM staff_sessions WHERE seen_at < now() - make_interval(secs => $1)`, sessionKept.Seconds())
	if err == nil {
		_, err = tx.Exec(ctx, `INSERT INTO staff_sessions (id, staff_id, digest, method, device, issuer_session, confirmed_at)
			VALUES ($1, $2, $3, $4, $5, $6, CASE WHEN $7::timestamptz IS NOT NULL THEN least($7, now()) END)`,
			s.ID, s.StaffID, s.Digest, s.Method, s.Device, s.IssuerSession, orNull(s.ConfirmedAt))
	}
	if err != nil {
		return fmt.Errorf("insert session %s: %w", s.ID, postgres.Translate(err))
	}
	return nil
}

// FindSession returns the session of a token with its account, which may be
// over or disabled; ok is false when there is none.
func FindSession(ctx context.Context, db postgres.DB, digest []byte) (Session, Staff, bool, error) {
	var s Session
	var a Staff
	err := db.QueryRow(ctx, `
		SELECT e.id, e.staff_id, e.method, e.device, e.flash, e.created_at, e.seen_at, e.ended, e.stored, e.due, e.fresh, e.held,
			`+staffColumns+`
		FROM (SELECT `+sessionColumns()+` FROM staff_sessions WHERE digest = $1) e JOIN staff s ON s.id = e.staff_id`, digest).Scan(
		&s.ID, &s.StaffID, &s.Method, &s.Device, &s.Flash, &s.CreatedAt, &s.SeenAt, &s.Ended, &s.Stored, &s.Due, &s.Fresh, &s.Held,
		&a.ID, &a.Kind, &a.Profile, &a.CreatedAt, &a.SignedInAt, &a.DisabledAt, &a.FactorResetAt, &a.HasPassword, &a.LinkExpiresAt, &a.FactorSetAt, &a.LockedUntil, &a.Roles)
	if errors.Is(err, pgx.ErrNoRows) {
		return Session{}, Staff{}, false, nil
	}
	if err != nil {
		return Session{}, Staff{}, false, fmt.Errorf("find session: %w", postgres.Translate(err))
	}
	return s, a, true, nil
}

// SetSeen records that a session is in use, to the minute, and takes its flash
// message away when that was read.
func SetSeen(ctx context.Context, db postgres.DB, id invite.SessionID, flashRead bool) error {
	_, err := db.Exec(ctx, `UPDATE staff_sessions SET seen_at = now(), flash = CASE WHEN $2 THEN '' ELSE flash END
		WHERE id = $1 AND ended_at IS NULL AND ($2 OR seen_at < now() - make_interval(secs => $3))`, id, flashRead, sessionStep.Seconds())
	if err != nil {
		return fmt.Errorf("record use of session %s: %w", id, postgres.Translate(err))
	}
	return nil
}

// SetFlash leaves a message for the next page.
func SetFlash(ctx context.Context, db postgres.DB, id invite.SessionID, flash string) error {
	if _, err := db.Exec(ctx, `UPDATE staff_sessions SET flash = $2 WHERE id = $1`, id, flash); err != nil {
		return fmt.Errorf("leave a message in session %s: %w", id, postgres.Translate(err))
	}
	return nil
}

// ListSessions returns the sessions of an account, or of all when id is zero,
// that are not over, or go on once the issuer vouches for the person.
func ListSessions(ctx context.Context, db postgres.DB, id invite.StaffID) ([]Session, error) {
	rows, _ := db.Query(ctx, `SELECT * FROM (SELECT `+sessionColumns()+` FROM staff_sessions
		WHERE ($1::uuid IS NULL OR staff_id = $1) AND ended_at IS NULL) s WHERE ended IN ('', 'confirm') ORDER BY id DESC`, id)
	list, err := pgx.CollectRows(rows, pgx.RowToStructByName[Session])
	if err != nil {
		return nil, fmt.Errorf("list sessions: %w", postgres.Translate(err))
	}
	return list, nil
}

// SetEnded ends a session; false means that it was over before, or is not there.
func SetEnded(ctx context.Context, db postgres.DB, id invite.SessionID, why Ended) (bool, error) {
	tag, err := db.Exec(ctx, `UPDATE staff_sessions SET ended_at = now(), ended_why = $2, flash = '', held_form = NULL WHERE id = $1 AND ended_at IS NULL`, id, string(why))
	if err != nil {
		return false, fmt.Errorf("end session %s: %w", id, postgres.Translate(err))
	}
	return tag.RowsAffected() == 1, nil
}

// SetAllEnded ends every session of an account.
func SetAllEnded(ctx context.Context, db postgres.DB, id invite.StaffID, why Ended) (int, error) {
	tag, err := db.Exec(ctx, `UPDATE staff_sessions SET ended_at = now(), ended_why = $2, flash = '', held_form = NULL WHERE staff_id = $1 AND ended_at IS NULL`, id, string(why))
	if err != nil {
		return 0, fmt.Errorf("end the sessions of staff %s: %w", id, postgres.Translate(err))
	}
	return int(tag.RowsAffected()), nil
}
