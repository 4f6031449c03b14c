package ledger

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/postgres"
	"github.com/connectlink/connectlink/internal/seal"
)

// Unmatched is a callback whose attempt is not known yet.
type Unmatched struct {
	invite.Place

	CallbackID [16]byte
	// Invite and Attempt are what the callback's path named, where it did.
	Invite  invite.ID
	Attempt invite.AttemptID

	// Provider, Body and ReceivedAt are read back, not written: they stand with
	// the callback.
	Provider   string
	Body       []byte
	ReceivedAt time.Time
}

// joinFirst is when an unmatched callback is looked at again first: our own
// answer, which makes most of them match, is being recorded meanwhile.
const joinFirst = 2 * time.Second

// InsertUnmatched notes callbacks that are to be tried again, for as long as keep.
func InsertUnmatched(ctx context.Context, tx pgx.Tx, list []Unmatched, keep time.Duration) error {
	n := len(list)
	ids, projects, modes := make([][16]byte, n), make([]string, n), make([]bool, n)
	invites, attempts := make([]invite.ID, n), make([]invite.AttemptID, n)
	for i, u := range list {
		ids[i], projects[i], modes[i], invites[i], attempts[i] = u.CallbackID, u.Project, u.Live, u.Invite, u.Attempt
	}
	_, err := tx.Exec(ctx, `
		INSERT INTO unmatched (callback_id, project_id, livemode, invite_ref, attempt_ref, next_at, gives_up_at)
		SELECT *, now() + make_interval(secs => $6), now() + make_interval(secs => $7)
		FROM unnest($1::uuid[], $2::text[], $3::boolean[], $4::uuid[], $5::uuid[])`,
		ids, projects, modes, invites, attempts, joinFirst.Seconds(), keep.Seconds())
	if err != nil {
		return fmt.Errorf("note %d unmatched callbacks: %w", n, postgres.Translate(err))
	}
	return nil
}

// LockUnmatched locks up to n callbacks that are due for another try; locked
// ones are skipped.
func LockUnmatched(ctx context.Context, tx pgx.Tx, n int) ([]Unmatched, error) {
	rows, _ := tx.Query(ctx, `
		SELECT u.callback_id, u.project_id, u.livemode, u.invite_ref, u.attempt_ref, c.provider, c.body, c.received_at
		FROM unmatched u JOIN callbacks c ON c.id = u.callback_id
		WHERE u.next_at <= now() ORDER BY u.next_at LIMIT $1 FOR UPDATE OF u SKIP LOCKED`, n)
	list, err := pgx.CollectRows(rows, func(r pgx.CollectableRow) (Unmatched, error) {
		var u Unmatched
		err := r.Scan(&u.CallbackID, &u.Project, &u.Live, &u.Invite, &u.Attempt, &u.Provider, &u.Body, &u.ReceivedAt)
		return u, err
	})
	if err != nil {
		return nil, fmt.Errorf("lock unmatched callbacks: %w", postgres.Translate(err))
	}
	return list, nil
}

// SetMatched says whose callbacks these turned out to be, and forgets that
// they were unmatched.
func SetMatched(ctx context.Context, tx pgx.Tx, callbacks [][16]byte, invites []invite.ID) error {
	batch := &pgx.Batch{}
	batch.Queue(`UPDATE callbacks c SET invite_id = t.invite_id FROM unnest($1::uuid[], $2::uuid[]) AS t(id, invite_id) WHERE c.id = t.id`,
		callbacks, invites)
	batch.Queue(`DELETE FROM unmatched WHERE callback_id = ANY($1)`, callbacks)
	if err := tx.SendBatch(ctx, batch).Close(); err != nil {
		return fmt.Errorf("match %d callbacks: %w", len(callbacks), postgres.Translate(err))
	}
	return nil
}

