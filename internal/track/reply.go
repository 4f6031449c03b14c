package track

import (
	"context"
	"crypto/sha256"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/connectlink/connectlink/internal/contact"
	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/provider/twilio"
	"github.com/connectlink/connectlink/internal/secret"
	"github.com/connectlink/connectlink/internal/store/ledger"
	"github.com/connectlink/connectlink/internal/store/suppression"
)

// Reply takes a text message that a person sent to a project's sender. STOP
// keeps the number from being texted by that sender, whichever project asks,
// and START undoes it. Twilio answers both by itself, so nothing is to be
// answered here. A nil error means that it is stored, or was before. Errors:
// ErrUnknown, ErrForged, ErrMalformed, and those of the database.
func (t *Tracker) Reply(ctx context.Context, c Text) error {
	verifier, ok := t.p.Twilio(c.Project, c.Livemode)
	if !ok {
		return ErrUnknown
	}
	if err := verifier.Verify(c.RequestURI, c.ContentType, c.Raw, c.Signature); err != nil {
		return ErrForged
	}
	form, err := twilio.ParseBody(c.Raw)
	if err != nil {
		return ErrMalformed
	}
	in, err := twilio.ParseInbound(form)
	if err != nil {
		return ErrMalformed
	}
	err = t.inTx(ctx, func(tx pgx.Tx) error { return t.reply(ctx, tx, c, in) })
	if err != nil {
		return fmt.Errorf("take a reply: %w", err)
	}
	return nil
}

func (t *Tracker) reply(ctx context.Context, tx pgx.Tx, c Text, in twilio.Inbound) error {
	key := sha256.Sum256(fmt.Appendf(nil, "reply %s %t %s", c.Project, c.Livemode, in.MessageSID))
	fresh, err := ledger.Guard(ctx, tx, twilioName, key[:])
	if err != nil || !fresh {
		return err
	}
	about, err := t.repliedTo(ctx, tx, c, in)
	if err != nil {
		return err
	}
	if err := t.keep(ctx, tx, twilioName, about.InviteID, c.Raw); err != nil {
		return err
	}
	if !about.ID.IsZero() {
		if err := t.noteReply(ctx, tx, about, in); err != nil {
			return err
		}
	}
	scope := suppression.Scope{ProjectID: c.Project, Livemode: c.Livemode, Sender: t.sender(c, in)}
	switch in.Keyword {
	case twilio.Stop:
		_, _, err = suppression.Insert(ctx, tx, t.p.Box, scope, suppression.New{
			Channel: invite.SMS, Kind: invite.OptOut, Address: in.From, Source: suppression.FromReply, By: "STOP",
		})
	case twilio.Start:
		keys := suppression.Keys(t.p.Box, scope, invite.SMS, in.From.Reveal())
		_, err = suppression.SetLifted(ctx, tx, t.p.Box, keys, true, "START", secret.Text{})
	case twilio.Help:
	}
	return err
}

// repliedFor is how long after a text a reply is taken to be about its invite.
const repliedFor = 31 * 24 * time.Hour

// repliedTo finds the last text that was sent to the person who replied; zero
// where there is none.
func (t *Tracker) repliedTo(ctx context.Context, tx pgx.Tx, c Text, in twilio.Inbound) (ledger.Attempt, error) {
	hashes := ledger.AddressTerms(t.p.Box, c.Project, c.Livemode, in.From.Reveal())
	if len(hashes) == 0 {
		return ledger.Attempt{}, nil
	}
	return ledger.FindAttemptTo(ctx, tx, twilioName, hashes, repliedFor)
}

// likeStop is the outcome of a reply that has a stop word in it and is none.
const likeStop = "like_stop"

// noteReply puts a reply on the timeline, so that what no rule understood is seen
// by a person.
func (t *Tracker) noteReply(ctx context.Context, tx pgx.Tx, about ledger.Attempt, in twilio.Inbound) error {
	outcome := string(in.Keyword)
	if in.LikeStop {
		outcome = likeStop
	}
	applied, err := ledger.Append(ctx, tx, t.p.Box, about.InviteID, invite.Event{
		Type: invite.EventReplied, Actor: invite.Actor{Kind: invite.ActorRecipient}, DeliveryID: about.DeliveryID, AttemptID: about.ID,
		Data:   invite.Data{Provider: twilioName, Channel: invite.SMS, Outcome: outcome, Source: fromCallback},
		Detail: secret.New(contact.Clean(in.Body.Reveal(), maxReply)),
	})
	if err != nil {
		return err
	}
	return t.p.Publish(ctx, tx, applied)
}

// maxReply bounds what is kept of a reply on the timeline: ten segments.
const maxReply = 1600

// sender is what the person wrote to: the project's configured one where the
// message came by it, else what the message itself names.
func (t *Tracker) sender(c Text, in twilio.Inbound) string {
	if s := t.p.Sender(c.Project, c.Livemode); s != "" && (s == in.Service || s == in.To) {
		return s
	}
	if in.Service != "" {
		return plainCode(in.Service)
	}
	return plainCode(in.To)
}
