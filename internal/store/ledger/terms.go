package ledger

import (
	"strconv"

	"github.com/connectlink/connectlink/internal/contact"
	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/seal"
)

// Kinds of terms by which an invite is found. They are part of what is hashed,
// so a local part never matches a name.
const (
	TermEmail  = "email"
	TermLocal  = "email.local"
	TermDomain = "email.domain"
	TermPhone  = "phone"
	TermLast4  = "phone.last4"
	TermName   = "name.word"
)

// Terms hashes what an invite may be searched by: the whole address, and the
// parts by which a misspelt one is found.
func Terms(box *seal.Box, project string, livemode bool, r invite.Recipient) []seal.Hash {
	mode := strconv.FormatBool(livemode)
	var out []seal.Hash
	add := func(kind, value string) {
		if value != "" {
			out = append(out, box.Hash(kind, project, mode, value))
		}
	}
	if r.Email != "" {
		local, domain := contact.EmailParts(r.Email)
		add(TermEmail, local+"@"+domain)
		add(TermLocal, local)
		add(TermDomain, domain)
	}
	if r.Phone != "" {
		add(TermPhone, r.Phone)
		add(TermLast4, contact.Last4(r.Phone))
	}
	for _, word := range contact.NameWords(r.Name) {
		add(TermName, word)
	}
	return out
}

// AddressTerms are the hashes, one per live key, by which an exact address is
// looked up; none for what is no address.
func AddressTerms(box *seal.Box, project string, livemode bool, address string) []seal.Hash {
	mode := strconv.FormatBool(livemode)
	if email, err := contact.ParseEmail(address); err == nil {
		local, domain := contact.EmailParts(email)
		return box.Hashes(TermEmail, project, mode, local+"@"+domain)
	}
	if phone, err := contact.ParsePhoneTest(address, ""); err == nil {
		return box.Hashes(TermPhone, project, mode, phone.E164)
	}
	return nil
}
