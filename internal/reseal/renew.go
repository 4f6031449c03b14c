package reseal

import (
	"bytes"
	"context"
	"maps"
	"slices"

	"github.com/jackc/pgx/v5"

	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/quota"
	"github.com/connectlink/connectlink/internal/seal"
	"github.com/connectlink/connectlink/internal/store/find"
	"github.com/connectlink/connectlink/internal/store/keyring"
	"github.com/connectlink/connectlink/internal/store/ledger"
	"github.com/connectlink/connectlink/internal/store/userid"
)

// batch is one transaction over the rows of a range of blocks.
type batch struct {
	ctx     context.Context
	tx      pgx.Tx
	table   table
	columns keyring.Table
	rows    []keyring.Row
	renewed int // rows without a value under an old key now
	skipped int // rows with such a value left
	moved   []ledger.Moved
}

// renewRows renews each row of a batch from its own values.
func renewRows(s *Service, b *batch) error {
	var changes []keyring.Change
	for _, stored := range b.rows {
		change, r, whole := s.renewRow(b.table, stored)
		if whole {
			b.renewed++
			if b.table.after != nil && !change.Delete {
				b.table.after(s, b, r)
			}
		} else {
			b.skipped++
		}
		changes = append(changes, change)
	}
	if b.table.before != nil {
		if err := b.table.before(b, changes); err != nil {
			return err
		}
	}
	return keyring.Apply(b.ctx, b.tx, b.columns, changes)
}

// renewRow returns the change of a row; whole reports whether it leaves no value under
// an old key.
func (s *Service) renewRow(t table, stored keyring.Row) (change keyring.Change, r row, whole bool) {
	change, whole = keyring.Change{Row: stored, Set: map[string]any{}}, true
	r = row{opened: map[string]string{}, ids: map[string][16]byte{}, texts: map[string]string{}}
	for i, expression := range t.texts {
		r.texts[expression] = stored.Texts[i]
	}
	places := t.columns().Columns
	for i, c := range t.sealed {
		r.ids[c.name] = stored.IDs[i]
		value := stored.Values[i]
		if value == nil {
			continue
		}
		opened, renewed, err := s.p.Box.Renew(value, seal.AD{Column: places[i].Place, ID: stored.IDs[i]})
		if err != nil {
			whole = false // its key is missing, or it is damaged: it stays as it is
			continue
		}
		r.opened[c.name] = string(opened)
		if seal.SealedKeyID(value) != s.primary.Sealing {
			change.Set[c.name] = renewed
		}
	}
	if t.isOver != nil && t.isOver(r) {
		change.Delete = true
		return change, r, true
	}
	for i, c := range t.hashed {
		value := seal.Hash(stored.Values[len(t.sealed)+i])
		if value == nil || value.KeyID() == s.primary.Hashing {
			continue
		}
		switch renewed := s.rehash(c, r, value); {
		case renewed != nil:
			change.Set[c.name] = renewed
		case t.isSpent != nil && t.isSpent(r):
			change.Set[c.name] = []byte{}
		default:
			whole = false
		}
	}
	if t.set != nil {
		t.set(s.p.Box, r, change.Set)
	}
	return change, r, whole
}

// rehash returns a hash under the primary key; nil if the row does not tell of what, or
// tells of something else than was hashed.
func (s *Service) rehash(c hashed, r row, stored seal.Hash) seal.Hash {
	if c.hashes == nil {
		return nil
	}
	list, sure := c.hashes(s.p.Box, r)
	if len(list) == 0 || sure && !slices.ContainsFunc(list, func(h seal.Hash) bool { return bytes.Equal(h, stored) }) {
		return nil
	}
	return list[0]
}

// renewTerms makes the search terms of whole invites from their contents.
func renewTerms(s *Service, b *batch) error {
	of := map[invite.ID]int{} // rows by invite
	for _, r := range b.rows {
		of[invite.OfUUID[invite.ID](r.IDs[0])]++
	}
	ids := slices.Collect(maps.Keys(of))
	b.skipped = len(b.rows)
	if len(ids) == 0 {
		return nil
	}
	locked, err := ledger.LockTermed(b.ctx, b.tx, ids)
	if err != nil {
		return err
	}
	terms := map[invite.ID][]seal.Hash{}
	for _, t := range locked {
		content, err := find.Open(s.p.Box, t.ID, t.Content)
		if err != nil {
			continue
		}
		terms[t.ID] = ledger.Terms(s.p.Box, t.Place, content)
		n := of[t.ID]
		b.renewed, b.skipped = b.renewed+n, b.skipped-n
	}
	if len(terms) == 0 {
		return nil
	}
	return ledger.SetTerms(b.ctx, b.tx, terms)
}

// collectUses notes under which hashes the messages to an invite's recipient may have
// been counted.
func (s *Service) collectUses(b *batch, r row, user string) {
	add := func(scope ledger.UseScope, hashes []seal.Hash) {
		if len(hashes) > 1 {
			b.moved = append(b.moved, ledger.Moved{Scope: scope, Old: hashes[1:], New: hashes[0]})
		}
	}
	if !r.place().Live {
		return // only live mode is counted
	}
	add(ledger.UseUser, userid.Hashes(s.p.Box, r.place(), user))
	content, err := decodeContent(r.value("content"))
	if err != nil {
		return
	}
	for _, ch := range invite.Channels() {
		address := content.Recipient.Address(ch)
		if address == "" {
			continue
		}
		for _, sender := range s.senders {
			add(ledger.UseRecipient, quota.Recipients(s.p.Box, sender, ch, address))
		}
	}
}

// moveUses moves what people used to the hashes of the primary key.
func (s *Service) moveUses(ctx context.Context, people []ledger.Moved) error {
	for _, m := range people {
		if err := ledger.MoveUses(ctx, s.p.DB, m); err != nil {
			return err
		}
	}
	return nil
}
