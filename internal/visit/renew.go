package visit

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/connectlink/connectlink/internal/access"
	"github.com/connectlink/connectlink/internal/compose"
	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/seal"
	"github.com/connectlink/connectlink/internal/secret"
	"github.com/connectlink/connectlink/internal/store/find"
	"github.com/connectlink/connectlink/internal/store/ledger"
)

const (
	// renewalsPerDay and renewalPause limit the messages that a holder of an
	// old link can cause.
	renewalsPerDay = 3
	renewalPause   = 2 * time.Minute
)

// isRenewable reports whether the page of a code offers a new link.
func isRenewable(row ledger.Coded, c invite.Content) bool {
	return row.Via != nil && row.Lane != nil && compose.IsRenewable(string(stateOf(row)), row.LinkType, invite.Channel(*row.Via), c.Recipient)
}

// Renew sends a new link to the recorded recipient only, by the channel of the
// opened link. The page is Sent for every outcome, so that it discloses
// nothing about an address. A link that has not ended gives its own page.
//
// The fresh message's link works; this code, and those before it, do not come
// back to life, because to ask takes no more than having seen an old message.
func (s *Service) Renew(ctx context.Context, code secret.Text) (Page, error) {
	row, ok, err := s.find(ctx, code)
	if err != nil || !ok {
		return Page{State: Unknown}, err
	}
	page, err := s.page(row)
	if err != nil || !page.CanRenew {
		return page, err
	}
	var why string
	err = s.inTx(ctx, func(tx pgx.Tx) error {
		var err error
		why, err = s.renew(ctx, tx, code)
		return err
	})
	if err != nil {
		return Page{}, fmt.Errorf("renew invite %s: %w", row.ID, err)
	}
	if why == "" {
		s.p.Wake(*row.Lane)
	}
	s.p.Log.InfoContext(ctx, "a recipient asked for a new link", "invite_id", row.ID.String(), "refused", why)
	page.State = Sent
	return page, nil
}

// renewal is a permitted renewal: the invite, and the recipient of the message.
type renewal struct {
	ledger.Locked
	ledger.Renewable
	channel invite.Channel
	lane    invite.Lane
	to      Address
}

// renew sends the new link, or returns the reason against it, for the log.
func (s *Service) renew(ctx context.Context, tx pgx.Tx, code secret.Text) (string, error) {
	row, ok, err := s.findIn(ctx, tx, code)
	if err != nil || !ok {
		return "gone", err
	}
	id, err := ledger.LatestOf(ctx, tx, row.ID)
	if err != nil {
		return "", err
	}
	r := renewal{}
	if r.Locked, err = ledger.Lock(ctx, tx, id); err != nil {
		return "", err
	}
	// Read again under the lock: a resend or a correction may just have been.
	if row, ok, err = s.findIn(ctx, tx, code); err != nil || !ok {
		return "gone", err
	}
	asked, err := find.Open(s.p.Box, row.ID, row.Content)
	if err != nil {
		return "", err
	}
	if !isRenewable(row, asked) {
		return "not over", nil
	}
	if r.Renewable, err = ledger.GetRenewable(ctx, tx, id); err != nil {
		return "", err
	}
	r.channel, r.lane = invite.Channel(*row.Via), *row.Lane
	if why, err := s.hindrance(ctx, tx, &r, asked); why != "" || err != nil {
		return why, err
	}
	ok, err = s.withinLimits(ctx, tx, r.ID, func(tx pgx.Tx) error { return s.storeRenewal(ctx, tx, r) })
	if !ok && err == nil {
		return "a sending limit is reached", nil
	}
	return "", err
}

