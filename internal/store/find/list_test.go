package find_test

import (
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/seal"
	"github.com/connectlink/connectlink/internal/store/find"
	"github.com/connectlink/connectlink/internal/store/ledger"
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
		f.Project, f.Limit = "default", 2
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
	now := time.Now()
	got, err := find.GetAttention(t.Context(), a.db, invite.Place{Project: "default"}, now)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(find.Attention{Failed: 1, Expiring: 1, ConnectFailed: 1}, got); diff != "" {
		t.Error(diff)
	}
	for name, c := range map[string]struct {
		filter find.Filter
		want   invite.ID
	}{
		"failed":         {find.Filter{FailedAfter: now.Add(-find.FailedWindow)}, failed.id},
		"expiring":       {find.Filter{Expiring: true}, ending.id},
		"connect failed": {find.Filter{ConnectFailedAfter: now.Add(-find.ConnectFailedWindow)}, refused.id},
	} {
		c.filter.Project, c.filter.Limit = "default", 10
		list, _, err := find.List(t.Context(), a.db, c.filter)
		if err != nil {
			t.Fatal(err)
		}
		if len(list) != 1 || list[0].ID != c.want {
			t.Errorf("%s lists %d, want the one that was counted", name, len(list))
		}
	}
}

// failures are invites that failed at these times before now; old ones were made
// long before.
func (a *archive) failures(now time.Time, ago ...time.Duration) {
	a.t.Helper()
	for _, d := range ago {
		mail, app := a.add(person{email: "pat@customer.example"}), a.add(person{email: "sam@customer.example"})
		a.append(mail.id, invite.Event{Type: invite.EventDeliveryBounced, DeliveryID: mail.delivery, Data: invite.Data{Reason: invite.AddressNotFound}, At: now.Add(-d)})
		a.append(app.id, invite.Event{Type: invite.EventConnectFailed, At: now.Add(-d)})
	}
}

// Finding J: the numbers counted invites by when they were made, and led to lists
// of all times.
func TestRCJNumbersAndTheirListsAgreeAroundTheEdgesOfTheWindow(t *testing.T) {
	t.Parallel()
	a := newArchive(t)
	now := time.Now().Truncate(time.Millisecond)
	const day, week = 24 * time.Hour, 7 * 24 * time.Hour
	a.failures(now, time.Minute, day-time.Second, day, day+time.Second, week-time.Second, week, week+time.Second)
	// Made long ago and failed today; made today and not failed any more.
	a.exec(`UPDATE invites SET created_at = now() - interval '20 days' WHERE project_id = 'default'`)
	resent := a.bounced(a.add(person{email: "kim@customer.example"}), invite.AddressNotFound)
	a.append(resent.id, invite.Event{Type: invite.EventResent, Data: invite.Data{HasLink: true}})
	// Failed before, and once more today.
	again := a.add(person{email: "kim@customer.example"})
	a.append(again.id, invite.Event{Type: invite.EventConnectFailed, At: now.Add(-week - day)}, invite.Event{Type: invite.EventContinued}, invite.Event{Type: invite.EventConnectFailed, At: now})
	for _, p := range []person{{project: "other"}, {livemode: true}} {
		p.email = "pat@customer.example"
		a.bounced(a.add(p), invite.AddressNotFound)
	}
	got, err := find.GetAttention(t.Context(), a.db, invite.Place{Project: "default"}, now)
	if err != nil {
		t.Fatal(err)
	}
	if got.Failed != 2 || got.ConnectFailed != 6 {
		t.Errorf("%d did not arrive, %d did not connect; want 2 and 6", got.Failed, got.ConnectFailed)
	}
	for name, c := range map[string]struct {
		filter find.Filter
		want   int
	}{
		"did not arrive":  {find.Filter{FailedAfter: now.Add(-find.FailedWindow)}, got.Failed},
		"did not connect": {find.Filter{ConnectFailedAfter: now.Add(-find.ConnectFailedWindow)}, got.ConnectFailed},
	} {
		c.filter.Project, c.filter.Limit = "default", 1 // each on a page of its own
		listed := map[invite.ID]bool{}
		for pages := 0; pages == 0 || !c.filter.After.IsZero(); pages++ {
			list, next, err := find.List(t.Context(), a.db, c.filter)
			if err != nil || pages > 20 {
				t.Fatalf("page %d: %v", pages, err)
			}
			for _, inv := range list {
				listed[inv.ID] = true
			}
			c.filter.After = next
		}
		if len(listed) != c.want {
			t.Errorf("%s: the number is %d, the list has %d", name, c.want, len(listed))
		}
	}
}

