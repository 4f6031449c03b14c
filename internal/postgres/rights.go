package postgres

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/connectlink/connectlink/migrations"
)

// SchemaRights returns the missing rights of url's role in the schema of our
// tables, in PostgreSQL's words: a role without USAGE finds no tables there, as
// if no migration had run. With migrate it includes the rights for migrations.
// It changes nothing.
func SchemaRights(ctx context.Context, url string, migrate bool) error {
	parsed, err := parseURL(url, nil, pendingTimeout)
	if err != nil {
		return err
	}
	conn, err := pgx.ConnectConfig(ctx, parsed.ConnConfig)
	if err != nil {
		return Translate(err)
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	var role, schema, database string
	var may struct{ use, create, createSchema bool }
	err = conn.QueryRow(ctx, `
		SELECT current_user, n.nspname, current_database(), has_schema_privilege(n.oid, 'USAGE'), has_schema_privilege(n.oid, 'CREATE'),
			has_database_privilege(current_database(), 'CREATE')
		FROM unnest(string_to_array(current_setting('search_path'), ',')) WITH ORDINALITY AS p(name, place)
			JOIN pg_namespace n ON n.nspname = replace(trim(both ' "' FROM p.name), '$user', current_user)
		ORDER BY p.place LIMIT 1`).Scan(&role, &schema, &database, &may.use, &may.create, &may.createSchema)
	if errors.Is(err, pgx.ErrNoRows) {
		return errors.New("the search_path of the role names no schema that exists")
	}
	if err != nil {
		return fmt.Errorf("read the role's rights: %w", Translate(err))
	}
	switch {
	case !may.use:
		return fmt.Errorf("permission denied for schema %s: the role %s has no USAGE on it", schema, role)
	case migrate && !may.create:
		return fmt.Errorf("permission denied for schema %s: the role %s has no CREATE on it", schema, role)
	case migrate && !may.createSchema:
		return fmt.Errorf("permission denied for database %s: the role %s has no CREATE on it, and migrations make schemas", database, role)
	case migrate:
		return nil
	}
	rows, _ := conn.Query(ctx, `
		SELECT c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
		WHERE n.nspname IN ($1, $2) AND c.relkind IN ('r', 'p') AND has_schema_privilege(n.oid, 'USAGE')
			AND NOT (has_table_privilege(c.oid, 'SELECT') AND (has_table_privilege(c.oid, 'INSERT') OR c.relname = $3))
		ORDER BY c.relname`, schema, migrations.RiverSchema, versionTable)
	closed, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return fmt.Errorf("read the role's rights: %w", Translate(err))
	}
	if len(closed) > 0 {
		return fmt.Errorf("permission denied for table %s (and %d more): the role %s may not read and write it", closed[0], len(closed)-1, role)
	}
	return nil
}

// InClear lists the hosts of a connection string that the driver would talk to
// without TLS although they are not this machine: sslmode disable, allow or
// prefer, which is what counts where none is given.
func InClear(url string) []string {
	parsed, err := parseURL(url, nil, 0)
	if err != nil {
		return nil // another check says so
	}
	c := parsed.ConnConfig
	tries := []*pgconn.FallbackConfig{{Host: c.Host, Port: c.Port, TLSConfig: c.TLSConfig}}
	var out []string
	for _, t := range append(tries, c.Fallbacks...) {
		if t.TLSConfig == nil && !isHere(t.Host) && (len(out) == 0 || out[len(out)-1] != t.Host) {
			out = append(out, t.Host)
		}
	}
	return out
}

// isHere reports whether a host is a socket's folder or this machine.
func isHere(host string) bool {
	if strings.HasPrefix(host, "/") || strings.HasPrefix(host, "@") {
		return true
	}
	if a, err := netip.ParseAddr(host); err == nil {
		return a.Unmap().IsLoopback()
	}
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	return host == "localhost" || strings.HasSuffix(host, ".localhost")
}
