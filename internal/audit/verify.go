package audit

import (
	"bytes"
	"context"
	"encoding/hex"
	"fmt"
	"time"

	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/store/account"
)

// maxFaults bounds a report's list; Faults counts all.
const maxFaults = 100

// Report is the result of a verification.
type Report struct {
	Entries int64        // in the chain
	Pending int64        // not chained yet
	Head    account.Head // the end of the chain
	Faults  int64
	Listed  []string // the first faults
}

func (r *Report) add(format string, args ...any) {
	if r.Faults++; len(r.Listed) < maxFaults {
		r.Listed = append(r.Listed, fmt.Sprintf(format, args...))
	}
}

// verifiedAtOnce is the number of entries of one query.
const verifiedAtOnce = 1000

// Verify compares the chain with all entries, with the heads of days, and with heads
// that were kept elsewhere, which may be none.
func (s *Service) Verify(ctx context.Context, kept []account.Head) (Report, error) {
	var r Report
	days, err := account.ListHeads(ctx, s.db)
	if err != nil {
		return r, fmt.Errorf("verify the audit log: %w", err)
	}
	heads := heads{byNumber: map[int64][]namedHead{}}
	for _, d := range days {
		heads.add("the head of "+d.Day.Format(time.DateOnly), d.Head)
	}
	for _, h := range kept {
		heads.add("the head that was given", h)
	}
	if err := s.verifyChain(ctx, &r, heads); err != nil {
		return r, err
	}
	if err := s.verifyEntries(ctx, &r); err != nil {
		return r, err
	}
	var missing int64
	if r.Pending, missing, err = account.CountPending(ctx, s.db); err != nil {
		return r, fmt.Errorf("verify the audit log: %w", err)
	}
	if missing > 0 {
		r.add("%d entries are missing that were written and not chained yet", missing)
	}
	return r, nil
}

// heads are known positions of the chain.
type heads struct{ byNumber map[int64][]namedHead }

type namedHead struct {
	name string
	hash []byte
}

func (h heads) add(name string, head account.Head) {
	h.byNumber[head.Number] = append(h.byNumber[head.Number], namedHead{name, head.Hash})
}

// check compares a position of the chain and forgets the heads there.
func (h heads) check(r *Report, at account.Head) {
	for _, known := range h.byNumber[at.Number] {
		if !bytes.Equal(known.hash, at.Hash) {
			r.add("%d: the chain differs from %s, %s", at.Number, known.name, hex.EncodeToString(known.hash))
		}
	}
	delete(h.byNumber, at.Number)
}

func (s *Service) verifyChain(ctx context.Context, r *Report, known heads) error {
	for {
		page, err := account.ListChain(ctx, s.db, r.Head.Number, verifiedAtOnce)
		if err != nil {
			return fmt.Errorf("verify the audit log: %w", err)
		}
		for _, c := range page {
			if err := r.follow(c); err != nil {
				return err
			}
			known.check(r, r.Head)
		}
		if len(page) < verifiedAtOnce {
			break
		}
	}
	for number, list := range known.byNumber {
		for _, h := range list {
			r.add("%d: the chain ends before %s", number, h.name)
		}
	}
	return nil
}

// follow checks that a link follows the last one. After a fault it goes on from what is
// stored, so that each fault is told once.
func (r *Report) follow(c account.Chained) error {
	if c.Number != r.Head.Number+1 {
		r.add("%d: the entries from %d on are missing", c.Number, r.Head.Number+1)
	}
	r.Entries++
	previous := r.Head
	r.Head = c.Head
	if c.Entry == nil {
		r.add("%d: the entry %s is missing", c.Number, c.EntryID)
		return nil
	}
	text, err := c.Entry.Text()
	if err != nil {
		return err
	}
	if !bytes.Equal(previous.Next(text).Hash, c.Hash) {
		r.add("%d: the entry %s, or what stood before it, was changed", c.Number, c.EntryID)
	}
	return nil
}

// verifyEntries looks for entries that were written past the chain.
func (s *Service) verifyEntries(ctx context.Context, r *Report) error {
	var after invite.AuditID
	for {
		unchained, last, n, err := account.ListUnchained(ctx, s.db, after, verifiedAtOnce)
		if err != nil {
			return fmt.Errorf("verify the audit log: %w", err)
		}
		for _, id := range unchained {
			r.add("the entry %s was written past the chain", id)
		}
		if n < verifiedAtOnce {
			return nil
		}
		after = last
	}
}
