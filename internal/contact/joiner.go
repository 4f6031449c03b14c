package contact

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/net/idna"
)

const (
	zeroWidthNonJoiner = '\u200c'
	zeroWidthJoiner    = '\u200d'
	emojiPresentation  = '\ufe0f'
)

// joiners knows which of a text's invisible joiners belong to its spelling:
// U+200C in Persian, U+200D in Sinhala and in joined emoji. Between other letters
// they change nothing that is seen and hide what a word is from our checks.
type joiners struct {
	text  string
	any   bool // there are some
	rules *idna.Profile
}

func newJoiners(text string) joiners {
	j := joiners{text: text, any: strings.ContainsRune(text, zeroWidthNonJoiner) || strings.ContainsRune(text, zeroWidthJoiner)}
	if j.any {
		j.rules = idna.New(idna.CheckJoiners(true))
	}
	return j
}

// keeps reports whether the joiner at byte i of the text stays. It is false for
// each other character, but for the mark that makes a part of a joined emoji
// colourful.
func (j joiners) keeps(i int) bool {
	if !j.any {
		return false
	}
	r, size := utf8.DecodeRuneInString(j.text[i:])
	before, after := j.text[:i], j.text[i+size:]
	switch r {
	case zeroWidthJoiner:
		return joinsEmoji(before, after) || j.joinsLetters(before, r, after)
	case zeroWidthNonJoiner:
		return j.joinsLetters(before, r, after)
	case emojiPresentation:
		next, _ := utf8.DecodeRuneInString(after)
		last, _ := utf8.DecodeLastRuneInString(before)
		return isPictograph(last) && (next == zeroWidthJoiner || joinerBefore(before))
	}
	return false
}

// joinerBefore reports whether the last picture of s is joined to one before it.
func joinerBefore(s string) bool {
	_, size := utf8.DecodeLastRuneInString(s)
	r, _ := utf8.DecodeLastRuneInString(s[:len(s)-size])
	return r == zeroWidthJoiner
}

// joinsEmoji follows Unicode's emoji sequences (UTS 51, section 1.4.6): a picture,
// perhaps with a skin tone, on each side.
func joinsEmoji(before, after string) bool {
	next, _ := utf8.DecodeRuneInString(after)
	last, size := utf8.DecodeLastRuneInString(before)
	if last == emojiPresentation || isSkinTone(last) {
		last, _ = utf8.DecodeLastRuneInString(before[:len(before)-size])
	}
	return isPictograph(last) && isPictograph(next)
}

func isPictograph(r rune) bool {
	return r >= 0x2000 && r != utf8.RuneError && unicode.Is(unicode.So, r)
}

func isSkinTone(r rune) bool { return r >= 0x1f3fb && r <= 0x1f3ff }

// maxJoined bounds how much of a word around a joiner is examined.
const maxJoined = 32

// joinsLetters applies the rules of RFC 5892, appendix A.1 and A.2 (CONTEXTJ): a
// joiner follows a virama, or U+200C separates letters that would join. Bengali
// also writes U+200D before the virama.
func (j joiners) joinsLetters(before string, joiner rune, after string) bool {
	if last, _ := utf8.DecodeLastRuneInString(before); !isLetter(last) {
		return false
	}
	head, tail := lastLetters(before), firstLetters(after)
	if head == "" {
		return false
	}
	if joiner == zeroWidthJoiner && strings.HasPrefix(tail, bengaliVirama) {
		return true
	}
	_, err := j.rules.ToUnicode(head + string(joiner) + tail)
	return err == nil
}

const bengaliVirama = "\u09cd"

func isLetter(r rune) bool { return unicode.IsLetter(r) || unicode.IsMark(r) }

// lastLetters returns the letters at the end of s, joiners left out.
func lastLetters(s string) string {
	var out []rune
	for steps := 0; len(s) > 0 && steps < maxJoined; steps++ {
		r, size := utf8.DecodeLastRuneInString(s)
		s = s[:len(s)-size]
		if isLetter(r) {
			out = append(out, r)
		} else if r != zeroWidthJoiner && r != zeroWidthNonJoiner {
			break
		}
	}
	for i, k := 0, len(out)-1; i < k; i, k = i+1, k-1 {
		out[i], out[k] = out[k], out[i]
	}
	return strings.TrimLeftFunc(string(out), unicode.IsMark) // a word that begins with a mark was cut
}

// firstLetters returns the letters at the beginning of s, joiners left out.
func firstLetters(s string) string {
	var out []rune
	steps := 0
	for _, r := range s {
		if steps++; steps > maxJoined || !isLetter(r) && r != zeroWidthJoiner && r != zeroWidthNonJoiner {
			break
		}
		if isLetter(r) {
			out = append(out, r)
		}
	}
	return string(out)
}
