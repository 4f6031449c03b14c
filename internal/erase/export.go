package erase

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/connectlink/connectlink/internal/access"
	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/postgres"
	"github.com/connectlink/connectlink/internal/resource"
	"github.com/connectlink/connectlink/internal/seal"
	"github.com/connectlink/connectlink/internal/store/desk"
	"github.com/connectlink/connectlink/internal/store/find"
	"github.com/connectlink/connectlink/internal/store/suppression"
)

const (
	// maxExported bounds the invites of one person. No person reaches it; a
	// caller that does gets an error.
	maxExported = 20_000
	// maxCallbacks bounds the callbacks of one invite that are shown.
	maxCallbacks = 1000
)

// Export is the data of a person. It contains ids only: Write reads and opens
// one invite after the other.
type Export struct {
	Invites int // how many there are

	s    *Service
	p    access.Principal
	user string
	ids  []invite.ID
}

// Record is one invite with all that belongs to it.
type Record struct {
	resource.Invite
	Deliveries []DeliveryRecord `json:"deliveries"`
	Attempts   []AttemptRecord  `json:"attempts"`
	Events     []EventRecord    `json:"events"`
	Callbacks  []CallbackRecord `json:"callbacks"`
	Notes      []NoteRecord     `json:"notes"`
}

// DeliveryRecord is one message.
type DeliveryRecord struct {
	ID        invite.DeliveryID     `json:"id"`
	Number    int                   `json:"number"`
	Kind      string                `json:"kind"`
	Channel   invite.Channel        `json:"channel"`
	Status    invite.DeliveryStatus `json:"status"`
	Reason    *resource.Reason      `json:"reason"`
	CreatedAt time.Time             `json:"created_at"`
	UpdatedAt time.Time             `json:"updated_at"`
}

// AttemptRecord is one call to a provider, with its words.
type AttemptRecord struct {
	ID                invite.AttemptID  `json:"id"`
	DeliveryID        invite.DeliveryID `json:"delivery_id"`
	Provider          string            `json:"provider"`
	ProviderMessageID string            `json:"provider_message_id"`
	ProviderCode      string            `json:"provider_code"`
	Outcome           string            `json:"outcome"`
	Detail            string            `json:"detail"`
	StartedAt         time.Time         `json:"started_at"`
}

// EventRecord is one entry of the timeline.
type EventRecord struct {
	ID         invite.EventID   `json:"id"`
	Version    int              `json:"version"`
	Type       invite.EventType `json:"type"`
	Actor      invite.ActorKind `json:"actor"`
	Data       invite.Data      `json:"data"`
	Detail     string           `json:"detail"`
	OccurredAt time.Time        `json:"occurred_at"`
}

// CallbackRecord is what a provider reported, as it came.
type CallbackRecord struct {
	Provider   string    `json:"provider"`
	ReceivedAt time.Time `json:"received_at"`
	Body       string    `json:"body"`
}

// NoteRecord is a note of staff about an invite.
type NoteRecord struct {
	ID        invite.NoteID `json:"id"`
	Text      string        `json:"text"`
	WrittenAt time.Time     `json:"written_at"`
}

// BlockRecord is a block of one of the person's addresses.
type BlockRecord struct {
	ID        invite.SuppressionID `json:"id"`
	Channel   invite.Channel       `json:"channel"`
	Kind      invite.Block         `json:"kind"`
	Recipient string               `json:"recipient"`
	Source    string               `json:"source"`
	Note      string               `json:"note"`
	LiftNote  string               `json:"lift_note"`
	CreatedAt time.Time            `json:"created_at"`
	LiftedAt  *time.Time           `json:"lifted_at"`
}

