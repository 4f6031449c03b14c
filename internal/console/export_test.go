package console_test

import (
	"context"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"html"
	"io"
	"mime"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/connectlink/connectlink/internal/access"
	"github.com/connectlink/connectlink/internal/console"
	"github.com/connectlink/connectlink/internal/export"
	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/postgres"
	"github.com/connectlink/connectlink/internal/postgrestest"
	"github.com/connectlink/connectlink/internal/seal"
	"github.com/connectlink/connectlink/internal/store/ledger"
	"github.com/connectlink/connectlink/internal/waittest"
)

// exported reads a CSV file: its rows by the names of its columns.
func exported(t *testing.T, a answer) (rows []map[string]string) {
	t.Helper()
	if a.StatusCode != http.StatusOK {
		t.Fatalf("%s: %d", a.Request.URL, a.StatusCode)
	}
	lines, err := csv.NewReader(strings.NewReader(a.body)).ReadAll()
	if err != nil || len(lines) == 0 {
		t.Fatalf("%v in %q", err, a.body)
	}
	for _, l := range lines[1:] {
		row := map[string]string{}
		for i, name := range lines[0] {
			row[name] = l[i]
		}
		rows = append(rows, row)
	}
	return rows
}

// column is one value of each row.
func column(rows []map[string]string, name string) []string {
	out := []string{}
	for _, r := range rows {
		out = append(out, r[name])
	}
	return out
}

// exportLink is the address of a file that a page leads to; empty for none.
func exportLink(a answer, format string) string {
	found := regexp.MustCompile(`href="([^"]*/export\?[^"]*format=` + format + `[^"]*)"`).FindStringSubmatch(a.body)
	if found == nil {
		return ""
	}
	return html.UnescapeString(found[1])
}

