package sandbox

import (
	"slices"
	"strings"

	"github.com/connectlink/connectlink/internal/contact"
)

// journeyWords are what the words after a "+" of a scripted address can be.
func journeyWords() []string {
	return []string{"visit", "connect", "deny", "connecterror", "scanner", "notme", "expire", "renew", "slow"}
}

// mailNames are the first words of scripted addresses.
func mailNames() []string {
	var names []string
	for _, o := range mailOutcomes() {
		names = append(names, o.name)
	}
	return append(names, string(MintFails), string(MintSlow))
}

// textNumbers are the scripted numbers.
func textNumbers() []string {
	return []string{
		"+12025550100", "+12025550103", "+12025550105", "+12025550106", "+12025550107", "+12025550108", "+12025550110", "+12025550111",
		"+15005550001", "+15005550002", "+15005550003", "+15005550004", "+15005550009",
	}
}

// CheckEmail returns, as *contact.Fault, why an address of the scripted domain has
// no script: a mistyped one would be delivered and look like a test that passed.
// Addresses of other domains have no script and need none. A word after a "+" that is
// no behaviour may make addresses distinct, unless it looks like a mistyped behaviour.
func CheckEmail(address string) error {
	name, words, scripted := scriptedLocal(address)
	if !scripted {
		return nil
	}
	if !slices.Contains(mailNames(), name) {
		return &contact.Fault{
			Kind: contact.Invalid, Suggestion: nearestWord(name, mailNames()),
			Detail: "connectlink.test has scripted recipients only: " + strings.Join(mailNames(), "@, ") + "@, each with +" +
				strings.Join(journeyWords(), ", +") + " if you like; for a recipient without a script use another domain",
		}
	}
	for _, w := range words {
		if near := nearestWord(w, journeyWords()); near != "" && near != w {
			return &contact.Fault{
				Kind: contact.Invalid, Suggestion: "+" + near,
				Detail: "a word after + is no behaviour of a scripted recipient; there are +" + strings.Join(journeyWords(), ", +"),
			}
		}
	}
	return nil
}

// CheckPhone returns, as *contact.Fault, why a number among the scripted ones has no
// script. Other numbers need none.
func CheckPhone(number string) error {
	among := strings.HasPrefix(number, "+1202555010") || strings.HasPrefix(number, "+1202555011") || strings.HasPrefix(number, "+1500555000")
	if !among || slices.Contains(textNumbers(), number) {
		return nil
	}
	return &contact.Fault{
		Kind:   contact.Invalid,
		Detail: "among the scripted test numbers this one has no script; there are " + strings.Join(textNumbers(), ", ") + "; for a recipient without a script use another number",
	}
}

// nearestWord returns the word that was probably meant; empty if none is near.
// Short words are too close to one another for guessing.
func nearestWord(given string, words []string) string {
	if slices.Contains(words, given) {
		return given
	}
	best, least := "", 3
	for _, w := range words {
		d := contact.Distance(given, w)
		if d < least && (d == 1 && len(w) > 3 || d == 2 && len(w) > 5) {
			best, least = w, d
		}
	}
	return best
}
