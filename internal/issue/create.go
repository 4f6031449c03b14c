package issue

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/connectlink/connectlink/internal/access"
	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/mint"
	"github.com/connectlink/connectlink/internal/postgres"
	"github.com/connectlink/connectlink/internal/resource"
	"github.com/connectlink/connectlink/internal/seal"
	"github.com/connectlink/connectlink/internal/secret"
	"github.com/connectlink/connectlink/internal/store/find"
	"github.com/connectlink/connectlink/internal/store/ledger"
	"github.com/connectlink/connectlink/internal/store/userid"
	"github.com/connectlink/connectlink/internal/trace"
)

// Create makes an invite, or answers as the same Idempotency-Key was answered
// before. Errors, as *invite.Error: invalid_request and its kin with all
// faults, recipient_suppressed, recipient_opted_out, unknown_app, app_needs_no_account, active_invite_exists, already_connected,
// idempotency_key_reused, token_mint_failed, unavailable.
func (s *Service) Create(ctx context.Context, p access.Principal, req CreateRequest, meta Meta) (Answer, error) {
	project, err := s.project(p)
	if err != nil {
		return Answer{}, err
	}
	p = placed(p, project)
	o, err := validate(req, p, project, s.p.PublicURL, s.p.Now())
	if err != nil {
		return Answer{}, s.withNearestApp(ctx, p, req.App, err)
	}
	b := s.block(p, o.channel, o.content.Recipient)
	a, err := s.once(ctx, p, meta, req, b.ask, func(ctx context.Context, idem *ledger.Idempotency) (Answer, error) {
		if err := b.err(); err != nil {
			return Answer{}, err
		}
		return s.create(ctx, p, o, idem, meta)
	})
	if err == nil {
		a.Warnings = changed(req, o)
	}
	return a, err
}

func (s *Service) create(ctx context.Context, p access.Principal, o order, idem *ledger.Idempotency, meta Meta) (Answer, error) {
	if o.kind == invite.PurposeReconnect {
		var err error
		if o, err = s.reconnectable(ctx, p, o); err != nil {
			return Answer{}, err
		}
	}
	if a, done, err := s.connected(ctx, p, o); done || err != nil {
		return a, err
	}
	if o.ifActive != "" && o.ifActive != "replace" {
		if a, done, err := s.standing(ctx, p, o); done || err != nil {
			return a, err
		}
	}
	row, outcome, err := s.build(ctx, p, o, idem, meta, s.app)
	if err != nil {
		return Answer{}, err
	}
	in, err := s.store(ctx, p, o, row)
	var open *openExistsError
	if errors.As(err, &open) {
		return s.answerOpen(ctx, p, o, open.id)
	}
	if err != nil {
		return Answer{}, err
	}
	return s.stored(ctx, p, row, in, outcome, meta)
}

// findApp looks an app up; *Service.app does.
type findApp func(ctx context.Context, m *mint.Minter, slug string) (invite.App, error)

// build asks Pipedream for all that an invite needs, and returns what one commit
// stores. Where a link is not to be had now, the outcome is Postponed.
func (s *Service) build(ctx context.Context, p access.Principal, o order, idem *ledger.Idempotency, meta Meta, look findApp) (ledger.New, ledger.Outcome, error) {
	uses := s.uses(p, o.channel, o.content.Recipient, o.externalUserID)
	if err := s.refused.find(uses); err != nil {
		return ledger.New{}, "", err // before it costs a token
	}
	if err := s.pausedError(p, o.channel, o.content.Recipient); err != nil {
		return ledger.New{}, "", err
	}
	minter, err := s.minter(p)
	if err != nil {
		return ledger.New{}, "", err
	}
	if s.p.Rehearse != nil && !p.Live {
		if err := s.p.Rehearse(ctx, o.externalUserID, o.content.Recipient); err != nil {
			return ledger.New{}, "", fmt.Errorf("rehearse: %w", err)
		}
	}
	app, err := look(ctx, minter, o.app)
	if err != nil {
		return ledger.New{}, "", err
	}
	if err := minter.CheckOAuthApp(ctx, o.oauthAppID, o.app); err != nil {
		return ledger.New{}, "", err
	}
	row, code, err := s.row(ctx, p, o, app, meta)
	if err != nil {
		return ledger.New{}, "", err
	}
	outcome, err := s.mint(ctx, minter, o, &row, code)
	if err != nil {
		return ledger.New{}, "", err
	}
	row.Event.Data.HasLink, row.Uses = row.Link != nil, uses
	public, err := s.p.Announce(func(at time.Time) find.Invite {
		return fresh(row, ledger.Inserted{CreatedAt: at, ExpiresAt: expiry(row, at)})
	})
	if err != nil {
		return ledger.New{}, "", err
	}
	row.Public = &public
	if idem != nil {
		idem.Outcome = outcome
		row.Idempotency = idem
	}
	return row, outcome, nil
}

