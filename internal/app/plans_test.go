package app_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/connectlink/connectlink/deploy/devpg"
	"github.com/connectlink/connectlink/internal/access"
	"github.com/connectlink/connectlink/internal/longtest"
	"github.com/connectlink/connectlink/internal/postgres"
	"github.com/connectlink/connectlink/internal/waittest"
)

// tableState is what the planner believes of the tables, and their rows.
type tableState struct {
	name      string
	before    string // run while the tables are empty
	rows, due int    // invites, and how many of their deliveries are due
	after     string // run once they are filled
}

// Autovacuum analyses a table when it pleases: while a queue was empty, or was full,
// or not yet. What a process then does goes by its keys all the same: no statement
// of a whole run, from requests to periodic work, reads a table that grows, or walks a
// queue. The server itself tells the plan of each statement as it ran.
func TestPlansDoNotDependOnStatistics(t *testing.T) {
	t.Parallel()
	n := 6000
	if longtest.Wanted() {
		n = 15_000
	}
	dir, err := os.MkdirTemp("", "connectlink-plans-") // the server's own user walks to it, which it may not to t.TempDir
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil { //nolint:gosec // see above
		t.Fatal(err)
	}
	server, err := devpg.Start(t.Context(), devpg.Params{
		Dir: filepath.Join(dir, "pg"), Elsewhere: filepath.Join(dir, "root"), NoSync: true,
		Settings: map[string]string{"fsync": "off", "autovacuum": "off", "shared_preload_libraries": "auto_explain", "max_connections": "100"},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Stop(context.WithoutCancel(t.Context())) })
	states := []tableState{
		{name: "never analysed", rows: n, due: n / 2},
		{name: "analysed when empty, then many due", before: "VACUUM ANALYZE", rows: n, due: n / 2},
		{name: "analysed when full, then empty", rows: n, due: n / 2, after: "VACUUM ANALYZE; UPDATE deliveries SET next_at = NULL, status = 'delivered' WHERE next_at IS NOT NULL"},
		{name: "many finished, some due", rows: n, due: 100, after: "VACUUM ANALYZE"},
	}
	if !longtest.Wanted() {
		states = states[:2]
	}
	for _, s := range states {
		t.Run(s.name, func(t *testing.T) { observePlans(t, server, s) })
	}
}

// observePlans plays journeys on a database in this state and judges every plan.
func observePlans(t *testing.T, server *devpg.Server, s tableState) {
	name := strings.NewReplacer(" ", "_", ",", "").Replace(s.name)
	database := strings.Replace(server.URL(), "/postgres?", "/"+name+"?", 1)
	admin(t, server.URL(), fmt.Sprintf(`CREATE DATABASE %s`, name))
	if err := postgres.Migrate(t.Context(), database, slog.New(slog.DiscardHandler)); err != nil {
		t.Fatal(err)
	}
	if s.before != "" {
		admin(t, database, s.before)
	}
	// The rows belong to live mode, whose sending is paused: they stay as they are.
	fillLive := strings.NewReplacer("'default', false", "'default', true", "default/email/test", "default/email/live", "300", fmt.Sprint(s.due)).Replace(fill)
	admin(t, database, fmt.Sprintf(fillLive, s.rows))
	admin(t, database, fillDeadEndpoint)
	admin(t, database, fillBulk)
	admin(t, database, `UPDATE lanes SET held_at = now(), held_by = 'test', held_why = 'maintenance'`)
	for _, statement := range strings.Split(s.after, ";") {
		if strings.TrimSpace(statement) != "" {
			admin(t, database, statement)
		}
	}
	for _, set := range []string{"log_min_duration = 0", "log_analyze = on", "log_timing = off", "log_format = json", "log_nested_statements = on"} {
		admin(t, database, fmt.Sprintf(`ALTER DATABASE %s SET auto_explain.%s`, name, set))
	}

	logFile := filepath.Join(server.Home(), "postgres.log")
	from := size(t, logFile)
	p := start(t, boot{db: database, env: map[string]string{"CONNECTLINK_WATCH_CONNECTIONS": "daily", "CONNECTLINK_ON_UNHEALTHY": "invite"}})
	playAll(p)
	judged := map[string]bool{}
	waittest.Until(t, "the periodic work has run", func() bool {
		return p.count(`SELECT count(DISTINCT kind) FROM river.river_job WHERE state = 'completed' AND queue = 'periodic'`) >= 11
	})
	waittest.Until(t, "each statement of River has run", func() bool {
		plans := readPlans(t, logFile, from)
		return !slices.ContainsFunc(riverStatements(), func(name string) bool {
			return !slices.ContainsFunc(plans, func(pl plan) bool { return strings.Contains(pl.Query, "-- name: "+name+" ") })
		})
	})
	worst := map[string]string{}
	for _, pl := range readPlans(t, logFile, from) {
		judged[pl.Query] = true
		for table, read := range pl.Plan.walked(false) {
			if read > float64(s.rows)/4 && read > 3*pl.Plan.asked() {
				worst[pl.Query] = fmt.Sprintf("%.0f rows of %s", read, table)
			}
		}
	}
	if len(judged) < 100 {
		t.Fatalf("the server told the plans of %d statements; a run has more", len(judged))
	}
	for query, read := range worst {
		t.Errorf("reads %s, of %d invites with %d due:\n%s", read, s.rows, s.due, query)
	}
	t.Logf("%d statements", len(judged))
}

