package seal

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"

	"github.com/tink-crypto/tink-go/v2/aead"
	"github.com/tink-crypto/tink-go/v2/insecurecleartextkeyset"
	"github.com/tink-crypto/tink-go/v2/keyset"
	"github.com/tink-crypto/tink-go/v2/prf"
	tinkpb "github.com/tink-crypto/tink-go/v2/proto/tink_go_proto"

	"github.com/connectlink/connectlink/internal/secret"
)

// Faults of a keyset's text. They never quote it.
var (
	// ErrKeysetEmpty is returned when there is no keyset at all.
	ErrKeysetEmpty = errors.New("the keyset is empty; make one with `connectlink keyset create`")
	// ErrKeysetMalformed is returned when the text is not a keyset.
	ErrKeysetMalformed = errors.New("the keyset is not readable: want the base64 text (or its JSON) exactly as it was generated")
	// ErrOnlyKey is returned by Retire when it would leave nothing behind.
	ErrOnlyKey = errors.New("the primary key of a keyset cannot be retired; promote another one first")
)

// maxKeysetText bounds what ParseKeyset looks at: a keyset of a hundred
// rotations is far smaller.
const maxKeysetText = 1 << 20

// encodingVersion is written into the keyset's JSON.
const encodingVersion = 1

// Keyset holds the keys of both halves: for sealing and for hashing. It is
// immutable; the rotating methods return a new one. It redacts itself wherever
// Go prints values.
type Keyset struct {
	sealing *keyset.Handle
	hashing *keyset.Handle
}

// written is the keyset as it stands in an environment variable or a file.
type written struct {
	Version int             `json:"version"`
	Sealing json.RawMessage `json:"sealing"`
	Hashing json.RawMessage `json:"hashing"`
}

// NewKeyset makes a keyset with one fresh key in each half.
func NewKeyset() (*Keyset, error) {
	sealing, err := keyset.NewHandle(sealingTemplate())
	if err != nil {
		return nil, fmt.Errorf("make sealing key: %w", err)
	}
	hashing, err := keyset.NewHandle(hashingTemplate())
	if err != nil {
		return nil, fmt.Errorf("make hashing key: %w", err)
	}
	return &Keyset{sealing: sealing, hashing: hashing}, nil
}

func sealingTemplate() *tinkpb.KeyTemplate { return aead.XAES256GCM192BitNonceKeyTemplate() }
func hashingTemplate() *tinkpb.KeyTemplate { return prf.HMACSHA256PRFKeyTemplate() }

// Rotate returns the keyset with a fresh primary key in each half; everything
// sealed or hashed before still opens and is still found.
func (k *Keyset) Rotate() (*Keyset, error) {
	next, err := k.Introduce()
	if err != nil {
		return nil, err
	}
	return next.Promote()
}

// Introduce adds a fresh key to each half without using it for anything new:
// the first step of a rotation without downtime.
func (k *Keyset) Introduce() (*Keyset, error) {
	sealing, err := introduceKey(k.sealing, sealingTemplate())
	if err != nil {
		return nil, fmt.Errorf("add sealing key: %w", err)
	}
	hashing, err := introduceKey(k.hashing, hashingTemplate())
	if err != nil {
		return nil, fmt.Errorf("add hashing key: %w", err)
	}
	return &Keyset{sealing: sealing, hashing: hashing}, nil
}

// Promote makes the newest key of each half the one that seals and hashes.
func (k *Keyset) Promote() (*Keyset, error) {
	sealing, err := promoteKey(k.sealing)
	if err != nil {
		return nil, fmt.Errorf("promote sealing key: %w", err)
	}
	hashing, err := promoteKey(k.hashing)
	if err != nil {
		return nil, fmt.Errorf("promote hashing key: %w", err)
	}
	return &Keyset{sealing: sealing, hashing: hashing}, nil
}

// Retire drops every key but the primary one of each half. What only a dropped
// key could open is lost: re-hash and re-seal, or let it expire, before.
func (k *Keyset) Retire() (*Keyset, error) {
	sealing, err := retireKeys(k.sealing)
	if err != nil {
		return nil, fmt.Errorf("retire sealing keys: %w", err)
	}
	hashing, err := retireKeys(k.hashing)
	if err != nil {
		return nil, fmt.Errorf("retire hashing keys: %w", err)
	}
	return &Keyset{sealing: sealing, hashing: hashing}, nil
}

// RetireSealing drops every sealing key but the primary one, and keeps all hashing
// keys: values under an old hashing key are still found, and nothing under an old
// sealing key is opened.
func (k *Keyset) RetireSealing() (*Keyset, error) {
	sealing, err := retireKeys(k.sealing)
	if err != nil {
		return nil, fmt.Errorf("retire sealing keys: %w", err)
	}
	return &Keyset{sealing: sealing, hashing: k.hashing}, nil
}

// IDs returns the ids of the keys, the primary key of each half first.
func (k *Keyset) IDs() KeyIDs { return KeyIDs{Sealing: keyIDs(k.sealing), Hashing: keyIDs(k.hashing)} }

// keyIDs lists the ids of a half; none of a handle that Tink would not have made.
func keyIDs(h *keyset.Handle) []uint32 {
	var ids []uint32
	for i := range h.Len() {
		e, err := h.Entry(i)
		switch {
		case err != nil:
			continue
		case e.IsPrimary():
			ids = append([]uint32{e.KeyID()}, ids...)
		default:
			ids = append(ids, e.KeyID())
		}
	}
	return ids
}

