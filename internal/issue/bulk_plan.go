package issue

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/connectlink/connectlink/config"
	"github.com/connectlink/connectlink/internal/access"
	"github.com/connectlink/connectlink/internal/contact"
	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/quota"
	"github.com/connectlink/connectlink/internal/store/bulk"
	"github.com/connectlink/connectlink/internal/store/find"
	"github.com/connectlink/connectlink/internal/store/ledger"
)

// plannedAtOnce is how many invites of a dry run are read at a time.
const plannedAtOnce = 200

// planned is an invite of a dry run.
type planned struct {
	item    bulk.Item
	channel invite.Channel // of the message; none where nothing is sent
	block   *block
	uses    []ledger.Use
}

func (pl *planned) leaveOut(reason string) {
	pl.item.State, pl.item.Reason = bulk.LeftOut, reason
}

// planItems makes the items of a dry run. Invites that do not exist are left out, and so are
// repetitions of one.
func (s *Service) planItems(ctx context.Context, p access.Principal, act bulk.Act, targets []BulkTarget) ([]*planned, error) {
	project, err := s.project(p)
	if err != nil {
		return nil, err
	}
	byID := make(map[invite.ID]BulkTarget, len(targets))
	var ids []invite.ID
	for _, t := range targets {
		if _, twice := byID[t.Invite]; !twice {
			byID[t.Invite] = t
			ids = append(ids, t.Invite)
		}
	}
	var out []*planned
	for len(ids) > 0 {
		part := ids[:min(plannedAtOnce, len(ids))]
		ids = ids[len(part):]
		invites, err := find.ListByID(ctx, s.p.DB, p.Place, part)
		if err != nil {
			return nil, err
		}
		var blocks []func(*pgx.Batch)
		from := len(out)
		for _, inv := range invites {
			pl, err := s.planItem(p, project, act, inv, byID[inv.ID])
			if err != nil {
				return nil, err
			}
			pl.item.Number = len(out) + 1
			out = append(out, pl)
			if pl.block != nil {
				blocks = append(blocks, pl.block.ask)
			}
		}
		if err := s.read(ctx, blocks...); err != nil {
			return nil, err
		}
		for _, pl := range out[from:] {
			if pl.block == nil || pl.item.State != bulk.Waiting {
				continue
			}
			if err := pl.block.err(); err != nil {
				pl.leaveOut(bulkReason(err, ""))
			}
		}
	}
	return out, s.forecast(ctx, out)
}

// planItem judges one invite by the rules of the single act.
func (s *Service) planItem(p access.Principal, project config.Project, act bulk.Act, inv find.Invite, t BulkTarget) (*planned, error) {
	pl := &planned{item: bulk.Item{ID: invite.New[invite.BulkItemID](), InviteID: inv.ID, Line: t.Line, State: bulk.Waiting}}
	if inv.ErasedAt != nil {
		pl.leaveOut(ReasonGone)
		return pl, nil
	}
	if act.Kind == bulk.Revoke {
		switch inv.Status { //nolint:exhaustive // the others can be revoked
		case invite.Connected:
			pl.leaveOut(ReasonConnected)
		case invite.Revoked:
			pl.leaveOut(ReasonRevoked)
		}
		return pl, nil
	}
	if act.Kind == bulk.Extend {
		now := invite.State{Status: inv.Status, ReplacedBy: inv.ReplacedBy.String(), GivesUpAt: inv.GivesUpAt}
		if err := extendable(inv, now, false, inv.Now, inv.Now.Add(time.Duration(act.ValidForS)*time.Second)); err != nil {
			pl.leaveOut(bulkReason(err, inv.Status))
		}
		return pl, nil
	}
	address := t.Address.Reveal()
	content, err := find.Open(s.p.Box, inv.ID, inv.Content)
	if err == nil && resendable(inv.ID, inv.Status) == nil {
		if reason := sameAsNow(act, inv, content, address); reason != "" {
			pl.leaveOut(reason)
			return pl, nil
		}
	}
	p.Environment = inv.Environment
	r, err := s.planResend(p, project, inv, bulkResend(act, address))
	if err == nil {
		err = s.pausedResend(p, r)
	}
	if err != nil {
		var e *invite.Error
		if !errors.As(err, &e) {
			return nil, fmt.Errorf("plan bulk act: invite %s: %w", inv.ID, err)
		}
		pl.leaveOut(bulkReason(err, inv.Status))
		return pl, nil
	}
	pl.channel = r.channel
	pl.block = s.block(p, r.channel, r.content.Recipient)
	pl.uses = s.uses(p, r.channel, r.content.Recipient, r.user)
	pl.item.Doubt = doubt(inv, content, r)
	if act.Kind == bulk.Correct {
		if pl.item.Address, err = s.p.Box.Seal([]byte(address), itemPlace(pl.item.ID)); err != nil {
			return nil, fmt.Errorf("seal a corrected address: %w", err)
		}
	}
	return pl, nil
}

