package find_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/store/find"
)

func TestAppsAreThoseOfTheLatestInvitesTheMostFrequentFirst(t *testing.T) {
	t.Parallel()
	a := newArchive(t)
	for i, slug := range []string{"notion", "slack", "slack", "github"} {
		made := a.add(person{email: "pat@customer.example"})
		a.exec(`UPDATE invites SET app_slug = $2, app_name = initcap($2), livemode = $3 WHERE id = $1`, made.id, slug, i == 3)
	}
	got, err := find.Apps(t.Context(), a.db, invite.Place{Project: "default"})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]invite.App{{Slug: "slack", Name: "Slack"}, {Slug: "notion", Name: "Notion"}}, got); diff != "" {
		t.Error(diff)
	}
	if other, err := find.Apps(t.Context(), a.db, invite.Place{Project: "other"}); err != nil || len(other) != 0 {
		t.Errorf("another project's: %v, %v", other, err)
	}
}

func TestTheWordingOfADeliveryIsThatOfWhatWasHandedOverLast(t *testing.T) {
	t.Parallel()
	a := newArchive(t)
	made := a.add(person{email: "pat@customer.example"})
	inv, err := find.Get(t.Context(), a.db, invite.Place{Project: "default"}, made.id)
	if err != nil {
		t.Fatal(err)
	}
	attempt := func(number int, version, outcome string) {
		t.Helper()
		a.exec(`INSERT INTO attempts (invite_id, delivery_id, id, number, provider, account, template_version, lease_token, outcome, started_at)
			VALUES ($1, $2, gen_random_uuid(), $3, 'sendgrid', 'sendgrid:1', $4, 1, $5, now())`, inv.ID, inv.DeliveryID, number, version, outcome)
	}
	attempt(1, "v1", "not_sent")
	if _, sent, err := find.Wording(t.Context(), a.db, inv.ID, inv.DeliveryID); sent || err != nil {
		t.Errorf("nothing was handed over: %t, %v", sent, err)
	}
	attempt(2, "v2", "unknown")
	attempt(3, "v3", "accepted")
	attempt(4, "v4", "refused")
	if v, sent, err := find.Wording(t.Context(), a.db, inv.ID, inv.DeliveryID); v != "v3" || !sent || err != nil {
		t.Errorf("%q, %t, %v", v, sent, err)
	}
	// The list by version names the invites that it was sent to.
	a.add(person{email: "sam@customer.example"})
	for version, want := range map[string]int{"v1": 0, "v2": 1, "v3": 1, "v4": 0, "v5": 0} {
		f := find.Filter{Place: invite.Place{Project: "default"}, Template: version, Limit: 5}
		list, next, err := find.List(t.Context(), a.db, f)
		if err != nil || len(list) != want || !next.IsZero() || want == 1 && list[0].ID != inv.ID {
			t.Errorf("sent with %s: %d, next %q, %v; want %d", version, len(list), next, err, want)
		}
		if c, err := find.CountList(t.Context(), a.db, f, inv.ID); err != nil || c.Total != want || c.Least {
			t.Errorf("count of %s: %+v, %v", version, c, err)
		}
	}
}
