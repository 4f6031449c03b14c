package vonage

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/connectlink/connectlink/internal/secret"
)

// ErrSignature: the post does not carry a token that a configured secret signed for
// this body.
var ErrSignature = errors.New("not signed with a configured Vonage signature secret")

// How old a token may be: a post is repeated for up to a day, and whether a
// repetition gets a token of its own is not documented. A replay changes nothing.
const (
	maxAge   = 25 * time.Hour
	maxAhead = time.Hour
	maxToken = 8 << 10
)

// Verifier checks the tokens of webhooks. Secondary secrets are valid beside the
// primary one while it is rotated. It prints no secret.
type Verifier struct {
	apiKey  string
	secrets []secret.Text
	now     func() time.Time
}

// NewVerifier takes the account's API key and its signature secrets.
func NewVerifier(apiKey string, now func() time.Time, secrets ...secret.Text) (*Verifier, error) {
	v := &Verifier{apiKey: apiKey, now: now}
	for _, s := range secrets {
		if !s.IsZero() {
			v.secrets = append(v.secrets, s)
		}
	}
	if len(v.secrets) == 0 {
		return nil, errors.New("no signature secret")
	}
	if v.now == nil {
		v.now = time.Now
	}
	return v, nil
}

// Format keeps the secrets out of logs.
func (*Verifier) Format(s fmt.State, _ rune) { _, _ = s.Write([]byte(secret.Redacted)) }

// Verify checks the Authorization header against a body. The algorithm is
// always HS256; a token that names another one is refused.
func (v *Verifier) Verify(raw []byte, authorization string) error {
	scheme, token, _ := strings.Cut(authorization, " ")
	parts := strings.Split(token, ".")
	if !strings.EqualFold(scheme, "Bearer") || len(token) > maxToken || len(parts) != 3 {
		return ErrSignature
	}
	var header struct {
		Algorithm string `json:"alg"`
	}
	var claims struct {
		IssuedAt    int64  `json:"iat"`
		PayloadHash string `json:"payload_hash"`
		APIKey      string `json:"api_key"`
	}
	signature, err := base64.RawURLEncoding.Strict().DecodeString(parts[2])
	if err != nil || !decode(parts[0], &header) || header.Algorithm != "HS256" {
		return ErrSignature
	}
	signed := slices.ContainsFunc(v.secrets, func(s secret.Text) bool {
		mac := hmac.New(sha256.New, []byte(s.Reveal()))
		mac.Write([]byte(parts[0] + "." + parts[1]))
		return hmac.Equal(mac.Sum(nil), signature)
	})
	if !signed || !decode(parts[1], &claims) || claims.APIKey != v.apiKey {
		return ErrSignature
	}
	if age := v.now().Sub(time.Unix(claims.IssuedAt, 0)); age > maxAge || age < -maxAhead {
		return ErrSignature
	}
	sum := sha256.Sum256(raw)
	if !hmac.Equal([]byte(hex.EncodeToString(sum[:])), []byte(strings.ToLower(claims.PayloadHash))) {
		return ErrSignature
	}
	return nil
}

func decode(part string, into any) bool {
	raw, err := base64.RawURLEncoding.DecodeString(part)
	return err == nil && json.Unmarshal(raw, into) == nil
}
