package sendgrid

import (
	"bytes"
	"compress/gzip"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sendgrid/sendgrid-go/helpers/eventwebhook"
	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"
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
// ErrSignature or ErrStale. The headers are checked first: a post without a
// recent time and a well-formed signature costs no hashing.
func (v *Verifier) Verify(raw []byte, header http.Header) error {
	stamp := header.Get(eventwebhook.TimestampHTTPHeader)
	signature, ok := parseSignature(header.Get(eventwebhook.VerificationHTTPHeader))
	if !ok || stamp == "" {
		return ErrSignature
	}
	seconds, err := strconv.ParseInt(stamp, 10, 64)
	if err != nil {
		return ErrStale
	}
	if age := v.now().Sub(time.Unix(seconds, 0)); age > maxAge || age < -maxAhead {
		return ErrStale
	}
	if v.isSigned(signedDigest(stamp, raw), signature) {
		return nil
	}
	// Which form of a compressed post is signed is not documented.
	if !isGzip(header) {
		return ErrSignature
	}
	inflated, err := digestInflated(stamp, raw)
	if err != nil || !v.isSigned(inflated, signature) {
		return ErrSignature
	}
	return nil
}

// parseSignature reads base64 of an ASN.1 DER sequence of two positive integers
// of at most 256 bits.
func parseSignature(text string) ([]byte, bool) {
	if len(text) > 128 {
		return nil, false
	}
	der, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return nil, false
	}
	input := cryptobyte.String(der)
	var inner cryptobyte.String
	r, s := new(big.Int), new(big.Int)
	if !input.ReadASN1(&inner, asn1.SEQUENCE) || !input.Empty() ||
		!inner.ReadASN1Integer(r) || !inner.ReadASN1Integer(s) || !inner.Empty() {
		return nil, false
	}
	const bits = 256
	return der, r.Sign() > 0 && s.Sign() > 0 && r.BitLen() <= bits && s.BitLen() <= bits
}

func (v *Verifier) isSigned(sum [sha256.Size]byte, signature []byte) bool {
	return slices.ContainsFunc(v.keys, func(key *ecdsa.PublicKey) bool { return ecdsa.VerifyASN1(key, sum[:], signature) })
}

// signedDigest is what SendGrid signs: SHA-256 of the timestamp and the body
// (https://www.twilio.com/docs/sendgrid/for-developers/tracking-events/getting-started-event-webhook-security-features).
// The SDK's check wants the whole body in one piece, and an inflated one may have 8 MiB.
func signedDigest(stamp string, body []byte) (sum [sha256.Size]byte) {
	h := sha256.New()
	_, _ = io.WriteString(h, stamp)
	_, _ = h.Write(body)
	return [sha256.Size]byte(h.Sum(nil))
}

// digestInflated hashes a compressed body while it is inflated, and keeps nothing of it.
func digestInflated(stamp string, raw []byte) (sum [sha256.Size]byte, err error) {
	z, err := gzip.NewReader(bytes.NewReader(raw))
	if err != nil {
		return sum, fmt.Errorf("gzip: %w", err)
	}
	h := sha256.New()
	_, _ = io.WriteString(h, stamp)
	n, err := io.Copy(h, io.LimitReader(z, maxPosted+1))
	if err != nil {
		return sum, fmt.Errorf("gzip: %w", err)
	}
	if n > maxPosted {
		return sum, errTooLarge
	}
	return [sha256.Size]byte(h.Sum(nil)), nil
}

var errTooLarge = errors.New("gzip: too large")

func isGzip(header http.Header) bool {
	switch contentEncoding(header) {
	case "gzip", "x-gzip":
		return true
	}
	return false
}

func contentEncoding(header http.Header) string {
	return strings.ToLower(strings.TrimSpace(header.Get("Content-Encoding")))
}

// Decode undoes the content encoding of a posted body, refusing what grows
// beyond 8 MiB.
func Decode(raw []byte, header http.Header) ([]byte, error) {
	switch {
	case contentEncoding(header) == "" || contentEncoding(header) == "identity":
		return raw, nil
	case !isGzip(header):
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
		return nil, errTooLarge
	}
	return plain, nil
}
