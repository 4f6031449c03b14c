package queue

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/postgres"
)

// Account is the shared standing of a provider account.
type Account struct {
	Name     string
	Failures int
	Open     bool          // no sends, but for one probe
	OpenFor  time.Duration // until a probe may be sent; 0 or less: now
	// ReportedAgo is how long ago the last verified callback came; negative: never.
	ReportedAgo time.Duration
}

// ListAccounts reads the standing of all accounts.
func ListAccounts(ctx context.Context, db postgres.DB) ([]Account, error) {
	rows, _ := db.Query(ctx, `
		SELECT account, failures, open_until IS NOT NULL, coalesce(extract(epoch FROM open_until - now()), 0)::float8,
			coalesce(extract(epoch FROM now() - last_receipt_at), -1)::float8
		FROM provider_accounts`)
	out, err := pgx.CollectRows(rows, func(r pgx.CollectableRow) (Account, error) {
		var a Account
		var openFor, reported float64
		err := r.Scan(&a.Name, &a.Failures, &a.Open, &openFor, &reported)
		a.OpenFor, a.ReportedAgo = duration(openFor), duration(reported)
		return a, err
	})
	if err != nil {
		return nil, fmt.Errorf("list provider accounts: %w", postgres.Translate(err))
	}
	return out, nil
}

// Trip is the rule by which a breaker opens.
type Trip struct {
	Threshold int           // failures in a row
	First     time.Duration // how long it opens for at first; doubled each time
	Max       time.Duration
}

// Blow is what an account is charged with.
type FailureReport struct {
	Account  string
	Failures int
	// Rest opens the breaker at any count, for at least so long: the account
	// itself was refused, or the provider gave a time to wait.
	Rest time.Duration
	// Lanes are those that can send through this account only: they are not
	// claimed from while the breaker is open, and Grace longer, so that a probe
	// goes first and not the whole queue. The pause has an end, so that no lane
	// waits for an account that is no longer used.
	Lanes []invite.Lane
	Grace time.Duration
}

// AddFailures counts failures in a row and opens the breaker at the threshold,
// or again after a failed probe. It returns for how long the breaker is open, 0
// when it is closed. Breaker and lanes change in one transaction, here and in
// SetWorking: a pause that came later than the end of its reason would stay.
func AddFailures(ctx context.Context, db postgres.DB, w FailureReport, t Trip) (time.Duration, error) {
	batch := &pgx.Batch{}
	batch.Queue(prelude)
	batch.Queue(`
		WITH v AS (
			SELECT $2::int AS n, $3::float8 AS at_least, $4::int AS threshold, $5::float8 AS first, $6::float8 AS max
		)
		INSERT INTO provider_accounts AS p (account, failures, trips, open_until)
		SELECT $1, n, CASE WHEN n >= threshold OR at_least > 0 THEN 1 ELSE 0 END,
			CASE WHEN n >= threshold OR at_least > 0 THEN now() + make_interval(secs => greatest(at_least, first)) END
		FROM v
		ON CONFLICT (account) DO UPDATE SET
			failures = p.failures + $2::int,
			probe_until = CASE WHEN p.open_until <= now() THEN NULL ELSE p.probe_until END,
			-- Failures of calls begun before it opened change nothing but its end;
			-- a failed probe, or enough failures, open it, for longer each time.
			trips = CASE WHEN p.open_until > now() THEN p.trips
				WHEN p.open_until IS NOT NULL OR p.failures + $2::int >= $4::int OR $3::float8 > 0 THEN p.trips + 1
				ELSE p.trips END,
			open_until = CASE WHEN p.open_until > now() THEN greatest(p.open_until, now() + make_interval(secs => $3::float8))
				WHEN p.open_until IS NOT NULL OR p.failures + $2::int >= $4::int OR $3::float8 > 0
					THEN now() + make_interval(secs => greatest($3::float8, least($6::float8, $5::float8 * power(2, least(p.trips, 20)))))
				END,
			updated_at = now()
		RETURNING coalesce(extract(epoch FROM p.open_until - now()), 0)::float8`,
		w.Account, w.Failures, w.Rest.Seconds(), t.Threshold, t.First.Seconds(), t.Max.Seconds())
	batch.Queue(`
		UPDATE lanes l SET paused_until = a.open_until + make_interval(secs => $3)
		FROM provider_accounts a
		WHERE a.account = $1 AND a.open_until IS NOT NULL
			AND l.lane IN (SELECT lane FROM lanes WHERE lane = ANY($2) ORDER BY lane FOR NO KEY UPDATE)`,
		w.Account, laneNames(w.Lanes), w.Grace.Seconds())
	res := db.SendBatch(ctx, batch)
	defer func() { _ = res.Close() }()
	var open float64
	_, err := res.Exec()
	if err == nil {
		err = res.QueryRow().Scan(&open)
	}
	if err == nil {
		_, err = res.Exec()
	}
	if err == nil {
		err = res.Close()
	}
	if err != nil {
		return 0, fmt.Errorf("count failures of %s: %w", w.Account, postgres.Translate(err))
	}
	return duration(open), nil
}

