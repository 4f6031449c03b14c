package dispatch_test

import (
	"bytes"
	"context"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/connectlink/connectlink/internal/access"
	"github.com/connectlink/connectlink/internal/chaos"
	"github.com/connectlink/connectlink/internal/chaos/sink"
	"github.com/connectlink/connectlink/internal/dispatch"
	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/message"
	"github.com/connectlink/connectlink/internal/postgres"
	"github.com/connectlink/connectlink/internal/provider"
	"github.com/connectlink/connectlink/internal/provider/sendgrid"
	"github.com/connectlink/connectlink/internal/seal"
	"github.com/connectlink/connectlink/internal/secret"
	"github.com/connectlink/connectlink/internal/store/ledger"
)

// handOver makes a call as a process did that died before it could record it.
func (w *world) handOver(s provider.Sender, l chaos.Loaded) {
	w.t.Helper()
	_, err := s.Send(w.t.Context(), message.Outgoing{SMS: &message.SMS{
		To: secret.New(chaos.Phone(l.InviteID)), Body: secret.New("Sam asks you to connect: " + l.Key),
	}})
	if err != nil {
		w.t.Fatal(err)
	}
}

// Two dispatchers that share a queue, and one row, must not both send it.
func TestBugTwoDispatchersAndOneRow(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.sink.SetFault(sink.Fault{Latency: 20 * time.Millisecond})
	w.run(w.params())
	w.run(w.params())
	var loaded []chaos.Loaded
	for range 40 {
		loaded = append(loaded, w.load(1, chaos.Load{})...)
	}
	loaded = append(loaded, w.load(200, chaos.Load{})...)
	w.until("accepted", w.all("accepted"))
	w.once(loaded)
}

// Rescue that compares two clocks sends twice when one of them is wrong: here a
// process is two hours ahead, another two behind, and calls outlast the lease.
func TestBugRescueByTwoClocks(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	// Longer than a lease, which is renewed every twentieth of it: a slow machine
	// renews late, and not so late.
	w.sink.SetFault(sink.Fault{Latency: 12 * time.Second})
	loaded := w.load(16, chaos.Load{Channel: invite.SMS})
	for _, skew := range []time.Duration{2 * time.Hour, -2 * time.Hour, 0} {
		w.rig.Now = func() time.Time { return time.Now().Add(skew) }
		w.run(w.params(func(p *dispatch.Params) {
			p.Lease, p.Renew = 10*time.Second, 500*time.Millisecond
			p.PerLane = 8
		}))
	}
	w.until("accepted", w.all("accepted"))
	w.once(loaded)
	if n := w.count(`SELECT count(*) FROM attempts`); n != 16 {
		t.Errorf("%d attempts, want one each", n)
	}
}

func TestGivesUpWhenTooLittleTimeIsLeft(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.load(1, chaos.Load{ExpiresIn: 40 * time.Minute})
	w.sink.SetFault(sink.Fault{Status: http.StatusTooManyRequests})
	d, _ := w.run(w.params())
	// Recorded, not only called: a call that is under way would be in doubt afterwards.
	w.until("tried", func() bool { return w.count(`SELECT count(*) FROM attempts WHERE outcome = 'not_sent'`) > 0 })
	w.travel(31 * time.Minute) // a quarter of its life is too little
	d.Wake()
	w.until("given up", w.all("rejected"))
	if got := w.text(`SELECT d.reason || ' ' || i.status FROM deliveries d JOIN invites i ON i.id = d.invite_id`); got != "provider_unavailable failed" {
		t.Errorf("got %q", got)
	}
	if w.count(`SELECT count(*) FROM invites WHERE expires_at < now()`) == 1 {
		t.Error("it went on trying with a link that was as good as dead")
	}
}

func TestAConnectLinkWithTooLittleLeftIsMintedAnew(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	old := w.load(1, chaos.Load{LinkType: invite.ConnectLink, Left: time.Minute})[0]
	fresh := w.load(1, chaos.Load{LinkType: invite.ConnectLink})[0]
	// The invite itself lasts: it was resent, say.
	w.exec(`UPDATE invites SET expires_at = now() + interval '3 hours', gives_up_at = now() + interval '3 hours'`)
	w.run(w.params())
	w.until("accepted", w.all("accepted"))
	got := w.sink.Count()
	if got[old.Key] != 0 || got[fresh.Key] != 1 || len(got) != 2 || w.sink.Mints() != 1 {
		t.Errorf("%d mints, %d different links, old one sent %d times", w.sink.Mints(), len(got), got[old.Key])
	}
	if n := w.count(`SELECT count(*) FROM connect_links l JOIN attempts a ON a.link_id = l.id WHERE l.handed_out_at IS NOT NULL`); n != 2 {
		t.Errorf("%d links are marked as handed out, want both that were sent", n)
	}
	if n := w.count(`SELECT count(*) FROM invites WHERE first_handed_out_at IS NOT NULL AND poll_at IS NOT NULL`); n != 2 {
		t.Errorf("%d invites are polled", n)
	}
}

