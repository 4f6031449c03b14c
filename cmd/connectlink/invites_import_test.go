package main_test

import (
	"bytes"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
)

func writeCSV(t *testing.T, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "people.csv")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// importAPI is a service with a key that may create and read invites.
func importAPI(t *testing.T) vars {
	t.Helper()
	v := deployment(t, "").with(vars{"CONNECTLINK_PUBLIC_URL": "http://127.0.0.1:1"})
	s := startServe(t, v)
	return vars{"CONNECTLINK_API_URL": s.url, "CONNECTLINK_API_KEY": newKey(t, v).text("api_key")}
}

// countByUser returns the number of invites of each user.
func countByUser(t *testing.T, api vars) map[string]int {
	t.Helper()
	count := map[string]int{}
	for cursor := ""; ; {
		page := parse(t, mustRun(t, api, "invites", "list", "--limit=100", "--cursor="+cursor))
		list, _ := page["data"].([]any)
		for _, item := range list {
			invite, _ := item.(map[string]any)
			count[object(invite).text("external_user_id")]++
		}
		if cursor = page.text("next_cursor"); cursor == "" {
			return count
		}
	}
}

// places are the faults of a report as "line column".
func places(report object, of string) []string {
	var out []string
	list, _ := report[of].([]any)
	for _, item := range list {
		fault, _ := item.(map[string]any)
		out = append(out, strings.TrimSpace(fmt.Sprintf("%v %s", fault["line"], object(fault).text("column"))))
	}
	return out
}

func TestImportNamesEveryFaultAndSendsNothing(t *testing.T) {
	t.Parallel()
	api := importAPI(t)
	text := "\ufeffexternal_user_id;app;channel;email;phone;name;expires_in;metadata.plan\r\n" +
		"user-1;slack;email;silent@connectlink.test;;Pat;;pro\r\n" +
		"user-2;slack;email;pat@gmial;;Pat;;pro\r\n" +
		"user-3;slack;email;silent@connectlink.test;;=1+1;;pro\r\n" +
		"user-4;slack;sms;;+1 202-555-0100;Pat;soon;-5\r\n" +
		"user-1;slack;email;silent@connectlink.test;;Sam;;pro\r\n" +
		"user-5;slack\r\n" +
		"user-1;slack;email;delivered@connectlink.test;;Pat;;pro\r\n" +
		";;;;;;;\r\n" +
		"user-6;slak;email;silent@connectlink.test;;\"Pat\nLee\";;\"two\n@lines\"\r\n" +
		"user-7;slack;email;silent@connectlink.test;;\"Pat;;pro\r\n"
	file := writeCSV(t, text)
	r := runCommand(t, api, "invites", "import", file, "--yes")
	r.want(t, 2, "7 faults; nothing was sent", "must be a whole number", "did you mean slack?", "formula", "has 2 cells, the header has 8", "not closed")
	r.hides(t, "gmial", "silent@")
	report := parse(t, r.stdout)
	if got, want := places(report, "faults"), []string{"3 email", "4 name", "5 expires_in", "6 external_user_id", "7", "10 app", "13"}; !slices.Equal(got, want) {
		t.Errorf("faults at %q, want %q", got, want)
	}
	if got := places(report, "warnings"); !slices.Equal(got, []string{"8 external_user_id"}) {
		t.Errorf("warnings at %q", got)
	}
	if got := countByUser(t, api); len(got) != 0 {
		t.Errorf("sent %v", got)
	}
	runCommand(t, api, "invites", "import", file, "--table").want(t, 2, "line 3, column email: ", "warning: line 8, column external_user_id")

	// A file without faults is validated and, without --yes, not sent either.
	good := writeCSV(t, "external_user_id\tname\nuser-1\tPat\n")
	runCommand(t, api, "invites", "import", good, "--app=slack", "--channel=link").want(t, 0, "Dry run", `"sent": false`)
	if got := countByUser(t, api); len(got) != 0 {
		t.Errorf("the dry run sent %v", got)
	}
	runCommand(t, api, "invites", "import", file, "--yes", "--skip-bad-rows").want(t, 0, `"created": 2`)
	if got := countByUser(t, api); len(got) != 1 || got["user-1"] != 2 {
		t.Errorf("of the rows without faults it sent %v", got)
	}
	runCommand(t, vars{"CONNECTLINK_API_URL": api["CONNECTLINK_API_URL"]}, "invites", "import", good, "--app=slack", "--channel=link").want(t, 3, "CONNECTLINK_API_KEY")
}

