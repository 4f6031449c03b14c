package dispatch_test

import (
	"context"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/connectlink/connectlink/config"
	"github.com/connectlink/connectlink/internal/chaos"
	"github.com/connectlink/connectlink/internal/chaos/sink"
	"github.com/connectlink/connectlink/internal/dispatch"
	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/postgres"
	"github.com/connectlink/connectlink/internal/store/ledger"
	"github.com/connectlink/connectlink/internal/store/queue"
)

func TestALostAnswerIsFoundInTheProvidersList(t *testing.T) {
	t.Parallel()
	for name, f := range map[string]sink.Fault{
		"connection cut after it was taken": {CutAfter: 1, Times: 1},
		"a 503 that lies":                   {Lie503: 1, Times: 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			loaded := w.load(1, chaos.Load{Channel: invite.SMS})
			w.sink.SetFault(f)
			w.run(w.params())
			w.until("accepted", w.all("accepted"))
			w.once(loaded)
			if got := w.text(`SELECT outcome || ' ' || (provider_message_id <> '') FROM attempts`); got != "accepted true" {
				t.Errorf("the attempt is %q", got)
			}
			if w.sink.Calls() != 1 {
				t.Errorf("%d calls", w.sink.Calls())
			}
		})
	}
}

func TestWhatTheListLacksIsSentAgainOnlyAfterTheSettleTime(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.rig.Settle = 700 * time.Millisecond
	loaded := w.load(1, chaos.Load{Channel: invite.SMS})
	w.sink.SetFault(sink.Fault{CutBefore: 1, Times: 1})
	w.run(w.params())
	w.until("accepted", w.all("accepted"))
	w.once(loaded)
	if gap := w.count(`SELECT extract(milliseconds FROM max(started_at) - min(started_at))::int FROM attempts`); gap < 700 {
		t.Errorf("sent again after %d ms, before the settle time was over", gap)
	}
	if got := w.text(`SELECT string_agg(outcome, ',' ORDER BY number) FROM attempts`); got != "not_sent,accepted" {
		t.Errorf("attempts are %q", got)
	}
}

func TestAListThatCannotBeReadProvesNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	loaded := w.load(1, chaos.Load{Channel: invite.SMS})
	w.sink.SetFault(sink.Fault{CutAfter: 1, ListStatus: 401}) // not one that passes
	w.run(w.params())
	w.until("held", w.all("unknown"))
	if w.sink.Calls() != 1 {
		t.Errorf("%d calls: sent again on no evidence", w.sink.Calls())
	}
	w.once(loaded)
}

// A provider that is away for an hour after it lost an answer must not cause a
// held message: when it is back, it can list what it took.
func TestBugADoubtIsHeldWhileTheProviderIsAway(t *testing.T) {
	t.Parallel()
	for name, taken := range map[string]sink.Fault{"it was taken": {CutAfter: 1}, "it was not": {CutBefore: 1}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			loaded := w.load(1, chaos.Load{Channel: invite.SMS})
			taken.ListStatus = 503
			w.sink.SetFault(taken)
			w.run(w.params())
			w.until("many times the patience has passed", func() bool {
				return w.count(`SELECT count(*) FROM attempts WHERE now() - finished_at > interval '3 seconds'`) == 1
			})
			if w.sink.Calls() != 1 || !w.all("sending")() {
				t.Fatalf("%d calls\n%s", w.sink.Calls(), w.picture())
			}
			w.sink.SetFault(sink.Fault{})
			w.until("accepted", w.all("accepted"))
			w.once(loaded)
		})
	}
}

func TestADoubtNobodyAnswersEndsWithTheInvite(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	loaded := w.load(1, chaos.Load{Channel: invite.SMS, ValidFor: time.Hour})
	w.sink.SetFault(sink.Fault{CutAfter: 1, ListStatus: 503})
	d, _ := w.run(w.params())
	w.until("in doubt", func() bool { return w.count(`SELECT count(*) FROM attempts WHERE outcome = 'unknown'`) == 1 })
	w.travel(time.Hour)
	d.Wake()
	w.until("held", w.all("unknown"))
	w.once(loaded)
}

