package story

import (
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/connectlink/connectlink/internal/contact"
)

var (
	mailInText = regexp.MustCompile(`(?:"[^"@\n]+"|[^\s<>()"',;:@\x{2068}\x{2069}]+)@[^\s<>()"',;:@\x{2068}\x{2069}]+`)
	// As it stands in an address of the web, which bounces like to quote.
	mailInURL = regexp.MustCompile(`[^\s<>()"',;:@/?&=]+%40[^\s<>()"',;:@/?&=%]+`)
	// Seven digits or more, as people and providers write them, in any script and
	// with any non-breaking separators.
	numberInText = regexp.MustCompile(`\+?\p{Nd}[\p{Nd}\s\p{Z}\p{Pd}()./]{5,}\p{Nd}`)
)

// MaskText masks the addresses in texts of third parties: a bounce quotes its
// address, and a product may use an address as a user's id.
func MaskText(text string) string {
	text = mailInText.ReplaceAllStringFunc(text, func(m string) string {
		bare := strings.TrimRight(m, ".!?")
		return contact.MaskEmail(bare) + m[len(bare):]
	})
	text = mailInURL.ReplaceAllStringFunc(text, func(m string) string { return contact.MaskEmail(strings.Replace(m, "%40", "@", 1)) })
	return numberInText.ReplaceAllStringFunc(text, func(m string) string {
		digits := strings.Map(func(r rune) rune {
			if unicode.IsDigit(r) {
				return r
			}
			return -1
		}, m)
		if utf8.RuneCountInString(digits) < 7 {
			return m
		}
		if strings.HasPrefix(m, "+") {
			return contact.MaskPhone("+" + digits)
		}
		runes := []rune(digits)
		return "•••\u00a0" + string(runes[len(runes)-2:])
	})
}

// MaskName leaves the first letter of each word.
func MaskName(name string) string {
	words := strings.Fields(name)
	for i, word := range words {
		_, n := utf8.DecodeRuneInString(word)
		words[i] = word[:n] + "••"
	}
	return strings.Join(words, " ")
}
