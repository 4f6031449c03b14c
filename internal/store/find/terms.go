package find

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/jackc/pgx/v5"

	"github.com/connectlink/connectlink/internal/contact"
	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/postgres"
	"github.com/connectlink/connectlink/internal/seal"
)

// InviterTerms are the hashes, one per live key, by which an inviter's invites
// are listed; none for a text that is no name.
func InviterTerms(box *seal.Box, place invite.Place, name string) []seal.Hash {
	t, ok := contact.InviterTerm(name)
	if !ok {
		return nil
	}
	return box.Hashes(t.Kind, t.Parts(place)...)
}

// DomainTerms are the hashes, one per live key, by which the invites to a domain are
// listed; none for a text that is no domain.
func DomainTerms(box *seal.Box, place invite.Place, text string) []seal.Hash {
	domain := domainIn(unwrapped(legible(text)))
	if domain == "" {
		return nil
	}
	t := contact.Term{Kind: contact.TermDomain, Value: domain}
	return box.Hashes(t.Kind, t.Parts(place)...)
}

// MetadataTerms are the hashes of each pair of name and value, in the order of the
// names and one per live key, by which invites with the pair are listed.
func MetadataTerms(box *seal.Box, place invite.Place, pairs map[string]string) [][]seal.Hash {
	out := make([][]seal.Hash, 0, len(pairs))
	for _, name := range slices.Sorted(maps.Keys(pairs)) {
		t := contact.MetadataTerm(name, pairs[name])
		out = append(out, box.Hashes(t.Kind, t.Parts(place)...))
	}
	return out
}

// ListByTerm returns for each hash the invites that have it, up to n each, the newest first. The
// caller reads them by ListByID, which checks project and mode.
func ListByTerm(ctx context.Context, db postgres.DB, hashes []seal.Hash, n int) (map[string][]invite.ID, error) {
	rows, _ := db.Query(ctx, `SELECT h, t.invite_id FROM unnest($1::bytea[]) h
		CROSS JOIN LATERAL (SELECT invite_id FROM search_terms WHERE hash = h ORDER BY invite_id DESC LIMIT $2) t`, hashes, n)
	out := map[string][]invite.ID{}
	var hash []byte
	var id invite.ID
	_, err := pgx.ForEachRow(rows, []any{&hash, &id}, func() error {
		out[string(hash)] = append(out[string(hash)], id)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("list invites by %d search terms: %w", len(hashes), postgres.Translate(err))
	}
	return out, nil
}
