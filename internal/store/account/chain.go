package account

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/postgres"
)

// Head is a position of the audit log's hash chain. The zero Head is before the first
// entry.
type Head struct {
	Number int64
	Hash   []byte
}

// DayHead is the last position of a day in UTC.
type DayHead struct {
	Day time.Time
	Head
}

// Text returns the entry as the chain covers it: JSON with its members in this order,
// and the time in microseconds, as PostgreSQL keeps it.
func (e Audited) Text() ([]byte, error) {
	text, err := json.Marshal(struct {
		ID        string            `json:"id"`
		At        string            `json:"at"`
		Project   string            `json:"project"`
		Live      bool              `json:"livemode"`
		Actor     string            `json:"actor"`
		Act       string            `json:"act"`
		Target    string            `json:"target"`
		Invite    string            `json:"invite_id"`
		Why       string            `json:"why"`
		Data      map[string]string `json:"data"`
		Session   string            `json:"session_id"`
		RequestID string            `json:"request_id"`
		Address   []byte            `json:"address_hash"`
	}{
		e.ID.String(), e.At.UTC().Format(chainTime), e.Project, e.Live, e.Actor, string(e.Act), e.Target, e.InviteID.String(), e.Why,
		e.Data, e.SessionID.String(), e.RequestID, e.AddressHash,
	})
	if err != nil {
		return nil, fmt.Errorf("encode audit entry %s: %w", e.ID, err)
	}
	return text, nil
}

// Next returns the position of an entry that follows h: its hash is SHA-256 over the
// hash before it and the entry's Text.
func (h Head) Next(text []byte) Head {
	sum := sha256.Sum256(slices.Concat(h.Hash, text))
	return Head{h.Number + 1, sum[:]}
}

const chainTime = "2006-01-02T15:04:05.000000Z"

// chainLock is the advisory lock of those who append to the chain ("cl-audit" in ASCII).
const chainLock int64 = 0x636c2d6175646974

// ExtendChain appends up to limit entries to the chain, and returns their number. day is
// the head of the day that has ended, the first time that it is seen.
func ExtendChain(ctx context.Context, tx pgx.Tx, limit int) (n int, day *DayHead, err error) {
	if _, err := tx.Exec(ctx, `SELECT pg_advisory_xact_lock($1)`, chainLock); err != nil {
		return 0, nil, fmt.Errorf("extend the audit chain: %w", postgres.Translate(err))
	}
	// Both tables may be known as empty from before a backlog.
	if _, err := tx.Exec(ctx, `SET LOCAL enable_seqscan = off`); err != nil {
		return 0, nil, fmt.Errorf("extend the audit chain: %w", postgres.Translate(err))
	}
	head, err := LastHead(ctx, tx)
	if err != nil {
		return 0, nil, err
	}
	ended, ok, err := endDay(ctx, tx, head)
	if err != nil {
		return 0, nil, err
	}
	if ok {
		day = &ended
	}
	// Ids first: the plan of a join would depend on how long the queue was when it was
	// last analyzed.
	rows, _ := tx.Query(ctx, `SELECT entry_id FROM audit_pending ORDER BY entry_id LIMIT $1`, limit)
	ids, err := pgx.CollectRows(rows, pgx.RowTo[uuid.UUID])
	if err != nil {
		return 0, nil, fmt.Errorf("list pending audit entries: %w", postgres.Translate(err))
	}
	entries, err := listEntries(ctx, tx, ids)
	if err != nil {
		return 0, nil, err
	}
	var numbers []int64
	var chained []uuid.UUID
	var hashes [][]byte
	for _, id := range ids {
		e, ok := entries[id]
		if !ok {
			continue // it stays pending, and Verify tells of it
		}
		text, err := e.Text()
		if err != nil {
			return 0, nil, err
		}
		head = head.Next(text)
		numbers, chained, hashes = append(numbers, head.Number), append(chained, id), append(hashes, head.Hash)
	}
	if len(chained) == 0 {
		return 0, day, nil
	}
	if _, err := tx.Exec(ctx, `INSERT INTO audit_chain (number, entry_id, hash) SELECT * FROM unnest($1::bigint[], $2::uuid[], $3::bytea[])`,
		numbers, chained, hashes); err != nil {
		return 0, nil, fmt.Errorf("extend the audit chain: %w", postgres.Translate(err))
	}
	if _, err := tx.Exec(ctx, `DELETE FROM audit_pending WHERE entry_id = ANY($1)`, chained); err != nil {
		return 0, nil, fmt.Errorf("extend the audit chain: %w", postgres.Translate(err))
	}
	return len(chained), day, nil
}

