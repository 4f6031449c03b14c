package chaos

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"net/http"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/connectlink/connectlink/internal/chaos/sink"
	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/store/ledger"
	"github.com/connectlink/connectlink/internal/store/queue"
)

// reports stands where SendGrid's webhook and its receiver are: each message
// that was taken is reported a little later, in batches. With LateReports some
// batches come late: half of them because our endpoint refused the post, which is
// recorded as its middleware does, half without any sign of it.
func (r *run) reports(ctx context.Context) {
	server := uuid.New()
	for ctx.Err() == nil {
		if err := queue.RegisterCallbackServer(ctx, r.rig.DB, server); err == nil {
			break
		}
		waitFor(ctx, 100*time.Millisecond)
	}
	done, renewed := 0, time.Now()
	var late []lateBatch
	for ctx.Err() == nil {
		waitFor(ctx, 300*time.Millisecond)
		if time.Since(renewed) > time.Second {
			if _, err := queue.RenewCallbackServer(ctx, r.rig.DB, server); err != nil && ctx.Err() == nil {
				r.o.Log.WarnContext(ctx, "renew the callback server", "err", err)
			}
			renewed = time.Now()
		}
		late = r.reportLate(ctx, late)
		var book struct {
			Taken []sink.Message `json:"taken"`
		}
		if err := r.ask(ctx, http.MethodGet, "/ledger", nil, &book); err != nil {
			continue
		}
		for done < len(book.Taken) {
			batch := book.Taken[done:min(done+50, len(book.Taken))]
			if rand.Float64() < r.o.LateReports {
				b, err := r.postpone(ctx, batch)
				if err != nil {
					break // as if it had not been posted yet
				}
				late = append(late, b)
			} else if err := r.reportOn(ctx, batch); err != nil {
				if ctx.Err() == nil {
					r.o.Log.WarnContext(ctx, "report", "err", err)
				}
				break
			}
			done += len(batch)
		}
	}
}

// lateBatch is a batch of reports that comes at a later time.
type lateBatch struct {
	due   time.Time
	taken []sink.Message
}

// longestRetry is how long SendGrid repeats a post that was refused.
const longestRetry = 24 * time.Hour

// setGap records a gap of the mail callbacks of both projects.
func (r *run) setGap(ctx context.Context, cause string) error {
	for _, project := range []string{"default", freshProject} {
		if err := queue.SetGap(ctx, r.rig.DB, queue.GapScope("sendgrid", invite.Place{Project: project}), cause); err != nil {
			return err
		}
	}
	return nil
}

// postpone draws how late a batch comes: from a second to a day, each order of
// magnitude alike. Most of them come after the run.
func (r *run) postpone(ctx context.Context, batch []sink.Message) (lateBatch, error) {
	if rand.Float64() < 0.5 {
		if err := r.setGap(ctx, queue.GapRefused); err != nil {
			return lateBatch{}, err
		}
	}
	wait := time.Duration(float64(time.Second) * math.Pow(longestRetry.Seconds(), rand.Float64()))
	r.mu.Lock()
	r.report.LateReports += len(batch)
	r.mu.Unlock()
	return lateBatch{time.Now().Add(wait), batch}, nil
}

// reportLate delivers the batches that are due and returns the others.
func (r *run) reportLate(ctx context.Context, late []lateBatch) []lateBatch {
	return slices.DeleteFunc(late, func(b lateBatch) bool {
		if time.Now().Before(b.due) {
			return false
		}
		return r.setGap(ctx, queue.GapLateReport) == nil && r.reportOn(ctx, b.taken) == nil
	})
}

func (r *run) reportOn(ctx context.Context, taken []sink.Message) error {
	var refs []queue.AttemptRef
	var facts []ledger.Taken
	var batches []ledger.Batch
	for _, m := range taken {
		id, err := invite.Parse[invite.ID](m.Invite)
		if err != nil {
			return err
		}
		att, err := invite.Parse[invite.AttemptID](m.Attempt)
		if err != nil {
			return err
		}
		delivery := r.deliveryOf(id)
		if delivery.IsZero() {
			return fmt.Errorf("invite %s is not known yet", id)
		}
		refs = append(refs, queue.AttemptRef{InviteID: id, AttemptID: att})
		facts = append(facts, ledger.Taken{InviteID: id, AttemptID: att, ProviderMessageID: m.ID})
		batches = append(batches, ledger.Batch{ID: id, Events: []invite.Event{{
			Type: invite.EventDeliveryDelivered, Actor: invite.Actor{Kind: invite.ActorProvider, ID: "sendgrid"},
			DeliveryID: delivery, AttemptID: att,
		}}})
	}
	tx, err := r.rig.DB.Begin(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback(context.WithoutCancel(ctx)) }()
	if _, err := ledger.AppendAll(ctx, tx, r.rig.Box, batches); err != nil {
		return err
	}
	if err := ledger.SetTaken(ctx, tx, facts); err != nil {
		return err
	}
	if err := tx.Commit(ctx); err != nil {
		return err
	}
	return queue.NoteReceipts(ctx, r.rig.DB, refs)
}

func (r *run) deliveryOf(id invite.ID) invite.DeliveryID {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.byInvite == nil {
		r.byInvite = make(map[invite.ID]invite.DeliveryID)
	}
	for ; r.indexed < len(r.loaded); r.indexed++ {
		r.byInvite[r.loaded[r.indexed].InviteID] = r.loaded[r.indexed].DeliveryID
	}
	return r.byInvite[id]
}