func introduceKey(h *keyset.Handle, t *tinkpb.KeyTemplate) (*keyset.Handle, error) {
	m := keyset.NewManagerFromHandle(h)
	if _, err := m.Add(t); err != nil {
		return nil, err
	}
	return m.Handle()
}

func promoteKey(h *keyset.Handle) (*keyset.Handle, error) {
	newest, err := h.Entry(h.Len() - 1) // the manager appends
	if err != nil {
		return nil, err
	}
	m := keyset.NewManagerFromHandle(h)
	if err := m.SetPrimary(newest.KeyID()); err != nil {
		return nil, err
	}
	return m.Handle()
}

func retireKeys(h *keyset.Handle) (*keyset.Handle, error) {
	m := keyset.NewManagerFromHandle(h)
	left := 0
	for i := range h.Len() {
		e, err := h.Entry(i)
		if err != nil {
			return nil, err
		}
		if e.IsPrimary() {
			left++
			continue
		}
		if err := m.Delete(e.KeyID()); err != nil {
			return nil, err
		}
	}
	if left == 0 {
		return nil, ErrOnlyKey
	}
	return m.Handle()
}

// Encode writes the keyset as one line of base64, fit for CONNECTLINK_KEYSET
// or a mounted file. The text is the key itself: anyone who has it can read
// everything.
func (k *Keyset) Encode() secret.Text {
	// Both writes go to memory from a handle that was built or checked by
	// this package, so a failure is a fault of the program, not of its input.
	js, err := json.Marshal(written{
		Version: encodingVersion,
		Sealing: writeCleartext(k.sealing),
		Hashing: writeCleartext(k.hashing),
	})
	if err != nil {
		panic("seal: the keyset did not encode")
	}
	return secret.New(base64.StdEncoding.EncodeToString(js))
}

func writeCleartext(h *keyset.Handle) json.RawMessage {
	var buf bytes.Buffer
	if err := insecurecleartextkeyset.Write(h, keyset.NewJSONWriter(&buf)); err != nil {
		panic("seal: the keyset did not encode")
	}
	return buf.Bytes()
}

// ParseKeyset reads what Encode wrote: base64 in any of its usual spellings,
// line breaks included, or the bare JSON inside. Errors are ErrKeysetEmpty,
// ErrKeysetMalformed and ErrKeysetWrapped; none quotes the text or a parser's message about it.
func ParseKeyset(t secret.Text) (*Keyset, error) {
	text := strings.Join(strings.Fields(t.Reveal()), "")
	if text == "" {
		return nil, ErrKeysetEmpty
	}
	js, err := decodeKeyset(text)
	if err != nil {
		return nil, err
	}
	if _, ok := parseWrapped(t); ok {
		return nil, ErrKeysetWrapped
	}
	var w written
	if err := json.Unmarshal(js, &w); err != nil || w.Version != encodingVersion {
		return nil, ErrKeysetMalformed
	}
	k := &Keyset{}
	if k.sealing, err = readCleartext(w.Sealing); err != nil {
		return nil, ErrKeysetMalformed
	}
	if k.hashing, err = readCleartext(w.Hashing); err != nil {
		return nil, ErrKeysetMalformed
	}
	// A keyset that cannot seal should be noticed where it was read, not at
	// the first invite.
	if _, err := NewBox(k); err != nil {
		return nil, ErrKeysetMalformed
	}
	return k, nil
}

func readCleartext(js json.RawMessage) (*keyset.Handle, error) {
	if len(js) == 0 {
		return nil, ErrKeysetMalformed
	}
	return insecurecleartextkeyset.Read(keyset.NewJSONReader(bytes.NewReader(js)))
}

// decodeKeyset returns the JSON of a keyset's text without white space. Errors:
// ErrKeysetMalformed.
func decodeKeyset(text string) ([]byte, error) {
	switch {
	case text == "" || len(text) > maxKeysetText:
		return nil, ErrKeysetMalformed
	case text[0] == '{':
		return []byte(text), nil
	}
	js, err := decodeBase64(text)
	if err != nil {
		return nil, ErrKeysetMalformed
	}
	return js, nil
}

func decodeBase64(s string) ([]byte, error) {
	s = strings.TrimRight(s, "=")
	s = strings.NewReplacer("-", "+", "_", "/").Replace(s)
	return base64.RawStdEncoding.DecodeString(s)
}

// String shows how many keys there are, and nothing of them.
func (k *Keyset) String() string {
	if k == nil || k.sealing == nil || k.hashing == nil {
		return "keyset(none)"
	}
	return fmt.Sprintf("keyset(%d sealing, %d hashing, %s)", k.sealing.Len(), k.hashing.Len(), secret.Redacted)
}

// GoString implements fmt.GoStringer (%#v).
func (k *Keyset) GoString() string { return k.String() }

// Format implements fmt.Formatter, so that no verb walks into the handles.
func (k *Keyset) Format(s fmt.State, _ rune) { _, _ = io.WriteString(s, k.String()) }

// LogValue implements slog.LogValuer.
func (k *Keyset) LogValue() slog.Value { return slog.StringValue(k.String()) }

// MarshalText implements encoding.TextMarshaler; encoding/json uses it too.
func (k *Keyset) MarshalText() ([]byte, error) { return []byte(k.String()), nil }
