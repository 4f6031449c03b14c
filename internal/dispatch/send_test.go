package dispatch_test

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/connectlink/connectlink/internal/chaos"
	"github.com/connectlink/connectlink/internal/chaos/sink"
	"github.com/connectlink/connectlink/internal/dispatch"
	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/message"
	"github.com/connectlink/connectlink/internal/provider"
)

func TestSendsWhatIsDueOnce(t *testing.T) {
	t.Parallel()
	for _, ch := range []invite.Channel{invite.Email, invite.SMS} {
		t.Run(string(ch), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			loaded := w.load(50, chaos.Load{Channel: ch})
			w.run(w.params())
			w.until("all accepted", w.all("accepted"))
			w.once(loaded)
			if n := w.count(`SELECT count(*) FROM deliveries WHERE next_at IS NOT NULL OR lease_owner IS NOT NULL`); n != 0 {
				t.Errorf("%d deliveries are still in the queue", n)
			}
			if n := w.count(`SELECT count(*) FROM attempts WHERE outcome = 'accepted' AND provider_message_id <> '' AND template_version <> '' AND finished_at IS NOT NULL`); n != 50 {
				t.Errorf("%d attempts are complete, want 50", n)
			}
			for _, l := range loaded {
				if got := w.timeline(l.InviteID); got != "created 1,delivery.sending 1,delivery.accepted 2" {
					t.Errorf("a timeline is %q", got)
				}
			}
		})
	}
}

func TestAMessageCarriesOpaqueIDsAndItsLink(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	sms := w.load(1, chaos.Load{Channel: invite.SMS, ExpiresIn: time.Hour})
	mail := w.load(1, chaos.Load{})
	w.run(w.params())
	w.until("accepted", w.all("accepted"))
	for _, m := range w.sink.Taken() {
		want := mail[0]
		if m.Channel == "sms" {
			want = sms[0]
			if m.ValidityS < "3590" || m.ValidityS > "3600" {
				t.Errorf("validity is %s s, want what is left of an hour", m.ValidityS)
			}
			if !strings.Contains(m.Callback, m.Attempt) || !strings.Contains(m.Callback, "/hooks/twilio/") {
				t.Errorf("the callback URL names no attempt")
			}
		}
		if m.Key != want.Key || !strings.HasPrefix(m.Attempt, "att_") || m.Invite != want.InviteID.String() {
			t.Errorf("%s: attempt %q of invite %q with another's link", m.Channel, m.Attempt, m.Invite)
		}
	}
	for _, h := range w.sink.Headers() {
		if h.Get("Idempotency-Key") != "" || h.Get("X-Idempotency-Key") != "" {
			t.Error("a send carried an Idempotency-Key: net/http repeats such a POST by itself")
		}
	}
}

func TestAReminderCanBeUnsubscribedFromWithOnePress(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	mail := w.load(2, chaos.Load{})
	if _, err := w.db.Exec(t.Context(), `UPDATE deliveries SET kind = 'reminder' WHERE invite_id = $1`, mail[0].InviteID); err != nil {
		t.Fatal(err)
	}
	w.run(w.params())
	w.until("accepted", w.all("accepted"))
	for _, m := range w.sink.Taken() {
		want := map[string]string{"Auto-Submitted": "auto-generated", "X-Entity-Ref-ID": m.Attempt}
		if m.Invite == mail[0].InviteID.String() {
			want["List-Unsubscribe"], want["List-Unsubscribe-Post"] = "<"+strings.Replace(m.Key, "/c/", "/s/", 1)+">", "List-Unsubscribe=One-Click"
			if !strings.HasPrefix(m.Subject, "Your ") || !strings.Contains(m.Subject, " expires at ") {
				t.Errorf("the reminder's subject is %q", m.Subject)
			}
		}
		if diff := cmp.Diff(want, m.Headers); diff != "" {
			t.Errorf("headers of %q (-want +got):\n%s", m.Subject, diff)
		}
	}
}

// oneWay is a sender that people cannot reply to.
type oneWay struct{ provider.Sender }

func (s oneWay) Identity() provider.Identity {
	id := s.Sender.Identity()
	id.OneWay = true
	return id
}

func TestASenderThatCannotBeRepliedToSaysWhereToStop(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	sms := w.load(1, chaos.Load{Channel: invite.SMS})
	w.run(w.params(func(p *dispatch.Params) {
		known := p.Senders
		p.Senders = func(place invite.Place, ch invite.Channel) []provider.Sender {
			return []provider.Sender{oneWay{known(place, ch)[0]}}
		}
	}))
	w.until("accepted", w.all("accepted"))
	page := strings.Replace(sms[0].Key, "/c/", "/s/", 1)
	if m := w.sink.Taken()[0]; !strings.HasSuffix(m.Body, "Stop: "+page) || strings.Contains(m.Body, "STOP") || !strings.Contains(page, "/s/") {
		t.Errorf("it says: %s", m.Body)
	}
}