// endDay keeps the head of the last day on which entries were chained, once that day has
// ended. ok is false where it is kept already.
func endDay(ctx context.Context, tx pgx.Tx, head Head) (d DayHead, ok bool, err error) {
	if head.Number == 0 {
		return d, false, nil
	}
	d.Head = head
	err = tx.QueryRow(ctx, `
		INSERT INTO audit_heads (day, number, hash)
		SELECT (chained_at AT TIME ZONE 'UTC')::date, number, hash FROM audit_chain
		WHERE number = $1 AND (chained_at AT TIME ZONE 'UTC')::date < (now() AT TIME ZONE 'UTC')::date
		ON CONFLICT DO NOTHING RETURNING day`, head.Number).Scan(&d.Day)
	if errors.Is(err, pgx.ErrNoRows) {
		return d, false, nil
	}
	if err != nil {
		return d, false, fmt.Errorf("keep the audit log's head of a day: %w", postgres.Translate(err))
	}
	return d, true, nil
}

// LastHead returns the end of the chain.
func LastHead(ctx context.Context, db postgres.DB) (Head, error) {
	var h Head
	err := db.QueryRow(ctx, `SELECT number, hash FROM audit_chain ORDER BY number DESC LIMIT 1`).Scan(&h.Number, &h.Hash)
	if err != nil && !errors.Is(err, pgx.ErrNoRows) {
		return Head{}, fmt.Errorf("read the end of the audit chain: %w", postgres.Translate(err))
	}
	return h, nil
}

// ListHeads returns the kept heads of days, oldest first.
func ListHeads(ctx context.Context, db postgres.DB) ([]DayHead, error) {
	rows, _ := db.Query(ctx, `SELECT day, number, hash FROM audit_heads ORDER BY day`)
	list, err := pgx.CollectRows(rows, func(r pgx.CollectableRow) (DayHead, error) {
		var d DayHead
		err := r.Scan(&d.Day, &d.Number, &d.Hash)
		return d, err
	})
	if err != nil {
		return nil, fmt.Errorf("list the audit log's heads: %w", postgres.Translate(err))
	}
	return list, nil
}

// Chained is a link of the chain, with its entry unless that is missing.
type Chained struct {
	Head

	EntryID invite.AuditID
	Entry   *Audited
}

// ListChain returns up to limit links after a number.
func ListChain(ctx context.Context, db postgres.DB, after int64, limit int) ([]Chained, error) {
	rows, _ := db.Query(ctx, `SELECT number, entry_id, hash FROM audit_chain WHERE number > $1 ORDER BY number LIMIT $2`, after, limit)
	var ids []uuid.UUID
	list, err := pgx.CollectRows(rows, func(r pgx.CollectableRow) (Chained, error) {
		var c Chained
		err := r.Scan(&c.Number, &c.EntryID, &c.Hash)
		ids = append(ids, c.EntryID.UUID())
		return c, err
	})
	if err != nil {
		return nil, fmt.Errorf("list the audit chain: %w", postgres.Translate(err))
	}
	entries, err := listEntries(ctx, db, ids)
	if err != nil {
		return nil, err
	}
	for i := range list {
		if e, ok := entries[ids[i]]; ok {
			list[i].Entry = &e
		}
	}
	return list, nil
}

// ListUnchained returns up to limit entries after an id that are in no chain and not
// pending, and how many entries were looked at, and the id of the last.
func ListUnchained(ctx context.Context, db postgres.DB, after invite.AuditID, limit int) (unchained []invite.AuditID, last invite.AuditID, n int, err error) {
	rows, _ := db.Query(ctx, `
		SELECT a.id, EXISTS (SELECT FROM audit_chain c WHERE c.entry_id = a.id) OR EXISTS (SELECT FROM audit_pending p WHERE p.entry_id = a.id)
		FROM (SELECT id FROM audit WHERE id > $1 ORDER BY id LIMIT $2) a ORDER BY a.id`, uuid.UUID(after.UUID()), limit) // the zero id would be NULL
	var known bool
	_, err = pgx.ForEachRow(rows, []any{&last, &known}, func() error {
		if n++; !known {
			unchained = append(unchained, last)
		}
		return nil
	})
	if err != nil {
		return nil, last, 0, fmt.Errorf("list audit entries outside the chain: %w", postgres.Translate(err))
	}
	return unchained, last, n, nil
}

// CountPending counts entries that are to be chained, and of these the missing ones.
func CountPending(ctx context.Context, db postgres.DB) (pending, missing int64, err error) {
	err = db.QueryRow(ctx, `
		SELECT count(*), count(*) FILTER (WHERE NOT EXISTS (SELECT FROM audit a WHERE a.id = p.entry_id)) FROM audit_pending p`).Scan(&pending, &missing)
	if err != nil {
		return 0, 0, fmt.Errorf("count pending audit entries: %w", postgres.Translate(err))
	}
	return pending, missing, nil
}

func listEntries(ctx context.Context, db postgres.DB, ids []uuid.UUID) (map[uuid.UUID]Audited, error) {
	rows, _ := db.Query(ctx, `SELECT `+auditColumns+` FROM audit WHERE id = ANY($1)`, ids)
	list, err := pgx.CollectRows(rows, pgx.RowToStructByName[Audited])
	if err != nil {
		return nil, fmt.Errorf("list audit entries: %w", postgres.Translate(err))
	}
	entries := make(map[uuid.UUID]Audited, len(list))
	for _, e := range list {
		entries[e.ID.UUID()] = e
	}
	return entries, nil
}