// Export finds the data of a person; Write of the result writes it.
// Errors, as *invite.Error: faults, body_too_large.
func (s *Service) Export(ctx context.Context, p access.Principal, externalUserID string) (Export, error) {
	if _, err := checkRequest(externalUserID, ""); err != nil {
		return Export{}, err
	}
	ids, err := find.ListUser(ctx, s.p.DB, find.NewUser(s.p.Box, p.Place, externalUserID), maxExported+1)
	if err != nil {
		return Export{}, err
	}
	if len(ids) > maxExported {
		return Export{}, invite.Errorf(invite.CodeTooLarge, "More than %d invites have this external_user_id, which cannot be one person's.", maxExported)
	}
	err = postgres.InTx(ctx, s.p.DB, func(tx pgx.Tx) error {
		return appendAudit(ctx, tx, p, access.ActExport, s.marks(p, externalUserID)[0], len(ids))
	})
	if err != nil {
		return Export{}, fmt.Errorf("export a person: %w", err)
	}
	return Export{Invites: len(ids), s: s, p: p, user: externalUserID, ids: ids}, nil
}

// Write writes everything as one JSON document, an invite at a time. After an
// error the document is cut short and no JSON.
func (e Export) Write(ctx context.Context, w io.Writer) error {
	out := bufio.NewWriter(w)
	head, err := json.Marshal(map[string]any{
		"object": "privacy_export", "external_user_id": e.user, "project": e.p.Project, "livemode": e.p.Live,
	})
	if err != nil {
		return fmt.Errorf("encode an export: %w", err)
	}
	_, _ = out.Write(head[:len(head)-1]) // a buffer's error comes back with Flush
	_, _ = out.WriteString(`,"invites":[`)
	enc := json.NewEncoder(out)
	enc.SetEscapeHTML(false)
	var known []seal.Hash
	first := true
	for _, id := range e.ids {
		r, keys, err := e.s.record(ctx, e.p, id)
		if errors.Is(err, find.ErrNotFound) {
			continue // retention was quicker
		}
		if err != nil {
			return err
		}
		known = append(known, keys...)
		if !first {
			_ = out.WriteByte(',')
		}
		first = false
		if err := enc.Encode(r); err != nil {
			return fmt.Errorf("write invite %s: %w", id, err)
		}
	}
	blocks, err := e.s.blocks(ctx, e.p, e.ids, known)
	if err != nil {
		return err
	}
	_, _ = out.WriteString(`],"suppressions":`)
	if err := enc.Encode(blocks); err != nil {
		return fmt.Errorf("write suppressions: %w", err)
	}
	_, _ = out.WriteString("}\n")
	return out.Flush()
}

// record reads one invite whole, and the keys of its addresses.
func (s *Service) record(ctx context.Context, p access.Principal, id invite.ID) (Record, []seal.Hash, error) {
	inv, err := find.Get(ctx, s.p.DB, p.Place, id)
	if err != nil {
		return Record{}, nil, err
	}
	// Links are credentials, not facts about a person.
	shown, err := resource.Present(s.p.Box, inv, resource.Links{})
	if err == nil && shown.Unreadable {
		// A list may show what can be read; an export that says it is everything may not.
		err = fmt.Errorf("export invite %s: %w", id, find.ErrUnreadable)
	}
	if err != nil {
		return Record{}, nil, err
	}
	r := Record{Invite: shown, Deliveries: []DeliveryRecord{}, Attempts: []AttemptRecord{}, Events: []EventRecord{}, Callbacks: []CallbackRecord{}, Notes: []NoteRecord{}}
	deliveries, err := find.Deliveries(ctx, s.p.DB, id)
	if err != nil {
		return r, nil, err
	}
	for _, d := range deliveries {
		r.Deliveries = append(r.Deliveries, DeliveryRecord{
			ID: d.ID, Number: d.Number, Kind: d.Kind, Channel: d.Channel, Status: d.Status,
			Reason: resource.PresentReason(d.Reason, d.Status, d.ProviderCode), CreatedAt: d.CreatedAt.UTC(), UpdatedAt: d.UpdatedAt.UTC(),
		})
	}
	if err := s.attempts(ctx, &r); err != nil {
		return r, nil, err
	}
	if err := s.events(ctx, &r); err != nil {
		return r, nil, err
	}
	if err := s.callbacks(ctx, &r); err != nil {
		return r, nil, err
	}
	if err := s.notes(ctx, &r); err != nil {
		return r, nil, err
	}
	var keys []seal.Hash
	if shown.Recipient != nil {
		keys = s.addresses(p, invite.Content{Recipient: *shown.Recipient})
	}
	return r, keys, nil
}

