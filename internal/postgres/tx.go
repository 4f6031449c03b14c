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

// AwaitDurable commits a record without meaning, and so waits until everything that was
// read through db before is as durable as a commit of the session's own: with
// synchronous replication, until the standby has it.
//
// A commit that waits for a standby and is then cancelled, which happens when its client
// gives up, is visible to others although no standby has it. An answer that promises
// what was read must not be given before AwaitDurable returns.
func AwaitDurable(ctx context.Context, db DB) error {
	// A transaction waits only if it has an id and wrote to the log; a message does both.
	if _, err := db.Exec(ctx, `SELECT pg_logical_emit_message(true, 'connectlink', '')`); err != nil {
		return fmt.Errorf("wait until what was read is durable: %w", Translate(err))
	}
	return nil
}
