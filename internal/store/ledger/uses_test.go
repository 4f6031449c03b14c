package ledger_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/postgres"
	"github.com/connectlink/connectlink/internal/postgrestest"
	"github.com/connectlink/connectlink/internal/store/ledger"
)

// count counts one message in a transaction of its own.
func count(t *testing.T, db *pgxpool.Pool, uses ...ledger.Use) error {
	t.Helper()
	return postgres.InTx(t.Context(), db, func(tx pgx.Tx) error {
		return ledger.CountUses(t.Context(), tx, invite.New[invite.ID](), uses)
	})
}

// wantLimit fails unless err is a refusal by the measure, to end in about freeIn.
func wantLimit(t *testing.T, err error, measure ledger.Measure, used int64, freeIn time.Duration) *ledger.LimitError {
	t.Helper()
	var over *ledger.LimitError
	if !errors.As(err, &over) {
		t.Fatalf("error = %v, want a *LimitError", err)
	}
	if over.Measure != measure || over.Used != used {
		t.Fatalf("%v: measure %s after %d, want %s after %d", over, over.Measure, over.Used, measure, used)
	}
	// Time goes on meanwhile, minutes on a busy machine; none comes back.
	if gone := freeIn - over.FreeIn; gone < -time.Second || gone > 10*time.Minute {
		t.Fatalf("%v: free in %v, want about %v", over, over.FreeIn, freeIn)
	}
	return over
}

// age moves all that was counted into the past.
func age(t *testing.T, db *pgxpool.Pool, by time.Duration) {
	t.Helper()
	_, err := db.Exec(t.Context(), `UPDATE sending_uses SET times = ARRAY(SELECT x - make_interval(secs => $1) FROM unnest(times) x ORDER BY x),
		used_at = used_at - make_interval(secs => $1), extra_until = extra_until - make_interval(secs => $1) WHERE times IS NOT NULL`, by.Seconds())
	if err != nil {
		t.Fatal(err)
	}
}

func TestPersonLimitHoldsInAnyHourAndAnyDay(t *testing.T) {
	t.Parallel()
	db := postgrestest.Pool(t)
	use := ledger.Use{Scope: ledger.UseRecipient, Subject: []byte("a hash"), PerHour: 5, PerDay: 10}
	send := func(n int) {
		t.Helper()
		for range n {
			if err := count(t, db, use); err != nil {
				t.Fatal(err)
			}
		}
	}
	send(3)
	age(t, db, 30*time.Minute)
	send(2)
	wantLimit(t, count(t, db, use), ledger.MeasureHour, 5, 30*time.Minute)
	// The window slides: the first three leave it, the other two stay.
	age(t, db, 31*time.Minute)
	send(3)
	wantLimit(t, count(t, db, use), ledger.MeasureHour, 5, 29*time.Minute)
	age(t, db, 2*time.Hour)
	send(2)
	wantLimit(t, count(t, db, use), ledger.MeasureDay, 10, 24*time.Hour-(3*time.Hour+time.Minute))
	age(t, db, 21*time.Hour)
	send(3)
	wantLimit(t, count(t, db, use), ledger.MeasureDay, 10, 30*time.Minute)
}

func TestDayLimitCountsMessagesAndCost(t *testing.T) {
	t.Parallel()
	db := postgrestest.Pool(t)
	untilMidnight := time.Until(time.Now().UTC().Truncate(24 * time.Hour).Add(24 * time.Hour))
	key := ledger.Use{Scope: ledger.UseKey, Subject: []byte("key"), PerDay: 2}
	project := ledger.Use{Scope: ledger.UseProject, Subject: []byte("default"), Cost: 300, MaxCost: 1000}
	for range 2 {
		if err := count(t, db, project, key); err != nil {
			t.Fatal(err)
		}
	}
	wantLimit(t, count(t, db, project, key), ledger.MeasureDay, 2, untilMidnight)
	if err := count(t, db, project); err != nil {
		t.Fatal(err)
	}
	over := wantLimit(t, count(t, db, project), ledger.MeasureCost, 900, untilMidnight)
	if over.Room() != 0 || over.Use.Scope != ledger.UseProject {
		t.Errorf("room %d in %s", over.Room(), over.Use.Scope)
	}
	// A refused message is not counted anywhere, also not in what it would not exceed.
	var used int64
	if err := db.QueryRow(t.Context(), `SELECT messages FROM sending_uses WHERE scope = 'project'`).Scan(&used); err != nil || used != 3 {
		t.Errorf("the project's messages = %d, %v; want 3", used, err)
	}
}

