package visit

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/seal"
	"github.com/connectlink/connectlink/internal/secret"
	"github.com/connectlink/connectlink/internal/store/find"
)

// clientID tells a hand-out to the product's own app from one on the page.
const clientID = "client"

// actor is who a hand-out is recorded for.
func (e Evidence) actor() invite.Actor {
	a := recipientActor()
	if e.inApp {
		a.ID = clientID
	}
	return a
}

// ContinueInApp hands out a connect link to the product's own app, whose token
// proves which invite it is for. The rules are those of a press of the page's
// button: idempotent for a minute, then fresh, and one mint for all who ask at
// once, whether on the page or in the app. Only the guessing about robots is
// left out. An invite that is gone gives the page Unknown.
func (s *Service) ContinueInApp(ctx context.Context, id invite.ID) (Pressed, error) {
	inv, err := find.Any(ctx, s.p.DB, id)
	if errors.Is(err, find.ErrNotFound) {
		return Pressed{Page: Page{State: Unknown}}, nil
	}
	if err != nil {
		return Pressed{}, err
	}
	if inv.Code == nil {
		return Pressed{Page: Page{State: endedState(inv), InviteID: id}}, nil
	}
	code, err := s.p.Box.Open(inv.Code, seal.AD{Column: "codes.code", ID: *inv.CodeID})
	if err != nil {
		return Pressed{}, fmt.Errorf("open code of invite %s: %w", id, err)
	}
	return s.Continue(ctx, secret.New(string(code)), Evidence{Method: http.MethodPost, inApp: true})
}

// endedState is the state of an invite whose codes are wiped.
func endedState(inv find.Invite) State {
	switch {
	case inv.Status == invite.Connected:
		return Connected
	case inv.Status == invite.Revoked && !inv.ReplacedBy.IsZero():
		return Replaced
	case inv.Status == invite.Revoked:
		return Revoked
	}
	return Expired
}
