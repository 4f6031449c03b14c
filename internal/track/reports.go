package track

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"

	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/provider"
	"github.com/connectlink/connectlink/internal/seal"
	"github.com/connectlink/connectlink/internal/secret"
	"github.com/connectlink/connectlink/internal/store/ledger"
	"github.com/connectlink/connectlink/internal/store/queue"
	"github.com/connectlink/connectlink/internal/store/suppression"
)

// postedAtOnce bounds one transaction; SendGrid posts up to a thousand events.
const postedAtOnce = 250

// Reports takes a post of delivery reports: it is verified, guarded against copies,
// matched to attempts, stored, and folded. A nil error means that every report in
// it is stored, or was before. Errors: ErrUnknown, ErrForged, ErrMalformed, and
// those of the database.
func (t *Tracker) Reports(ctx context.Context, p provider.Post) error {
	callbacks, ok := t.p.Callbacks(p.Provider, p.Place)
	if !ok {
		return ErrUnknown
	}
	if err := callbacks.Verify(p); err != nil {
		return ErrForged
	}
	posted, err := callbacks.Reports(p)
	if err != nil {
		return ErrMalformed
	}
	of := origin{provider: p.Provider, Place: p.Place}
	for chunk := range slices.Chunk(posted, postedAtOnce) {
		var facts []fact
		err := t.inTx(ctx, func(tx pgx.Tx) error {
			var err error
			facts, err = t.take(ctx, tx, of, chunk)
			return err
		})
		if err != nil {
			return fmt.Errorf("take %d reports of %s: %w", len(chunk), p.Provider, err)
		}
		t.noteReceipts(ctx, facts)
		t.noteLateReports(ctx, of, facts)
	}
	t.p.SawReport(p.Provider, p.Place)
	return nil
}

// origin is whose callbacks these are.
type origin struct {
	invite.Place

	provider string
}

// guard is the key of a callback behind which it is taken once. Project and mode
// are part of it: one vendor's account cannot use up the ids of another.
func (o origin) guard(kind, key string) []byte {
	sum := sha256.Sum256(fmt.Appendf(nil, "%s%s %t %s", kind, o.Project, o.Live, key))
	return sum[:]
}

// Missed records that a post of a provider was not answered with 2xx. It ignores
// projects without that provider: anyone can name such a project.
func (t *Tracker) Missed(ctx context.Context, name string, place invite.Place) {
	if _, ok := t.p.Callbacks(name, place); ok {
		t.avail.Missed(ctx, name, place, queue.GapRefused)
	}
}

// noteLateReports records that reports come late: others may still be under way.
func (t *Tracker) noteLateReports(ctx context.Context, of origin, facts []fact) {
	now := t.p.Now()
	for _, f := range facts {
		if at := f.event.At; !f.inferred && !at.IsZero() && now.Sub(at) > lateReport {
			t.avail.Missed(ctx, of.provider, of.Place, queue.GapLateReport)
			return
		}
	}
}

// report is a delivery report with what it was matched to.
type report struct {
	provider.Report
	guard    []byte
	place    int            // in the post
	attempt  ledger.Attempt // zero while it matches nothing
	inferred bool           // by the address alone
	// recipient is the address that the attempt's message went to, where it
	// decides; zero where it does not, or is not known any more.
	recipient secret.Text
}

// ids are our own, where the report has both.
func (r *report) ids() (inv invite.ID, att invite.AttemptID, ok bool) {
	inv, err1 := invite.Parse[invite.ID](r.InviteID)
	att, err2 := invite.Parse[invite.AttemptID](r.AttemptID)
	return inv, att, err1 == nil && err2 == nil
}

func (t *Tracker) take(ctx context.Context, tx pgx.Tx, of origin, posted []provider.Report) ([]fact, error) {
	reports, err := freshReports(ctx, tx, of, posted)
	if err != nil || len(reports) == 0 {
		return nil, err
	}
	if err := t.match(ctx, tx, of, reports); err != nil {
		return nil, err
	}
	var facts []fact
	var waiting []ledger.Unmatched
	kept := make([]ledger.Callback, 0, len(reports))
	for i := range reports {
		r := &reports[i]
		c, err := t.sealed(of.provider, r.attempt.InviteID, r.Raw)
		if err != nil {
			return nil, err
		}
		kept = append(kept, c)
		if f, ok := r.fact(of.provider); ok {
			facts = append(facts, f)
		} else if r.attempt.ID.IsZero() && r.Status != "" {
			u := ledger.Unmatched{CallbackID: c.ID, Place: of.Place}
			u.Invite, _ = invite.Parse[invite.ID](r.InviteID)
			u.Attempt, _ = invite.Parse[invite.AttemptID](r.AttemptID)
			waiting = append(waiting, u)
		}
	}
	if err := ledger.InsertCallbacks(ctx, tx, kept); err != nil {
		return nil, err
	}
	if err := t.wait(ctx, tx, waiting); err != nil {
		return nil, err
	}
	return facts, t.fold(ctx, tx, facts)
}

// freshReports drops reports on test sends, and copies, those in the post itself and those of earlier posts,
// and returns the rest in the order in which they happened.
func freshReports(ctx context.Context, tx pgx.Tx, of origin, posted []provider.Report) ([]report, error) {
	reports := make([]report, 0, len(posted))
	for i, r := range posted {
		if isTestSend(r) {
			continue
		}
		reports = append(reports, report{Report: r, guard: of.guard("", r.Key), place: i})
	}
	byGuard := func(a, b report) int { return bytes.Compare(a.guard, b.guard) }
	slices.SortStableFunc(reports, byGuard)
	reports = slices.CompactFunc(reports, func(a, b report) bool { return byGuard(a, b) == 0 })
	keys := make([][]byte, len(reports))
	for i := range reports {
		keys[i] = reports[i].guard
	}
	fresh, err := ledger.GuardAll(ctx, tx, of.provider, keys)
	if err != nil {
		return nil, err
	}
	isFresh := make(map[string]bool, len(fresh))
	for _, k := range fresh {
		isFresh[string(k)] = true
	}
	reports = slices.DeleteFunc(reports, func(r report) bool { return !isFresh[string(r.guard)] })
	slices.SortFunc(reports, inOrder)
	return reports, nil
}

