package counts_test

import (
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/postgres"
	"github.com/connectlink/connectlink/internal/store/counts"
	"github.com/connectlink/connectlink/internal/store/find"
	"github.com/connectlink/connectlink/internal/track/tracktest"
	"github.com/connectlink/connectlink/internal/waittest"
)

var place = invite.Place{Project: "default"}

// world has invites whose events the test writes.
type world struct {
	*tracktest.Kit
	t *testing.T
}

// insertEvent writes an event of the timeline, and the public one that follows from it.
const insertEvent = `
	WITH e AS (
		INSERT INTO events (invite_id, seq, id, project_id, livemode, type, actor, delivery_id, data, occurred_at)
		SELECT $1, (SELECT max(seq) + 1 FROM events WHERE invite_id = $1), gen_random_uuid(), 'default', false, $2, 'provider',
			(SELECT id FROM deliveries WHERE invite_id = $1), $4::jsonb, (SELECT created_at FROM invites WHERE id = $1) + make_interval(secs => $5) RETURNING seq
	)
	INSERT INTO public_events (id, project_id, livemode, type, invite_id, sequence, body, created_at)
	SELECT gen_random_uuid(), 'default', false, $3, $1, seq, '\x5a', now() FROM e WHERE $3 <> ''`

// tell records an event of a message or invite; public may be empty.
func (w world) tell(db postgres.DB, m tracktest.Made, typ, public, data string, after time.Duration) {
	w.t.Helper()
	if _, err := db.Exec(w.t.Context(), insertEvent, m.ID, typ, public, data, after.Seconds()); err != nil {
		w.t.Error(err)
	}
}

// made creates an invite with its public event.
func (w world) made(o tracktest.Options) tracktest.Made {
	w.t.Helper()
	m := w.Invite(o)
	w.Exec(`UPDATE events SET data = jsonb_build_object('channel', (SELECT channel FROM invites WHERE id = $1)) WHERE invite_id = $1 AND seq = 1`, m.ID)
	w.Exec(`INSERT INTO public_events (id, project_id, livemode, type, invite_id, sequence, body, created_at)
		SELECT gen_random_uuid(), 'default', false, 'invite.created', $1, 1, '\x5a', created_at FROM invites WHERE id = $1`, m.ID)
	return m
}

// follow counts events as the job does, once all committed ones are certain:
// transactions of other tests run in the same cluster.
func (w world) follow(limit int) int {
	w.t.Helper()
	var mark string
	if err := w.Pool.QueryRow(w.t.Context(), `SELECT pg_snapshot_xmax(pg_current_snapshot())::text`).Scan(&mark); err != nil {
		w.t.Fatal(err)
	}
	waittest.Until(w.t, "older transactions have ended", func() bool {
		return w.Count(`SELECT count(*) WHERE pg_snapshot_xmin(pg_current_snapshot()) >= $1::text::xid8`, mark) == 1
	})
	return w.followNow(limit)
}

// followNow does so at once.
func (w world) followNow(limit int) int {
	w.t.Helper()
	total := 0
	for {
		n, more, err := w.run(limit, nil)
		if err != nil {
			w.t.Error(err)
		}
		if total += n; !more {
			return total
		}
	}
}

// run is one transaction; fail makes it end without a commit.
func (w world) run(limit int, fail error) (n int, more bool, err error) {
	domains := []counts.Domain{{Name: "customer.example", Hashes: find.DomainTerms(w.Box, place, "customer.example")}}
	err = postgres.InTx(w.t.Context(), w.Pool, func(tx pgx.Tx) error {
		p, ok, err := counts.LockPlace(w.t.Context(), tx, place)
		if err != nil || !ok {
			return err
		}
		if n, more, err = counts.Follow(w.t.Context(), tx, p, domains, limit); err != nil {
			return err
		}
		if !more {
			if err := counts.SetComplete(w.t.Context(), tx, p); err != nil {
				return err
			}
		}
		return fail
	})
	return n, more, err
}

func (w world) invites() counts.Invites {
	w.t.Helper()
	list, err := counts.ListInvites(w.t.Context(), w.Pool, place, time.Now().AddDate(0, 0, -2))
	if err != nil {
		w.t.Fatal(err)
	}
	var sum counts.Invites
	for _, i := range list {
		sum = sum.Add(i)
	}
	return sum
}

