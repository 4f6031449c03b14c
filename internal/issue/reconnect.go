package issue

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/connectlink/connectlink/config"
	"github.com/connectlink/connectlink/internal/access"
	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/mint"
	"github.com/connectlink/connectlink/internal/store/find"
	"github.com/connectlink/connectlink/internal/store/ledger"
)

// Reconnect makes an invite to connect the account of a connected invite again: for
// the same user, app, recipient and channel unless the request says otherwise. The
// two invites name each other. Errors are as Create's, and invite_not_found and
// invite_not_connected.
func (s *Service) Reconnect(ctx context.Context, p access.Principal, id invite.ID, req ReconnectRequest, meta Meta) (Answer, error) {
	project, err := s.project(p)
	if err != nil {
		return Answer{}, err
	}
	return s.once(ctx, p, meta, req, nil, func(ctx context.Context, idem *ledger.Idempotency) (Answer, error) {
		inv, err := find.Get(ctx, s.p.DB, p.Place, id)
		if err != nil {
			return Answer{}, notFound(err, id)
		}
		p := p
		if p.Kind == access.KindStaff {
			p.Environment = inv.Environment
		}
		if err := asSeen(ctx, s.p.DB, id, meta); err != nil {
			return Answer{}, err
		}
		create, o, err := s.planReconnect(p, project, inv, req)
		if err != nil {
			return Answer{}, err
		}
		b := s.block(p, o.channel, o.content.Recipient)
		if err := s.read(ctx, b.ask); err != nil {
			return Answer{}, err
		}
		if err := b.err(); err != nil {
			return Answer{}, err
		}
		a, err := s.create(ctx, p, o, idem, meta)
		if err == nil {
			a.Warnings = changed(create, o)
		}
		return a, err
	})
}

// planReconnect turns a connected invite and a request into an order.
func (s *Service) planReconnect(p access.Principal, project config.Project, inv find.Invite, req ReconnectRequest) (CreateRequest, order, error) {
	if inv.Status != invite.Connected || inv.AccountID == "" {
		return CreateRequest{}, order{}, invite.Errorf(invite.CodeNotConnected,
			"Invite %s is %s and has no connected account, so there is nothing to reconnect. Resend it, or make a new invite.", inv.ID, inv.Status)
	}
	if inv.ErasedAt != nil {
		return CreateRequest{}, order{}, invite.Errorf(invite.CodeNotConnected,
			"The personal data of invite %s was erased, so its recipient is not known. Make a new invite of kind reconnect with the account_id.", inv.ID)
	}
	content, err := find.Open(s.p.Box, inv.ID, inv.Content)
	var user string
	if err == nil {
		user, err = inv.OpenUser(s.p.Box, inv.ID)
	}
	if err != nil {
		s.p.Log.Error("an invite cannot be read", "invite", inv.ID.String(), "error", err)
		return CreateRequest{}, order{}, invite.Errorf(invite.CodeNotConnected,
			"Invite %s cannot be read: what was stored is damaged, or its key is no longer in the keyset. Make a new invite of kind reconnect with the account_id.", inv.ID)
	}
	create := reconnectRequest(inv, content, user, req)
	o, err := validate(create, p, project, s.p.PublicURL, s.p.Now())
	o.reconnectOf = inv.ID
	return create, o, err
}

// reconnectRequest is the create that a reconnect amounts to. What an inviter wrote
// was of the first time and is left out.
func reconnectRequest(inv find.Invite, content invite.Content, user string, req ReconnectRequest) CreateRequest {
	recipient := corrected(content.Recipient, req.Recipient)
	life := int(inv.ExpiresInS)
	c := CreateRequest{
		Kind: string(invite.PurposeReconnect), AccountID: inv.AccountID, ExternalUserID: user, App: inv.AppSlug, OAuthAppID: inv.OAuthAppID,
		Channel: string(inv.Channel), Recipient: &recipient, Inviter: req.Inviter, Reason: content.Reason, Note: req.Note,
		InitiatedBy: string(inv.InitiatedBy), ReturnURL: content.ReturnURL, LinkType: string(inv.LinkType), ExpiresIn: &life,
		ValidFor: req.ValidFor, Metadata: content.Metadata, IfActive: req.IfActive, Verify: string(inv.Verify),
	}
	if req.Channel != "" {
		c.Channel = req.Channel
	}
	if req.Reason != "" {
		c.Reason = req.Reason
	}
	if c.ValidFor == nil && inv.ValidForS != nil {
		lasts := int(*inv.ValidForS)
		c.ValidFor = &lasts
	}
	return c
}

// reconnectable finds the account that an order is to reconnect, and the invite by
// which it was connected. An account that is gone at Pipedream cannot be connected
// again: then the person connects a new one.
func (s *Service) reconnectable(ctx context.Context, p access.Principal, o order) (order, error) {
	if o.reconnectOf.IsZero() {
		var accounts []string
		if o.account != "" {
			accounts = []string{o.account}
		}
		inv, found, err := find.FindConnected(ctx, s.p.DB, s.user(p, o), o.app, accounts)
		if err != nil {
			return o, err
		}
		if found {
			o.account, o.reconnectOf = inv.AccountID, inv.ID
		}
	}
	minter, err := s.minter(p)
	if err != nil {
		return o, err
	}
	account, err := minter.Account(ctx, o.externalUserID, o.app, o.account)
	switch {
	case err == nil:
		o.account = account
	case errors.Is(err, mint.ErrNoAccount) && !o.reconnectOf.IsZero():
		o.account = "" // it was deleted
	case errors.Is(err, mint.ErrNoAccount) && o.account != "":
		var f faults
		f.add("/account_id", invite.FaultInvalid, "Pipedream has no such account of this user and app")
		return o, f.err()
	case errors.Is(err, mint.ErrNoAccount):
		return o, invite.Errorf(invite.CodeNotConnected, "This user has no connected account of this app, so there is nothing to reconnect. Make an invite of kind invite.")
	case o.account == "":
		s.p.Log.WarnContext(ctx, "the account to reconnect is not known", "app", o.app, "error", err)
		return o, invite.Errorf(invite.CodeUnavailable, "Pipedream cannot say now which account this user has. Name it as account_id, or try again.")
	default:
		s.p.Log.WarnContext(ctx, "the account to reconnect is not checked", "app", o.app, "error", err)
	}
	return o, nil
}

// linkReconnect writes on the timeline of the invite by which an account was
// connected that another one asks to connect it again.
func (s *Service) linkReconnect(ctx context.Context, tx pgx.Tx, row ledger.New) error {
	if row.ReconnectOf.IsZero() {
		return nil
	}
	err := s.append(ctx, tx, row.ReconnectOf, invite.Event{
		Type: invite.EventReconnectInvited, Actor: row.Event.Actor,
		Data: invite.Data{OtherInvite: row.ID.String(), Channel: row.Channel},
	})
	if errors.Is(err, ledger.ErrNotFound) {
		return nil // deleted since
	}
	if err != nil {
		return fmt.Errorf("link invite %s to the one it reconnects: %w", row.ID, err)
	}
	return nil
}