func TestListsAreExportedAsTheyAreShown(t *testing.T) {
	t.Parallel()
	s := newStock(t)
	pat := func(email string) invite.Content {
		return invite.Content{Recipient: invite.Recipient{Email: email, Name: "Pat"}, Inviter: "Sam Rivera sam@northwind.example"}
	}
	s.bounced("user-101", "pat.miller@first-customer.example", "Pat")
	s.bounced("robin.ek@first-customer.example", "robin.ek@first-customer.example", "Robin") // a product whose ids are addresses
	s.add("=1+1", pat("kim.lee@second-customer.example"), func(*ledger.New) {})
	s.add("user-104", invite.Content{Recipient: invite.Recipient{Phone: "+12025550147"}}, func(r *ledger.New) { r.Channel = invite.SMS })
	s.add("user-104 again", pat("kim.lee@second-customer.example"), func(r *ledger.New) {
		r.ExternalUserID, r.App = "user-104", invite.App{Slug: "notion", Name: "Notion"}
	})
	s.add("elsewhere", pat("kim.lee@second-customer.example"), func(r *ledger.New) { r.Live = true })
	s.exec(`INSERT INTO events (id, invite_id, project_id, livemode, seq, type, actor, actor_id, data, occurred_at)
		SELECT gen_random_uuid(), id, project_id, livemode, 2, 'delivery.bounced', 'provider', '', '{}', now() FROM invites WHERE status = 'failed'`)
	s.exec(`UPDATE invites SET status = 'connected', progress = 'continued', connected_at = '2026-11-12T10:07:00Z', created_at = '2026-11-12T10:00:00Z' WHERE id = $1`, s.ids["=1+1"])
	for i, e := range []string{`'link.visited', '{"looks_like": "scanner"}', '2026-11-12T10:01:00Z'`, `'link.visited', '{"looks_like": "person"}', '2026-11-12T10:05:00Z'`, `'link.continued', '{}', '2026-11-12T10:06:00Z'`} {
		s.exec(`INSERT INTO events (id, invite_id, project_id, livemode, seq, type, actor, actor_id, data, occurred_at)
			SELECT gen_random_uuid(), id, project_id, livemode, $2::int, v.type, 'recipient', '', v.data::jsonb, v.at::timestamptz FROM invites, (VALUES (`+e+`)) v (type, data, at) WHERE id = $1`, s.ids["=1+1"], i+2)
	}
	lead := s.signedIn("lead", map[string]access.Role{"default": access.RoleLead})
	agent := s.signedIn("agent", map[string]access.Role{"default": access.RoleAgent})
	const root = "/console/default/test"
	lead.post(root+"/invites/"+s.ids["=1+1"].String()+"/take", url.Values{"seen": {""}})

	// Of every list, the file has the invites of the page.
	ids := regexp.MustCompile(`<a href="` + root + `/invites/(inv_[a-z0-9]+)"><bdi>`)
	pages := map[string]answer{
		"person": lead.get(root + "/people/" + s.ids["user-104"].String()),
		"search": lead.find("first-customer.example"),
	}
	for _, q := range []string{"", "?status=failed", "?within=day", "?reason=address_not_found", "?domain=first-customer.example", "?channel=sms", "?app=notion",
		"?progress=connect_failed", "?status=connected", "?since=2026-11-13", "?status=failed&domain=first-customer.example&failed_since=2023-11-14T00:00"} {
		pages["/invites"+q] = lead.get(root + "/invites" + q)
	}
	for name, page := range pages {
		shown := []string{}
		for _, m := range ids.FindAllStringSubmatch(page.body, -1) {
			shown = append(shown, m[1])
		}
		link := exportLink(page, "csv")
		if link == "" {
			if len(shown) > 0 || name == "/invites" {
				t.Errorf("%s: %d invites and no file", name, len(shown))
			}
			continue
		}
		if diff := cmp.Diff(shown, column(exported(t, lead.get(link)), "id")); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
		if !strings.Contains(page.body, "Addresses stay masked.") || strings.Contains(page.body, "100,000") {
			t.Errorf("%s: the page does not say what a file has", name)
		}
	}

	a := lead.get(root + "/invites/export?format=csv&app=slack")
	for _, secret := range []string{"pat.mil", "robin.ek", "kim.lee", "sam@", "5550147", s.ids["elsewhere"].String()} {
		if strings.Contains(a.body, secret) {
			t.Errorf("the file has %s", secret)
		}
	}
	if a.Header.Get("Cache-Control") != "no-store, no-transform" || a.Header.Get("Content-Type") != "text/csv; charset=utf-8" {
		t.Errorf("headers %v", a.Header)
	}
	_, params, err := mime.ParseMediaType(a.Header.Get("Content-Disposition"))
	if want := "default-test-invites-" + time.Now().UTC().Format(time.DateOnly) + ".csv"; err != nil || params["filename"] != want {
		t.Errorf("the file's name is %v %v, want %s", params, err, want)
	}
	connected := s.ids["=1+1"]
	for _, want := range []map[string]string{
		{"id": connected.String(), "reference": invite.ReferenceOf(connected), "created_at": "2026-11-12T10:00:00Z", "status": "connected", "progress": "continued",
			"delivery_status": "", "reason": "", "app": "slack", "channel": "email", "recipient": "ki••••@second-customer.example", "external_user_id": "'=1+1",
			"inviter": "Sam Rivera s••@n•••.example", "opened_at": "2026-11-12T10:05:00Z", "connected_at": "2026-11-12T10:07:00Z", "owner": "lead"},
	} {
		rows := exported(t, a)
		i := slices.IndexFunc(rows, func(r map[string]string) bool { return r["id"] == want["id"] })
		if i < 0 {
			t.Fatalf("%s is not in the file", want["id"])
		}
		if diff := cmp.Diff(want, rows[i]); diff != "" {
			t.Error(diff)
		}
	}
	lines := strings.Split(strings.TrimSuffix(lead.get(root+"/invites/export?format=jsonl&status=failed&domain=first-customer.example").body, "\n"), "\n")
	var row map[string]any
	if err := json.Unmarshal([]byte(lines[0]), &row); err != nil || row["external_user_id"] != "r••@f•••.example" || row["reason"] != "address_not_found" || row["status"] != "failed" || row["opened_at"] != nil {
		t.Errorf("%v %v", row, err)
	}
	if last := lines[len(lines)-1]; len(lines) != 3 || last != `{"object":"export","rows":2,"complete":true,"end":"complete"}` {
		t.Errorf("%d lines, the last %s", len(lines), last)
	}

	// Agents get no file, and are offered none.
	if page := agent.get(root + "/invites"); exportLink(page, "csv") != "" || agent.get(root+"/invites/export?format=csv").StatusCode != http.StatusForbidden {
		t.Error("an agent is offered a file")
	}
	if a := lead.get(root + "/invites/export?format=xls"); a.StatusCode != http.StatusNotFound {
		t.Errorf("a format that there is not: %d", a.StatusCode)
	}
	// A link on another site leads to the list; a search that expired to its page.
	lead.extra = http.Header{"Sec-Fetch-Site": {"cross-site"}}
	if a := lead.get(root + "/invites/export?format=csv&status=failed"); a.location() != root+"/invites?status=failed" {
		t.Errorf("from another site: %d to %s", a.StatusCode, a.location())
	}
	lead.extra = http.Header{}
	if a := lead.follow(lead.get(root + "/search/export?format=csv&of=nothing")); !strings.Contains(a.body, "This search has expired") {
		t.Errorf("a search that expired: %d", a.StatusCode)
	}

	// One act each, with the names of the filters and no words of a search.
	page := html.UnescapeString(lead.get(root + "/audit?act=export").body)
	for _, want := range []string{"end complete, filters app, format csv, rows 4", "end complete, filters status failed_since domain, format csv, rows 2", "end complete, filters status within, format csv, rows 2", "end complete, filters status domain, format jsonl, rows 2"} {
		if !strings.Contains(page, want) {
			t.Errorf("the audit log lacks %q", want)
		}
	}
	if n := s.count(`SELECT count(*) FROM audit WHERE act LIKE 'export%'`); n != strings.Count(page, "end complete") || s.count(`SELECT count(*) FROM audit WHERE data::text LIKE '%customer%' OR target LIKE '%customer%'`) != 0 {
		t.Errorf("%d entries:\n%s", n, page)
	}
}

