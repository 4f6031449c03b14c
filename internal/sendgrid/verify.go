package sendgrid

import (
	"bytes"
	"compress/gzip"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/sendgrid/sendgrid-go/helpers/eventwebhook"
)

var (
	// ErrSignature: the post is not signed by any configured key.
	ErrSignature = errors.New("not signed by a configured SendGrid key")
	// ErrStale: rightly signed, but too long ago to be a retry of SendGrid's.
	ErrStale = errors.New("signed too long ago, or in the future")
)

// SendGrid repeats a post for 24 hours, and it is not documented whether a
// repetition is signed anew. Anything tighter would drop late truth; a replay
// inside the window changes nothing, because events are folded in once by id.
const (
	maxAge    = 25 * time.Hour
	maxAhead  = time.Hour
	maxPosted = 8 << 20
)

// Verifier checks the signature of the Event Webhook against a list of keys:
// SendGrid cannot roll a key smoothly, so old and new must be valid together.
type Verifier struct {
	keys []*ecdsa.PublicKey
	now  func() time.Time
}

// NewVerifier reads public keys as SendGrid shows them (base64 of a DER
// SubjectPublicKeyInfo). All bad keys are named at once, by position.
func NewVerifier(keys []string) (*Verifier, error) {
	v := &Verifier{now: time.Now}
	var faults []error
	for i, text := range keys {
		key, err := parseKey(text)
		if err != nil {
			faults = append(faults, fmt.Errorf("public key %d: %w", i+1, err))
			continue
		}
		v.keys = append(v.keys, key)
	}
	if len(faults) > 0 {
		return nil, errors.Join(faults...)
	}
	if len(v.keys) == 0 {
		return nil, errors.New("no public key")
	}
	return v, nil
}

// WithClock returns a Verifier with another clock.
func (v *Verifier) WithClock(now func() time.Time) *Verifier {
	return &Verifier{keys: v.keys, now: now}
}

// parseKey does not use the SDK's conversion, which panics on a key of another
// kind.
func parseKey(text string) (*ecdsa.PublicKey, error) {
	text = strings.Join(strings.Fields(text), "")
	der, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return nil, errors.New("not base64")
	}
	key, err := x509.ParsePKIXPublicKey(der)
	if err != nil {
		return nil, errors.New("not a public key in DER")
	}
	ec, ok := key.(*ecdsa.PublicKey)
	if !ok || ec.Curve != elliptic.P256() {
		return nil, errors.New("not an ECDSA key on P-256")
	}
	return ec, nil
}

// Verify checks the bytes as they came over the wire (SendGrid's end in CRLF;
// text that was decoded and encoded again never verifies). It returns
// ErrSignature or ErrStale.
func (v *Verifier) Verify(raw []byte, header http.Header) error {
	signature := header.Get(eventwebhook.VerificationHTTPHeader)
	stamp := header.Get(eventwebhook.TimestampHTTPHeader)
	if signature == "" || stamp == "" {
		return ErrSignature
	}
	if !v.signed(raw, signature, stamp) {
		// Which form of a compressed post is signed is not documented.
		plain, err := Decode(raw, header)
		if err != nil || bytes.Equal(plain, raw) || !v.signed(plain, signature, stamp) {
			return ErrSignature
		}
	}
	seconds, err := strconv.ParseInt(stamp, 10, 64)
	if err != nil {
		return ErrStale
	}
	if age := v.now().Sub(time.Unix(seconds, 0)); age > maxAge || age < -maxAhead {
		return ErrStale
	}
	return nil
}

func (v *Verifier) signed(payload []byte, signature, stamp string) bool {
	for _, key := range v.keys {
		if ok, err := eventwebhook.VerifySignature(key, payload, signature, stamp); err == nil && ok {
			return true
		}
	}
	return false
}

// Decode undoes the content encoding of a posted body, refusing what grows
// beyond 8 MiB.
func Decode(raw []byte, header http.Header) ([]byte, error) {
	switch strings.ToLower(strings.TrimSpace(header.Get("Content-Encoding"))) {
	case "", "identity":
		return raw, nil
	case "gzip", "x-gzip":
	default:
		return nil, errors.New("content encoding is not gzip")
	}
	z, err := gzip.NewReader(bytes.NewReader(raw))
	if err != nil {
		return nil, fmt.Errorf("gzip: %w", err)
	}
	plain, err := io.ReadAll(io.LimitReader(z, maxPosted+1))
	if err != nil {
		return nil, fmt.Errorf("gzip: %w", err)
	}
	if len(plain) > maxPosted {
		return nil, errors.New("gzip: too large")
	}
	return plain, nil
}
