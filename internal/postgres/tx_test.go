package postgres_test

import (
	"context"
	"errors"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/connectlink/connectlink/internal/postgres"
)

func TestInTx(t *testing.T) {
	t.Parallel()
	pool := open(t, postgres.Params{MaxConns: 1}) // a connection not given back would show
	exec(t, pool, `CREATE TABLE note (id int PRIMARY KEY, parent int CONSTRAINT note_parent REFERENCES note DEFERRABLE INITIALLY DEFERRED)`)
	insert := func(tx pgx.Tx, id int, parent any) {
		t.Helper()
		if _, err := tx.Exec(t.Context(), "INSERT INTO note VALUES ($1, $2)", id, parent); err != nil {
			t.Fatal(err)
		}
	}
	count := func() int { t.Helper(); return scalar[int](t, pool, "SELECT count(*) FROM note") }

	if err := postgres.InTx(t.Context(), pool, func(tx pgx.Tx) error { insert(tx, 1, nil); return nil }); err != nil || count() != 1 {
		t.Fatalf("commit: %v, %d rows", err, count())
	}

	mine := errors.New("mine")
	if err := postgres.InTx(t.Context(), pool, func(tx pgx.Tx) error { insert(tx, 2, nil); return mine }); err != mine || count() != 1 {
		t.Errorf("error: got %v, %d rows; want the function's own, 1 row", err, count())
	}

	func() {
		defer func() {
			if got := recover(); got != "boom" {
				t.Errorf("panic: recovered %v", got)
			}
		}()
		_ = postgres.InTx(t.Context(), pool, func(tx pgx.Tx) error { insert(tx, 3, nil); panic("boom") })
	}()
	if count() != 1 {
		t.Errorf("panic: %d rows", count())
	}

	ctx, cancel := context.WithCancel(t.Context())
	err := postgres.InTx(ctx, pool, func(tx pgx.Tx) error { insert(tx, 4, nil); cancel(); return ctx.Err() })
	if !errors.Is(err, context.Canceled) || count() != 1 {
		t.Errorf("cancelled: got %v, %d rows", err, count())
	}

	ctx, cancel = context.WithCancel(t.Context())
	err = postgres.InTx(ctx, pool, func(tx pgx.Tx) error { insert(tx, 5, nil); cancel(); return nil })
	if !errors.Is(err, context.Canceled) || count() != 1 {
		t.Errorf("cancelled before the commit: got %v, %d rows", err, count())
	}

	// A deferred constraint speaks up at the commit.
	err = postgres.InTx(t.Context(), pool, func(tx pgx.Tx) error { insert(tx, 6, 99); return nil })
	if !postgres.IsConstraint(err, "note_parent") || count() != 1 {
		t.Errorf("deferred constraint: got %v, %d rows", err, count())
	}

	// A transaction is a Beginner too: the inner one is a savepoint.
	err = postgres.InTx(t.Context(), pool, func(tx pgx.Tx) error {
		insert(tx, 7, nil)
		if err := postgres.InTx(t.Context(), tx, func(tx pgx.Tx) error { insert(tx, 8, nil); return mine }); err != mine {
			t.Errorf("inner: %v", err)
		}
		return nil
	})
	if err != nil || count() != 2 {
		t.Errorf("nested: got %v, %d rows; want only the outer's", err, count())
	}
}

func TestInTxWithoutADatabaseIsUnavailable(t *testing.T) {
	t.Parallel()
	pool := open(t, postgres.Params{})
	pool.Close()
	err := postgres.InTx(t.Context(), pool, func(pgx.Tx) error { t.Error("ran"); return nil })
	if !errors.Is(err, postgres.ErrUnavailable) {
		t.Errorf("got %v, want ErrUnavailable", err)
	}
}

func TestAfterCommitRunsOnceItIsTrue(t *testing.T) {
	t.Parallel()
	pool := open(t, postgres.Params{MaxConns: 2})
	exec(t, pool, `CREATE TABLE note (id int PRIMARY KEY, parent int CONSTRAINT note_parent REFERENCES note DEFERRABLE INITIALLY DEFERRED)`)
	var told []int
	tell := func(tx pgx.Tx, id int) {
		t.Helper()
		ok := postgres.AfterCommit(tx, func() {
			if n := scalar[int](t, pool, "SELECT count(*) FROM note WHERE id = $1", id); n != 1 {
				t.Errorf("told of %d before others could see it", id)
			}
			told = append(told, id)
		})
		if !ok {
			t.Error("InTx's own transaction is not known")
		}
	}
	write := func(id int, parent any, end error) error {
		return postgres.InTx(t.Context(), pool, func(tx pgx.Tx) error {
			tell(tx, id)
			_, err := tx.Exec(t.Context(), "INSERT INTO note VALUES ($1, $2)", id, parent)
			return errors.Join(err, end)
		})
	}
	if err := write(1, nil, nil); err != nil {
		t.Fatal(err)
	}
	if err := write(2, nil, errors.New("mine")); err == nil {
		t.Error("no error came back")
	}
	if err := write(3, 99, nil); err == nil { // refused at the commit
		t.Error("the commit went through")
	}
	if len(told) != 1 || told[0] != 1 {
		t.Errorf("told of %v, want of the one that was committed", told)
	}
	tx, err := pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tx.Rollback(t.Context()) }()
	if postgres.AfterCommit(tx, func() {}) {
		t.Error("somebody else's transaction promised to tell")
	}
}