// SetWorking closes the breaker of an account, forgets its failures, ends the
// pause of its lanes and makes due what waits there only because its last call
// failed, or because it could not be asked about one. It reports whether the breaker was open, and how much became due.
func SetWorking(ctx context.Context, db postgres.DB, account string, lanes []invite.Lane) (wasOpen bool, due int, err error) {
	batch := &pgx.Batch{}
	batch.Queue(`
		WITH old AS (SELECT account, open_until FROM provider_accounts WHERE account = $1 FOR NO KEY UPDATE), closed AS (
			UPDATE provider_accounts p SET failures = 0, trips = 0, open_until = NULL, probe_until = NULL, updated_at = now()
			FROM old WHERE p.account = old.account
			RETURNING old.open_until IS NOT NULL AS was
		)
		SELECT coalesce((SELECT was FROM closed), false)`, account)
	batch.Queue(`
		UPDATE lanes SET paused_until = NULL
		WHERE lane IN (SELECT lane FROM lanes WHERE lane = ANY($1) AND paused_until IS NOT NULL ORDER BY lane FOR NO KEY UPDATE)`, laneNames(lanes))
	batch.Queue(`
		WITH waiting AS (
			SELECT invite_id, id FROM deliveries
			WHERE lane = ANY($1) AND next_at > now() AND lease_owner IS NULL AND status IN ('queued', 'sending') AND attempts > 0
			FOR NO KEY UPDATE SKIP LOCKED
		)
		UPDATE deliveries d SET next_at = now() FROM waiting w WHERE d.invite_id = w.invite_id AND d.id = w.id`, laneNames(lanes))
	res := db.SendBatch(ctx, batch)
	defer func() { _ = res.Close() }()
	err = res.QueryRow().Scan(&wasOpen)
	if err == nil {
		_, err = res.Exec()
	}
	if err == nil {
		tag, last := res.Exec()
		due, err = int(tag.RowsAffected()), last
	}
	if err == nil {
		err = res.Close()
	}
	if err != nil {
		return false, 0, fmt.Errorf("close the breaker of %s: %w", account, postgres.Translate(err))
	}
	return wasOpen, due, nil
}

// TakeProbe requests the right to send the one message that tries an account
// whose breaker is open; ok is false before its time, or while another
// process has it.
func TakeProbe(ctx context.Context, db postgres.DB, account string, lasts time.Duration) (bool, error) {
	got, err := quick(ctx, db, pgx.RowTo[string], `
		UPDATE provider_accounts SET probe_until = now() + make_interval(secs => $2), updated_at = now()
		WHERE account = $1 AND open_until <= now() AND coalesce(probe_until <= now(), true)
		RETURNING account`, account, lasts.Seconds())
	if err != nil {
		return false, fmt.Errorf("take the probe of %s: %w", account, postgres.Translate(err))
	}
	return len(got) == 1, nil
}

// DropProbe gives an unused probe back.
func DropProbe(ctx context.Context, db postgres.DB, account string) error {
	_, err := db.Exec(ctx, `UPDATE provider_accounts SET probe_until = NULL WHERE account = $1 AND open_until IS NOT NULL`, account)
	if err != nil {
		return fmt.Errorf("give back the probe of %s: %w", account, postgres.Translate(err))
	}
	return nil
}

// DropProbes frees the probes in progress: a process died, and it may have held
// one. At worst an account is tried by two messages at once.
func DropProbes(ctx context.Context, db postgres.DB) error {
	_, err := db.Exec(ctx, `UPDATE provider_accounts SET probe_until = NULL WHERE open_until <= now() AND probe_until > now()`)
	if err != nil {
		return fmt.Errorf("free the probes: %w", postgres.Translate(err))
	}
	return nil
}

// TakeTokens takes up to n sends out of an account's bucket, which fills by
// rate a second up to burst. It returns how many it got and, when none, how
// long until there is one.
func TakeTokens(ctx context.Context, db postgres.DB, account string, n int, rate float64, burst int) (int, time.Duration, error) {
	type taken struct{ got, wait float64 }
	out, err := quick(ctx, db, func(r pgx.CollectableRow) (taken, error) {
		var t taken
		err := r.Scan(&t.got, &t.wait)
		return t, err
	}, `
		WITH made AS (
			INSERT INTO provider_accounts (account) VALUES ($1) ON CONFLICT DO NOTHING
		), have AS (
			SELECT account, CASE WHEN filled_at IS NULL THEN $4::float8
				ELSE least($4::float8, tokens + $3::float8 * extract(epoch FROM clock_timestamp() - filled_at)::float8) END AS level
			FROM provider_accounts WHERE account = $1 FOR NO KEY UPDATE
		), u AS (
			UPDATE provider_accounts p SET tokens = h.level - least($2::float8, floor(h.level)), filled_at = clock_timestamp()
			FROM have h WHERE p.account = h.account
			RETURNING least($2::float8, floor(h.level)) AS got, p.tokens
		)
		SELECT got, CASE WHEN got > 0 THEN 0 ELSE (1 - tokens) / $3::float8 END FROM u`,
		account, n, rate, burst)
	if err != nil {
		return 0, 0, fmt.Errorf("take sends of %s: %w", account, postgres.Translate(err))
	}
	if len(out) == 0 {
		return 0, 0, nil // the row was made by this very statement: the next one sees it
	}
	return int(out[0].got), duration(out[0].wait), nil
}

