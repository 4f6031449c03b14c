package visit_test

import (
	"slices"
	"testing"

	"github.com/connectlink/connectlink/internal/track/tracktest"
	"github.com/connectlink/connectlink/internal/visit"
)

// TestF09APressMintsForTheSealedUser: Pipedream gets the id itself.
func TestF09APressMintsForTheSealedUser(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	m := w.Invite(tracktest.Options{User: "pat@customer.example", Sealed: true, NoLink: true})
	if w.press(m.Code).URL.IsZero() {
		t.Fatal("the press gave no link")
	}
	if got := w.Vendor.MintedFor(); !slices.Equal(got, []string{"pat@customer.example"}) {
		t.Errorf("minted for %q", got)
	}
}

// TestF06APressWhoseUserCannotBeOpenedMintsNothing (reliability F6): least of all
// for the placeholder.
func TestF06APressWhoseUserCannotBeOpenedMintsNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	m := w.Invite(tracktest.Options{User: "pat@customer.example", Sealed: true, NoLink: true})
	w.Exec(`UPDATE invites SET sealed_user_id = substr(sealed_user_id, 1, 20)`)
	if got := w.press(m.Code); !got.URL.IsZero() || got.Page.State != visit.Busy {
		t.Errorf("%+v", got.Page)
	}
	if got := w.Vendor.MintedFor(); len(got) > 0 {
		t.Errorf("minted for %q", got)
	}
}
