package reseal

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/connectlink/connectlink/config"
	"github.com/connectlink/connectlink/internal/postgres"
	"github.com/connectlink/connectlink/internal/quota"
	"github.com/connectlink/connectlink/internal/required"
	"github.com/connectlink/connectlink/internal/seal"
	"github.com/connectlink/connectlink/internal/store/keyring"
	"github.com/connectlink/connectlink/internal/store/ledger"
)

const (
	// blocksAtOnce bounds one transaction: some hundred rows.
	blocksAtOnce = 16
	// maxPasses bounds how often a table is gone over for rows that others hold or move.
	maxPasses = 20
	// maxRetries bounds how often a batch is tried that lost a race.
	maxRetries = 5
	// endingWithin is how long the database may take to notice that a process has ended.
	endingWithin = 2 * time.Second
	endingEvery  = 100 * time.Millisecond
	// SeenWithin is the time within which a process that lives has recorded its keys.
	SeenWithin = 3 * time.Minute
)

var (
	// ErrUnknownKey means that a running process lacks a key.
	ErrUnknownKey = errors.New("a running process lacks the primary key of this keyset")
	// ErrUnrecorded means that a process is connected that has not recorded its keys, as
	// those of earlier releases: it may not find renewed rows.
	ErrUnrecorded = errors.New("a running process has not recorded its keys")
	// errUsesFirst ends a batch before counts under old hashes are moved.
	errUsesFirst = errors.New("counts under old hashes are to be moved first")
)

// Params are what a Service needs.
type Params struct {
	DB       postgres.Transactor
	Box      *seal.Box
	Projects []config.Project // whose messages are counted per person
	// Rest bounds the load: after each batch that renewed rows, the time it took is
	// waited Rest times over.
	Rest float64
	Log  *slog.Logger
	// Report is told the progress of a table after each batch; may be nil.
	Report func(keyring.Progress)
}

// Service renews rows. It is safe for concurrent use, also by several processes.
type Service struct {
	p       Params
	primary keyring.Primary
	senders []string
}

// New returns a Service. A missing collaborator is an error.
func New(p Params) (*Service, error) {
	if err := required.Check("reseal.Params", map[string]any{"DB": p.DB, "Box": p.Box, "Log": p.Log}); err != nil {
		return nil, err
	}
	s := &Service{p: p, primary: keyring.Primary{Sealing: p.Box.SealKeyID(), Hashing: p.Box.HashKeyID()}}
	for _, project := range p.Projects {
		s.senders = append(s.senders, quota.SendersOf(project)...)
	}
	return s, nil
}

// Run renews all tables. When it returns nil, the rows under old keys that are left are
// those that Status names. Errors: ErrUnknownKey, ErrUnrecorded.
func (s *Service) Run(ctx context.Context) error {
	if err := s.checkProcesses(ctx); err != nil {
		return err
	}
	for _, t := range tables() {
		if len(t.sealed)+len(t.hashed) == 0 {
			continue
		}
		if err := s.renewTable(ctx, t); err != nil {
			return fmt.Errorf("renew table %s: %w", t.name, err)
		}
	}
	return nil
}

// checkProcesses fails if a running process could not read renewed rows.
func (s *Service) checkProcesses(ctx context.Context) error {
	list, err := keyring.ListProcesses(ctx, s.p.DB, SeenWithin)
	if err != nil {
		return err
	}
	for _, p := range list {
		if !p.Holds(s.primary) {
			return fmt.Errorf("%w (seen %d s ago): deploy it to all processes first", ErrUnknownKey, int(p.Ago.Seconds()))
		}
	}
	return checkRecorded(ctx, s.p.DB)
}

// checkRecorded fails if a process is connected to the database whose keys are unknown.
func checkRecorded(ctx context.Context, db postgres.DB) error {
	for began := time.Now(); ; {
		names, err := keyring.ListUnrecorded(ctx, db, SeenWithin)
		if err != nil || len(names) == 0 {
			return err
		}
		if time.Since(began) > endingWithin {
			return fmt.Errorf("%w (database sessions %q): stop processes of earlier releases, and wait %s behind a pooler, which keeps sessions of ended processes",
				ErrUnrecorded, names, SeenWithin)
		}
		if err := rest(ctx, endingEvery); err != nil {
			return err
		}
	}
}

