package find_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/store/find"
)

func TestCountListCountsMatchesAndPlacesAPageAmongThem(t *testing.T) {
	t.Parallel()
	a := newArchive(t)
	var ids []invite.ID // oldest first
	for i := range 5 {
		ids = append(ids, a.add(person{email: fmt.Sprintf("pat%d@customer.example", i)}).id)
		a.add(person{email: "sam@else.example"})
	}
	a.add(person{email: "pat@customer.example", livemode: true})
	place := invite.Place{Project: "default"}
	for name, c := range map[string]struct {
		filter find.Filter
		first  invite.ID
		want   find.Count
	}{
		"all":                    {find.Filter{}, ids[4], find.Count{Total: 10, Newer: 1}},
		"domain":                 {find.Filter{Domain: find.DomainTerms(a.box, place, "customer.example")}, ids[4], find.Count{Total: 5}},
		"domain, second page":    {find.Filter{Domain: find.DomainTerms(a.box, place, "@customer.example")}, ids[2], find.Count{Total: 5, Newer: 2}},
		"the keyset is left out": {find.Filter{After: ids[3]}, ids[2], find.Count{Total: 10, Newer: 5}},
		"no match":               {find.Filter{App: "notion"}, ids[4], find.Count{}},
	} {
		c.filter.Place, c.filter.Limit = place, 2
		got, err := find.CountList(t.Context(), a.db, c.filter, c.first)
		if err != nil || got != c.want || !got.IsPositionKnown() {
			t.Errorf("%s: %+v %v, want %+v", name, got, err, c.want)
		}
	}
}

func TestCountListStopsAtItsLimit(t *testing.T) {
	t.Parallel()
	a := newArchive(t)
	newest := a.add(person{email: "pat@customer.example"})
	// Rows without anything but what the list reads.
	a.exec(`INSERT INTO invites SELECT (jsonb_populate_record(i, jsonb_build_object('id', gen_random_uuid()))).* FROM invites i, generate_series(1, $2::int) WHERE i.id = $1`, newest.id, find.CountCap+5)
	f := find.Filter{Place: invite.Place{Project: "default"}, Channel: invite.Email, Limit: 25}
	list, _, err := find.List(t.Context(), a.db, f)
	if err != nil {
		t.Fatal(err)
	}
	got, err := find.CountList(t.Context(), a.db, f, list[0].ID)
	if err != nil || got != (find.Count{Total: find.CountCap, Least: true}) || !got.IsPositionKnown() {
		t.Errorf("the first page: %+v %v", got, err)
	}
	f.Before = invite.ID{}
	var oldest invite.ID
	if err := a.db.QueryRow(t.Context(), `SELECT id FROM invites WHERE NOT livemode ORDER BY id LIMIT 1`).Scan(&oldest); err != nil {
		t.Fatal(err)
	}
	if got, err = find.CountList(t.Context(), a.db, f, oldest); err != nil || got.IsPositionKnown() {
		t.Errorf("a page beyond the limit: %+v %v", got, err)
	}
	f.Channel = "" // without filters the limit is higher
	if got, err = find.CountList(t.Context(), a.db, f, list[0].ID); err != nil || got != (find.Count{Total: find.CountCap + 6}) {
		t.Errorf("without filters: %+v %v", got, err)
	}
}

func TestSearchPagesThroughItsHits(t *testing.T) {
	t.Parallel()
	a := newArchive(t)
	var ids []invite.ID // newest first
	for range 5 {
		ids = append([]invite.ID{a.add(person{email: "pat@customer.example"}).id}, ids...)
	}
	for name, c := range map[string]struct {
		after, before invite.ID
		want          []invite.ID
		newer         int
		more          bool
	}{
		"first":             {want: ids[:2], more: true},
		"second":            {after: ids[1], want: ids[2:4], newer: 2, more: true},
		"last":              {after: ids[3], want: ids[4:], newer: 4},
		"back":              {before: ids[4], want: ids[2:4], newer: 2, more: true},
		"back to the first": {before: ids[2], want: ids[:2], more: true},
		"past the end":      {after: ids[4], newer: 5},
	} {
		f := a.searchAs(find.Query{Place: invite.Place{Project: "default"}, Text: "pat@customer.example", Limit: 2, After: c.after, Before: c.before})
		if fmt.Sprint(idsOf(f.Hits)) != fmt.Sprint(c.want) || f.More != c.more || f.Count != (find.Count{Total: 5, Newer: c.newer}) {
			t.Errorf("%s: %v, more %t, %+v; want %v", name, idsOf(f.Hits), f.More, f.Count, c.want)
		}
	}
}

func idsOf(hits []find.Hit) (ids []invite.ID) {
	for _, h := range hits {
		ids = append(ids, h.ID)
	}
	return ids
}

// "Which invites failed last night?"
func TestFailuresAreListedByAWindowWithAnEnd(t *testing.T) {
	t.Parallel()
	a := newArchive(t)
	now := time.Now()
	a.failures(now, 3*time.Hour, 10*time.Hour, 30*time.Hour)
	for name, f := range map[string]find.Filter{
		"messages":    {FailedAfter: now.Add(-12 * time.Hour), FailedBefore: now.Add(-5 * time.Hour)},
		"connections": {ConnectFailedAfter: now.Add(-12 * time.Hour), FailedBefore: now.Add(-5 * time.Hour)},
	} {
		f.Project, f.Limit = "default", 10
		list, _, err := find.List(t.Context(), a.db, f)
		if err != nil || len(list) != 1 {
			t.Errorf("%s: %d %v, want the one of that night", name, len(list), err)
		}
	}
}

// A count looks at a bounded number of failures, and reports where there were more.
func TestAttentionReportsThatThereWereMoreFailures(t *testing.T) {
	t.Parallel()
	a := newArchive(t)
	refused := a.add(person{email: "sam@customer.example"})
	a.append(refused.id, invite.Event{Type: invite.EventConnectFailed})
	get := func() find.Attention {
		t.Helper()
		got, err := find.GetAttention(t.Context(), a.db, invite.Place{Project: "default"}, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	if diff := cmp.Diff(find.Attention{ConnectFailed: 1}, get()); diff != "" {
		t.Error(diff)
	}
	// One person tries again and again.
	a.exec(`INSERT INTO events SELECT (jsonb_populate_record(e, jsonb_build_object('id', gen_random_uuid(), 'seq', e.seq + n))).*
		FROM events e, generate_series(1, 2499) n WHERE invite_id = $1 AND type = 'connect_failed'`, refused.id)
	if diff := cmp.Diff(find.Attention{ConnectFailed: 1, ConnectFailedMore: true}, get()); diff != "" {
		t.Error(diff)
	}
}
