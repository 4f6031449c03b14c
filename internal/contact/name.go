package contact

import (
	"slices"
	"strings"
	"unicode"

	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"
)

const (
	maxNameWords = 8
	maxNameInput = 1024
)

// NameWords returns the words of a name in the form they are searched by:
// folded, without accents, each once, at most eight. "José  d'Ávila-Pérez"
// gives jose, d, avila, perez.
func NameWords(name string) []string {
	if len(name) > maxNameInput {
		name = name[:maxNameInput]
	}
	folded := cases.Fold().String(norm.NFKD.String(strings.ToValidUTF8(name, "")))
	folded = strings.Map(func(r rune) rune {
		if unicode.Is(unicode.Mn, r) || unicode.Is(unicode.Cf, r) {
			return -1
		}
		return r
	}, folded)
	var words []string
	for _, w := range strings.FieldsFunc(norm.NFC.String(folded), func(r rune) bool {
		return !unicode.IsLetter(r) && !unicode.IsDigit(r) && !unicode.Is(unicode.Mc, r)
	}) {
		if !slices.Contains(words, w) && len(words) < maxNameWords {
			words = append(words, w)
		}
	}
	return words
}

// OnList reports whether an address (as ParseEmail or ParsePhone returned it) is
// covered by a list of recipients: a whole address in any case, "@domain" or
// "*@domain" for every address there, or a phone number in E.164.
func OnList(list []string, address string) bool {
	address = SearchEmail(address)
	_, domain := EmailParts(address)
	return slices.ContainsFunc(list, func(entry string) bool {
		entry = SearchEmail(strings.TrimSpace(entry))
		if d, ok := strings.CutPrefix(strings.TrimPrefix(entry, "*"), "@"); ok {
			return domain != "" && d == domain
		}
		return entry != "" && entry == address
	})
}
