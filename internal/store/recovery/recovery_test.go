package recovery_test

import (
	"errors"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/postgrestest"
	"github.com/connectlink/connectlink/internal/store/recovery"
)

func exec(t *testing.T, tx pgx.Tx, sql string) {
	t.Helper()
	if _, err := tx.Exec(t.Context(), sql); err != nil {
		t.Fatal(err)
	}
}

func TestCheckRefusesAnotherServerAndAnEarlierTime(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change string
		want   error
	}{
		// A recovery to a target: cmd/connectlink, TestNothingIsSentTwiceAfterARestoreToAnEarlierTime.
		"unchanged":                 {"", nil},
		"failover":                  {"timeline = timeline - 1", nil},
		"an earlier timeline":       {"timeline = timeline + 1", recovery.ErrRestored},
		"another cluster's data":    {"system = '1'", recovery.ErrCopied},
		"another one, and timeline": {"system = '1', timeline = timeline + 1", recovery.ErrCopied},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx, tx := t.Context(), postgrestest.Tx(t)
			if err := recovery.Check(ctx, tx); err != nil {
				t.Fatalf("the first server: %v", err)
			}
			if c.change != "" {
				exec(t, tx, "UPDATE database_identity SET "+c.change)
			}
			if err := recovery.Check(ctx, tx); !errors.Is(err, c.want) {
				t.Errorf("Check = %v, want %v", err, c.want)
			}
			if err := recovery.Accept(ctx, tx); err != nil {
				t.Fatal(err)
			}
			if err := recovery.Check(ctx, tx); err != nil {
				t.Errorf("after it was accepted: %v", err)
			}
		})
	}
}

// A role that may not read the server's identity is refused: nothing would be compared.
func TestCheckRefusesARoleThatCannotCompare(t *testing.T) {
	t.Parallel()
	for _, function := range []string{"pg_control_system()", "pg_walfile_name(pg_lsn)"} {
		tx := postgrestest.Tx(t)
		exec(t, tx, `REVOKE EXECUTE ON FUNCTION `+function+` FROM PUBLIC`)
		exec(t, tx, `CREATE ROLE cannot_compare; GRANT SELECT, INSERT, UPDATE ON database_identity TO cannot_compare; SET LOCAL ROLE cannot_compare`)
		if err := recovery.Check(t.Context(), tx); !errors.Is(err, recovery.ErrHidden) {
			t.Errorf("without %s: Check = %v, want %v", function, err, recovery.ErrHidden)
		}
		if err := tx.Rollback(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
}

func TestARestoreMarksWhatMayHaveBeenSent(t *testing.T) {
	t.Parallel()
	ctx, tx := t.Context(), postgrestest.Tx(t)
	if _, any, err := recovery.FindProgress(ctx, tx); any || err != nil {
		t.Fatalf("a restore before any: %v, %v", any, err)
	}
	if n, err := recovery.SetRestored(ctx, tx); n != 0 || err != nil {
		t.Errorf("marked %d of an empty queue, %v", n, err)
	}
	if list, err := recovery.ListAutomatic(ctx, tx, invite.ID{}, 10); len(list) != 0 || err != nil {
		t.Errorf("automatic messages: %v, %v", list, err)
	}
	if err := recovery.Insert(ctx, tx, recovery.Restore{Deliveries: 3, Reminders: 2, Fallbacks: 1}); err != nil {
		t.Fatal(err)
	}
	p, any, err := recovery.FindProgress(ctx, tx)
	if err != nil || !any || p.Deliveries != 3 || p.Reminders != 2 || p.Fallbacks != 1 || p.Open != 0 || p.DeclaredAt.IsZero() {
		t.Errorf("%+v, %v, %v", p, any, err)
	}
	if _, err := recovery.CountDispatchers(ctx, tx); err != nil {
		t.Error(err)
	}
}
