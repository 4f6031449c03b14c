package grant

import (
	"bufio"
	"bytes"
	"compress/gzip"
	_ "embed" // for the words that passwords are made of
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"unicode"

	"github.com/connectlink/connectlink/internal/secret"
)

// ErrPasswordCommon is returned for a password that is easy to guess.
var ErrPasswordCommon = errors.New("the password is too easy to guess: it is made of common passwords, names, dates, sequences, repetitions or the account's own words; take four or more unrelated words, or a password manager's suggestion")

// minGuesses is the decimal logarithm of the guesses that a password must take.
const minGuesses = 8

// commonWords is unpacked only when a password is set: ready for use, as
// libraries for this hold it from the start of every process, it takes 6 MiB.
//
//go:embed common/words.txt.gz
var commonWords []byte

// readCommonWords returns the rank of each word, from 1, and the longest word's
// length.
func readCommonWords() (ranks map[string]int, longest int, err error) {
	z, err := gzip.NewReader(bytes.NewReader(commonWords))
	if err != nil {
		return nil, 0, fmt.Errorf("read the common passwords: %w", err)
	}
	ranks = map[string]int{}
	lines := bufio.NewScanner(z)
	for lines.Scan() {
		ranks[lines.Text()] = len(ranks) + 1
		longest = max(longest, len(lines.Text()))
	}
	if err := lines.Err(); err != nil {
		return nil, 0, fmt.Errorf("read the common passwords: %w", err)
	}
	return ranks, longest, nil
}

// checkCommon refuses a password that is easy to guess. own are words that an
// attacker tries first: the account's address and name.
func checkCommon(password secret.Text, own ...string) error {
	ranks, longest, err := readCommonWords()
	if err != nil {
		return err
	}
	for _, o := range append(own, "connectlink", "pipedream") {
		o = strings.ToLower(o)
		for _, w := range append(strings.FieldsFunc(o, func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) }), o) {
			if len(w) >= 3 {
				ranks[w], longest = 1, max(longest, len(w))
			}
		}
	}
	if countGuesses(password.Reveal(), ranks, longest) < minGuesses {
		return ErrPasswordCommon
	}
	return nil
}

// countGuesses estimates the decimal logarithm of the guesses that a password
// takes an attacker who knows the words and the habits: the least sum over all
// ways to cut it into words, runs, years, repetitions and single characters.
// The figures per part are zxcvbn's (Wheeler, USENIX Security 2016).
func countGuesses(password string, ranks map[string]int, longest int) float64 {
	shown := []rune(password)
	plain := make([]rune, len(shown)) // lower case
	leet := make([]rune, len(shown))  // and digits and signs for the letters they look like
	for i, r := range shown {
		plain[i] = unicode.ToLower(r)
		leet[i] = plain[i]
		if j := strings.IndexRune("@4310!$57", r); j >= 0 {
			leet[i] = rune("aaeioisst"[j])
		}
	}
	runs := runsOf(plain)
	least := make([]float64, len(plain)+1) // of the first i characters
	for end := 1; end <= len(plain); end++ {
		least[end] = least[end-1] + 1 // zxcvbn: 10 guesses a character that nothing explains
		for start := end - 1; start >= 0; start-- {
			part := math.Inf(1)
			length := end - start
			if length >= 3 && length <= longest {
				if rank, ok := ranks[string(plain[start:end])]; ok {
					part = math.Log10(float64(rank)) + caseGuesses(shown[start:end])
				} else if rank, ok := ranks[string(leet[start:end])]; ok {
					part = math.Log10(float64(rank)) + 1 + caseGuesses(shown[start:end])
				}
			}
			if length >= 3 && runs[end-1] >= length {
				part = min(part, math.Log10(20*float64(length)))
			}
			if length == 4 && (strings.HasPrefix(string(plain[start:end]), "19") || strings.HasPrefix(string(plain[start:end]), "20")) {
				part = min(part, 2)
			}
			least[end] = min(least[end], least[start]+part)
			// The part again: said once, it costs the number of times only.
			for again := start - length; again >= 0 && slices.Equal(plain[again:again+length], plain[start:end]); again -= length {
				times := (end - again) / length
				least[end] = min(least[end], least[again+length]+math.Log10(float64(times)))
			}
		}
	}
	return least[len(plain)]
}

// caseGuesses is the cost of guessing which letters are capital ones.
func caseGuesses(word []rune) float64 {
	capitals := 0
	for _, r := range word {
		if unicode.IsUpper(r) {
			capitals++
		}
	}
	switch {
	case capitals == 0:
		return 0
	case capitals == len(word), capitals == 1 && unicode.IsUpper(word[0]):
		return math.Log10(2)
	}
	return float64(capitals) * math.Log10(float64(len(word)))
}

// keyboards are the rows and columns of keyboards.
const keyboards = "1234567890 qwertyuiop asdfghjkl zxcvbnm qwertzuiop yxcvbnm azertyuiop qsdfghjklm wxcvbn 1qaz2wsx3edc4rfv5tgb6yhn7ujm8ik9ol0p"

// runsOf returns for each character the length of the longest run that ends
// there: equal characters, neighbours in an alphabet, or neighbours on a keyboard.
func runsOf(text []rune) []int {
	out := make([]int, len(text))
	steps := []func(a, b rune) bool{
		func(a, b rune) bool { return a == b },
		func(a, b rune) bool { return b == a+1 },
		func(a, b rune) bool { return b == a-1 },
		func(a, b rune) bool { return strings.Contains(keyboards, string([]rune{a, b})) },
		func(a, b rune) bool { return strings.Contains(keyboards, string([]rune{b, a})) },
	}
	for _, is := range steps {
		run := 1
		for i := range text {
			if i > 0 && is(text[i-1], text[i]) {
				run++
			} else {
				run = 1
			}
			out[i] = max(out[i], run)
		}
	}
	return out
}
