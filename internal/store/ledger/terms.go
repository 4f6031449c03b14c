package ledger

import (
	"github.com/connectlink/connectlink/internal/contact"
	"github.com/connectlink/connectlink/internal/invite"
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
