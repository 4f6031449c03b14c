package issue

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"

	"github.com/connectlink/connectlink/internal/access"
	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/postgres"
	"github.com/connectlink/connectlink/internal/resource"
	"github.com/connectlink/connectlink/internal/seal"
	"github.com/connectlink/connectlink/internal/secret"
	"github.com/connectlink/connectlink/internal/store/find"
	"github.com/connectlink/connectlink/internal/store/ledger"
)

// once runs work at most once for an Idempotency-Key. Two requests are the same
// when their values are: the order of members, spacing and escapes do not count,
// because clients encode a request again when they repeat it. Twins in this process
// share one flight; a twin in another process loses on the unique index and
// answers what the winner answered. What ask adds to a batch is read in the
// same round trip as the earlier answer, before work; it may be nil.
func (s *Service) once(ctx context.Context, p access.Principal, meta Meta, req any, ask func(*pgx.Batch), work func(context.Context, *ledger.Idempotency) (Answer, error)) (Answer, error) {
	if meta.IdempotencyKey == "" {
		if err := s.read(ctx, ask); err != nil {
			return Answer{}, err
		}
		return work(ctx, nil)
	}
	idem, err := s.record(p, meta, req)
	if err != nil {
		return Answer{}, err
	}
	// The request is part of the flight's name: a twin with another request must hear of its mistake.
	flight := p.ID + "\x00" + meta.Route + "\x00" + string(idem.KeyHash) + string(idem.BodyMAC)
	type landed struct {
		answer Answer
		err    error
	}
	ran := false
	ch := s.flights.DoChan(flight, func() (any, error) {
		ran = true
		// The flight outlives the caller that started it: twins wait for it too.
		ctx := context.WithoutCancel(ctx)
		a, err := s.replayed(ctx, p, idem, meta, ask)
		if err != nil || a.Outcome != "" {
			return landed{a, err}, nil
		}
		a, err = work(ctx, &idem)
		return landed{a, err}, nil
	})
	select {
	case <-ctx.Done():
		return Answer{}, ctx.Err()
	case r := <-ch:
		if r.Err != nil {
			return Answer{}, r.Err
		}
		l := r.Val.(landed)
		l.answer.Replayed = l.answer.Replayed || (!ran && l.err == nil)
		return l.answer, l.err
	}
}

// record is the idempotency record of a request with a key.
func (s *Service) record(p access.Principal, meta Meta, req any) (ledger.Idempotency, error) {
	same, err := canonical(req)
	if err != nil {
		return ledger.Idempotency{}, err
	}
	return ledger.Idempotency{
		Route:   meta.Route,
		KeyHash: secret.Digest(secret.New(meta.IdempotencyKey)),
		BodyMAC: s.p.Box.Hash(hashRequest, p.ID, meta.Route, same),
		Request: same,
	}, nil
}

// What requests are hashed as. Versions before the parsed form hashed the body's
// bytes; hashBody goes with the last of their records, after 24 hours.
const (
	hashRequest = "idempotency.request"
	hashBody    = "idempotency.body"
)

// canonical returns a request as JSON with sorted names, so that two bodies with
// the same meaning give the same text. Members that are left out, null or empty
// do not occur, so a field that a later version adds changes nothing.
func canonical(req any) (string, error) {
	plain, err := json.Marshal(req)
	if err != nil {
		return "", fmt.Errorf("encode a request: %w", err)
	}
	var value any
	if err := json.Unmarshal(plain, &value); err != nil {
		return "", fmt.Errorf("encode a request: %w", err)
	}
	sorted, err := json.Marshal(value) // writes the members of a map sorted by name
	if err != nil {
		return "", fmt.Errorf("encode a request: %w", err)
	}
	return string(sorted), nil
}

// read asks several questions in one round trip.
func (s *Service) read(ctx context.Context, questions ...func(*pgx.Batch)) error {
	batch := &pgx.Batch{}
	for _, q := range questions {
		if q != nil {
			q(batch)
		}
	}
	if batch.Len() == 0 {
		return nil
	}
	if err := s.p.DB.SendBatch(ctx, batch).Close(); err != nil {
		return fmt.Errorf("read before an invite: %w", postgres.Translate(err))
	}
	return nil
}

// earlier is the answer to an earlier request with the same Idempotency-Key.
type earlier struct {
	was   ledger.Answered
	found bool
}

// ask adds the look-up to a batch.
func (e *earlier) ask(b *pgx.Batch, key invite.KeyID, idem ledger.Idempotency, meta Meta) {
	if meta.IdempotencyKeyAsSent != "" && meta.IdempotencyKeyAsSent != meta.IdempotencyKey {
		// An earlier version stored a quoted key with its quotes. Asked first: the
		// answer under the key itself overwrites it.
		ledger.AskAnswered(b, key, idem.Route, secret.Digest(secret.New(meta.IdempotencyKeyAsSent)), &e.was, &e.found)
	}
	ledger.AskAnswered(b, key, idem.Route, idem.KeyHash, &e.was, &e.found)
}

// check refuses a key that was used for another request.
func (e *earlier) check(box *seal.Box, p access.Principal, idem ledger.Idempotency, meta Meta) error {
	// The keyset may have been rotated since, so the MAC is tried with every live key.
	macs := append(box.Hashes(hashRequest, p.ID, meta.Route, idem.Request), box.Hashes(hashBody, p.ID, meta.Route, string(meta.Body))...)
	if !slices.ContainsFunc(macs, func(h seal.Hash) bool { return bytes.Equal(h, e.was.BodyMAC) }) {
		return invite.Errorf(invite.CodeIdempotencyReused, "This Idempotency-Key was used for a request with different values.")
	}
	return nil
}

// replayed answers a repeat; without an Outcome the key is new.
func (s *Service) replayed(ctx context.Context, p access.Principal, idem ledger.Idempotency, meta Meta, ask func(*pgx.Batch)) (Answer, error) {
	key, err := asker(p)
	if err != nil {
		return Answer{}, fmt.Errorf("replay: principal: %w", err)
	}
	var e earlier
	err = s.read(ctx, func(b *pgx.Batch) { e.ask(b, key, idem, meta) }, ask)
	if err != nil || !e.found {
		return Answer{}, err
	}
	if err := e.check(s.p.Box, p, idem, meta); err != nil {
		return Answer{}, err
	}
	if err := postgres.AwaitDurable(ctx, s.p.DB); err != nil {
		return Answer{}, err
	}
	a := Answer{Outcome: e.was.Outcome, Replayed: true}
	if e.was.Outcome == ledger.Existing {
		// A resend is answered with the invite as it is.
		a.Invite, err = s.present(ctx, p, e.was.InviteID)
		return a, err
	}
	inv, err := find.GetCreated(ctx, s.p.DB, p.Place, e.was.InviteID)
	if err != nil {
		return Answer{}, notFound(err, e.was.InviteID)
	}
	a.Invite, err = resource.Present(s.p.Box, inv, s.links(p))
	return a, err
}

// replay answers the loser of a race between processes.
func (s *Service) replay(ctx context.Context, p access.Principal, idem ledger.Idempotency, meta Meta) (Answer, error) {
	a, err := s.replayed(ctx, p, idem, meta, nil)
	if err == nil && a.Outcome == "" {
		err = invite.Errorf(invite.CodeIdempotencyInProgress, "A request with this Idempotency-Key is in progress; retry later.")
	}
	return a, err
}

func notFound(err error, id invite.ID) error {
	if errors.Is(err, find.ErrNotFound) {
		return invite.Errorf(invite.CodeInviteNotFound, "There is no invite %s for this key.", id)
	}
	return err
}
