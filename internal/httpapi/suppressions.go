package httpapi

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/connectlink/connectlink/internal/access"
	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/suppress"
)

// Suppressions shows and changes who is not to be written to;
// *suppress.Service does.
type Suppressions interface {
	List(ctx context.Context, p access.Principal, q suppress.Query) ([]suppress.Suppression, invite.SuppressionID, error)
	Add(ctx context.Context, p access.Principal, a suppress.Add) (suppress.Suppression, bool, error)
	Lift(ctx context.Context, p access.Principal, id invite.SuppressionID, reason string) (suppress.Suppression, error)
}

// suppressionShape is the JSON shape of a block.
type suppressionShape struct {
	ID        string     `json:"id"`
	Object    string     `json:"object"`
	Livemode  bool       `json:"livemode"`
	Channel   string     `json:"channel"`
	Recipient *string    `json:"recipient"` // null once erased
	Kind      string     `json:"kind"`
	Title     string     `json:"title"`
	Liftable  bool       `json:"liftable"`
	Source    string     `json:"source"`
	Note      *string    `json:"note"`
	InviteID  *string    `json:"invite_id"`
	CreatedAt time.Time  `json:"created_at"`
	LiftedAt  *time.Time `json:"lifted_at"`
	// ProviderKeeps, only of a block just lifted, says that the mail provider's
	// own list could not be changed with our key.
	ProviderKeeps bool `json:"provider_keeps,omitempty"`
}

func shapeSuppression(s suppress.Suppression) suppressionShape {
	why, _ := invite.Explain(s.Kind.Reason())
	return suppressionShape{
		ID: s.ID.String(), Object: "suppression", Livemode: s.Livemode, Channel: string(s.Channel), Recipient: pointerTo(s.Recipient.Reveal()),
		Kind: string(s.Kind), Title: why.Title, Liftable: s.Kind.Liftable(), Source: s.Source, Note: pointerTo(s.Note.Reveal()),
		InviteID: pointerTo(s.InviteID.String()), CreatedAt: s.CreatedAt.UTC(), LiftedAt: inUTC(s.LiftedAt), ProviderKeeps: s.ProviderKeeps,
	}
}

func inUTC(t *time.Time) *time.Time {
	if t == nil {
		return nil
	}
	u := t.UTC()
	return &u
}

func pointerTo(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

// listSuppressions lists suppressions by the query string.
func (a *api) listSuppressions(c echo.Context) error { return a.listSuppressed(c, parseQuery(c)) }

// listSuppressed answers a list; q are its filters, wherever the request has them.
func (a *api) listSuppressed(c echo.Context, q *params) error {
	want := suppress.Query{
		Channel: invite.Channel(q.word("channel", invite.ChannelNames(invite.Channels())...)), Kind: invite.Block(q.word("kind", enumNames(invite.Blocks())...)),
		Recipient: q.text("recipient", 320), Limit: q.limit(),
	}
	if cursor := q.values.Get("cursor"); cursor != "" {
		after, err := invite.Parse[invite.SuppressionID](cursor)
		if err != nil {
			q.add("cursor", invite.FaultInvalid, "must be a next_cursor that this endpoint gave")
		}
		want.After = after
	}
	if err := q.done("limit", "cursor", "channel", "kind", "recipient"); err != nil {
		return err
	}
	page, next, err := a.Suppressions.List(c.Request().Context(), keyPrincipal(c), want)
	if err != nil {
		return err
	}
	shapes := make([]suppressionShape, 0, len(page))
	for _, s := range page {
		shapes = append(shapes, shapeSuppression(s))
	}
	return writeJSON(c, http.StatusOK, listOf(shapes, next.String()))
}

// suppressionRequest is the body of POST /v1/suppressions.
type suppressionRequest struct {
	Email  string `json:"email"`
	Phone  string `json:"phone"`
	Reason string `json:"reason"`
}

// liftRequest is the body of DELETE /v1/suppressions/{id}.
type liftRequest struct {
	Reason *string `json:"reason"`
}

func (a *api) addSuppression(c echo.Context) error {
	var req suppressionRequest
	_, faults, err := bindBody(c, &req, false)
	if err := errors.Join(err, faultsError(faults)); err != nil {
		return err
	}
	s, fresh, err := a.Suppressions.Add(c.Request().Context(), keyPrincipal(c), suppress.Add{Email: req.Email, Phone: req.Phone, Reason: req.Reason})
	if err != nil {
		return err
	}
	status := http.StatusCreated
	if !fresh {
		status = http.StatusOK // it was blocked already, and the first reason stands
	}
	return writeJSON(c, status, shapeSuppression(s))
}

func (a *api) liftSuppression(c echo.Context) error {
	id, err := invite.Parse[invite.SuppressionID](c.Param("id"))
	if err != nil {
		return invite.Errorf(invite.CodeSuppressionNotFound, "No suppression of this key's project and mode has this id.")
	}
	reason, err := liftReason(c)
	if err != nil {
		return err
	}
	s, err := a.Suppressions.Lift(c.Request().Context(), keyPrincipal(c), id, reason)
	if err != nil {
		return err
	}
	return writeJSON(c, http.StatusOK, shapeSuppression(s))
}

// liftReason reads the reason from the body or the query string: many clients and
// proxies drop the body of a DELETE. The audit log needs a text, so a lift without
// a reason is recorded as such.
func liftReason(c echo.Context) (string, error) {
	q := parseQuery(c)
	reason, given := q.values.Get("reason"), q.values.Has("reason")
	if err := q.done("reason"); err != nil {
		return "", err
	}
	var req liftRequest
	_, faults, err := bindBody(c, &req, true)
	if err != nil {
		return "", err
	}
	if given && req.Reason != nil {
		faults = append(faults, invite.Fault{Pointer: "/reason", Code: invite.FaultDuplicate, Detail: "is given in the body and in the query string; give it once"})
	}
	switch {
	case req.Reason != nil:
		reason = *req.Reason
	case !given:
		reason = noLiftReason
	}
	return reason, faultsError(faults)
}

// noLiftReason stands in the audit log where the caller gave no reason.
const noLiftReason = "No reason given"
