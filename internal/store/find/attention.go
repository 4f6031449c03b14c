package find

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/postgres"
)

// CountCap is the limit of counting: past it, "1,000 or more" is enough, and
// the exact number would take too long.
const CountCap = 1000

// Windows of what needs attention. Pages that list what a count promises use
// the same ones.
const (
	FailedWindow        = 24 * time.Hour
	ExpiringWindow      = time.Hour
	ConnectFailedWindow = 7 * 24 * time.Hour
)

// Attention counts the invites that need a person's attention, each up to
// CountCap.
type Attention struct {
	Failed        int // failed within FailedWindow: no message can get through
	Expiring      int // end within ExpiringWindow, and were not opened
	ConnectFailed int // failed within ConnectFailedWindow: the app refused the person
	// FailedMore, ExpiringMore and ConnectFailedMore report that there were more to look
	// at, so that there can be more than the number.
	FailedMore, ExpiringMore, ConnectFailedMore bool
}

// GetAttention counts for one project and mode, by when something failed. The
// filters FailedAfter and ConnectFailedAfter list the same invites.
func GetAttention(ctx context.Context, db postgres.DB, place invite.Place, now time.Time) (Attention, error) {
	var a Attention
	var batch pgx.Batch
	count := func(out *int, more *bool, f Filter) {
		f.Place = place
		l := listing{f: f}
		sql := l.countFailures()
		batch.Queue(sql, l.args...).QueryRow(func(row pgx.Row) error { return row.Scan(out, more) })
	}
	count(&a.Failed, &a.FailedMore, Filter{FailedAfter: now.Add(-FailedWindow)})
	count(&a.ConnectFailed, &a.ConnectFailedMore, Filter{ConnectFailedAfter: now.Add(-ConnectFailedWindow)})
	batch.Queue(`SELECT count(*) FILTER (WHERE project_id = $1 AND livemode = $2 AND `+unopened+`), count(*) = `+fmt.Sprint(maxEnding)+` FROM (`+soonest()+`) s`,
		place.Project, place.Live).QueryRow(func(row pgx.Row) error { return row.Scan(&a.Expiring, &a.ExpiringMore) })
	if err := db.SendBatch(ctx, &batch).Close(); err != nil {
		return a, fmt.Errorf("count what needs attention: %w", postgres.Translate(err))
	}
	a.Expiring = min(a.Expiring, CountCap)
	return a, nil
}

// maxEnding bounds the invites of all projects that end within the hour and are
// read: whether they were opened is in no index, because it changes with every
// visit, and an index would make each visit write more.
const maxEnding = 10_000

// soonest are those that end next, of any project, along the index of open
// invites.
func soonest() string {
	return fmt.Sprintf(`SELECT id, project_id, livemode, status, progress FROM invites
		WHERE wiped_at IS NULL AND gives_up_at > now() AND gives_up_at < now() + interval '1 hour' ORDER BY gives_up_at LIMIT %d`, maxEnding)
}

// unopened is of a row that soonest gives.
const unopened = `status IN ('active', 'pending') AND progress = 'none'`
