package suppression_test

import (
	"errors"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/postgres"
	"github.com/connectlink/connectlink/internal/postgrestest"
	"github.com/connectlink/connectlink/internal/seal"
	"github.com/connectlink/connectlink/internal/secret"
	"github.com/connectlink/connectlink/internal/store/suppression"
)

// A block is found in its own project and mode only, by each statement that takes
// them.
func TestABlockIsOfItsOwnProjectAndMode(t *testing.T) {
	t.Parallel()
	db, ctx := postgrestest.Pool(t), t.Context()
	keyset, err := seal.NewKeyset()
	if err != nil {
		t.Fatal(err)
	}
	box, err := seal.NewBox(keyset)
	if err != nil {
		t.Fatal(err)
	}
	const address = "pat@customer.example"
	own := suppression.Scope{Place: invite.Place{Project: "acme", Live: true}}
	from := invite.New[invite.ID]()
	id, isNew, err := suppression.Insert(ctx, db, box, own, suppression.New{
		Channel: invite.Email, Kind: invite.HardBounce, Address: secret.New(address), Source: suppression.FromAPI, InviteID: from,
	})
	if err != nil || !isNew {
		t.Fatalf("inserted %t, %v", isNew, err)
	}
	for name, c := range map[string]struct {
		place invite.Place
		want  int
	}{
		"its own":           {own.Place, 1},
		"the other mode":    {invite.Place{Project: "acme"}, 0},
		"another project":   {invite.Place{Project: "other", Live: true}, 0},
		"neither is its":    {invite.Place{Project: "other"}, 0},
		"a project of none": {invite.Place{Live: true}, 0},
	} {
		scope := suppression.Scope{Place: c.place}
		found := map[string]int{}
		switch _, err := suppression.Get(ctx, db, scope, id); {
		case err == nil:
			found["Get"] = 1
		case errors.Is(err, suppression.ErrNotFound):
			found["Get"] = 0
		default:
			t.Fatal(err)
		}
		list, _, err := suppression.List(ctx, db, suppression.Filter{Scope: scope, Limit: 10})
		if err != nil {
			t.Fatal(err)
		}
		found["List"] = len(list)
		if found["Count"], err = suppression.Count(ctx, db, suppression.Filter{Scope: scope}, 10); err != nil {
			t.Fatal(err)
		}
		keys := suppression.Keys(box, scope, invite.Email, address)
		standing, err := suppression.ListStanding(ctx, db, keys)
		if err != nil {
			t.Fatal(err)
		}
		found["ListStanding"] = len(standing)
		// By the invite it came from, whose id does not depend on the place.
		person, err := suppression.ListPerson(ctx, db, scope, []invite.ID{from}, nil)
		if err != nil {
			t.Fatal(err)
		}
		found["ListPerson"] = len(person)
		undo := errors.New("undo")
		err = postgres.InTx(ctx, db, func(tx pgx.Tx) (err error) {
			if found["SetErased"], err = suppression.SetErased(ctx, tx, box, scope, []invite.ID{from}, nil); err != nil {
				return err
			}
			if found["SetLifted"], err = suppression.SetLifted(ctx, tx, box, keys, false, "key_1", secret.Text{}); err != nil {
				return err
			}
			return undo
		})
		if !errors.Is(err, undo) {
			t.Fatal(err)
		}
		for statement, n := range found {
			if n != c.want {
				t.Errorf("%s, %s: found %d, want %d", name, statement, n, c.want)
			}
		}
	}
}
