package message

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// WordingFault is a fault of a part's text.
type WordingFault struct {
	Part Part
	Code WordingCode
	Text string // the variable or the words that are at fault
}

// WordingCode is a kind of fault.
type WordingCode string

// The faults of wordings.
const (
	WordingTooLong   WordingCode = "too_long"
	WordingLink      WordingCode = "link"     // only our link may be in a message
	WordingNumber    WordingCode = "number"   // phones make numbers of some length a link
	WordingVariable  WordingCode = "variable" // one that there is not, or a brace
	WordingMissing   WordingCode = "missing"  // a variable without which the text misleads
	WordingCharacter WordingCode = "character"
	WordingSame      WordingCode = "same" // as another message's subject: mail programs thread them
)

var (
	variable  = regexp.MustCompile(`\{([A-Za-z]*)\}`)
	wordsLink = regexp.MustCompile(`(?i)\S*://\S*|\bwww\.\S*|\S*@\S*|[\pL\pN-]+\.\pL{2,}`)
	wordsCall = regexp.MustCompile(`\pN(?:[ ().\-/]{0,3}\pN){3,}`)
)

// Check returns all faults of a wording of a project whose brand is named so. Renderer.With
// finds what only rendering shows.
func (w Wording) Check(brand string) (faults []WordingFault) {
	for _, p := range Parts() {
		text := w.Of(p)
		if text == "" {
			continue
		}
		add := func(code WordingCode, of string) { faults = append(faults, WordingFault{p, code, of}) }
		if cleanWording(text) != text {
			add(WordingCharacter, "")
		}
		used := map[string]bool{}
		for _, m := range variable.FindAllStringSubmatch(text, -1) {
			if used[m[1]] = true; !slices.Contains(p.Variables(), m[1]) {
				add(WordingVariable, m[0])
			}
		}
		literal := variable.ReplaceAllString(text, "xx") // a name and a dot would make an address too
		if i := strings.IndexAny(literal, "{}"); i >= 0 {
			add(WordingVariable, literal[i:i+1])
		}
		if link := wordsLink.FindString(literal); link != "" {
			add(WordingLink, link)
		}
		if number := wordsCall.FindString(literal); number != "" {
			add(WordingNumber, number)
		}
		named := used["App"] || used["AppShort"]
		switch {
		case p == PartLead && !named:
			add(WordingMissing, "{App}")
		case p == PartSubject && !named && !used["Brand"]:
			add(WordingMissing, "{App}")
		}
		if p == PartLead && !used["Brand"] {
			add(WordingMissing, "{Brand}")
		}
		counted := text
		if p == PartSubject { // the one value that is known
			counted = strings.ReplaceAll(text, "{Brand}", cleanLine(brand, maxName))
		}
		if utf8.RuneCountInString(variable.ReplaceAllString(counted, "x")) > p.Max() {
			add(WordingTooLong, strconv.Itoa(p.Max()))
		}
	}
	return faults
}

// cleanWording takes out of a text what no wording may hold: line breaks and other
// control characters, invisible ones but for the joiners of spelling, and more than three
// marks on a letter.
func cleanWording(text string) string {
	var b strings.Builder
	marks := 0
	for i, r := range text {
		switch {
		case (r == '\u200c' || r == '\u200d') && isSpellingJoiner(text, i):
		case r == utf8.RuneError, unicode.In(r, unicode.Cc, unicode.Cf, unicode.Co, unicode.Zl, unicode.Zp):
			continue
		}
		if marks++; !unicode.Is(unicode.Mn, r) {
			marks = 0
		}
		if marks <= 3 {
			b.WriteRune(r)
		}
	}
	return b.String()
}

// Tidy returns the wording as it is checked and stored: without space at the ends. Nothing
// else is changed, so that faults are told and not hidden.
func (w Wording) Tidy() Wording {
	return Wording{strings.TrimSpace(w.Subject), strings.TrimSpace(w.Lead), strings.TrimSpace(w.Button)}
}