func (s *Service) attempts(ctx context.Context, r *Record) error {
	list, err := find.Attempts(ctx, s.p.DB, r.ID)
	if err != nil {
		return err
	}
	for _, a := range list {
		words, err := s.open(a.Detail, "attempts.detail", a.ID.UUID())
		if err != nil {
			return err
		}
		r.Attempts = append(r.Attempts, AttemptRecord{
			ID: a.ID, DeliveryID: a.DeliveryID, Provider: a.Provider, ProviderMessageID: a.ProviderMessageID,
			ProviderCode: a.ProviderCode, Outcome: a.Outcome, Detail: words, StartedAt: a.StartedAt.UTC(),
		})
	}
	return nil
}

func (s *Service) events(ctx context.Context, r *Record) error {
	list, err := find.Events(ctx, s.p.DB, r.ID)
	if err != nil {
		return err
	}
	for _, e := range list {
		words, err := s.open(e.Detail, "events.detail", e.ID.UUID())
		if err != nil {
			return err
		}
		r.Events = append(r.Events, EventRecord{
			ID: e.ID, Version: e.Seq, Type: e.Type, Actor: e.Actor, Data: e.Data, Detail: words, OccurredAt: e.OccurredAt.UTC(),
		})
	}
	return nil
}

func (s *Service) notes(ctx context.Context, r *Record) error {
	list, err := desk.ListNotes(ctx, s.p.DB, r.ID)
	if err != nil {
		return err
	}
	for _, n := range list {
		text, err := s.open(n.Text, "invite_notes.text", n.ID.UUID())
		if err != nil {
			return err
		}
		r.Notes = append(r.Notes, NoteRecord{ID: n.ID, Text: text, WrittenAt: n.WrittenAt.UTC()})
	}
	return nil
}

func (s *Service) callbacks(ctx context.Context, r *Record) error {
	list, err := find.Callbacks(ctx, s.p.DB, r.ID, maxCallbacks)
	if err != nil {
		return err
	}
	for _, c := range list {
		body, err := s.open(c.Body, "callbacks.body", c.ID)
		if err != nil {
			return err
		}
		r.Callbacks = append(r.Callbacks, CallbackRecord{Provider: c.Provider, ReceivedAt: c.ReceivedAt.UTC(), Body: body})
	}
	return nil
}

func (s *Service) blocks(ctx context.Context, p access.Principal, ids []invite.ID, keys []seal.Hash) ([]BlockRecord, error) {
	list, err := suppression.ListPerson(ctx, s.p.DB, s.scope(p), ids, keys)
	if err != nil {
		return nil, err
	}
	out := []BlockRecord{}
	for _, b := range list {
		address, err1 := suppression.Open(s.p.Box, b.ID, "suppressions.address", b.Address)
		note, err2 := suppression.Open(s.p.Box, b.ID, "suppressions.note", b.Note)
		lifted, err3 := suppression.Open(s.p.Box, b.ID, "suppressions.lift_note", b.LiftNote)
		if err := errors.Join(err1, err2, err3); err != nil {
			return nil, fmt.Errorf("export suppressions: %w", err)
		}
		out = append(out, BlockRecord{
			ID: b.ID, Channel: b.Channel, Kind: b.Kind, Recipient: address.Reveal(), Source: b.Source, Note: note.Reveal(),
			LiftNote: lifted.Reveal(), CreatedAt: b.CreatedAt.UTC(), LiftedAt: b.LiftedAt,
		})
	}
	return out, nil
}

// open opens a sealed text; empty for none.
func (s *Service) open(sealed []byte, column string, id [16]byte) (string, error) {
	if sealed == nil {
		return "", nil
	}
	plain, err := s.p.Box.Open(sealed, seal.AD{Column: column, ID: id})
	if err != nil {
		return "", fmt.Errorf("open %s of an export: %w", column, err)
	}
	return string(plain), nil
}