func TestABrokenMessageIsParkedAndHarmsNobodyElse(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	broken := w.load(1, chaos.Load{})[0]
	w.exec(`UPDATE invites SET content = decode('00', 'hex')`)
	loaded := w.load(20, chaos.Load{})
	w.run(w.params())
	w.until("parked", func() bool {
		return w.count(`SELECT count(*) FROM deliveries WHERE status = 'rejected' AND reason = 'message_broken' AND poisoned = 4`) == 1
	})
	w.until("the others accepted", func() bool { return w.count(`SELECT count(*) FROM deliveries WHERE status = 'accepted'`) == 20 })
	w.once(loaded)
	if n := w.count(`SELECT attempts FROM deliveries WHERE id = $1`, broken.DeliveryID); n != 0 {
		t.Errorf("%d attempts were made with it", n)
	}
}

func TestAPanicIsAFaultOfItsMessage(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.load(1, chaos.Load{Channel: invite.SMS})
	loaded := w.load(5, chaos.Load{})
	p := w.params()
	senders := p.Senders
	p.Senders = func(place invite.Place, ch invite.Channel) []provider.Sender {
		if ch == invite.SMS {
			panic("wiring")
		}
		return senders(place, ch)
	}
	w.run(p)
	w.until("parked", func() bool { return w.count(`SELECT count(*) FROM deliveries WHERE reason = 'message_broken'`) == 1 })
	w.until("accepted", func() bool { return w.count(`SELECT count(*) FROM deliveries WHERE status = 'accepted'`) == 5 })
	w.once(loaded)
}

func TestWhatEndedMeanwhileIsNotSent(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(w *world, l chaos.Loaded, tx pgx.Tx) error{
		"revoked": func(w *world, l chaos.Loaded, tx pgx.Tx) error {
			_, err := ledger.Append(w.t.Context(), tx, w.rig.Box, l.InviteID, invite.Event{Type: invite.EventRevoked})
			return err
		},
		"address corrected": func(w *world, l chaos.Loaded, tx pgx.Tx) error {
			if err := ledger.RetireCodes(w.t.Context(), tx, l.InviteID); err != nil {
				return err
			}
			_, err := ledger.Append(w.t.Context(), tx, w.rig.Box, l.InviteID, invite.Event{Type: invite.EventAddressCorrected})
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			l := w.load(1, chaos.Load{})[0]
			if err := postgres.InTx(t.Context(), w.db, func(tx pgx.Tx) error { return end(w, l, tx) }); err != nil {
				t.Fatal(err)
			}
			w.run(w.params())
			w.until("canceled", w.all("canceled"))
			w.until("off the queue", func() bool { return w.count(`SELECT count(*) FROM deliveries WHERE next_at IS NOT NULL`) == 0 })
			if w.sink.Calls() != 0 {
				t.Error("it was sent")
			}
		})
	}
}

func TestWhatWasErasedIsNotSent(t *testing.T) {
	t.Parallel()
	for name, sql := range map[string]string{
		"the content":            `UPDATE invites SET content = NULL`,
		"the code, while queued": `UPDATE codes SET retired_at = now(), code = NULL`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.load(1, chaos.Load{LinkType: invite.ConnectLink})
			w.exec(sql)
			w.run(w.params())
			w.until("rejected", w.all("rejected"))
			if got := w.text(`SELECT reason FROM deliveries`); got != "message_broken" || w.sink.Calls() != 0 {
				t.Errorf("reason %q, %d calls", got, w.sink.Calls())
			}
		})
	}
}

// Between reading a delivery and beginning its attempt the invite may move: the
// message must be made of what stands when the attempt is committed.
func TestAnInviteThatMovesIsReadAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	l := w.load(1, chaos.Load{})[0]
	others := w.load(10, chaos.Load{})
	p := w.params()
	senders := p.Senders
	var once sync.Once
	p.Senders = func(place invite.Place, ch invite.Channel) []provider.Sender {
		once.Do(func() {
			err := postgres.InTx(t.Context(), w.db, func(tx pgx.Tx) error {
				_, err := ledger.Append(t.Context(), tx, w.rig.Box, l.InviteID, invite.Event{Type: invite.EventRevoked})
				return err
			})
			if err != nil {
				t.Error(err)
			}
		})
		return senders(place, ch)
	}
	w.run(p)
	w.until("the others accepted", func() bool { return w.count(`SELECT count(*) FROM deliveries WHERE status = 'accepted'`) == 10 })
	w.until("canceled", func() bool { return w.count(`SELECT count(*) FROM deliveries WHERE status = 'canceled'`) == 1 })
	w.once(others)
}

