package issue

import (
	"context"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/connectlink/connectlink/internal/store/ledger"
)

const (
	// maxGroup bounds how many accepts one commit carries.
	maxGroup = 64
	// commitTimeout bounds one group's commit. It is the group's own: a caller
	// that hangs up must not fail the others.
	commitTimeout = 10 * time.Second
)

// committer joins concurrent accepts into one statement and one commit. It
// never waits for company: while a commit runs the next group gathers, and it
// goes as soon as the commit returns.
type committer struct {
	db      *pgxpool.Pool
	mu      sync.Mutex
	waiting []*accept
	running bool
}

type accept struct {
	row  ledger.New
	in   ledger.Inserted
	err  error
	done chan struct{}
}

func newCommitter(db *pgxpool.Pool) *committer { return &committer{db: db} }

// insert stores a row with whatever else waits. When ctx ends first the row
// may be stored all the same: the caller repeats with its Idempotency-Key.
func (c *committer) insert(ctx context.Context, row ledger.New) (ledger.Inserted, error) {
	a := &accept{row: row, done: make(chan struct{})}
	c.mu.Lock()
	c.waiting = append(c.waiting, a)
	lead := !c.running
	c.running = true
	c.mu.Unlock()
	if lead {
		go c.drain()
	}
	select {
	case <-a.done:
		return a.in, a.err
	case <-ctx.Done():
		return ledger.Inserted{}, ctx.Err()
	}
}

// drain commits group after group until nothing waits.
func (c *committer) drain() {
	for {
		c.mu.Lock()
		group := c.waiting
		if len(group) > maxGroup {
			group = group[:maxGroup]
		}
		c.waiting = c.waiting[len(group):]
		if len(group) == 0 {
			c.waiting, c.running = nil, false
			c.mu.Unlock()
			return
		}
		c.mu.Unlock()
		c.commit(group)
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
