package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/jackc/pgx/v5"

	"github.com/connectlink/connectlink/internal/postgres"
	"github.com/connectlink/connectlink/internal/postgrestest"
)

func TestTranslateConstraints(t *testing.T) {
	t.Parallel()
	tx := postgrestest.Tx(t)
	exec(t, tx, `CREATE TABLE person (
		id    int CONSTRAINT person_key PRIMARY KEY,
		email text NOT NULL CONSTRAINT person_email CHECK (email LIKE '%@%'),
		boss  int CONSTRAINT person_boss REFERENCES person,
		span  int4range,
		CONSTRAINT person_span EXCLUDE USING gist (span WITH &&))`)
	exec(t, tx, "INSERT INTO person VALUES (1, 'canary@example.com', NULL, '[1,5)')")

	tests := map[string]struct {
		values string
		want   postgres.ConstraintError
	}{
		"unique":      {"1, 'canary@', NULL, NULL", postgres.ConstraintError{Name: "person_key", Kind: postgres.Unique, Table: "person"}},
		"check":       {"2, 'canary', NULL, NULL", postgres.ConstraintError{Name: "person_email", Kind: postgres.Check, Table: "person"}},
		"foreign key": {"2, 'canary@', 77, NULL", postgres.ConstraintError{Name: "person_boss", Kind: postgres.ForeignKey, Table: "person"}},
		"not null":    {"2, NULL, NULL, NULL", postgres.ConstraintError{Name: "email", Kind: postgres.NotNull, Table: "person"}},
		"exclusion":   {"2, 'canary@', NULL, '[2,3)'", postgres.ConstraintError{Name: "person_span", Kind: postgres.Exclusion, Table: "person"}},
	}
	for name, test := range tests {
		_, raw := execIn(t, tx, "INSERT INTO person VALUES ("+test.values+")")
		err := postgres.Translate(fmt.Errorf("insert canary: %w", raw))
		var got *postgres.ConstraintError
		if !errors.As(err, &got) {
			t.Errorf("%s: got %v, want a ConstraintError", name, err)
			continue
		}
		if diff := cmp.Diff(&test.want, got, cmpopts.IgnoreUnexported(postgres.ConstraintError{})); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
		if strings.Contains(err.Error(), "canary") {
			t.Errorf("%s: a value is in %q", name, err)
		}
		if test.want.Kind != postgres.NotNull && !postgres.IsConstraint(raw, test.want.Name) {
			t.Errorf("%s: IsConstraint is false for the raw error", name)
		}
		if !postgres.IsConstraint(fmt.Errorf("wrapped: %w", err), test.want.Name) || postgres.IsConstraint(err, "other") {
			t.Errorf("%s: IsConstraint is wrong for the translated error", name)
		}
		if again := postgres.Translate(err); again != err {
			t.Errorf("%s: a second Translate changed the error", name)
		}
	}
}

// execIn keeps the outer transaction usable after an error.
func execIn(t *testing.T, tx pgx.Tx, sql string) (string, error) {
	t.Helper()
	inner, err := tx.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	tag, err := inner.Exec(t.Context(), sql)
	if rollback := inner.Rollback(t.Context()); rollback != nil {
		t.Fatal(rollback)
	}
	return tag.String(), err
}

func TestTranslateKeepsValuesOut(t *testing.T) {
	t.Parallel()
	tx := postgrestest.Tx(t)
	_, raw := execIn(t, tx, "SELECT 'canary'::uuid")
	if !strings.Contains(raw.Error(), "canary") {
		t.Fatalf("PostgreSQL no longer quotes values (%v): this test has lost its point", raw)
	}
	if err := postgres.Translate(raw); strings.Contains(err.Error(), "canary") || !strings.Contains(err.Error(), "22P02") {
		t.Errorf("got %q", err)
	}
	// A mistake in the SQL is named; otherwise it could not be found.
	_, raw = execIn(t, tx, "SELECT no_such_column")
	if err := postgres.Translate(raw); !strings.Contains(err.Error(), "no_such_column") {
		t.Errorf("got %q", err)
	}
}

func TestTranslatePassesOn(t *testing.T) {
	t.Parallel()
	mine := errors.New("mine")
	for _, err := range []error{nil, pgx.ErrNoRows, context.Canceled, context.DeadlineExceeded, mine, fmt.Errorf("find: %w", pgx.ErrNoRows)} {
		if got := postgres.Translate(err); got != err {
			t.Errorf("%v became %v", err, got)
		}
	}
}

func TestTranslateLostConnection(t *testing.T) {
	t.Parallel()
	url := postgrestest.NewEmpty(t)
	victim := connect(t, url)
	pid := victim.PgConn().PID()
	admin := connect(t, url)
	exec(t, admin, "SELECT pg_terminate_backend($1)", pid)
	for _, when := range []string{"first use", "second use"} {
		_, err := victim.Exec(t.Context(), "SELECT 1")
		if err := postgres.Translate(err); !errors.Is(err, postgres.ErrUnavailable) || errors.Is(err, postgres.ErrTimeout) {
			t.Errorf("%s: got %v, want ErrUnavailable", when, err)
		}
	}
}

func TestTranslateConflicts(t *testing.T) {
	t.Parallel()
	url := postgrestest.NewEmpty(t)
	pool := open(t, postgres.Params{URL: url, LockTimeout: 100 * time.Millisecond})
	exec(t, pool, "CREATE TABLE n AS SELECT 1 AS v")

	locker := connect(t, url)
	exec(t, locker, "BEGIN")
	exec(t, locker, "SELECT FROM n FOR UPDATE")
	_, err := pool.Exec(t.Context(), "UPDATE n SET v = 2")
	if err := postgres.Translate(err); !errors.Is(err, postgres.ErrTimeout) {
		t.Errorf("lock: got %v, want ErrTimeout", err)
	}
	exec(t, locker, "ROLLBACK")

	a, b := connect(t, url), connect(t, url)
	for _, c := range []*pgx.Conn{a, b} {
		exec(t, c, "BEGIN ISOLATION LEVEL REPEATABLE READ")
		exec(t, c, "SELECT * FROM n")
	}
	exec(t, a, "UPDATE n SET v = 3")
	exec(t, a, "COMMIT")
	_, err = b.Exec(t.Context(), "UPDATE n SET v = 4")
	if err := postgres.Translate(err); !errors.Is(err, postgres.ErrSerialization) || errors.Is(err, postgres.ErrUnavailable) {
		t.Errorf("conflict: got %v, want ErrSerialization", err)
	}
}