// mint gives a row its link and status.
func (s *Service) mint(ctx context.Context, minter *mint.Minter, o order, row *ledger.New, code secret.Text) (ledger.Outcome, error) {
	if !o.sendAt.IsZero() {
		// Minted when it is sent: a link made now would be dead by then.
		row.Status = invite.Scheduled
		return ledger.Created, nil
	}
	minted, err := minter.Mint(ctx, mint.Request{
		InviteID: row.ID, ExternalUserID: o.externalUserID, App: o.app, OAuthAppID: o.oauthAppID, AccountID: o.account,
		ExpiresIn: o.expiresIn, Code: code, ReturnURL: o.content.ReturnURL,
	})
	switch {
	case err == nil:
		row.Status, row.Link = invite.Active, &minted.Link
		return ledger.Created, nil
	case errors.Is(err, mint.ErrPassing):
		s.p.Log.WarnContext(ctx, "mint postponed", "invite", row.ID.String(), "cause", mint.Cause(err), "error", err)
		return ledger.Postponed, nil
	default:
		return "", err
	}
}

// stored answers a create whose row was committed, or whose Idempotency-Key a twin
// had used before.
func (s *Service) stored(ctx context.Context, p access.Principal, row ledger.New, in ledger.Inserted, outcome ledger.Outcome, meta Meta) (Answer, error) {
	if in.Lost {
		return s.replay(ctx, p, *row.Idempotency, meta)
	}
	if s.p.Created != nil {
		s.p.Created(row.Place, row.Channel)
	}
	if row.Delivery != nil && row.SendAt.IsZero() && !in.Leased {
		s.p.Wake(row.Delivery.Lane)
	}
	r, err := resource.Present(s.p.Box, fresh(row, in), s.links(p))
	return Answer{Invite: r, Outcome: outcome}, err
}

// standing answers a create that must not add a second open invite.
func (s *Service) standing(ctx context.Context, p access.Principal, o order) (Answer, bool, error) {
	inv, found, err := find.FindActive(ctx, s.p.DB, s.user(p, o), o.app)
	if err != nil || !found {
		return Answer{}, false, err
	}
	a, err := s.answerOpen(ctx, p, o, inv.ID)
	return a, true, err
}

// user is the external user of an order, for look-ups.
func (s *Service) user(p access.Principal, o order) find.User {
	return find.NewUser(s.p.Box, p.Place, o.externalUserID)
}

// answerOpen answers a create of a user who has an open invite for the app:
// with that invite, or with an error that names it.
func (s *Service) answerOpen(ctx context.Context, p access.Principal, o order, id invite.ID) (Answer, error) {
	if err := postgres.AwaitDurable(ctx, s.p.DB); err != nil {
		return Answer{}, err
	}
	if o.ifActive != "return" {
		return Answer{}, activeExists(id)
	}
	r, err := s.present(ctx, p, id)
	return Answer{Invite: r, Outcome: ledger.Existing}, err
}

func activeExists(id invite.ID) error {
	e := invite.Errorf(invite.CodeActiveInviteExists, "This user has an open invite for this app already: %s.", id)
	e.ExistingID = id
	return e
}

// row turns an order into what one commit stores, but for the link.
func (s *Service) row(ctx context.Context, p access.Principal, o order, app invite.App, meta Meta) (ledger.New, secret.Text, error) {
	key, err := asker(p)
	if err != nil {
		return ledger.New{}, secret.Text{}, fmt.Errorf("create: principal: %w", err)
	}
	id := invite.NewFor(meta.RequestID)
	content, err := s.sealContent(id, o.content)
	if err != nil {
		return ledger.New{}, secret.Text{}, err
	}
	code, stored, err := s.newCode()
	if err != nil {
		return ledger.New{}, secret.Text{}, err
	}
	hash := userid.Hash(s.p.Box, p.Place, o.externalUserID)
	user := userid.Columns{UserText: o.externalUserID}
	if o.sealUser {
		if user, err = userid.Seal(s.p.Box, id, o.externalUserID, hash); err != nil {
			return ledger.New{}, secret.Text{}, err
		}
	}
	row := ledger.New{
		ID: id, Place: p.Place, Environment: p.Environment, Status: invite.Pending,
		Channel: o.channel, LinkType: o.linkType, InitiatedBy: o.initiatedBy, ExternalUserID: user.UserText,
		SealedUserID: user.SealedUser, UserHash: hash, App: app,
		OAuthAppID: o.oauthAppID, Content: content, ExpiresIn: o.expiresIn, ValidFor: o.validFor, CreatedBy: key,
		Fallback: o.fallback, SendAt: o.sendAt, Verify: o.verify, Reminders: o.reminders,
		Kind: o.kind, ReconnectAccount: o.account, ReconnectOf: o.reconnectOf, Trace: trace.Marshal(ctx),
		Code: stored, Terms: ledger.Terms(s.p.Box, p.Place, o.content),
		Event: invite.Event{
			ID: invite.New[invite.EventID](), Type: invite.EventCreated, Actor: actor(p),
			Data: invite.Data{RequestID: meta.RequestID, Channel: o.channel, OtherInvite: o.reconnectOf.String()},
		},
	}
	if o.channel != invite.LinkOnly {
		row.Delivery = &ledger.Delivery{
			ID: invite.New[invite.DeliveryID](), Number: 1, Channel: o.channel, Kind: "first",
			Lane: p.Lane(o.channel),
		}
	}
	return row, code, nil
}