func (a *archive) exec(sql string, args ...any) {
	a.t.Helper()
	if _, err := a.db.Exec(a.t.Context(), sql, args...); err != nil {
		a.t.Fatal(err)
	}
}

// crowd puts n invites in, all alike but for the third one's app, a millisecond
// apart from at on.
func (a *archive) crowd(n int, at time.Time, app string) {
	a.t.Helper()
	a.exec(`INSERT INTO invites (id, project_id, livemode, environment, status, progress, channel, link_type, initiated_by, external_user_id, app_slug, app_name,
		expires_in_s, gives_up_at, seq, created_by, created_at, updated_at)
		SELECT (lpad(to_hex($3::bigint + n), 12, '0') || '7000' || '8' || lpad(to_hex(n), 15, '0'))::uuid, 'default', false, 'development', 'expired', 'none', 'email', 'invite',
			'product', 'user-' || n, CASE n WHEN 3 THEN $2 ELSE 'slack' END, 'Slack', 3600, now(), 1, gen_random_uuid(), to_timestamp(($3::bigint + n) / 1000.0), now()
		FROM generate_series(1, $1) n`, n, app, at.UnixMilli())
}

func TestWhatIsRareIsLookedForInStretches(t *testing.T) {
	t.Parallel()
	a := newArchive(t)
	at := time.Unix(1700000000, 0)
	a.crowd(40_000, at, "airtable")
	first := find.Filter{Place: invite.Place{Project: "default"}, App: "airtable", Limit: 5}
	var steps int
	var last invite.ID
	f := first
	for {
		page, next, err := find.List(t.Context(), a.db, f)
		if err != nil {
			t.Fatal(err)
		}
		steps++
		if len(page) == 1 {
			last = page[0].ID
			if !next.IsZero() {
				t.Errorf("there is more behind the oldest: %s", next)
			}
			break
		}
		if next.IsZero() || len(page) > 0 || steps > 10 {
			t.Fatalf("step %d: %d invites, next %q", steps, len(page), next)
		}
		f.After = next
	}
	if steps != 3 {
		t.Errorf("found in %d steps, want 3 of at most 15,000 each", steps)
	}
	// The other way it is as far from the oldest to the newest.
	f = first
	f.Before = last
	for steps = 1; ; steps++ {
		page, next, err := find.List(t.Context(), a.db, f)
		if err != nil {
			t.Fatal(err)
		}
		if len(page) > 0 {
			t.Fatalf("going newer finds %s again", page[0].ID)
		}
		if next.IsZero() {
			break
		}
		f.Before = next
	}
	if steps != 3 {
		t.Errorf("the newest is reached in %d steps", steps)
	}
	// The latest message of each invite is a look-up more, so the stretches are shorter.
	f = find.Filter{Place: first.Place, DeliveryStatus: []invite.DeliveryStatus{invite.Delivered}, Limit: 5}
	for steps = 1; ; steps++ {
		page, next, err := find.List(t.Context(), a.db, f)
		if err != nil || len(page) > 0 {
			t.Fatalf("%d delivered, %v", len(page), err)
		}
		if next.IsZero() {
			break
		}
		f.After = next
	}
	if steps != 9 {
		t.Errorf("no delivered message is found in %d steps, want 9 of at most 5,000 each", steps)
	}
	// A date is a place in the list, not a reason to walk there.
	page, next, err := find.List(t.Context(), a.db, find.Filter{Place: invite.Place{Project: "default"}, App: "airtable", CreatedBefore: at.Add(10 * time.Millisecond), Limit: 5})
	if err != nil || len(page)+len(next.String()) == 0 {
		t.Errorf("before a date: %d, next %q, %v", len(page), next, err)
	}
	page, next, err = find.List(t.Context(), a.db, find.Filter{Place: invite.Place{Project: "default"}, App: "slack", CreatedAfter: at.Add(2 * time.Hour), Limit: 5})
	if err != nil || len(page) > 0 || !next.IsZero() {
		t.Errorf("since a date after all of them: %d, next %q, %v", len(page), next, err)
	}
}