// fillDeadEndpoint queues every event for an endpoint that takes none. Its content
// cannot be opened, so no post is made.
const fillDeadEndpoint = `
INSERT INTO webhook_endpoints (id, project_id, livemode, types, content)
VALUES ('01930000-0000-7000-8000-000000000001', 'default', true, '{}', '\x5a');
INSERT INTO webhook_deliveries (endpoint_id, event_id, next_at) SELECT w.id, e.id, now() FROM webhook_endpoints w, public_events e;
INSERT INTO webhook_attempts (id, endpoint_id, event_id, number, status, failure, took_ms, created_at)
SELECT e.id, w.id, e.id, 1, 503, '', 15, e.created_at FROM webhook_endpoints w, public_events e;`

// fillBulk makes an old action on all of the invites.
const fillBulk = `
INSERT INTO bulk_acts (project_id, livemode, id, staff_id, act, selection, state, items, emails, texts, cost, ended_at)
VALUES ('default', true, '01930000-0000-7000-8000-000000000002', '01930000-0000-7000-8000-000000000003', 'resend', 'all', 'finished', 1, 1, 0, 0, now());
INSERT INTO bulk_items (project_id, livemode, bulk_id, number, id, invite_id, state, over_at)
SELECT 'default', true, '01930000-0000-7000-8000-000000000002', row_number() OVER (), id, id, 'done', now() FROM invites;`

// riverStatements are the names, in River's own comments, of its statements over
// river_job: of the workers, and of the maintenance that the elected leader does.
func riverStatements() []string {
	return []string{
		"JobInsertFastMany", "JobGetAvailable", "JobSetStateIfRunningMany", // insert, fetch, complete
		"JobSchedule", "JobGetStuck", "JobDeleteBefore", // scheduler, rescuer, cleaner
	}
}

// playAll makes each part of a process work at least once.
func playAll(p *product) {
	p.t.Helper()
	var ids []string
	for _, body := range []object{
		to("delivered+connect@connectlink.test"), to("bounced@connectlink.test"), to("delivered+deny@connectlink.test"), to("silent@connectlink.test"),
		with(to("delivered+connect@connectlink.test"), "verify", "code"), toPhone("+12025550111"), toPhone("+15005550004"), toPhone("+12025550110"),
		with(to("delivered+visit@connectlink.test"), "reminders", object{"count": 1}),
	} {
		body["external_user_id"] = fmt.Sprintf("user of plans %d", len(ids))
		ids = append(ids, p.invite(http.StatusCreated, body).text("id"))
	}
	p.until(ids[0], "connected", func(inv object) bool { return inv.text("status") == "connected" })
	p.until(ids[4], "connected with a code", func(inv object) bool { return inv.text("status") == "connected" })
	p.until(ids[1], "bounced", func(inv object) bool { return inv.text("status") == "failed" })
	p.until(ids[3], "without a report", func(inv object) bool { return inv.text("delivery.reason.code") == "no_receipt" })
	for _, path := range []string{
		"/v1/invites?limit=25", "/v1/invites?external_user_id=user+of+plans+1", "/v1/invites?recipient=delivered@connectlink.test", "/v1/invites?status=failed",
		"/v1/suppressions", "/v1/invites/" + ids[0] + "/events",
	} {
		if status, _, out := p.call(http.MethodGet, path, nil); status != http.StatusOK && status != http.StatusForbidden {
			p.t.Errorf("%s: %d %v", path, status, out)
		}
	}
	hooks := p.scoped(access.Webhooks)
	receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) }))
	p.t.Cleanup(receiver.Close)
	_, _, endpoint := hooks.call(http.MethodPost, "/v1/webhook_endpoints", object{"url": receiver.URL})
	whe := "/v1/webhook_endpoints/" + endpoint.text("id")
	hooks.call(http.MethodPost, whe+"/recover", object{"since": "2020-01-01T00:00:00Z"})
	for _, path := range []string{"/v1/webhook_endpoints", whe, whe + "/attempts"} {
		if status, _, out := hooks.call(http.MethodGet, path, nil); status != http.StatusOK {
			p.t.Errorf("%s: %d %v", path, status, out)
		}
	}
	for _, query := range []string{"", "?types=invite.connected", "?invite=" + ids[0], "?external_user_id=user+of+plans+1", "?created[gte]=2020-01-01&created[lt]=2100-01-01"} {
		if status, _, out := hooks.call(http.MethodGet, "/v1/events"+query, nil); status != http.StatusOK {
			p.t.Errorf("/v1/events%s: %d %v", query, status, out)
		}
	}
	p.call(http.MethodPost, "/v1/invites/"+ids[8]+"/resend", object{})
	if status, _, out := p.call(http.MethodPost, "/v1/test_helpers/invites/"+ids[4]+"/advance", object{"to": "deleted"}); status != http.StatusOK {
		p.t.Errorf("advance: %d %v", status, out)
	}
	if status, _, out := p.call(http.MethodPost, "/v1/invites/"+ids[0]+"/reconnect", object{"if_active": "return"}); status != http.StatusCreated {
		p.t.Errorf("reconnect: %d %v", status, out)
	}
	p.call(http.MethodPost, "/v1/invites/"+ids[2]+"/revoke", object{})
	v := p.staff(access.RoleAdmin)
	for _, mode := range []string{"test", "live"} {
		for _, path := range []string{"/home", "/invites", "/invites?status=failed", "/search?q=user-7", "/search?q=pat@customer.example", "/blocks", "/audit", "/system", "/keys", "/team"} {
			v.do(http.MethodGet, "/console/default/"+mode+path, "")
		}
	}
	for _, path := range []string{"/invites/" + ids[0], "/people/" + ids[0], "/invites/" + ids[1] + "/saw", "/invites/" + ids[1] + "/resend"} {
		v.do(http.MethodGet, "/console/default/test"+path, "")
	}
	// Actions on many invites: a file of corrections names them by address, user and id.
	const desk = "/console/default/test"
	file := "bounced@connectlink.test,bounced+2@connectlink.test\n" + ids[3] + ",delivered+3@connectlink.test\n"
	for _, form := range [][2]string{{"/bulk/correct", "text=" + url.QueryEscape(file)}, {"/bulk", "act=revoke&scope=all"}} {
		_, at, _ := v.do(http.MethodPost, desk+form[0], form[1])
		v.do(http.MethodPost, at+"/confirm", "")
		v.do(http.MethodGet, at+"?state=done", "")
		v.do(http.MethodGet, at+"/export?format=csv", "")
	}
	waittest.Until(p.t, "the actions on many invites are over", func() bool {
		return p.count(`SELECT count(*) FROM bulk_acts WHERE state = 'finished' AND confirmed_at IS NOT NULL`) == 2
	})
	v.do(http.MethodGet, desk+"/bulk", "")
	v.do(http.MethodPost, desk+"/views?status=failed", "name=failed")
	v.do(http.MethodGet, desk+"/invites/"+ids[3], "")
	admin := p.scoped(access.Admin)
	admin.call(http.MethodPost, "/v1/privacy/export", object{"external_user_id": "user of plans 0"})
	admin.call(http.MethodPost, "/v1/privacy/erase", object{"external_user_id": "user of plans 0"})
}

