package contact

import (
	"slices"
	"strings"

	"github.com/hbollon/go-edlib"
)

// bigDomains are the mail hosts most people have their address at, the
// likeliest meaning first.
func bigDomains() []string {
	return []string{
		"gmail.com", "yahoo.com", "outlook.com", "hotmail.com", "icloud.com", "aol.com", "live.com", "msn.com",
		"protonmail.com", "googlemail.com", "comcast.net", "verizon.net", "sbcglobal.net", "fastmail.com",
		"hotmail.co.uk", "yahoo.co.uk", "btinternet.com", "hotmail.fr", "yahoo.fr", "orange.fr", "wanadoo.fr",
		"web.de", "freenet.de", "t-online.de", "yahoo.co.jp", "yahoo.co.in", "rediffmail.com", "libero.it",
		"yandex.ru", "mail.ru", "naver.com", "hanmail.net", "163.com", "126.com", "qq.com", "uol.com.br",
		"bigpond.com", "proton.me", "gmx.de", "gmx.net", "gmx.com", "me.com", "mac.com",
	}
}

// MailboxDomains are the domains of large mailbox providers: they tell nothing of a person.
func MailboxDomains() []string { return bigDomains() }

// lookalikeHosts are real mail hosts one typing error away from a larger one,
// which was probably intended.
func lookalikeHosts() []string {
	return []string{"ymail.com", "mail.com", "email.com", "hotmail.ca", "gmx.at", "gmx.ch", "pm.me", "email.it", "fmail.com", "inmail.com"}
}

// isMistypedSuffix are endings that are always typing errors. The real country code
// domains among them (.co, .cm, .om) have no mail hosts of the large
// providers.
func isMistypedSuffix(suffix string) []string {
	switch suffix {
	case "com":
		return []string{"con", "cim", "cpm", "vom", "xom", "cmo", "ocm", "comm", "coom", "ccom", "co", "cm", "om", "c", "cop", "som", "dom", "coml", "com.com"}
	case "net":
		return []string{"ner", "nte", "ent", "nett", "met", "bet", "ne"}
	case "de":
		return []string{"d", "ed", "dee"}
	case "co.uk":
		return []string{"co.u", "c.uk", "couk", "co.ik", "cp.uk"}
	default:
		return nil
	}
}

// SuggestDomain returns the big mail host that a domain was probably meant to
// be: gmial.com gives gmail.com. It is a question to ask, never a correction
// to make.
func SuggestDomain(domain string) (string, bool) {
	domain = strings.ToLower(strings.TrimSuffix(domain, "."))
	big := bigDomains()
	if slices.Contains(big, domain) || slices.Contains(lookalikeHosts(), domain) || len(domain) > 40 {
		return "", false
	}
	name, suffix, ok := strings.Cut(domain, ".")
	if !ok {
		name = domain
	}
	best, bestDistance := "", 3
	for _, candidate := range big {
		wantName, wantSuffix, _ := strings.Cut(candidate, ".")
		distance := 0
		switch {
		case suffix == wantSuffix:
		case slices.Contains(isMistypedSuffix(wantSuffix), suffix):
			distance = 1
		case !ok && name == wantName+wantSuffix: // the dot itself was left out
			name, distance = wantName, 1
		default:
			continue
		}
		d := Distance(name, wantName)
		// Short names are too close to one another for guessing.
		if d > 0 && len(wantName) < 5 || d == 2 && len(wantName) < 7 || d > 2 {
			continue
		}
		if distance += d; distance > 0 && distance < bestDistance {
			best, bestDistance = candidate, distance
		}
	}
	return best, best != ""
}

// Distance counts the typing errors that make b of a: insertions, deletions,
// replacements, and swaps of neighbours, which are the commonest (optimal string
// alignment).
func Distance(a, b string) int { return edlib.OSADamerauLevenshteinDistance(a, b) }

// fewLetters is the number of letters that a correction of an address changes at most.
const fewLetters = 2

// IsOtherMailbox reports whether an address is no correction of an old one, but differs in
// many letters and in its domain: it may belong to another person. Of an empty old address
// it reports false.
func IsOtherMailbox(was, now string) bool {
	if was == "" {
		return false
	}
	_, before := EmailParts(was)
	_, after := EmailParts(now)
	return before != after && Distance(SearchEmail(was), SearchEmail(now)) > fewLetters
}
