package postgres

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/connectlink/connectlink/migrations"
)

// ProgramRole is the role that has the rights which the program needs, and no others. It
// cannot sign in: make the program's own role a member.
const ProgramRole = "connectlink_program"

// appendOnly are the tables in which the program may add rows and change none.
func appendOnly() []string { return []string{"audit", "audit_chain", "audit_heads"} }

// GrantProgram creates ProgramRole where it does not exist, and gives it exactly the
// rights that the program needs on the tables of the present schema. It runs as the
// owner of the tables. With onlyAgain it changes nothing unless the role has rights in
// this database already: a role is one for all databases of a server. It reports whether
// the role has the rights afterwards.
func GrantProgram(ctx context.Context, url string, onlyAgain bool) (granted bool, err error) {
	parsed, err := parseURL(url, nil, 0)
	if err != nil {
		return false, err
	}
	conn, err := pgx.ConnectConfig(ctx, parsed.ConnConfig)
	if err != nil {
		return false, fmt.Errorf("connect to grant the program's rights: %w", Translate(err))
	}
	defer func() { err = errors.Join(err, conn.Close(context.WithoutCancel(ctx))) }()
	err = pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
		var exists bool
		if err := tx.QueryRow(ctx, `SELECT count(*) > 0, coalesce(bool_or(has_table_privilege(oid, 'audit', 'INSERT')), false)
			FROM pg_roles WHERE rolname = $1`, ProgramRole).Scan(&exists, &granted); err != nil {
			return fmt.Errorf("look for the role %s: %w", ProgramRole, Translate(err))
		}
		if !granted && onlyAgain {
			return nil
		}
		if !exists {
			if _, err := tx.Exec(ctx, "CREATE ROLE "+ProgramRole+" NOLOGIN"); err != nil {
				return fmt.Errorf("create the role %s: %w", ProgramRole, Translate(err))
			}
		}
		granted = true
		for _, schema := range []string{"public", "sandbox", migrations.RiverSchema} {
			if err := grantSchema(ctx, tx, schema); err != nil {
				return fmt.Errorf("grant rights in the schema %s: %w", schema, Translate(err))
			}
		}
		for _, table := range appendOnly() {
			if _, err := tx.Exec(ctx, "REVOKE UPDATE, DELETE ON "+table+" FROM "+ProgramRole); err != nil {
				return fmt.Errorf("revoke rights on %s: %w", table, Translate(err))
			}
		}
		if _, err := tx.Exec(ctx, "REVOKE INSERT, UPDATE, DELETE ON "+versionTable+" FROM "+ProgramRole); err != nil {
			return fmt.Errorf("revoke rights on %s: %w", versionTable, Translate(err))
		}
		return nil
	})
	return granted && err == nil, err
}

func grantSchema(ctx context.Context, tx pgx.Tx, schema string) error {
	name := pgx.Identifier{schema}.Sanitize()
	for _, right := range []string{
		"USAGE ON SCHEMA ",
		"SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA ",
		"USAGE, SELECT ON ALL SEQUENCES IN SCHEMA ",
		"EXECUTE ON ALL FUNCTIONS IN SCHEMA ",
	} {
		if _, err := tx.Exec(ctx, "GRANT "+right+name+" TO "+ProgramRole); err != nil {
			return err
		}
	}
	return nil
}

// CanAlterAudit reports whether the role of a connection can change entries of the audit
// log, or take away what prevents that: as the owner or a superuser.
func CanAlterAudit(ctx context.Context, db DB) (bool, error) {
	var can bool
	err := db.QueryRow(ctx, `SELECT bool_or(pg_has_role(c.relowner, 'USAGE') OR has_table_privilege(c.oid, 'UPDATE') OR has_table_privilege(c.oid, 'DELETE'))
		FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = 'public' AND c.relname = ANY($1)`, appendOnly()).Scan(&can)
	if err != nil {
		return false, fmt.Errorf("look at the rights on the audit log: %w", Translate(err))
	}
	return can, nil
}