// messages are the sums by provider and domain.
func (w world) messages() map[string]counts.Messages {
	w.t.Helper()
	list, err := counts.ListMessages(w.t.Context(), w.Pool, place, time.Now().Add(-time.Hour), time.Now().Add(time.Hour))
	if err != nil {
		w.t.Fatal(err)
	}
	domains, err := counts.ListDomains(w.t.Context(), w.Pool, place, time.Now().Add(-time.Hour), 10)
	if err != nil {
		w.t.Fatal(err)
	}
	out := map[string]counts.Messages{}
	for _, m := range append(list, domains...) {
		out[m.Provider+" "+m.Domain] = out[m.Provider+" "+m.Domain].Add(m)
	}
	return out
}

func TestAnInviteCountsOnceInEachStepAndInThoseBefore(t *testing.T) {
	t.Parallel()
	w := world{tracktest.New(t), t}
	mail, link := w.made(tracktest.Options{}), w.made(tracktest.Options{Channel: invite.LinkOnly, App: "notion"})
	sendgrid := `{"provider": "sendgrid"}`
	w.tell(w.Pool, mail, "delivery.accepted", "invite.sent", sendgrid, time.Second)
	w.tell(w.Pool, mail, "visited", "invite.opened", `{}`, 0) // no delivery report came
	w.tell(w.Pool, mail, "delivery.delivered", "invite.delivered", sendgrid, 3*time.Second)
	w.follow(2)
	w.tell(w.Pool, mail, "delivery.accepted", "invite.sent", sendgrid, 0) // a resend
	w.tell(w.Pool, mail, "connected", "invite.connected", `{}`, 0)
	w.tell(w.Pool, link, "continued", "invite.continued", `{}`, 0)
	w.Exec(`UPDATE public_events SET created_at = created_at + interval '10 minutes' WHERE type = 'invite.connected'`)
	w.Exec(`UPDATE invites SET channel = 'sms' WHERE id = $1`, mail.ID) // by a fallback
	w.follow(100)
	list, err := counts.ListInvites(t.Context(), w.Pool, place, time.Now().AddDate(0, 0, -1))
	if err != nil || len(list) != 2 {
		t.Fatalf("%+v, %v", list, err)
	}
	took := make([]int, len(counts.ConnectBounds())+1)
	took[3] = 1 // 5 to 15 minutes
	want := counts.Invites{Channel: invite.Email, App: "slack", Created: 1, Sent: 1, Delivered: 1, Opened: 1, Continued: 1, Connected: 1, ConnectTimes: took}
	if got := list[0]; got.Channel != want.Channel || got.App != want.App || got.Sent != 1 || got.Created != 1 || got.Delivered != 1 || got.Opened != 1 || got.Continued != 1 || got.Connected != 1 || !slices.Equal(got.ConnectTimes, took) {
		t.Errorf("%+v, want %+v", got, want)
	}
	if got := list[1]; got.Channel != invite.LinkOnly || got.Created != 1 || got.Delivered != 1 || got.Continued != 1 || got.Connected != 0 {
		t.Errorf("channel link: %+v", got)
	}
	sent := w.messages()
	if m := sent["sendgrid "]; m.Accepted != 2 || m.Delivered != 1 || m.AcceptTimes[3] != 1 || m.DeliverTimes[4] != 1 {
		t.Errorf("messages %+v", m)
	}
	if m := sent[" customer.example"]; m.Accepted != 2 || m.Delivered != 1 {
		t.Errorf("messages to the domain %+v", m)
	}
	events, err := counts.ListEvents(t.Context(), w.Pool, place, time.Now().Add(-time.Hour), "invite.connected")
	if err != nil || len(events) != 1 || events[0].N != 1 {
		t.Errorf("events %+v, %v", events, err)
	}
}

func TestFailuresCountOncePerMessage(t *testing.T) {
	t.Parallel()
	w := world{tracktest.New(t), t}
	m := w.made(tracktest.Options{})
	w.tell(w.Pool, m, "link.mint_failed", "", `{"reason": "link_unavailable"}`, 0)
	w.tell(w.Pool, m, "delivery.retry", "", `{"provider": "sendgrid", "reason": "provider_down"}`, 0)
	w.tell(w.Pool, m, "delivery.retry", "", `{"reason": "sending_paused"}`, 0)
	w.tell(w.Pool, m, "delivery.bounced", "", `{"provider": "sendgrid"}`, 0)
	w.tell(w.Pool, m, "delivery.bounced", "invite.delivery_failed", `{"provider": "sendgrid", "reason": "mailbox_unavailable"}`, 0)
	w.follow(2)
	got := w.messages()
	if s := got["sendgrid "]; s.Failed != 1 || s.Refused != 1 {
		t.Errorf("sendgrid: %+v", s)
	}
	if p := got[counts.Pipedream+" "]; p.Refused != 1 || len(got) != 3 {
		t.Errorf("%+v", got)
	}
}

