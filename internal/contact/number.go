package contact

import (
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

const (
	// fewestPhoneDigits a number has that can be rung up and is not short enough
	// for a year, a price or a time.
	fewestPhoneDigits = 7
	// maxSeparators is how many characters may stand between two digits of one number.
	maxSeparators = 3
)

// CleanPublic is Clean for text that recipients read under our sender's name: it
// also takes out telephone numbers. "Call +1 888 555 0100" in an invitation from
// a known sender is how people are cheated by telephone. Numbers that are no
// telephone numbers stay: dates, years, and amounts with separators.
func CleanPublic(text string, maxRunes int) string {
	text = cleanOfNumbers(Clean(text, maxCleanInput))
	// Cutting a date short can make a telephone number of what stands before it.
	for range maxPasses {
		cut := shortenText(text, maxRunes)
		if text = cleanOfNumbers(cut); text == cut {
			return cut
		}
	}
	return shortenText(text, maxRunes)
}

// maxPasses bounds how often a text is cleaned until nothing changes any more.
const maxPasses = 8

// cleanOfNumbers removes phone numbers from a clean text. Removing one can
// create another number, or a link, from the text around it.
func cleanOfNumbers(text string) string {
	for range maxPasses {
		next := Clean(withoutNumbers(text), maxCleanInput)
		if next == text {
			break
		}
		text = next
	}
	return text
}

var (
	datesInText = regexp.MustCompile(`\b(?:(?:19|20)\d\d([-/.])(?:0?[1-9]|1[0-2])[-/.](?:0?[1-9]|[12]\d|3[01])` +
		`|(?:0?[1-9]|[12]\d|3[01])[-/.](?:0?[1-9]|[12]\d|3[01])[-/.](?:19|20)\d\d|(?:19|20)\d\d ?[-–/] ?(?:19|20)\d\d)\b`)
	// Thousands, separated by one sign throughout: 1,000,000 and 1.000.000,50.
	amountInText = regexp.MustCompile(`^[1-9]\d{0,2}(?:(?:,\d{3}){1,2}(?:\.\d{1,2})?|(?:\.\d{3}){1,2}(?:,\d{1,2})?|(?:['’ ]\d{3}){1,2}(?:[.,]\d{1,2})?)$`)
)

// withoutNumbers replaces the telephone numbers of one line by a space.
func withoutNumbers(text string) string {
	if !mayHoldNumber(text) {
		return text
	}
	kept := make([]bool, len(text))
	for _, at := range datesInText.FindAllStringIndex(text, -1) {
		for i := at[0]; i < at[1]; i++ {
			kept[i] = true
		}
	}
	var b strings.Builder
	for i := 0; i < len(text); {
		r, size := utf8.DecodeRuneInString(text[i:])
		if digitsOf(r) == 0 || kept[i] {
			b.WriteString(text[i : i+size])
			i += size
			continue
		}
		end, digits := numberEnd(text, i, kept)
		if digits >= fewestPhoneDigits && !amountInText.MatchString(text[i:end]) {
			opened := strings.TrimRight(b.String(), "+(")
			b.Reset()
			b.WriteString(opened + " ")
		} else {
			b.WriteString(text[i:end])
		}
		i = end
	}
	return b.String()
}

func mayHoldNumber(text string) bool {
	digits := 0
	for _, r := range text {
		if digits += digitsOf(r); digits >= fewestPhoneDigits {
			return true
		}
	}
	return false
}

// numberEnd returns where the number ends that begins at byte i, and how many
// digits it has.
func numberEnd(text string, i int, kept []bool) (end, digits int) {
	separators := 0
	for end = i; i < len(text) && !kept[i]; {
		r, size := utf8.DecodeRuneInString(text[i:])
		i += size
		switch n := digitsOf(r); {
		case n > 0:
			digits, separators, end = digits+n, 0, i
		case separatesDigits(r, text[i:]) && separators < maxSeparators:
			separators++
		default:
			return end, digits
		}
	}
	return end, digits
}

// separatesDigits lists what people write inside a number. A comma or colon with
// a space behind it separates two numbers.
func separatesDigits(r rune, rest string) bool {
	if r == ',' || r == ':' || r == ';' {
		return !strings.HasPrefix(rest, " ") && r == ','
	}
	return unicode.IsSpace(r) || unicode.Is(unicode.Pd, r) || strings.ContainsRune("()./+*~_|'’·•−\u200c\u200d", r)
}

// digitsOf is how many digits a character shows: also one in a circle, raised, or
// of another script.
func digitsOf(r rune) int {
	if r < utf8.RuneSelf {
		if '0' <= r && r <= '9' {
			return 1
		}
		return 0
	}
	if unicode.IsDigit(r) {
		return 1
	}
	if !unicode.IsNumber(r) {
		return 0
	}
	n := 0
	for _, d := range norm.NFKD.String(string(r)) {
		if unicode.IsDigit(d) {
			n++
		}
	}
	return n
}
