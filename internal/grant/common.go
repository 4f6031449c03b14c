package grant

import (
	"errors"
	"strings"

	"github.com/trustelem/zxcvbn"

	"github.com/connectlink/connectlink/internal/secret"
)

// ErrPasswordCommon is returned for a password that a list of common passwords
// or simple patterns leads to.
var ErrPasswordCommon = errors.New("the password is too easy to guess: it is made of common passwords, names, dates, sequences, repetitions, or the account's own words; take four or more unrelated words, or a password manager's suggestion")

// minStrength is zxcvbn's score for at least 10^8 guesses. Its lists, which are
// in the binary, hold the 30,000 most used passwords, names and words; it finds
// them inside longer passwords too, with sequences, keyboard rows, dates and
// repetitions.
const minStrength = 3

// checkCommon refuses a password that is easy to guess. own are words that an
// attacker tries first: the account's address and name.
func checkCommon(password secret.Text, own ...string) error {
	words := []string{"connectlink", "connect link", "pipedream"}
	for _, o := range own {
		words = append(words, o)
		words = append(words, strings.FieldsFunc(o, func(r rune) bool { return strings.ContainsRune("@. -_+", r) })...)
	}
	if zxcvbn.PasswordStrength(password.Reveal(), words).Score < minStrength {
		return ErrPasswordCommon
	}
	return nil
}
