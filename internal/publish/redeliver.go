package publish

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/jackc/pgx/v5"

	"github.com/connectlink/connectlink/internal/access"
	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/postgres"
	"github.com/connectlink/connectlink/internal/resource"
	"github.com/connectlink/connectlink/internal/store/endpoint"
	"github.com/connectlink/connectlink/internal/store/find"
	"github.com/connectlink/connectlink/internal/store/ledger"
)

// requeuedAtOnce bounds one statement of a recovery.
const requeuedAtOnce = 500

// Attempt is one post of an event to an endpoint.
type Attempt struct {
	ID         invite.WebhookAttemptID // zero for a test
	EndpointID invite.EndpointID
	EventID    invite.EventID
	Number     int
	Status     int    // of HTTP; 0: no answer came
	Failure    string // why no answer came
	Answer     string // the first kilobyte
	Took       time.Duration
	CreatedAt  time.Time
}

// Attempts returns a page of the attempts for an endpoint, newest first, and the id to
// go on from, zero at the end. Errors, as *invite.Error: endpoint_not_found.
func (s *Endpoints) Attempts(ctx context.Context, p access.Principal, id invite.EndpointID, event invite.EventID, before invite.WebhookAttemptID, n int) ([]Attempt, invite.WebhookAttemptID, error) {
	var next invite.WebhookAttemptID
	if _, err := s.Get(ctx, p, id); err != nil {
		return nil, next, err
	}
	rows, err := endpoint.ListAttempts(ctx, s.p.DB, id, event, before, n+1)
	if err != nil {
		return nil, next, err
	}
	if len(rows) > n {
		rows = rows[:n]
		next = rows[n-1].ID
	}
	out := make([]Attempt, 0, len(rows))
	for _, r := range rows {
		a := Attempt{
			ID: r.ID, EndpointID: r.EndpointID, EventID: r.EventID, Number: r.Number, Status: r.Status, Failure: r.Failure,
			Took: time.Duration(r.TookMS) * time.Millisecond, CreatedAt: r.CreatedAt,
		}
		if r.Answer != nil {
			raw, err := s.p.Box.Open(r.Answer, sealedAnswer(r.ID))
			if err != nil {
				return nil, next, fmt.Errorf("open answer of webhook attempt %s: %w", r.ID, err)
			}
			a.Answer = printable(raw)
		}
		out = append(out, a)
	}
	return out, next, nil
}

// Test posts an invented event of a type to an endpoint, at once and once, also to one
// that is disabled. It is not stored. Errors, as *invite.Error: endpoint_not_found.
func (s *Endpoints) Test(ctx context.Context, p access.Principal, id invite.EndpointID, t invite.PublicType) (Attempt, error) {
	r, err := s.get(ctx, p, id)
	if err != nil {
		return Attempt{}, err
	}
	content, err := s.open(r)
	if err != nil {
		return Attempt{}, err
	}
	if err := s.auditFirst(ctx, p, r.ID, "sent a test"); err != nil {
		return Attempt{}, err
	}
	now := s.p.Now()
	event := invite.New[invite.EventID]()
	raw, err := encodeSample(event, t, p.Place, r.ID, content, now)
	if err != nil {
		return Attempt{}, err
	}
	got := s.p.Courier.send(ctx, parcel{url: content.URL, secrets: content.secrets(r, now), private: s.allowsPrivate(p.Project), id: event, body: raw})
	return Attempt{
		EndpointID: r.ID, EventID: event, Number: 1, Status: got.status, Failure: got.failure, Answer: printable(got.body), Took: got.took, CreatedAt: got.at,
	}, nil
}

// Recover queues what an endpoint did not take of the events since a time, and returns
// their number. Errors, as *invite.Error: endpoint_not_found.
func (s *Endpoints) Recover(ctx context.Context, p access.Principal, id invite.EndpointID, since time.Time) (int, error) {
	e, err := s.Get(ctx, p, id)
	if err != nil {
		return 0, err
	}
	if err := s.auditFirst(ctx, p, id, "recovered events"); err != nil {
		return 0, err
	}
	types := e.Types
	if len(types) == 0 {
		types = invite.PublicTypes()
	}
	total := 0
	for f := (find.Feed{Place: p.Place, Types: types, CreatedAfter: since, Limit: requeuedAtOnce}); ; {
		page, more, err := find.ListPublicEvents(ctx, s.p.DB, f)
		if err != nil {
			return total, err
		}
		if len(page) == 0 {
			return total, nil
		}
		ids := make([]invite.EventID, len(page))
		for i, row := range page {
			ids[i] = row.ID
		}
		n, err := endpoint.Requeue(ctx, s.p.DB, []invite.EndpointID{id}, ids, true)
		total += n
		if err != nil || !more {
			return total, err
		}
		last := page[len(page)-1]
		f.After = find.Position{Xact: last.Xact, ID: last.ID}
	}
}