// A doubt is left to a person only after three settle times; until then the provider
// is asked again, and what it says counts.
func TestADoubtIsAskedAboutForThreeSettleTimes(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.rig.Settle = time.Hour // by the test's clock only: it travels
	loaded := w.load(1, chaos.Load{Channel: invite.SMS, ValidFor: 24 * time.Hour})
	w.sink.SetFault(sink.Fault{CutAfter: 1, ListStatus: 401}) // not one that passes
	d, _ := w.run(w.params())
	// asked waits until the provider was asked and is to be asked again in a while.
	asked := func(when string) {
		t.Helper()
		d.Wake()
		w.until("asked "+when, func() bool {
			return w.count(`SELECT count(*) FROM deliveries WHERE status = 'unknown' OR lease_owner IS NULL AND next_at > now() + interval '3 minutes'
				AND EXISTS (SELECT FROM attempts a WHERE a.invite_id = deliveries.invite_id AND a.outcome = 'unknown')`) == 1
		})
		if !w.all("sending")() {
			t.Fatalf("%s it is not waited for any more\n%s", when, w.picture())
		}
	}
	asked("at once")
	w.travel(70 * time.Minute)
	asked("after one settle time")
	w.travel(90 * time.Minute)
	asked("shortly before three settle times")
	w.travel(30 * time.Minute)
	d.Wake()
	w.until("held", w.all("unknown"))
	if w.sink.Calls() != 1 {
		t.Errorf("%d calls: sent again on no evidence", w.sink.Calls())
	}
	w.once(loaded)
}

func TestABlindProvidersLostAnswerIsHeld(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.load(1, chaos.Load{})
	w.sink.SetFault(sink.Fault{CutAfter: 1})
	w.run(w.params())
	w.until("held", w.all("unknown"))
	if got := w.text(`SELECT reason || ' ' || coalesce(next_at::text, 'off') FROM deliveries`); got != "outcome_unknown off" {
		t.Errorf("got %q", got)
	}
	if w.sink.Calls() != 1 {
		t.Errorf("%d calls", w.sink.Calls())
	}
	if got := w.text(`SELECT status FROM invites`); got != "active" {
		t.Errorf("the invite is %q: the message may have arrived", got)
	}
}

func TestAProjectMayPreferTwoToNone(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.rig.OnUnknown = config.UnknownResend
	w.load(1, chaos.Load{})
	w.sink.SetFault(sink.Fault{CutAfter: 1})
	w.run(w.params())
	w.until("held at last", w.all("unknown"))
	if w.sink.Calls() != 2 {
		t.Errorf("%d calls, want one more than the first and no stream", w.sink.Calls())
	}
}

// reporting sends one mail whose answer is lost and gives the rest to f.
func reporting(t *testing.T, taken bool) (*world, chaos.Loaded, invite.AttemptID) {
	t.Helper()
	return reportingIn(t, newWorld(t), taken)
}

func reportingIn(t *testing.T, w *world, taken bool) (*world, chaos.Loaded, invite.AttemptID) {
	t.Helper()
	w.rig.SendGridReports = true
	w.takesCallbacks()
	loaded := w.load(1, chaos.Load{})
	w.sink.SetFault(sink.Fault{CutBefore: 1, Times: 1})
	if taken {
		w.sink.SetFault(sink.Fault{CutAfter: 1, Times: 1})
	}
	w.run(w.params())
	var id invite.AttemptID
	w.until("in doubt", func() bool {
		err := w.db.QueryRow(t.Context(), `SELECT id FROM attempts WHERE outcome = 'unknown'`).Scan(&id)
		return err == nil
	})
	return w, loaded[0], id
}

func (w *world) receipt(l chaos.Loaded, attempt invite.AttemptID) {
	w.t.Helper()
	err := postgres.InTx(w.t.Context(), w.db, func(tx pgx.Tx) error {
		_, err := ledger.Append(w.t.Context(), tx, w.rig.Box, l.InviteID, invite.Event{
			Type: invite.EventDeliveryDelivered, Actor: invite.Actor{Kind: invite.ActorProvider}, DeliveryID: l.DeliveryID, AttemptID: attempt,
		})
		return err
	})
	if err != nil {
		w.t.Fatal(err)
	}
	if err := queue.NoteReceipts(w.t.Context(), w.db, []queue.AttemptRef{{InviteID: l.InviteID, AttemptID: attempt}}); err != nil {
		w.t.Fatal(err)
	}
}

