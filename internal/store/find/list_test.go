package find_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/secret"
	"github.com/connectlink/connectlink/internal/store/find"
	"github.com/connectlink/connectlink/internal/store/suppression"
)

func TestPagesGoOlderAndBackToNewer(t *testing.T) {
	t.Parallel()
	a := newArchive(t)
	var all []string
	for range 5 {
		all = append([]string{a.add(person{email: "pat@customer.example"}).id.String()}, all...)
	}
	page := func(f find.Filter) (names []string, next invite.ID) {
		t.Helper()
		f.ProjectID, f.Limit = "default", 2
		list, next, err := find.List(t.Context(), a.db, f)
		if err != nil {
			t.Fatal(err)
		}
		for _, inv := range list {
			names = append(names, inv.ID.String())
		}
		return names, next
	}
	first, next := page(find.Filter{})
	second, next2 := page(find.Filter{After: next})
	third, end := page(find.Filter{After: next2})
	if diff := cmp.Diff(all, append(append(first, second...), third...)); diff != "" || !end.IsZero() {
		t.Errorf("going older, ending at %q: %s", end, diff)
	}
	last, err := invite.Parse[invite.ID](third[0])
	if err != nil {
		t.Fatal(err)
	}
	back, more := page(find.Filter{Before: last})
	if diff := cmp.Diff(second, back); diff != "" || more.IsZero() {
		t.Errorf("one page newer, more %q: %s", more, diff)
	}
	newest, err := invite.Parse[invite.ID](second[0])
	if err != nil {
		t.Fatal(err)
	}
	back, more = page(find.Filter{Before: newest})
	if diff := cmp.Diff(first, back); diff != "" || !more.IsZero() {
		t.Errorf("the newest page again, more %q: %s", more, diff)
	}
}

func TestWhatNeedsAttentionIsCountedAndListedAlike(t *testing.T) {
	t.Parallel()
	a := newArchive(t)
	failed := a.bounced(a.add(person{email: "pat@customer.example"}), invite.AddressNotFound)
	refused := a.add(person{email: "sam@customer.example"})
	a.append(refused.id, invite.Event{Type: invite.EventVisited}, invite.Event{Type: invite.EventContinued}, invite.Event{Type: invite.EventConnectFailed})
	ending := a.add(person{email: "kim@customer.example"})
	a.exec(`UPDATE invites SET expires_at = now() + interval '20 minutes', gives_up_at = now() + interval '20 minutes' WHERE id = $1`, ending.id)
	a.exec(`UPDATE invites SET expires_at = now() + interval '20 minutes', gives_up_at = now() + interval '20 minutes', progress = 'visited' WHERE id = $1`,
		a.add(person{email: "opened@customer.example"}).id)
	a.exec(`UPDATE invites SET expires_at = now() + interval '3 hours', gives_up_at = now() + interval '3 hours' WHERE id = ANY($1)`, []invite.ID{failed.id, refused.id})
	a.exec(`UPDATE invites SET expires_at = now() + interval '3 hours', gives_up_at = now() + interval '3 hours' WHERE id = $1`, a.add(person{email: "fine@customer.example"}).id)
	for _, p := range []person{{project: "other"}, {livemode: true}} {
		p.email = "pat@customer.example"
		a.bounced(a.add(p), invite.AddressNotFound)
	}
	if _, _, err := suppression.Insert(t.Context(), a.db, a.box, suppression.Scope{ProjectID: "default"}, suppression.New{
		Channel: invite.Email, Kind: invite.HardBounce, Address: secret.New("pat@customer.example"), Source: suppression.FromReceipt,
	}); err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	got, err := find.GetAttention(t.Context(), a.db, "default", false, now)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(find.Attention{Failed: 1, Expiring: 1, ConnectFailed: 1, Blocked: 1}, got); diff != "" {
		t.Error(diff)
	}
	for name, c := range map[string]struct {
		filter find.Filter
		want   invite.ID
	}{
		"failed":         {find.Filter{Status: []invite.Status{invite.Failed}, CreatedAfter: now.Add(-find.FailedWindow)}, failed.id},
		"expiring":       {find.Filter{Expiring: true}, ending.id},
		"connect failed": {find.Filter{Progress: invite.ConnectFailed}, refused.id},
	} {
		c.filter.ProjectID, c.filter.Limit = "default", 10
		list, _, err := find.List(t.Context(), a.db, c.filter)
		if err != nil {
			t.Fatal(err)
		}
		if len(list) != 1 || list[0].ID != c.want {
			t.Errorf("%s lists %d, want the one that was counted", name, len(list))
		}
	}
}

func (a *archive) exec(sql string, args ...any) {
	a.t.Helper()
	if _, err := a.db.Exec(a.t.Context(), sql, args...); err != nil {
		a.t.Fatal(err)
	}
}
