// Package wording owns the stored texts of messages, by which a project replaces those of
// the templates in one mode. Rows are never changed: a version is a change of one message.
//
// It must not check texts or render them: packages reword and message do.
package wording

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/message"
	"github.com/connectlink/connectlink/internal/postgres"
)

// Did is what made a version.
type Did string

// The kinds of changes.
const (
	Saved    Did = "saved"
	Restored Did = "restored" // an earlier version, or the templates
	Copied   Did = "copied"   // from test mode
)

// Version is a version of a message's texts.
type Version struct {
	invite.Place
	message.Slot
	message.Wording

	Number    int64 // of the project and mode; the first is 1
	Did       Did
	From      int64 // the version that was restored or copied; 0: the templates
	Author    string
	CreatedAt time.Time
}

const columns = `version, language, situation, subject, lead, button, did, coalesce(of_version, 0), author, created_at`

func scan(place invite.Place) func(pgx.CollectableRow) (Version, error) {
	return func(row pgx.CollectableRow) (Version, error) {
		v := Version{Place: place}
		err := row.Scan(&v.Number, &v.Language, &v.Situation, &v.Subject, &v.Lead, &v.Button, &v.Did, &v.From, &v.Author, &v.CreatedAt)
		return v, err
	}
}

// Heads returns the number of the latest version of each project and mode; 0 for none.
func Heads(ctx context.Context, db postgres.DB, places []invite.Place) (map[invite.Place]int64, error) {
	projects, live := make([]string, len(places)), make([]bool, len(places))
	for i, p := range places {
		projects[i], live[i] = p.Project, p.Live
	}
	rows, _ := db.Query(ctx, `SELECT p.project, p.live, coalesce((
			SELECT version FROM message_wordings w WHERE w.project_id = p.project AND w.livemode = p.live ORDER BY version DESC LIMIT 1), 0)
		FROM unnest($1::text[], $2::bool[]) AS p (project, live)`, projects, live)
	heads := make(map[invite.Place]int64, len(places))
	var place invite.Place
	var head int64
	if _, err := pgx.ForEachRow(rows, []any{&place.Project, &place.Live, &head}, func() error { heads[place] = head; return nil }); err != nil {
		return nil, fmt.Errorf("read the latest versions of messages: %w", postgres.Translate(err))
	}
	return heads, nil
}

// ListCurrent returns the latest version of each message that has one.
func ListCurrent(ctx context.Context, db postgres.DB, place invite.Place) ([]Version, error) {
	rows, _ := db.Query(ctx, `SELECT DISTINCT ON (language, situation) `+columns+` FROM message_wordings
		WHERE project_id = $1 AND livemode = $2 ORDER BY language, situation, version DESC`, place.Project, place.Live)
	list, err := pgx.CollectRows(rows, scan(place))
	if err != nil {
		return nil, fmt.Errorf("list the wordings of messages: %w", postgres.Translate(err))
	}
	return list, nil
}

// List returns versions of a message, the latest first, up to n of them, before a version
// unless that is 0.
func List(ctx context.Context, db postgres.DB, place invite.Place, slot message.Slot, before int64, n int) ([]Version, error) {
	rows, _ := db.Query(ctx, `SELECT `+columns+` FROM message_wordings
		WHERE project_id = $1 AND livemode = $2 AND language = $3 AND situation = $4 AND ($5 = 0 OR version < $5) ORDER BY version DESC LIMIT $6`,
		place.Project, place.Live, slot.Language, slot.Situation, before, n)
	list, err := pgx.CollectRows(rows, scan(place))
	if err != nil {
		return nil, fmt.Errorf("list versions of a message: %w", postgres.Translate(err))
	}
	return list, nil
}

// Find returns one version of a message.
func Find(ctx context.Context, db postgres.DB, place invite.Place, slot message.Slot, number int64) (v Version, found bool, err error) {
	list, err := List(ctx, db, place, slot, number+1, 1)
	if err != nil || len(list) == 0 || list[0].Number != number {
		return Version{}, false, err
	}
	return list[0], true, nil
}

// Insert adds a version, if the message's latest is still the one with the number base; 0:
// it has none. It gives the version its number and reports whether it was added: a change
// of another person at the same moment prevents it, also one of another message.
func Insert(ctx context.Context, tx pgx.Tx, v *Version, base int64) (bool, error) {
	var of *int64
	if v.Did != Saved {
		of = &v.From
	}
	// The next number and the comparison with base are of one snapshot, and the key admits
	// one of two that took the same number.
	rows, _ := tx.Query(ctx, `INSERT INTO message_wordings (project_id, livemode, version, language, situation, subject, lead, button, did, of_version, author)
		SELECT $1, $2, 1 + coalesce((SELECT version FROM message_wordings WHERE project_id = $1 AND livemode = $2 ORDER BY version DESC LIMIT 1), 0),
			$3, $4, $5, $6, $7, $8, $9, $10
		WHERE coalesce((SELECT version FROM message_wordings WHERE project_id = $1 AND livemode = $2 AND language = $3 AND situation = $4
			ORDER BY version DESC LIMIT 1), 0) = $11
		ON CONFLICT DO NOTHING RETURNING version`,
		v.Project, v.Live, v.Language, string(v.Situation), v.Subject, v.Lead, v.Button, string(v.Did), of, v.Author, base)
	numbers, err := pgx.CollectRows(rows, pgx.RowTo[int64])
	if err != nil {
		return false, fmt.Errorf("insert a version of a message: %w", postgres.Translate(err))
	}
	if len(numbers) == 0 {
		return false, nil
	}
	v.Number = numbers[0]
	return true, nil
}