func (s *Service) sealContent(id invite.ID, c invite.Content) ([]byte, error) {
	plain, err := json.Marshal(c)
	if err != nil {
		return nil, fmt.Errorf("encode content of invite %s: %w", id, err)
	}
	sealed, err := s.p.Box.Seal(plain, seal.AD{Column: "invites.content", ID: id.UUID()})
	if err != nil {
		return nil, fmt.Errorf("seal content of invite %s: %w", id, err)
	}
	return sealed, nil
}

func (s *Service) newCode() (secret.Text, ledger.Code, error) {
	code := access.NewCode()
	id := invite.New[invite.LinkID]().UUID()
	sealed, err := s.p.Box.Seal([]byte(code.Reveal()), seal.AD{Column: "codes.code", ID: id})
	if err != nil {
		return secret.Text{}, ledger.Code{}, fmt.Errorf("seal code: %w", err)
	}
	return code, ledger.Code{ID: id, Digest: secret.Digest(code), Sealed: sealed}, nil
}

// expiry is when an invite ends that is created at a time, as the database works it
// out; nil where that is not known yet.
func expiry(row ledger.New, at time.Time) *time.Time {
	if !row.SendAt.IsZero() {
		at = row.SendAt
	}
	switch {
	case row.ValidFor > 0:
		at = at.Add(row.ValidFor)
	case row.Link != nil:
		at = at.Add(row.Link.Left)
	default:
		return nil
	}
	return &at
}

// fresh is the invite as it would be read right after its insert; it saves
// the create a round trip.
func fresh(row ledger.New, in ledger.Inserted) find.Invite {
	inv := find.Invite{
		Kind: row.Kind, ReconnectAccount: row.ReconnectAccount, ReconnectOf: row.ReconnectOf,
		ID: row.ID, Place: row.Place, Environment: row.Environment, CreatedBy: row.CreatedBy, Status: row.Status,
		Progress: invite.NotOpened, Channel: row.Channel, LinkType: row.LinkType, Verify: row.Verify, InitiatedBy: row.InitiatedBy,
		Columns: userid.Columns{UserText: row.ExternalUserID, SealedUser: row.SealedUserID}, AppSlug: row.App.Slug, AppName: row.App.Name, AppLogoURL: row.App.LogoURL,
		AppAuthType: row.App.AuthType, OAuthAppID: row.OAuthAppID, Content: row.Content, ExpiresAt: in.ExpiresAt,
		Version: 1, CreatedAt: in.CreatedAt, UpdatedAt: in.CreatedAt, Now: in.CreatedAt,
		CodeID: &row.Code.ID, Code: row.Code.Sealed,
	}
	if !row.SendAt.IsZero() {
		inv.SendAt = &row.SendAt
	}
	inv.Reminders = row.Reminders
	if f := row.Fallback; f.Open() {
		first := string(row.Channel)
		inv.FallbackAfter, inv.FallbackDelayS, inv.FirstChannel = string(f.After), int32(f.Delay/time.Second), &first
	}
	if l := row.Link; l != nil {
		expires := in.CreatedAt.Add(l.Left)
		if row.ValidFor == 0 && in.ExpiresAt != nil {
			expires = *in.ExpiresAt
		}
		inv.LinkID, inv.LinkURL, inv.LinkExpiresAt, inv.LinkExpiresRaw = l.ID, l.URL, &expires, &l.ExpiresAtRaw
		if row.Channel == invite.LinkOnly {
			inv.OpenUntil = &expires // this very answer hands it out
		}
	}
	if d := row.Delivery; d != nil {
		channel, status, none := string(d.Channel), string(invite.Queued), ""
		inv.DeliveryID, inv.DeliveryNumber, inv.DeliveryChannel, inv.DeliveryStatus = d.ID, &d.Number, &channel, &status
		inv.DeliveryReason, inv.DeliveryCode, inv.DeliveryProvider, inv.DeliveryUpdated = &none, &none, &none, &in.CreatedAt
		inv.DeliveryKind, inv.DeliveryCreated = &d.Kind, &in.CreatedAt
	}
	return inv
}
