package find_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/resource"
	"github.com/connectlink/connectlink/internal/store/find"
	"github.com/connectlink/connectlink/internal/store/userid"
)

// TestF09InvitesOfAUserAreFoundWhateverTheirKind: of one user an invite is sealed,
// one is plain and one is of an earlier version without a hash. Every look-up
// finds the three, and shows each with the user's id.
func TestF09InvitesOfAUserAreFoundWhateverTheirKind(t *testing.T) {
	t.Parallel()
	a, sent := newTraced(t)
	const user = "canary.person@victim.example"
	older := a.add(person{user: user, email: "someone@elsewhere.example"})
	a.exec(`UPDATE invites SET user_hash = NULL`)
	plain := a.add(person{user: user, email: "someone@elsewhere.example"})
	sealed := a.add(person{user: user, email: "someone@elsewhere.example", sealed: true})
	placeholder := userid.Placeholder(userid.Hash(a.box, invite.Place{Project: "default"}, user))
	// Someone whose id is the text of the placeholder is another person.
	odd := a.add(person{user: placeholder, email: "someone@elsewhere.example"})
	a.add(person{project: "other", user: user, email: "someone@elsewhere.example", sealed: true})

	want := []invite.ID{sealed.id, plain.id, older.id}
	check := func(what string, got []invite.ID, err error, want ...invite.ID) {
		t.Helper()
		got, want = slices.Clone(got), slices.Clone(want)
		order := func(x, y invite.ID) int { return slices.Compare([]byte(x.String()), []byte(y.String())) }
		slices.SortFunc(got, order)
		slices.SortFunc(want, order)
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("%s: %v, %v; want %v", what, got, err, want)
		}
	}
	for name, of := range map[string]struct {
		user string
		want []invite.ID
	}{"the user": {user, want}, "the placeholder's text": {placeholder, []invite.ID{odd.id}}} {
		sent.take()
		u := find.NewUser(a.box, invite.Place{Project: "default"}, of.user)
		list, _, err := find.List(t.Context(), a.db, find.Filter{Place: invite.Place{Project: "default"}, User: u, Limit: 9})
		var ids []invite.ID
		for _, inv := range list {
			ids = append(ids, inv.ID)
			r, failed := resource.Present(a.box, inv, resource.Links{})
			if failed != nil || r.ExternalUserID == nil || *r.ExternalUserID != of.user || r.Unreadable {
				t.Errorf("%s: %s is shown as of %v, %v", name, inv.ID, r.ExternalUserID, failed)
			}
		}
		check("the list of "+name, ids, err, of.want...)
		ids, err = find.ListUser(t.Context(), a.db, u, 9)
		check("the invites of "+name, ids, err, of.want...)
		ids, err = find.ListActive(t.Context(), a.db, u, "slack", of.want[0])
		check("the open invites of "+name, ids, err, of.want[1:]...)
		if inv, ok, err := find.FindActive(t.Context(), a.db, u, "slack"); err != nil || !ok || inv.ID != of.want[0] {
			t.Errorf("the open invite of %s: %v, %t, %v", name, inv.ID, ok, err)
		}
		ids = nil
		for _, h := range a.search(of.user).Hits {
			ids = append(ids, h.ID)
		}
		check("the search for "+name, ids, nil, of.want...)
	}
}

// TestF09ASealedInviteCannotBeWithoutAHash: an invite without one is compared by
// the text of external_user_id, which is a placeholder here.
func TestF09ASealedInviteCannotBeWithoutAHash(t *testing.T) {
	t.Parallel()
	a := newArchive(t)
	s := a.add(person{user: "pat@customer.example", email: "someone@elsewhere.example", sealed: true})
	if _, err := a.db.Exec(t.Context(), `UPDATE invites SET user_hash = NULL WHERE id = $1`, s.id); err == nil {
		t.Error("the hash of a sealed invite could be taken away")
	}
}

// TestF06AUserThatCannotBeOpenedHidesNoOther (reliability F6): the invite is
// shown with what can be read and a mark.
func TestF06AUserThatCannotBeOpenedHidesNoOther(t *testing.T) {
	t.Parallel()
	for name, damage := range map[string]string{
		"cut off":     `substr(sealed_user_id, 1, 20)`,
		"empty":       `''`,
		"key unknown": `set_byte(set_byte(sealed_user_id, 0, 255), 1, 255)`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := newArchive(t)
			s := a.add(person{user: "pat@customer.example", email: "pat@customer.example", sealed: true})
			good := a.add(person{user: "pat@customer.example", email: "pat@customer.example", sealed: true})
			if _, err := a.db.Exec(t.Context(), fmt.Sprintf(`UPDATE invites SET sealed_user_id = %s WHERE id = $1`, damage), s.id); err != nil {
				t.Fatal(err)
			}
			u := find.NewUser(a.box, invite.Place{Project: "default"}, "pat@customer.example")
			list, _, err := find.List(t.Context(), a.db, find.Filter{Place: invite.Place{Project: "default"}, User: u, Limit: 9})
			if err != nil || len(list) != 2 {
				t.Fatalf("%d invites, %v", len(list), err)
			}
			for _, inv := range list {
				r, err := resource.Present(a.box, inv, resource.Links{})
				damaged := inv.ID == s.id
				if err != nil || r.Unreadable != damaged || (r.ExternalUserID == nil) != damaged || r.Recipient == nil || r.Recipient.Email != "pat@customer.example" {
					t.Errorf("%s (the good one is %s): %+v, %v", inv.ID, good.id, r, err)
				}
			}
		})
	}
}
