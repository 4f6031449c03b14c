package traffic

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/connectlink/connectlink/internal/access"
	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/postgres"
)

// Scope is the kind of messages that a pause concerns.
type Scope string

// The scopes.
const (
	Country Scope = "sms_country" // text messages to a country, by its ISO 3166 code
	Prefix  Scope = "sms_prefix"  // text messages to numbers that begin with these digits
	Key     Scope = "key"         // messages of one API key
)

// Source is what paused.
type Source string

// The sources.
const (
	ByPerson   Source = "person"   // staff, or an API key at a person's request
	ByFirewall Source = "firewall" // people did not visit enough of the messages
	ByReports  Source = "reports"  // recipients reported too many of the messages
)

// Reasons of pauses that the service makes by itself.
const (
	WhyNotVisited = "not_visited" // people do not visit the messages
	WhyReported   = "reported"    // recipients report the messages
)

// Acts in the audit log on a country, a range of numbers or a key.
const (
	ActPaused  access.Act = "country_paused"
	ActResumed access.Act = "country_resumed"
)

// String names a subject in the audit log.
func (s Subject) String() string { return string(s.Scope) + ":" + s.Name }

// Subject is the concern of a pause.
type Subject struct {
	invite.Place

	Scope Scope
	Name  string // a country's code, digits with +, or a key's id
}

// Figures are the counts that led to a pause; zero for a pause by a person.
type Figures struct {
	Sent     int      `json:"sent,omitempty"`
	Visited  int      `json:"visited,omitempty"`
	Expected float64  `json:"expected,omitempty"` // visits that the floor demands of these messages
	Rate     float64  `json:"rate,omitempty"`     // the share of messages that people usually visit
	WindowS  int      `json:"window_s,omitempty"` // the counted messages were sent within
	Reports  int      `json:"reports,omitempty"`
	Invites  []string `json:"invites,omitempty"` // that were reported
	Inviter  bool     `json:"inviter,omitempty"` // the reports concern one inviter of the key
}

// Pause is a pause as stored.
type Pause struct {
	Subject

	ID        uuid.UUID  `db:"id"`
	Source    Source     `db:"source"`
	Why       string     `db:"why"`
	PausedBy  string     `db:"paused_by"`
	Figures   Figures    `db:"figures"`
	PausedAt  time.Time  `db:"paused_at"`
	ResumedBy string     `db:"resumed_by"`
	ResumedAt *time.Time `db:"resumed_at"`
}

const pauseColumns = `id, project_id, livemode, scope, subject, source, why, paused_by, figures, paused_at, resumed_by, resumed_at`

func scanPause(r pgx.CollectableRow) (Pause, error) {
	var p Pause
	err := r.Scan(&p.ID, &p.Project, &p.Live, &p.Scope, &p.Name, &p.Source, &p.Why, &p.PausedBy, &p.Figures, &p.PausedAt, &p.ResumedBy, &p.ResumedAt)
	return p, err
}

// NewPause is a pause to be made.
type NewPause struct {
	Subject

	Source  Source
	Why     string
	By      string // "staff:stf_…", "key:key_…", "system"
	Figures Figures
	At      time.Time // zero: now, by the database
}

// InsertPause pauses a subject; false means that it was paused before. A pause by the
// service replaces source, reason, author and figures of a person's current pause: the
// key that paused a country by hand must not end the firewall's finding with it.
func InsertPause(ctx context.Context, tx pgx.Tx, n NewPause) (bool, error) {
	id, err := uuid.NewV7()
	if err != nil {
		return false, fmt.Errorf("make the id of a pause: %w", err)
	}
	var at *time.Time
	if !n.At.IsZero() {
		at = &n.At
	}
	tag, err := tx.Exec(ctx, `
		INSERT INTO sending_pauses (id, project_id, livemode, scope, subject, source, why, paused_by, figures, paused_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, coalesce($10, now()))
		ON CONFLICT (project_id, livemode, scope, subject) WHERE resumed_at IS NULL DO UPDATE
		SET source = excluded.source, why = excluded.why, paused_by = excluded.paused_by, figures = excluded.figures
		WHERE sending_pauses.source = $11 AND excluded.source <> $11`,
		id, n.Project, n.Live, string(n.Scope), n.Name, string(n.Source), n.Why, n.By, n.Figures, at, string(ByPerson))
	if err != nil {
		return false, fmt.Errorf("pause %s %s of %s: %w", n.Scope, n.Name, n.Project, postgres.Translate(err))
	}
	return tag.RowsAffected() == 1, nil
}