// renewTable goes over a table until no row is left that can be renewed.
func (s *Service) renewTable(ctx context.Context, t table) error {
	progress, found, err := keyring.FindProgress(ctx, s.p.DB, t.name)
	if err != nil {
		return err
	}
	if !found || !progress.Toward(s.primary) || progress.FinishedAt != nil {
		progress = keyring.Progress{Table: t.name, Sealing: int64(s.primary.Sealing), Hashing: int64(s.primary.Hashing)}
		if err := s.beginPass(ctx, &progress); err != nil {
			return err
		}
	}
	for {
		for progress.Block < progress.Blocks {
			if err := s.renewRange(ctx, t, &progress); err != nil {
				return err
			}
		}
		left, err := keyring.CountStale(ctx, s.p.DB, t.columns(), s.primary)
		if err != nil {
			return err
		}
		if left <= progress.Skipped || progress.Pass >= maxPasses {
			now := time.Now()
			progress.FinishedAt, progress.Skipped = &now, left
			return s.store(ctx, s.p.DB, progress)
		}
		// Rows that others held, or that moved behind the cursor.
		if err := s.beginPass(ctx, &progress); err != nil {
			return err
		}
	}
}

func (s *Service) beginPass(ctx context.Context, p *keyring.Progress) (err error) {
	p.Pass, p.Block, p.Skipped = p.Pass+1, 0, 0
	if p.Blocks, err = keyring.Blocks(ctx, s.p.DB, p.Table); err != nil {
		return err
	}
	return s.store(ctx, s.p.DB, *p)
}

// renewRange renews the next range of blocks, and moves the cursor.
func (s *Service) renewRange(ctx context.Context, t table, progress *keyring.Progress) error {
	for try := 1; ; try++ {
		next, b := *progress, &batch{table: t, columns: t.columns()}
		next.Block = min(next.Block+blocksAtOnce, max(next.Blocks, next.Block+1))
		began := time.Now()
		var left []ledger.Moved
		err := postgres.InTx(ctx, s.p.DB, func(tx pgx.Tx) (err error) {
			b.ctx, b.tx = ctx, tx
			if b.rows, err = keyring.LockStale(ctx, tx, b.columns, s.primary, progress.Block, next.Block); err != nil {
				return err
			}
			renew := renewRows
			if t.renew != nil {
				renew = t.renew
			}
			if err := renew(s, b); err != nil {
				return err
			}
			// Once the batch is committed, its rows no longer tell the old hashes. Counts are
			// moved in transactions of their own, because moving waits for their rows.
			if left, err = ledger.FindMoved(ctx, tx, b.moved); err != nil {
				return err
			}
			if len(left) > 0 && try < maxRetries {
				return errUsesFirst
			}
			next.Renewed, next.Skipped = next.Renewed+int64(b.renewed), next.Skipped+int64(b.skipped)
			return s.store(ctx, tx, next)
		})
		if err == nil || errors.Is(err, errUsesFirst) {
			if err := s.moveUses(ctx, left); err != nil {
				return err
			}
		}
		if errors.Is(err, errUsesFirst) {
			continue
		}
		var taken *postgres.ConstraintError
		if errors.As(err, &taken) && try < maxRetries {
			continue // a new row has the hash since the batch looked
		}
		if err != nil {
			return err
		}
		*progress = next
		if s.p.Report != nil {
			s.p.Report(next)
		}
		if b.renewed == 0 {
			return ctx.Err()
		}
		return rest(ctx, time.Duration(float64(time.Since(began))*s.p.Rest))
	}
}

func rest(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}

func (s *Service) store(ctx context.Context, db postgres.DB, p keyring.Progress) error {
	return keyring.SetProgress(ctx, db, p)
}
