package dispatch

import (
	"context"
	"errors"
	"time"

	"github.com/connectlink/connectlink/config"
	"github.com/connectlink/connectlink/internal/compose"
	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/provider"
	"github.com/connectlink/connectlink/internal/secret"
	"github.com/connectlink/connectlink/internal/store/queue"
	"github.com/connectlink/connectlink/internal/wire"
)

// patience is the number of settle times after which an unanswered question is
// left to a person: the provider can be reached, and still gives no answer.
const patience = 3

// belief is the knowledge about an attempt whose answer was lost.
type belief int

const (
	beliefWait  belief = iota // too early, or the provider cannot be asked now
	beliefTaken               // the provider has it
	beliefNot                 // it does not, and would by now
	beliefHold                // no answer will ever come
)

// beliefWord names a belief in metrics.
func beliefWord(b belief) string { return [...]string{"wait", "taken", "not_taken", "hold"}[b] }

// reconcile settles an attempt whose answer was lost, before anything is sent again.
func (d *Dispatcher) reconcile(ctx context.Context, t *task) error {
	b, found, after := d.enquire(ctx, t)
	a := t.Last
	d.p.Log.InfoContext(ctx, "reconcile", "invite", t.InviteID, "delivery", t.DeliveryID, "attempt", a.ID, "provider", a.Provider,
		"outcome", a.Outcome, "belief", int(b), "age_ms", t.Now.Sub(a.StartedAt).Milliseconds(), "again_ms", after.Milliseconds())
	d.p.Passing(PointLookedUp)
	d.metrics.reconciled.WithLabelValues(a.Provider, beliefWord(b)).Inc()

	if b == beliefWait {
		d.release(ctx, t, after)
		return nil
	}
	f := &finish{Lease: t.Lease, lane: t.Lane, result: &queue.Result{InviteID: t.InviteID, AttemptID: a.ID}}
	data := invite.Data{Provider: a.Provider, Attempt: a.Number}
	switch b {
	case beliefTaken:
		f.fact = true
		f.result.Outcome, f.result.ProviderMessageID = queue.Accepted, plainWord(found.ProviderMessageID)
		data.Source = "list"
		f.events = []invite.Event{t.attemptEvent(a.ID, invite.EventDeliveryAccepted, data)}
	case beliefNot:
		f.result.Outcome = queue.NotSent
		data.Outcome, data.Reason = queue.NotSent, invite.ProviderDown
		f.events = []invite.Event{t.attemptEvent(a.ID, invite.EventDeliveryRetry, data)}
		f.next = new(time.Duration)
	case beliefHold:
		f.result.Outcome = queue.Unknown
		data.Outcome, data.Reason = queue.Unknown, invite.OutcomeUnknown
		if project, _ := d.p.Project(t.Project); project.OnUnknown == config.UnknownResend && t.Attempts == 1 {
			// The project would rather have two than none. Once: an outage must
			// not become a stream of copies.
			f.result.Outcome = queue.Abandoned
			f.events = []invite.Event{t.attemptEvent(a.ID, invite.EventDeliveryRetry, data)}
			f.next = new(time.Duration)
			break
		}
		f.events = []invite.Event{t.attemptEvent(a.ID, invite.EventDeliveryUnknown, data)}
	}
	return d.recordFinish(ctx, f)
}

// enquire finds out what can be found out about the last attempt.
func (d *Dispatcher) enquire(ctx context.Context, t *task) (belief, provider.Found, time.Duration) {
	a := t.Last
	if a.Outcome == queue.Accepted {
		return beliefTaken, provider.Found{}, 0 // its event did not make it
	}
	// Until then a byte of the call may still have left.
	quiet := a.StartedAt.Add(d.p.CallDeadline + callMargin)
	if a.FinishedAt != nil {
		quiet = *a.FinishedAt
	}
	age := t.Now.Sub(quiet)
	sender := d.senderOf(t, a.Account)
	if sender == nil {
		return d.holdAfter(age)
	}
	reporting, settle := d.proof(sender)
	if !reporting {
		return d.holdAfter(age)
	}
	again := func() time.Duration { return max(settle-age, settle/10, minLook) }
	if age < settle {
		again = func() time.Duration { return min(max(settle-age, minLook), max(settle/4, minLook)) }
	}

	found, err := d.find(ctx, t, sender)
	switch {
	case err == nil && found.Taken:
		return beliefTaken, found, 0
	case age < settle:
		return beliefWait, found, again()
	case err == nil:
		return beliefNot, found, 0
	case errors.Is(err, provider.ErrCannotFind):
		b := d.weighSilence(ctx, t, age, settle)
		return b, found, again()
	default:
		d.p.Log.WarnContext(ctx, "a provider could not be asked", "provider", a.Provider, "attempt", a.ID, "err", err)
		// A provider that is only away will answer when it is back, and the invite
		// can wait for that until it expires.
		if left := t.Invite.GivesUpAt.Sub(t.Now); isAway(err) && left > 0 {
			return beliefWait, found, min(max(again(), age/10), maxLook, left)
		}
	}
	if age > patience*settle {
		return beliefHold, found, 0
	}
	return beliefWait, found, again()
}