// bulkResend is the request that an act makes for each of its invites.
func bulkResend(act bulk.Act, address string) ResendRequest {
	switch act.Kind {
	case bulk.Switch:
		return ResendRequest{Channel: string(act.Channel)}
	case bulk.Correct:
		field := fieldOf(address)
		req := ResendRequest{Recipient: &RecipientRequest{}}
		if field == invite.FieldPhone {
			req.Recipient.Phone = address
		} else {
			req.Recipient.Email = address
		}
		for _, ch := range invite.Channels() {
			if ch.Spec().Field == field {
				req.Channel = string(ch)
				break
			}
		}
		return req
	case bulk.Resend, bulk.Revoke, bulk.Extend:
	}
	return ResendRequest{}
}

// sameAsNow returns why an act would change nothing of an invite that can be resent; empty
// where it does.
func sameAsNow(act bulk.Act, inv find.Invite, content invite.Content, address string) string {
	switch act.Kind {
	case bulk.Resend:
		if !inv.Channel.Sends() {
			return ReasonNoMessage
		}
	case bulk.Switch:
		if inv.DeliveryChannel != nil && *inv.DeliveryChannel == string(act.Channel) {
			return ReasonSameChannel
		}
	case bulk.Correct:
		field := fieldOf(address)
		if was := field.Of(content.Recipient); was == address || field == invite.FieldEmail && contact.SearchEmail(was) == contact.SearchEmail(address) {
			return ReasonSameAddress
		}
	case bulk.Revoke, bulk.Extend:
	}
	return ""
}

// doubt returns what to look at again before the invite is changed; empty for nothing.
func doubt(inv find.Invite, was invite.Content, r resend) string {
	if !r.corrected {
		if inv.DeliveryReason == nil || *inv.DeliveryChannel != string(r.channel) {
			return ""
		}
		e, ok := invite.ExplainDelivery(invite.Reason(*inv.DeliveryReason), invite.DeliveryStatus(*inv.DeliveryStatus))
		if ok && e.Action == invite.CorrectAddress {
			return DoubtBounced
		}
		return ""
	}
	if r.channel.Spec().Field != invite.FieldEmail {
		return ""
	}
	now := r.content.Recipient.Email
	_, domain := contact.EmailParts(now)
	if _, slip := contact.SuggestDomain(domain); slip {
		return DoubtDomain
	}
	if contact.IsOtherMailbox(was.Recipient.Email, now) {
		return DoubtMailbox
	}
	return ""
}

// forecast leaves out the messages that the sending limits would refuse now, each after
// those before it.
func (s *Service) forecast(ctx context.Context, list []*planned) error {
	var counted []*planned
	var messages [][]ledger.Use
	for _, pl := range list {
		if pl.item.State == bulk.Waiting && len(pl.uses) > 0 {
			counted, messages = append(counted, pl), append(messages, pl.uses)
		}
	}
	if len(counted) == 0 {
		return nil
	}
	over, err := ledger.Forecast(ctx, s.p.DB, messages)
	if err != nil {
		return err
	}
	for i, e := range over {
		if e != nil {
			counted[i].leaveOut(ReasonLimitPrefix + quota.Name(e.Use.Scope, e.Measure))
		}
	}
	return nil
}

// costOf is the cost of a message as the limits count it.
func costOf(uses []ledger.Use) int64 {
	for _, u := range uses {
		if u.Scope == ledger.UseProject {
			return u.Cost
		}
	}
	return 0
}