// An event that commits late is not behind the cursor, and until then the counts do not
// claim to be complete.
func TestAnEventThatCommitsLateIsCounted(t *testing.T) {
	t.Parallel()
	w := world{tracktest.New(t), t}
	first, second := w.made(tracktest.Options{}), w.made(tracktest.Options{})
	w.follow(10)
	late, err := w.Pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	w.tell(late, first, "visited", "invite.opened", `{}`, 0)
	w.tell(w.Pool, second, "visited", "invite.opened", `{}`, 0)
	began := time.Now()
	w.followNow(10)
	w.followNow(10)
	if at, err := counts.GetComplete(t.Context(), w.Pool, place); err != nil || !at.Before(began) {
		t.Errorf("complete until %s (%v) while a transaction of before %s runs", at, err, began)
	}
	if got := w.invites().Opened; got != 0 {
		t.Errorf("%d opened beside a transaction that runs", got)
	}
	if err := late.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.follow(10)
	w.follow(10)
	if got := w.invites().Opened; got != 2 {
		t.Errorf("%d opened, want 2", got)
	}
	if at, err := counts.GetComplete(t.Context(), w.Pool, place); err != nil || at.Before(began) {
		t.Errorf("complete until %s (%v), want after %s", at, err, began)
	}
}

// Several processes count while events are written, and some end in the middle: each event
// counts once.
func TestEventsCountOnceWhateverBecomesOfTheProcesses(t *testing.T) {
	t.Parallel()
	w := world{tracktest.New(t), t}
	const invites = 24
	var list []tracktest.Made
	for range invites {
		list = append(list, w.made(tracktest.Options{}))
	}
	killed := errors.New("killed")
	var writers, readers sync.WaitGroup
	done := make(chan struct{})
	for i := range 4 {
		writers.Go(func() {
			for _, m := range list[i*invites/4 : (i+1)*invites/4] {
				w.tell(w.Pool, m, "delivery.accepted", "invite.sent", `{"provider": "sendgrid"}`, 0)
				w.tell(w.Pool, m, "delivery.bounced", "invite.delivery_failed", `{"provider": "sendgrid"}`, 0)
			}
		})
		readers.Go(func() {
			for n := i; ; n++ {
				select {
				case <-done:
					return
				default:
				}
				var fail error
				if n%3 == 0 {
					fail = killed
				}
				if _, _, err := w.run(3, fail); err != nil && !errors.Is(err, killed) {
					t.Error(err)
				}
			}
		})
	}
	writers.Wait()
	close(done)
	readers.Wait()
	w.follow(5)
	sum, sent := w.invites(), w.messages()["sendgrid "]
	if sum.Created != invites || sum.Sent != invites || sent.Accepted != invites || sent.Failed != invites {
		t.Errorf("%+v, %+v, want %d of each", sum, sent, invites)
	}
	if n := w.follow(5); n != 0 {
		t.Errorf("%d events were counted once more", n)
	}
}

// A dump that is loaded into another cluster brings positions of transactions that are
// still to come there.
func TestCursorsOfAnotherClusterGoOnFromNow(t *testing.T) {
	t.Parallel()
	w := world{tracktest.New(t), t}
	w.made(tracktest.Options{})
	w.follow(10)
	w.Exec(`UPDATE count_cursors SET xact = '9000000000'; UPDATE count_places SET mark = '9000000000'`)
	w.follow(10)
	began := time.Now()
	w.made(tracktest.Options{})
	w.follow(10)
	w.follow(10)
	if got := w.invites().Created; got != 2 {
		t.Errorf("%d created, want 2", got)
	}
	if at, err := counts.GetComplete(t.Context(), w.Pool, place); err != nil || at.Before(began) {
		t.Errorf("complete until %s, %v", at, err)
	}
}
