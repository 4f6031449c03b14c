package access

import (
	"errors"
	"strings"

	"github.com/connectlink/connectlink/internal/secret"
)

const (
	testPrefix = "cl_test_"
	livePrefix = "cl_live_"
	// keyRandom characters carry 42 × log2(62) = 250.07 bits; one check
	// character follows.
	keyRandom = 42
	// KeyLength is the length of every API key.
	KeyLength = len(testPrefix) + keyRandom + 1
)

// Faults of an API key's text. Callers outside are told both alike.
var (
	// ErrNotAKey is returned for text that is not an API key at all.
	ErrNotAKey = errors.New("not an API key: want cl_test_ or cl_live_ and 43 letters and digits")
	// ErrMistyped is returned for text in the form of a key whose check
	// character is wrong: a typo, or a key cut and pasted together.
	ErrMistyped = errors.New("the API key is mistyped: its check character does not fit")
)

// Key is what an API key's text tells without a lookup.
type Key struct {
	Livemode bool
	// Digest is what the database knows the key by.
	Digest []byte
	// Hint is the part that may be shown: prefix and last four characters.
	Hint string
}

// NewKey makes an API key and the hint by which people tell it from others.
// The key is to be shown once and stored as its digest.
func NewKey(livemode bool) (key secret.Text, hint string) {
	body := randomBase62(keyRandom)
	s := keyPrefix(livemode) + body + string(checkCharacter(livemode, body))
	return secret.New(s), keyHint(s)
}

// ParseKey reads an API key. Its errors are ErrNotAKey and ErrMistyped; they
// do not quote the text.
func ParseKey(t secret.Text) (Key, error) {
	s := t.Reveal()
	livemode := strings.HasPrefix(s, livePrefix)
	if len(s) != KeyLength || !livemode && !strings.HasPrefix(s, testPrefix) || !isBase62(s[len(testPrefix):]) {
		return Key{}, ErrNotAKey
	}
	body := s[len(testPrefix) : KeyLength-1]
	if s[KeyLength-1] != checkCharacter(livemode, body) {
		return Key{}, ErrMistyped
	}
	return Key{Livemode: livemode, Digest: secret.Digest(t), Hint: keyHint(s)}, nil
}

func keyPrefix(livemode bool) string {
	if livemode {
		return livePrefix
	}
	return testPrefix
}

func keyHint(s string) string { return s[:len(testPrefix)] + "…" + s[len(s)-4:] }

// checkCharacter is Luhn's algorithm in base 62. The mode shifts the result,
// so that no body fits both prefixes.
func checkCharacter(livemode bool, body string) byte {
	n := len(alphabet)
	sum := 0
	if livemode {
		sum = 1
	}
	factor := 2
	for i := len(body) - 1; i >= 0; i-- {
		add := factor * digitValue(body[i])
		sum += add/n + add%n
		factor = 3 - factor
	}
	return alphabet[(n-sum%n)%n]
}
