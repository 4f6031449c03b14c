package track

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/provider/sendgrid"
	"github.com/connectlink/connectlink/internal/seal"
	"github.com/connectlink/connectlink/internal/secret"
	"github.com/connectlink/connectlink/internal/store/ledger"
	"github.com/connectlink/connectlink/internal/store/queue"
	"github.com/connectlink/connectlink/internal/store/suppression"
)

const sendgridName = "sendgrid"

// postedAtOnce bounds one transaction; SendGrid posts up to a thousand events.
const postedAtOnce = 250

// SendGrid takes a post of the event webhook. A nil error means that every
// event in it is stored, or was before. Errors: ErrUnknown, ErrForged,
// ErrMalformed, and those of the database.
func (t *Tracker) SendGrid(ctx context.Context, project string, livemode bool, raw []byte, header http.Header) error {
	verifier, ok := t.p.SendGrid(project, livemode)
	if !ok {
		return ErrUnknown
	}
	if err := verifier.Verify(raw, header); err != nil {
		return ErrForged
	}
	plain, err := sendgrid.Decode(raw, header)
	if err != nil {
		return ErrMalformed
	}
	events, err := sendgrid.ParseEvents(plain)
	if err != nil {
		return ErrMalformed
	}
	for chunk := range slices.Chunk(events, postedAtOnce) {
		var facts []fact
		err := t.inTx(ctx, func(tx pgx.Tx) error {
			var err error
			facts, err = t.mailEvents(ctx, tx, project, livemode, chunk)
			return err
		})
		if err != nil {
			return fmt.Errorf("take %d mail events: %w", len(chunk), err)
		}
		t.noteReceipts(ctx, facts)
		t.noteLateReports(ctx, project, livemode, facts)
	}
	t.p.SawEvent(project, livemode)
	return nil
}

// MissedMail records that a post of SendGrid's was not answered with 2xx. It
// ignores projects without SendGrid: their names are anybody's.
func (t *Tracker) MissedMail(ctx context.Context, project string, livemode bool) {
	if _, ok := t.p.SendGrid(project, livemode); ok {
		t.avail.Missed(ctx, sendgridName, project, livemode, queue.GapRefused)
	}
}

// noteLateReports records that reports come late: others may still be under way.
func (t *Tracker) noteLateReports(ctx context.Context, project string, livemode bool, facts []fact) {
	now := t.p.Now()
	for _, f := range facts {
		if at := f.event.At; !f.inferred && !at.IsZero() && now.Sub(at) > lateReport {
			t.avail.Missed(ctx, sendgridName, project, livemode, queue.GapLateReport)
			return
		}
	}
}

// mail is a mail event with what it was matched to.
type mail struct {
	sendgrid.Event
	key      []byte
	place    int            // in the post
	attempt  ledger.Attempt // zero while it matches nothing
	inferred bool           // by the address alone
	// recipient is the address that the attempt's message went to, where it
	// decides; zero where it does not, or is not known any more.
	recipient secret.Text
}

