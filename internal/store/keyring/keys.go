package keyring

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/connectlink/connectlink/internal/postgres"
	"github.com/connectlink/connectlink/internal/seal"
)

// processesKept is how long the record of a process is kept after its last sign of life.
const processesKept = 24 * time.Hour

// SetSeen records which keys a process holds, and that the first of each half are
// those it writes with.
func SetSeen(ctx context.Context, db postgres.DB, process uuid.UUID, ids seal.KeyIDs) error {
	batch := &pgx.Batch{}
	batch.Queue(`
		INSERT INTO keyset_processes (process, sealing, hashing) VALUES ($1, $2, $3)
		ON CONFLICT (process) DO UPDATE SET sealing = excluded.sealing, hashing = excluded.hashing, seen_at = now()`,
		process, widen(ids.Sealing), widen(ids.Hashing))
	// Processes do this at the same time, so rows are locked in one order.
	batch.Queue(`
		DELETE FROM keyset_processes WHERE process IN (
			SELECT process FROM keyset_processes WHERE seen_at < now() - make_interval(secs => $1) ORDER BY process FOR UPDATE SKIP LOCKED)`,
		processesKept.Seconds())
	// The other keys of the keyset were written with before; a key that was only
	// introduced has no rows, so that knowing it does no harm.
	batch.Queue(`
		INSERT INTO keyset_keys AS k (half, key_id)
		SELECT 'hashing', unnest($2::bigint[]) UNION SELECT 'sealing', unnest($1::bigint[]) ORDER BY 1, 2
		ON CONFLICT (half, key_id) DO UPDATE SET used_at = now(), cleared_at = NULL
		WHERE k.key_id = CASE k.half WHEN 'sealing' THEN ($1::bigint[])[1] ELSE ($2::bigint[])[1] END
		AND (k.used_at < now() - interval '30 seconds' OR k.cleared_at IS NOT NULL)`,
		widen(ids.Sealing), widen(ids.Hashing))
	if err := db.SendBatch(ctx, batch).Close(); err != nil {
		return fmt.Errorf("record the keys of a process: %w", postgres.Translate(err))
	}
	return nil
}

// DeleteSeen removes the record of a process that ends.
func DeleteSeen(ctx context.Context, db postgres.DB, process uuid.UUID) error {
	if _, err := db.Exec(ctx, `DELETE FROM keyset_processes WHERE process = $1`, process); err != nil {
		return fmt.Errorf("remove the record of a process: %w", postgres.Translate(err))
	}
	return nil
}

func widen(ids []uint32) []int64 {
	out := make([]int64, len(ids))
	for i, id := range ids {
		out[i] = int64(id)
	}
	return out
}

// Process is which keys a process holds, the primary key of each half first.
type Process struct {
	Sealing []int64       `db:"sealing"`
	Hashing []int64       `db:"hashing"`
	Ago     time.Duration `db:"ago"` // since its last sign of life
}

// Holds reports whether the process can read values of these keys.
func (p Process) Holds(k Primary) bool {
	return slices.Contains(p.Sealing, int64(k.Sealing)) && slices.Contains(p.Hashing, int64(k.Hashing))
}

// WritesWith reports whether these are the keys that the process writes with.
func (p Process) WritesWith(k Primary) bool {
	return len(p.Sealing) > 0 && len(p.Hashing) > 0 && p.Sealing[0] == int64(k.Sealing) && p.Hashing[0] == int64(k.Hashing)
}

// ListProcesses returns the processes with a sign of life within the time.
func ListProcesses(ctx context.Context, db postgres.DB, within time.Duration) ([]Process, error) {
	rows, _ := db.Query(ctx, `
		SELECT sealing, hashing, now() - seen_at AS ago FROM keyset_processes
		WHERE seen_at > now() - make_interval(secs => $1) ORDER BY seen_at`, within.Seconds())
	list, err := pgx.CollectRows(rows, pgx.RowToStructByName[Process])
	if err != nil {
		return nil, fmt.Errorf("list processes by keys: %w", postgres.Translate(err))
	}
	return list, nil
}

// ListMissing returns the keys that processes wrote with, that are in no half of ids,
// and of which rows may be left.
func ListMissing(ctx context.Context, db postgres.DB, ids seal.KeyIDs) (seal.KeyIDs, error) {
	return listKeys(ctx, db, `
		SELECT half, key_id FROM keyset_keys
		WHERE cleared_at IS NULL AND NOT (half = 'sealing' AND key_id = ANY($1) OR half = 'hashing' AND key_id = ANY($2)) ORDER BY key_id`,
		widen(ids.Sealing), widen(ids.Hashing))
}

func listKeys(ctx context.Context, db postgres.DB, sql string, args ...any) (seal.KeyIDs, error) {
	rows, _ := db.Query(ctx, sql, args...)
	var out seal.KeyIDs
	var half Half
	var id int64
	_, err := pgx.ForEachRow(rows, []any{&half, &id}, func() error {
		if half == Sealing {
			out.Sealing = append(out.Sealing, uint32(id)) //nolint:gosec // was one
		} else {
			out.Hashing = append(out.Hashing, uint32(id)) //nolint:gosec // was one
		}
		return nil
	})
	if err != nil {
		return seal.KeyIDs{}, fmt.Errorf("list keys: %w", postgres.Translate(err))
	}
	return out, nil
}

// SetCleared records that no rows of these keys are left, or that those that are left
// are given up.
func SetCleared(ctx context.Context, db postgres.DB, ids seal.KeyIDs) error {
	_, err := db.Exec(ctx, `
		INSERT INTO keyset_keys (half, key_id, cleared_at)
		SELECT 'sealing', k, now() FROM unnest($1::bigint[]) k UNION SELECT 'hashing', k, now() FROM unnest($2::bigint[]) k
		ON CONFLICT (half, key_id) DO UPDATE SET cleared_at = now()`, widen(ids.Sealing), widen(ids.Hashing))
	if err != nil {
		return fmt.Errorf("record that keys are cleared: %w", postgres.Translate(err))
	}
	return nil
}

// ListCleared returns the keys whose rows are gone or given up.
func ListCleared(ctx context.Context, db postgres.DB) (seal.KeyIDs, error) {
	return listKeys(ctx, db, `SELECT half, key_id FROM keyset_keys WHERE cleared_at IS NOT NULL ORDER BY key_id`)
}