// CopyKeyPause pauses a key as another one of the same project and mode is paused; false
// means that the other one is not. The copy has the time, source, reason and figures of
// the original.
func CopyKeyPause(ctx context.Context, tx pgx.Tx, place invite.Place, from, to invite.KeyID) (bool, error) {
	p, ok, err := FindPaused(ctx, tx, Subject{Place: place, Scope: Key, Name: from.String()})
	if err != nil || !ok {
		return false, err
	}
	p.Name = to.String()
	return InsertPause(ctx, tx, NewPause{Subject: p.Subject, Source: p.Source, Why: p.Why, By: p.PausedBy, Figures: p.Figures, At: p.PausedAt})
}

// FindPaused returns the current pause of a subject; ok is false when it is not paused.
// It locks the pause.
func FindPaused(ctx context.Context, tx pgx.Tx, s Subject) (p Pause, ok bool, err error) {
	rows, _ := tx.Query(ctx, `SELECT `+pauseColumns+` FROM sending_pauses
		WHERE project_id = $1 AND livemode = $2 AND scope = $3 AND subject = $4 AND resumed_at IS NULL FOR UPDATE`,
		s.Project, s.Live, string(s.Scope), s.Name)
	list, err := pgx.CollectRows(rows, scanPause)
	if err != nil {
		return Pause{}, false, fmt.Errorf("find the pause of %s %s: %w", s.Scope, s.Name, postgres.Translate(err))
	}
	if len(list) == 0 {
		return Pause{}, false, nil
	}
	return list[0], true, nil
}

// SetResumed ends a pause; false means that it ended before.
func SetResumed(ctx context.Context, tx pgx.Tx, id uuid.UUID, by string) (bool, error) {
	tag, err := tx.Exec(ctx, `UPDATE sending_pauses SET resumed_at = now(), resumed_by = $2 WHERE id = $1 AND resumed_at IS NULL`, id, by)
	if err != nil {
		return false, fmt.Errorf("resume %s: %w", id, postgres.Translate(err))
	}
	return tag.RowsAffected() == 1, nil
}

// ListPauses returns the current pauses of every project.
func ListPauses(ctx context.Context, db postgres.DB) ([]Pause, error) {
	rows, _ := db.Query(ctx, `SELECT `+pauseColumns+` FROM sending_pauses WHERE resumed_at IS NULL`)
	list, err := pgx.CollectRows(rows, scanPause)
	if err != nil {
		return nil, fmt.Errorf("list pauses: %w", postgres.Translate(err))
	}
	return list, nil
}

// ListPausesOf returns the current pauses of a project and mode, the latest first, and
// up to ended of those that were resumed.
func ListPausesOf(ctx context.Context, db postgres.DB, place invite.Place, ended int) ([]Pause, error) {
	rows, _ := db.Query(ctx, `
		(SELECT `+pauseColumns+` FROM sending_pauses WHERE project_id = $1 AND livemode = $2 AND resumed_at IS NULL ORDER BY paused_at DESC)
		UNION ALL
		(SELECT `+pauseColumns+` FROM sending_pauses WHERE project_id = $1 AND livemode = $2 AND resumed_at IS NOT NULL
			ORDER BY resumed_at DESC LIMIT $3)`, place.Project, place.Live, ended)
	list, err := pgx.CollectRows(rows, scanPause)
	if err != nil {
		return nil, fmt.Errorf("list pauses of %s: %w", place.Project, postgres.Translate(err))
	}
	return list, nil
}

// endedKept is how long pauses that were resumed are kept.
const endedKept = 365 * 24 * time.Hour

// DeleteOldPauses deletes pauses that were resumed long ago.
func DeleteOldPauses(ctx context.Context, db postgres.DB) error {
	_, err := db.Exec(ctx, `DELETE FROM sending_pauses WHERE resumed_at < now() - make_interval(secs => $1)`, endedKept.Seconds())
	if err != nil {
		return fmt.Errorf("delete old pauses: %w", postgres.Translate(err))
	}
	return nil
}
