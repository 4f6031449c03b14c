package issue

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/connectlink/connectlink/config"
	"github.com/connectlink/connectlink/internal/access"
	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/mint"
	"github.com/connectlink/connectlink/internal/postgres"
	"github.com/connectlink/connectlink/internal/seal"
	"github.com/connectlink/connectlink/internal/secret"
	"github.com/connectlink/connectlink/internal/store/find"
	"github.com/connectlink/connectlink/internal/store/ledger"
)

// waitForPrevious is when to ask again while the message before has not left yet.
const waitForPrevious = 5 * time.Second

// resend is a ResendRequest applied to an invite: what will be true if it is stored.
type resend struct {
	inv       find.Invite
	user      string // the external user
	channel   invite.Channel
	content   invite.Content
	corrected bool // the address changed: earlier links must stop working
	link      *ledger.Link
	code      ledger.Code
	lasts     time.Duration // of the invite, from now on; 0: as long as its new link
}

// Resend sends an invite again, by another channel or to a corrected address
// if the request says so, and renews its life; an end that Extend moved further stays. Errors, as *invite.Error:
// invite_not_found, invite_not_resendable, resend_too_soon, faults,
// token_mint_failed, idempotency_key_reused.
func (s *Service) Resend(ctx context.Context, p access.Principal, id invite.ID, req ResendRequest, meta Meta) (Answer, error) {
	project, err := s.project(p)
	if err != nil {
		return Answer{}, err
	}
	a, err := s.once(ctx, p, meta, req, nil, func(ctx context.Context, idem *ledger.Idempotency) (Answer, error) {
		inv, err := find.Get(ctx, s.p.DB, p.Place, id)
		if err != nil {
			return Answer{}, notFound(err, id)
		}
		if p.Kind == access.KindStaff {
			p.Environment = inv.Environment
		}
		if err := asSeen(ctx, s.p.DB, id, meta); err != nil {
			return Answer{}, err
		}
		r, err := s.planResend(p, project, inv, req)
		if err != nil {
			return Answer{}, err
		}
		if err := s.refused.find(s.uses(p, r.channel, r.content.Recipient, r.user)); err != nil {
			return Answer{}, err
		}
		if err := s.pausedResend(p, r); err != nil {
			return Answer{}, err
		}
		b := s.block(p, r.channel, r.content.Recipient)
		if err := s.read(ctx, b.ask); err != nil {
			return Answer{}, err
		}
		if err := b.err(); err != nil {
			return Answer{}, err
		}
		if err := s.mintResend(ctx, p, &r); err != nil {
			return Answer{}, err
		}
		lane := p.Lane(r.channel)
		if r.channel != invite.LinkOnly {
			if err := s.lanes.ensure(ctx, s.p.DB, lane); err != nil {
				return Answer{}, err
			}
		}
		err = postgres.InTx(ctx, s.p.DB, func(tx pgx.Tx) error { return s.storeResend(ctx, tx, p, r, lane, idem, meta) })
		if errors.Is(err, errTwin) {
			return s.replay(ctx, p, *idem, meta)
		}
		err = s.refused.note(err)
		if err != nil {
			return Answer{}, err
		}
		s.p.Wake(lane)
		out, err := s.present(ctx, p, id)
		return Answer{Invite: out, Outcome: ledger.Existing}, err
	})
	if err == nil {
		a.Warnings = changedByResend(req, project)
	}
	return a, err
}

// errTwin rolls a transaction back whose Idempotency-Key a twin took first.
var errTwin = errors.New("a twin was first")

func (s *Service) planResend(p access.Principal, project config.Project, inv find.Invite, req ResendRequest) (resend, error) {
	if err := resendable(inv.ID, inv.Status); err != nil {
		return resend{}, err
	}
	content, err := find.Open(s.p.Box, inv.ID, inv.Content)
	if errors.Is(err, find.ErrUnreadable) {
		s.p.Log.Error("an invite cannot be read", "invite", inv.ID.String(), "error", err)
		return resend{}, invite.Errorf(invite.CodeNotResendable,
			"The recipient of invite %s cannot be read: what was stored is damaged, or its key is no longer in the keyset. Make a new invite.", inv.ID)
	}
	if err != nil {
		return resend{}, err
	}
	user, err := inv.OpenUser(s.p.Box, inv.ID)
	if err != nil {
		s.p.Log.Error("an invite cannot be read", "invite", inv.ID.String(), "error", err)
		return resend{}, invite.Errorf(invite.CodeNotResendable,
			"The external_user_id of invite %s cannot be read: what was stored is damaged, or its key is no longer in the keyset. Make a new invite.", inv.ID)
	}
	r := resend{inv: inv, user: user, channel: inv.Channel}
	var f faults
	if req.Channel != "" {
		oneOf(&f, "/channel", req.Channel, false, invite.ChannelNames(invite.AllChannels())...)
		r.channel = invite.Channel(req.Channel)
	}
	if r.channel == invite.LinkOnly && inv.Verify == invite.VerifyCode {
		f.add("/channel", invite.FaultNotAllowed, "this invite asks for a code, which is sent by the channel by which the link came; with channel link nothing is sent")
	}
	was := content.Recipient
	next := corrected(was, req.Recipient)
	content.Recipient = recipient(&f, &next, r.channel, p, project)
	if req.Note != "" {
		content.Note = shown(&f, "/note", req.Note, maxNote)
	}
	limitText(&content, project)
	if err := f.err(); err != nil {
		return resend{}, err
	}
	r.corrected = was.Email != "" && was.Email != content.Recipient.Email || was.Phone != "" && was.Phone != content.Recipient.Phone
	r.content = content
	if !r.corrected && stillLeaving(inv, r.channel) {
		e := invite.Errorf(invite.CodeResendTooSoon, "The previous message has not been sent yet.")
		e.RetryAfterS = int(waitForPrevious.Seconds())
		return resend{}, e
	}
	if err := tooSoon(p, inv, r.channel); err != nil && !r.corrected {
		return resend{}, err
	}
	if err := tooOften(p, project, inv); err != nil {
		return resend{}, err
	}
	_, r.code, err = s.newCode()
	if inv.ValidForS != nil {
		r.lasts = time.Duration(*inv.ValidForS) * time.Second
	}
	return r, err
}