func admin(t *testing.T, url, sql string) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(context.WithoutCancel(t.Context())) }()
	if _, err := conn.PgConn().Exec(t.Context(), sql).ReadAll(); err != nil {
		t.Fatal(err)
	}
}

func size(t *testing.T, file string) int64 {
	t.Helper()
	info, err := os.Stat(file)
	if err != nil {
		t.Fatal(err)
	}
	return info.Size()
}

// readPlans reads what auto_explain wrote to the server's log since a place in it.
func readPlans(t *testing.T, file string, from int64) []plan {
	t.Helper()
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var out []plan
	for _, entry := range strings.Split(string(raw[from:]), "plan:\n")[1:] {
		var text strings.Builder
		for line := range strings.Lines(entry) {
			if !strings.HasPrefix(line, "\t") {
				break
			}
			text.WriteString(line)
		}
		var pl plan
		if json.Unmarshal([]byte(text.String()), &pl) == nil {
			out = append(out, pl)
		}
	}
	return out
}

// grow are the tables with rows for each invite.
func grow() []string {
	return []string{
		"invites", "connect_links", "deliveries", "attempts", "codes", "events", "search_terms", "idempotency", "callbacks", "unmatched",
		"client_tokens", "connections", "redactions", "suppressions", "seen", "river_job", "public_events", "webhook_deliveries", "webhook_attempts",
	}
}

// walked is how many rows of each table that grows a plan read. Rows that a LIMIT
// asked for are its result, unless they were read to be dropped or to be sorted first;
// so are those that a batch names by their place (a Tid Scan).
func (n planNode) walked(limited bool) map[string]float64 {
	out := map[string]float64{}
	limited = n.Type == "Limit" || limited && n.Type != "Sort"
	if slices.Contains(grow(), n.Relation) && n.Type != "ModifyTable" && n.Type != "Tid Scan" {
		read := n.Removed + n.Rechecked
		if !limited {
			read += n.Rows
		}
		out[n.Relation] = read * n.Loops
	}
	for _, c := range n.Plans {
		for table, rows := range c.walked(limited) {
			out[table] = max(out[table], rows)
		}
	}
	return out
}

// asked is how many rows a statement is about: those that it returns, or changes.
func (n planNode) asked() float64 {
	if n.Type == "ModifyTable" && len(n.Plans) > 0 {
		return n.Plans[0].asked()
	}
	return n.Rows
}
