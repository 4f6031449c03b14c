package recovery

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/connectlink/connectlink/internal/postgres"
)

// Errors of Check.
var (
	// ErrRestored means that the server was recovered to an earlier time.
	ErrRestored = errors.New("the database was restored to an earlier time: messages may have been sent since; run `connectlink restore declare`")
	// ErrCopied means that the data stands on another server than before.
	ErrCopied = errors.New("the database is a copy, on another server than before: messages may have been sent since; run `connectlink restore declare`")
	// ErrReplaying means that the server replays its log: it may become either of them.
	ErrReplaying = errors.New("the database server is in recovery: it is a standby, or was restored and is not promoted yet; " +
		"name the primary, or wait until pg_is_in_recovery() is false (after a recovery that paused: SELECT pg_wal_replay_resume())")
	// ErrHidden means that the role may not read the server's identity, so that a restore
	// would not be noticed.
	ErrHidden = errors.New("the database role may not read which server it is connected to, so that a restore to an earlier time would not be noticed; " +
		"as an administrator: GRANT EXECUTE ON FUNCTION pg_control_system(), pg_current_wal_lsn(), pg_walfile_name(pg_lsn) TO the role")
)

// insufficientPrivilege is the code of an operation that the role may not do.
const insufficientPrivilege = "42501"

// identity is the server as it describes itself, beside the recorded one.
type identity struct {
	System   string
	Timeline int // 0: it is in recovery
	Targets  int // settings recovery_target… that are set
	// The recorded ones; nil: none is.
	KnownSystem   *string
	KnownTimeline *int
}

// Check compares the server with the recorded one, and records the first one and each
// failover. It must be asked before a process sends. Errors: ErrRestored, ErrCopied,
// ErrReplaying, ErrHidden.
func Check(ctx context.Context, db postgres.DB) error {
	i, err := read(ctx, db)
	var refused *pgconn.PgError
	switch {
	case errors.As(err, &refused) && refused.Code == insufficientPrivilege:
		return ErrHidden
	case err != nil:
		return fmt.Errorf("identify the database server: %w", postgres.Translate(err))
	case i.Timeline == 0:
		return ErrReplaying
	case i.KnownSystem == nil:
		return record(ctx, db, i)
	case *i.KnownSystem != i.System:
		return ErrCopied
	case i.Timeline < *i.KnownTimeline, i.Timeline > *i.KnownTimeline && i.Targets > 0:
		return ErrRestored
	case i.Timeline > *i.KnownTimeline:
		return record(ctx, db, i)
	}
	return nil
}

func read(ctx context.Context, db postgres.DB) (identity, error) {
	// The file's name begins with the timeline. The control file has it too, but only
	// from the next checkpoint on.
	rows, _ := db.Query(ctx, `
		SELECT (SELECT system_identifier::text FROM pg_control_system()) AS system,
			CASE WHEN pg_is_in_recovery() THEN 0
				ELSE ('x' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8))::bit(32)::int END AS timeline,
			(SELECT count(*)::int FROM unnest(ARRAY['recovery_target', 'recovery_target_lsn', 'recovery_target_name', 'recovery_target_time', 'recovery_target_xid']) AS t(name)
				WHERE coalesce(current_setting(name, true), '') <> '') AS targets,
			k.system AS known_system, k.timeline AS known_timeline
		FROM (SELECT) one LEFT JOIN database_identity k ON true`)
	return pgx.CollectExactlyOneRow(rows, pgx.RowToStructByName[identity])
}

// record replaces the recorded identity by a later one. A process that was slower keeps
// its hands off a later timeline.
func record(ctx context.Context, db postgres.DB, i identity) error {
	_, err := db.Exec(ctx, `
		INSERT INTO database_identity AS k (system, timeline) VALUES ($1, $2)
		ON CONFLICT (only_row) DO UPDATE SET timeline = excluded.timeline, recorded_at = now()
		WHERE k.system = excluded.system AND k.timeline < excluded.timeline`, i.System, i.Timeline)
	if err != nil {
		return fmt.Errorf("record the database server: %w", postgres.Translate(err))
	}
	return nil
}

// Accept records the server as it is, after a restore or a move was declared.
func Accept(ctx context.Context, tx pgx.Tx) error {
	i, err := read(ctx, tx)
	if err == nil {
		_, err = tx.Exec(ctx, `
			INSERT INTO database_identity (system, timeline) VALUES ($1, $2)
			ON CONFLICT (only_row) DO UPDATE SET system = excluded.system, timeline = excluded.timeline, recorded_at = now()`, i.System, i.Timeline)
	}
	if err != nil {
		return fmt.Errorf("record the database server: %w", postgres.Translate(err))
	}
	return nil
}
