package invite

import (
	"encoding/base32"
	"encoding/binary"
	"errors"
	"strings"
	"time"
)

// ReferenceFor is for how long references are distinct: of two invites with the same
// reference the ids were made a multiple of it apart, to the second.
const ReferenceFor = 1 << 24 * time.Second // 194 days

// A reference is 40 bits in Crockford's base32 (https://www.crockford.com/base32.html):
// 24 of the second in which the id was made, and the last 16 of the id, which are random.
// They are multiplied by an odd number modulo 2^40, so that references of one minute do
// not look alike; by its inverse the multiplication is undone.
const (
	referenceBits    = 40
	referenceMask    = 1<<referenceBits - 1
	referenceFactor  = 0x9E_3779_B97F
	referenceInverse = 0x4C_19BC_067F // referenceFactor · referenceInverse = 1 modulo 2^40
	referenceLength  = referenceBits / 5
)

// ErrBadReference is returned when text is not a reference.
var ErrBadReference = errors.New("not a reference: want eight letters and digits, such as 7KQ4-XM2P")

func crockford() *base32.Encoding {
	return base32.NewEncoding("0123456789ABCDEFGHJKMNPQRSTVWXYZ").WithPadding(base32.NoPadding)
}

// ReferenceOf returns the reference of an invite, which is short enough to be read out on
// the phone: "7KQ4-XM2P". It is derived from the id and no secret. It is distinct for
// ReferenceFor, but for invites of one second: of two of these it is the same with a
// probability of 1 to 65,536.
func ReferenceOf(id ID) string {
	value := uint64(id.Time().Unix())<<16 | uint64(binary.BigEndian.Uint16(id.u[14:]))
	var b [8]byte
	binary.BigEndian.PutUint64(b[:], value*referenceFactor&referenceMask)
	text := crockford().EncodeToString(b[8-referenceBits/8:])
	return text[:referenceLength/2] + "-" + text[referenceLength/2:]
}

// Reference is a reference that was read: when the id was made, and how it ends.
type Reference struct {
	second uint32 // modulo 2^24
	tail   [2]byte
}

// ParseReference reads a reference as people write it: in any case, with or without the
// hyphen, with the letters O, I and L for the digits 0 and 1. Error: ErrBadReference.
func ParseReference(text string) (Reference, error) {
	text = strings.NewReplacer("-", "", " ", "", "O", "0", "I", "1", "L", "1").Replace(strings.ToUpper(text))
	if len(text) != referenceLength {
		return Reference{}, ErrBadReference
	}
	b, err := crockford().DecodeString(text)
	if err != nil {
		return Reference{}, ErrBadReference
	}
	var word [8]byte
	copy(word[8-len(b):], b)
	value := binary.BigEndian.Uint64(word[:]) * referenceInverse & referenceMask
	return Reference{second: uint32(value >> 16), tail: [2]byte{byte(value >> 8), byte(value)}}, nil
}

// Tail is the end of the id's bytes.
func (r Reference) Tail() []byte { return r.tail[:] }

// Seconds returns the n latest seconds up to now in which the id can have been made, the
// latest first.
func (r Reference) Seconds(now time.Time, n int) []time.Time {
	period := int64(ReferenceFor / time.Second)
	latest := now.Unix() - (now.Unix()-int64(r.second)+period)%period
	list := make([]time.Time, n)
	for i := range list {
		list[i] = time.Unix(latest-int64(i)*period, 0)
	}
	return list
}