// A code that is renewed meanwhile: the delivery stays in the queue, so that nothing
// but the comparison of versions keeps the old link from being sent.
func TestACodeThatIsRenewedMeanwhileIsTheOneSent(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	l := w.load(1, chaos.Load{})[0]
	fresh := access.NewCode()
	p := w.params()
	senders := p.Senders
	var once sync.Once
	p.Senders = func(place invite.Place, ch invite.Channel) []provider.Sender {
		once.Do(func() {
			err := postgres.InTx(t.Context(), w.db, func(tx pgx.Tx) error {
				if _, err := ledger.Append(t.Context(), tx, w.rig.Box, l.InviteID, invite.Event{Type: invite.EventVisited}); err != nil {
					return err
				}
				var id uuid.UUID
				if err := tx.QueryRow(t.Context(), `SELECT id FROM codes WHERE invite_id = $1`, l.InviteID).Scan(&id); err != nil {
					return err
				}
				sealed, err := w.rig.Box.Seal([]byte(fresh.Reveal()), seal.AD{Column: "codes.code", ID: id})
				if err != nil {
					return err
				}
				_, err = tx.Exec(t.Context(), `UPDATE codes SET code = $2, digest = $3 WHERE id = $1`, id, sealed, secret.Digest(fresh))
				return err
			})
			if err != nil {
				t.Error(err)
			}
		})
		return senders(place, ch)
	}
	w.run(p)
	w.until("accepted", w.all("accepted"))
	got := w.sink.Count()
	if got[l.Key] != 0 || got[chaos.PublicURL+"/c/"+fresh.Reveal()] != 1 {
		t.Errorf("the old link was sent %d times; sent in all: %d", got[l.Key], len(got))
	}
}

func TestALostLeaseStopsItsWorkAndNobodyElses(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	loaded := w.load(20, chaos.Load{})
	p := w.params()
	senders := p.Senders
	var once sync.Once
	p.Senders = func(place invite.Place, ch invite.Channel) []provider.Sender {
		once.Do(func() {
			// As another process's claim does, which then gives it back.
			if _, err := w.db.Exec(t.Context(), `UPDATE deliveries SET lease_token = lease_token + 1, lease_owner = NULL, next_at = now() WHERE id = $1`, loaded[0].DeliveryID); err != nil {
				t.Error(err)
			}
		})
		return senders(place, ch)
	}
	w.run(p)
	w.until("accepted", w.all("accepted"))
	w.once(loaded)
	if n := w.count(`SELECT count(*) FROM attempts`); n != 20 {
		t.Errorf("%d attempts: one was begun without its lease", n)
	}
}

func TestARefusedAccountRestsAndItsMessagesWait(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	mails := w.load(100, chaos.Load{})
	w.sink.SetFault(sink.Fault{Status: http.StatusUnauthorized})
	const hold = 400 * time.Millisecond
	began := time.Now()
	w.run(w.params(func(p *dispatch.Params) { p.PerLane, p.AccountHold = 4, hold }))
	w.until("the lane is paused", func() bool { return w.count(`SELECT count(*) FROM lanes WHERE paused_until > now()`) == 1 })
	first := w.sink.Calls()
	w.until("it is probed", func() bool { return w.sink.Calls() >= first+2 })
	if n := w.sink.Calls(); n > 8+int(time.Since(began)/hold) {
		t.Errorf("%d calls in %s to an account that refuses us; want the first few and a probe after each rest", n, time.Since(began))
	}
	if n := w.count(`SELECT count(*) FROM deliveries WHERE status NOT IN ('queued', 'sending')`); n != 0 {
		t.Errorf("%d messages were given up for a fault of the account", n)
	}
	if n := w.count(`SELECT count(*) FROM deliveries WHERE reason = 'provider_account'`); n == 0 {
		t.Error("nobody is told why")
	}
	w.sink.SetFault(sink.Fault{})
	w.until("accepted", w.all("accepted"))
	w.once(mails)
	if n := w.count(`SELECT count(*) FROM lanes WHERE paused_until IS NOT NULL`); n != 0 {
		t.Error("the lane is still paused")
	}
}

