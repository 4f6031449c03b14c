package dispatch

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/mint"
	"github.com/connectlink/connectlink/internal/store/ledger"
	"github.com/connectlink/connectlink/internal/store/queue"
	"github.com/connectlink/connectlink/internal/trace"
)

// maxSteps bounds one turn: a delivery whose invite moves all the time is given
// back and comes round again.
const maxSteps = 8

// work takes one delivery through its steps until it waits, is settled, or
// has another owner.
func (d *Dispatcher) work(ctx context.Context, t *task) {
	// Any process may go on with an invite, at any time.
	ctx, span := d.p.Tracer.Start(trace.Resume(ctx, t.Invite.Trace), trace.Consumer, "deliver",
		trace.Invite(t.InviteID), trace.Delivery(t.DeliveryID), trace.Channel(string(t.Channel)))
	defer func() { span.End(t.fault) }()
	defer d.dropUnusedProbe(ctx, t)
	defer func() {
		if p := recover(); p != nil {
			// The value may quote the rendered content, so only its type is logged.
			d.p.Log.ErrorContext(ctx, "panic in the work on a delivery", "invite", t.InviteID, "delivery", t.DeliveryID,
				"panic", fmt.Sprintf("%T", p), "stack", string(debug.Stack()))
			t.fault = "panic"
			d.poisoned(ctx, t)
		}
	}()
	for range maxSteps {
		again, err := d.advance(ctx, t)
		switch {
		case errors.Is(err, errLost):
			d.metrics.lost.Inc()
			t.fault = "lease_lost"
			return
		case err != nil:
			// The lease runs out, or another process reaps it: nothing is lost.
			d.p.Log.WarnContext(ctx, "a delivery could not be worked on", "invite", t.InviteID, "delivery", t.DeliveryID, "err", err)
			t.fault = "not_worked_on"
			d.release(ctx, t, d.p.RetryFirst)
			return
		case !again:
			return
		}
		if again, err := d.reload(ctx, t); err != nil || !again {
			return
		}
	}
	d.release(ctx, t, d.p.RetryFirst)
}

// advance makes one step; again says that the delivery is to be read anew.
func (d *Dispatcher) advance(ctx context.Context, t *task) (again bool, err error) {
	if !t.Fresh() {
		return true, nil
	}
	step, reason := decideStep(&t.Job)
	switch step {
	case stepDone:
		_, err := queue.SetDone(ctx, d.p.DB, t.Lease)
		return false, err
	case stepReconcile:
		return false, d.reconcile(ctx, t)
	case stepRecheck:
		return d.recheck(ctx, t)
	case stepCancel:
		return false, d.cancel(ctx, t)
	case stepGiveUp:
		return false, d.giveUp(ctx, t, reason)
	case stepMint, stepSend:
		if paused, err := d.waitPaused(ctx, t); paused || err != nil {
			return false, err
		}
		if step == stepMint {
			return d.mint(ctx, t)
		}
		return d.send(ctx, t)
	}
	return false, fmt.Errorf("no step %d", step)
}

func (d *Dispatcher) reload(ctx context.Context, t *task) (bool, error) {
	at := d.p.Now()
	j, ok, err := queue.FindJob(ctx, d.p.DB, t.Lease)
	if err != nil {
		d.p.Log.WarnContext(ctx, "a delivery could not be read again", "delivery", t.DeliveryID, "err", err)
		return false, err
	}
	if !ok {
		return false, nil
	}
	d.mu.Lock()
	t.Job, t.readAt = j, at // renewing reads the lease in it
	d.mu.Unlock()
	return true, nil
}

// release gives a delivery back, to be looked at again later.
func (d *Dispatcher) release(ctx context.Context, t *task, after time.Duration) {
	if _, err := queue.Release(ctx, d.p.DB, []queue.Lease{t.Lease}, []time.Duration{after}); err != nil {
		d.p.Log.WarnContext(ctx, "a delivery could not be given back", "delivery", t.DeliveryID, "err", err)
	}
}

