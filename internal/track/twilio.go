package track

import (
	"context"
	"crypto/sha256"
	"fmt"
	"net/url"

	"github.com/jackc/pgx/v5"

	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/store/ledger"
	"github.com/connectlink/connectlink/internal/twilio"
)

const twilioName = "twilio"

// Text is a status callback as it came. Invite and Attempt are the last parts
// of its path, which Twilio signed with the rest of the URL.
type Text struct {
	Project         string
	Livemode        bool
	Invite, Attempt string
	RequestURI      string // path and query as received
	ContentType     string
	Signature       string // X-Twilio-Signature
	Raw             []byte
}

// Twilio takes a status callback. A nil error means that it is stored, or was
// before. Errors: ErrUnknown, ErrForged, ErrMalformed, and those of the database.
func (t *Tracker) Twilio(ctx context.Context, c Text) error {
	verifier, ok := t.p.Twilio(c.Project, c.Livemode)
	if !ok {
		return ErrUnknown
	}
	if err := verifier.Verify(c.RequestURI, c.ContentType, c.Raw, c.Signature); err != nil {
		return ErrForged
	}
	form, err := url.ParseQuery(string(c.Raw))
	if err != nil {
		return ErrMalformed
	}
	status, err := twilio.ParseStatus(form)
	if err != nil {
		return ErrMalformed
	}
	var facts []fact
	err = t.inTx(ctx, func(tx pgx.Tx) error {
		var err error
		facts, err = t.text(ctx, tx, c, status)
		return err
	})
	if err != nil {
		return fmt.Errorf("take text status: %w", err)
	}
	t.noteReceipts(ctx, facts)
	return nil
}

func (t *Tracker) text(ctx context.Context, tx pgx.Tx, c Text, s twilio.Status) ([]fact, error) {
	key := sha256.Sum256(fmt.Appendf(nil, "%s %t %s", c.Project, c.Livemode, s.Key()))
	fresh, err := ledger.Guard(ctx, tx, twilioName, key[:])
	if err != nil || !fresh {
		return nil, err
	}
	attempt, err := findText(ctx, tx, c, s)
	if err != nil {
		return nil, err
	}
	if err := t.keep(ctx, tx, twilioName, attempt.InviteID, c.Raw); err != nil {
		return nil, err
	}
	fate, reason := s.Fate()
	if fate == "" || attempt.ID.IsZero() {
		return nil, nil
	}
	facts := []fact{{
		taken: ledger.Taken{InviteID: attempt.InviteID, AttemptID: attempt.ID, ProviderMessageID: s.MessageSID},
		event: invite.Event{
			Type:       invite.DeliveryEvent(fate),
			Actor:      invite.Actor{Kind: invite.ActorProvider, ID: twilioName},
			DeliveryID: attempt.DeliveryID,
			AttemptID:  attempt.ID,
			Data:       invite.Data{Reason: reason, ProviderCode: plainCode(s.ErrorCode), Provider: twilioName, Channel: invite.SMS, Source: fromCallback},
		},
	}}
	return facts, t.fold(ctx, tx, facts)
}

// findText finds the attempt by the path, else by the message's SID.
func findText(ctx context.Context, tx pgx.Tx, c Text, s twilio.Status) (ledger.Attempt, error) {
	var invites []invite.ID
	var attempts []invite.AttemptID
	inv, err1 := invite.Parse[invite.ID](c.Invite)
	att, err2 := invite.Parse[invite.AttemptID](c.Attempt)
	if err1 == nil && err2 == nil {
		invites, attempts = []invite.ID{inv}, []invite.AttemptID{att}
	}
	found, err := ledger.FindAttempts(ctx, tx, c.Project, c.Livemode, twilioName, invites, attempts, []string{s.MessageSID})
	if err != nil {
		return ledger.Attempt{}, err
	}
	for _, a := range found {
		if a.ID == att && a.InviteID == inv {
			return a, nil
		}
	}
	if len(found) > 0 {
		return found[0], nil
	}
	return ledger.Attempt{}, nil
}