// reads are Lists that a test watches.
type reads struct {
	db   postgres.DB
	hook func(ctx context.Context, n int32) // before the read of this number
	n    atomic.Int32
}

func (r *reads) Read(ctx context.Context, fn func(db postgres.DB) error) error {
	r.hook(ctx, r.n.Add(1))
	return fn(r.db)
}

// newBatched is a stock of n invites that is exported in batches of ten rows, of
// which each takes two reads.
func newBatched(t *testing.T, n int, r *reads) *stock {
	t.Helper()
	box := must[*seal.Box](t)(seal.NewBox(must[*seal.Keyset](t)(seal.NewKeyset())))
	db := postgrestest.Pool(t)
	s := &stock{newSiteOn(t, db, box, func(p *console.Params) {
		r.db, p.Lists = db, r
		p.Export = must[*export.Service](t)(export.New(export.Params{DB: db, BatchRows: 10}))
	}), box, map[string]invite.ID{}}
	for i := range n {
		s.add(fmt.Sprintf("user-%d", i), invite.Content{Recipient: invite.Recipient{Email: fmt.Sprintf("pat%d@customer.example", i)}}, func(*ledger.New) {})
	}
	return s
}

func TestAnExportHasNoInviteTwiceAndNoneThatIsNewer(t *testing.T) {
	t.Parallel()
	var s *stock
	r := &reads{hook: func(_ context.Context, n int32) {
		if s != nil && n%2 == 0 { // behind each batch
			s.add(fmt.Sprintf("newer-%d", n), invite.Content{Recipient: invite.Recipient{Email: "sam@customer.example"}}, func(*ledger.New) {})
		}
	}}
	batched := newBatched(t, 35, r)
	lead := batched.signedIn("lead", map[string]access.Role{"default": access.RoleLead})
	s = batched
	want := []string{}
	for i := 34; i >= 0; i-- {
		want = append(want, fmt.Sprintf("user-%d", i))
	}
	if diff := cmp.Diff(want, column(exported(t, lead.get("/console/default/test/invites/export?format=csv&domain=customer.example")), "external_user_id")); diff != "" {
		t.Error(diff)
	}
	if n := s.count(`SELECT count(*) FROM invites`); n != 39 {
		t.Errorf("%d invites, want 4 that were made meanwhile", n)
	}
	if n := s.count(`SELECT count(*) FROM audit WHERE act = 'export_started'`); n != 1 {
		t.Errorf("%d entries of the start", n)
	}
}

func TestAClientThatLeavesEndsItsExport(t *testing.T) {
	t.Parallel()
	reading, ended := make(chan struct{}), make(chan struct{})
	r := &reads{hook: func(ctx context.Context, n int32) {
		if n == 3 { // the second batch
			close(reading)
			<-ctx.Done()
			close(ended)
		}
	}}
	s := newBatched(t, 35, r)
	lead := s.signedIn("lead", map[string]access.Role{"default": access.RoleLead})
	ctx, leave := context.WithCancel(t.Context())
	defer leave()
	resp := must[*http.Response](t)(lead.http.Do(must[*http.Request](t)(http.NewRequestWithContext(ctx, http.MethodGet, s.url+"/console/default/test/invites/export?format=csv", nil))))
	defer func() { _ = resp.Body.Close() }()
	<-reading
	if a := lead.get("/console/default/test/invites/export?format=csv"); a.StatusCode != http.StatusTooManyRequests || a.Header.Get("Retry-After") == "" || !strings.Contains(a.body, "one export at a time") {
		t.Errorf("a second export beside it: %d", a.StatusCode)
	}
	leave()
	<-ended
	waittest.Until(t, "the end is recorded", func() bool {
		return s.count(`SELECT count(*) FROM audit WHERE act = 'export' AND data @> '{"end": "interrupted", "rows": "10"}'`) == 1
	})
	if body, err := io.ReadAll(resp.Body); err == nil {
		t.Errorf("the client took %d bytes for the whole file", len(body))
	}
	if n := r.n.Load(); n != 3 {
		t.Errorf("%d reads, want none after the client left", n)
	}
}