func (t *Tracker) mailEvents(ctx context.Context, tx pgx.Tx, project string, livemode bool, posted []sendgrid.Event) ([]fact, error) {
	mails, err := freshMails(ctx, tx, project, livemode, posted)
	if err != nil || len(mails) == 0 {
		return nil, err
	}
	if err := t.matchMails(ctx, tx, project, livemode, mails); err != nil {
		return nil, err
	}
	var facts []fact
	var waiting []ledger.Unmatched
	kept := make([]ledger.Callback, 0, len(mails))
	for _, m := range mails {
		c, err := t.sealed(sendgridName, m.attempt.InviteID, m.Raw)
		if err != nil {
			return nil, err
		}
		kept = append(kept, c)
		if f, ok := m.fact(); ok {
			facts = append(facts, f)
		} else if m.worthWaiting() {
			waiting = append(waiting, ledger.Unmatched{CallbackID: c.ID, ProjectID: project, Livemode: livemode})
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

// freshMails drops copies, those in the post itself and those of earlier posts,
// and returns the rest in the order in which they happened.
func freshMails(ctx context.Context, tx pgx.Tx, project string, livemode bool, posted []sendgrid.Event) ([]mail, error) {
	mails := make([]mail, 0, len(posted))
	for i, e := range posted {
		mails = append(mails, mail{Event: e, key: mailKey(project, livemode, e), place: i})
	}
	byKey := func(a, b mail) int { return bytes.Compare(a.key, b.key) }
	slices.SortStableFunc(mails, byKey)
	mails = slices.CompactFunc(mails, func(a, b mail) bool { return byKey(a, b) == 0 })
	keys := make([][]byte, len(mails))
	for i := range mails {
		keys[i] = mails[i].key
	}
	fresh, err := ledger.GuardAll(ctx, tx, sendgridName, keys)
	if err != nil {
		return nil, err
	}
	isFresh := make(map[string]bool, len(fresh))
	for _, k := range fresh {
		isFresh[string(k)] = true
	}
	mails = slices.DeleteFunc(mails, func(m mail) bool { return !isFresh[string(m.key)] })
	slices.SortFunc(mails, inOrder)
	return mails, nil
}

// inOrder is the order in which events happened, as far as whole seconds and
// the post tell: a timeline that says "delivered" before "processed" confuses.
func inOrder(a, b mail) int {
	begins := func(m mail) int {
		if m.Name == "processed" {
			return 0
		}
		return 1
	}
	return cmp.Or(a.At.Compare(b.At), cmp.Compare(begins(a), begins(b)), cmp.Compare(a.place, b.place))
}

// mailKey is sg_event_id, which is the same in every copy; an event without
// one is told from others by all of its bytes. Project and mode are part of
// it: one SendGrid account cannot use up the ids of another.
func mailKey(project string, livemode bool, e sendgrid.Event) []byte {
	h := sha256.New()
	id := e.ID
	if id == "" {
		id = "raw " + string(e.Raw)
	}
	_, _ = fmt.Fprintf(h, "%s %t %s", project, livemode, id)
	return h.Sum(nil)
}

// matchMails finds the attempts: by our own ids, which travel as custom args,
// else by the message id that the send was answered with, else by the address.
func (t *Tracker) matchMails(ctx context.Context, tx pgx.Tx, project string, livemode bool, mails []mail) error {
	var invites []invite.ID
	var attempts []invite.AttemptID
	var messages []string
	for _, m := range mails {
		inv, err1 := invite.Parse[invite.ID](m.InviteID)
		att, err2 := invite.Parse[invite.AttemptID](m.AttemptID)
		if err1 == nil && err2 == nil {
			invites, attempts = append(invites, inv), append(attempts, att)
			continue
		}
		messages = append(messages, messagePrefixes(m.MessageID)...)
	}
	found, err := ledger.FindAttempts(ctx, tx, project, livemode, sendgridName, invites, attempts, messages)
	if err != nil {
		return err
	}
	for i := range mails {
		m := &mails[i]
		j := slices.IndexFunc(found, func(a ledger.Attempt) bool {
			if a.ID.String() == m.AttemptID && a.InviteID.String() == m.InviteID {
				return true
			}
			return m.AttemptID == "" && sendgrid.MatchesMessageID(m.MessageID, a.ProviderMessageID)
		})
		if j >= 0 {
			m.attempt = found[j]
		}
	}
	for i := range mails {
		m := &mails[i]
		if m.Name != "dropped" || m.attempt.ID.IsZero() {
			continue
		}
		if m.recipient, err = t.recipientOf(ctx, tx, m.attempt); err != nil {
			return err
		}
	}
	return t.inferMails(ctx, tx, project, livemode, mails)
}

// recipientOf returns the address that an attempt's mail went to; zero once it is
// erased or was corrected.
func (t *Tracker) recipientOf(ctx context.Context, tx pgx.Tx, a ledger.Attempt) (secret.Text, error) {
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
	return secret.New(content.Recipient.Address(invite.Email)), nil
}

// inferMails matches what came without any id: a late bounce travels by the
// return path, where SendGrid can attach neither custom args nor a message id.
// The address and the time are all it has, so it is taken to be about the last
// message to that address, and said to be inferred.
func (t *Tracker) inferMails(ctx context.Context, tx pgx.Tx, project string, livemode bool, mails []mail) error {
	var which []int
	var list []ledger.Addressee
	for i, m := range mails {
		if !m.nameless() {
			continue
		}
		hashes := ledger.AddressTerms(t.p.Box, project, livemode, m.Email.Reveal())
		if len(hashes) > 0 {
			which, list = append(which, i), append(list, ledger.Addressee{Hashes: hashes, At: m.At})
		}
	}
	if len(list) == 0 {
		return nil
	}
	found, err := ledger.FindAttemptsTo(ctx, tx, sendgridName, list)
	if err != nil {
		return err
	}
	for n, i := range which {
		mails[i].attempt, mails[i].inferred = found[n], !found[n].ID.IsZero()
	}
	return nil
}

// nameless says whether nothing but its address tells whose a failure is.
func (m mail) nameless() bool {
	status, _ := m.Fate()
	return m.InviteID == "" && m.AttemptID == "" && m.MessageID == "" && status.DidNotArrive()
}

// worthWaiting says whether an event that matched nothing would say something
// about a delivery if it did.
func (m mail) worthWaiting() bool {
	status, _ := m.Fate()
	return m.attempt.ID.IsZero() && status != ""
}

// maxPrefixes bounds what one event's message id may make us look up.
const maxPrefixes = 8

// messagePrefixes are the X-Message-Ids an sg_message_id may begin with: the id
// is followed by a dot, and may hold dots itself.
func messagePrefixes(id string) []string {
	if id == "" || len(id) > 500 || strings.ContainsRune(id, 0) {
		return nil
	}
	list := []string{id}
	for i := range len(id) {
		if id[i] == '.' && i > 0 && len(list) < maxPrefixes {
			list = append(list, id[:i])
		}
	}
	return list
}

// fact is what the event says about a delivery; ok is false for events that
// matched nothing or say nothing about delivery.
func (m mail) fact() (fact, bool) {
	status, reason := m.FateFor(m.recipient)
	if status == "" || m.attempt.ID.IsZero() {
		return fact{}, false
	}
	source, message := fromCallback, xMessageID(m.MessageID)
	if m.inferred {
		source = inferred
	}
	words := cmp.Or(m.Reason.Reveal(), m.Response.Reveal())
	return fact{
		inferred: m.inferred,
		taken:    ledger.Taken{InviteID: m.attempt.InviteID, AttemptID: m.attempt.ID, ProviderMessageID: message},
		event: invite.Event{
			Type:       invite.DeliveryEvent(status),
			Actor:      invite.Actor{Kind: invite.ActorProvider, ID: sendgridName},
			DeliveryID: m.attempt.DeliveryID,
			AttemptID:  m.attempt.ID,
			Data:       invite.Data{Reason: reason, ProviderCode: plainCode(m.Code()), Provider: sendgridName, Channel: invite.Email, Source: source},
			Detail:     secret.New(words),
			At:         m.At,
		},
	}, true
}

// xMessageID is the part of an sg_message_id that the send was answered with,
// as far as its form tells.
func xMessageID(id string) string {
	for _, mark := range []string{".recvd", ".filter"} {
		if before, _, ok := strings.Cut(id, mark); ok {
			return plainCode(before)
		}
	}
	before, _, _ := strings.Cut(id, ".")
	return plainCode(before)
}
