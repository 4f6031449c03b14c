package message

import (
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"
)

// typographic maps what word processors and phones put into names to what
// GSM-7 has. One of them would turn 160 characters into 70.
var typographic = strings.NewReplacer(
	"‘", "'", "’", "'", "‚", "'", "‛", "'", "′", "'", "ʼ", "'", "`", "'", "´", "'",
	"“", `"`, "”", `"`, "„", `"`, "‟", `"`, "″", `"`, "«", `"`, "»", `"`, "‹", "'", "›", "'",
	"‐", "-", "‑", "-", "‒", "-", "–", "-", "—", "-", "―", "-", "−", "-",
	"…", "...", "•", "*", "·", ".", "⁄", "/", "×", "x",
	"\u00a0", " ", "\u2009", " ", "\u202f", " ", "\u3000", " ",
	"™", "", "®", "", "©", "(c)", "№", "No.",
	"ł", "l", "Ł", "L", "đ", "d", "Đ", "D", "ı", "i", "œ", "oe", "Œ", "OE", "ð", "d", "þ", "th",
)

// toGSM rewrites a name for a text message when GSM-7 can carry all of it:
// typography becomes plain, accents that the alphabet lacks are dropped (í, ã).
// Emoji and other scripts stay: half a name would be worse than a second
// segment. Only values go through it, never the link.
func toGSM(s string) string {
	if fitsGSM(s) {
		return s
	}
	s = typographic.Replace(s)
	if fitsGSM(s) {
		return s
	}
	var b strings.Builder
	for _, r := range norm.NFC.String(s) {
		if countSeptets(r) > 0 {
			b.WriteRune(r)
			continue
		}
		for _, d := range norm.NFD.String(string(r)) {
			if !unicode.Is(unicode.Mn, d) {
				b.WriteRune(d)
			}
		}
	}
	if folded := b.String(); fitsGSM(folded) {
		return folded
	}
	return s
}

func fitsGSM(s string) bool {
	for _, r := range s {
		if countSeptets(r) == 0 {
			return false
		}
	}
	return true
}
