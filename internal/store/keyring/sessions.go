package keyring

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/connectlink/connectlink/internal/postgres"
)

// SessionName is the application_name of a process's database sessions, for example
// "connectlink api 1f0c22ab". Releases that do not record their keys name their sessions
// without the id at the end.
func SessionName(purpose string, process uuid.UUID) string {
	return "connectlink " + purpose + " " + process.String()[:8]
}

// ListUnrecorded returns the names of sessions of processes that have not recorded their
// keys within the time, sorted.
func ListUnrecorded(ctx context.Context, db postgres.DB, within time.Duration) ([]string, error) {
	// A pooler keeps a session with the name of its last client, also after that process
	// ended. A process that records its keys is heard of within the time.
	rows, _ := db.Query(ctx, `
		SELECT DISTINCT a.application_name FROM pg_stat_activity a
		WHERE a.datname = current_database() AND a.application_name ~ '^connectlink (api|worker|monitor)( [0-9a-f]{8})?$'
		AND NOT EXISTS (SELECT FROM keyset_processes p
			WHERE p.seen_at > now() - make_interval(secs => $1) AND right(a.application_name, 9) = ' ' || left(p.process::text, 8))
		AND (a.application_name !~ ' [0-9a-f]{8}$' OR a.state_change IS NULL OR a.state_change > now() - make_interval(secs => $1))
		ORDER BY 1`, within.Seconds())
	list, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return nil, fmt.Errorf("list sessions of unrecorded processes: %w", postgres.Translate(err))
	}
	return list, nil
}
