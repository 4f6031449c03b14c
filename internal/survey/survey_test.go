package survey_test

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/connectlink/connectlink/config"
	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/postgrestest"
	"github.com/connectlink/connectlink/internal/publish"
	"github.com/connectlink/connectlink/internal/quota"
	"github.com/connectlink/connectlink/internal/seal"
	"github.com/connectlink/connectlink/internal/survey"
)

// world is a database and the processes that survey it.
type world struct {
	t   *testing.T
	db  *pgxpool.Pool
	box *seal.Box
}

func newWorld(t *testing.T) world {
	t.Helper()
	keys, err := seal.NewKeyset()
	if err != nil {
		t.Fatal(err)
	}
	box, err := seal.NewBox(keys)
	if err != nil {
		t.Fatal(err)
	}
	return world{t, postgrestest.Pool(t), box}
}

// process is one that surveys, with thresholds of 10 %, 15 minutes and 40 %.
func (w world) process(alerts survey.Alerts) *survey.Service {
	w.t.Helper()
	if alerts == nil {
		alerts = publish.NewOutbox(w.box)
	}
	s, err := survey.New(survey.Params{
		DB: w.db, Box: w.box, Alerts: alerts, Log: slog.New(slog.DiscardHandler),
		Projects: []config.Project{{ID: "default", Alerts: config.Alerts{BouncePercent: 10, QueueMinutes: 15, ConnectPercent: 40, LeastCount: 20}}},
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return s
}

func (w world) exec(sql string, args ...any) {
	w.t.Helper()
	if _, err := w.db.Exec(w.t.Context(), sql, args...); err != nil {
		w.t.Fatal(err)
	}
}

// outcomes are the messages of the last hour.
func (w world) outcomes(delivered, failed int) {
	w.exec(`DELETE FROM message_counts`)
	w.exec(`INSERT INTO message_counts (project_id, livemode, bucket, provider, domain, delivered, failed, accept_times, deliver_times)
		SELECT 'default', true, date_bin('15 minutes', now(), timestamptz '2000-01-01 00:00:00Z'), 'sendgrid', d, $1, $2, '{}', '{}' FROM unnest(ARRAY['', 'gmail.com']) d`, delivered, failed)
}

// told counts the events of a type.
func (w world) told(typ string) (n int) {
	w.t.Helper()
	if err := w.db.QueryRow(w.t.Context(), `SELECT count(*) FROM public_events WHERE type = $1 AND livemode AND project_id = 'default'`, typ).Scan(&n); err != nil {
		w.t.Fatal(err)
	}
	return n
}

func (w world) wants(what string, raised, resolved int) {
	w.t.Helper()
	if r, e := w.told("alert.raised"), w.told("alert.resolved"); r != raised || e != resolved {
		w.t.Errorf("%s: %d raised, %d resolved, want %d and %d", what, r, e, raised, resolved)
	}
}

// judged is a run of two processes at once.
func (w world) judged(processes ...*survey.Service) {
	w.t.Helper()
	var g sync.WaitGroup
	for _, s := range processes {
		g.Go(func() {
			if _, err := s.Run(w.t.Context()); err != nil {
				w.t.Error(err)
			}
		})
	}
	g.Wait()
}

func TestAnExcursionIsToldOnceAndItsEndOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	one, two := w.process(nil), w.process(nil)
	for _, step := range []struct {
		what              string
		delivered, failed int
		raised, resolved  int
	}{
		{"few messages", 0, 19, 0, 0},
		{"below", 95, 9, 0, 0},
		{"over", 80, 20, 1, 0},
		{"worse", 10, 90, 1, 0},
		{"about the threshold", 92, 8, 1, 0},
		{"over again", 85, 15, 1, 0},
		{"half of it", 95, 5, 1, 1},
		{"about the threshold once more", 92, 8, 1, 1},
		{"the next", 80, 20, 2, 1},
		{"no more messages", 0, 0, 2, 2},
	} {
		w.outcomes(step.delivered, step.failed)
		w.judged(one, two)
		w.wants(step.what, step.raised, step.resolved)
	}
}

func TestQueueAgeAndFailuresToConnectAreJudged(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s := w.process(nil)
	lane := invite.Place{Project: "default", Live: true}.Lane(invite.Email)
	w.exec(`INSERT INTO lanes (lane) VALUES ($1)`, lane)
	w.exec(`ALTER TABLE deliveries DROP CONSTRAINT deliveries_invite_id_fkey`)
	w.exec(`INSERT INTO deliveries (invite_id, id, number, project_id, livemode, channel, kind, status, lane, next_at, created_at, updated_at)
		VALUES (gen_random_uuid(), gen_random_uuid(), 1, 'default', true, 'email', 'first', 'queued', $1, now() - interval '16 minutes', now(), now())`, lane)
	w.exec(`INSERT INTO event_counts (project_id, livemode, bucket, type, n)
		SELECT 'default', true, date_bin('15 minutes', now(), timestamptz '2000-01-01 00:00:00Z'), t, n FROM (VALUES ('invite.connected', 12), ('invite.connect_failed', 8)) v(t, n)`)
	w.judged(s)
	w.wants("both", 2, 0)
	var due, oldest int
	if err := w.db.QueryRow(t.Context(), `SELECT due, oldest_s FROM queue_samples WHERE channel = 'email' AND livemode`).Scan(&due, &oldest); err != nil || due != 1 || oldest < 950 {
		t.Errorf("sample: %d due, the oldest for %d s, %v", due, oldest, err)
	}
	// What staff paused waits because they want it to.
	w.exec(`UPDATE lanes SET held_at = now(), held_by = 'x', held_why = 'maintenance'`)
	w.judged(s)
	w.wants("paused", 2, 1)
}

// broken fails once, as a process does that dies before its commit.
type broken struct {
	survey.Alerts
	fails bool
}

func (b *broken) Raise(ctx context.Context, tx pgx.Tx, place invite.Place, a quota.Alert, at time.Time) error {
	if err := b.Alerts.Raise(ctx, tx, place, a, at); err != nil || !b.fails {
		return err
	}
	b.fails = false
	return errors.New("killed before the commit")
}

func TestAProcessThatDiesWhileItRaisesRaisesNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s := w.process(&broken{publish.NewOutbox(w.box), true})
	w.outcomes(0, 100)
	if _, err := s.Run(t.Context()); err == nil {
		t.Fatal("the failure is not reported")
	}
	w.wants("dead", 0, 0)
	w.judged(s)
	w.judged(s)
	w.wants("the next run", 1, 0)
}

