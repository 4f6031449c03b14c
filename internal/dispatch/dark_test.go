package dispatch_test

import (
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/connectlink/connectlink/internal/chaos"
	"github.com/connectlink/connectlink/internal/chaos/sink"
	"github.com/connectlink/connectlink/internal/dispatch"
	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/postgres"
	"github.com/connectlink/connectlink/internal/provider"
)

// travel lets time pass for all stored times: each moves into the past, at
// once. Decisions by the database's clock, which are all but the length of a
// wait within a process, are then made as if it were that much later.
func (w *world) travel(d time.Duration) {
	w.t.Helper()
	ctx := w.t.Context()
	if err := postgres.InTx(ctx, w.db, func(tx pgx.Tx) error {
		// In the order in which everybody takes them.
		if _, err := tx.Exec(ctx, `LOCK TABLE provider_accounts, lanes, invites, deliveries, attempts IN EXCLUSIVE MODE`); err != nil {
			return err
		}
		rows, _ := tx.Query(ctx, `
			SELECT format('UPDATE %I SET %s', c.table_name, string_agg(format('%1$I = %1$I - $1::interval', c.column_name), ', '))
			FROM information_schema.columns c JOIN information_schema.tables t USING (table_schema, table_name)
			WHERE c.table_schema = 'public' AND c.data_type = 'timestamp with time zone' AND c.is_generated = 'NEVER' AND t.table_type = 'BASE TABLE'
				AND c.table_name NOT LIKE 'audit%' -- which nothing may change
			GROUP BY c.table_name`)
		moves, err := pgx.CollectRows(rows, pgx.RowTo[string])
		if err != nil {
			return err
		}
		for _, sql := range moves {
			if _, err := tx.Exec(ctx, sql, d); err != nil {
				return err
			}
		}
		return nil
	}); err != nil {
		w.t.Fatal(err)
	}
}

// secondSink gives mails a vendor of their own.
func (w *world) secondSink(p *dispatch.Params) *sink.Sink {
	w.t.Helper()
	s := sink.New()
	server := httptest.NewServer(s)
	w.t.Cleanup(server.Close)
	other := w.rig
	other.SinkURL = server.URL
	mail, _ := other.Senders()
	senders := p.Senders
	p.Senders = func(place invite.Place, ch invite.Channel) []provider.Sender {
		if ch == invite.Email {
			return []provider.Sender{mail}
		}
		return senders(place, ch)
	}
	return s
}

// delays sends mails one by one and returns how long each took from its commit
// to the vendor, in order of length.
func (w *world) delays(d *dispatch.Dispatcher, s *sink.Sink, n int, l chaos.Load) []time.Duration {
	w.t.Helper()
	took := make(map[string]time.Time, n)
	var all []time.Duration
	for range n {
		m := w.load(1, l)[0]
		took[m.Key] = time.Now()
		d.Wake()
		w.until("the mail is taken", func() bool { return s.Count()[m.Key] == 1 })
	}
	for _, m := range s.Taken() {
		if from, ok := took[m.Key]; ok {
			all = append(all, m.At.Sub(from))
		}
	}
	slices.Sort(all)
	return all
}

func p99(sorted []time.Duration) time.Duration { return sorted[len(sorted)*99/100] }

