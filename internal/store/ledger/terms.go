package ledger

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/connectlink/connectlink/internal/contact"
	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/postgres"
	"github.com/connectlink/connectlink/internal/seal"
)

// Terms hashes what an invite may be searched by, and whose it is.
func Terms(box *seal.Box, place invite.Place, c invite.Content) []seal.Hash {
	terms := contact.Terms(c.Recipient.Email, c.Recipient.Phone, c.Recipient.Name)
	if t, ok := contact.InviterTerm(c.Inviter); ok {
		terms = append(terms, t)
	}
	for name, value := range c.Metadata {
		terms = append(terms, contact.MetadataTerm(name, value))
	}
	out := make([]seal.Hash, 0, len(terms))
	for _, t := range terms {
		out = append(out, box.Hash(t.Kind, t.Parts(place)...))
	}
	return out
}

// AddressTerms are the hashes, one per live key, by which an exact address is
// looked up; none for a text that is no address.
func AddressTerms(box *seal.Box, place invite.Place, address string) []seal.Hash {
	var terms []contact.Term
	if email, err := contact.ReadEmail(address); err == nil {
		terms = append(terms, contact.Term{Kind: contact.TermEmail, Value: contact.SearchEmail(email)})
	} else if phone, err := contact.ParsePhoneTest(address, ""); err == nil {
		for _, form := range contact.PhoneForms(phone.E164) {
			terms = append(terms, contact.Term{Kind: contact.TermPhone, Value: form})
		}
	}
	var out []seal.Hash
	for _, t := range terms {
		out = append(out, box.Hashes(t.Kind, t.Parts(place)...)...)
	}
	return out
}

// Termed is an invite as far as its search terms need it.
type Termed struct {
	invite.Place

	ID      invite.ID `db:"id"`
	Content []byte    `db:"content"` // sealed
}

// LockTermed locks invites with a content. Those that others hold are skipped.
func LockTermed(ctx context.Context, tx pgx.Tx, ids []invite.ID) ([]Termed, error) {
	rows, _ := tx.Query(ctx, `
		SELECT project_id, livemode, id, content FROM invites
		WHERE id = ANY($1) AND content IS NOT NULL ORDER BY id FOR NO KEY UPDATE SKIP LOCKED`, ids)
	list, err := pgx.CollectRows(rows, pgx.RowToStructByName[Termed])
	if err != nil {
		return nil, fmt.Errorf("lock %d invites for their search terms: %w", len(ids), postgres.Translate(err))
	}
	return list, nil
}

// SetTerms replaces the search terms of locked invites.
func SetTerms(ctx context.Context, tx pgx.Tx, terms map[invite.ID][]seal.Hash) error {
	batch := &pgx.Batch{}
	for id, hashes := range terms {
		batch.Queue(`DELETE FROM search_terms WHERE invite_id = $1 AND NOT hash = ANY($2)`, id, hashes)
		batch.Queue(`INSERT INTO search_terms (hash, invite_id) SELECT h, $1 FROM unnest($2::bytea[]) h ON CONFLICT DO NOTHING`, id, hashes)
	}
	if err := tx.SendBatch(ctx, batch).Close(); err != nil {
		return fmt.Errorf("set search terms of %d invites: %w", len(terms), postgres.Translate(err))
	}
	return nil
}
