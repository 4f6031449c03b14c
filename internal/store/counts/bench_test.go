package counts_test

import (
	"errors"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/connectlink/connectlink/internal/postgres"
	"github.com/connectlink/connectlink/internal/store/counts"
	"github.com/connectlink/connectlink/internal/track/tracktest"
)

// fillFollow makes invites whose messages were accepted and delivered, with their events.
const fillFollow = `
INSERT INTO invites (id, project_id, livemode, environment, status, progress, channel, link_type, initiated_by, external_user_id, app_slug, app_name,
	content, expires_in_s, gives_up_at, seq, created_by, created_at, updated_at)
SELECT ('01930000-0000-7000-8000-' || lpad(to_hex(n), 12, '0'))::uuid, 'default', false, 'production', 'active', 'none', 'email', 'invite', 'product', 'user-' || n, 'slack', 'Slack',
	'\x5a', 14400, now() + interval '4 hours', 3, gen_random_uuid(), now(), now() FROM generate_series(1, 3000) n;
INSERT INTO deliveries (invite_id, id, number, project_id, livemode, channel, kind, status, lane, provider, created_at, updated_at)
SELECT id, gen_random_uuid(), 1, 'default', false, 'email', 'first', 'delivered', 'default/email/test', 'sendgrid', now(), now() FROM invites;
INSERT INTO events (invite_id, seq, id, project_id, livemode, type, actor, delivery_id, data, occurred_at)
SELECT d.invite_id, s, gen_random_uuid(), 'default', false, (ARRAY['created', 'delivery.accepted', 'delivery.delivered'])[s], 'system', d.id, '{"channel": "email", "provider": "sendgrid"}', now()
FROM deliveries d, generate_series(1, 3) s;
INSERT INTO public_events (id, project_id, livemode, type, invite_id, sequence, body, created_at)
SELECT gen_random_uuid(), 'default', false, (ARRAY['invite.created', 'invite.sent', 'invite.delivered'])[seq], invite_id, seq, '\x5a', now() FROM events;
ANALYZE`

// BenchmarkFollow counts 1,500 events, 500 of each type, as one transaction of the job.
func BenchmarkFollow(b *testing.B) {
	k := tracktest.New(b)
	k.Exec(fillFollow)
	back := errors.New("count them again")
	events := 0
	for b.Loop() {
		err := postgres.InTx(b.Context(), k.Pool, func(tx pgx.Tx) error {
			p, _, err := counts.LockPlace(b.Context(), tx, place)
			if err != nil {
				return err
			}
			n, _, err := counts.Follow(b.Context(), tx, p, nil, 500)
			if err != nil {
				return err
			}
			events += n
			return back
		})
		if !errors.Is(err, back) {
			b.Fatal(err)
		}
	}
	if events != 1500*b.N {
		b.Fatalf("%d events in %d rounds", events, b.N)
	}
	b.ReportMetric(float64(events)/b.Elapsed().Seconds(), "events/s")
}
