package access

import (
	"crypto/rand"
	"encoding/base64"

	"github.com/connectlink/connectlink/internal/secret"
)

// alphabet is base62 in ASCII order.
const alphabet = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

const (
	// CodeLength is the length of an invite code: 22 × log2(62) = 130.99 bits.
	CodeLength = 22
	// OldCodeLength is the length of the codes of earlier versions, whose links are open
	// for up to 30 days and can be renewed.
	OldCodeLength = 20
	// CallbackSecretLength is the length of the secret in a callback's path.
	CallbackSecretLength = 26
	clientTokenLength    = 43
	clientTokenPrefix    = "clc_"
	webhookSecretPrefix  = "whsec_"
	webhookSecretBytes   = 32 // Standard Webhooks asks for 24 to 64
)

// randomBase62 returns n characters of base62, each of them equally likely: a byte
// taken modulo 62 would favour the first eight, so the top of the range is
// thrown away. crypto/rand does not fail; it ends the process instead.
func randomBase62(n int) string {
	const fair = 256 / len(alphabet) * len(alphabet)
	out := make([]byte, 0, n)
	buf := make([]byte, n+n/8+8)
	for len(out) < n {
		_, _ = rand.Read(buf)
		for _, b := range buf {
			if int(b) < fair && len(out) < n {
				out = append(out, alphabet[int(b)%len(alphabet)])
			}
		}
	}
	return string(out)
}

func isBase62(s string) bool {
	for i := range len(s) {
		if digitValue(s[i]) < 0 {
			return false
		}
	}
	return true
}

// digitValue returns the value of a base62 character, or -1.
func digitValue(c byte) int {
	switch {
	case '0' <= c && c <= '9':
		return int(c - '0')
	case 'A' <= c && c <= 'Z':
		return int(c-'A') + 10
	case 'a' <= c && c <= 'z':
		return int(c-'a') + 36
	default:
		return -1
	}
}

// NewCode makes the code of an invite link.
func NewCode() secret.Text { return secret.New(randomBase62(CodeLength)) }

// ValidCode reports whether s has the form of a code, or of one of an earlier version
// with a letter behind it.
func ValidCode(s string) bool { return OldCodeLength <= len(s) && len(s) <= CodeLength && isBase62(s) }

// NewCallbackSecret makes the unguessable part of a Pipedream callback's path:
// 26 × log2(62) = 154.8 bits.
func NewCallbackSecret() secret.Text { return secret.New(randomBase62(CallbackSecretLength)) }

// ValidCallbackSecret reports whether s has the form of a callback secret.
func ValidCallbackSecret(s string) bool { return len(s) == CallbackSecretLength && isBase62(s) }

// NewClientToken makes the token a product hands to its own client for one
// invite, "clc_" and 43 characters.
func NewClientToken() secret.Text {
	return secret.New(clientTokenPrefix + randomBase62(clientTokenLength))
}

// ValidClientToken reports whether s has the form of a client token.
func ValidClientToken(s string) bool {
	return len(s) == len(clientTokenPrefix)+clientTokenLength &&
		s[:len(clientTokenPrefix)] == clientTokenPrefix && isBase62(s[len(clientTokenPrefix):])
}

// NewWebhookSecret makes the secret that signs events to a product, in the
// form of the Standard Webhooks specification: "whsec_" and base64.
func NewWebhookSecret() secret.Text {
	b := make([]byte, webhookSecretBytes)
	_, _ = rand.Read(b)
	return secret.New(webhookSecretPrefix + base64.StdEncoding.EncodeToString(b))
}

const (
	sessionTokenPrefix = "cls_"
	sessionTokenLength = 43
)

// NewSessionToken makes what a signed-in browser, or a link that signs in once,
// proves itself with: "cls_" and 43 characters, 256 bits.
func NewSessionToken() secret.Text {
	return secret.New(sessionTokenPrefix + randomBase62(sessionTokenLength))
}

// ValidSessionToken reports whether s has the form of a session token.
func ValidSessionToken(s string) bool {
	return len(s) == len(sessionTokenPrefix)+sessionTokenLength &&
		s[:len(sessionTokenPrefix)] == sessionTokenPrefix && isBase62(s[len(sessionTokenPrefix):])
}