// AttemptRef names an attempt.
type AttemptRef struct {
	InviteID  invite.ID
	AttemptID invite.AttemptID
}

// NoteReceipts records that a provider's verified callbacks spoke of these
// attempts. That proves that receipts arrive at all, and since when: only then
// may the lack of one be read as "not taken". It writes an account's row at
// most about once a second.
func NoteReceipts(ctx context.Context, db postgres.DB, attempts []AttemptRef) error {
	var invites []invite.ID
	var ids []invite.AttemptID
	for _, a := range attempts {
		invites, ids = append(invites, a.InviteID), append(ids, a.AttemptID)
	}
	_, err := db.Exec(ctx, `
		INSERT INTO provider_accounts AS p (account, last_receipt_at, last_receipt_for)
		SELECT a.account, now(), max(a.started_at)
		FROM attempts a JOIN unnest($1::uuid[], $2::uuid[]) AS t(invite_id, id) ON a.invite_id = t.invite_id AND a.id = t.id
		GROUP BY a.account
		ON CONFLICT (account) DO UPDATE SET last_receipt_at = now(),
			last_receipt_for = greatest(p.last_receipt_for, excluded.last_receipt_for)
		WHERE p.last_receipt_at IS NULL OR p.last_receipt_at < now() - interval '10 seconds'
			OR p.last_receipt_for < excluded.last_receipt_for - interval '1 second'`, invites, ids)
	if err != nil {
		return fmt.Errorf("note %d receipts: %w", len(attempts), postgres.Translate(err))
	}
	return nil
}

// ListLanes returns the lanes that exist.
func ListLanes(ctx context.Context, db postgres.DB) ([]invite.Lane, error) {
	rows, _ := db.Query(ctx, `SELECT lane FROM lanes ORDER BY lane`)
	lanes, err := pgx.CollectRows(rows, pgx.RowTo[invite.Lane])
	if err != nil {
		return nil, fmt.Errorf("list lanes: %w", postgres.Translate(err))
	}
	return lanes, nil
}

// Waiting is the size and age of the due deliveries, for operators. Counting
// stops at a limit: the number is for a gauge, not for a bill.
type Waiting struct {
	Due     int
	Oldest  time.Duration
	InDoubt int // attempts whose answer was lost, and that no process is asking about at this moment
}

// Measure reads the due deliveries without a lease, and counts those in doubt.
func Measure(ctx context.Context, db postgres.DB, limit int) (Waiting, error) {
	var w Waiting
	var age float64
	err := db.QueryRow(ctx, `
		SELECT count(*)::int, coalesce(extract(epoch FROM now() - min(next_at)), 0)::float8,
			(SELECT count(*)::int FROM (
				SELECT FROM deliveries WHERE status = 'sending' AND lease_owner IS NULL AND next_at IS NOT NULL LIMIT $1
			) in_doubt)
		FROM (
			SELECT d.next_at FROM lanes l
			CROSS JOIN LATERAL (SELECT next_at FROM deliveries d WHERE d.lane = l.lane AND d.next_at <= now() ORDER BY d.next_at LIMIT $1) d
			LIMIT $1
		) due`, limit).Scan(&w.Due, &age, &w.InDoubt)
	if err != nil {
		return Waiting{}, fmt.Errorf("measure the queue: %w", postgres.Translate(err))
	}
	w.Oldest = duration(age)
	return w, nil
}

// Orphan is a project that is not configured, and how many of its deliveries
// wait, up to 1,000 of each of its lanes.
type Orphan struct {
	ProjectID string
	Waiting   int
}

// ListOrphans returns the projects that have deliveries waiting and are not
// among those given: no process can send them.
func ListOrphans(ctx context.Context, db postgres.DB, configured []string) ([]Orphan, error) {
	rows, _ := db.Query(ctx, `
		SELECT l.project_id, sum(d.n)::int AS waiting
		FROM (SELECT lane, split_part(lane, '/', 1) AS project_id FROM lanes) l
		CROSS JOIN LATERAL (
			SELECT count(*) AS n FROM (SELECT FROM deliveries d WHERE d.lane = l.lane AND d.next_at IS NOT NULL LIMIT 1000) waiting
		) d
		WHERE l.project_id <> ALL ($1) AND d.n > 0
		GROUP BY l.project_id ORDER BY l.project_id`, configured)
	list, err := pgx.CollectRows(rows, pgx.RowToStructByName[Orphan])
	if err != nil {
		return nil, fmt.Errorf("list deliveries of projects that are not configured: %w", postgres.Translate(err))
	}
	return list, nil
}

func duration(seconds float64) time.Duration { return time.Duration(seconds * float64(time.Second)) }
