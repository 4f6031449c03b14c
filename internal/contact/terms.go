package contact

import (
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/nyaruka/phonenumbers"

	"github.com/connectlink/connectlink/internal/invite"
)

// Term is one value by which a person is found, in the form that is hashed.
// Its kind is part of the hash input, so a local part never matches a name.
type Term struct{ Kind, Value string }

// Kinds of terms. They stand in stored hashes: a renamed one finds nothing.
const (
	TermEmail  = "email"
	TermLocal  = "email.local"
	TermDomain = "email.domain"
	TermPhone  = "phone"
	TermLast4  = "phone.last4"
	TermName   = "name.word"

	TermInviter = "inviter" // the whole name of who asks; never a recipient's

	TermMetadata = "metadata" // a pair of name and value; see MetadataTerm

	TermUser     = "external_user_id"      // the product's id of the user, byte for byte
	TermUserLock = "external_user_id.lock" // never stored
)

// Parts are the hash inputs in addition to the kind. They include project and
// mode, so that a hash never finds data of another one.
func (t Term) Parts(place invite.Place) []string {
	return []string{place.Project, strconv.FormatBool(place.Live), t.Value}
}

// Terms are what a person is found by: the whole address, and the parts by
// which a misspelt one is found. They expect what ParseEmail and ParsePhone
// returned; each is there once.
func Terms(email, phone, name string) []Term {
	var out []Term
	add := func(kind, value string) {
		if value != "" {
			out = append(out, Term{kind, value})
		}
	}
	if email != "" {
		local, domain := EmailParts(email)
		add(TermEmail, local+"@"+domain)
		add(TermLocal, local)
		add(TermDomain, domain)
	}
	if phone != "" {
		add(TermPhone, phone)
		add(TermLast4, Last4(phone))
	}
	for _, word := range NameWords(name) {
		add(TermName, word)
	}
	return out
}

// InviterTerm is what the invites of one inviter are found by; ok is false for
// a name without a letter or digit. Case, accents and signs make no difference.
func InviterTerm(name string) (t Term, ok bool) {
	words := NameWords(name)
	return Term{TermInviter, strings.Join(words, " ")}, len(words) > 0
}

// MetadataTerm is what the invites with one pair of metadata are found by, byte for
// byte. NUL separates name and value: neither of them can contain it.
func MetadataTerm(name, value string) Term {
	return Term{TermMetadata, name + "\x00" + value}
}

// fewestDigits a text must have to be looked up as a whole phone number.
const fewestDigits = 6

// SearchPhone reads a number for a search. It is more lenient than
// ParsePhone: a number of a type without SMS, or an impossible one, may be
// the typing error that is searched for. It returns E.164.
func SearchPhone(raw, region string) (e164 string, ok bool) {
	digits := 0
	for _, r := range raw {
		if unicode.IsDigit(r) {
			digits++
		}
	}
	if digits < fewestDigits || utf8.RuneCountInString(raw) > maxPhoneInput {
		return "", false
	}
	number, err := readPhone(raw, region)
	if (err != nil || !phonenumbers.IsValidNumber(number)) && !strings.Contains(raw, "+") {
		// Perhaps it is the plus that was left out.
		if whole, err := readPhone("+"+strings.TrimSpace(raw), ""); err == nil && phonenumbers.IsValidNumber(whole) {
			number = whole
		}
	}
	if number == nil {
		return "", false
	}
	return phonenumbers.Format(number, phonenumbers.E164), true
}
