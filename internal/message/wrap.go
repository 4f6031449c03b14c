package message

import (
	"bytes"
	"strings"
	"unicode"
	"unicode/utf8"
)

// textWidth keeps the text part readable where nothing wraps it.
const textWidth = 76

// wrapText breaks long paragraphs at spaces. A word longer than a line, above all
// the link, stays whole on a line of its own. Runs of empty lines become one.
func wrapText(text []byte) string {
	var b strings.Builder
	b.Grow(len(text) + 1)
	gap := false // an empty line is due, unless the text begins or ends with it
	for line := range bytes.Lines(text) {
		line = bytes.TrimRight(line, "\n")
		if len(bytes.TrimSpace(line)) == 0 {
			gap = b.Len() > 0
			continue
		}
		if gap {
			b.WriteByte('\n')
			gap = false
		}
		if string(line) == "-- " { // the signature mark keeps its space
			b.WriteString("-- \n")
			continue
		}
		width := 0
		for w := range bytes.FieldsFuncSeq(line, isBreakable) {
			n := utf8.RuneCount(w)
			if width > 0 && width+1+n > textWidth {
				b.WriteByte('\n')
				width = 0
			}
			if width > 0 {
				b.WriteByte(' ')
				width++
			}
			b.Write(w)
			width += n
		}
		b.WriteByte('\n')
	}
	if b.Len() == 0 {
		return "\n"
	}
	return b.String()
}

// isBreakable reports whether a line may end here. French sets no-break spaces before
// its colons and question marks, which strings.Fields would take for spaces.
func isBreakable(r rune) bool { return unicode.IsSpace(r) && r != '\u00a0' && r != '\u202f' }
