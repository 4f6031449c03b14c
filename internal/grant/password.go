package grant

import (
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"golang.org/x/crypto/argon2"

	"github.com/connectlink/connectlink/internal/secret"
)

// Parameters of argon2id: OWASP's recommendation for passwords on a server
// (https://cheatsheetseries.owasp.org/cheatsheets/Password_Storage_Cheat_Sheet.html).
// Anybody may ask for a comparison, in a process that also sends messages.
const (
	argonTime    = 2
	argonMemory  = 19 << 10 // KiB
	argonThreads = 1
	argonSalt    = 16
	argonKey     = 32
)

// Length of a local account's password. There are no rules of composition, which
// NIST SP 800-63B advises against; easy ones are refused, see checkCommon.
const (
	MinPassword = 15
	maxPassword = 200
)

// ErrPasswordLength is returned for a password that is too short or too long.
var ErrPasswordLength = fmt.Errorf("the password must have %d to %d characters", MinPassword, maxPassword)

var errPHC = errors.New("the stored password is not argon2id in PHC form")

// hashNewPassword checks a password that is to be set and hashes it. own are the
// account's address and name. Errors: ErrPasswordLength, ErrPasswordCommon.
func hashNewPassword(password secret.Text, own ...string) (string, error) {
	if n := utf8.RuneCountInString(password.Reveal()); n < MinPassword || n > maxPassword {
		return "", ErrPasswordLength
	}
	if err := checkCommon(password, own...); err != nil {
		return "", err
	}
	return hashPassword(password), nil
}

// hashPassword gives a password in PHC form, with its salt and parameters.
func hashPassword(password secret.Text) string {
	salt := make([]byte, argonSalt)
	_, _ = rand.Read(salt) // does not fail; it ends the process instead
	key := argon2.IDKey([]byte(password.Reveal()), salt, argonTime, argonMemory, argonThreads, argonKey)
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, argonMemory, argonTime, argonThreads,
		base64.RawStdEncoding.EncodeToString(salt), base64.RawStdEncoding.EncodeToString(key))
}

// isCurrent reports whether a stored password has the parameters of today.
func isCurrent(phc string) bool {
	return strings.HasPrefix(phc, fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$", argon2.Version, argonMemory, argonTime, argonThreads))
}

// checkPassword compares in constant time. It uses the stored parameters, so
// that raising ours locks no account out.
func checkPassword(phc string, password secret.Text) (bool, error) {
	parts := strings.Split(phc, "$")
	if len(parts) != 6 || parts[1] != "argon2id" {
		return false, errPHC
	}
	var version, memory, time uint32
	var threads uint8
	if _, err := fmt.Sscanf(parts[2], "v=%d", &version); err != nil || version != argon2.Version {
		return false, errPHC
	}
	if _, err := fmt.Sscanf(parts[3], "m=%d,t=%d,p=%d", &memory, &time, &threads); err != nil || memory > 1<<20 || time == 0 || time > 20 || threads == 0 {
		return false, errPHC
	}
	salt, err := base64.RawStdEncoding.DecodeString(parts[4])
	if err != nil {
		return false, errPHC
	}
	want, err := base64.RawStdEncoding.DecodeString(parts[5])
	if err != nil || len(want) < 16 {
		return false, errPHC
	}
	got := argon2.IDKey([]byte(password.Reveal()), salt, time, memory, threads, uint32(len(want)))
	return subtle.ConstantTimeCompare(got, want) == 1, nil
}
