package seal

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/tink-crypto/tink-go/v2/aead"
	"github.com/tink-crypto/tink-go/v2/prf"
	"github.com/tink-crypto/tink-go/v2/tink"

	"github.com/connectlink/connectlink/internal/secret"
)

// ErrOpen is returned when a sealed value does not open. Which of the possible
// causes it was cannot be told apart, by design.
var ErrOpen = errors.New("the sealed value does not open: another key, another column or row, or it was altered")

// errSeal stands for a failing source of randomness.
var errSeal = errors.New("the value could not be sealed")

// AD is the place of a sealed value. It is not stored with the value;
// opening needs the same place.
type AD struct {
	Column string   // table and column, "invites.content"
	ID     [16]byte // the row's UUID
}

func (ad AD) bytes() []byte {
	b := make([]byte, 0, len(ad.Column)+1+len(ad.ID))
	b = append(b, ad.Column...)
	b = append(b, ':')
	return append(b, ad.ID[:]...)
}

const (
	keyIDSize = 4
	prfSize   = 16
	// HashSize is the length of every Hash in bytes.
	HashSize = keyIDSize + prfSize
)

// Hash is a keyed hash with its key's id in front: 4 bytes, big endian, then
// 16 bytes of the PRF. It is what search columns hold.
type Hash []byte

// KeyID returns the id of the key that made the hash, for finding rows that
// are still to be re-hashed; 0 when it is not a hash.
func (h Hash) KeyID() uint32 {
	if len(h) != HashSize {
		return 0
	}
	return binary.BigEndian.Uint32(h)
}

// sealedPrefix is the first byte of what a Tink key with an id seals; the id follows.
const sealedPrefix = 1

// SealedKeyID returns the id of the key that sealed a value; 0 if it is not a sealed
// value.
func SealedKeyID(sealed []byte) uint32 {
	if len(sealed) < 1+keyIDSize || sealed[0] != sealedPrefix {
		return 0
	}
	return binary.BigEndian.Uint32(sealed[1:])
}

// KeyIDs are the ids of a keyset's keys, the primary key of each half first.
type KeyIDs struct{ Sealing, Hashing []uint32 }

// Box seals, opens and hashes with the keys of one keyset. It is safe for use
// by several goroutines and holds its primitives ready.
type Box struct {
	aead    tink.AEAD
	ids     KeyIDs
	hashers []hasher // the primary key's first, then the others as the keyset has them
}

type hasher struct {
	id  uint32
	prf prf.PRF
}

// NewBox makes the primitives of every key in the keyset.
func NewBox(k *Keyset) (*Box, error) {
	if k == nil || k.sealing == nil || k.hashing == nil {
		return nil, ErrKeysetEmpty
	}
	a, err := aead.New(k.sealing)
	if err != nil {
		return nil, fmt.Errorf("make the sealing primitive: %w", err)
	}
	set, err := prf.NewPRFSet(k.hashing)
	if err != nil {
		return nil, fmt.Errorf("make the hashing primitive: %w", err)
	}
	b := &Box{aead: a, ids: k.IDs()}
	for id, p := range set.PRFs {
		// Tried once here, so that Hash has no error to return.
		if _, err := p.ComputePRF(nil, prfSize); err != nil {
			return nil, fmt.Errorf("try hashing key: %w", err)
		}
		b.hashers = append(b.hashers, hasher{id: id, prf: p})
	}
	slices.SortFunc(b.hashers, func(x, y hasher) int {
		switch {
		case x.id == set.PrimaryID:
			return -1
		case y.id == set.PrimaryID:
			return 1
		case x.id < y.id:
			return -1
		default:
			return 1
		}
	})
	if len(b.hashers) == 0 || b.hashers[0].id != set.PrimaryID {
		return nil, errors.New("make the hashing primitive: no primary key")
	}
	return b, nil
}

// Seal encrypts plain for the place ad names. Sealing the same value twice
// gives different bytes. It is 45 bytes longer than plain.
func (b *Box) Seal(plain []byte, ad AD) ([]byte, error) {
	sealed, err := b.aead.Encrypt(plain, ad.bytes())
	if err != nil {
		return nil, errSeal
	}
	return sealed, nil
}

// Open decrypts what Seal made for the same place, under any key of the
// keyset. Its only error is ErrOpen.
func (b *Box) Open(sealed []byte, ad AD) ([]byte, error) {
	plain, err := b.aead.Decrypt(sealed, ad.bytes())
	if err != nil {
		return nil, ErrOpen
	}
	return plain, nil
}

// Renew seals a value again, under the primary key and for the same place. Its errors
// are ErrOpen and a failing source of randomness.
func (b *Box) Renew(sealed []byte, ad AD) (plain, renewed []byte, err error) {
	if plain, err = b.Open(sealed, ad); err != nil {
		return nil, nil, err
	}
	renewed, err = b.Seal(plain, ad)
	return plain, renewed, err
}

// KeyIDs returns the ids of the keys in use, the primary key of each half first.
func (b *Box) KeyIDs() KeyIDs {
	return KeyIDs{Sealing: slices.Clone(b.ids.Sealing), Hashing: slices.Clone(b.ids.Hashing)}
}

// SealKeyID returns the id of the key that new values are sealed with.
func (b *Box) SealKeyID() uint32 { return b.ids.Sealing[0] }

// Hash returns the keyed hash of parts under the primary key. Kind keeps the
// hashes of different columns apart: the same text as "domain" and as "name"
// gives unrelated hashes.
func (b *Box) Hash(kind string, parts ...string) Hash {
	return b.hashers[0].hash(joinParts(kind, parts))
}

// Hashes returns one hash per live key, the primary key's first, for lookups
// with = ANY.
func (b *Box) Hashes(kind string, parts ...string) []Hash {
	in := joinParts(kind, parts)
	out := make([]Hash, len(b.hashers))
	for i := range b.hashers {
		out[i] = b.hashers[i].hash(in)
	}
	return out
}

// HashKeyID returns the id every new hash begins with. A stored hash with
// another Hash.KeyID waits for re-hashing.
func (b *Box) HashKeyID() uint32 { return b.hashers[0].id }

func (h hasher) hash(in []byte) Hash {
	sum, err := h.prf.ComputePRF(in, prfSize)
	if err != nil {
		// NewBox computed with this very key; HMAC has no other way to fail.
		panic("seal: a hashing key stopped working")
	}
	out := make(Hash, 0, HashSize)
	out = binary.BigEndian.AppendUint32(out, h.id)
	return append(out, sum...)
}

// joinParts writes every part behind its length, so that ("ab", "c") and
// ("a", "bc") differ.
func joinParts(kind string, parts []string) []byte {
	n := len(kind) + binary.MaxVarintLen32*(1+len(parts))
	for _, p := range parts {
		n += len(p)
	}
	in := make([]byte, 0, n)
	in = binary.AppendUvarint(in, uint64(len(kind)))
	in = append(in, kind...)
	for _, p := range parts {
		in = binary.AppendUvarint(in, uint64(len(p)))
		in = append(in, p...)
	}
	return in
}

// Format implements fmt.Formatter: a box in a struct that is printed shows
// nothing of its keys.
func (b *Box) Format(s fmt.State, _ rune) { _, _ = io.WriteString(s, "seal.Box("+secret.Redacted+")") }
