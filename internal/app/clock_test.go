package app_test

import (
	"context"
	"net/http"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/connectlink/connectlink/internal/invite"
)

// TestAClockTenMinutesOffChangesNothing boots processes whose clock is right, ten
// minutes fast and ten minutes slow against the database's, and has each do the
// same: what comes out must not differ.
func TestAClockTenMinutesOffChangesNothing(t *testing.T) {
	t.Parallel()
	for name, off := range map[string]time.Duration{"right": 0, "fast": 10 * time.Minute, "slow": -10 * time.Minute} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			// Slow enough that Pipedream's outage outlasts the tries within a create.
			p := start(t, boot{now: func() time.Time { return time.Now().Add(off) }, pace: time.Second})

			// An invite that ends by itself, soon; looked at again at the end.
			brief := p.invite(http.StatusCreated, object{"external_user_id": "user-9", "app": "slack", "channel": "link", "expires_in": 3})

			// Enough of a quarter of an hour is left, by any clock.
			short := p.invite(http.StatusCreated, with(to("delivered@connectlink.test"), "expires_in", 900))
			if life := p.life(short); (life - 15*time.Minute).Abs() > 5*time.Second {
				t.Errorf("it lasts %v, want 15 min", life)
			}
			p.until(short.text("id"), "delivered", func(inv object) bool { return inv.text("delivery.status") == "delivered" })

			// Pipedream is away at first: the link follows, and has its whole life.
			late := p.invite(http.StatusAccepted, with(to("mintslow@connectlink.test"), "expires_in", 900))
			late = p.until(late.text("id"), "delivered", func(inv object) bool { return inv.text("delivery.status") == "delivered" })
			if life := p.life(late); life < 14*time.Minute || life > 17*time.Minute {
				t.Errorf("a link that came late lasts %v from the start, want 15 min and the delay", life)
			}

			// The app that shows a link has a token for it that works.
			phone := p.handOver(short.text("id"))
			if status, _, out := p.call(http.MethodGet, "/v1/client/invite", nil, "Authorization", "Bearer "+phone.token); status != http.StatusOK {
				t.Errorf("client token: %d %v", status, out)
			}

			// A person connects.
			made := p.invite(http.StatusCreated, to("delivered+connect@connectlink.test"))
			done := p.until(made.text("id"), "connected", func(inv object) bool { return inv.text("status") == "connected" })
			if took := p.span(done, "connection.connected_at"); took < 0 || took > 5*time.Minute {
				t.Errorf("connected %v after it was made", took)
			}

			// One that is over is over, and a resend gives it a whole life again.
			status, _, out := p.call(http.MethodPost, "/v1/test_helpers/invites/"+short.text("id")+"/advance", object{"to": "expired"})
			if status != http.StatusOK || out.text("status") != "expired" {
				t.Fatalf("advance: %d %v", status, out)
			}
			if status, _, out = p.call(http.MethodPost, "/v1/invites/"+short.text("id")+"/resend", object{}); status != http.StatusOK {
				t.Fatalf("resend: %d %v", status, out)
			}
			resent := p.until(short.text("id"), "sent again", func(inv object) bool {
				return inv.text("status") == "active" && inv.text("delivery.status") == "delivered"
			})
			if life := p.life(resent); life < 14*time.Minute || life > 20*time.Minute {
				t.Errorf("resent, it ends %v after it was made", life)
			}
			p.until(brief.text("id"), "expired", func(inv object) bool { return inv.text("status") == "expired" })
		})
	}
}

// span is how long after an invite was made another of its times is.
func (p *product) span(inv object, path string) time.Duration {
	p.t.Helper()
	from, err := time.Parse(time.RFC3339, inv.text("created_at"))
	if err != nil {
		p.t.Fatal(err)
	}
	to, err := time.Parse(time.RFC3339, inv.text(path))
	if err != nil {
		p.t.Fatalf("%s: %v", path, err)
	}
	return to.Sub(from)
}

// life is how long an invite lasts by the database's clock, which is what every
// decision goes by. What the API shows is Pipedream's own word, and Pipedream's
// stand-in is as fast or slow as the process that it is part of.
func (p *product) life(inv object) time.Duration {
	p.t.Helper()
	id, err := invite.Parse[invite.ID](inv.text("id"))
	if err != nil {
		p.t.Fatal(err)
	}
	db, err := pgx.Connect(p.t.Context(), p.db)
	if err != nil {
		p.t.Fatal(err)
	}
	defer func() { _ = db.Close(context.WithoutCancel(p.t.Context())) }()
	var seconds float64
	if err := db.QueryRow(p.t.Context(), `SELECT extract(epoch FROM expires_at - created_at)::float8 FROM invites WHERE id = $1`, id).Scan(&seconds); err != nil {
		p.t.Fatal(err)
	}
	return time.Duration(seconds * float64(time.Second))
}