// systemActor is who acts here.
func systemActor() invite.Actor { return invite.Actor{Kind: invite.ActorSystem, ID: "dispatch"} }

func (t *task) event(typ invite.EventType, data invite.Data) invite.Event {
	data.Channel = t.Channel
	return invite.Event{Type: typ, Actor: systemActor(), DeliveryID: t.DeliveryID, Data: data}
}

// conclude records one event that ends the delivery.
func (d *Dispatcher) conclude(ctx context.Context, t *task, typ invite.EventType, reason invite.Reason) error {
	return d.recordFinish(ctx, &finish{
		Lease:  t.Lease,
		lane:   t.Lane,
		events: []invite.Event{t.event(typ, invite.Data{Reason: reason})},
	})
}

// cancel takes a delivery of an ended invite off the queue. Fold cancels
// queued deliveries when an invite ends; those that were being sent then are
// left to us.
func (d *Dispatcher) cancel(ctx context.Context, t *task) error {
	return d.conclude(ctx, t, invite.EventDeliveryCanceled, "")
}

// giveUp ends a delivery for which too little time is left. The invite has the
// reason.
func (d *Dispatcher) giveUp(ctx context.Context, t *task, reason invite.Reason) error {
	d.p.Log.WarnContext(ctx, "gave up on a delivery", "invite", t.InviteID, "delivery", t.DeliveryID, "reason", reason, "attempts", t.Attempts)
	d.metrics.gaveUp.WithLabelValues(string(reason)).Inc()
	d.p.Passing(PointGivingUp)
	return d.conclude(ctx, t, invite.EventDeliveryRejected, reason)
}

// poisoned counts a fault that lies in the message. After a few it is parked:
// it must not keep a worker busy for ever, and a person has to examine it.
func (d *Dispatcher) poisoned(ctx context.Context, t *task) {
	d.metrics.poisoned.Inc()
	if t.Poisoned+1 < d.p.Park {
		if _, err := queue.SetPoisoned(ctx, d.p.DB, t.Lease, d.backoff(t.Poisoned+1)); err != nil {
			d.p.Log.WarnContext(ctx, "a failure could not be counted", "delivery", t.DeliveryID, "err", err)
		}
		return
	}
	d.p.Log.ErrorContext(ctx, "a message is broken and was parked", "invite", t.InviteID, "delivery", t.DeliveryID, "failures", t.Poisoned+1)
	d.metrics.parked.Inc()
	if err := d.conclude(ctx, t, invite.EventDeliveryRejected, invite.MessageBroken); err != nil && !errors.Is(err, errLost) {
		d.p.Log.WarnContext(ctx, "a delivery could not be parked", "delivery", t.DeliveryID, "err", err)
	}
}

// mint gets the link that a delivery lacks.
func (d *Dispatcher) mint(ctx context.Context, t *task) (again bool, err error) {
	minter, ok := d.p.Minters(t.Place, t.Invite.Environment)
	if !ok {
		d.p.Log.ErrorContext(ctx, "no Pipedream client is configured", "project", t.Project, "livemode", t.Live, "environment", t.Invite.Environment)
		d.release(ctx, t, d.p.RetryMax)
		return false, nil
	}
	words, err := d.open(t)
	if err != nil {
		return false, d.broken(ctx, t, err)
	}
	user, err := t.Invite.OpenUser(d.p.Box, t.InviteID)
	if err != nil {
		return false, d.broken(ctx, t, err)
	}
	minted, err := minter.Mint(ctx, mint.Request{
		InviteID: t.InviteID, ExternalUserID: user, App: t.Invite.AppSlug, OAuthAppID: t.Invite.OAuthAppID, AccountID: t.Invite.ReconnectAccount,
		ExpiresIn: t.Invite.ExpiresIn, Code: words.code, ReturnURL: words.content.ReturnURL,
	})
	if err != nil {
		return false, d.mintFailed(ctx, t, err)
	}
	app := d.lookUpApp(ctx, t, minter)
	d.p.Passing(PointMinted)
	err = d.inTx(ctx, func(ctx context.Context, tx pgx.Tx) error {
		locked, err := ledger.Lock(ctx, tx, t.InviteID)
		if err != nil {
			return err
		}
		held, err := queue.Held(ctx, tx, []queue.Lease{t.Lease})
		if err != nil {
			return err
		}
		if !held[t.Lease] || locked.State.Version != t.Invite.Version {
			return errStale // the token is not used; it ends by itself
		}
		expires, err := ledger.InsertLink(ctx, tx, t.InviteID, minted.Link)
		if err != nil {
			return err
		}
		if app.Name != "" {
			if err := ledger.SetApp(ctx, tx, t.InviteID, app); err != nil {
				return err
			}
		}
		applied, err := ledger.Append(ctx, tx, d.p.Box, t.InviteID, invite.Event{
			Type: invite.EventLinkMinted, Actor: systemActor(), LinkID: minted.Link.ID,
			Data: invite.Data{ExpiresAt: &expires, LinkExpires: &expires, HasLink: true},
		})
		if err != nil {
			return err
		}
		return d.publish(ctx, tx, []ledger.Applied{applied})
	})
	if errors.Is(err, errStale) {
		return true, nil
	}
	if err != nil {
		return false, err
	}
	d.p.Passing(PointLinkStored)
	return true, nil
}

