package message

import "unicode/utf16"

// Encoding is how a text message travels.
type Encoding string

const (
	// GSM7 packs 160 septets into one segment, 153 into each of several.
	GSM7 Encoding = "GSM-7"
	// UCS2 packs 70 UTF-16 units into one segment, 67 into each of several.
	UCS2 Encoding = "UCS-2"
)

// The GSM 03.38 default alphabet (3GPP TS 23.038, section 6.2.1). What an
// escape reaches (6.2.1.1) costs two septets; septets lists it.
const (
	gsmBasic = "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ" +
		" !\"#¤%&'()*+,-./0123456789:;<=>?" +
		"¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§" +
		"¿abcdefghijklmnopqrstuvwxyzäöñüà"
)

// countSeptets is what r costs in GSM-7, 0 when it cannot be written.
func countSeptets(r rune) int {
	if r < 0x80 {
		// The common case without a search: ASCII but for these.
		switch r {
		case '`':
			return 0
		case '^', '{', '}', '\\', '[', '~', ']', '|', '\f':
			return 2
		case '\n', '\r':
			return 1
		}
		if r < ' ' || r == 0x7f {
			return 0
		}
		return 1
	}
	for _, g := range gsmBasic {
		if g == r {
			return 1
		}
	}
	if r == '€' {
		return 2
	}
	return 0
}

// Segments returns the encoding of body, its units (septets or UTF-16 units)
// and its segments. An escaped character and a surrogate pair are not split
// between segments, so a segment may end one unit early.
func Segments(body string) (enc Encoding, units, segments int) {
	enc = GSM7
	cost, single, multi := countSeptets, 160, 153
	for _, r := range body {
		if countSeptets(r) == 0 {
			enc = UCS2
			cost, single, multi = utf16Units, 70, 67
			break
		}
	}
	used := 0
	for _, r := range body {
		c := cost(r)
		units += c
		if used+c > multi || segments == 0 {
			segments++
			used = 0
		}
		used += c
	}
	if units <= single {
		segments = min(segments, 1)
	}
	return enc, units, segments
}

func utf16Units(r rune) int {
	if n := utf16.RuneLen(r); n > 0 {
		return n
	}
	return 1 // the replacement character
}
