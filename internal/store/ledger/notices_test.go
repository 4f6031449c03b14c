package ledger_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/connectlink/connectlink/internal/postgres"
	"github.com/connectlink/connectlink/internal/postgrestest"
	"github.com/connectlink/connectlink/internal/store/ledger"
)

// untold takes the notices that were not told yet, as words.
func untold(t *testing.T, db *pgxpool.Pool) []string {
	t.Helper()
	var out []string
	err := postgres.InTx(t.Context(), db, func(tx pgx.Tx) error {
		list, err := ledger.LockNotices(t.Context(), tx, 100)
		for _, n := range list {
			project, name := n.Project()
			out = append(out, fmt.Sprintf("%s %s/%s %s %s %d of %d", n.Scope, project, name, n.Measure, n.Level, n.Used, n.Most))
			if err := ledger.SetTold(t.Context(), tx, n); err != nil {
				return err
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(out)
	return out
}

func TestNoticeIsRaisedOncePerLevel(t *testing.T) {
	t.Parallel()
	db := postgrestest.Pool(t)
	uses := []ledger.Use{
		{Scope: ledger.UseKey, Subject: []byte("default/k1"), PerDay: 5},
		{Scope: ledger.UseProject, Subject: []byte("default"), PerDay: 100, Cost: 30, MaxCost: 170},
		{Scope: ledger.UseRecipient, Subject: []byte("r"), PerHour: 5, PerDay: 5}, // a person's limit is an ordinary thing
	}
	want := [][]string{
		nil, nil, nil,
		{"key default/k1 day near 4 of 5"},
		{"key default/k1 day reached 5 of 5", "project default/ cost near 150 of 170", "project default/ cost reached 150 of 170"},
	}
	for i, w := range want {
		if err := count(t, db, uses...); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(w, untold(t, db)); diff != "" {
			t.Errorf("after message %d: %s", i+1, diff)
		}
	}
	if err := count(t, db, uses...); err == nil {
		t.Error("the sixth message is allowed")
	}
	if got := untold(t, db); got != nil {
		t.Errorf("a refusal raises %v", got)
	}
	for project, n := range map[string]int{"default": 4, "defaul": 0, "default/k1": 2, "other": 0} {
		if list, err := ledger.ListNotices(t.Context(), db, project, 10); err != nil || len(list) != n {
			t.Errorf("project %s has %d notices, %v; want %d", project, len(list), err, n)
		}
	}
}

func TestDayUsesAreListedForProjectKeyAndCountries(t *testing.T) {
	t.Parallel()
	db := postgrestest.Pool(t)
	for _, u := range []ledger.Use{
		{Scope: ledger.UseProject, Subject: []byte("a"), Cost: 7},
		{Scope: ledger.UseProject, Subject: []byte("ab")},
		{Scope: ledger.UseKey, Subject: []byte("a/k1")},
		{Scope: ledger.UseKey, Subject: []byte("a/k2")},
		{Scope: ledger.UseCountry, Subject: []byte("a/DE")},
		{Scope: ledger.UseCountry, Subject: []byte("ab/DE")},
		{Scope: ledger.UseCountry, Subject: []byte("a/US")},
	} {
		if err := count(t, db, u); err != nil {
			t.Fatal(err)
		}
	}
	list, err := ledger.ListDayUses(t.Context(), db, []byte("a"), []byte("a/k1"))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, u := range list {
		got = append(got, fmt.Sprintf("%s %s %d %d", u.Scope, u.Subject, u.Messages, u.Cost))
	}
	if diff := cmp.Diff([]string{"project a 1 7", "key a/k1 1 0", "sms_country a/DE 1 0", "sms_country a/US 1 0"}, got); diff != "" {
		t.Error(diff)
	}
}

func TestOldUsesAreDeleted(t *testing.T) {
	t.Parallel()
	db := postgrestest.Pool(t)
	exec := func(sql string) {
		t.Helper()
		if _, err := db.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 7 {
		u := ledger.Use{Scope: ledger.UseRecipient, Subject: []byte{byte(i)}}
		if err := count(t, db, u, ledger.Use{Scope: ledger.UseUser, Subject: u.Subject}, ledger.Use{Scope: ledger.UseKey, Subject: fmt.Append(nil, "p/", i), PerDay: 1}); err != nil {
			t.Fatal(err)
		}
	}
	age(t, db, 25*time.Hour)
	exec(`UPDATE sending_uses SET day = day - 9 WHERE scope = 'key'`)
	exec(`UPDATE limit_notices SET day = day - 9`)
	exec(`UPDATE sending_uses SET extra_until = now() + interval '1 hour' WHERE scope = 'recipient' AND subject = '\x03'`)
	if err := count(t, db, ledger.Use{Scope: ledger.UseUser, Subject: []byte{5}}, ledger.Use{Scope: ledger.UseKey, Subject: []byte("p/today"), PerDay: 1}); err != nil {
		t.Fatal(err)
	}
	if err := ledger.DeleteOldUses(t.Context(), db, 2); err != nil {
		t.Fatal(err)
	}
	rows, err := db.Query(t.Context(), `SELECT scope || ' ' || encode(subject, 'escape') FROM sending_uses UNION ALL SELECT 'notice ' || level FROM limit_notices`)
	if err != nil {
		t.Fatal(err)
	}
	got, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(got)
	if diff := cmp.Diff([]string{"key p/today", "notice near", "notice reached", "recipient \x03", "user \x05"}, got); diff != "" {
		t.Error(diff)
	}
}