func TestOneDarkVendorDelaysNobodyElse(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	// A dark call takes far longer than the texts do, on any machine.
	const darkFor = 2 * time.Minute
	p := w.params(func(p *dispatch.Params) { p.PerLane, p.InFlight, p.CallDeadline = 8, 16, darkFor })
	senders := p.Senders
	silent, err := net.Listen("tcp", "127.0.0.1:0") // the system connects; no program answers
	if err != nil {
		t.Fatal(err)
	}
	dark := sendgrid.New(sendgrid.Params{
		BaseURL: "http://" + silent.Addr().String(), APIKey: secret.New("SG.dark"),
		From: message.Address{Email: secret.New("a@acme.example")},
	})
	p.Senders = func(place invite.Place, ch invite.Channel) []provider.Sender {
		if place.Project == "dark" {
			return []provider.Sender{dark}
		}
		return senders(place, ch)
	}
	w.load(200, chaos.Load{Project: "dark"})
	d, _ := w.run(p)
	w.until("the dark lane is full", func() bool { return w.count(`SELECT count(*) FROM attempts`) > 0 })
	texts := w.load(50, chaos.Load{Channel: invite.SMS})
	d.Wake()
	w.until("the texts accepted", func() bool { return w.count(`SELECT count(*) FROM deliveries WHERE status = 'accepted'`) == 50 })
	if n := w.count(`SELECT count(*) FROM attempts WHERE finished_at IS NOT NULL AND outcome <> 'accepted'`); n != 0 {
		t.Errorf("the texts waited until %d dark calls had ended", n)
	}
	_ = silent.Close() // resets the dark calls, so that the stop need not wait for them
	w.once(texts)
}

func TestTheSecondProviderTakesOverWhenTheFirstIsDown(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	loaded := w.load(20, chaos.Load{})
	p := w.params()
	senders := p.Senders
	down := sendgrid.New(sendgrid.Params{
		BaseURL: "http://127.0.0.1:1", APIKey: secret.New("SG.down"), From: message.Address{Email: secret.New("a@acme.example")},
	})
	p.Senders = func(place invite.Place, ch invite.Channel) []provider.Sender {
		return append([]provider.Sender{down}, senders(place, ch)...)
	}
	w.run(p)
	w.until("accepted", w.all("accepted"))
	w.once(loaded)
	if n := w.count(`SELECT count(*) FROM lanes WHERE paused_until > now()`); n != 0 {
		t.Error("the lane is paused although one of its providers works")
	}
}

func TestAnAccountsPaceIsKeptByAllProcessesTogether(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	loaded := w.load(30, chaos.Load{})
	begun := time.Now()
	for range 2 {
		w.run(w.params(func(p *dispatch.Params) {
			p.Pace = func(string) dispatch.Pace { return dispatch.Pace{PerSecond: 20, Burst: 5} }
		}))
	}
	w.until("accepted", w.all("accepted"))
	w.once(loaded)
	if took := time.Since(begun); took < 1200*time.Millisecond {
		t.Errorf("30 sends took %v; 5 at once and then 20 a second take 1.25 s", took)
	}
}

// elsewhere is a sender with an account of its own.
type elsewhere struct {
	provider.Sender
	account string
}

func (e elsewhere) Account() string { return e.account }

// A pace is chosen by the operator. What is over it is no fault of the provider and
// goes out by no other one, from another sender.
func TestWhatIsOverAPaceWaitsForItsOwnProvider(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	loaded := w.load(12, chaos.Load{Channel: invite.SMS})
	p := w.params(func(p *dispatch.Params) {
		p.Pace = func(account string) dispatch.Pace {
			if account == "second" {
				return dispatch.Pace{}
			}
			return dispatch.Pace{PerSecond: 20, Burst: 2}
		}
	})
	senders := p.Senders
	p.Senders = func(place invite.Place, ch invite.Channel) []provider.Sender {
		first := senders(place, ch)
		return append(first, elsewhere{first[0], "second"})
	}
	w.run(p)
	w.until("accepted", w.all("accepted"))
	w.once(loaded)
	if n := w.count(`SELECT count(*) FROM attempts WHERE account = 'second'`); n != 0 {
		t.Errorf("%d of 12 went by the second provider while the first worked", n)
	}
}

