package message

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// Longest values that a message carries, in characters. Validation upstream
// may be stricter; these keep a message in shape for any stored row.
const (
	maxName   = 80
	maxReason = 300
	maxNote   = 200
	maxLegal  = 300
)

// cleanLine makes s one line of visible text of at most limit characters: no
// control or formatting characters (bidi overrides, zero width), white space
// collapsed, towers of combining marks flattened.
func cleanLine(s string, limit int) string {
	var b strings.Builder
	n, marks, space := 0, 0, false
	for i, r := range s {
		switch {
		case (r == '\u200c' || r == '\u200d') && isSpellingJoiner(s, i):
		case r == utf8.RuneError, unicode.Is(unicode.Cf, r), unicode.Is(unicode.Co, r):
			continue
		case unicode.IsSpace(r), unicode.IsControl(r):
			space = n > 0
			continue
		}
		if unicode.Is(unicode.Mn, r) {
			if marks++; marks > 3 {
				continue
			}
		} else {
			marks = 0
		}
		need := 1
		if space {
			need = 2
		}
		if n+need > limit {
			// The last character gives way to the ellipsis only when the
			// limit is really crossed.
			out := []rune(b.String())
			if len(out) >= limit {
				out = out[:limit-1]
			}
			return strings.TrimRight(string(out), " ") + "…"
		}
		if space {
			b.WriteByte(' ')
			space = false
		}
		b.WriteRune(r)
		n += need
	}
	return b.String()
}

// isSpellingJoiner reports whether the joiner at byte i is a part of a word's spelling:
// Persian, Indic scripts and joined emoji need it. Texts of callers come here with
// those joiners only that pass contact.Clean; brands' names come as configured.
func isSpellingJoiner(s string, i int) bool {
	before, _ := utf8.DecodeLastRuneInString(s[:i])
	after, _ := utf8.DecodeRuneInString(s[i+len("\u200c"):])
	joined := func(r rune) bool {
		return r >= 0x0600 && r != utf8.RuneError && (unicode.IsLetter(r) || unicode.IsMark(r) || unicode.Is(unicode.So, r) || unicode.Is(unicode.Sk, r))
	}
	return joined(before) && (joined(after) || unicode.IsMark(before) && (after == utf8.RuneError || after == ' '))
}

// cleanTyped is clean for text that a stranger may have typed. Mail programs
// turn written addresses into links, and the only link in our messages is ours.
func cleanTyped(s string, limit int) string {
	words := strings.Fields(cleanLine(s, 4*limit))
	kept := words[:0]
	for _, w := range words {
		if strings.Contains(w, "://") || strings.HasPrefix(strings.ToLower(w), "www.") {
			continue
		}
		kept = append(kept, w)
	}
	return cleanLine(strings.Join(kept, " "), limit)
}