// hindrance returns the reason why nothing is sent; empty if there is
// none.
func (s *Service) hindrance(ctx context.Context, tx pgx.Tx, r *renewal, asked invite.Content) (string, error) {
	status := r.State.Status
	if status == invite.Connected || status == invite.Revoked || status == invite.Scheduled || r.Content == nil {
		return "the invite is " + string(status), nil
	}
	content, err := find.Open(s.p.Box, r.ID, r.Content)
	if err != nil {
		return "", err
	}
	address := content.Recipient.Address(r.channel)
	if address == "" || address != asked.Recipient.Address(r.channel) || r.LinkType != invite.InviteLink {
		// The newer invite belongs to another person: an old link must not cause a
		// message to them.
		return "the newer invite has another recipient", nil
	}
	for _, d := range r.State.Deliveries {
		if d.Channel != r.channel {
			continue
		}
		if d.Status == invite.Complained || d.Reason == invite.OptedOut || d.Reason == invite.MarkedSpam {
			return "the recipient wants no messages", nil
		}
		if d.Status == invite.Queued || d.Status == invite.Sending {
			return "a message is on its way", nil
		}
	}
	day, lately, err := ledger.CountRenewals(ctx, tx, r.ID, renewalPause)
	if err != nil {
		return "", err
	}
	if day >= renewalsPerDay || lately > 0 {
		return "too often", nil
	}
	r.to = Address{InviteID: r.ID, Place: r.Place, Channel: r.channel, To: secret.New(address)}
	blocked, err := s.p.Suppressions.Suppressed(ctx, tx, r.to)
	if err != nil {
		return "", fmt.Errorf("look for a suppression: %w", err)
	}
	if blocked {
		return "the address is suppressed", nil
	}
	return "", nil
}

// storeRenewal gives the invite a new life and queues the message. The connect
// link is left to dispatch, so that the page answers at once.
func (s *Service) storeRenewal(ctx context.Context, tx pgx.Tx, r renewal) error {
	if overdue := !r.State.GivesUpAt.After(r.Now); overdue && r.State.Status.Open() {
		// The invite expired but was not swept yet: the timeline records the
		// expiry first.
		if err := s.record(ctx, tx, r.ID, invite.Event{Type: invite.EventExpired, Actor: invite.Actor{Kind: invite.ActorSystem}}); err != nil {
			return err
		}
	}
	if err := ledger.DropLinks(ctx, tx, r.ID); err != nil {
		return err
	}
	if err := ledger.SetReopened(ctx, tx, r.ID); err != nil {
		return err
	}
	delivery := ledger.Delivery{
		ID: invite.New[invite.DeliveryID](), Number: len(r.State.Deliveries) + 1, Channel: r.channel, Kind: "resend", Lane: r.lane,
	}
	if err := ledger.InsertDelivery(ctx, tx, r.ID, delivery, s.uses(r.to, delivery.Kind)); err != nil {
		return err
	}
	fresh, err := s.newCode()
	if err != nil {
		return err
	}
	if err := ledger.InsertCode(ctx, tx, r.ID, delivery.ID, fresh); err != nil {
		return err
	}
	renewed := invite.Event{Type: invite.EventRenewed, Actor: recipientActor(), Data: invite.Data{Channel: r.channel, Source: "page"}}
	if ends := r.Now.Add(r.ValidFor); r.ValidFor > 0 {
		renewed.Data.ExpiresAt = &ends
	} else {
		givesUp := r.Now.Add(r.ExpiresIn)
		renewed.Data.GivesUpAt = &givesUp // until there is a token whose end is the invite's
	}
	return s.record(ctx, tx, r.ID, renewed, invite.Event{
		Type: invite.EventDeliveryQueued, Actor: recipientActor(), DeliveryID: delivery.ID, Data: invite.Data{Channel: r.channel},
	})
}

func (s *Service) newCode() (ledger.Code, error) {
	code := access.NewCode()
	row := ledger.Code{ID: invite.New[invite.EventID]().UUID(), Digest: secret.Digest(code)}
	var err error
	if row.Sealed, err = s.p.Box.Seal([]byte(code.Reveal()), seal.AD{Column: "codes.code", ID: row.ID}); err != nil {
		return row, fmt.Errorf("seal a code: %w", err)
	}
	return row, nil
}

// isReportable reports whether it makes sense to say "this isn't for me" there.
func isReportable(s State) bool { return compose.IsReportable(string(s)) }