func resendable(id invite.ID, status invite.Status) error {
	if slices.Contains([]invite.Status{invite.Pending, invite.Active, invite.Expired, invite.Failed}, status) {
		return nil
	}
	return invite.Errorf(invite.CodeNotResendable, "Invite %s is %s, so it cannot be resent.", id, status)
}

func stillLeaving(inv find.Invite, channel invite.Channel) bool {
	if inv.DeliveryID.IsZero() || *inv.DeliveryChannel != string(channel) {
		return false
	}
	status := invite.DeliveryStatus(*inv.DeliveryStatus)
	return status == invite.Queued || status == invite.Sending
}

// corrected merges the request's values with the recorded ones.
func corrected(was invite.Recipient, r *RecipientRequest) RecipientRequest {
	out := RecipientRequest{Email: was.Email, Phone: was.Phone, Name: was.Name, Locale: was.Locale, TimeZone: was.TimeZone}
	if was.SMSConsent != nil {
		out.SMSConsent = &ConsentRequest{Source: was.SMSConsent.Source, ObtainedAt: was.SMSConsent.ObtainedAt}
	}
	if r == nil {
		return out
	}
	for _, m := range []struct{ to, from *string }{
		{&out.Email, &r.Email}, {&out.Phone, &r.Phone}, {&out.Name, &r.Name}, {&out.Locale, &r.Locale}, {&out.TimeZone, &r.TimeZone},
	} {
		if *m.from != "" {
			*m.to = *m.from
		}
	}
	if r.SMSConsent != nil {
		out.SMSConsent = r.SMSConsent
	}
	return out
}

// mintResend gets a new link where the held one will not do: always without
// valid_for, because then the invite's new end is the token's.
func (s *Service) mintResend(ctx context.Context, p access.Principal, r *resend) error {
	held := r.inv.LinkURL != nil && r.inv.LinkExpiresAt != nil &&
		invite.EnoughLeft(time.Duration(r.inv.ExpiresInS)*time.Second, r.inv.LinkExpiresAt.Sub(r.inv.Now))
	if held && r.lasts > 0 && !r.corrected {
		return nil
	}
	minter, err := s.minter(p)
	if err != nil {
		return err
	}
	code, err := s.p.Box.Open(r.code.Sealed, seal.AD{Column: "codes.code", ID: r.code.ID})
	if err != nil {
		return err
	}
	minted, err := minter.Mint(ctx, mint.Request{
		InviteID: r.inv.ID, ExternalUserID: r.user, App: r.inv.AppSlug, OAuthAppID: r.inv.OAuthAppID, AccountID: r.inv.ReconnectAccount,
		ExpiresIn: time.Duration(r.inv.ExpiresInS) * time.Second, Code: secret.New(string(code)), ReturnURL: r.content.ReturnURL,
	})
	if errors.Is(err, mint.ErrPassing) {
		s.p.Log.WarnContext(ctx, "mint postponed", "invite", r.inv.ID.String(), "error", err)
		return nil
	}
	if err != nil {
		return err
	}
	r.link = &minted.Link
	return nil
}

