package find

import (
	"cmp"
	"slices"
	"strings"

	"github.com/connectlink/connectlink/internal/contact"
	"github.com/connectlink/connectlink/internal/invite"
)

// sought is the address, number or name that nothing has exactly.
type sought struct {
	emails []string // as contact.SearchEmail gives them
	phone  string   // E.164
	words  []string // of a name, or of what stands before the @
}

func soughtIn(m meaning) sought {
	s := sought{emails: m.emails, phone: m.phone, words: m.name}
	for _, email := range m.emails {
		local, _ := contact.EmailParts(email)
		for _, word := range contact.NameWords(strings.NewReplacer("+", " ", "_", " ").Replace(local)) {
			if len(word) > 1 {
				s.words = append(s.words, word)
			}
		}
	}
	return s
}

// terms are what a misspelt address still has in common with the right one.
func (s sought) terms() []contact.Term {
	var out []contact.Term
	for _, email := range s.emails {
		local, domain := contact.EmailParts(email)
		out = append(out, contact.Term{Kind: contact.TermLocal, Value: local}, contact.Term{Kind: contact.TermDomain, Value: domain})
	}
	if s.phone != "" {
		out = append(out, contact.Term{Kind: contact.TermLast4, Value: contact.Last4(s.phone)})
	}
	for _, word := range s.words {
		out = append(out, contact.Term{Kind: contact.TermName, Value: word})
	}
	return out
}

// likeness is the similarity of an invite to the search.
type likeness struct {
	id     invite.ID
	by     By
	slips  int    // of a hand that lie between the two; 0: more than a slip
	typed  string // which of the texts that were typed it is near to
	weight int    // 0: nothing in common
}

// Weights of likeness: however much else is shared, an address that a slip of the
// hand makes of the other stands above it.
const (
	weighsSlip   = 1000 // less 100 for each slip
	weighsLocal  = 40
	weighsLast4  = 30
	weighsName   = 20 // each word
	weighsDomain = 1
)

// compare returns the similarity of a recipient.
func (s sought) compare(r invite.Recipient) likeness {
	var out likeness
	note := func(by By, weight int) {
		if out.weight == 0 || out.by == ByDomain {
			out.by = by
		}
		out.weight += weight
	}
	for _, email := range s.emails {
		if r.Email != "" {
			out.nearer(ByEmail, email, contact.SearchEmail(r.Email))
		}
	}
	if s.phone != "" && r.Phone != "" {
		out.nearer(ByPhone, s.phone, r.Phone)
	}
	words := contact.NameWords(r.Name)
	local, domain := contact.EmailParts(r.Email)
	for _, email := range s.emails {
		l, d := contact.EmailParts(email)
		if r.Email != "" && l == local {
			note(ByEmail, weighsLocal)
		}
		if r.Email != "" && d == domain {
			note(ByDomain, weighsDomain)
		}
	}
	if s.phone != "" && r.Phone != "" && contact.Last4(s.phone) == contact.Last4(r.Phone) {
		note(ByLast4, weighsLast4)
	}
	for _, word := range s.words {
		if slices.Contains(words, word) {
			note(ByName, weighsName)
		}
	}
	return out
}

// nearer takes up a likeness by slips, where it is a nearer one.
func (l *likeness) nearer(by By, typed, stored string) {
	slips := contact.Distance(typed, stored)
	if slips == 0 || slips > mostSlips(typed, stored) || l.slips > 0 && l.slips <= slips {
		return
	}
	l.by, l.slips, l.typed, l.weight = by, slips, typed, weighsSlip-100*slips
}

// mostSlips is how many slips make one address of another, rather than two
// people's: three, and fewer where there is little that could be shared. Of an
// address what stands before the @ counts by itself, for short ones at one domain
// are all alike.
func mostSlips(typed, stored string) int {
	if strings.HasPrefix(typed, "+") && !strings.Contains(typed, "@") {
		return 2 // of a number: neighbours have numbers that differ by little
	}
	local, domain := contact.EmailParts(typed)
	other, at := contact.EmailParts(stored)
	short := min(len(local), len(other))
	if domain != at {
		short = max(short, min(len(domain), len(at)))
	}
	return min(3, short/3)
}

// likeliest sorts by likeness, the newest first among equals, and keeps few.
// Those that share only the domain fill up the list if there are hardly any
// better; atDomain is the number left out.
func likeliest(all []likeness) (few []likeness, atDomain int) {
	slices.SortFunc(all, func(a, b likeness) int {
		return cmp.Or(cmp.Compare(b.weight, a.weight), strings.Compare(b.id.String(), a.id.String()))
	})
	better := slices.IndexFunc(all, func(l likeness) bool { return l.by == ByDomain })
	if better < 0 {
		better = len(all)
	}
	shown := min(better, maxSimilar)
	if better < fewBetter {
		shown = min(len(all), maxSimilar)
	}
	return all[:shown], len(all) - max(better, shown)
}