// TestAKilledImportCanBeRunAgain: the process dies when the service has stored a batch
// and its answer is on the way.
func TestAKilledImportCanBeRunAgain(t *testing.T) {
	t.Parallel()
	api := importAPI(t)
	target, err := url.Parse(api["CONNECTLINK_API_URL"])
	if err != nil {
		t.Fatal(err)
	}
	proxy := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(target) }}
	stored := make(chan int, 1)
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/v1/invites/batch" {
			proxy.ServeHTTP(w, r)
			return
		}
		lost := httptest.NewRecorder()
		proxy.ServeHTTP(lost, r)
		stored <- lost.Code
		<-r.Context().Done()
	}))
	t.Cleanup(front.Close)
	const rows = 103
	lines := make([]string, rows)
	for i := range lines {
		lines[i] = fmt.Sprintf("user-%d,Pat", i)
	}
	file := writeCSV(t, "external_user_id,name\n"+strings.Join(lines, "\n"))
	args := []string{"invites", "import", file, "--app=slack", "--channel=link", "--yes", "--json"}
	killed := start(t, api.with(vars{"CONNECTLINK_API_URL": front.URL}), args...)
	if status := <-stored; status != http.StatusOK {
		t.Fatalf("the batch was answered %d", status)
	}
	killed.signal(syscall.SIGKILL)
	killed.ends(-1)

	// Meanwhile the file was sorted and got one row more.
	slices.Reverse(lines)
	if err := os.WriteFile(file, []byte("name,external_user_id\nSam,user-new\n"+swapCells(lines)), 0o600); err != nil {
		t.Fatal(err)
	}
	results := filepath.Join(t.TempDir(), "results")
	report := parse(t, mustRun(t, api, append(args, "--results", results)...))
	if report["created"] != 4.0 || report["replayed"] != 100.0 || len(places(report, "failed")) != 0 {
		t.Errorf("the second run: %v", report)
	}
	count := countByUser(t, api)
	for user, n := range count {
		if n != 1 {
			t.Errorf("%s has %d invites", user, n)
		}
	}
	if len(count) != rows+1 {
		t.Errorf("%d users have an invite", len(count))
	}
	if raw, err := os.ReadFile(results); err != nil || bytes.Count(raw, []byte(`"invite_id":"inv_`)) != rows+1 {
		t.Errorf("the results: %v\n%s", err, last(string(raw)))
	}
	if err := os.WriteFile(file, []byte("name,external_user_id\nSam,user-new\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	runCommand(t, api, args...).want(t, 0, `"replayed": 1`)
	runCommand(t, api, append(args, "--import-id=next")...).want(t, 0, `"created": 1`)
}

func swapCells(lines []string) string {
	out := make([]string, len(lines))
	for i, line := range lines {
		user, name, _ := strings.Cut(line, ",")
		out[i] = name + "," + user
	}
	return strings.Join(out, "\n")
}

// TestImportWaitsAndReportsRowsThatFail: a batch that is refused for a while is sent
// again, and of its rows only those whose problem may pass.
func TestImportWaitsAndReportsRowsThatFail(t *testing.T) {
	t.Parallel()
	const passing = `{"code":"unavailable","detail":"Not now.","request_id":"req_1","retryable":true}`
	const final = `{"code":"recipient_suppressed","detail":"Suppressed.","request_id":"req_1","retryable":false}`
	s, api := startScripted(t, func(w http.ResponseWriter, n int) {
		switch n {
		case 1, 2, 3: // the dry run
			_, _ = fmt.Fprint(w, `{"object":"preview"}`)
		case 4:
			w.Header().Set("Retry-After", "1")
			down429(w)
		case 5:
			_, _ = fmt.Fprintf(w, `{"results":[{"index":0,"status":503,"problem":%s},{"index":1,"status":422,"problem":%s},{"index":2,"status":200,"invite":{"id":"inv_2"}}]}`, passing, final)
		default:
			_, _ = fmt.Fprint(w, `{"results":[{"index":0,"status":201,"invite":{"id":"inv_1"}}]}`)
		}
	})
	file := writeCSV(t, "external_user_id,app,channel\nu1,slack,link\nu2,slack,link\nu3,slack,link\n")
	r := runCommand(t, api, "invites", "import", file, "--yes", "--table")
	r.want(t, 1, "line 3: 422 recipient_suppressed: Suppressed.", "3 rows, 0 faults: 1 created, 0 created before, 1 existing, 1 failed", "1 of 3 rows failed", "429 rate_limited; trying again in 1 s")
	if len(s.asked().bodies) != 6 || s.asked().bodies[3] != s.asked().bodies[4] {
		t.Fatalf("asked %v", s.asked().paths)
	}
	if again := parse(t, s.asked().bodies[5]); strings.Count(s.asked().bodies[5], "idempotency_key") != 1 || !strings.Contains(s.asked().bodies[3], firstKey(t, again)) {
		t.Errorf("sent again: %s", s.asked().bodies[5])
	}
}

func firstKey(t *testing.T, batch object) string {
	t.Helper()
	items, _ := batch["invites"].([]any)
	item, _ := items[0].(map[string]any)
	key := object(item).text("idempotency_key")
	if key == "" {
		t.Fatalf("no key in %v", batch)
	}
	return key
}

func TestImportHasAColumnForEachFieldOfTheAPI(t *testing.T) {
	t.Parallel()
	s, api := startScripted(t, func(w http.ResponseWriter, _ int) { _, _ = fmt.Fprint(w, `{"object":"preview"}`) })
	file := writeCSV(t, "external_user_id,app,kind,account_id,oauth_app_id,channel,email,phone,recipient.name,locale,time_zone,sms_consent.source,sms_consent.obtained_at,"+
		"inviter.name,reason,note,initiated_by,return_url,fallback.channel,fallback.after,fallback.delay_s,reminders.count,link_type,expires_in,valid_for,"+
		"send_at,verify,if_active,if_connected,metadata.ticket,metadata.a/b\n"+
		"u,slack,reconnect,apn_1,oa_1,email,a@b.example,+12025550100,Pat,de,Europe/Berlin,form,2026-11-29T09:00:00Z,Sam,we can post,Hello,user,acme://x,sms,not_visited,0,0,"+
		"invite,60,600,2026-11-29T09:00:00Z,code,return,new,47;11,x\n")
	mustRun(t, api, "invites", "import", file)
	sent := parse(t, s.asked().bodies[0])
	setsEveryField(t, sent)
	if m, _ := sent["metadata"].(map[string]any); m["ticket"] != "47;11" || m["a/b"] != "x" {
		t.Errorf("metadata %v", sent["metadata"])
	}
	if sent["expires_in"] != 60.0 {
		t.Errorf("expires_in %v", sent["expires_in"])
	}
}

func TestImportRefusesFilesThatItCannotRead(t *testing.T) {
	t.Parallel()
	s, api := startScripted(t, func(w http.ResponseWriter, _ int) { w.WriteHeader(http.StatusInternalServerError) })
	const header = "external_user_id,app,channel\n"
	for name, c := range map[string]struct {
		text string
		says []string
	}{
		"UTF-16":                  {"\xff\xfee\x00x\x00", []string{"UTF-16", "CSV UTF-8"}},
		"Windows-1252":            {header + "u1,slack,link\nJos\xe9,slack,link\n", []string{"line 3, byte 4", "CSV UTF-8"}},
		"NUL":                     {header + "u\x001,slack,link\n", []string{"line 2, byte 2"}},
		"empty":                   {"", []string{"no header"}},
		"no rows":                 {header + ",,\n", []string{"no row"}},
		"every fault of a header": {"external_userid,app,Email,app,,metadata.\n", []string{`did you mean "external_user_id"?`, `did you mean "email"?`, `two columns are "app"`, "column 5 has no name", `"metadata."`, `the column "channel" is missing`}},
		"another separator":       {"external_user_id|app|channel\nu1|slack|link\n", []string{"there is no column"}},
	} {
		t.Run(name, func(t *testing.T) {
			r := runCommand(t, api, "invites", "import", writeCSV(t, c.text), "--yes")
			r.want(t, 2, c.says...)
			if r.stdout != "" {
				t.Errorf("printed %s", r.stdout)
			}
		})
	}
	runCommand(t, api, "invites", "import", filepath.Join(t.TempDir(), "none.csv")).want(t, 2, "none.csv")
	if len(s.asked().paths) != 0 {
		t.Errorf("asked %v", s.asked().paths)
	}
}
