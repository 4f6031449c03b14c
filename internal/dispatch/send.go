package dispatch

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/message"
	"github.com/connectlink/connectlink/internal/provider"
	"github.com/connectlink/connectlink/internal/seal"
	"github.com/connectlink/connectlink/internal/store/queue"
	"github.com/connectlink/connectlink/internal/store/traffic"
	"github.com/connectlink/connectlink/internal/trace"
	"github.com/connectlink/connectlink/internal/wire"
)

// send makes one attempt.
func (d *Dispatcher) send(ctx context.Context, t *task) (again bool, err error) {
	sender, wait, err := d.choose(ctx, t)
	if err != nil || sender == nil {
		if err == nil {
			d.release(ctx, t, wait)
		}
		return false, err
	}
	b := &begin{
		NewAttempt: queue.NewAttempt{
			Lease: t.Lease, ID: invite.New[invite.AttemptID](), Provider: sender.Provider(), Account: sender.Account(),
			Version: t.Invite.Version,
		},
		lane: t.Lane,
	}
	if t.Invite.LinkType == invite.ConnectLink {
		b.LinkID = t.Link.ID
	}
	out, err := d.composeInTurn(t, sender.Identity(), b.ID)
	if err != nil {
		return false, d.broken(ctx, t, err)
	}
	b.TemplateVersion = out.Version
	out.CallbackURL = d.p.CallbackURL(t.Place, b.Provider, out.InviteID, out.AttemptID)
	if !d.mine(t) {
		return false, errLost
	}
	if d.stopping.Load() {
		d.release(ctx, t, 0)
		return false, nil
	}
	// Counted from before the statement is sent, the lease's local end can only
	// be earlier than the one the database writes down. By the machine's own
	// clock, which is the one that the socket compares with.
	out.LeaseUntil = time.Now().Add(d.p.CallDeadline + callMargin - guardMargin)
	b.BlockKeys = d.p.BlockKeys(t.Place, t.Channel, recipientOf(out))
	var blocked *blockedError
	switch err := d.recordBegin(ctx, b); {
	case errors.As(err, &blocked):
		return false, d.conclude(ctx, t, invite.EventDeliverySuppressed, blocked.kind.Reason())
	case errors.Is(err, errStale):
		return true, nil
	case errors.Is(err, errLost):
		return false, err
	case err != nil:
		// Perhaps it is recorded, perhaps not; that no call was made is certain,
		// and worth saying, or the attempt would have to be looked into later.
		d.recordNotSent(ctx, b)
		return false, fmt.Errorf("begin attempt %s: %w", b.ID, err)
	}
	d.p.Passing(PointAttemptCommitted)
	d.call(ctx, t, sender, b, out)
	return false, nil
}

// countedText is a text message as the spend firewall counts it; nil for others. A
// message to a person who has visited is expected to be visited no second time, and
// digits go to people on the page.
func countedText(t *task, b *begin, out message.Outgoing) *traffic.Sent {
	if !t.Live || out.SMS == nil || t.Kind == invite.KindPasscode || t.Invite.Progress != invite.NotOpened {
		return nil
	}
	return &traffic.Sent{Project: t.Project, To: recipientOf(out), At: b.at}
}

// recipientOf is the address a message goes to.
func recipientOf(out message.Outgoing) string {
	if out.SMS != nil {
		return out.SMS.To.Reveal()
	}
	return out.Email.To.Email.Reveal()
}

// guardMargin allows for clocks that tick at different speeds.
const guardMargin = 200 * time.Millisecond

// recordNotSent records that an attempt's call was never made, and gives the lease
// back: a statement that began the attempt and reaches the server only now finds
// its fence gone.
func (d *Dispatcher) recordNotSent(ctx context.Context, b *begin) {
	after := d.p.RetryFirst
	_ = d.recordFinish(ctx, &finish{
		Lease: b.Lease, lane: b.lane, next: &after, result: &queue.Result{InviteID: b.InviteID, AttemptID: b.ID, Outcome: queue.NotSent},
	})
}