func TestAnEventSettlesALostAnswer(t *testing.T) {
	t.Parallel()
	w, l, attempt := reporting(t, true)
	w.receipt(l, attempt)
	// Long after the settle time another message goes its way, and this one stays.
	w.travel(time.Minute)
	next := w.load(1, chaos.Load{})
	w.until("another is accepted", func() bool { return w.count(`SELECT count(*) FROM deliveries WHERE status = 'accepted'`) == 1 })
	w.once(append(next, l))
	if w.count(`SELECT count(*) FROM deliveries WHERE status = 'delivered'`) != 1 {
		t.Error(w.picture())
	}
}

// takesCallbacks registers a process that takes callbacks, as a serving process does.
func (w *world) takesCallbacks() {
	w.t.Helper()
	if _, err := w.db.Exec(w.t.Context(), `INSERT INTO callback_servers (id, seen_at) VALUES (gen_random_uuid(), now() + interval '1 hour')`); err != nil {
		w.t.Fatal(err)
	}
}

// reportLater sends mails until several were reported on that began late enough
// after the one in doubt, and returns them.
func (w *world) reportLater() []chaos.Loaded {
	w.t.Helper()
	var sent []chaos.Loaded
	for range 4 {
		l := w.load(1, chaos.Load{})[0]
		var id invite.AttemptID
		w.until("a later one sent", func() bool {
			return w.db.QueryRow(w.t.Context(), `SELECT id FROM attempts WHERE invite_id = $1 AND outcome = 'accepted'`, l.InviteID).Scan(&id) == nil
		})
		w.receipt(l, id)
		sent = append(sent, l)
		w.until("some of the settle time passed", func() bool {
			return w.count(`SELECT count(*) FROM attempts WHERE id = $1 AND started_at < clock_timestamp() - make_interval(secs => $2)`,
				id, w.rig.Settle.Seconds()/6) == 1
		})
	}
	return sent
}

func TestSilenceIsBelievedOnlyWhenLaterMailsWereReported(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.rig.Settle = 5 * time.Second // the later mails are reported on within three times that, or it is held
	w, l, _ := reportingIn(t, w, false)
	sent := w.reportLater()
	w.until("the lost one sent again", func() bool {
		return w.count(`SELECT count(*) FROM deliveries WHERE invite_id = $1 AND status = 'accepted'`, l.InviteID) == 1
	})
	w.once(append(sent, l))
}

func TestSilenceOfAnAccountThatReportsNothingElseIsHeld(t *testing.T) {
	t.Parallel()
	w, _, _ := reporting(t, false)
	w.until("held", w.all("unknown"))
	if w.sink.Calls() != 1 {
		t.Errorf("%d calls: silence was taken for proof", w.sink.Calls())
	}
}

// TestF2ALateReportIsNeverASecondMail: the provider took the mail, its report
// does not come, and those of later mails do. Each explanation of the missing
// report forbids a second mail.
func TestF2ALateReportIsNeverASecondMail(t *testing.T) {
	t.Parallel()
	scope := queue.GapScope("sendgrid", invite.Place{Project: "default"})
	for name, explain := range map[string]func(w *world){
		"a post was refused": func(w *world) {
			w.must(queue.SetGap(w.t.Context(), w.db, scope, queue.GapRefused))
		},
		"a process died that took posts": func(w *world) {
			w.exec(`INSERT INTO callback_servers (id, seen_at) VALUES (gen_random_uuid(), now() - interval '1 minute')`)
			_, err := queue.RenewCallbackServer(w.t.Context(), w.db, uuid.New())
			w.must(err)
		},
		"a process is overdue": func(w *world) {
			w.exec(`INSERT INTO callback_servers (id, seen_at) VALUES (gen_random_uuid(), now() - interval '1 minute')`)
		},
		"no process took posts for a while": func(w *world) {
			w.exec(`DELETE FROM callback_servers`)
			w.must(queue.RegisterCallbackServer(w.t.Context(), w.db, uuid.New()))
		},
		"nothing takes posts": func(w *world) { w.exec(`DELETE FROM callback_servers`) },
		"another mail of that time has no report either": func(w *world) {
			l := w.load(1, chaos.Load{})[0]
			w.until("sent without a report", func() bool {
				return w.count(`SELECT count(*) FROM attempts WHERE invite_id = $1 AND outcome = 'accepted'`, l.InviteID) == 1
			})
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, l, _ := reporting(t, true)
			explain(w)
			w.reportLater()
			w.until("held", func() bool {
				return w.count(`SELECT count(*) FROM deliveries WHERE invite_id = $1 AND status = 'unknown'`, l.InviteID) == 1
			})
			if n := w.sink.Count()[l.Key]; n != 1 {
				t.Errorf("the mail went out %d times", n)
			}
		})
	}
}