// Redeliver queues an event again, whether or not it was taken: for one endpoint, or
// for each enabled one that receives the type. It returns the endpoints. Errors, as
// *invite.Error: event_not_found, endpoint_not_found.
func (s *Endpoints) Redeliver(ctx context.Context, p access.Principal, event invite.EventID, to invite.EndpointID) ([]invite.EndpointID, error) {
	e, err := find.GetPublicEvent(ctx, s.p.DB, p.Place, event)
	if errors.Is(err, find.ErrNotFound) {
		return nil, NoEvent()
	}
	if err != nil {
		return nil, err
	}
	var ids []invite.EndpointID
	if !to.IsZero() {
		if _, err := s.Get(ctx, p, to); err != nil {
			return nil, err
		}
		ids = append(ids, to)
	} else if ids, err = s.receivers(ctx, p, e.Type); err != nil {
		return nil, err
	}
	if len(ids) == 0 {
		return nil, nil
	}
	err = postgres.InTx(ctx, s.p.DB, func(tx pgx.Tx) error {
		if _, err := endpoint.Requeue(ctx, tx, ids, []invite.EventID{event}, false); err != nil {
			return err
		}
		for _, id := range ids {
			if err := audit(ctx, tx, p, id, "sent an event again"); err != nil {
				return err
			}
		}
		return nil
	})
	return ids, err
}

// receivers are the enabled endpoints that receive a type.
func (s *Endpoints) receivers(ctx context.Context, p access.Principal, t invite.PublicType) (ids []invite.EndpointID, err error) {
	rows, err := endpoint.List(ctx, s.p.DB, p.Place, MaxEndpoints+1)
	if err != nil {
		return nil, err
	}
	for _, r := range rows {
		if r.DisabledAt == nil && r.Receives(t) && s.exists(r) {
			ids = append(ids, r.ID)
		}
	}
	return ids, nil
}

// NoEvent is the refusal of an id that is no event's.
func NoEvent() error {
	return invite.Errorf(invite.CodeEventNotFound, "No event of this key's project and mode has this id. Events are kept for 30 days. GET /v1/events lists them; the entries of an invite's timeline are at GET /v1/invites/{id}/events.")
}

// encodeSample returns an invented event.
func encodeSample(id invite.EventID, t invite.PublicType, place invite.Place, of invite.EndpointID, content endpointContent, now time.Time) ([]byte, error) {
	if t == invite.EndpointDisabled {
		return encodeDisabled(id, place, newDisabledEndpoint(of, content, endpoint.Failing), now)
	}
	if t == invite.AlertRaised || t == invite.AlertResolved {
		return encodeAlert(id, t, place, sampleAlert(t, now), now)
	}
	user := "sample-user"
	about := invite.New[invite.ID]()
	shown := resource.Invite{
		ID: about, Object: "invite", Reference: invite.ReferenceOf(about), Livemode: place.Live, PipedreamEnvironment: "development", Status: invite.Active,
		Kind: invite.PurposeInvite, Progress: invite.NotOpened, Channel: invite.Channels()[0], Recipient: &invite.Recipient{Email: "delivered@connectlink.test", Name: "Sample Recipient"},
		ExternalUserID: &user, App: resource.App{Slug: "slack", Name: "Slack"}, InitiatedBy: invite.ByProduct, LinkType: invite.InviteLink,
		Verify: invite.VerifyNone, Metadata: map[string]string{}, Version: 3, CreatedAt: now.UTC(), UpdatedAt: now.UTC(),
	}
	switch at := now.UTC(); t {
	case "invite.connected", "connection.unhealthy", "connection.recovered":
		shown.Status, shown.Progress = invite.Connected, invite.Continued
		health := resource.Health{Status: invite.Healthy, CheckedAt: &at, Since: &at}
		if t == "connection.unhealthy" {
			reason := invite.AccountUnhealthy
			health.Status, health.Reason = invite.Unhealthy, &reason
		}
		shown.Connection = &resource.Connection{AccountID: "apn_sample", ConnectedAt: at, Health: health}
	}
	return encodeBody(id, ledger.Announcement{Type: t, Sequence: 3}, now, place, shown)
}

// printable returns the characters of an endpoint's answer that can be shown. A
// character that was cut at the end is left out.
func printable(raw []byte) string {
	return strings.Map(func(r rune) rune {
		if r == utf8.RuneError || r < ' ' && r != '\n' && r != '\t' {
			return -1
		}
		return r
	}, string(raw))
}