// Every filter by itself and every pair of filters lists exactly what fits,
// from whichever end the list is read, in small pages.
func TestFiltersListWhatFitsAloneAndTogether(t *testing.T) {
	t.Parallel()
	a := newArchive(t)
	var all []stored
	plans := []string{"pro", "free"}
	pairs := func(m map[string]string) [][]seal.Hash {
		return find.MetadataTerms(a.box, invite.Place{Project: "default"}, m)
	}
	for i := range 8 {
		p := person{user: "user-" + strconv.Itoa(i%2), email: "pat" + strconv.Itoa(i%3) + "@customer.example"}
		if i%2 == 0 {
			p.inviter = "Sam  RIVERA"
		}
		p.metadata = map[string]string{"ticket": "t" + strconv.Itoa(i%3), "plan": plans[i%2]}
		s := a.add(p)
		if i%4 > 1 {
			a.bounced(s, invite.MailboxUnavailable)
		}
		if i%4 == 1 {
			a.append(s.id, invite.Event{Type: invite.EventConnectFailed}, invite.Event{Type: invite.EventConnectFailed})
		}
		if i > 4 {
			a.exec(`UPDATE invites SET app_slug = 'notion', channel = 'sms' WHERE id = $1`, s.id)
		}
		all = append(all, s)
	}
	a.append(a.bounced(a.add(person{livemode: true, email: "pat@customer.example", inviter: "Sam Rivera"}), invite.MailboxUnavailable).id, invite.Event{Type: invite.EventConnectFailed})
	a.exec(`UPDATE invites SET gives_up_at = now() + interval '20 minutes' WHERE id = ANY($1)`, []invite.ID{all[0].id, all[4].id, all[5].id})
	changed := time.Now().Add(time.Hour)
	a.exec(`UPDATE invites SET updated_at = $2 WHERE id = ANY($1)`, []invite.ID{all[6].id, all[7].id}, changed)
	robin := invite.New[invite.StaffID]()
	a.exec(`INSERT INTO invite_owners (invite_id, project_id, livemode, staff_id)
		SELECT id, project_id, livemode, $2 FROM invites WHERE id = ANY($1)`, []invite.ID{all[1].id, all[2].id, all[6].id}, robin)
	a.exec(`INSERT INTO invite_owners (invite_id, project_id, livemode, staff_id) SELECT id, project_id, livemode, gen_random_uuid() FROM invites WHERE id = $1`, all[0].id)
	filters := []struct {
		name, field string // of the filters of one field the last counts
		set         func(*find.Filter)
		fits        func(i int) bool
	}{
		{"failed", "status", func(f *find.Filter) { f.Status = []invite.Status{invite.Failed} }, func(i int) bool { return i%4 > 1 }},
		{"open", "status", func(f *find.Filter) { f.Status = []invite.Status{invite.Active, invite.Pending} }, func(i int) bool { return i%4 < 2 }},
		{"channel", "channel", func(f *find.Filter) { f.Channel = invite.SMS }, func(i int) bool { return i > 4 }},
		{"app", "app", func(f *find.Filter) { f.App = "notion" }, func(i int) bool { return i > 4 }},
		{"user", "user", func(f *find.Filter) { f.User = find.NewUser(a.box, invite.Place{Project: "default"}, "user-1") }, func(i int) bool { return i%2 == 1 }},
		{"recipient", "recipient", func(f *find.Filter) {
			f.Recipient = ledger.AddressTerms(a.box, invite.Place{Project: "default"}, "PAT1@customer.example")
		}, func(i int) bool { return i%3 == 1 }},
		{"inviter", "inviter", func(f *find.Filter) {
			f.Inviter = find.InviterTerms(a.box, invite.Place{Project: "default"}, "sam rivera")
		}, func(i int) bool { return i%2 == 0 }},
		{"reason", "reason", func(f *find.Filter) { f.Reason = invite.MailboxUnavailable }, func(i int) bool { return i%4 > 1 }},
		{"connect failed", "progress", func(f *find.Filter) { f.Progress = []invite.Progress{invite.ConnectFailed} }, func(i int) bool { return i%4 == 1 }},
		{"not opened", "progress", func(f *find.Filter) { f.Progress = []invite.Progress{invite.NotOpened, invite.Visited} }, func(i int) bool { return i%4 != 1 }},
		{"expiring", "expiring", func(f *find.Filter) { f.Expiring = true }, func(i int) bool { return i == 0 || i == 4 }},
		{"since", "since", func(f *find.Filter) { f.CreatedAfter = a.madeAt(all[3].id) }, func(i int) bool { return i >= 3 }},
		{"until", "until", func(f *find.Filter) { f.CreatedBefore = a.madeAt(all[6].id) }, func(i int) bool { return i < 6 }},
		{"bounced", "delivery", func(f *find.Filter) {
			f.DeliveryStatus = []invite.DeliveryStatus{invite.Bounced, invite.Unknown}
		}, func(i int) bool { return i%4 > 1 }},
		{"queued or bounced", "delivery", func(f *find.Filter) {
			f.DeliveryStatus = []invite.DeliveryStatus{invite.Queued, invite.Bounced}
		}, func(int) bool { return true }},
		{"users", "user", func(f *find.Filter) {
			f.User = find.NewUser(a.box, invite.Place{Project: "default"}, "user-0", "user-7", "user-1")
		}, func(int) bool { return true }},
		{"ticket", "metadata", func(f *find.Filter) { f.Metadata = pairs(map[string]string{"ticket": "t1"}) }, func(i int) bool { return i%3 == 1 }},
		{"ticket and plan", "metadata", func(f *find.Filter) {
			f.Metadata = pairs(map[string]string{"ticket": "t1", "plan": "pro"})
		}, func(i int) bool { return i == 4 }},
		{"owner", "owner", func(f *find.Filter) { f.Owner = robin }, func(i int) bool { return i == 1 || i == 2 || i == 6 }},
		{"changed", "changed", func(f *find.Filter) { f.UpdatedAfter = changed }, func(i int) bool { return i > 5 }},
		{"unchanged", "unchanged", func(f *find.Filter) { f.UpdatedBefore = changed }, func(i int) bool { return i <= 5 }},
	}
	const inPagesOfOne = 13 // the others in larger pages, for the test's time
	for n, one := range filters {
		for m, other := range filters {
			f := find.Filter{Place: invite.Place{Project: "default"}, Limit: 1}
			if max(n, m) >= inPagesOfOne {
				f.Limit = 4
			}
			one.set(&f)
			other.set(&f)
			var want []string
			for i := range all {
				if other.fits(i) && (one.fits(i) || one.field == other.field) {
					want = append([]string{all[i].id.String()}, want...)
				}
			}
			if diff := cmp.Diff(want, a.older(f)); diff != "" {
				t.Errorf("%s, %s, going older: %s", one.name, other.name, diff)
			}
			slices.Reverse(want)
			if diff := cmp.Diff(want, a.newer(f)); diff != "" {
				t.Errorf("%s, %s, going newer: %s", one.name, other.name, diff)
			}
		}
	}
}

