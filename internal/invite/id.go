package invite

import (
	"encoding/base32"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"
)

// Kind names what an id identifies; it decides the prefix callers see.
type Kind interface{ prefix() string }

type (
	inviteKind   struct{}
	deliveryKind struct{}
	attemptKind  struct{}
	eventKind    struct{}
	linkKind     struct{}
	keyKind      struct{}
	blockKind    struct{}
	staffKind    struct{}
	sessionKind  struct{}
	auditKind    struct{}
	noteKind     struct{}
	requestKind  struct{}
	bulkKind     struct{}
	viewKind     struct{}
	testSendKind struct{}
	bulkItemKind struct{}

	endpointKind       struct{}
	webhookAttemptKind struct{}
)

func (inviteKind) prefix() string   { return "inv_" }
func (deliveryKind) prefix() string { return "dlv_" }
func (attemptKind) prefix() string  { return "att_" }
func (eventKind) prefix() string    { return "evt_" }
func (linkKind) prefix() string     { return "lnk_" }
func (keyKind) prefix() string      { return "key_" }
func (blockKind) prefix() string    { return "sup_" }
func (staffKind) prefix() string    { return "stf_" }
func (sessionKind) prefix() string  { return "ses_" }
func (auditKind) prefix() string    { return "aud_" }
func (noteKind) prefix() string     { return "nte_" }
func (requestKind) prefix() string  { return "req_" }
func (bulkKind) prefix() string     { return "blk_" }
func (bulkItemKind) prefix() string { return "bki_" }
func (viewKind) prefix() string     { return "vew_" }
func (testSendKind) prefix() string { return "tst_" }

func (endpointKind) prefix() string       { return "whe_" }
func (webhookAttemptKind) prefix() string { return "wha_" }

type (
	// ID identifies an invite, "inv_…".
	ID = Of[inviteKind]
	// DeliveryID identifies one message to one recipient, "dlv_…".
	DeliveryID = Of[deliveryKind]
	// AttemptID identifies one call to a provider, "att_…".
	AttemptID = Of[attemptKind]
	// EventID identifies one entry of a timeline, "evt_…".
	EventID = Of[eventKind]
	// LinkID identifies one minted connect link, "lnk_…".
	LinkID = Of[linkKind]
	// KeyID identifies an API key, "key_…".
	KeyID = Of[keyKind]
	// SuppressionID identifies a block of one address, "sup_…".
	SuppressionID = Of[blockKind]
	// StaffID identifies a member of staff, "stf_…".
	StaffID = Of[staffKind]
	// SessionID identifies one signed-in browser, "ses_…".
	SessionID = Of[sessionKind]
	// AuditID identifies one entry of the audit log, "aud_…".
	AuditID = Of[auditKind]
	// NoteID identifies a note that staff wrote beside an invite, "nte_…".
	NoteID = Of[noteKind]
	// RequestID identifies one HTTP request, "req_…".
	RequestID = Of[requestKind]
	// BulkID identifies one act of staff on many invites, "blk_…".
	BulkID = Of[bulkKind]
	// BulkItemID identifies an invite of such an act, "bki_…".
	BulkItemID = Of[bulkItemKind]
	// ViewID identifies a saved view of the list of invites, "vew_…".
	ViewID = Of[viewKind]
	// TestSendID identifies a message that staff sent to themselves, "tst_…".
	TestSendID = Of[testSendKind]
	// EndpointID identifies one webhook endpoint, "whe_…".
	EndpointID = Of[endpointKind]
	// WebhookAttemptID identifies one post of an event, "wha_…".
	WebhookAttemptID = Of[webhookAttemptKind]
)

// Of is a UUIDv7 with a prefix that says of what. UUIDv7 because it sorts by
// creation time, which keeps indexes compact; the prefix because people paste
// ids into the wrong box.
type Of[K Kind] struct{ u uuid.UUID }

// Ids are written in lower-case base32hex: 26 characters, case-insensitive,
// and sorting like the bytes they stand for.
var encoding = base32.HexEncoding.WithPadding(base32.NoPadding)

// ErrBadID is returned when text is not an id of the wanted kind.
var ErrBadID = errors.New("not an id of this kind")

// New makes a fresh id.
func New[T Of[K], K Kind]() T { return T(Of[K]{u: uuid.Must(uuid.NewV7())}) }

// NewFor makes the id of an invite for a request. It carries the request's time,
// to the millisecond, so that the invite is found by the request's id without an
// index. For any other string it equals New.
func NewFor(request string) ID {
	id := New[ID]()
	if r, err := Parse[RequestID](request); err == nil {
		copy(id.u[:6], r.u[:6])
	}
	return id
}

// From is below every id that was made in the millisecond of t or later, for
// looking for them by time.
func From[T Of[K], K Kind](t time.Time) T {
	var id Of[K]
	ms := t.UnixMilli()
	for i := 5; i >= 0; i-- {
		id.u[i] = byte(ms)
		ms >>= 8
	}
	return T(id)
}

// Time is when an id was made, to the millisecond.
func (id Of[K]) Time() time.Time {
	var ms int64
	for _, b := range id.u[:6] {
		ms = ms<<8 | int64(b)
	}
	return time.UnixMilli(ms)
}

// FromUUID wraps a UUID read from the database.
func FromUUID[K Kind](u [16]byte) Of[K] { return Of[K]{u: u} }

// OfUUID returns the id of a kind with these bytes: OfUUID[StaffID](u).
func OfUUID[T Of[K], K Kind](u [16]byte) T { return T(Of[K]{u: u}) }

// EventFromUUID wraps the UUID of an event.
func EventFromUUID(u [16]byte) EventID { return FromUUID[eventKind](u) }

// Parse reads "inv_…" and its like.
func Parse[T Of[K], K Kind](s string) (T, error) {
	var id Of[K]
	err := id.UnmarshalText([]byte(s))
	return T(id), err
}

// String returns the id as callers see it; empty for the zero id.
func (id Of[K]) String() string {
	if id.IsZero() {
		return ""
	}
	var k K
	return k.prefix() + strings.ToLower(encoding.EncodeToString(id.u[:]))
}

// IsZero reports whether the id was never set.
func (id Of[K]) IsZero() bool { return id.u == uuid.Nil }

// UUID returns the bytes, for associated data and for the database.
func (id Of[K]) UUID() [16]byte { return id.u }

// MarshalText implements encoding.TextMarshaler.
func (id Of[K]) MarshalText() ([]byte, error) { return []byte(id.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (id *Of[K]) UnmarshalText(b []byte) error {
	var k K
	rest, ok := strings.CutPrefix(string(b), k.prefix())
	if !ok || len(rest) != 26 {
		return fmt.Errorf("%w: want %s and 26 characters", ErrBadID, k.prefix())
	}
	raw, err := encoding.DecodeString(strings.ToUpper(rest))
	if err != nil || len(raw) != 16 {
		return fmt.Errorf("%w: want %s and 26 characters of 0-9 a-v", ErrBadID, k.prefix())
	}
	copy(id.u[:], raw)
	return nil
}

// ScanUUID implements pgtype.UUIDScanner; SQL NULL becomes the zero id.
func (id *Of[K]) ScanUUID(v pgUUID) error {
	if !v.Valid {
		id.u = uuid.Nil
		return nil
	}
	id.u = v.Bytes
	return nil
}

// UUIDValue implements pgtype.UUIDValuer; the zero id becomes SQL NULL.
func (id Of[K]) UUIDValue() (pgUUID, error) {
	return pgUUID{Bytes: id.u, Valid: !id.IsZero()}, nil
}