func (s *Service) storeResend(ctx context.Context, tx pgx.Tx, p access.Principal, r resend, lane invite.Lane, idem *ledger.Idempotency, meta Meta) error {
	key, err := asker(p)
	if err != nil {
		return fmt.Errorf("resend: principal: %w", err)
	}
	if idem != nil {
		idem.Outcome = ledger.Existing
		first, err := ledger.InsertAnswered(ctx, tx, key, r.inv.ID, *idem)
		if err != nil {
			return err
		}
		if !first {
			return errTwin
		}
	}
	l, err := ledger.Lock(ctx, tx, r.inv.ID)
	if err != nil {
		return err
	}
	// It may have ended, or been resent by another request, during the mint.
	if err := resendable(r.inv.ID, l.State.Status); err != nil {
		return err
	}
	if l.State.ResendCount != r.inv.ResendCount {
		e := invite.Errorf(invite.CodeResendTooSoon, "The invite was resent by another request just now.")
		e.RetryAfterS = int(waitForPrevious.Seconds())
		return e
	}
	// Nothing may have come between what the asker saw and now, under the lock.
	if err := asSeen(ctx, tx, r.inv.ID, meta); err != nil {
		return err
	}
	by := actor(p)
	var events []invite.Event
	if r.corrected {
		if err := ledger.RetireCodes(ctx, tx, r.inv.ID); err != nil {
			return err
		}
		if err := ledger.DropLinks(ctx, tx, r.inv.ID); err != nil {
			return err
		}
		// Recorded before the new delivery exists: it cancels what waits.
		if _, err := ledger.Append(ctx, tx, s.p.Box, r.inv.ID, invite.Event{Type: invite.EventAddressCorrected, Actor: by, Data: invite.Data{Bulk: meta.part.bulk()}}); err != nil {
			return err
		}
	}
	if err := s.storeContent(ctx, tx, p, r); err != nil {
		return err
	}
	resent := invite.Event{Type: invite.EventResent, Actor: by, Data: invite.Data{Channel: r.channel, RequestID: meta.RequestID, Bulk: meta.part.bulk()}}
	resent.Data.HasLink = r.link != nil || (r.inv.LinkURL != nil && !r.corrected)
	ends := l.Now.Add(r.lasts)
	if r.link != nil {
		linkEnds, err := ledger.InsertLink(ctx, tx, r.inv.ID, *r.link)
		if err != nil {
			return err
		}
		events = append(events, invite.Event{
			Type: invite.EventLinkMinted, Actor: invite.Actor{Kind: invite.ActorSystem}, LinkID: r.link.ID,
			Data: invite.Data{LinkExpires: &linkEnds},
		})
		if r.lasts == 0 {
			ends = linkEnds
		}
	}
	givesUp := l.Now.Add(time.Duration(r.inv.ExpiresInS) * time.Second)
	switch extended := l.State.ExpiresAt; {
	case r.lasts > 0 || r.link != nil:
		if extended.After(ends) {
			ends = extended
		}
		resent.Data.ExpiresAt = &ends
	case extended.After(givesUp):
		resent.Data.ExpiresAt = &extended
	default:
		resent.Data.GivesUpAt = &givesUp
	}
	events = append(events, resent)
	delivery, err := s.storeDelivery(ctx, tx, p, r, l, lane)
	if err != nil {
		return err
	}
	if !delivery.ID.IsZero() {
		events = append(events, invite.Event{
			Type: invite.EventDeliveryQueued, Actor: by, DeliveryID: delivery.ID, Data: invite.Data{Channel: r.channel},
		})
	}
	applied, err := ledger.Append(ctx, tx, s.p.Box, r.inv.ID, events...)
	if err != nil {
		return err
	}
	act := access.ActResend
	if r.corrected {
		act = access.ActCorrect
	}
	if err := meta.record(ctx, tx, p, act, r.inv.ID, map[string]string{"channel": string(r.channel)}); err != nil {
		return err
	}
	return s.p.Publish(ctx, tx, applied)
}

func (s *Service) storeContent(ctx context.Context, tx pgx.Tx, p access.Principal, r resend) error {
	sealed, err := s.sealContent(r.inv.ID, r.content)
	if err != nil {
		return err
	}
	var hashes [][]byte
	for _, h := range ledger.Terms(s.p.Box, p.Place, r.content) {
		hashes = append(hashes, h)
	}
	if err := ledger.SetContent(ctx, tx, r.inv.ID, sealed, hashes); err != nil {
		return err
	}
	return ledger.SetReopened(ctx, tx, r.inv.ID)
}

// storeDelivery queues the new message, if there is one, and gives it a code of its own.
func (s *Service) storeDelivery(ctx context.Context, tx pgx.Tx, p access.Principal, r resend, l ledger.Locked, lane invite.Lane) (ledger.Delivery, error) {
	var d ledger.Delivery
	if r.channel != invite.LinkOnly {
		d = ledger.Delivery{
			ID: invite.New[invite.DeliveryID](), Number: len(l.State.Deliveries) + 1, Channel: r.channel, Kind: "resend", Lane: lane,
		}
		if err := ledger.InsertDelivery(ctx, tx, r.inv.ID, d, s.uses(p, r.channel, r.content.Recipient, r.user)); err != nil {
			return d, err
		}
	}
	return d, ledger.InsertCode(ctx, tx, r.inv.ID, d.ID, r.code)
}