// The absence of a report is believed only if enough of the attempts that were
// made later were reported on, over enough of the settle time.
const (
	minReported  = 3
	minSpanShare = 0.4
	// maxPatience bounds, in settle times, how long a delivery waits while
	// callbacks keep being missed.
	maxPatience = 4 * patience
)

// weighSilence decides what the absence of a report proves, once the settle time
// is over. It proves that the provider did not take the message only where
// nothing else explains it: no post was missed since the call (a post that was
// is repeated for up to 24 h, says SendGrid's documentation of the event webhook), several
// later attempts over some minutes were reported on, and every attempt of that
// time that was taken was. Anything else ends as beliefHold.
func (d *Dispatcher) weighSilence(ctx context.Context, t *task, age, settle time.Duration) belief {
	a := t.Last
	r, err := queue.GetReports(ctx, d.p.DB, a.ID, a.Account, queue.GapScope(a.Provider, t.Place), a.StartedAt, settle/2, settle/2)
	if err != nil {
		d.p.Log.WarnContext(ctx, "look for reports", "attempt", a.ID, "err", err)
		return beliefWait
	}
	missed := !r.GapEnded.IsZero()
	switch {
	case !missed && r.Missing == 0 && r.Later >= minReported && r.Span.Seconds() >= minSpanShare*settle.Seconds():
		return beliefNot
	case missed && t.Now.Sub(r.GapEnded) < settle && age <= maxPatience*settle:
		return beliefWait // the repeated post may be under way
	case age > patience*settle:
		return beliefHold
	}
	return beliefWait
}

// minLook keeps questions from becoming a loop, with any settle time.
const minLook = 50 * time.Millisecond

// maxLook is how long a provider that is back may wait for our question.
const maxLook = 30 * time.Second

// isAway reports whether a provider gave no answer, or a temporary failure.
func isAway(err error) bool {
	var answered *provider.SendError
	if errors.As(err, &answered) {
		return wire.Passing(answered.HTTPStatus)
	}
	var fault *wire.Fault
	return errors.As(err, &fault)
}

// holdAfter holds a delivery whose outcome cannot be known, once the call cannot
// be in progress any more.
func (d *Dispatcher) holdAfter(age time.Duration) (belief, provider.Found, time.Duration) {
	if age < 0 {
		return beliefWait, provider.Found{}, max(-age, minLook)
	}
	return beliefHold, provider.Found{}, 0
}

var errNothingToFind = errors.New("what was sent is gone, so it cannot be looked for")

// find asks the provider about the last attempt.
func (d *Dispatcher) find(ctx context.Context, t *task, s provider.Sender) (provider.Found, error) {
	return d.findSince(ctx, t, s, provider.Sought{AttemptID: t.Last.ID.String(), StartedAt: t.local(t.Last.StartedAt)}, t.SentLink)
}

// findSince asks the provider for a message of the delivery that was sent since
// sought.StartedAt. Twilio's list is searched by recipient and by the message's own
// mark: its link, or its digits. Link is the connect link that it carried, if one.
func (d *Dispatcher) findSince(ctx context.Context, t *task, s provider.Sender, sought provider.Sought, link *queue.Link) (provider.Found, error) {
	if t.Invite.Content != nil {
		w, err := d.open(t)
		if err != nil {
			return provider.Found{}, err
		}
		sought.To = secret.New(w.content.Recipient.Address(t.Channel))
		m := compose.Message{Invite: compose.Invite{LinkType: t.Invite.LinkType}, Kind: t.Kind}
		if err := d.fillCarried(&m, t, w, link); err == nil {
			if sought.Body, err = d.p.Composer.Carried(m); err != nil {
				sought.Body = secret.Text{}
			}
		}
	}
	ctx, cancel := context.WithTimeout(ctx, d.p.CallDeadline)
	defer cancel()
	found, err := s.Find(ctx, sought)
	if err == nil && !found.Taken && (sought.To.IsZero() || sought.Body.IsZero()) {
		return provider.Found{}, errNothingToFind
	}
	return found, err
}

func (d *Dispatcher) senderOf(t *task, account string) provider.Sender {
	for _, s := range d.p.Senders(t.Place, t.Channel) {
		if s.Account() == account {
			return s
		}
	}
	return nil
}
