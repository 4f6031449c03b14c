package track

import (
	"context"
	"crypto/sha256"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/provider/twilio"
	"github.com/connectlink/connectlink/internal/store/ledger"
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
	form, err := twilio.ParseBody(c.Raw)
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
	ref := ledger.Unmatched{ProjectID: c.Project, Livemode: c.Livemode}
	ref.Invite, _ = invite.Parse[invite.ID](c.Invite)
	ref.Attempt, _ = invite.Parse[invite.AttemptID](c.Attempt)
	attempt, err := findText(ctx, tx, ref, s)
	if err != nil {
		return nil, err
	}
	kept, err := t.sealed(twilioName, attempt.InviteID, c.Raw)
	if err != nil {
		return nil, err
	}
	if err := ledger.InsertCallbacks(ctx, tx, []ledger.Callback{kept}); err != nil {
		return nil, err
	}
	f, ok := textFact(attempt, s)
	switch fate, _ := s.Fate(); {
	case ok:
		return []fact{f}, t.fold(ctx, tx, []fact{f})
	case fate != "":
		ref.CallbackID = kept.ID
		return nil, t.wait(ctx, tx, []ledger.Unmatched{ref})
	}
	return nil, nil
}

// textFact is what a status says about a delivery; ok is false for a status
// that matched nothing or is no word on delivery.
func textFact(a ledger.Attempt, s twilio.Status) (fact, bool) {
	fate, reason := s.Fate()
	if fate == "" || a.ID.IsZero() {
		return fact{}, false
	}
	return fact{
		taken: ledger.Taken{InviteID: a.InviteID, AttemptID: a.ID, ProviderMessageID: s.MessageSID},
		event: invite.Event{
			Type:       invite.DeliveryEvent(fate),
			Actor:      invite.Actor{Kind: invite.ActorProvider, ID: twilioName},
			DeliveryID: a.DeliveryID,
			AttemptID:  a.ID,
			Data:       invite.Data{Reason: reason, ProviderCode: plainCode(s.ErrorCode), Provider: twilioName, Channel: invite.SMS, Source: fromCallback},
		},
	}, true
}

// findText finds the attempt by the path, else by the message's SID.
func findText(ctx context.Context, tx pgx.Tx, ref ledger.Unmatched, s twilio.Status) (ledger.Attempt, error) {
	var invites []invite.ID
	var attempts []invite.AttemptID
	if !ref.Invite.IsZero() && !ref.Attempt.IsZero() {
		invites, attempts = []invite.ID{ref.Invite}, []invite.AttemptID{ref.Attempt}
	}
	found, err := ledger.FindAttempts(ctx, tx, ref.ProjectID, ref.Livemode, twilioName, invites, attempts, []string{s.MessageSID})
	if err != nil {
		return ledger.Attempt{}, err
	}
	for _, a := range found {
		if a.ID == ref.Attempt && a.InviteID == ref.Invite {
			return a, nil
		}
	}
	if len(found) > 0 {
		return found[0], nil
	}
	return ledger.Attempt{}, nil
}
