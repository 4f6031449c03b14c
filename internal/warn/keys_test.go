package warn_test

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/connectlink/connectlink/internal/grant"
	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/postgrestest"
	"github.com/connectlink/connectlink/internal/quota"
	"github.com/connectlink/connectlink/internal/warn"
)

func TestKeysThatEndAreToldTwice(t *testing.T) {
	t.Parallel()
	db, ctx := postgrestest.Pool(t), t.Context()
	place := invite.Place{Project: "default", Live: true}
	var told []quota.Alert
	s, err := warn.New(warn.Params{DB: db, Log: slog.New(slog.DiscardHandler), Metrics: prometheus.NewRegistry(), Alerts: raise(
		func(_ context.Context, _ pgx.Tx, at invite.Place, a quota.Alert, _ time.Time) error {
			if at != place {
				t.Errorf("raised at %v", at)
			}
			told = append(told, a)
			return nil
		})})
	if err != nil {
		t.Fatal(err)
	}
	keys := grant.New(db, time.Now)
	create := func(in time.Duration) invite.KeyID {
		t.Helper()
		end := time.Now().Add(in)
		n := grant.NewKey{Place: place, Name: "k", Environment: "production"}
		if in > 0 {
			n.ExpiresAt = &end
		}
		_, k, err := keys.Create(ctx, n)
		if err != nil {
			t.Fatal(err)
		}
		return k.ID
	}
	const day = 24 * time.Hour
	year := create(365 * day)
	create(0)       // never ends
	create(5 * day) // its maker knows
	short := create(20 * day)
	replaced := create(365 * day)
	if _, err := keys.Rotate(ctx, grant.Rotation{ID: replaced, Overlap: day}); err != nil {
		t.Fatal(err)
	}
	at := func(id invite.KeyID, in string) {
		t.Helper()
		if _, err := db.Exec(ctx, `UPDATE api_keys SET expires_at = now() + $2::interval, created_at = now() + $2::interval - interval '365 days' WHERE id = $1`, id, in); err != nil {
			t.Fatal(err)
		}
	}
	wants := func(when string, want ...invite.KeyID) {
		t.Helper()
		told = nil
		for range 2 { // the second run raises nothing more
			if _, err := s.TellKeys(ctx); err != nil {
				t.Fatal(err)
			}
		}
		if len(told) != len(want) {
			t.Fatalf("%s: told %+v, want %d", when, told, len(want))
		}
		for i, id := range want {
			if a := told[i]; a.Kind != quota.AlertKeyEnds || a.Subject == nil || *a.Subject != id.String() || a.Max != "365" {
				t.Errorf("%s: %+v", when, a)
			}
		}
	}
	wants("at first")
	at(year, "31 days")
	wants("a month before")
	at(year, "29 days")
	wants("within 30 days", year)
	at(year, "8 days")
	wants("between the warnings")
	at(year, "6 days")
	wants("within 7 days", year)
	at(year, "1 day")
	wants("the last day")
	at(short, "6 days")
	wants("a key of 20 days, within 7", short)
	at(year, "-1 day")
	at(short, "-1 day")
	wants("after the end")
}