// choose picks the sender: the first whose account accepts messages, the one
// that failed last only after the others. Without one it returns how long to
// wait.
func (d *Dispatcher) choose(ctx context.Context, t *task) (provider.Sender, time.Duration, error) {
	senders := d.p.Senders(t.Place, t.Channel)
	if len(senders) == 0 {
		d.p.Log.ErrorContext(ctx, "no provider is configured", "project", t.Project, "livemode", t.Live, "channel", t.Channel)
		return nil, d.p.RetryMax, nil
	}
	ordered := senders
	if t.Last != nil && len(senders) > 1 && t.Last.Account == senders[0].Account() {
		ordered = append(append(make([]provider.Sender, 0, len(senders)), senders[1:]...), senders[0])
	}
	wait := d.p.RetryMax
	for _, s := range ordered {
		account := s.Account()
		st := d.accounts.get(account)
		if st.open && t.probe != account {
			if left := st.until.Sub(d.p.Now()); left > 0 {
				wait = min(wait, left)
				continue
			}
			ok, err := queue.TakeProbe(ctx, d.p.DB, account, d.p.CallDeadline+callMargin)
			if err != nil {
				return nil, 0, err
			}
			if !ok {
				wait = min(wait, time.Second)
				continue
			}
			t.probe = account
		}
		ok, after, err := d.accounts.pace(ctx, account)
		if err != nil {
			return nil, 0, err
		}
		if !ok {
			// Its pace is a configured rate limit, not a fault: what is over it
			// waits, and does not go out by the next choice, from another sender.
			return nil, after, nil
		}
		return s, 0, nil
	}
	return nil, wait, nil
}

// call hands the message over and records what came of it.
func (d *Dispatcher) call(ctx context.Context, t *task, s provider.Sender, b *begin, out message.Outgoing) {
	begun := d.p.Now()
	calling, span := d.p.Tracer.Start(ctx, trace.Client, "send "+b.Provider, trace.Provider(b.Provider), trace.Channel(string(t.Channel)),
		trace.Invite(t.InviteID), trace.Delivery(t.DeliveryID), trace.Attempt(b.ID), trace.Number(t.Attempts+1))
	receipt, fault := d.callProvider(calling, s, out)
	took := d.p.Now().Sub(begun)

	result := queue.Result{InviteID: t.InviteID, AttemptID: b.ID}
	f := &finish{Lease: t.Lease, lane: t.Lane, result: &result}
	var v verdict
	data := invite.Data{Provider: b.Provider, Attempt: t.Attempts + 1}
	if fault == nil {
		result.Outcome, result.ProviderMessageID, result.HTTPStatus = queue.Accepted, plainWord(receipt.ProviderMessageID), receipt.HTTPStatus
		f.fact = true
		f.events = []invite.Event{t.attemptEvent(b.ID, invite.EventDeliveryAccepted, data)}
		f.sent = countedText(t, b, out)
	} else {
		fault.ProviderCode = plainWord(fault.ProviderCode)
		v = d.judge(fault, t.Attempts+1, errors.Is(fault.Err, wire.ErrLeaseOver))
		result.Outcome, result.HTTPStatus, result.ProviderCode = string(fault.Outcome), fault.HTTPStatus, fault.ProviderCode
		d.sealDetail(ctx, &result, fault)
		data.Reason, data.ProviderCode, data.Outcome = v.reason, fault.ProviderCode, string(fault.Outcome)
		data.Cause = fault.Cause()
		d.follow(t, b, s, f, v, data)
	}
	span.Set(trace.Outcome(result.Outcome), trace.Status(result.HTTPStatus))
	span.End(faultWord(fault, data))
	err := d.recordFinish(ctx, f)
	d.account(ctx, t, b.Account, fault, v)
	d.log(ctx, t, b, result, data.Cause, took, err)
}

// faultWord is what a trace says of a failed call: the cause on the network, the
// reason, or the outcome.
func faultWord(fault *provider.SendError, data invite.Data) string {
	if fault == nil {
		return ""
	}
	return cmp.Or(data.Cause, string(data.Reason), string(fault.Outcome))
}

// callProvider makes the call. A sender that panics may have sent.
func (d *Dispatcher) callProvider(ctx context.Context, s provider.Sender, out message.Outgoing) (receipt provider.Acceptance, fault *provider.SendError) {
	ctx, cancel := context.WithTimeout(ctx, d.p.CallDeadline)
	defer cancel()
	defer func() {
		if p := recover(); p != nil {
			fault = &provider.SendError{Provider: s.Provider(), Outcome: provider.Unknown, Err: fmt.Errorf("panic: %T", p)}
		}
	}()
	receipt, err := s.Send(ctx, out)
	if err == nil {
		return receipt, nil
	}
	if !errors.As(err, &fault) {
		// Against its contract; the careful reading is the safe one.
		fault = &provider.SendError{Provider: s.Provider(), Outcome: provider.Unknown, Err: err}
	}
	return receipt, fault
}

