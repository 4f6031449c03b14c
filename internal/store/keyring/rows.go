package keyring

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/connectlink/connectlink/internal/postgres"
)

// Primary are the ids of the keys that new values are written with.
type Primary struct{ Sealing, Hashing uint32 }

func (p Primary) args() []any { return []any{keyBytes(p.Sealing), keyBytes(p.Hashing)} }

// Row is a row with a value under an old key, locked.
type Row struct {
	at     pgtype.TID
	Values [][]byte   // by column; nil: NULL, or not keyed
	IDs    [][16]byte // by column; zero where it has no ID
	Texts  []string   // by expression; empty: NULL
}

// Change is what becomes of a row.
type Change struct {
	Row    Row
	Set    map[string]any // by column
	Delete bool
}

// Expr is a value of Change.Set that SQL computes; $ stands for Arg.
type Expr struct {
	SQL string
	Arg any
}

// Blocks returns the number of blocks of a table.
func Blocks(ctx context.Context, db postgres.DB, table string) (int64, error) {
	var n int64
	if err := db.QueryRow(ctx, `SELECT pg_relation_size($1::regclass) / current_setting('block_size')::bigint`, table).Scan(&n); err != nil {
		return 0, fmt.Errorf("measure table %s: %w", table, postgres.Translate(err))
	}
	return n, nil
}

// LockStale locks and returns the rows of a range of blocks that have a value under
// another key than the primary ones. Rows that others hold are skipped, so that nothing
// ever waits for the caller's own wait.
func LockStale(ctx context.Context, tx pgx.Tx, t Table, p Primary, from, to int64) ([]Row, error) {
	var values, ids []string
	for _, c := range t.Columns {
		id := c.ID
		if id == "" {
			id = "NULL"
		}
		values = append(values, fmt.Sprintf("CASE WHEN %s THEN %s END", c.keyed(), c.value()))
		ids = append(ids, fmt.Sprintf("coalesce((%s)::uuid, '00000000-0000-0000-0000-000000000000')", id))
	}
	texts := "ARRAY[]::text[]"
	if len(t.Texts) > 0 {
		texts = "ARRAY[" + strings.Join(t.Texts, ", ") + "]::text[]"
	}
	lock := "FOR NO KEY UPDATE"
	if t.Unique {
		lock = "FOR UPDATE"
	}
	rows, _ := tx.Query(ctx, fmt.Sprintf(`
		SELECT ctid, ARRAY[%s]::bytea[], ARRAY[%s]::uuid[], %s FROM %s
		WHERE ctid >= $3::tid AND ctid < $4::tid AND %s %s SKIP LOCKED`,
		strings.Join(values, ", "), strings.Join(ids, ", "), texts, t.Name, t.stale(), lock),
		append(p.args(), block(from), block(to))...)
	list, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (Row, error) {
		var r Row
		var texts []*string
		if err := row.Scan(&r.at, &r.Values, &r.IDs, &texts); err != nil {
			return r, err
		}
		for _, t := range texts {
			if t == nil {
				t = new(string)
			}
			r.Texts = append(r.Texts, *t)
		}
		return r, nil
	})
	if err != nil {
		return nil, fmt.Errorf("lock rows of %s under an old key: %w", t.Name, postgres.Translate(err))
	}
	return list, nil
}

func block(n int64) pgtype.TID {
	return pgtype.TID{BlockNumber: uint32(min(n, 1<<32-1)), Valid: true} //nolint:gosec // bounded, and no table has more
}

// Apply writes changes of locked rows.
func Apply(ctx context.Context, tx pgx.Tx, t Table, changes []Change) error {
	batch := &pgx.Batch{}
	for _, c := range changes {
		if c.Delete {
			batch.Queue(`DELETE FROM `+t.Name+` WHERE ctid = $1`, c.Row.at)
			continue
		}
		args, set := []any{c.Row.at}, []string(nil)
		for name, v := range c.Set {
			value := "$"
			if e, ok := v.(Expr); ok {
				value, v = e.SQL, e.Arg
			}
			args = append(args, v)
			set = append(set, name+" = "+strings.ReplaceAll(value, "$", fmt.Sprintf("$%d", len(args))))
		}
		if len(set) > 0 {
			batch.Queue(`UPDATE `+t.Name+` SET `+strings.Join(set, ", ")+` WHERE ctid = $1`, args...)
		}
	}
	if batch.Len() == 0 {
		return nil
	}
	if err := tx.SendBatch(ctx, batch).Close(); err != nil {
		return fmt.Errorf("renew %d rows of %s: %w", batch.Len(), t.Name, postgres.Translate(err))
	}
	return nil
}

