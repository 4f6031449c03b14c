package seal

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/tink-crypto/tink-go/v2/aead"
	"github.com/tink-crypto/tink-go/v2/keyset"
	"github.com/tink-crypto/tink-go/v2/tink"

	"github.com/connectlink/connectlink/internal/secret"
)

// Faults of a wrapped keyset. They never quote its text.
var (
	// ErrKeysetWrapped is returned by ParseKeyset for a keyset that a KMS must unwrap first.
	ErrKeysetWrapped = errors.New("the keyset is wrapped by a KMS and was not unwrapped")
	// ErrKeysetDamaged is returned by Unwrap when the KMS opened the data key, and the data key
	// does not open the keyset.
	ErrKeysetDamaged = errors.New("the wrapped keyset is damaged: it was cut off or altered; restore a copy of it")
)

// wrapPurpose is the associated data of both layers, so that nothing else that the same KMS
// key encrypted is taken for a keyset. It is part of the stored format.
const wrapPurpose = "connectlink.keyset.v1"

// wrapped is a keyset under a key of a KMS. The KMS encrypts a data key and not the keyset
// itself, because AWS KMS encrypts 4096 bytes at most
// (https://docs.aws.amazon.com/kms/latest/APIReference/API_Encrypt.html).
type wrapped struct {
	Version int             `json:"version"`
	KMS     string          `json:"kms"`      // URI of the KMS key
	DataKey json.RawMessage `json:"data_key"` // an encrypted keyset of Tink
	Keyset  []byte          `json:"keyset"`   // what Encode writes, sealed with the data key
}

// Wrap encrypts the keyset with the KMS key that uri names, and returns one line of base64.
// It calls the KMS once. The URI is stored in the clear.
func (k *Keyset) Wrap(ctx context.Context, uri string, kek tink.AEADWithContext) (secret.Text, error) {
	dataKey, err := keyset.NewHandle(aead.AES256GCMKeyTemplate())
	if err != nil {
		return secret.Text{}, fmt.Errorf("make data key: %w", err)
	}
	box, err := aead.New(dataKey)
	if err != nil {
		return secret.Text{}, fmt.Errorf("make data key: %w", err)
	}
	sealed, err := box.Encrypt([]byte(k.Encode().Reveal()), []byte(wrapPurpose))
	if err != nil {
		return secret.Text{}, errSeal
	}
	var key bytes.Buffer
	if err := dataKey.WriteWithContext(ctx, keyset.NewJSONWriter(&key), kek, []byte(wrapPurpose)); err != nil {
		return secret.Text{}, fmt.Errorf("wrap the keyset: %w", err)
	}
	js, err := json.Marshal(wrapped{Version: encodingVersion, KMS: uri, DataKey: key.Bytes(), Keyset: sealed})
	if err != nil {
		return secret.Text{}, fmt.Errorf("encode the wrapped keyset: %w", err)
	}
	return secret.New(base64.StdEncoding.EncodeToString(js)), nil
}

// FindWrapping returns the URI of the KMS key that a keyset is wrapped with; ok is false for
// any other text.
func FindWrapping(t secret.Text) (uri string, ok bool) {
	w, ok := parseWrapped(t)
	return w.KMS, ok
}

// Unwrap decrypts what Wrap wrote. It calls the KMS once.
//
// Errors: ErrKeysetMalformed for a text that is no wrapped keyset, ErrKeysetDamaged, and
// those of kek.
func Unwrap(ctx context.Context, t secret.Text, kek tink.AEADWithContext) (*Keyset, error) {
	w, ok := parseWrapped(t)
	if !ok || w.Version != encodingVersion {
		return nil, ErrKeysetMalformed
	}
	caller := &observed{AEADWithContext: kek}
	dataKey, err := keyset.ReadWithContext(ctx, keyset.NewJSONReader(bytes.NewReader(w.DataKey)), caller, []byte(wrapPurpose))
	switch {
	case caller.err != nil: // Tink's own error drops its cause
		return nil, fmt.Errorf("unwrap the keyset: %w", caller.err)
	case err != nil:
		return nil, ErrKeysetDamaged
	}
	box, err := aead.New(dataKey)
	if err != nil {
		return nil, ErrKeysetDamaged
	}
	text, err := box.Decrypt(w.Keyset, []byte(wrapPurpose))
	if err != nil {
		return nil, ErrKeysetDamaged
	}
	return ParseKeyset(secret.New(string(text)))
}

// observed keeps the error of the KMS.
type observed struct {
	tink.AEADWithContext
	err error
}

// DecryptWithContext implements tink.AEADWithContext.
func (o *observed) DecryptWithContext(ctx context.Context, ciphertext, associated []byte) ([]byte, error) {
	plain, err := o.AEADWithContext.DecryptWithContext(ctx, ciphertext, associated)
	o.err = err
	return plain, err
}

func parseWrapped(t secret.Text) (wrapped, bool) {
	var w wrapped
	js, err := decodeKeyset(strings.Join(strings.Fields(t.Reveal()), ""))
	if err != nil || json.Unmarshal(js, &w) != nil || w.KMS == "" {
		return wrapped{}, false
	}
	return w, true
}