// darkness keeps Twilio away for six hours while texts wait, and returns how long
// after its return the last of them was taken, and how long mails took before and
// meanwhile; so many probes measure it.
func darkness(w *world, p dispatch.Params, texts, probes int) (after time.Duration, before, meanwhile []time.Duration) {
	t := w.t
	const late = 50
	// More texts wait than are in work: not all of them may be in doubt.
	p.PerLane = texts / 4
	mails := w.secondSink(&p)
	d, _ := w.run(p)
	before = w.delays(d, mails, probes, chaos.Load{})

	// It goes in the middle of its work: what it took last it did not confirm.
	w.sink.SetFault(sink.Fault{CutAfter: 1, ListStatus: 503})
	loaded := w.load(texts*3/4, chaos.Load{Channel: invite.SMS, ValidFor: 24 * time.Hour})
	loaded = append(loaded, w.load(texts/4, chaos.Load{Channel: invite.SMS, ValidFor: 24 * time.Hour, Pending: true})...)
	// These carry a Pipedream link itself, which does not live so long.
	short := w.load(late, chaos.Load{Channel: invite.SMS, LinkType: invite.ConnectLink})
	d.Wake()
	w.until("answers are lost", func() bool { return w.sink.Calls() >= 5 })
	w.sink.SetFault(sink.Fault{CutBefore: 0.5, Refuse503: 0.5, ListStatus: 503})
	confirmed := len(w.sink.Taken())
	for range 12 {
		calls := w.sink.Calls()
		w.travel(30 * time.Minute)
		d.Wake()
		w.until("it is tried again", func() bool { return w.sink.Calls() > calls })
		// The jump ended its rest, which no passing of time does while it is tried.
		w.until("it rests again", func() bool { return w.count(`SELECT count(*) FROM lanes WHERE paused_until > now()`) == 1 })
		meanwhile = append(meanwhile, w.delays(d, mails, probes/11, chaos.Load{})...)
	}
	slices.Sort(meanwhile)
	if n := len(w.sink.Taken()); n > confirmed+1 {
		t.Fatalf("%d texts were taken in the dark", n-confirmed)
	}
	w.until("what carries a dead link is given up", func() bool {
		return w.count(`SELECT count(*) FROM deliveries d JOIN invites i ON i.id = d.invite_id
			WHERE i.link_type = 'connect' AND d.status IN ('queued', 'sending') AND d.next_at <= now()`) == 0
	})

	w.sink.SetFault(sink.Fault{})
	back := time.Now()
	w.until("everything is settled", func() bool {
		return w.count(`SELECT count(*) FROM deliveries WHERE status IN ('queued', 'sending')`) == 0
	})
	after = time.Since(back)

	taken := w.sink.Count()
	for _, l := range loaded {
		if taken[l.Key] != 1 {
			t.Errorf("text %s was taken %d times, want once", l.DeliveryID, taken[l.Key])
		}
		delete(taken, l.Key)
	}
	// Some of the short ones may have left before it got dark.
	for _, l := range short {
		if taken[l.Key] > 1 {
			t.Errorf("text %s was taken %d times", l.DeliveryID, taken[l.Key])
		}
		delete(taken, l.Key)
	}
	for _, m := range w.sink.Taken()[min(confirmed+1, len(w.sink.Taken())):] {
		if !strings.HasPrefix(m.Key, chaos.PublicURL) {
			t.Errorf("a text went out with a link that died hours ago: attempt %s", m.Attempt)
		}
	}
	if len(taken) > 0 {
		t.Errorf("%d texts that nobody asked for", len(taken))
	}
	// A doubt about one that carries a dead link ends with it.
	if n := w.count(`SELECT count(*) FROM deliveries d JOIN invites i ON i.id = d.invite_id
		WHERE d.status = 'unknown' AND i.link_type = 'invite'`); n > 0 {
		t.Errorf("%d were left to a person although Twilio can tell", n)
	}
	if n := w.count(`SELECT count(*) FROM invites i JOIN deliveries d ON d.invite_id = i.id
		WHERE i.link_type = 'invite' AND d.channel = 'sms' AND i.expires_at < now() + interval '17 hours'`); n > 0 {
		t.Errorf("%d invites have not the time left that they should", n)
	}
	return after, before, meanwhile
}

func TestAProviderThatIsAwayForSixHours(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	// How fast is BenchmarkAway's question: this machine may have others on it.
	after, before, meanwhile := darkness(w, w.params(), 200, 22)
	t.Logf("all settled %v after its return; mails p99 %v before, %v meanwhile", after, p99(before), p99(meanwhile))
}

// BenchmarkAway has the program's own waits.
func BenchmarkAway(b *testing.B) {
	for b.Loop() {
		w := newWorld(b)
		after, before, meanwhile := darkness(w, w.benchParams(), 1000, 100)
		b.ReportMetric(after.Seconds(), "s-to-settle")
		b.ReportMetric(float64(p99(before).Microseconds())/1000, "ms-p99-before")
		b.ReportMetric(float64(p99(meanwhile).Microseconds())/1000, "ms-p99-meanwhile")
	}
}
