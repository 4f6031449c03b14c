package contact

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

const (
	// maxCleanInput bounds the work on text of unchecked length.
	maxCleanInput = 16 << 10
	// maxMarks is how many accents may stand on one letter; more is stacked
	// to spill over other lines.
	maxMarks = 3
)

// Clean makes text from outside (a name, a reason, a note) fit for a message
// or page that carries our sender: one line of at most maxRunes, without
// text that a mail client or phone would turn into a link, and without
// control, invisible and direction-changing characters. Truncated text ends
// in "…". Escaping for HTML is the template's task. Cleaning twice gives the
// same result.
func Clean(text string, maxRunes int) string {
	if len(text) > maxCleanInput {
		text = text[:maxCleanInput]
	}
	// Compose before marks are counted, and again after characters were
	// removed.
	text = norm.NFC.String(dropInvisible(norm.NFC.String(text)))
	// Taking a link out can make another one of what stood around it.
	for range 4 {
		next := removeLinks(text)
		if next == text {
			break
		}
		text = next
	}
	return shortenText(text, maxRunes)
}

// dropInvisible drops what cannot be seen and makes every kind of white space a
// plain space.
func dropInvisible(text string) string {
	var b strings.Builder
	b.Grow(len(text))
	marks := 0
	joiners := newJoiners(text)
	for i, r := range text {
		switch {
		case joiners.keeps(i):
			b.WriteRune(r)
		case unicode.IsSpace(r) || unicode.Is(unicode.Z, r):
			b.WriteByte(' ')
			marks = 0
		case r == utf8.RuneError, isInvisible(r), !unicode.IsPrint(r):
			// IsPrint leaves out controls, format characters (all direction
			// marks, tags), private use and unassigned characters.
		case unicode.Is(unicode.Mn, r) || unicode.Is(unicode.Me, r):
			if marks++; marks <= maxMarks {
				b.WriteRune(r)
			}
		default:
			b.WriteRune(r)
			marks = 0
		}
	}
	return b.String()
}

// isInvisible lists characters that are letters or marks by category and yet
// show nothing: fillers, the blank Braille pattern, variation selectors.
func isInvisible(r rune) bool {
	switch r {
	case '\u034f', '\u115f', '\u1160', '\u17b4', '\u17b5', '\u2800', '\u3164', '\uffa0':
		return true
	}
	return r >= '\ufe00' && r <= '\ufe0f' || r >= 0xe0100 && r <= 0xe01ef || r >= '\u180b' && r <= '\u180f'
}

// shortenText cuts text to at most limit runes, the ellipsis included.
func shortenText(text string, limit int) string {
	text = strings.Join(strings.Fields(text), " ")
	if utf8.RuneCountInString(text) <= limit {
		return text
	}
	if limit <= 0 {
		return ""
	}
	n := 0
	for i := range text {
		if n == limit-1 {
			return strings.TrimRight(text[:i], " …\u200c\u200d") + "…"
		}
		n++
	}
	return text
}
