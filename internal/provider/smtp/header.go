package smtp

import (
	"bytes"
	"fmt"
	"regexp"
	"strings"
)

// lineLength is what a line of a header may have that holds an encoded word
// (RFC 2047, 2).
const lineLength = 76

// encodeSubject writes a subject as the value of its header, folded so that the
// first word stands on the header's own line: some mail programs show nothing of
// a header that begins with a fold.
func encodeSubject(subject string) string {
	subject = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(subject, "\uFFFD"))
	left := lineLength - len("Subject: ")
	var b strings.Builder
	if isASCII(subject) && !strings.Contains(subject, "=?") {
		for i, word := range strings.Split(subject, " ") {
			switch {
			case i == 0:
			case len(word)+1 > left && word != "":
				b.WriteString("\r\n ")
				left = lineLength - 1
			default:
				b.WriteByte(' ')
				left--
			}
			b.WriteString(word)
			left -= len(word)
		}
		return b.String()
	}
	const opening, closing = "=?UTF-8?Q?", "?="
	b.WriteString(opening)
	left -= len(opening) + len(closing)
	for _, r := range subject {
		encoded := encodeRune(r)
		if len(encoded) > left { // never within a character
			b.WriteString(closing + "\r\n " + opening)
			left = lineLength - 1 - len(opening) - len(closing)
		}
		b.WriteString(encoded)
		left -= len(encoded)
	}
	b.WriteString(closing)
	return b.String()
}

// encodeRune is the "Q" encoding of RFC 2047, 4.2.
func encodeRune(r rune) string {
	switch {
	case r == ' ':
		return "_"
	case r >= '0' && r <= '9', r >= 'A' && r <= 'Z', r >= 'a' && r <= 'z', strings.ContainsRune("!*+-/.,:", r):
		return string(r)
	}
	var b strings.Builder
	for _, c := range []byte(string(r)) {
		fmt.Fprintf(&b, "=%02X", c)
	}
	return b.String()
}

// foldedFirst finds headers whose value begins with a fold.
var foldedFirst = regexp.MustCompile(`(?m)^([A-Za-z][A-Za-z-]*):\r\n[ \t]+`)

// startOnFirstLine moves the beginning of every header's value to the header's
// own line, and leaves the body as it is.
func startOnFirstLine(raw []byte) []byte {
	head, body, found := bytes.Cut(raw, []byte("\r\n\r\n"))
	if !found {
		return raw
	}
	head = foldedFirst.ReplaceAll(head, []byte("$1: "))
	return append(append(head, "\r\n\r\n"...), body...)
}
