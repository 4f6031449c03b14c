package issue

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/postgres"
	"github.com/connectlink/connectlink/internal/store/ledger"
)

const (
	// maxGroup bounds how many accepts one commit carries: a whole batch fits.
	maxGroup = MaxBatch
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
	room   func(invite.Lane) (Reservation, bool) // nil: this process does not dispatch
	groups gatherer[*accept]
}

type accept struct {
	row  ledger.New
	in   ledger.Inserted
	err  error
	done chan struct{}
	// reserved is room for its delivery; nil: a claim takes the delivery.
	reserved Reservation
}

func newCommitter(db *pgxpool.Pool, room func(invite.Lane) (Reservation, bool)) *committer {
	c := &committer{db: db, room: room}
	c.groups = gatherer[*accept]{max: maxGroup, workers: maxCommits, do: c.commit}
	return c
}

// insert stores a row together with other waiting ones. If ctx ends first
// the row may still be stored: the caller repeats with its Idempotency-Key.
func (c *committer) insert(ctx context.Context, row ledger.New) (ledger.Inserted, error) {
	a := newAccept(row)
	c.groups.add(a)
	return a.wait(ctx)
}

func newAccept(row ledger.New) *accept { return &accept{row: row, done: make(chan struct{})} }

// wait returns what became of a row that was handed in.
func (a *accept) wait(ctx context.Context) (ledger.Inserted, error) {
	select {
	case <-a.done:
		return a.in, a.err
	case <-ctx.Done():
		return ledger.Inserted{}, ctx.Err()
	}
}

// commit writes a group. After an error about the connection or the server the
// whole group fails: callers are told to repeat, and a try for each row would
// only add to the load. Where the group would exceed a sending limit, the rows
// beyond it are refused and the others are written without them. After an error
// about a row the group is halved, until the row is alone: its fault must not be
// the others'.
func (c *committer) commit(group []*accept) {
	c.reserve(group)
	in, err := c.write(group)
	var over *ledger.LimitError
	if errors.As(err, &over) {
		within, beyond := splitAtLimit(group, over)
		for _, a := range group {
			a.release()
		}
		for _, a := range beyond {
			a.err = over.Exhausted()
			close(a.done)
		}
		if len(within) > 0 {
			c.commit(within)
		}
		return
	}
	for i, a := range group {
		if a.err = err; err == nil {
			a.in = in[i]
		}
		a.start()
	}
	if err != nil && len(group) > 1 && !postgres.IsPassing(err) {
		c.commit(group[:len(group)/2])
		c.commit(group[len(group)/2:])
		return
	}
	for _, a := range group {
		close(a.done)
	}
}

func (c *committer) write(group []*accept) ([]ledger.Inserted, error) {
	ctx, cancel := context.WithTimeout(context.Background(), commitTimeout)
	defer cancel()
	rows := make([]ledger.New, len(group))
	for i, a := range group {
		rows[i] = a.row
	}
	return ledger.Insert(ctx, c.db, rows)
}

// splitAtLimit divides a group whose statement exceeded a limit into the rows that
// there is room for, the first ones, and those beyond, of which there is one at
// least.
func splitAtLimit(group []*accept, over *ledger.LimitError) (within, beyond []*accept) {
	room := over.Room()
	for _, a := range group {
		concerned := slices.ContainsFunc(a.row.Uses, func(u ledger.Use) bool { return keyOf(u) == keyOf(over.Use) })
		switch {
		case !concerned:
			within = append(within, a)
		case room > 0:
			room--
			within = append(within, a)
		default:
			beyond = append(beyond, a)
		}
	}
	if len(beyond) == 0 { // rows differ in their cost
		beyond = within[len(within)-1:]
		within = within[:len(within)-1]
	}
	return within, beyond
}
