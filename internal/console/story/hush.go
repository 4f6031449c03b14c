package story

import (
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/connectlink/connectlink/internal/contact"
)

var (
	mailInText = regexp.MustCompile(`[^\s<>()"',;:@\x{2068}\x{2069}]+@[^\s<>()"',;:@\x{2068}\x{2069}]+`)
	// Seven digits or more, as people and providers write them.
	numberInText = regexp.MustCompile(`\+?\d[\d\s()./-]{5,}\d`)
)

// Hush masks the addresses in words that somebody else wrote: a bounce quotes
// the address it is about, and a product may use one as a user's id.
func Hush(text string) string {
	text = mailInText.ReplaceAllStringFunc(text, func(m string) string {
		bare := strings.TrimRight(m, ".!?")
		return contact.MaskEmail(bare) + m[len(bare):]
	})
	return numberInText.ReplaceAllStringFunc(text, func(m string) string {
		digits := strings.Map(func(r rune) rune {
			if unicode.IsDigit(r) {
				return r
			}
			return -1
		}, m)
		if len(digits) < 7 {
			return m
		}
		if strings.HasPrefix(m, "+") {
			return contact.MaskPhone("+" + digits)
		}
		return "•••\u00a0" + digits[len(digits)-2:]
	})
}

// HushName leaves the first letter of each word.
func HushName(name string) string {
	words := strings.Fields(name)
	for i, word := range words {
		_, n := utf8.DecodeRuneInString(word)
		words[i] = word[:n] + "••"
	}
	return strings.Join(words, " ")
}
