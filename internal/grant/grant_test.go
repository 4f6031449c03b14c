package grant_test

import (
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/connectlink/connectlink/internal/access"
	"github.com/connectlink/connectlink/internal/grant"
	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/postgrestest"
	"github.com/connectlink/connectlink/internal/secret"
)

func TestKeysLiveFromCreationToRevocation(t *testing.T) {
	t.Parallel()
	s := grant.New(postgrestest.Pool(t), time.Now)
	key, made, err := s.Create(t.Context(), grant.NewKey{
		Place: invite.Place{Project: "acme", Live: true}, Name: "backend", Environment: "production", Scopes: []access.Scope{access.InvitesRead},
	})
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for range 32 {
		wg.Go(func() {
			p, err := s.Authenticate(t.Context(), key, netip.Addr{})
			if err != nil || p.Project != "acme" || !p.Live || p.Environment != "production" || p.ID != made.ID.String() {
				t.Errorf("principal %+v, %v", p, err)
			}
			if !p.Can(access.InvitesRead) || p.Can(access.InvitesWrite) {
				t.Error("the key may do something else than it was made for")
			}
		})
	}
	wg.Wait()
	list, err := s.List(t.Context(), "acme")
	if err != nil || len(list) != 1 || list[0].LastUsedAt == nil || !list[0].Usable {
		t.Errorf("list: %+v, %v", list, err)
	}
	if none, err := s.List(t.Context(), "other"); err != nil || len(none) != 0 {
		t.Errorf("another project's list: %v, %v", none, err)
	}
	for i, want := range []bool{true, false} {
		if changed, err := s.Revoke(t.Context(), made.ID); err != nil || changed != want {
			t.Errorf("revocation %d: %t, %v", i, changed, err)
		}
	}
	if _, err := s.Authenticate(t.Context(), key, netip.Addr{}); invite.CodeOf(err) != invite.CodeInvalidAPIKey {
		t.Errorf("a revoked key: %v", err)
	}
	if _, err := s.Revoke(t.Context(), invite.New[invite.KeyID]()); err == nil {
		t.Error("a key that does not exist was revoked")
	}
}

func TestKeysThatAreNone(t *testing.T) {
	t.Parallel()
	s := grant.New(postgrestest.Pool(t), time.Now)
	unknown, _ := access.NewKey(false)
	past := time.Now().Add(-time.Hour)
	expired, _, err := s.Create(t.Context(), grant.NewKey{Place: invite.Place{Project: "acme"}, Name: "old", Environment: "development", ExpiresAt: &past})
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		key  secret.Text
		want invite.Code
	}{
		"none":         {secret.Text{}, invite.CodeAuthenticationRequired},
		"other text":   {secret.New("SG.something"), invite.CodeInvalidAPIKey},
		"unknown":      {unknown, invite.CodeInvalidAPIKey},
		"expired":      {expired, invite.CodeInvalidAPIKey},
		"one cut away": {secret.New(unknown.Reveal()[:50]), invite.CodeInvalidAPIKey},
	} {
		if _, err := s.Authenticate(t.Context(), c.key, netip.Addr{}); invite.CodeOf(err) != c.want {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestRevocationReachesOtherProcesses within the five seconds that a process believes a key.
func TestRevocationReachesOtherProcesses(t *testing.T) {
	t.Parallel()
	now := time.Now()
	db := postgrestest.Pool(t)
	here, there := grant.New(db, time.Now), grant.New(db, func() time.Time { return now })
	key, made, err := here.Create(t.Context(), grant.NewKey{Place: invite.Place{Project: "acme"}, Name: "backend", Environment: "development"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := there.Authenticate(t.Context(), key, netip.Addr{}); err != nil {
		t.Fatal(err)
	}
	if _, err := here.Revoke(t.Context(), made.ID); err != nil {
		t.Fatal(err)
	}
	now = now.Add(5*time.Second + time.Millisecond)
	if _, err := there.Authenticate(t.Context(), key, netip.Addr{}); invite.CodeOf(err) != invite.CodeInvalidAPIKey {
		t.Errorf("five seconds later another process still takes it: %v", err)
	}
}
