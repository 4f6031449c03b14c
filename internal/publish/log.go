package publish

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/postgres"
	"github.com/connectlink/connectlink/internal/resource"
	"github.com/connectlink/connectlink/internal/seal"
	"github.com/connectlink/connectlink/internal/store/find"
	"github.com/connectlink/connectlink/internal/store/ledger"
)

// Retention is how long public events are kept.
const Retention = 30 * 24 * time.Hour

// deletedAtOnce bounds one transaction of the retention.
const deletedAtOnce = 1000

// ErrNoEvent: the log has no such event of this project and mode.
var ErrNoEvent = errors.New("no such event")

// envelope is what all events begin with.
type envelope struct {
	ID        invite.EventID    `json:"id"`
	Object    string            `json:"object"`
	Type      invite.PublicType `json:"type"`
	CreatedAt time.Time         `json:"created_at"`
	Livemode  bool              `json:"livemode"`
	Project   string            `json:"project"`
	Sequence  int               `json:"sequence"`
}

// newEnvelope is the envelope of an event without a sequence.
func newEnvelope(id invite.EventID, kind invite.PublicType, at time.Time, place invite.Place) envelope {
	return envelope{ID: id, Object: "event", Type: kind, CreatedAt: at.UTC(), Livemode: place.Live, Project: place.Project}
}

// body is what a product receives and reads of an event about an invite.
type body struct {
	envelope

	InviteID invite.ID `json:"invite_id"`
	Data     data      `json:"data"`
}

type data struct {
	Invite resource.Invite `json:"invite"`
}

// encode returns the bytes of an event about an invite. It names no link: those are
// secrets, and receivers log what they receive.
func encode(box *seal.Box, id invite.EventID, a ledger.Announcement, at time.Time, inv find.Invite) ([]byte, error) {
	shown, err := resource.Present(box, inv, resource.Links{})
	if err != nil {
		return nil, err
	}
	return encodeBody(id, a, at, inv.Place, shown)
}

func encodeBody(id invite.EventID, a ledger.Announcement, at time.Time, place invite.Place, shown resource.Invite) ([]byte, error) {
	b := body{envelope: newEnvelope(id, a.Type, at, place), InviteID: shown.ID, Data: data{shown}}
	b.Sequence = a.Sequence
	raw, err := json.Marshal(b)
	if err != nil {
		return nil, fmt.Errorf("encode event %s: %w", id, err)
	}
	return raw, nil
}

// snapshot returns the row of an event with the invite as it is now.
func snapshot(box *seal.Box, a ledger.Announcement, inv find.Invite) (ledger.PublicEvent, error) {
	e := ledger.PublicEvent{Announcement: a, Place: inv.Place, ID: invite.New[invite.EventID](), InviteID: inv.ID, At: inv.Now}
	raw, err := encode(box, e.ID, a, e.At, inv)
	if err != nil {
		return e, err
	}
	e.Body, err = box.Seal(raw, sealedBody(e.ID))
	return e, err
}

// sealedBody binds a body to its event.
func sealedBody(id invite.EventID) seal.AD {
	return seal.AD{Column: "public_events.body", ID: id.UUID()}
}

// Log reads the public events of products. It is safe for concurrent use.
type Log struct {
	db  postgres.DB
	box *seal.Box
}

// NewLog makes a Log.
func NewLog(db postgres.DB, box *seal.Box) *Log { return &Log{db: db, box: box} }

// Page is a page of events, as the bytes that webhooks carry.
type Page struct {
	Events []json.RawMessage
	// Next is the position of the last event of the page, or the one that was asked
	// for if the page is empty.
	Next find.Position
	More bool
}

// Event is an event as staff see it: the parts of its bytes that a list shows, and those
// that are masked.
type Event struct {
	envelope

	InviteID *invite.ID `json:"invite_id"`
	Data     EventData  `json:"data"`
}

// EventData is what an event is about.
type EventData struct {
	Invite   *resource.Invite  `json:"invite,omitempty"`
	Endpoint *disabledEndpoint `json:"webhook_endpoint,omitempty"`
}

// ParseEvent reads the bytes of an event.
func ParseEvent(raw json.RawMessage) (e Event, err error) {
	if err = json.Unmarshal(raw, &e); err != nil {
		return e, fmt.Errorf("read an event: %w", err)
	}
	return e, nil
}

// List reads a page of events, oldest first unless the feed asks for the newest.
func (l *Log) List(ctx context.Context, f find.Feed) (Page, error) {
	rows, more, err := find.ListPublicEvents(ctx, l.db, f)
	if err != nil {
		return Page{}, err
	}
	page := Page{Next: f.After, More: more, Events: make([]json.RawMessage, 0, len(rows))}
	for _, e := range rows {
		raw, err := l.open(ctx, e)
		if err != nil {
			return Page{}, err
		}
		page.Events = append(page.Events, raw)
		page.Next = find.Position{Xact: e.Xact, ID: e.ID}
	}
	return page, nil
}

// Get reads one event of a project and mode. Errors: ErrNoEvent.
func (l *Log) Get(ctx context.Context, place invite.Place, id invite.EventID) (json.RawMessage, error) {
	e, err := find.GetPublicEvent(ctx, l.db, place, id)
	if errors.Is(err, find.ErrNotFound) {
		return nil, ErrNoEvent
	}
	if err != nil {
		return nil, err
	}
	return l.open(ctx, e)
}

// open returns the bytes of an event. Erasing a person deletes the bytes of the events
// about them; what remains shows the invite as the erasure left it.
func (l *Log) open(ctx context.Context, e find.PublicEvent) ([]byte, error) {
	if e.Body == nil {
		inv, err := find.Any(ctx, l.db, e.InviteID)
		if err != nil {
			return nil, err
		}
		return encode(l.box, e.ID, ledger.Announcement{Type: e.Type, Sequence: e.Sequence}, e.CreatedAt, inv)
	}
	raw, err := l.box.Open(e.Body, sealedBody(e.ID))
	if err == nil && e.Type == invite.InviteCreated {
		raw, err = fillCreated(raw, e.CreatedAt)
	}
	if err != nil {
		return nil, fmt.Errorf("open event %s: %w", e.ID, err)
	}
	return raw, nil
}

// DeleteOld deletes events that are older than Retention, in batches of their own.
func (l *Log) DeleteOld(ctx context.Context, now time.Time) error {
	for {
		n, err := ledger.DeletePublicEvents(ctx, l.db, now.Add(-Retention), deletedAtOnce)
		if err != nil || n < deletedAtOnce {
			return err
		}
	}
}
