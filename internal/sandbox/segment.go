package sandbox

import (
	"strings"
	"unicode/utf16"
)

// The GSM 03.38 alphabet; characters of the second string count twice.
const (
	gsmBasic    = "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
	gsmExtended = "^{}\\[~]|€\f"
)

// smsUnits counts a text as the network does: 7-bit units, or UTF-16 units
// once a single character lies outside the alphabet.
func smsUnits(text string) (units int, unicode bool) {
	for _, r := range text {
		switch {
		case strings.ContainsRune(gsmBasic, r):
			units++
		case strings.ContainsRune(gsmExtended, r):
			units += 2
		default:
			return len(utf16.Encode([]rune(text))), true
		}
	}
	return units, false
}

// segmentsOf is how many messages the network charges for.
func segmentsOf(text string) int {
	units, unicode := smsUnits(text)
	single, joined := 160, 153
	if unicode {
		single, joined = 70, 67
	}
	if units <= single {
		return 1
	}
	return (units + joined - 1) / joined
}