// older lists from the newest to the oldest.
func (a *archive) older(f find.Filter) []string {
	a.t.Helper()
	return a.walk(f, func(f *find.Filter, next invite.ID) { f.After = next })
}

// newer lists from the oldest to the newest.
func (a *archive) newer(f find.Filter) []string {
	a.t.Helper()
	var oldest invite.ID
	if err := oldest.UnmarshalText([]byte("inv_" + strings.Repeat("0", 25) + "g")); err != nil {
		a.t.Fatal(err)
	}
	f.Before = oldest
	return a.walk(f, func(f *find.Filter, next invite.ID) { f.Before = next })
}

func (a *archive) walk(f find.Filter, on func(*find.Filter, invite.ID)) (names []string) {
	a.t.Helper()
	for {
		page, next, err := find.List(a.t.Context(), a.db, f)
		if err != nil {
			a.t.Fatal(err)
		}
		if !f.Before.IsZero() {
			slices.Reverse(page) // a page has the newest first
		}
		for _, inv := range page {
			names = append(names, inv.ID.String())
		}
		if next.IsZero() {
			return names
		}
		on(&f, next)
	}
}

func (a *archive) madeAt(id invite.ID) (at time.Time) {
	a.t.Helper()
	if err := a.db.QueryRow(a.t.Context(), `SELECT created_at FROM invites WHERE id = $1`, id).Scan(&at); err != nil {
		a.t.Fatal(err)
	}
	return at
}
