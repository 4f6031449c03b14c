package wording_test

import (
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/message"
	"github.com/connectlink/connectlink/internal/postgres"
	"github.com/connectlink/connectlink/internal/postgrestest"
	"github.com/connectlink/connectlink/internal/store/wording"
)

func insert(t *testing.T, db *pgxpool.Pool, v wording.Version, base int64) (number int64, added bool) {
	t.Helper()
	err := postgres.InTx(t.Context(), db, func(tx pgx.Tx) (err error) {
		added, err = wording.Insert(t.Context(), tx, &v, base)
		return err
	})
	if err != nil {
		t.Error(err)
	}
	return v.Number, added
}

func TestVersionsOfMessagesStayApartAndInOrder(t *testing.T) {
	t.Parallel()
	db := postgrestest.Pool(t)
	first := message.Slot{Language: "en", Situation: message.OnFirst}
	resend := message.Slot{Language: "en", Situation: message.OnResend}
	here, there := invite.Place{Project: "a"}, invite.Place{Project: "a", Live: true}
	version := func(place invite.Place, slot message.Slot, button string) wording.Version {
		return wording.Version{Place: place, Slot: slot, Wording: message.Wording{Button: button}, Did: wording.Saved, Author: "staff:1"}
	}
	for _, step := range []struct {
		v          wording.Version
		base, want int64 // 0: not added
	}{
		{version(here, first, "one"), 0, 1},
		{version(here, first, "one again"), 0, 0}, // the person saw no version
		{version(here, resend, "two"), 0, 2},
		{version(there, first, "live"), 0, 1},
		{version(here, first, "three"), 1, 3},
		{version(here, resend, "late"), 1, 0},
		{version(invite.Place{Project: "b"}, first, "elsewhere"), 1, 0},
	} {
		number, added := insert(t, db, step.v, step.base)
		if added != (step.want != 0) || added && number != step.want {
			t.Errorf("%s on %d: %d, %v", step.v.Button, step.base, number, added)
		}
	}
	back := version(here, first, "one")
	back.Did, back.From = wording.Restored, 1
	insert(t, db, back, 3)

	heads, err := wording.Heads(t.Context(), db, []invite.Place{here, there, {Project: "b"}})
	if diff := cmp.Diff(map[invite.Place]int64{here: 4, there: 1, {Project: "b"}: 0}, heads); err != nil || diff != "" {
		t.Error(err, diff)
	}
	list, err := wording.ListCurrent(t.Context(), db, here)
	want := []wording.Version{version(here, first, "one"), version(here, resend, "two")}
	want[0].Number, want[0].Did, want[0].From, want[1].Number = 4, wording.Restored, 1, 2
	if diff := cmp.Diff(want, list, cmpopts.IgnoreFields(wording.Version{}, "CreatedAt")); err != nil || diff != "" {
		t.Error(err, diff)
	}
	var numbers []int64
	for _, page := range []struct {
		before int64
		n      int
	}{{0, 2}, {3, 2}} {
		list, err := wording.List(t.Context(), db, here, first, page.before, page.n)
		if err != nil {
			t.Fatal(err)
		}
		for _, v := range list {
			numbers = append(numbers, v.Number)
		}
	}
	if diff := cmp.Diff([]int64{4, 3, 1}, numbers); diff != "" {
		t.Error(diff)
	}
	for _, c := range []struct {
		place  invite.Place
		slot   message.Slot
		number int64
		found  bool
	}{{here, first, 3, true}, {here, first, 2, false}, {here, resend, 2, true}, {there, first, 3, false}, {invite.Place{Project: "b"}, first, 1, false}} {
		if _, found, err := wording.Find(t.Context(), db, c.place, c.slot, c.number); err != nil || found != c.found {
			t.Errorf("version %d of %v in %v: found %v, %v", c.number, c.slot, c.place, found, err)
		}
	}
}

// Of changes at one moment one takes the next number, and no number is left out.
func TestChangesAtOneMomentTakeOneNumberEach(t *testing.T) {
	t.Parallel()
	db := postgrestest.Pool(t)
	place := invite.Place{Project: "a"}
	var group sync.WaitGroup
	var mu sync.Mutex
	taken := map[int64]bool{}
	for _, situation := range message.Situations() {
		for range 2 {
			group.Go(func() {
				v := wording.Version{Place: place, Slot: message.Slot{Language: "en", Situation: situation}, Did: wording.Saved, Author: "staff:1"}
				number, added := insert(t, db, v, 0)
				mu.Lock()
				defer mu.Unlock()
				if added && taken[number] {
					t.Errorf("version %d was given twice", number)
				}
				taken[number] = taken[number] || added
			})
		}
	}
	group.Wait()
	delete(taken, 0)
	heads, err := wording.Heads(t.Context(), db, []invite.Place{place})
	if err != nil || heads[place] != int64(len(taken)) || len(taken) == 0 {
		t.Errorf("%d versions were added, the latest is %d: %v", len(taken), heads[place], err)
	}
	list, err := wording.ListCurrent(t.Context(), db, place)
	if err != nil || len(list) != len(taken) {
		t.Errorf("a message has two first versions: %v, %v", list, err)
	}
}
