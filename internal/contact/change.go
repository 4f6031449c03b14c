package contact

import (
	"slices"
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"
)

// Change is a piece of a text that recipients read differently, or not at all.
type Change struct {
	Text  string `json:"text"`  // as it was sent
	Shown string `json:"shown"` // as it is read; empty: removed
	Cause Cause  `json:"cause"`
}

// Cause is why a piece of a text was changed.
type Cause string

// The causes.
const (
	CauseLink      Cause = "link"
	CauseEmail     Cause = "email_address"
	CausePhone     Cause = "phone_number"
	CauseJoined    Cause = "joined_words" // a dot between two words is followed by a space
	CauseInvisible Cause = "invisible_characters"
	CauseFreeText  Cause = "free_text" // the project lets no caller write this text
	CauseOther     Cause = "other"     // left behind by a removal: a bracket, a plus sign
)

// Causes lists the causes.
func Causes() []Cause {
	return []Cause{CauseLink, CauseEmail, CausePhone, CauseJoined, CauseInvisible, CauseFreeText, CauseOther}
}

// maxCompared bounds the words that are compared one by one: the work grows with
// their square. Fields of requests are far shorter.
const maxCompared = 512

// Compare lists the pieces in which the result of CleanPublic differs from the text
// that was sent, in order. It reads the result and repeats no rule of the
// cleaning, so that it cannot disagree with it.
func Compare(sent, shown string) []Change {
	from, to := strings.Fields(norm.NFC.String(sent)), strings.Fields(shown)
	if slices.Equal(from, to) {
		return nil
	}
	if len(from) > maxCompared || len(to) > maxCompared {
		return []Change{{Text: strings.Join(from, " "), Shown: shown, Cause: CauseOther}}
	}
	var out []Change
	same := withoutInsertions(commonWords(from, to), len(from), len(to))
	i, j := 0, 0
	for _, at := range append(same, [2]int{len(from), len(to)}) {
		out = append(out, classify(from[i:at[0]], to[j:at[1]])...)
		i, j = at[0]+1, at[1]+1
	}
	return out
}

// commonWords returns the positions of a longest common subsequence.
func commonWords(a, b []string) [][2]int {
	longest := make([][]int, len(a)+1) // of a[i:] and b[j:]
	for i := range longest {
		longest[i] = make([]int, len(b)+1)
	}
	for i := len(a) - 1; i >= 0; i-- {
		for j := len(b) - 1; j >= 0; j-- {
			if a[i] == b[j] {
				longest[i][j] = longest[i+1][j+1] + 1
			} else {
				longest[i][j] = max(longest[i+1][j], longest[i][j+1])
			}
		}
	}
	var out [][2]int
	for i, j := 0, 0; i < len(a) && j < len(b); {
		switch {
		case a[i] == b[j]:
			out = append(out, [2]int{i, j})
			i, j = i+1, j+1
		case longest[i+1][j] >= longest[i][j+1]:
			i++
		default:
			j++
		}
	}
	return out
}

// withoutInsertions drops common words until each stretch between two of them that has
// shown words has sent ones too, n and m in all: of equal words the wrong ones may have been
// paired, and nothing is shown that was not sent.
func withoutInsertions(same [][2]int, n, m int) [][2]int {
	for k := 0; k <= len(same); k++ {
		before, at := [2]int{-1, -1}, [2]int{n, m}
		if k > 0 {
			before = same[k-1]
		}
		if k < len(same) {
			at = same[k]
		}
		if at[0] > before[0]+1 || at[1] == before[1]+1 || len(same) == 0 {
			continue
		}
		wrong := min(k, len(same)-1)
		same = slices.Delete(same, wrong, wrong+1)
		k = max(wrong-2, -1)
	}
	return same
}

// classify describes a stretch of words between two that stayed. Links and email
// addresses in it are changes of their own; the words between them are one.
func classify(from, to []string) []Change {
	if len(from) == 0 {
		return nil
	}
	shown := strings.Join(to, " ")
	if len(to) > 0 {
		return []Change{{Text: strings.Join(from, " "), Shown: shown, Cause: causeOfOther(from, to)}}
	}
	var out []Change
	var rest []string
	flush := func() {
		if len(rest) > 0 {
			out = append(out, Change{Text: strings.Join(rest, " "), Cause: causeOfRemoval(strings.Join(rest, " "))})
			rest = nil
		}
	}
	for _, word := range from {
		cause := causeOfRemoval(word)
		if cause != CauseLink && cause != CauseEmail {
			rest = append(rest, word)
			continue
		}
		flush()
		out = append(out, Change{Text: word, Cause: cause})
	}
	flush()
	return out
}

func causeOfRemoval(text string) Cause {
	plain := asciiDots(lowerASCII(norm.NFKC.String(text)))
	digits := 0
	for _, r := range plain {
		digits += digitsOf(r)
	}
	switch {
	case strings.Contains(plain, "@") && !hasScheme(plain) && hasLink(plain):
		return CauseEmail
	case hasLink(plain) || hasLink(lowerASCII(text)):
		return CauseLink
	case digits >= fewestPhoneDigits:
		return CausePhone
	case strings.TrimSpace(dropInvisible(text)) == "":
		return CauseInvisible
	}
	return CauseOther
}

// causeOfOther is why words are read differently.
func causeOfOther(from, to []string) Cause {
	if strings.Join(to, "") == asciiDots(norm.NFKC.String(strings.Join(from, ""))) {
		return CauseJoined
	}
	if strings.Join(to, " ") == strings.Join(strings.Fields(norm.NFC.String(dropInvisible(strings.Join(from, " ")))), " ") {
		return CauseInvisible
	}
	kept := make(map[rune]int)
	for _, r := range strings.Join(to, "") {
		kept[r]++
	}
	var gone strings.Builder // of a piece that shared a word with what stayed
	for _, r := range strings.Join(from, " ") {
		if kept[r]--; kept[r] < 0 && !unicode.IsSpace(r) {
			gone.WriteRune(r)
		}
	}
	if cause := causeOfRemoval(gone.String()); cause != CauseOther {
		return cause
	}
	return causeOfRemoval(strings.Join(from, " "))
}
