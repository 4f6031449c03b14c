package find

import (
	"maps"
	"slices"

	"github.com/connectlink/connectlink/internal/contact"
	"github.com/connectlink/connectlink/internal/invite"
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
