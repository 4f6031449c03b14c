package contact

import (
	"strings"
	"unicode"
)

// glued is how many digits in a row, beside letters, may be a phone number.
const glued = 10

// MayHoldAddress reports whether a text may contain an email address or a
// phone number, in any notation. It errs on the side of true: a text without
// a letter may be a number.
func MayHoldAddress(text string) bool {
	if strings.ContainsAny(text, "@＠﹫") || strings.Contains(strings.ToLower(text), "%40") {
		return true
	}
	letters, run := 0, 0
	for _, r := range text {
		switch {
		case unicode.IsDigit(r):
			if run++; run >= glued {
				return true
			}
		case unicode.IsLetter(r):
			letters++
			run = 0
		case !strings.ContainsRune("-–()/ ", r) && !unicode.Is(unicode.Cf, r):
			run = 0
		}
	}
	return letters == 0
}
