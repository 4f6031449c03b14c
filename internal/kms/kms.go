// Package kms opens keys of key management services, which wrap keysets: AWS KMS, Google
// Cloud KMS and the transit engine of HashiCorp Vault, each through Tink's integration and
// the vendor's client library.
//
// It owns the URIs, the credentials' sources, and the difference between a refusal and a
// service that cannot be reached. It does not know the wrapped data, and puts neither
// plaintext nor ciphertext into errors.
//
// Credentials come from each vendor's usual sources: the AWS SDK's default chain
// (https://docs.aws.amazon.com/sdkref/latest/guide/standardized-credentials.html), Google's
// application default credentials (https://cloud.google.com/docs/authentication/application-default-credentials),
// and VAULT_TOKEN with the other VAULT_* variables (https://developer.hashicorp.com/vault/docs/commands#environment-variables).
package kms

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"strings"
	"time"

	"github.com/tink-crypto/tink-go/v2/tink"
)

var (
	// ErrUnavailable: the service did not answer, or asks to come back later.
	ErrUnavailable = errors.New("the KMS cannot be reached")
	// ErrRefused: the service answered, and does not encrypt or decrypt this.
	ErrRefused = errors.New("the KMS refuses")
	// ErrURI: the URI is none of a supported KMS.
	ErrURI = errors.New("want aws-kms://arn:aws:kms:REGION:ACCOUNT:key/ID, gcp-kms://projects/…/locations/…/keyRings/…/cryptoKeys/… or hcvault://HOST/MOUNT/keys/NAME")
)

// callWithin bounds one call. A KMS answers within 100 ms; a first token of a cloud's
// metadata service takes longer.
const callWithin = 15 * time.Second

// Key is a key of a KMS. Its errors are ErrUnavailable and ErrRefused, with the host.
type Key struct {
	host string // for errors
	aead tink.AEADWithContext
	// fault reads the vendor's error.
	fault func(error) (answer, bool)
}

// answer is a vendor's refusal.
type answer struct {
	status int    // of HTTP
	code   string // the vendor's name of the error; may be empty
	text   string // the vendor's explanation; may be empty
	later  bool   // the vendor asks to try again
}

// Open prepares the key that uri names. It makes no call to the KMS.
//
// Errors: ErrURI; those of the vendor's library about credentials.
func Open(ctx context.Context, uri string) (*Key, error) {
	switch scheme, rest, _ := strings.Cut(uri, "://"); scheme {
	case "aws-kms":
		return openAWS(ctx, rest)
	case "gcp-kms":
		return openGoogle(ctx, rest)
	case "hcvault":
		return openVault(uri)
	}
	return nil, ErrURI
}

// Host is where the calls go.
func (k *Key) Host() string { return k.host }

// EncryptWithContext implements tink.AEADWithContext.
func (k *Key) EncryptWithContext(ctx context.Context, plaintext, associatedData []byte) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, callWithin)
	defer cancel()
	out, err := k.aead.EncryptWithContext(ctx, plaintext, associatedData)
	// A vendor's explanation may quote a part of the request, which holds the plaintext.
	return out, k.explain(err, false)
}

// DecryptWithContext implements tink.AEADWithContext.
func (k *Key) DecryptWithContext(ctx context.Context, ciphertext, associatedData []byte) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, callWithin)
	defer cancel()
	out, err := k.aead.DecryptWithContext(ctx, ciphertext, associatedData)
	return out, k.explain(err, true)
}

// explain returns ErrRefused or ErrUnavailable with the host, and with the vendor's
// explanation if quote is set.
func (k *Key) explain(err error, quote bool) error {
	if err == nil {
		return nil
	}
	a, ok := k.fault(err)
	if !ok {
		return fmt.Errorf("%w: %s: %w", ErrUnavailable, k.host, hideURL(err))
	}
	kind := ErrRefused
	if a.later || a.status >= 500 || a.status == 429 || a.status == 408 {
		kind = ErrUnavailable
	}
	text := fmt.Sprintf("status %d", a.status)
	if a.code != "" {
		text += " " + a.code
	}
	if quote && a.text != "" {
		text += ", " + shorten(a.text)
	}
	return fmt.Errorf("%w: %s: %s", kind, k.host, text)
}

// maxExplanation bounds a vendor's explanation in an error.
const maxExplanation = 300

// shorten puts a vendor's explanation on one line.
func shorten(s string) string {
	r := []rune(strings.Join(strings.Fields(s), " "))
	if len(r) > maxExplanation {
		return string(r[:maxExplanation]) + "…"
	}
	return string(r)
}

const (
	retryFirst = 250 * time.Millisecond
	retryMax   = 5 * time.Second
)

// Retry calls do until it does not return ErrUnavailable, for within at most. It logs the
// first failure and then one every 5 seconds. 0 is one call.
func Retry(ctx context.Context, within time.Duration, log *slog.Logger, do func(context.Context) error) error {
	begun := time.Now()
	for pause := retryFirst; ; pause = min(2*pause, retryMax) {
		err := do(ctx)
		left := within - time.Since(begun)
		if !errors.Is(err, ErrUnavailable) || left <= 0 || ctx.Err() != nil {
			return err
		}
		log.WarnContext(ctx, "waiting for the KMS", "err", err, "for_at_most", left.Round(time.Second).String())
		t := time.NewTimer(min(pause, left))
		select {
		case <-ctx.Done():
			t.Stop()
			return ctx.Err()
		case <-t.C:
		}
	}
}

// hideURL drops the method and address around a transport's error: the host is named
// already, and an address of Vault names the key.
func hideURL(err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		return u.Err
	}
	return err
}