func TestUnlimitedUsesAreCounted(t *testing.T) {
	t.Parallel()
	db := postgrestest.Pool(t)
	for range 30 {
		err := count(t, db, ledger.Use{Scope: ledger.UseUser, Subject: []byte("u")}, ledger.Use{Scope: ledger.UseProject, Subject: []byte("p"), Cost: 5})
		if err != nil {
			t.Fatal(err)
		}
	}
	var cost int64
	if err := db.QueryRow(t.Context(), `SELECT cost FROM sending_uses WHERE scope = 'project'`).Scan(&cost); err != nil || cost != 150 {
		t.Errorf("cost = %d, %v; want 150", cost, err)
	}
}

// Requests in different orders of subjects at once: none is refused below the
// maximum, none is allowed above it, and none ends in a deadlock.
func TestLimitHoldsUnderConcurrency(t *testing.T) {
	t.Parallel()
	db := postgrestest.Pool(t)
	subjects := []ledger.Use{
		{Scope: ledger.UseRecipient, Subject: []byte("r"), PerHour: 40, PerDay: 40},
		{Scope: ledger.UseKey, Subject: []byte("k"), PerDay: 1000},
		{Scope: ledger.UseProject, Subject: []byte("p"), Cost: 1, MaxCost: 1000},
	}
	var allowed, refused atomic.Int64
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for j := range 10 {
				uses := []ledger.Use{subjects[(i+j)%3], subjects[(i+j+1)%3], subjects[(i+j+2)%3]}
				err := postgres.InTx(t.Context(), db, func(tx pgx.Tx) error {
					return ledger.CountUses(context.WithoutCancel(t.Context()), tx, invite.New[invite.ID](), uses)
				})
				var over *ledger.LimitError
				switch {
				case err == nil:
					allowed.Add(1)
				case errors.As(err, &over):
					refused.Add(1)
				default:
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if allowed.Load() != 40 || refused.Load() != 40 {
		t.Errorf("%d allowed, %d refused; want 40 and 40", allowed.Load(), refused.Load())
	}
}

func TestRoomOfARefusal(t *testing.T) {
	t.Parallel()
	got := map[string]int64{}
	for _, e := range []ledger.LimitError{
		{Use: ledger.Use{PerHour: 5, PerDay: 10}, Measure: ledger.MeasureHour, Used: 3},
		{Use: ledger.Use{PerHour: 5, PerDay: 10}, Measure: ledger.MeasureDay, Used: 12},
		{Use: ledger.Use{MaxCost: 100, Cost: 30}, Measure: ledger.MeasureCost, Used: 20},
		{Use: ledger.Use{MaxCost: 100}, Measure: ledger.MeasureCost, Used: 120},
	} {
		got[fmt.Sprint(e.Measure, e.Used)] = e.Room()
	}
	if diff := cmp.Diff(map[string]int64{"hour3": 2, "day12": 0, "cost20": 2, "cost120": 0}, got); diff != "" {
		t.Error(diff)
	}
}

func TestGrantAllowsMoreOnceForAWhile(t *testing.T) {
	t.Parallel()
	db := postgrestest.Pool(t)
	use := ledger.Use{Scope: ledger.UseRecipient, Subject: []byte("r"), PerHour: 2, PerDay: 100}
	grant := func() (ok bool) {
		t.Helper()
		err := postgres.InTx(t.Context(), db, func(tx pgx.Tx) (err error) {
			ok, err = ledger.GrantUses(t.Context(), tx, use.Subject, 3, 24*time.Hour)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		return ok
	}
	if !grant() || grant() {
		t.Error("a grant is given once")
	}
	for range 5 {
		if err := count(t, db, use); err != nil {
			t.Fatal(err)
		}
	}
	wantLimit(t, count(t, db, use), ledger.MeasureHour, 5, time.Hour)
	age(t, db, 25*time.Hour)
	for range 2 { // the grant has ended
		if err := count(t, db, use); err != nil {
			t.Fatal(err)
		}
	}
	wantLimit(t, count(t, db, use), ledger.MeasureHour, 2, time.Hour)
	if !grant() {
		t.Error("a second grant, a day later, is refused")
	}
}

func TestCheckUsesAnswersAsCountUsesAndCountsNothing(t *testing.T) {
	t.Parallel()
	db := postgrestest.Pool(t)
	uses := []ledger.Use{{Scope: ledger.UseKey, Subject: []byte("p/k"), PerDay: 1}, {Scope: ledger.UseRecipient, Subject: []byte("r"), PerHour: 5, PerDay: 5}}
	for range 3 {
		if err := ledger.CheckUses(t.Context(), db, uses); err != nil {
			t.Fatal(err)
		}
	}
	if err := count(t, db, uses...); err != nil {
		t.Fatal(err)
	}
	wantLimit(t, ledger.CheckUses(t.Context(), db, uses), ledger.MeasureDay, 1, time.Until(time.Now().UTC().Truncate(24*time.Hour).Add(24*time.Hour)))
}
