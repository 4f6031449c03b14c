package ledger

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/connectlink/connectlink/internal/postgres"
)

// NoticeLevel is how close a day's use is to its maximum.
type NoticeLevel string

// The levels.
const (
	NoticeNear    NoticeLevel = "near"    // 80 % are used
	NoticeReached NoticeLevel = "reached" // the next message is refused
)

// Notice is a limit per day that came near or was reached.
type Notice struct {
	Day     time.Time   `db:"day"`
	Scope   UseScope    `db:"scope"`
	Subject []byte      `db:"subject"`
	Measure Measure     `db:"measure"`
	Level   NoticeLevel `db:"level"`
	Used    int64       `db:"used"` // when the notice was raised
	Most    int64       `db:"most"`
	Raised  time.Time   `db:"raised_at"`
}

// Project is the project whose limit it is, and Name the key, country or block of
// numbers; empty where the limit is the project's.
func (n Notice) Project() (project, name string) {
	project, name, _ = strings.Cut(string(n.Subject), "/")
	return project, name
}

const noticeColumns = `day, scope, subject, measure, level, used, most, raised_at`

// LockNotices locks up to n notices that were not told yet, the oldest first.
func LockNotices(ctx context.Context, tx pgx.Tx, n int) ([]Notice, error) {
	rows, _ := tx.Query(ctx, `
		SELECT `+noticeColumns+` FROM limit_notices WHERE told_at IS NULL ORDER BY raised_at LIMIT $1 FOR UPDATE SKIP LOCKED`, n)
	list, err := pgx.CollectRows(rows, pgx.RowToStructByName[Notice])
	if err != nil {
		return nil, fmt.Errorf("lock notices: %w", postgres.Translate(err))
	}
	return list, nil
}

// SetTold records that a notice was told.
func SetTold(ctx context.Context, tx pgx.Tx, n Notice) error {
	_, err := tx.Exec(ctx, `
		UPDATE limit_notices SET told_at = now() WHERE day = $1 AND scope = $2 AND subject = $3 AND measure = $4 AND level = $5`,
		n.Day, n.Scope, n.Subject, n.Measure, n.Level)
	if err != nil {
		return fmt.Errorf("record a told notice: %w", postgres.Translate(err))
	}
	return nil
}

// ListNotices returns up to n of today's notices of a project, the latest first.
func ListNotices(ctx context.Context, db postgres.DB, project string, n int) ([]Notice, error) {
	rows, _ := db.Query(ctx, `
		SELECT `+noticeColumns+` FROM limit_notices
		WHERE day = (now() AT TIME ZONE 'UTC')::date AND (subject = $1 OR subject >= $1 || '/'::bytea AND subject < $1 || '0'::bytea)
		ORDER BY raised_at DESC LIMIT $2`, []byte(project), n)
	list, err := pgx.CollectRows(rows, pgx.RowToStructByName[Notice])
	if err != nil {
		return nil, fmt.Errorf("list notices of project %s: %w", project, postgres.Translate(err))
	}
	return list, nil
}

// usesKept is how many days the sums of uses and the notices are kept.
const usesKept = 8

// DeleteOldUses deletes uses that no limit counts any more, and old notices, n rows
// per statement.
func DeleteOldUses(ctx context.Context, db postgres.DB, n int) error {
	if _, err := db.Exec(ctx, `DELETE FROM limit_notices WHERE day < (now() AT TIME ZONE 'UTC')::date - $1::int`, usesKept); err != nil {
		return fmt.Errorf("delete old notices: %w", postgres.Translate(err))
	}
	for {
		tag, err := db.Exec(ctx, `
			DELETE FROM sending_uses WHERE (scope, subject, day) IN (
				SELECT scope, subject, day FROM sending_uses
				WHERE day > date '1970-01-01' AND day < (now() AT TIME ZONE 'UTC')::date - $1::int LIMIT $2)`, usesKept, n)
		if err != nil {
			return fmt.Errorf("delete old sums of uses: %w", postgres.Translate(err))
		}
		if tag.RowsAffected() < int64(n) {
			break
		}
	}
	for _, scope := range []UseScope{UseRecipient, UseUser} {
		for from := []byte{}; from != nil; {
			var err error
			if from, err = deleteOldPeople(ctx, db, scope, from, n); err != nil {
				return fmt.Errorf("delete old uses of people: %w", postgres.Translate(err))
			}
		}
	}
	return nil
}

// deleteOldPeople looks at n people beyond from, in the order of the key: an index on
// their age would have to be maintained by every message. Next is nil at the end.
func deleteOldPeople(ctx context.Context, db postgres.DB, scope UseScope, from []byte, n int) (next []byte, err error) {
	var seen int
	err = db.QueryRow(ctx, `
		WITH page AS (
			SELECT subject FROM sending_uses WHERE scope = $1 AND subject > $2 ORDER BY subject LIMIT $3
		), gone AS (
			DELETE FROM sending_uses u USING page p
			WHERE u.scope = $1 AND u.subject = p.subject AND u.used_at < now() - interval '1 day' AND coalesce(u.extra_until < now(), true)
		)
		SELECT count(*), (SELECT subject FROM page ORDER BY subject DESC LIMIT 1) FROM page`, scope, from, n).Scan(&seen, &next)
	if seen < n {
		next = nil
	}
	return next, err
}
