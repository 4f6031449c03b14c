package traffic

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/postgres"
)

// Kinds of reports.
const (
	KindReported   = "reported"                // on the recipient's page
	KindComplained = string(invite.Complained) // by the button of a mail program
)

// ReportWindow is how far back reports and messages of a key are counted.
const ReportWindow = 7 * 24 * time.Hour

// KeyStats are the reports and messages of an API key within the window, or since its
// last pause ended.
type KeyStats struct {
	Key      invite.KeyID
	Messages int // at least the reported invites
	Now      time.Time
	// Reported are the invites, the latest first; at most maxReported.
	Reported []ReportedInvite
}

// ReportedInvite is an invite that was reported, with its sealed content; nil once
// erased.
type ReportedInvite struct {
	ID      invite.ID
	Content []byte
}

// maxReported bounds the reports that are looked at.
const maxReported = 200

// AddReport counts a report about an invite of an API key. ok is false where it counted
// before, and where staff or the service made the invite.
func AddReport(ctx context.Context, tx pgx.Tx, id invite.ID, kind string) (s KeyStats, ok bool, err error) {
	var project string
	err = tx.QueryRow(ctx, `
		INSERT INTO key_reports (project_id, key_id, invite_id, kind)
		SELECT i.project_id, k.id, i.id, $2 FROM invites i JOIN api_keys k ON k.id = i.created_by WHERE i.id = $1
		ON CONFLICT DO NOTHING RETURNING project_id, key_id, now()`, id, kind).Scan(&project, &s.Key, &s.Now)
	if errors.Is(err, pgx.ErrNoRows) {
		return KeyStats{}, false, nil
	}
	if err != nil {
		return KeyStats{}, false, fmt.Errorf("count a report about invite %s: %w", id, postgres.Translate(err))
	}
	since := s.Now.Add(-ReportWindow)
	rows, _ := tx.Query(ctx, `
		SELECT r.invite_id, i.content FROM key_reports r LEFT JOIN invites i ON i.id = r.invite_id
		WHERE r.project_id = $1 AND r.key_id = $2 AND r.reported_at > greatest($3::timestamptz, (
			SELECT max(resumed_at) FROM sending_pauses WHERE project_id = $1 AND livemode AND scope = 'key' AND subject = $4))
		ORDER BY r.reported_at DESC, r.invite_id DESC LIMIT $5`, project, s.Key, since, s.Key.String(), maxReported)
	if s.Reported, err = pgx.CollectRows(rows, pgx.RowToStructByPos[ReportedInvite]); err != nil {
		return KeyStats{}, false, fmt.Errorf("list reports of key %s: %w", s.Key, postgres.Translate(err))
	}
	err = tx.QueryRow(ctx, `
		SELECT coalesce(sum(messages), 0)::int FROM sending_uses
		WHERE scope = 'key' AND subject = $1 AND day > date '1970-01-01' AND day >= ($2::timestamptz AT TIME ZONE 'UTC')::date`,
		[]byte(project+"/"+s.Key.String()), since).Scan(&s.Messages)
	if err != nil {
		return KeyStats{}, false, fmt.Errorf("count the messages of key %s: %w", s.Key, postgres.Translate(err))
	}
	s.Messages = max(s.Messages, len(s.Reported))
	return s, true, nil
}

const (
	// sampled is how many invites of a key are looked at for the share of one inviter.
	sampled = 500
	// sampledFrom is among how many invites of its project they are searched.
	sampledFrom = 5000
)

// ListContents returns the sealed contents of a key's latest invites, by which the share
// of one inviter is estimated.
func ListContents(ctx context.Context, tx pgx.Tx, place invite.Place, key invite.KeyID) ([]ReportedInvite, error) {
	rows, _ := tx.Query(ctx, `
		SELECT id, content FROM (
			SELECT id, content, created_by FROM invites WHERE project_id = $1 AND livemode = $2 ORDER BY id DESC LIMIT $3
		) i WHERE created_by = $4 AND content IS NOT NULL LIMIT $5`, place.Project, place.Live, sampledFrom, key, sampled)
	list, err := pgx.CollectRows(rows, pgx.RowToStructByPos[ReportedInvite])
	if err != nil {
		return nil, fmt.Errorf("list invites of key %s: %w", key, postgres.Translate(err))
	}
	return list, nil
}

// reportsKept is how long reports are kept.
const reportsKept = 30 * 24 * time.Hour

// DeleteOldReports deletes reports that are no longer counted.
func DeleteOldReports(ctx context.Context, db postgres.DB) error {
	if _, err := db.Exec(ctx, `DELETE FROM key_reports WHERE reported_at < now() - make_interval(secs => $1)`, reportsKept.Seconds()); err != nil {
		return fmt.Errorf("delete old reports: %w", postgres.Translate(err))
	}
	return nil
}

// DeleteReport takes back the report that an invite's recipient withdrew. A complaint
// at their mail provider stays.
func DeleteReport(ctx context.Context, tx pgx.Tx, project string, id invite.ID) error {
	_, err := tx.Exec(ctx, `DELETE FROM key_reports r USING invites i
		WHERE i.id = $2 AND i.project_id = $1 AND r.project_id = $1 AND r.key_id = i.created_by AND r.invite_id = $2 AND r.kind = $3`,
		project, id, KindReported)
	if err != nil {
		return fmt.Errorf("take the report about invite %s back: %w", id, postgres.Translate(err))
	}
	return nil
}
