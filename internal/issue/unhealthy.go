package issue

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/connectlink/connectlink/config"
	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/postgres"
	"github.com/connectlink/connectlink/internal/quota"
	"github.com/connectlink/connectlink/internal/store/find"
	"github.com/connectlink/connectlink/internal/store/ledger"
	"github.com/connectlink/connectlink/internal/store/userid"
)

// reconnectsWithin is the time in which a person gets at most a project's number of
// invites to reconnect.
const reconnectsWithin = 7 * 24 * time.Hour

// Why no invite to reconnect was made, beside the reasons for suppressed addresses and
// those of other automatic messages; for the timeline.
const (
	skippedByPolicy   = "policy"     // the project no longer wants it
	skippedNoMessage  = "no_message" // the invite was shown by the product, so nothing can be sent
	skippedEnough     = "max_reconnects_per_person"
	skippedOpenInvite = "active_invite_exists"
)

// dueToUnhealthy is the outcome of the event of an invite that was made because an
// account stopped working.
const dueToUnhealthy = "on_unhealthy"

// ReconnectUnhealthy makes an invite for each account that became unhealthy, where its
// project wants that, and returns their number. Like reminders they go to no
// suppressed address, and in live mode not in the recipient's night; a person gets at
// most the project's number in a week. An invite, the mark that it is made, and both
// timelines are one transaction, so a process that dies leaves one invite or none.
func (s *Service) ReconnectUnhealthy(ctx context.Context) (int, error) {
	made := 0
	for {
		var lane invite.Lane
		found := false
		err := postgres.InTx(ctx, s.p.DB, func(tx pgx.Tx) (err error) {
			lane = invite.Lane{}
			var d ledger.ReconnectDue
			// One in each transaction: two that lock the same persons in another order
			// would wait for each other.
			if d, found, err = ledger.LockReconnect(ctx, tx); err != nil || !found {
				return err
			}
			lane, err = s.reconnectUnhealthy(ctx, tx, d)
			return err
		})
		if err != nil {
			return made, fmt.Errorf("reconnect unhealthy accounts: %w", err)
		}
		if !found {
			return made, nil
		}
		if lane != (invite.Lane{}) {
			s.p.Wake(lane)
			made++
		}
	}
}

func (s *Service) reconnectUnhealthy(ctx context.Context, tx pgx.Tx, d ledger.ReconnectDue) (lane invite.Lane, err error) {
	due, err := ledger.SetReconnectTaken(ctx, tx, d.Connection)
	if err != nil || !due {
		return lane, err
	}
	project, ok := s.p.Project(d.Project)
	if !ok || project.OnUnhealthy != config.UnhealthyInvite {
		return lane, s.skipReconnect(ctx, tx, d, invite.Data{Outcome: skippedByPolicy})
	}
	inv, err := find.Any(ctx, tx, d.InviteID)
	if err != nil {
		return lane, err
	}
	if inv.Channel == invite.LinkOnly {
		return lane, s.skipReconnect(ctx, tx, d, invite.Data{Outcome: skippedNoMessage})
	}
	m, err := s.moment(ctx, tx, dueNow(inv))
	switch {
	case err != nil:
		return lane, err
	case m.never != nil:
		return lane, s.skipReconnect(ctx, tx, d, *m.never)
	case m.wait > 0:
		return lane, ledger.SetReconnectLater(ctx, tx, d.Connection, m.wait)
	}
	user, err := inv.OpenUser(s.p.Box, inv.ID)
	if err != nil {
		s.p.Log.ErrorContext(ctx, "an invite whose account is unhealthy cannot be read", "invite", inv.ID.String(), "error", err)
		return lane, ledger.SetReconnectLater(ctx, tx, d.Connection, time.Hour)
	}
	if why, err := s.noReconnect(ctx, tx, inv, user, project.MaxReconnects); err != nil || why != "" {
		if err == nil {
			err = s.skipReconnect(ctx, tx, d, invite.Data{Outcome: why})
		}
		return lane, err
	}
	row, err := s.reconnectRow(inv, d, user, project)
	if err != nil {
		return lane, err
	}
	if err := ledger.EnsureLane(ctx, tx, row.Delivery.Lane); err != nil {
		return lane, err
	}
	row.Uses = s.p.Uses(quota.Message{Place: inv.Place, Channel: inv.Channel, Address: m.to.Address(inv.Channel), User: row.UserHash})
	public, err := s.p.Announce(func(at time.Time) find.Invite {
		return fresh(row, ledger.Inserted{CreatedAt: at, ExpiresAt: expiry(row, at)})
	})
	if err != nil {
		return lane, err
	}
	row.Public = &public
	err = pgx.BeginFunc(ctx, tx, func(tx pgx.Tx) error {
		_, err := ledger.Insert(ctx, tx, []ledger.New{row})
		return err
	})
	var over *ledger.LimitError
	if errors.As(err, &over) { // a sending limit: as with reminders, when it allows another
		return lane, ledger.SetReconnectLater(ctx, tx, d.Connection, over.FreeIn)
	}
	if err != nil {
		return lane, err
	}
	return row.Delivery.Lane, s.linkReconnect(ctx, tx, row)
}

