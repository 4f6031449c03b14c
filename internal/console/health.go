package console

import (
	"context"
	"errors"
	"time"

	"github.com/connectlink/connectlink/internal/access"
	"github.com/connectlink/connectlink/internal/console/view"
	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/issue"
	"github.com/connectlink/connectlink/internal/store/find"
	"github.com/connectlink/connectlink/internal/web"
)

// Connections checks connected accounts at Pipedream; *track.Tracker does.
type Connections interface {
	CheckConnection(ctx context.Context, place invite.Place, id invite.ID) error
}

// healthCard is how the account of an invite does, and the invites beside this one that
// are about the same account.
type healthCard struct {
	Badge        view.Badge
	Why          string
	Since        time.Time // of the status; zero: not known
	Checked      time.Time // zero: never
	CanCheck     bool
	CanReconnect bool
	OfURL, ByURL string // the invite before, the one after
}

// health is the card of an invite; nil where there is nothing to show.
func (p *page) health(o opened) *healthCard {
	var c healthCard
	if !o.ReconnectOf.IsZero() {
		c.OfURL = p.frame.URL("invites", o.ReconnectOf.String())
	}
	if !o.ReconnectedBy.IsZero() {
		c.ByURL = p.frame.URL("invites", o.ReconnectedBy.String())
	}
	if o.AccountID != "" && o.Status == invite.Connected && !o.erased() {
		c.Badge, c.Why = p.healthBadge(o.Invite)
		c.Since, c.Checked = orZero(o.HealthSince), orZero(o.HealthCheckedAt)
		c.CanCheck = p.Connections != nil && p.by.May(access.ActResend)
		c.CanReconnect = p.by.May(access.ActResend)
	}
	if c == (healthCard{}) {
		return nil
	}
	return &c
}

// healthBadge is the health of an account in words.
func (p *page) healthBadge(inv find.Invite) (view.Badge, string) {
	status, reason := invite.HealthUnknown, invite.HealthReason("")
	if inv.Health != nil {
		status, reason = invite.Health(*inv.Health), invite.HealthReason(*inv.HealthReason)
	}
	switch {
	case status == invite.Healthy:
		return view.Badge{Kind: "good", Icon: "check", Text: p.t("Works")}, ""
	case status != invite.Unhealthy:
		return view.Badge{Kind: "calm", Icon: "help", Text: p.t("Not checked yet")}, ""
	case reason == invite.AccountDeleted:
		return view.Badge{Kind: "bad", Icon: "alert", Text: p.t("Does not work")}, p.t("The account was deleted at Pipedream. The person has to connect a new one.")
	case reason == invite.AccountDead:
		return view.Badge{Kind: "bad", Icon: "alert", Text: p.t("Does not work")}, p.t("Pipedream does not expect it to recover. The person has to connect it again.")
	}
	return view.Badge{Kind: "bad", Icon: "alert", Text: p.t("Does not work")}, p.t("The access was revoked or has expired. The person has to connect the account again.")
}

// checkConnection asks Pipedream now.
func (s *console) checkConnection(p *page, o opened) error {
	home := p.frame.URL("invites", o.ID.String())
	if s.Connections == nil {
		return p.missing()
	}
	if err := s.Connections.CheckConnection(p.ctx(), p.by.Place, o.ID); err != nil {
		return p.declined(home, err)
	}
	return p.done(home, "good", p.t("Pipedream was asked. This page shows the answer."))
}

// reconnect sends an invite to connect the account again.
func (s *console) reconnect(p *page, o opened) error {
	made, err := s.Invites.Reconnect(p.ctx(), p.by, o.ID, issue.ReconnectRequest{IfActive: "error"}, issue.Meta{RequestID: web.RequestID(p.ctx())})
	if err != nil {
		return p.declined(p.frame.URL("invites", o.ID.String()), err)
	}
	return p.done(p.frame.URL("invites", made.Invite.ID.String()), "good", p.t("An invite to reconnect the account was created."))
}

// declined goes back to a page and says why nothing was done.
func (p *page) declined(to string, err error) error {
	var refused *invite.Error
	if !errors.As(err, &refused) {
		return err
	}
	text := p.detail(refused.Code, refused.Message)
	switch refused.Code { //nolint:exhaustive // the others have words of their own
	case invite.CodeNotConnected:
		text = p.t("This invite has no connected account.")
	case invite.CodeUnavailable:
		text = p.t("Pipedream could not be asked. Try again in a minute.")
	}
	return p.done(to, "bad", text)
}
