package httpapi

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/labstack/echo/v4"

	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/secret"
	"github.com/connectlink/connectlink/internal/store/find"
	"github.com/connectlink/connectlink/internal/web"
)

// clientEvent is the name of the events that an app follows its invite by.
const clientEvent = "invite"

// followInvite is clientInvite for an app that keeps the connection: how the
// invite stands now, then again whenever it has moved, until it is over.
func (a *api) followInvite(c echo.Context) error {
	held := clientOf(c)
	ticket, ok := a.InApp.Waiting.Join(held.InviteID)
	if !ok {
		return &invite.Error{Code: invite.CodeUnavailable, Message: "Too many wait here already; ask again, or poll.", RetryAfterS: 5}
	}
	defer ticket.Leave()
	inv, err := a.owned(c.Request().Context(), held.Principal, held.InviteID)
	if err != nil {
		return err
	}
	if isOver(inv) && strings.TrimSpace(c.Request().Header.Get("Last-Event-ID")) == eventID(inv) {
		// The one answer after which a browser's EventSource asks no more.
		return c.NoContent(http.StatusNoContent)
	}
	c.Response().Header().Add(echo.HeaderVary, "Authorization, Accept")
	return a.InApp.Streams.Serve(c, held.InviteID.String(), func(ctx context.Context, last string) (web.Event, error) {
		for {
			inv, err := a.owned(ctx, held.Principal, held.InviteID)
			switch {
			case ctx.Err() != nil:
				return web.Event{}, web.ErrQuiet
			case err != nil:
				return web.Event{}, err
			case eventID(inv) != last:
				return clientEventOf(inv)
			case isOver(inv), a.InApp.Waiting.Closed():
				return web.Event{}, io.EOF
			}
			moved, err := a.await(ctx, held, ticket, inv.Version)
			switch {
			case err != nil:
				return web.Event{}, io.EOF // the key has ended: the app is answered 401 when it comes back
			case !moved:
				return web.Event{}, web.ErrQuiet
			}
		}
	})
}

// eventID is the version in the form of the entity tag, so that an app may go on
// by either.
func eventID(inv find.Invite) string { return strings.Trim(entityTag(inv.Version), `"`) }

// isOver reports whether nothing more is to be expected. A failed invite may still
// turn out to have arrived.
func isOver(inv find.Invite) bool {
	return inv.Status == invite.Connected || inv.Status == invite.Revoked || inv.Status == invite.Expired
}

func clientEventOf(inv find.Invite) (web.Event, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(presentClient(inv)); err != nil {
		return web.Event{}, fmt.Errorf("encode an event of invite %s: %w", inv.ID, err)
	}
	return web.Event{ID: eventID(inv), Name: clientEvent, Data: bytes.TrimSpace(b.Bytes()), Last: isOver(inv)}, nil
}

// mayRead reports whether a client token has reads left.
func (a *api) mayRead(c echo.Context) error {
	token, err := readBearer(c)
	if err != nil {
		return err
	}
	if ok, after := a.InApp.Reads.Allow(string(secret.Digest(token))); !ok {
		return &invite.Error{
			Code: invite.CodeRateLimited, RetryAfterS: wholeSeconds(after),
			Message: "This token was used too often. Wait for changes with Prefer or text/event-stream rather than asking again and again.",
		}
	}
	return nil
}