func TestNothingIsClaimedWithoutTheProcessLock(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	loaded := w.load(1, chaos.Load{})
	p := w.params()
	nowhere, err := net.Listen("tcp", "127.0.0.1:0") // hangs up on everybody
	if err != nil {
		t.Fatal(err)
	}
	var tries atomic.Int64
	go func() {
		for {
			c, err := nowhere.Accept()
			if err != nil {
				return
			}
			tries.Add(1)
			_ = c.Close()
		}
	}()
	t.Cleanup(func() { _ = nowhere.Close() })
	p.DirectURL = secret.New("postgres://" + nowhere.Addr().String() + "/nowhere?sslmode=disable")
	d, stop := w.run(p)
	// It waits longer after each try than many polls take.
	w.until("the lock is tried for again and again", func() bool { return tries.Load() >= 4 })
	if d.Working() || w.count(`SELECT count(*) FROM deliveries WHERE lease_token > 0`) != 0 {
		t.Error("it claimed what nobody could take over from it")
	}
	stop()
	d, _ = w.run(w.params())
	w.until("ready", d.Working)
	w.until("accepted", w.all("accepted"))
	w.once(loaded)
}

func TestStoppingLosesAndDoublesNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.sink.SetFault(sink.Fault{Latency: 100 * time.Millisecond})
	loaded := w.load(150, chaos.Load{})
	// Leases and calls that no slow machine outlasts: a lost one would be sent again.
	patient := func(p *dispatch.Params) {
		p.PerLane = 16
		p.Lease, p.CallDeadline = time.Minute, 20*time.Second
	}
	_, stop := w.run(w.params(patient))
	w.until("under way", func() bool { return w.sink.Calls() > 20 })
	stop()
	if n := w.count(`SELECT count(*) FROM attempts WHERE outcome = 'open'`); n != 0 {
		t.Errorf("%d calls were cut off", n)
	}
	if n := w.count(`SELECT count(*) FROM deliveries WHERE next_at > now() + interval '300 milliseconds'`); n != 0 {
		t.Errorf("%d deliveries wait for a lease of a process that left in order", n)
	}
	w.run(w.params(patient))
	w.until("accepted", w.all("accepted"))
	w.once(loaded)
	if n := w.count(`SELECT count(*) FROM attempts`); n != 150 {
		t.Errorf("%d attempts, want one each", n)
	}
}

func TestLogsHoldNoSecretAndNobodysData(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var out lockedBuffer
	w.rig.Log = slog.New(slog.NewJSONHandler(&out, &slog.HandlerOptions{Level: slog.LevelDebug}))
	loaded := w.load(3, chaos.Load{Content: func(c *invite.Content) { c.Recipient.Name = "Canary Name" }})
	loaded = append(loaded, w.load(3, chaos.Load{Channel: invite.SMS, LinkType: invite.ConnectLink})...)
	broken := w.load(1, chaos.Load{Content: func(c *invite.Content) { c.Recipient.Email = "" }})
	w.sink.SetFault(sink.Fault{CutAfter: 0.3, Refuse503: 0.3, Throttle: 0.3})
	w.run(w.params(func(p *dispatch.Params) { p.Metrics = prometheus.NewRegistry() }))
	w.until("something happened", func() bool { return w.sink.Calls() > 5 })
	w.sink.SetFault(sink.Fault{})
	w.until("settled", func() bool {
		return w.count(`SELECT count(*) FROM deliveries WHERE status IN ('queued', 'sending')`) == 0
	})
	log := out.String()
	for _, l := range append(loaded, broken...) {
		if strings.Contains(log, l.Key[strings.LastIndexAny(l.Key, "/=")+1:]) || strings.Contains(log, chaos.Phone(l.InviteID)) {
			t.Error("the log holds a link or a number")
		}
	}
	for _, canary := range []string{"customer.example", "Canary", "ctok_", "SG.sink"} {
		if strings.Contains(log, canary) {
			t.Errorf("the log holds %q", canary)
		}
	}
	if !strings.Contains(log, `"msg":"attempt"`) || !strings.Contains(log, loaded[0].InviteID.String()) {
		t.Error("the log has no line per attempt")
	}
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}
func (l *lockedBuffer) String() string { l.mu.Lock(); defer l.mu.Unlock(); return l.b.String() }

func TestEffectsArePublishedInTheSameTransaction(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.load(1, chaos.Load{Channel: invite.SMS})
	w.sink.SetFault(sink.Fault{Status: http.StatusBadRequest, Code: 21211})
	var told atomic.Int32
	p := w.params()
	p.Publish = func(_ context.Context, _ pgx.Tx, applied ...ledger.Applied) error {
		for _, a := range applied {
			if slices.Contains(a.Effects, invite.EffectPublishDeliveryFailed) && a.State.Status == invite.Failed {
				told.Add(1)
			}
		}
		return nil
	}
	w.run(p)
	w.until("rejected", w.all("rejected"))
	if told.Load() != 1 {
		t.Errorf("told %d times", told.Load())
	}
}