func TestOldCountsAreDeleted(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.exec(`
		INSERT INTO invite_counts (project_id, livemode, day, channel, app_slug, connect_times) SELECT 'default', true, current_date - d, 'email', 'slack', '{}' FROM unnest(ARRAY[39, 42]) d;
		INSERT INTO event_counts (project_id, livemode, bucket, type) SELECT 'default', true, now() - d * interval '1 day', 'invite.sent' FROM unnest(ARRAY[14, 16]) d;
		INSERT INTO message_counts (project_id, livemode, bucket, provider, domain, accept_times, deliver_times)
			SELECT 'default', true, now() - d * interval '1 day', 'sendgrid', m, '{}', '{}' FROM unnest(ARRAY[1, 3, 14, 16]) d, unnest(ARRAY['', 'gmail.com']) m;
		INSERT INTO queue_samples (project_id, livemode, channel, at, due, oldest_s) SELECT 'default', true, 'email', now() - d * interval '1 day', 0, 0 FROM unnest(ARRAY[1, 3]) d;
		INSERT INTO excursions (id, project_id, livemode, kind, value, threshold, raised_at, resolved_at) VALUES
			(gen_random_uuid(), 'default', true, 'queue_age', 1, 1, now() - interval '200 days', now() - interval '91 days'),
			(gen_random_uuid(), 'default', true, 'queue_age', 1, 1, now() - interval '200 days', now() - interval '89 days'),
			(gen_random_uuid(), 'default', true, 'bounce_rate', 1, 1, now() - interval '200 days', NULL)`)
	if err := w.process(nil).DeleteOld(t.Context()); err != nil {
		t.Fatal(err)
	}
	for table, want := range map[string]int{"invite_counts": 1, "event_counts": 1, "message_counts": 4, "queue_samples": 1, "excursions": 2} {
		var n int
		if err := w.db.QueryRow(t.Context(), `SELECT count(*) FROM `+table).Scan(&n); err != nil || n != want {
			t.Errorf("%s has %d rows, want %d (%v)", table, n, want, err)
		}
	}
}
