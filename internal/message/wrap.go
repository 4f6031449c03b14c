package message

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// textWidth keeps the text part readable where nothing wraps it.
const textWidth = 76

// wrapText breaks long paragraphs at spaces. A word longer than a line, above all
// the link, stays whole on a line of its own. Runs of empty lines become one.
func wrapText(text string) string {
	var b strings.Builder
	empty := true // swallows empty lines at the top
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\n")
		if strings.TrimSpace(line) == "" {
			if !empty {
				b.WriteByte('\n')
			}
			empty = true
			continue
		}
		empty = false
		if line == "-- " { // the signature mark keeps its space
			b.WriteString(line + "\n")
			continue
		}
		width := 0
		for _, w := range strings.FieldsFunc(line, isBreakable) {
			n := utf8.RuneCountInString(w)
			if width > 0 && width+1+n > textWidth {
				b.WriteByte('\n')
				width = 0
			}
			if width > 0 {
				b.WriteByte(' ')
				width++
			}
			b.WriteString(w)
			width += n
		}
		b.WriteByte('\n')
	}
	return strings.TrimRight(b.String(), "\n") + "\n"
}

// isBreakable reports whether a line may end here. French sets no-break spaces before
// its colons and question marks, which strings.Fields would take for spaces.
func isBreakable(r rune) bool { return unicode.IsSpace(r) && r != '\u00a0' && r != '\u202f' }
