package track

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/connectlink/connectlink/internal/contact"
	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/provider"
	"github.com/connectlink/connectlink/internal/secret"
	"github.com/connectlink/connectlink/internal/store/ledger"
	"github.com/connectlink/connectlink/internal/store/suppression"
)

// Replies takes a post of messages that people sent to a project's senders. STOP
// keeps the number from being texted by that sender, whichever project asks, and
// START undoes it. It returns how the provider is answered. A nil error means that
// every message is stored, or was before. Errors: ErrUnknown, ErrForged,
// ErrMalformed, and those of the database.
func (t *Tracker) Replies(ctx context.Context, p provider.Post) (provider.Answer, error) {
	callbacks, ok := t.p.Callbacks(p.Provider, p.Place)
	if !ok {
		return provider.Answer{}, ErrUnknown
	}
	if err := callbacks.Verify(p); err != nil {
		return provider.Answer{}, ErrForged
	}
	replies, err := callbacks.Replies(p)
	if err != nil {
		return provider.Answer{}, ErrMalformed
	}
	of := origin{provider: p.Provider, Place: p.Place}
	for _, r := range replies {
		if err := t.inTx(ctx, func(tx pgx.Tx) error { return t.reply(ctx, tx, of, r) }); err != nil {
			return provider.Answer{}, fmt.Errorf("take a reply: %w", err)
		}
	}
	return callbacks.ReplyAnswer(), nil
}

func (t *Tracker) reply(ctx context.Context, tx pgx.Tx, of origin, in provider.Reply) error {
	fresh, err := ledger.Guard(ctx, tx, of.provider, of.guard("reply ", in.Key))
	if err != nil || !fresh {
		return err
	}
	about, err := t.repliedTo(ctx, tx, of, in)
	if err != nil {
		return err
	}
	if err := t.keep(ctx, tx, of.provider, about.InviteID, in.Raw); err != nil {
		return err
	}
	if !about.ID.IsZero() {
		if err := t.noteReply(ctx, tx, of, about, in); err != nil {
			return err
		}
	}
	scope := suppression.Scope{Place: of.Place, Senders: []string{t.sender(of, in)}}
	switch in.Keyword {
	case provider.Stop:
		_, _, err = suppression.Insert(ctx, tx, t.p.Box, scope, suppression.New{
			Channel: in.Channel, Kind: invite.OptOut, Address: in.From, Source: suppression.FromReply, By: "STOP",
			// Their number may be corrected later: an erasure finds the block by the invite.
			InviteID: about.InviteID,
		})
	case provider.Start:
		keys := suppression.Keys(t.p.Box, scope, in.Channel, in.From.Reveal())
		_, err = suppression.SetLifted(ctx, tx, t.p.Box, keys, true, "START", secret.Text{})
	case provider.Help:
	}
	return err
}

// repliedFor is how long after a text a reply is taken to be about its invite.
const repliedFor = 31 * 24 * time.Hour

// repliedTo finds the last text that was sent to the person who replied; zero
// where there is none.
func (t *Tracker) repliedTo(ctx context.Context, tx pgx.Tx, of origin, in provider.Reply) (ledger.Attempt, error) {
	hashes := ledger.AddressTerms(t.p.Box, of.Place, in.From.Reveal())
	if len(hashes) == 0 {
		return ledger.Attempt{}, nil
	}
	return ledger.FindAttemptTo(ctx, tx, of.provider, hashes, repliedFor)
}

// likeStop is the outcome of a reply that has a stop word in it and is none.
const likeStop = "like_stop"

// noteReply puts a reply on the timeline, so that what no rule understood is seen
// by a person.
func (t *Tracker) noteReply(ctx context.Context, tx pgx.Tx, of origin, about ledger.Attempt, in provider.Reply) error {
	outcome := string(in.Keyword)
	if in.LikeStop {
		outcome = likeStop
	}
	applied, err := ledger.Append(ctx, tx, t.p.Box, about.InviteID, invite.Event{
		Type: invite.EventReplied, Actor: invite.Actor{Kind: invite.ActorRecipient}, DeliveryID: about.DeliveryID, AttemptID: about.ID,
		Data:   invite.Data{Provider: of.provider, Channel: in.Channel, Outcome: outcome, Source: fromCallback},
		Detail: secret.New(contact.Clean(in.Body.Reveal(), maxReply)),
	})
	if err != nil {
		return err
	}
	return t.p.Publish(ctx, tx, applied)
}

// maxReply bounds the kept part of a reply on the timeline: ten segments.
const maxReply = 1600

// sender is what the person wrote to: the project's configured one where the
// message came by it, else what the message itself names.
func (t *Tracker) sender(of origin, in provider.Reply) string {
	for _, s := range t.p.Senders(of.Place) {
		if slices.Contains(in.To, s) {
			return s
		}
	}
	if len(in.To) == 0 {
		return ""
	}
	return plainCode(in.To[0])
}
