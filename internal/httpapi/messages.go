package httpapi

import (
	"context"
	"errors"
	"net/http"
	"slices"

	"github.com/labstack/echo/v4"

	"github.com/connectlink/connectlink/internal/access"
	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/sandbox"
	"github.com/connectlink/connectlink/internal/store/find"
)

// rounds bounds how many pages of the shared inbox one request looks through
// for messages of its own project.
const rounds = 10

// inbox is the sandbox's; an answer for callers where there is none.
func (a *api) inbox() (Inbox, error) {
	if a.Inbox == nil {
		return nil, invite.Errorf(invite.CodeUnavailable, "This service runs without a sandbox, so test mode has no inbox.")
	}
	return a.Inbox, nil
}

// messages lists what test mode has sent to recipients of this project.
func (a *api) messages(c echo.Context) error {
	inbox, err := a.inbox()
	if err != nil {
		return err
	}
	ctx, p, q := c.Request().Context(), keyPrincipal(c), parseQuery(c)
	filter := sandbox.MessageFilter{To: q.text("to", 320), Channel: q.word("channel", invite.ChannelNames(invite.Channels())...), Before: q.text("cursor", 64)}
	limit := q.limit()
	named := q.text("invite", 64)
	if err := q.done("limit", "cursor", "to", "channel", "invite"); err != nil {
		return err
	}
	if named != "" {
		id, err := invite.Parse[invite.ID](named)
		if err != nil {
			return noInvite()
		}
		if _, err := a.owned(ctx, p, id); err != nil {
			return err
		}
		filter.InviteIDs = []string{named}
	}
	found, next, err := a.ownMessages(ctx, inbox, p, filter, limit)
	if errors.Is(err, sandbox.ErrNoMessage) {
		q.add("cursor", invite.FaultInvalid, "must be a next_cursor that this endpoint gave")
		return faultsError(q.faults)
	}
	if err != nil {
		return err
	}
	return writeJSON(c, http.StatusOK, listOf(found, next))
}

// ownMessages goes through the inbox, which all projects of a deployment
// share, and keeps what belongs to the asker's invites.
func (a *api) ownMessages(ctx context.Context, inbox Inbox, p access.Principal, f sandbox.MessageFilter, limit int) (own []sandbox.Message, next string, err error) {
	mine := map[string]bool{}
	f.Limit = limit + 1
	for range rounds {
		page, err := inbox.Messages(ctx, f)
		if err != nil {
			return nil, "", err
		}
		for _, m := range page {
			known, ok := mine[m.InviteID]
			if !ok {
				if known, err = a.owns(ctx, p, m.InviteID); err != nil {
					return nil, "", err
				}
				mine[m.InviteID] = known
			}
			if !known {
				continue
			}
			if len(own) == limit {
				return own, own[limit-1].ID, nil
			}
			own = append(own, m)
		}
		if len(page) < f.Limit {
			return own, "", nil
		}
		f.Before = page[len(page)-1].ID
	}
	return own, f.Before, nil
}

func (a *api) owns(ctx context.Context, p access.Principal, inviteID string) (bool, error) {
	id, err := invite.Parse[invite.ID](inviteID)
	if err != nil {
		return false, nil // a message that another program put into the sandbox
	}
	_, err = find.Get(ctx, a.DB, p.Place, id)
	if errors.Is(err, find.ErrNotFound) {
		return false, nil
	}
	return err == nil, err
}

func (a *api) message(c echo.Context) error {
	inbox, err := a.inbox()
	if err != nil {
		return err
	}
	if err := parseQuery(c).done(); err != nil {
		return err
	}
	ctx := c.Request().Context()
	missing := invite.Errorf(invite.CodeMessageNotFound, "No message of this key's project has this id.")
	m, err := inbox.Message(ctx, c.Param("id"))
	if errors.Is(err, sandbox.ErrNoMessage) {
		return missing
	}
	if err != nil {
		return err
	}
	own, err := a.owns(ctx, keyPrincipal(c), m.InviteID)
	if err != nil {
		return err
	}
	if !own {
		return missing
	}
	return writeJSON(c, http.StatusOK, m)
}

// contentShape is the recipient's message, with its links and passcodes masked: the
// right to read invites is not the right to act as their recipients.
type contentShape struct {
	Object     string            `json:"object"`
	DeliveryID invite.DeliveryID `json:"delivery_id"`
	Channel    invite.Channel    `json:"channel"`
	Subject    *string           `json:"subject"`
	Text       string            `json:"text"`
	HTML       *string           `json:"html"`
}

func (a *api) content(c echo.Context) error {
	if err := parseQuery(c).done(); err != nil {
		return err
	}
	d, err := a.ownDelivery(c)
	if err != nil {
		return err
	}
	if keyPrincipal(c).Live {
		return invite.Errorf(invite.CodeNotYet, "The content of live messages is not stored; it can be read in test mode only.")
	}
	inbox, err := a.inbox()
	if err != nil {
		return err
	}
	ctx := c.Request().Context()
	attempts, err := a.attemptsOf(ctx, d)
	if err != nil {
		return err
	}
	sent, err := inbox.Messages(ctx, sandbox.MessageFilter{InviteIDs: []string{d.InviteID.String()}, Channel: string(d.Channel), Limit: 200})
	if err != nil {
		return err
	}
	i := slices.IndexFunc(sent, func(m sandbox.Message) bool { return slices.Contains(attempts, m.AttemptID) })
	if i < 0 {
		return invite.Errorf(invite.CodeMessageNotFound, "This delivery has not been sent yet, or its message was deleted.")
	}
	m := sent[i]
	if d.Kind == invite.KindPasscode {
		m.Text, m.HTML = maskDigits(m.Text, m.HTML)
	}
	return writeJSON(c, http.StatusOK, contentShape{
		Object: "delivery_content", DeliveryID: d.ID, Channel: d.Channel, Subject: orNull(m.Subject),
		Text: maskLinks(m.Text), HTML: orNull(maskLinks(m.HTML)),
	})
}

// attemptsOf names the attempts of a delivery, by its events.
func (a *api) attemptsOf(ctx context.Context, d find.Delivery) ([]string, error) {
	events, err := find.Events(ctx, a.DB, d.InviteID)
	if err != nil {
		return nil, err
	}
	var out []string
	for _, e := range events {
		if e.DeliveryID == d.ID && !e.AttemptID.IsZero() {
			out = append(out, e.AttemptID.String())
		}
	}
	return out, nil
}
