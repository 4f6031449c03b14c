package erase

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"

	"github.com/connectlink/connectlink/internal/access"
	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/postgres"
	"github.com/connectlink/connectlink/internal/seal"
	"github.com/connectlink/connectlink/internal/secret"
	"github.com/connectlink/connectlink/internal/store/account"
	"github.com/connectlink/connectlink/internal/store/bulk"
	"github.com/connectlink/connectlink/internal/store/find"
	"github.com/connectlink/connectlink/internal/store/ledger"
	"github.com/connectlink/connectlink/internal/store/suppression"
	"github.com/connectlink/connectlink/internal/store/userid"
)

const (
	// erasedAtOnce bounds one transaction.
	erasedAtOnce = 50
	// countedBefore bounds how many invites erased before are counted.
	countedBefore = 10_000
)

// Erased is the result of an erasure.
type Erased struct {
	Invites int `json:"invites"` // erased now
	Before  int `json:"before"`  // erased earlier
	Blocks  int `json:"blocks"`  // that go on standing, by a hash alone
}

// Erase erases the data of a person. Repeating it has no further effect.
// Errors, as *invite.Error: faults.
func (s *Service) Erase(ctx context.Context, p access.Principal, externalUserID, reason string) (Erased, error) {
	reason, err := checkRequest(externalUserID, reason)
	if err != nil {
		return Erased{}, err
	}
	marks := s.marks(p, externalUserID)
	before, err := ledger.ListErased(ctx, s.p.DB, p.Place, marks, countedBefore)
	if err != nil {
		return Erased{}, err
	}
	done := Erased{Before: len(before)}
	user := find.NewUser(s.p.Box, p.Place, externalUserID)
	for {
		ids, err := find.ListUser(ctx, s.p.DB, user, erasedAtOnce)
		if err != nil {
			return done, err
		}
		if len(ids) == 0 {
			if done.Invites > 0 {
				return done, nil
			}
			// A request without any stored data is recorded too.
			return done, postgres.InTx(ctx, s.p.DB, func(tx pgx.Tx) error { return appendAudit(ctx, tx, p, access.ActErase, marks[0], 0) })
		}
		var some Erased
		err = postgres.InTx(ctx, s.p.DB, func(tx pgx.Tx) error {
			some, err = s.erase(ctx, tx, p, ids, marks[0], reason)
			return err
		})
		if err != nil {
			return done, fmt.Errorf("erase a person: %w", err)
		}
		done.Invites, done.Blocks = done.Invites+some.Invites, done.Blocks+some.Blocks
		// The sandbox keeps its rows apart: the job of the same transaction does
		// this again, and makes up for it where it fails.
		if err := s.emptyInbox(ctx, ids); err != nil {
			s.p.Log.WarnContext(ctx, "the sandbox's messages of erased invites remain for now", "err", err)
		}
	}
}

// erase erases some invites of one person.
func (s *Service) erase(ctx context.Context, tx pgx.Tx, p access.Principal, ids []invite.ID, mark, reason string) (done Erased, err error) {
	locked, err := ledger.LockAll(ctx, tx, ids)
	if err != nil {
		return done, err
	}
	// Read under the lock: a resend may have corrected an address just now.
	contents, err := ledger.ListContents(ctx, tx, ids)
	if err != nil {
		return done, err
	}
	var keys []seal.Hash
	for id, sealed := range contents {
		c, err := find.Open(s.p.Box, id, sealed)
		if err != nil {
			// What no key opens is as good as erased; the rest must not wait for it.
			s.p.Log.WarnContext(ctx, "an invite to be erased does not open", "invite", id.String(), "err", err)
			continue
		}
		keys = append(keys, s.addresses(p, c)...)
	}
	var batches []ledger.Batch
	for _, l := range locked {
		if l.Erased {
			continue // by a twin of this request
		}
		batches = append(batches, ledger.Batch{ID: l.ID, Events: []invite.Event{{
			Type: invite.EventErased, Actor: invite.Actor{Kind: invite.ActorKind(p.Kind), ID: p.ID}, Detail: secret.New(reason),
		}}})
	}
	applied, err := ledger.AppendAll(ctx, tx, s.p.Box, batches)
	if err != nil {
		return done, err
	}
	if err := s.p.Publish(ctx, tx, applied...); err != nil {
		return done, err
	}
	if err := ledger.SetErased(ctx, tx, ids, mark, userid.Hash(s.p.Box, p.Place, mark)); err != nil {
		return done, err
	}
	if err := bulk.DeleteAddresses(ctx, tx, ids); err != nil {
		return done, err
	}
	slices.SortFunc(keys, func(a, b seal.Hash) int { return slices.Compare(a, b) })
	done.Invites = len(batches)
	if done.Blocks, err = suppression.SetErased(ctx, tx, s.p.Box, s.scope(p), ids, keys); err != nil {
		return done, err
	}
	if _, err := account.DeleteSearches(ctx, tx, false); err != nil {
		return done, err
	}
	if err := appendAudit(ctx, tx, p, access.ActErase, mark, done.Invites); err != nil {
		return done, err
	}
	return done, s.p.Later(ctx, tx, ids)
}

// Again erases data that was still on its way to us when its invite was
// erased. A job calls it some minutes later.
func (s *Service) Again(ctx context.Context, ids []invite.ID) error {
	err := postgres.InTx(ctx, s.p.DB, func(tx pgx.Tx) error {
		return errors.Join(ledger.EraseAgain(ctx, tx, ids), bulk.DeleteAddresses(ctx, tx, ids))
	})
	if err != nil {
		return fmt.Errorf("erase again: %w", err)
	}
	return s.emptyInbox(ctx, ids)
}

// emptyInbox erases what the sandbox keeps of invites, as the vendors that it stands for.
func (s *Service) emptyInbox(ctx context.Context, ids []invite.ID) error {
	if s.p.Inbox == nil {
		return nil
	}
	words := make([]string, len(ids))
	for i, id := range ids {
		words[i] = id.String()
	}
	tokens, accounts, err := ledger.ListVendorKeys(ctx, s.p.DB, ids)
	if err != nil {
		return err
	}
	return s.p.Inbox.Erase(ctx, words, tokens, accounts)
}
