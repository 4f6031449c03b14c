package track

import (
	"context"
	"crypto/sha256"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/secret"
	"github.com/connectlink/connectlink/internal/store/ledger"
	"github.com/connectlink/connectlink/internal/store/suppression"
	"github.com/connectlink/connectlink/internal/twilio"
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
	if err := t.keep(ctx, tx, twilioName, invite.ID{}, c.Raw); err != nil {
		return err
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
