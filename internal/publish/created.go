package publish

import (
	"bytes"
	"crypto/rand"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/store/find"
	"github.com/connectlink/connectlink/internal/store/ledger"
)

// firstSequence is that of invite.created: the timeline's first event caused it.
const firstSequence = 1

// relativeWithin is how far from a template's base a time is taken to follow it.
const relativeWithin = 20 * 365 * 24 * time.Hour

// createdTemplate is the sealed form of invite.created. It is encoded before the
// database says when the invite is created, so that the create costs no further round
// trip: times are given from a base that no other text contains, and are put in when the
// event is read, from the time in the event's row. The bytes of every read are the same.
type createdTemplate struct {
	Base    time.Time       `json:"base"`
	Offsets []time.Duration `json:"offsets"` // of the times in Body, from Base
	Body    json.RawMessage `json:"body"`
}

// Created returns the event of an invite that is about to be stored, to be stored with
// it. show returns the invite as it will be if it is created at a time.
func (o *Outbox) Created(show func(at time.Time) find.Invite) (ledger.NewPublic, error) {
	e := ledger.NewPublic{ID: invite.New[invite.EventID]()}
	base, err := newBase()
	if err != nil {
		return e, err
	}
	inv := show(base)
	t := createdTemplate{Base: base, Offsets: []time.Duration{0}}
	for _, at := range []*time.Time{inv.ExpiresAt, inv.LinkExpiresAt, inv.OpenUntil} {
		if at == nil {
			continue
		}
		// The database keeps microseconds.
		*at = at.UTC().Round(time.Microsecond)
		if offset := at.Sub(base); offset.Abs() < relativeWithin {
			t.Offsets = append(t.Offsets, offset)
		}
	}
	if t.Body, err = encode(o.box, e.ID, ledger.Announcement{Type: invite.InviteCreated, Sequence: firstSequence}, base, inv); err != nil {
		return e, err
	}
	raw, err := json.Marshal(t)
	if err != nil {
		return e, fmt.Errorf("encode event %s: %w", e.ID, err)
	}
	e.Body, err = o.box.Seal(raw, sealedBody(e.ID))
	return e, err
}

// newBase returns a time of a distant year, one of 2^56, so that no text of a caller
// contains it.
func newBase() (time.Time, error) {
	var raw [8]byte
	if _, err := rand.Read(raw[:]); err != nil {
		return time.Time{}, fmt.Errorf("draw a base of times: %w", err)
	}
	far := time.Date(4000, 1, 1, 0, 0, 0, 0, time.UTC).UnixMicro()
	return time.UnixMicro(far + int64(binary.BigEndian.Uint64(raw[:])>>8)).UTC(), nil
}

// fillCreated returns the bytes of invite.created of an invite that was created at a time.
func fillCreated(raw []byte, at time.Time) ([]byte, error) {
	var t createdTemplate
	if err := json.Unmarshal(raw, &t); err != nil {
		return nil, err
	}
	if len(t.Offsets) == 0 || t.Body == nil {
		return nil, errors.New("not the template of an event")
	}
	out := []byte(t.Body)
	for _, offset := range t.Offsets {
		from, err := json.Marshal(t.Base.Add(offset).UTC())
		if err != nil {
			return nil, err
		}
		to, err := json.Marshal(at.Add(offset).UTC())
		if err != nil {
			return nil, err
		}
		out = bytes.ReplaceAll(out, from, to)
	}
	return out, nil
}
