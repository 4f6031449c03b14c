package issue

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/connectlink/connectlink/internal/store/ledger"
)

const (
	// maxGroup bounds how many accepts one commit carries.
	maxGroup = 64
	// maxCommits bounds how many commits run at a time: enough to keep several
	// cores of a database busy, few enough to leave connections to others.
	maxCommits = 3
	// commitTimeout bounds one group's commit. It is the group's own: a caller
	// that hangs up must not fail the others.
	commitTimeout = 10 * time.Second
)

// committer joins concurrent accepts into one statement and one commit.
type committer struct {
	db     *pgxpool.Pool
	groups gatherer[*accept]
}

type accept struct {
	row  ledger.New
	in   ledger.Inserted
	err  error
	done chan struct{}
}

func newCommitter(db *pgxpool.Pool) *committer {
	c := &committer{db: db}
	c.groups = gatherer[*accept]{max: maxGroup, workers: maxCommits, do: c.commit}
	return c
}

// insert stores a row with whatever else waits. When ctx ends first the row
// may be stored all the same: the caller repeats with its Idempotency-Key.
func (c *committer) insert(ctx context.Context, row ledger.New) (ledger.Inserted, error) {
	a := &accept{row: row, done: make(chan struct{})}
	c.groups.add(a)
	select {
	case <-a.done:
		return a.in, a.err
	case <-ctx.Done():
		return ledger.Inserted{}, ctx.Err()
	}
}

func (c *committer) commit(group []*accept) {
	ctx, cancel := context.WithTimeout(context.Background(), commitTimeout)
	defer cancel()
	rows := make([]ledger.New, len(group))
	for i, a := range group {
		rows[i] = a.row
	}
	in, err := ledger.Insert(ctx, c.db, rows)
	for i, a := range group {
		switch {
		case err == nil:
			a.in = in[i]
		case len(group) == 1:
			a.err = err
		default:
			// One row's fault must not be the others': each gets its own try.
			a.in, a.err = c.alone(ctx, a.row)
		}
		close(a.done)
	}
}

func (c *committer) alone(ctx context.Context, row ledger.New) (ledger.Inserted, error) {
	in, err := ledger.Insert(ctx, c.db, []ledger.New{row})
	if err != nil {
		return ledger.Inserted{}, err
	}
	return in[0], nil
}