// lookUpApp returns the app's name and kind of login where they could not be asked
// for when the invite was created; zero where nothing is to be completed.
func (d *Dispatcher) lookUpApp(ctx context.Context, t *task, minter *mint.Minter) invite.App {
	if t.Invite.AppAuthType != "" {
		return invite.App{}
	}
	app, err := minter.App(ctx, t.Invite.AppSlug)
	if err != nil || app.Name == t.Invite.AppName && app.AuthType == "" {
		return invite.App{}
	}
	return app
}

// mintFailed waits for a link until the invite's end, unless Pipedream refused
// this very request for good. What it has against our credentials, project or
// base URL passes once an operator acts: no invite is lost to it.
func (d *Dispatcher) mintFailed(ctx context.Context, t *task, err error) error {
	reason := invite.LinkUnavailable
	switch {
	case mint.IsAccountRefused(err):
		reason = invite.ProviderAccount
	case !errors.Is(err, mint.ErrPassing):
		d.p.Log.ErrorContext(ctx, "a connect link was refused", "cause", mint.Cause(err), "invite", t.InviteID, "delivery", t.DeliveryID, "err", err)
		return d.recordFinish(ctx, &finish{Lease: t.Lease, lane: t.Lane, events: []invite.Event{
			t.event(invite.EventMintFailed, invite.Data{Outcome: mintRefused}),
			t.event(invite.EventDeliveryRejected, invite.Data{Reason: invite.LinkUnavailable}),
		}})
	}
	// Claims stand in for attempts here: none is recorded without a link.
	after := max(d.backoff(int(t.Token)), mint.RetryAfter(err))
	after = min(after, max(t.Invite.GivesUpAt.Sub(t.Now), d.p.RetryFirst))
	d.p.Log.WarnContext(ctx, "no connect link to be had now", "cause", mint.Cause(err), "invite", t.InviteID, "delivery", t.DeliveryID, "reason", reason, "again", after, "err", err)
	f := &finish{Lease: t.Lease, lane: t.Lane, next: &after}
	if t.Reason != reason { // once on the timeline is enough
		at := t.Now.Add(d.p.Now().Sub(t.readAt) + after)
		f.events = []invite.Event{t.event(invite.EventMintFailed, invite.Data{Reason: reason, RetryAt: &at})}
	}
	return d.recordFinish(ctx, f)
}

// mintRefused is the outcome of a mint that is not tried again.
const mintRefused = "refused"

// broken counts a fault of the message itself, an error this time.
func (d *Dispatcher) broken(ctx context.Context, t *task, err error) error {
	d.p.Log.ErrorContext(ctx, "a message could not be put together", "invite", t.InviteID, "delivery", t.DeliveryID, "err", err)
	d.poisoned(ctx, t)
	return nil
}