// CountStale counts the rows that LockStale would return of the table, locked
// rows too. It reads the whole table.
func CountStale(ctx context.Context, db postgres.DB, t Table, p Primary) (int64, error) {
	var n int64
	if err := db.QueryRow(ctx, `SELECT count(*) FROM `+t.Name+` WHERE `+t.stale(), p.args()...).Scan(&n); err != nil {
		return 0, fmt.Errorf("count rows of %s under an old key: %w", t.Name, postgres.Translate(err))
	}
	return n, nil
}

// CountByKey counts the values of a column by the id of their key. It reads the whole
// table.
func CountByKey(ctx context.Context, db postgres.DB, table string, c Column) (map[uint32]int64, error) {
	rows, _ := db.Query(ctx, fmt.Sprintf(`SELECT %s, count(*) FROM %s WHERE %s GROUP BY 1`, c.key(), table, c.keyed()))
	out := map[uint32]int64{}
	var key []byte
	var n int64
	_, err := pgx.ForEachRow(rows, []any{&key, &n}, func() error {
		if len(key) == 4 {
			out[binary.BigEndian.Uint32(key)] += n
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("count keys of %s.%s: %w", table, c.Name, postgres.Translate(err))
	}
	return out, nil
}

// CountUnder counts the values of a column under these keys, up to most each.
func CountUnder(ctx context.Context, db postgres.DB, table string, c Column, keys []uint32, most int) (map[uint32]int64, error) {
	out := map[uint32]int64{}
	for _, key := range keys {
		var n int64
		err := db.QueryRow(ctx, fmt.Sprintf(`SELECT count(*) FROM (SELECT FROM %s WHERE %s AND %s = $1 LIMIT $2) s`,
			table, c.keyed(), c.key()), keyBytes(key), most).Scan(&n)
		if err != nil {
			return nil, fmt.Errorf("count rows of %s.%s under key %d: %w", table, c.Name, key, postgres.Translate(err))
		}
		if n > 0 {
			out[key] = n
		}
	}
	return out, nil
}

// CountOthers counts the values of a hashed column under keys that are not known, up to
// most per key. The column must have a btree index over the rows of the SQL condition
// where: one index entry is read per key, so the size of the table does not matter.
func CountOthers(ctx context.Context, db postgres.Beginner, table, column, where string, known []uint32, most int) (map[uint32]int64, error) {
	out := map[uint32]int64{}
	err := postgres.InTx(ctx, db, func(tx pgx.Tx) error {
		// A table that was empty when it was last analysed looks small enough to be read whole.
		if _, err := tx.Exec(ctx, `SET LOCAL enable_seqscan = off`); err != nil {
			return err
		}
		for from := uint64(0); from <= math.MaxUint32; {
			key := uint32(from)
			err := tx.QueryRow(ctx, fmt.Sprintf(`SELECT ('x' || encode(substring(%[1]s from 1 for 4), 'hex'))::bit(32)::bigint FROM %[2]s
				WHERE %[3]s AND %[1]s >= $1 AND octet_length(%[1]s) > 4 ORDER BY %[1]s LIMIT 1`, column, table, where), keyBytes(key)).Scan(&from)
			if errors.Is(err, pgx.ErrNoRows) {
				return nil
			}
			if err != nil {
				return err
			}
			key, from = uint32(from), from+1 //nolint:gosec // 32 bits
			if slices.Contains(known, key) {
				continue
			}
			var n int64
			if err := tx.QueryRow(ctx, fmt.Sprintf(`SELECT count(*) FROM (SELECT FROM %[2]s
				WHERE %[3]s AND %[1]s >= $1 AND %[1]s < $2 AND octet_length(%[1]s) > 4 LIMIT $3) s`, column, table, where),
				keyBytes(key), append(keyBytes(key), bytes.Repeat([]byte{0xff}, 64)...), most).Scan(&n); err != nil {
				return err
			}
			out[key] = n
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("count values of %s.%s under unknown keys: %w", table, column, postgres.Translate(err))
	}
	return out, nil
}