// dueNow describes the message of an invite that would be made now, with all of its
// time left.
func dueNow(inv find.Invite) ledger.Due {
	return ledger.Due{
		Place: inv.Place, ID: inv.ID, Status: inv.Status, Channel: inv.Channel, Content: inv.Content,
		ExpiresInS: inv.ExpiresInS, ValidForS: inv.ValidForS, Now: inv.Now, GivesUpAt: inv.Now.Add(invite.MaxValidFor + 2*24*time.Hour),
	}
}

// noReconnect returns why a person gets no (further) invite, or nothing.
func (s *Service) noReconnect(ctx context.Context, tx pgx.Tx, inv find.Invite, user string, most int) (string, error) {
	if err := ledger.LockPerson(ctx, tx, s.p.Box, inv.Place, user, ""); err != nil {
		return "", err
	}
	n, err := ledger.CountReconnects(ctx, tx, s.p.Box, inv.Place, user, reconnectsWithin)
	if err != nil {
		return "", err
	}
	if n >= most {
		return skippedEnough, nil
	}
	open, err := find.ListActive(ctx, tx, find.NewUser(s.p.Box, inv.Place, user), inv.AppSlug, inv.ID)
	if err != nil {
		return "", err
	}
	if len(open) > 0 {
		return skippedOpenInvite, nil
	}
	return "", nil
}

func (s *Service) skipReconnect(ctx context.Context, tx pgx.Tx, d ledger.ReconnectDue, data invite.Data) error {
	data.AccountID = d.AccountID
	return s.append(ctx, tx, d.InviteID, invite.Event{
		Type: invite.EventReconnectSkipped, Actor: invite.Actor{Kind: invite.ActorSystem, ID: dueToUnhealthy}, Data: data,
	})
}

// reconnectRow is the invite that asks for an unhealthy account again. Its link is
// minted when its message is sent, as no network may be waited for here.
func (s *Service) reconnectRow(inv find.Invite, d ledger.ReconnectDue, user string, project config.Project) (ledger.New, error) {
	content, err := find.Open(s.p.Box, inv.ID, inv.Content)
	if err != nil {
		return ledger.New{}, err
	}
	content.Inviter, content.Note = "", "" // of the first time
	limitText(&content, project)
	id := invite.New[invite.ID]()
	sealed, err := s.sealContent(id, content)
	if err != nil {
		return ledger.New{}, err
	}
	_, code, err := s.newCode()
	if err != nil {
		return ledger.New{}, err
	}
	hash := userid.Hash(s.p.Box, inv.Place, user)
	columns := userid.Columns{UserText: user}
	if inv.SealedUser != nil || project.SealExternalUserID {
		if columns, err = userid.Seal(s.p.Box, id, user, hash); err != nil {
			return ledger.New{}, err
		}
	}
	account := d.AccountID
	if d.Reason == invite.AccountDeleted {
		account = "" // a new one is connected
	}
	var lasts time.Duration
	if inv.ValidForS != nil {
		lasts = time.Duration(*inv.ValidForS) * time.Second
	}
	return ledger.New{
		ID: id, Place: inv.Place, Environment: inv.Environment, Status: invite.Pending, Channel: inv.Channel, LinkType: inv.LinkType,
		InitiatedBy: invite.ByProduct, ExternalUserID: columns.UserText, SealedUserID: columns.SealedUser, UserHash: hash,
		App:        invite.App{Slug: inv.AppSlug, Name: inv.AppName, LogoURL: inv.AppLogoURL, AuthType: inv.AppAuthType},
		OAuthAppID: inv.OAuthAppID, Content: sealed, ExpiresIn: time.Duration(inv.ExpiresInS) * time.Second, ValidFor: lasts,
		CreatedBy: d.CreatedBy, Verify: inv.Verify, Kind: invite.PurposeReconnect, ReconnectAccount: account, ReconnectOf: inv.ID,
		Delivery: &ledger.Delivery{ID: invite.New[invite.DeliveryID](), Number: 1, Channel: inv.Channel, Kind: invite.KindFirst, Lane: inv.Lane(inv.Channel)},
		Code:     code, Terms: ledger.Terms(s.p.Box, inv.Place, content),
		Event: invite.Event{
			ID: invite.New[invite.EventID](), Type: invite.EventCreated, Actor: invite.Actor{Kind: invite.ActorSystem, ID: dueToUnhealthy},
			Data: invite.Data{Channel: inv.Channel, OtherInvite: inv.ID.String(), Outcome: dueToUnhealthy},
		},
	}, nil
}
