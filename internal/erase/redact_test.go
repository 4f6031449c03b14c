package erase_test

import (
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/provider/twilio"
	"github.com/connectlink/connectlink/internal/store/ledger"
	"github.com/connectlink/connectlink/internal/track/tracktest"
)

// wire puts test mode's Twilio on a socket, in front of it an answer that a
// test may give instead; 0 lets requests through.
type wire struct {
	mu     sync.Mutex
	answer int
	asked  []string
}

func (v *wire) say(status int) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.answer, v.asked = status, nil
}

func (v *wire) heard() []string {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.asked
}

func (w *world) connect() *wire {
	w.t.Helper()
	v, vendors := &wire{}, w.sandbox.Vendors()
	server := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		v.mu.Lock()
		status := v.answer
		v.asked = append(v.asked, r.Method)
		v.mu.Unlock()
		if status == 0 {
			vendors.ServeHTTP(rw, r)
			return
		}
		rw.Header().Set("Content-Type", "application/json")
		rw.WriteHeader(status)
		_, _ = rw.Write([]byte(`{"code":20003,"message":"words","status":401}`))
	}))
	w.t.Cleanup(server.Close)
	cred := w.sandbox.Credentials()
	w.redactor = twilio.New(twilio.Params{
		BaseURL: server.URL + "/twilio", AccountSID: cred.TwilioAccountSID, APIKey: cred.TwilioAPIKey, APISecret: cred.TwilioAPISecret,
		MessagingServiceSID: cred.TwilioMessagingServiceSID,
	})
	return v
}

// text makes an invite whose text Twilio took, and what Twilio calls it.
func (w *world) text(status invite.DeliveryStatus) (tracktest.Made, string) {
	w.t.Helper()
	m := w.Invite(tracktest.Options{Channel: invite.SMS, User: "user-1", Content: canaries()})
	a := w.Attempt(m, "twilio", "accepted")
	sid := w.send(m, "Your link "+canary)
	w.Exec(`UPDATE attempts SET provider_message_id = $2 WHERE id = $1`, a, sid)
	w.Append(m.ID, invite.Event{Type: invite.DeliveryEvent(status), DeliveryID: m.Delivery})
	// Twilio's own word on it, which decides what it lets us do.
	if status == invite.Delivered {
		w.Exec(`UPDATE sandbox.messages SET status = 'delivered', due_at = NULL WHERE invite_id = $1`, m.ID.String())
	}
	return m, sid
}

// end ends an invite, and an hour passes.
func (w *world) end(m tracktest.Made) {
	w.t.Helper()
	w.Append(m.ID, invite.Event{Type: invite.EventRevoked})
	w.due()
}

func (w *world) due() {
	w.t.Helper()
	w.Exec(`UPDATE redactions SET next_at = now() WHERE next_at IS NOT NULL`)
}

func (w *world) redact(want int) {
	w.t.Helper()
	if n, err := w.Redact(w.t.Context()); err != nil || n != want {
		w.t.Errorf("redacted %d, want %d: %v", n, want, err)
	}
}

func TestATextIsRedactedOnceItsInviteHasEnded(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	v := w.connect()
	m, _ := w.text(invite.Delivered)
	w.redact(0) // it has not ended
	w.Append(m.ID, invite.Event{Type: invite.EventRevoked})
	w.redact(0) // just now
	if got := v.heard(); len(got) != 0 {
		t.Fatalf("asked %v too early", got)
	}
	w.due()
	w.redact(1)
	if w.holding(canary)["sandbox.messages.content"] {
		t.Error("the words are still at the provider")
	}
	if n := w.Count(`SELECT count(*) FROM redactions WHERE redacted_at IS NOT NULL AND removed_at IS NULL AND next_at IS NULL`); n != 1 {
		t.Error("it is not recorded")
	}
	w.due()
	w.redact(0)
	if n := w.Count(`SELECT count(*) FROM sandbox.messages WHERE deleted_at IS NOT NULL`); n != 0 {
		t.Error("the record is gone, though nobody asked for that")
	}
}

func TestNoTextIsTouchedWhileItMayBeOnItsWay(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	v := w.connect()
	m, _ := w.text(invite.Sent)
	w.end(m)
	w.redact(0)
	if got := v.heard(); len(got) != 0 {
		t.Fatalf("asked %v while it was on its way", got)
	}
	if n := w.Count(`SELECT count(*) FROM redactions WHERE next_at BETWEEN now() + interval '10 hours' AND now() + interval '11 hours' AND tries = 0`); n != 1 {
		t.Error("it is not looked at again when Twilio must have stopped trying")
	}
	// Twilio gives no receipt, and ten hours later it is over.
	w.Exec(`UPDATE attempts SET started_at = started_at - interval '11 hours'`)
	w.Exec(`UPDATE sandbox.messages SET status = 'sent', due_at = NULL`)
	w.due()
	w.redact(1)
	if w.holding(canary)["sandbox.messages.content"] {
		t.Error("the words are still at the provider")
	}
}

func TestAMessageThatIsGoneNeedsNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	v := w.connect()
	m, _ := w.text(invite.Delivered)
	w.end(m)
	v.say(http.StatusNotFound)
	w.redact(1)
}

