package twilio

import (
	"errors"
	"mime"
	"net/url"
	"strings"

	"github.com/twilio/twilio-go/client"

	"github.com/connectlink/connectlink/internal/secret"
)

// ErrSignature: the request is not signed with a configured auth token, or not
// for this URL.
var ErrSignature = errors.New("not signed with a configured Twilio auth token")

// SignatureHeader carries the signature.
const SignatureHeader = "X-Twilio-Signature"

// Verifier checks X-Twilio-Signature. Secondary tokens are valid beside the
// primary one while it is rotated. It prints no key.
type Verifier struct {
	origin, prefix string
	validators     []client.RequestValidator
	shared         []secret.Text
}

// NewVerifier takes the public URL of this service. Twilio signs the URL it was
// given; a proxy may change Host and X-Forwarded-*, so the configured URL is
// used.
func NewVerifier(publicURL string, tokens ...secret.Text) (*Verifier, error) {
	u, err := url.Parse(publicURL)
	if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
		return nil, errors.New("the public URL is not an absolute http or https URL")
	}
	v := &Verifier{origin: u.Scheme + "://" + u.Host, prefix: strings.TrimRight(u.EscapedPath(), "/")}
	for _, t := range tokens {
		if !t.IsZero() {
			v.validators = append(v.validators, client.NewRequestValidator(t.Reveal()))
		}
	}
	if len(v.validators) == 0 {
		return nil, errors.New("no auth token")
	}
	return v, nil
}

// Verify checks a request by its request URI (path and query as received), the
// type of its body, the body's raw bytes and its signature. A JSON body is
// signed by a digest in the query, which must then be there.
func (v *Verifier) Verify(requestURI, contentType string, raw []byte, signature string) error {
	if signature == "" || !strings.HasPrefix(requestURI, "/") {
		return ErrSignature
	}
	requestURI, _, _ = strings.Cut(requestURI, "#")
	path, _, _ := strings.Cut(requestURI, "?")
	if v.prefix != "" && path != v.prefix && !strings.HasPrefix(path, v.prefix+"/") {
		requestURI = v.prefix + requestURI // a proxy strips it on the way in
	}
	full := v.origin + requestURI
	if kind, _, err := mime.ParseMediaType(contentType); err != nil || kind != "application/x-www-form-urlencoded" {
		// Anything but a form is covered by its digest only.
		if u, err := url.Parse(full); err != nil || len(raw) > 0 && u.Query().Get("bodySHA256") == "" {
			return ErrSignature
		}
	}
	for i := range v.validators {
		if v.validators[i].ValidateBody(full, raw, signature) {
			return nil
		}
	}
	if v.signedWithSharedKey(full, contentType, raw, signature) {
		return nil
	}
	return ErrSignature
}