// TestF2AGapBeforeTheCallProvesNothingAgainstIt: posts that were missed before
// the call cannot have carried its report.
func TestF2AGapBeforeTheCallProvesNothingAgainstIt(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.rig.Settle = 5 * time.Second // the later mails are reported on within three times that, or it is held
	w.must(queue.SetGap(t.Context(), w.db, queue.GapScope("sendgrid", invite.Place{Project: "default"}), queue.GapRefused))
	w, l, _ := reportingIn(t, w, false)
	sent := w.reportLater()
	w.until("the lost one sent again", func() bool {
		return w.count(`SELECT count(*) FROM deliveries WHERE invite_id = $1 AND status = 'accepted'`, l.InviteID) == 1
	})
	w.once(append(sent, l))
}

// dead leaves a delivery as a process does that dies right after it committed
// an attempt: claimed, attempt open, lock free.
func (w *world) dead(l chaos.Loaded) {
	w.t.Helper()
	ctx := w.t.Context()
	jobs, err := queue.Claim(ctx, w.db, queue.Want{Owner: 4711, Lease: time.Hour, Batch: 1, PerLane: 1})
	if err != nil || len(jobs) != 1 {
		w.t.Fatalf("claim: %d jobs, %v", len(jobs), err)
	}
	_, text := w.rig.Senders()
	attempt := invite.New[invite.AttemptID]()
	begun, err := queue.Begin(ctx, w.db, []queue.NewAttempt{{
		Lease: jobs[0].Lease, ID: attempt, Version: jobs[0].Invite.Version, Provider: text.Provider(), Account: text.Account(), TemplateVersion: "x",
	}}, time.Hour)
	if err != nil || !begun[attempt].OK {
		w.t.Fatalf("begin: %+v, %v", begun, err)
	}
}

func TestBugACrashInTheMiddleOfProcessing(t *testing.T) {
	t.Parallel()
	for name, taken := range map[string]bool{"before the call": false, "after the provider took it": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			l := w.load(1, chaos.Load{Channel: invite.SMS})[0]
			w.dead(l)
			if taken {
				// The dead process's call.
				_, text := w.rig.Senders()
				w.handOver(text, l)
			}
			w.travel(time.Minute) // its call can no longer be under way
			w.run(w.params())
			w.until("accepted", w.all("accepted"))
			w.once([]chaos.Loaded{l})
		})
	}
}

// A zombie's result comes after another process took over: the fact is
// recorded, and no second message is sent.
func TestALateAcceptanceStopsWhoTookOver(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.rig.Settle = 5 * time.Second
	loaded := w.load(1, chaos.Load{Channel: invite.SMS})
	w.sink.SetFault(sink.Fault{Latency: 1200 * time.Millisecond, ListStatus: 503})
	p := w.params(func(p *dispatch.Params) { p.CallDeadline = 5 * time.Second })
	w.run(p)
	w.until("the call is under way", func() bool { return w.sink.Calls() == 1 })
	// The lock's connection breaks: others take the delivery over at once.
	w.exec(`SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND objsubid = 1 AND database = (SELECT oid FROM pg_database WHERE datname = current_database())`)
	w.until("taken over", func() bool { return w.count(`SELECT max(lease_token) FROM deliveries`) > 1 })
	w.until("accepted", w.all("accepted"))
	w.once(loaded)
	if w.count(`SELECT count(*) FROM attempts`) != 1 {
		t.Error(w.picture())
	}
}

func TestTheDatabaseGoesAwayWhileMessagesAreSent(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.sink.SetFault(sink.Fault{Latency: 30 * time.Millisecond})
	loaded := w.load(300, chaos.Load{Channel: invite.SMS})
	w.run(w.params(func(p *dispatch.Params) { p.PerLane = 8 }))
	for range 5 {
		time.Sleep(100 * time.Millisecond)
		// On a connection of its own: those of the pool are being cut.
		conn, err := pgx.Connect(t.Context(), w.url)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := conn.Exec(t.Context(), `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()`); err != nil {
			t.Fatal(err)
		}
		_ = conn.Close(t.Context())
	}
	w.until("accepted", func() bool {
		var n int
		err := w.db.QueryRow(context.WithoutCancel(t.Context()), `SELECT count(*) FROM deliveries WHERE status <> 'accepted'`).Scan(&n)
		return err == nil && n == 0
	})
	w.once(loaded)
}
