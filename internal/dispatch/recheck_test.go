package dispatch_test

import (
	"testing"
	"time"

	"github.com/connectlink/connectlink/config"
	"github.com/connectlink/connectlink/internal/chaos"
	"github.com/connectlink/connectlink/internal/chaos/sink"
	"github.com/connectlink/connectlink/internal/invite"
)

// restored is a delivery that was sent, on a database that was then restored to a time
// before its attempt.
func (w *world) restored(l chaos.Load) []chaos.Loaded {
	w.t.Helper()
	loaded := w.load(1, l)
	_, stop := w.run(w.params())
	w.until("accepted", w.all("accepted"))
	stop()
	w.exec(`DELETE FROM events WHERE type <> 'created'`)
	w.exec(`DELETE FROM attempts`)
	w.exec(`UPDATE deliveries SET status = 'queued', provider = '', attempts = 0, next_at = now(), lease_owner = NULL, restored_at = now()`)
	w.exec(`UPDATE invites SET seq = 1`)
	return loaded
}

func TestAfterARestoreATextIsFoundAndNotSentAgain(t *testing.T) {
	t.Parallel()
	for name, l := range map[string]chaos.Load{
		"invite link": {Channel: invite.SMS}, "connect link": {Channel: invite.SMS, LinkType: invite.ConnectLink},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			loaded := w.restored(l)
			w.run(w.params())
			w.until("accepted", w.all("accepted"))
			w.once(loaded)
			if got := w.text(`SELECT outcome || ' ' || (provider_message_id <> '') FROM attempts`); got != "accepted true" {
				t.Errorf("the attempt is %q", got)
			}
		})
	}
}

func TestAfterARestoreATextThatWasNotSentIsSentAfterTheSettleTime(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.rig.Settle = 700 * time.Millisecond
	loaded := w.load(1, chaos.Load{Channel: invite.SMS})
	w.exec(`UPDATE deliveries SET restored_at = now()`)
	declared := w.text(`SELECT restored_at::text FROM deliveries`)
	w.run(w.params())
	w.until("accepted", w.all("accepted"))
	w.once(loaded)
	if n := w.count(`SELECT count(*) FROM attempts WHERE started_at < $1::text::timestamptz + interval '700 ms'`, declared); n != 0 {
		t.Error("sent before the settle time was over")
	}
	if n := w.count(`SELECT count(*) FROM deliveries WHERE restored_at IS NOT NULL`); n != 0 {
		t.Error("the mark of the restore stays")
	}
}

// A link that was minted after the earlier time is lost: that the text with the old one
// is not found proves nothing.
func TestAfterARestoreATextWithAReplacedConnectLinkIsHeld(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.load(1, chaos.Load{Channel: invite.SMS, LinkType: invite.ConnectLink})
	w.exec(`UPDATE deliveries SET restored_at = now() - interval '1 hour'`)
	w.run(w.params())
	w.until("held", w.all("unknown"))
	if got := w.text(`SELECT reason FROM deliveries`); got != "database_restored" || w.sink.Calls() != 0 {
		t.Errorf("reason %q, %d calls", got, w.sink.Calls())
	}
}

// The policy "resend" is about single messages, not about all of an hour.
func TestAfterARestoreAMailIsHeldUnderAnyPolicy(t *testing.T) {
	t.Parallel()
	for _, policy := range []string{config.UnknownHold, config.UnknownResend} {
		t.Run(policy, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.rig.OnUnknown, w.rig.SendGridReports = policy, true
			loaded := w.restored(chaos.Load{})
			w.run(w.params())
			w.until("held", w.all("unknown"))
			w.once(loaded)
			if got := w.text(`SELECT reason FROM deliveries`); got != "database_restored" {
				t.Errorf("the reason is %q", got)
			}
			if got := w.timeline(loaded[0].InviteID); got != "created 1,delivery.unknown 2" {
				t.Errorf("the timeline is %s", got)
			}
		})
	}
}

// An attempt of before the earlier time whose answer was lost: the proof that it did not
// arrive says nothing about attempts that are lost.
func TestAfterARestoreADoubtThatEndsUnsentIsCheckedToo(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	loaded := w.restored(chaos.Load{Channel: invite.SMS})
	w.exec(`INSERT INTO attempts (invite_id, delivery_id, id, number, provider, account, template_version, lease_token, started_at, outcome, finished_at)
		SELECT invite_id, id, gen_random_uuid(), 1, 'twilio', 'removed', 'v', 1, now() + interval '1 hour', 'not_sent', now() FROM deliveries`)
	w.exec(`UPDATE deliveries SET attempts = 1`)
	w.run(w.params())
	w.until("accepted", w.all("accepted"))
	w.once(loaded)
}

func TestAfterARestoreAProviderThatIsAwayIsWaitedFor(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	loaded := w.restored(chaos.Load{Channel: invite.SMS})
	w.exec(`UPDATE deliveries SET restored_at = now() - interval '1 minute'`)
	w.sink.SetFault(sink.Fault{ListStatus: 503})
	w.run(w.params())
	w.until("asked and put off", func() bool {
		return w.count(`SELECT count(*) FROM deliveries WHERE next_at > now() + interval '1 second' AND lease_owner IS NULL`) == 1
	})
	w.sink.SetFault(sink.Fault{})
	w.exec(`UPDATE deliveries SET next_at = now()`)
	w.until("accepted", w.all("accepted"))
	w.once(loaded)
}

func TestARestoredDatabaseIsNotSentFrom(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.load(1, chaos.Load{Channel: invite.SMS})
	w.exec(`INSERT INTO database_identity (system, timeline) VALUES ('another', 1)`)
	d, _ := w.run(w.params())
	w.until("was tried", func() bool {
		return w.count(`SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()`) > 1
	})
	if d.Working() || w.sink.Calls() != 0 {
		t.Errorf("works: %v, %d calls", d.Working(), w.sink.Calls())
	}
	w.exec(`DELETE FROM database_identity`)
	w.until("accepted", w.all("accepted"))
}