// timed records how much longer the lease of a call lasts in the database than the
// call may write.
type timed struct {
	provider.Sender
	w *world

	mu     sync.Mutex
	spares []time.Duration
}

func (s *timed) Send(ctx context.Context, m message.Outgoing) (provider.Acceptance, error) {
	var leased time.Time
	id, err := invite.Parse[invite.ID](m.InviteID)
	if err != nil {
		s.w.t.Error(err)
	}
	if err := s.w.db.QueryRow(ctx, `SELECT next_at FROM deliveries WHERE invite_id = $1`, id).Scan(&leased); err != nil {
		s.w.t.Error(err)
	}
	s.mu.Lock()
	s.spares = append(s.spares, leased.Sub(m.LeaseUntil))
	s.mu.Unlock()
	return s.Sender.Send(ctx, m)
}

// The last byte of a call leaves before the lease ends by which the database lets
// another process make the call. The database of a test has the test's own clock.
func TestACallMayWriteOnlyWhileItsLeaseLasts(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	loaded := w.load(5, chaos.Load{})
	p := w.params()
	s := &timed{Sender: p.Senders(invite.Place{Project: "default"}, invite.Email)[0], w: w}
	p.Senders = func(invite.Place, invite.Channel) []provider.Sender { return []provider.Sender{s} }
	w.run(p)
	w.until("accepted", w.all("accepted"))
	w.once(loaded)
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.spares) != len(loaded) {
		t.Fatalf("%d calls were timed", len(s.spares))
	}
	// Postgres counts in whole microseconds.
	if least := slices.Min(s.spares); least < 200*time.Millisecond-time.Microsecond {
		t.Errorf("a call may write until %v before its lease ends, want 200 ms for clocks that tick differently", least)
	}
}

func TestWakeBeatsThePoll(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p := w.params()
	p.Poll = time.Hour
	d, _ := w.run(p)
	w.load(1, chaos.Load{}) // may still race with the first look
	w.until("sent", func() bool { d.Wake(); return w.all("accepted")() })
}

func TestANotificationFromAnotherProcessWakes(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p := w.params()
	p.Poll = time.Hour
	w.run(p)
	w.load(1, chaos.Load{})
	w.until("sent", func() bool { w.exec(`SELECT pg_notify('connectlink_queue', '')`); return w.all("accepted")() })
}

// A 202 has an empty body; what reads it as JSON takes it for a failure.
func TestBug202IsNotAFailure(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	loaded := w.load(1, chaos.Load{})
	w.run(w.params())
	w.until("accepted", w.all("accepted"))
	w.once(loaded)
	if got := w.count(`SELECT http_status FROM attempts`); got != http.StatusAccepted {
		t.Errorf("http status is %d", got)
	}
}

func TestARefusedMessageIsRejectedWithItsReason(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.load(1, chaos.Load{Channel: invite.SMS})
	w.sink.SetFault(sink.Fault{Status: http.StatusBadRequest, Code: 21610})
	w.run(w.params())
	w.until("rejected", w.all("rejected"))
	if got := w.text(`SELECT reason || ' ' || provider_code || ' ' || provider FROM deliveries`); got != "opted_out 21610 twilio" {
		t.Errorf("got %q", got)
	}
	if got := w.text(`SELECT status FROM invites`); got != "failed" {
		t.Errorf("the invite is %q", got)
	}
	if w.sink.Calls() != 1 {
		t.Errorf("%d calls for a definite no", w.sink.Calls())
	}
	if n := w.count(`SELECT count(*) FROM attempts WHERE detail IS NOT NULL AND position('told' in encode(detail, 'escape')) = 0`); n != 1 {
		t.Error("the provider's words are not kept sealed")
	}
}

func TestWhatDidNotLeaveIsTriedAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	loaded := w.load(1, chaos.Load{})
	w.sink.SetFault(sink.Fault{Status: http.StatusTooManyRequests, Times: 2})
	w.run(w.params())
	w.until("accepted", w.all("accepted"))
	w.once(loaded)
	if got := w.text(`SELECT string_agg(outcome, ',' ORDER BY number) FROM attempts`); got != "not_sent,not_sent,accepted" {
		t.Errorf("attempts are %q", got)
	}
}

func TestMintsWhereNoLinkIsHeld(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	loaded := w.load(3, chaos.Load{Pending: true})
	w.run(w.params())
	w.until("accepted", w.all("accepted"))
	w.once(loaded)
	if w.sink.Mints() != 3 {
		t.Errorf("%d mints", w.sink.Mints())
	}
	if n := w.count(`SELECT count(*) FROM invites WHERE status = 'active' AND expires_at > now() + interval '3 hours 59 minutes'`); n != 3 {
		t.Errorf("%d invites are active with their token's end", n)
	}
}
