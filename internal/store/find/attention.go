package find

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/connectlink/connectlink/internal/postgres"
)

// CountCap is where counting for a glance stops: past it, "1,000 or more" says
// as much, and nobody waits for the exact number.
const CountCap = 1000

// Windows of what needs attention. Pages that list what a count promises use
// the same ones.
const (
	FailedWindow        = 24 * time.Hour
	ExpiringWindow      = time.Hour
	ConnectFailedWindow = 7 * 24 * time.Hour
	BlockedWindow       = 24 * time.Hour
)

// Attention counts what somebody should look at, each up to CountCap.
type Attention struct {
	Failed        int // made within FailedWindow, and no message can get through
	Expiring      int // end within ExpiringWindow, and nobody opened them
	ConnectFailed int // made within ConnectFailedWindow, and the app refused the person
	Blocked       int // addresses blocked within BlockedWindow
}

// GetAttention counts for one project and mode.
func GetAttention(ctx context.Context, db postgres.DB, project string, livemode bool, now time.Time) (Attention, error) {
	var a Attention
	var batch pgx.Batch
	count := func(out *int, sql string, args ...any) {
		batch.Queue(`SELECT count(*) FROM (`+sql+` LIMIT `+fmt.Sprint(CountCap)+`) t`, args...).QueryRow(func(row pgx.Row) error { return row.Scan(out) })
	}
	since := func(d time.Duration) any { return firstAt(now.Add(-d).UnixMilli()) }
	count(&a.Failed, `SELECT FROM invites WHERE project_id = $1 AND livemode = $2 AND status = 'failed' AND id > $3`,
		project, livemode, since(FailedWindow))
	count(&a.Expiring, `SELECT FROM invites i WHERE project_id = $1 AND livemode = $2 AND `+expiring, project, livemode)
	count(&a.ConnectFailed, `SELECT FROM invites WHERE project_id = $1 AND livemode = $2 AND progress = 'connect_failed' AND id > $3`,
		project, livemode, since(ConnectFailedWindow))
	count(&a.Blocked, `SELECT FROM suppressions WHERE project_id = $1 AND livemode = $2 AND id > $3 AND lifted_at IS NULL`,
		project, livemode, since(BlockedWindow))
	if err := db.SendBatch(ctx, &batch).Close(); err != nil {
		return a, fmt.Errorf("count what needs attention: %w", postgres.Translate(err))
	}
	return a, nil
}

// expiring is bound to the index of what is not over yet.
const expiring = `i.wiped_at IS NULL AND i.gives_up_at > now() AND i.gives_up_at < now() + interval '1 hour'
	AND i.status IN ('active', 'pending') AND i.progress = 'none'`
