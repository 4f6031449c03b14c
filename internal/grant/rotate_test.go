package grant_test

import (
	"errors"
	"net/netip"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/connectlink/connectlink/internal/access"
	"github.com/connectlink/connectlink/internal/grant"
	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/postgres"
	"github.com/connectlink/connectlink/internal/postgrestest"
	"github.com/connectlink/connectlink/internal/store/account"
	"github.com/connectlink/connectlink/internal/store/traffic"
)

func TestRotateReplacesAKeyWithAnOverlap(t *testing.T) {
	t.Parallel()
	db, ctx := postgrestest.Pool(t), t.Context()
	s := grant.New(db, time.Now)
	end := time.Now().Add(grant.KeyLife)
	old, made, err := s.Create(ctx, grant.NewKey{
		Place: invite.Place{Project: "default", Live: true}, Name: "shop", Environment: "production", Scopes: []access.Scope{access.InvitesWrite}, ExpiresAt: &end,
	})
	if err != nil {
		t.Fatal(err)
	}
	other := access.Staff("stf", access.RoleAdmin, invite.Place{Project: "default"}) // of test mode
	if _, err := s.Rotate(ctx, grant.Rotation{ID: made.ID, Overlap: time.Hour, By: other}); !errors.Is(err, account.ErrNotFound) {
		t.Fatalf("a key of another mode: %v", err)
	}
	r, err := s.Rotate(ctx, grant.Rotation{ID: made.ID, ExpiresAt: &end, Overlap: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	if left := time.Until(r.OldEnds); left > time.Hour || left < 59*time.Minute {
		t.Errorf("the old key ends in %v", left)
	}
	was, err := s.Authenticate(ctx, old, netip.MustParseAddr("203.0.113.9"))
	if err != nil {
		t.Fatalf("the old key in the overlap: %v", err)
	}
	is, err := s.Authenticate(ctx, r.Key, netip.Addr{})
	if err != nil || is.Place != was.Place || is.Environment != was.Environment || !is.Can(access.InvitesWrite) || is.Can(access.InvitesRead) || is.ID == was.ID {
		t.Errorf("the new key is %+v, %v", is, err)
	}
	if _, err := db.Exec(ctx, `UPDATE api_keys SET expires_at = now() WHERE id = $1`, made.ID); err != nil {
		t.Fatal(err)
	}
	if _, err := grant.New(db, time.Now).Authenticate(ctx, old, netip.Addr{}); invite.CodeOf(err) != invite.CodeInvalidAPIKey {
		t.Errorf("the old key after the overlap: %v", err)
	}
	if _, err := s.Rotate(ctx, grant.Rotation{ID: made.ID}); !errors.Is(err, grant.ErrKeyEnded) {
		t.Errorf("an ended key is replaced: %v", err)
	}
	keys, err := s.List(ctx, "default")
	if err != nil || len(keys) != 2 || keys[0].Replaces == nil || *keys[0].Replaces != made.ID || keys[1].LastUsedFrom != "203.0.113.0/24" {
		t.Errorf("keys %+v, %v", keys, err)
	}
}

// An overlap never lengthens the life of a key.
func TestRotateDoesNotLetAKeyOutliveItsEnd(t *testing.T) {
	t.Parallel()
	s := grant.New(postgrestest.Pool(t), time.Now)
	end := time.Now().Add(10 * time.Minute)
	_, made, err := s.Create(t.Context(), grant.NewKey{Place: invite.Place{Project: "default"}, Name: "x", Environment: "development", ExpiresAt: &end})
	if err != nil {
		t.Fatal(err)
	}
	r, err := s.Rotate(t.Context(), grant.Rotation{ID: made.ID, Overlap: grant.MaxOverlap})
	if err != nil || r.OldEnds.After(end) {
		t.Errorf("it ends at %v, not at %v: %v", r.OldEnds, end, err)
	}
}

// Reports pause a key by its id: a rotation must not be the way out.
func TestRotateKeepsAKeyPaused(t *testing.T) {
	t.Parallel()
	db, place := postgrestest.Pool(t), invite.Place{Project: "default", Live: true}
	s := grant.New(db, time.Now)
	_, made, err := s.Create(t.Context(), grant.NewKey{Place: place, Name: "shop", Environment: "production"})
	if err != nil {
		t.Fatal(err)
	}
	if r, err := s.Rotate(t.Context(), grant.Rotation{ID: made.ID, Overlap: time.Hour}); err != nil || r.Paused {
		t.Fatalf("a key that is not paused: %v, %v", r.Paused, err)
	}
	err = postgres.InTx(t.Context(), db, func(tx pgx.Tx) error {
		_, err := traffic.InsertPause(t.Context(), tx, traffic.NewPause{
			Subject: traffic.Subject{Place: place, Scope: traffic.Key, Name: made.ID.String()},
			Source:  traffic.ByReports, Why: traffic.WhyReported, By: "system", Figures: traffic.Figures{Sent: 60, Reports: 5},
		})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	r, err := s.Rotate(t.Context(), grant.Rotation{ID: made.ID, Overlap: time.Hour})
	if err != nil || !r.Paused {
		t.Fatalf("rotated: paused %v, %v", r.Paused, err)
	}
	list, err := traffic.ListPauses(t.Context(), db)
	if err != nil || len(list) != 2 {
		t.Fatalf("%d pauses, %v", len(list), err)
	}
	for _, p := range list {
		if p.Name != made.ID.String() && p.Name != r.Made.ID.String() || p.Source != traffic.ByReports || p.Why != traffic.WhyReported || p.PausedBy != "system" || p.Figures.Reports != 5 {
			t.Errorf("%+v", p)
		}
	}
	var n int
	err = db.QueryRow(t.Context(), `SELECT count(*) FROM audit WHERE act = 'country_paused' AND target = $1`, "key:"+r.Made.ID.String()).Scan(&n)
	if err != nil || n != 1 {
		t.Errorf("%d entries in the audit log, %v", n, err)
	}
}
