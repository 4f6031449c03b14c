package postgres

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// rollbackTimeout bounds the way out of a transaction; past it the connection
// is closed, which ends the transaction as well.
const rollbackTimeout = 5 * time.Second

// InTx runs fn in a transaction and commits when fn returns nil. On an error, a
// panic or runtime.Goexit it rolls back, also when ctx has ended, and passes
// on what happened. fn's error comes back as it is; errors of begin and commit
// are translated.
//
// ErrUnavailable from the commit means that it may or may not have happened.
func InTx(ctx context.Context, db Beginner, fn func(tx pgx.Tx) error) error {
	tx, err := db.Begin(ctx)
	if err != nil {
		return fmt.Errorf("begin a transaction: %w", Translate(err))
	}
	h := &hooked{Tx: tx}
	committed := false
	defer func() {
		if committed {
			return
		}
		// A failed rollback leaves nothing to do: pgx closes the connection.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), rollbackTimeout)
		defer cancel()
		_ = tx.Rollback(ctx)
	}()
	if err := fn(h); err != nil {
		return err
	}
	if err := tx.Commit(ctx); err != nil {
		return fmt.Errorf("commit: %w", Translate(err))
	}
	committed = true
	for _, f := range h.after {
		f()
	}
	return nil
}

// hooked is a transaction with functions to run after its commit.
type hooked struct {
	pgx.Tx
	after []func()
}

// AfterCommit runs fn once the transaction of InTx that tx belongs to has
// committed, and never after a rollback. It is for hints to waiters: nothing
// may depend on it, because a process can end in between. fn must not block
// or fail. For a tx that InTx did not make, ok is false.
func AfterCommit(tx pgx.Tx, fn func()) (ok bool) {
	h, ok := tx.(*hooked)
	if ok {
		h.after = append(h.after, fn)
	}
	return ok
}
