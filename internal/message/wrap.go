package message

import (
	"bytes"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/width"
)

// textWidth keeps the text part readable where nothing wraps it.
const textWidth = 76

// wrapText breaks long paragraphs at spaces and between the characters of scripts
// without spaces. A word longer than a line, above all the link, stays whole on a line
// of its own. Runs of empty lines become one.
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
		column := 0
		for w := range bytes.FieldsFuncSeq(line, isBreakable) {
			space := min(column, 1)
			for len(w) > 0 {
				part, columns := cutPart(w)
				if column > 0 && column+space+columns > textWidth {
					b.WriteByte('\n')
					column, space = 0, 0
				}
				if space > 0 {
					b.WriteByte(' ')
				}
				b.Write(part)
				column += space + columns
				w, space = w[len(part):], 0
			}
		}
		b.WriteByte('\n')
	}
	if b.Len() == 0 {
		return "\n"
	}
	return b.String()
}

// cutPart returns the beginning of a word up to where a line may end, and its columns.
// A line may end beside a wide character, as in Japanese, but not before a closing mark
// and not after an opening one.
func cutPart(word []byte) (part []byte, columns int) {
	var before rune
	for i := 0; i < len(word); {
		r, n := utf8.DecodeRune(word[i:])
		if i > 0 && (countColumns(before) == 2 || countColumns(r) == 2) && !strings.ContainsRune(neverLast, before) && !strings.ContainsRune(neverFirst, r) {
			return word[:i], columns
		}
		columns += countColumns(r)
		before = r
		i += n
	}
	return word, columns
}

// The marks that begin no line, and those that end none (JIS X 4051, in short).
const (
	neverFirst = "、。，．・：；？！」』）】〕》〉ーぁぃぅぇぉっゃゅょァィゥェォッャュョ々…,.:;?!)]}"
	neverLast  = "「『（【〔《〈([{"
)

// countColumns is the space that a character takes where all have the same.
func countColumns(r rune) int {
	switch width.LookupRune(r).Kind() {
	case width.EastAsianWide, width.EastAsianFullwidth:
		return 2
	default:
		return 1
	}
}

// isBreakable reports whether a line may end here. French sets no-break spaces before
// its colons and question marks, which strings.Fields would take for spaces.
func isBreakable(r rune) bool { return unicode.IsSpace(r) && r != '\u00a0' && r != '\u202f' }
