package keyring

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/connectlink/connectlink/internal/postgres"
)

// Progress is how far a table is.
type Progress struct {
	Table      string     `db:"table_name"`
	Sealing    int64      `db:"sealing_key"`
	Hashing    int64      `db:"hashing_key"`
	Pass       int        `db:"pass"`
	Block      int64      `db:"block"`   // the next one
	Blocks     int64      `db:"blocks"`  // of the pass
	Renewed    int64      `db:"renewed"` // rows, over all passes
	Skipped    int64      `db:"skipped"` // rows that the pass could not renew
	StartedAt  time.Time  `db:"started_at"`
	UpdatedAt  time.Time  `db:"updated_at"`
	FinishedAt *time.Time `db:"finished_at"`
}

// Toward reports whether the progress is towards these keys.
func (p Progress) Toward(k Primary) bool {
	return p.Sealing == int64(k.Sealing) && p.Hashing == int64(k.Hashing)
}

// Share is the part of the pass that is done, 0 to 1.
func (p Progress) Share() float64 {
	if p.FinishedAt != nil || p.Blocks == 0 {
		return 1
	}
	return float64(min(p.Block, p.Blocks)) / float64(p.Blocks)
}

const progressColumns = `table_name, sealing_key, hashing_key, pass, block, blocks, renewed, skipped, started_at, updated_at, finished_at`

// FindProgress returns the progress of a table; ok is false if it has none.
func FindProgress(ctx context.Context, db postgres.DB, table string) (Progress, bool, error) {
	rows, _ := db.Query(ctx, `SELECT `+progressColumns+` FROM reseals WHERE table_name = $1`, table)
	p, err := pgx.CollectExactlyOneRow(rows, pgx.RowToStructByName[Progress])
	if errors.Is(err, pgx.ErrNoRows) {
		return Progress{}, false, nil
	}
	if err != nil {
		return Progress{}, false, fmt.Errorf("find progress of table %s: %w", table, postgres.Translate(err))
	}
	return p, true, nil
}

// ListProgress returns the progress of all tables, by name.
func ListProgress(ctx context.Context, db postgres.DB) ([]Progress, error) {
	rows, _ := db.Query(ctx, `SELECT `+progressColumns+` FROM reseals ORDER BY table_name`)
	list, err := pgx.CollectRows(rows, pgx.RowToStructByName[Progress])
	if err != nil {
		return nil, fmt.Errorf("list progress of re-sealing: %w", postgres.Translate(err))
	}
	return list, nil
}

// SetProgress stores the progress of a table. Two runs at a time do the same work
// twice, and nothing worse: the later one's cursor is stored.
func SetProgress(ctx context.Context, db postgres.DB, p Progress) error {
	_, err := db.Exec(ctx, `
		INSERT INTO reseals AS r (table_name, sealing_key, hashing_key, pass, block, blocks, renewed, skipped, finished_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, CASE WHEN $9 THEN now() END)
		ON CONFLICT (table_name) DO UPDATE SET sealing_key = excluded.sealing_key, hashing_key = excluded.hashing_key,
			pass = excluded.pass, block = excluded.block, blocks = excluded.blocks, renewed = excluded.renewed, skipped = excluded.skipped,
			started_at = CASE WHEN r.sealing_key = excluded.sealing_key AND r.hashing_key = excluded.hashing_key THEN r.started_at ELSE now() END,
			updated_at = now(), finished_at = excluded.finished_at`,
		p.Table, p.Sealing, p.Hashing, p.Pass, p.Block, p.Blocks, p.Renewed, p.Skipped, p.FinishedAt != nil)
	if err != nil {
		return fmt.Errorf("store progress of table %s: %w", p.Table, postgres.Translate(err))
	}
	return nil
}