// isTestSend reports whether a report is about a message that staff sent to themselves:
// nothing is to follow from it.
func isTestSend(r provider.Report) bool {
	_, err := invite.Parse[invite.TestSendID](r.AttemptID)
	return err == nil
}

// inOrder is the order in which reports happened, as far as whole seconds and
// the post tell: a timeline that has "delivered" before "accepted" confuses.
func inOrder(a, b report) int {
	begins := func(r report) int {
		if r.Status == invite.Accepted {
			return 0
		}
		return 1
	}
	return cmp.Or(a.At.Compare(b.At), cmp.Compare(begins(a), begins(b)), cmp.Compare(a.place, b.place))
}

// match finds the attempts: by our own ids, which travelled with the message, else
// by the message id that the send was answered with, else by the address.
func (t *Tracker) match(ctx context.Context, tx pgx.Tx, of origin, reports []report) error {
	var invites []invite.ID
	var attempts []invite.AttemptID
	var messages []string
	for i := range reports {
		if inv, att, ok := reports[i].ids(); ok {
			invites, attempts = append(invites, inv), append(attempts, att)
		}
		messages = append(messages, reports[i].MessageIDs...)
	}
	found, err := ledger.FindAttempts(ctx, tx, of.Place, of.provider, invites, attempts, messages)
	if err != nil {
		return err
	}
	for i := range reports {
		r := &reports[i]
		j := -1
		if inv, att, ok := r.ids(); ok {
			j = slices.IndexFunc(found, func(a ledger.Attempt) bool { return a.ID == att && a.InviteID == inv })
		}
		if j < 0 {
			j = slices.IndexFunc(found, func(a ledger.Attempt) bool {
				return a.ProviderMessageID != "" && slices.Contains(r.MessageIDs, a.ProviderMessageID)
			})
		}
		if j < 0 {
			continue
		}
		r.attempt = found[j]
		if r.ForRecipient != nil {
			if r.recipient, err = t.recipientOf(ctx, tx, r.attempt, r.Channel); err != nil {
				return err
			}
		}
	}
	return t.infer(ctx, tx, of, reports)
}

// recipientOf returns the address that an attempt's message went to; zero once it
// is erased or was corrected.
func (t *Tracker) recipientOf(ctx context.Context, tx pgx.Tx, a ledger.Attempt, ch invite.Channel) (secret.Text, error) {
	got, err := suppression.GetAddressed(ctx, tx, a.InviteID, a.DeliveryID)
	if errors.Is(err, suppression.ErrNotFound) || err == nil && (got.Corrected || got.Content == nil) {
		return secret.Text{}, nil
	}
	if err != nil {
		return secret.Text{}, err
	}
	plain, err := t.p.Box.Open(got.Content, seal.AD{Column: "invites.content", ID: a.InviteID.UUID()})
	if err != nil {
		t.p.Log.WarnContext(ctx, "the content of an invite cannot be opened", "invite", a.InviteID, "err", err)
		return secret.Text{}, nil
	}
	var content invite.Content
	if json.Unmarshal(plain, &content) != nil {
		return secret.Text{}, nil
	}
	return secret.New(content.Recipient.Address(ch)), nil
}

// infer matches what came without any id. Such a report is taken to be about the
// last message to its address, and is marked as inferred.
func (t *Tracker) infer(ctx context.Context, tx pgx.Tx, of origin, reports []report) error {
	var which []int
	var list []ledger.Addressee
	for i, r := range reports {
		if !r.ByAddress {
			continue
		}
		hashes := ledger.AddressTerms(t.p.Box, of.Place, r.Address.Reveal())
		if len(hashes) > 0 {
			which, list = append(which, i), append(list, ledger.Addressee{Hashes: hashes, At: r.At})
		}
	}
	if len(list) == 0 {
		return nil
	}
	found, err := ledger.FindAttemptsTo(ctx, tx, of.provider, list)
	if err != nil {
		return err
	}
	for n, i := range which {
		reports[i].attempt, reports[i].inferred = found[n], !found[n].ID.IsZero()
	}
	return nil
}

// fact is what the report says about a delivery; ok is false for reports that
// matched nothing or say nothing about delivery.
func (r *report) fact(by string) (fact, bool) {
	status, reason := r.Status, r.Reason
	if r.ForRecipient != nil {
		status, reason = r.ForRecipient(r.recipient)
	}
	if status == "" || r.attempt.ID.IsZero() {
		return fact{}, false
	}
	source := fromCallback
	if r.inferred {
		source = inferred
	}
	return fact{
		inferred: r.inferred,
		taken:    ledger.Taken{InviteID: r.attempt.InviteID, AttemptID: r.attempt.ID, ProviderMessageID: plainCode(r.MessageID)},
		event: invite.Event{
			Type:       invite.DeliveryEvent(status),
			Actor:      invite.Actor{Kind: invite.ActorProvider, ID: by},
			DeliveryID: r.attempt.DeliveryID,
			AttemptID:  r.attempt.ID,
			Data:       invite.Data{Reason: reason, ProviderCode: plainCode(r.Code), Provider: by, Channel: r.Channel, Source: source},
			Detail:     r.Words,
			At:         r.At,
		},
	}, true
}
