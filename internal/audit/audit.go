// Package audit owns the integrity of the audit log: it chains the entries by hashes,
// verifies the chain, and exports the log.
//
// # The chain
//
// The hash of an entry covers its values and the hash before it, so a changed, removed
// or inserted entry is found. A job appends to the chain some seconds after the entries;
// acts do not wait for one another. Until then an entry is pending, and one that is
// neither is a fault.
//
// A role that can alter all tables could write the whole chain again. Against that, the head
// of each day is logged; kept elsewhere, it is what Verify compares the chain with.
//
// It does not write entries: who acts does, in the transaction of the act (package
// store/account).
package audit

import (
	"context"
	"encoding/hex"
	"fmt"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/connectlink/connectlink/internal/access"
	"github.com/connectlink/connectlink/internal/postgres"
	"github.com/connectlink/connectlink/internal/required"
	"github.com/connectlink/connectlink/internal/store/account"
)

// ActExported is the entry of an export.
const ActExported access.Act = "audit_exported"

// Service chains, verifies and exports the audit log. It is safe for concurrent use,
// also by several processes.
type Service struct {
	db  *pgxpool.Pool
	log *slog.Logger
}

// New returns a Service. A missing collaborator is an error.
func New(db *pgxpool.Pool, log *slog.Logger) (*Service, error) {
	if err := required.Check("audit.Service", map[string]any{"DB": db, "Log": log}); err != nil {
		return nil, err
	}
	return &Service{db, log}, nil
}

// chainedAtOnce bounds one transaction.
const chainedAtOnce = 500

// Extend appends all pending entries to the chain, and returns their number. It logs the
// head of each day once.
func (s *Service) Extend(ctx context.Context) (int, error) {
	total := 0
	for {
		var n int
		var day *account.DayHead
		err := postgres.InTx(ctx, s.db, func(tx pgx.Tx) (err error) {
			n, day, err = account.ExtendChain(ctx, tx, chainedAtOnce)
			return err
		})
		if err != nil {
			return total, err
		}
		if day != nil {
			s.log.InfoContext(ctx, "head of the audit log", "day", day.Day.Format(time.DateOnly), "number", day.Number, "hash", hex.EncodeToString(day.Hash))
		}
		if total += n; n < chainedAtOnce {
			return total, nil
		}
	}
}

// Heads returns the heads of days, oldest first.
func (s *Service) Heads(ctx context.Context) ([]account.DayHead, error) {
	list, err := account.ListHeads(ctx, s.db)
	if err != nil {
		return nil, fmt.Errorf("audit log: %w", err)
	}
	return list, nil
}