// SetUnmatchedLater plans the next try of callbacks that still match nothing:
// twice as long each time, up to an hour. Whose time is over is given up; what
// came stays with the callbacks.
func SetUnmatchedLater(ctx context.Context, tx pgx.Tx, callbacks [][16]byte) error {
	batch := &pgx.Batch{}
	batch.Queue(`DELETE FROM unmatched WHERE callback_id = ANY($1) AND gives_up_at <= now()`, callbacks)
	batch.Queue(`
		UPDATE unmatched SET tries = tries + 1,
			next_at = least(gives_up_at, now() + least(interval '1 hour', make_interval(secs => $2 * power(2, least(tries + 1, 12)))))
		WHERE callback_id = ANY($1)`, callbacks, joinFirst.Seconds())
	if err := tx.SendBatch(ctx, batch).Close(); err != nil {
		return fmt.Errorf("put off %d unmatched callbacks: %w", len(callbacks), postgres.Translate(err))
	}
	return nil
}

// Addressee is an address that a callback speaks of, and when.
type Addressee struct {
	Hashes []seal.Hash // one per live key, of the whole address
	At     time.Time   // zero: now
}

// reach is how far back a message may lie that a late bounce is about:
// providers try for three days, and the bounce travels too.
const reach = 5 * 24 * time.Hour

// FindAttemptsTo returns for each addressee the latest attempt, before the
// time in question, that a provider took or may have taken for that address.
// The zero Attempt stands where there is none.
func FindAttemptsTo(ctx context.Context, db postgres.DB, provider string, list []Addressee) ([]Attempt, error) {
	var hashes []seal.Hash
	var numbers []int32
	var times []*time.Time
	for i, a := range list {
		for _, h := range a.Hashes {
			hashes, numbers, times = append(hashes, h), append(numbers, int32(i)), append(times, orNull(a.At))
		}
	}
	out := make([]Attempt, len(list))
	// The hash covers project and mode, so no other project's attempt is found.
	// A minute of difference between the clocks is allowed for. OFFSET keeps the
	// attempts of each invite apart: joined, they may be walked as a whole.
	rows, _ := db.Query(ctx, `
		SELECT DISTINCT ON (w.n) w.n, a.id, a.invite_id, a.delivery_id, a.provider_message_id
		FROM unnest($2::bytea[], $3::int[], $4::timestamptz[]) AS w(hash, n, at)
		JOIN search_terms s ON s.hash = w.hash
		CROSS JOIN LATERAL (SELECT * FROM attempts WHERE invite_id = s.invite_id OFFSET 0) a
		WHERE a.provider = $1 AND a.outcome IN ('accepted', 'unknown')
			AND a.started_at <= coalesce(w.at, now()) + interval '1 minute'
			AND a.started_at > coalesce(w.at, now()) - make_interval(secs => $5)
		ORDER BY w.n, a.started_at DESC`, provider, hashes, numbers, times, reach.Seconds())
	var n int32
	var a Attempt
	_, err := pgx.ForEachRow(rows, []any{&n, &a.ID, &a.InviteID, &a.DeliveryID, &a.ProviderMessageID}, func() error {
		out[n] = a
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("find attempts by address: %w", postgres.Translate(err))
	}
	return out, nil
}

// FindAttemptTo returns the latest attempt at an address within a time that the
// provider took or may have taken; the zero Attempt where there is none.
func FindAttemptTo(ctx context.Context, db postgres.DB, provider string, hashes []seal.Hash, within time.Duration) (Attempt, error) {
	var a Attempt
	err := db.QueryRow(ctx, `
		SELECT a.id, a.invite_id, a.delivery_id, a.provider_message_id
		FROM search_terms s CROSS JOIN LATERAL (SELECT * FROM attempts WHERE invite_id = s.invite_id OFFSET 0) a
		WHERE s.hash = ANY($2) AND a.provider = $1 AND a.outcome IN ('accepted', 'unknown') AND a.started_at > now() - make_interval(secs => $3)
		ORDER BY a.started_at DESC LIMIT 1`, provider, hashes, within.Seconds()).
		Scan(&a.ID, &a.InviteID, &a.DeliveryID, &a.ProviderMessageID)
	if errors.Is(err, pgx.ErrNoRows) {
		return Attempt{}, nil
	}
	if err != nil {
		return Attempt{}, fmt.Errorf("find attempt by address: %w", postgres.Translate(err))
	}
	return a, nil
}