// plainWord makes a provider's word fit to be stored as it is: what Postgres refuses
// (NUL, broken UTF-8) would cost us the result that came with it.
func plainWord(s string) string {
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return -1
		}
		return r
	}, s)
	return s[:min(len(s), 200)]
}

// follow turns a verdict into the records to write.
func (d *Dispatcher) follow(t *task, b *begin, s provider.Sender, f *finish, v verdict, data invite.Data) {
	switch v.ruling {
	case rulingReject:
		f.events = []invite.Event{t.attemptEvent(b.ID, invite.EventDeliveryRejected, data)}
	case rulingRetry:
		after := d.within(t, v.after)
		at := t.Now.Add(d.p.Now().Sub(t.readAt) + after)
		data.RetryAt = &at
		f.events = []invite.Event{t.attemptEvent(b.ID, invite.EventDeliveryRetry, data)}
		f.next = &after
	case rulingDoubt:
		// Reconciling has rules of its own: see there.
		reporting, settle := d.proof(s)
		after := min(settle/4, firstLook)
		if !reporting {
			after = 0
		}
		f.next = &after
	}
}

// firstLook is when a lost answer is first asked about: most messages that were
// taken show by then.
const firstLook = 5 * time.Second

// within keeps a wait inside the invite's life, so that giving up is not late.
func (d *Dispatcher) within(t *task, after time.Duration) time.Duration {
	left := t.Invite.GivesUpAt.Sub(t.Now)
	return min(after, max(left, d.p.RetryFirst))
}

func (t *task) attemptEvent(id invite.AttemptID, typ invite.EventType, data invite.Data) invite.Event {
	e := t.event(typ, data)
	e.AttemptID = id
	return e
}

func (d *Dispatcher) sealDetail(ctx context.Context, r *queue.Result, fault *provider.SendError) {
	if fault.Detail.IsZero() {
		return
	}
	sealed, err := d.p.Box.Seal([]byte(fault.Detail.Reveal()), seal.AD{Column: "attempts.detail", ID: r.AttemptID.UUID()})
	if err != nil {
		d.p.Log.WarnContext(ctx, "the provider's words could not be sealed", "attempt", r.AttemptID, "err", err)
		return
	}
	r.Detail = sealed
}

// account tells the breaker. A refusal of one message is an answer: the account works.
func (d *Dispatcher) account(ctx context.Context, t *task, account string, fault *provider.SendError, v verdict) {
	t.probed = t.probe == account
	switch {
	case fault != nil && v.strikes:
		d.recordFailure(ctx, account, v.rest)
	case fault == nil || v.ruling == rulingReject:
		d.recordSuccess(ctx, account)
	default:
		t.probed = false
	}
}

// dropUnusedProbe gives a probe back that led to no call.
func (d *Dispatcher) dropUnusedProbe(ctx context.Context, t *task) {
	if t.probe == "" || t.probed {
		return
	}
	if err := queue.DropProbe(ctx, d.p.DB, t.probe); err != nil {
		d.p.Log.WarnContext(ctx, "a probe could not be given back", "account", t.probe, "err", err)
	}
}

// log writes the one line of an attempt: ids, outcome, durations and what went
// wrong with the connection, never an address or a link.
func (d *Dispatcher) log(ctx context.Context, t *task, b *begin, r queue.Result, cause string, took time.Duration, err error) {
	d.metrics.attempts.WithLabelValues(b.Provider, r.Outcome).Inc()
	d.metrics.calls.WithLabelValues(b.Provider).Observe(took.Seconds())
	// From when it was accepted; the database's clock, but for the last step.
	waited := t.Now.Sub(t.CreatedAt) + d.p.Now().Sub(t.readAt) - took
	if t.Attempts == 0 {
		d.metrics.latency.Observe(waited.Seconds())
	}
	attrs := []any{
		"invite", t.InviteID, "delivery", t.DeliveryID, "attempt", b.ID, "number", t.Attempts + 1, "lane", t.Lane.String(),
		"provider", b.Provider, "outcome", r.Outcome, "http_status", r.HTTPStatus, "provider_code", r.ProviderCode,
		"call_ms", took.Milliseconds(), "since_queued_ms", waited.Milliseconds(), "lease_token", t.Token,
	}
	if cause != "" {
		attrs = append(attrs, "cause", cause)
	}
	switch {
	case errors.Is(err, errLost):
		attrs = append(attrs, "lease", "lost")
	case err != nil:
		attrs = append(attrs, "record_err", err)
	}
	d.p.Log.InfoContext(ctx, "attempt", attrs...)
}