func TestARefusalIsTriedAgainAndLeftToAPersonInTheEnd(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	v := w.connect()
	a, _ := w.text(invite.Delivered)
	b, _ := w.text(invite.Delivered)
	w.end(a)
	w.end(b)
	v.say(http.StatusUnauthorized)
	w.redact(0)
	if got := v.heard(); len(got) != 1 {
		t.Errorf("an account that refuses us was asked %d times in one go", len(got))
	}
	if n := w.Count(`SELECT count(*) FROM redactions WHERE tries = 1 AND next_at > now()`); n != 1 {
		t.Error("the try was not counted once")
	}
	for range 30 {
		w.due()
		w.redact(0)
	}
	if n := w.Count(`SELECT count(*) FROM redactions WHERE gave_up_at IS NOT NULL AND next_at IS NULL`); n != 2 {
		t.Errorf("%d are given up, want both", n)
	}
	if failing, left := w.behind("failing"), w.behind("given_up"); failing != 0 || left != 2 {
		t.Errorf("the metric says %v failing and %v given up, want 0 and 2", failing, left)
	}
}

// behind reads the gauge that an operator watches.
func (w *world) behind(state string) float64 {
	w.t.Helper()
	families, err := w.registry.Gather()
	if err != nil {
		w.t.Fatal(err)
	}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			if f.GetName() == "connectlink_redactions_behind" && m.GetLabel()[0].GetValue() == state {
				return m.GetGauge().GetValue()
			}
		}
	}
	w.t.Fatalf("there is no gauge for %s", state)
	return 0
}

func TestWithoutCredentialsItIsTriedAgainLater(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	m, _ := w.text(invite.Delivered)
	w.end(m)
	w.redact(0)
	if n := w.Count(`SELECT count(*) FROM redactions WHERE tries = 1 AND next_at > now() + interval '50 minutes'`); n != 1 {
		t.Error("a project without credentials is not left alone for an hour, and counted")
	}
}

// Each text is redacted at the provider that took it; one that keeps no text of
// messages has nothing to redact.
func TestATextIsRedactedAtTheProviderThatTookIt(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	v := w.connect()
	mine, _ := w.text(invite.Delivered)
	nothing, _ := w.text(invite.Delivered)
	w.Exec(`UPDATE attempts SET provider = 'keeps-nothing' WHERE invite_id = $1`, nothing.ID)
	gone, _ := w.text(invite.Delivered)
	w.Exec(`UPDATE attempts SET provider = 'taken-out' WHERE invite_id = $1`, gone.ID)
	for _, m := range []tracktest.Made{mine, nothing, gone} {
		w.end(m)
	}
	if n, err := w.Redact(t.Context()); err != nil || n != 1 || len(v.heard()) != 1 {
		t.Errorf("%d redacted by %d calls: %v", n, len(v.heard()), err)
	}
	if n := w.Count(`SELECT count(*) FROM redactions WHERE invite_id = $1`, nothing.ID); n != 0 {
		t.Error("a redaction is noted at a provider that keeps nothing")
	}
	if n := w.Count(`SELECT count(*) FROM redactions WHERE invite_id = $1 AND next_at > now()`, gone.ID); n != 1 {
		t.Error("the redaction at a provider without credentials does not wait")
	}
}

func TestTheRecordOfAnErasedPersonIsDeletedAtTheProvider(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	v := w.connect()
	m, _ := w.text(invite.Delivered)
	w.end(m)
	w.redact(1) // its words went before
	w.Exec(`UPDATE sandbox.messages SET deleted_at = NULL`)
	w.erase("user-1")
	v.say(0)
	w.redact(1)
	if got := v.heard(); len(got) != 1 || got[0] != http.MethodDelete {
		t.Errorf("asked %v, want the record deleted", got)
	}
	if n := w.Count(`SELECT count(*) FROM redactions WHERE removed_at IS NOT NULL AND next_at IS NULL`); n != 1 {
		t.Error("it is not recorded")
	}
	w.again()
	if n := w.Count(`SELECT count(*) FROM redactions WHERE next_at IS NOT NULL`); n != 0 {
		t.Error("the second sweep asks for it again")
	}
}

func TestWhatNoProviderTookIsForgotten(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	v := w.connect()
	m := w.Invite(tracktest.Options{Channel: invite.SMS})
	a := w.Attempt(m, "twilio", "open")
	w.end(m)
	w.Exec(`UPDATE attempts SET outcome = 'refused' WHERE id = $1`, a)
	w.redact(0)
	if n := w.Count(`SELECT count(*) FROM redactions`); n != 0 || len(v.heard()) != 0 {
		t.Errorf("%d redactions wait, asked %v", n, v.heard())
	}
}

// A message id that becomes known only after the end is used then.
func TestAMessageWhoseIDComesLateIsRedactedToo(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.connect()
	m, sid := w.text(invite.Delivered)
	w.Exec(`UPDATE attempts SET provider_message_id = '', outcome = 'unknown' WHERE invite_id = $1`, m.ID)
	w.end(m)
	w.redact(0)
	w.InTx(func(tx pgx.Tx) error {
		var a invite.AttemptID
		if err := tx.QueryRow(t.Context(), `SELECT id FROM attempts WHERE invite_id = $1`, m.ID).Scan(&a); err != nil {
			return err
		}
		return ledger.SetTaken(t.Context(), tx, []ledger.Taken{{InviteID: m.ID, AttemptID: a, ProviderMessageID: sid}})
	})
	w.due()
	w.redact(1)
}
