package app_test

import (
	"bufio"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

var appEnv = map[string]string{"CONNECTLINK_RETURN_URLS": "acme://,https://acme.example/back"}

// phone is a product's own app with its token.
type phone struct {
	*product
	token string
	etag  string
}

// handOver makes a client token for an invite.
func (p *product) handOver(id string) *phone {
	p.t.Helper()
	status, _, out := p.call(http.MethodPost, "/v1/invites/"+id+"/client_token", nil)
	if status != http.StatusCreated {
		p.t.Fatalf("client token: %d %v", status, out)
	}
	return &phone{product: p, token: out.text("token")}
}

// send makes a request as the app does; nothing follows redirects.
func (a *phone) send(method, target string, form url.Values, headers ...string) (*http.Response, string) {
	a.t.Helper()
	if strings.HasPrefix(target, "/") {
		target = a.base + target
	}
	req, err := http.NewRequestWithContext(a.t.Context(), method, target, strings.NewReader(form.Encode()))
	if err != nil {
		a.t.Fatal(err)
	}
	if form != nil {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	resp, err := a.http.Transport.RoundTrip(req)
	if err != nil {
		a.t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		a.t.Fatal(err)
	}
	return resp, string(raw)
}

// follow waits until the invite has a status, as the documentation says, and
// returns when the answer came.
func (a *phone) follow(status string) time.Time {
	a.t.Helper()
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); {
		headers := []string{"Authorization", "Bearer " + a.token, "Prefer", "wait=25"}
		if a.etag != "" {
			headers = append(headers, "If-None-Match", a.etag)
		}
		resp, body := a.send(http.MethodGet, "/v1/client/invite", nil, headers...)
		switch resp.StatusCode {
		case http.StatusOK:
			a.etag = resp.Header.Get("ETag")
			if strings.Contains(body, `"status":"`+status+`"`) {
				return time.Now()
			}
		case http.StatusNotModified:
		default:
			a.t.Fatalf("%d %s", resp.StatusCode, body)
		}
	}
	a.t.Fatalf("never %s", status)
	return time.Time{}
}

// TestStatusReachesAWaitingAppWithinASecond, whichever process learns of it
// and whichever the app waits at.
func TestStatusReachesAWaitingAppWithinASecond(t *testing.T) {
	t.Parallel()
	keyset := newKeyset(t)
	first := start(t, boot{keyset: keyset})
	second := start(t, boot{db: first.db, keyset: keyset, env: map[string]string{"CONNECTLINK_PUBLIC_URL": first.base, "CONNECTLINK_ROLE": "api"}})
	second.key = first.key
	first.http.Transport, second.http.Transport = &http.Transport{}, &http.Transport{}
	for name, at := range map[string]*product{"the same process": first, "another process": second} {
		made := first.invite(http.StatusCreated, to("delivered+connect@connectlink.test"))
		came := at.handOver(made.text("id")).follow("connected")
		conn, err := pgx.Connect(t.Context(), first.db)
		if err != nil {
			t.Fatal(err)
		}
		var committed time.Time
		// The time of the transaction's begin, which is before its commit.
		err = conn.QueryRow(t.Context(), `SELECT created_at FROM events WHERE type = 'connected' ORDER BY created_at DESC LIMIT 1`).Scan(&committed)
		_ = conn.Close(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("%s: %s", name, came.Sub(committed))
		if late := came.Sub(committed); late > time.Second {
			t.Errorf("%s: the app heard of it %s later", name, late)
		}
	}
}

// TestAnAppConnectsAndReturnsByItsOwnScheme goes the app's whole way.
func TestAnAppConnectsAndReturnsByItsOwnScheme(t *testing.T) {
	t.Parallel()
	p := start(t, boot{env: appEnv})
	p.http.Transport = &http.Transport{}
	made := p.invite(http.StatusCreated, object{"external_user_id": "user-1", "app": "slack", "channel": "link", "return_url": "acme://connected?from=app"})
	id := made.text("id")
	a := p.handOver(id)
	resp, body := a.send(http.MethodPost, "/v1/client/invite/open", nil, "Authorization", "Bearer "+a.token)
	link := strings.TrimSuffix(strings.TrimPrefix(strings.TrimSpace(body), `{"url":"`), `"}`)
	u, err := url.Parse(link)
	if err != nil || resp.StatusCode != http.StatusOK || u.Query().Get("token") == "" {
		t.Fatalf("open: %d", resp.StatusCode)
	}
	q := u.Query()
	u.RawQuery = ""
	resp, _ = a.send(http.MethodPost, u.String(), url.Values{"token": q["token"], "app": q["app"], "do": {"connect"}})
	done := resp.Header.Get("Location")
	if !strings.Contains(done, "/done/") {
		t.Fatalf("Pipedream's page sends the person to %q (%d)", done, resp.StatusCode)
	}
	a.follow("connected")
	resp, body = a.send(http.MethodGet, done, nil)
	want := `href="acme://connected?from=app&amp;invite=` + id + `&amp;status=connected"`
	if resp.StatusCode != http.StatusOK || !strings.Contains(body, want) {
		t.Errorf("%d, the way back is on the page: %t", resp.StatusCode, strings.Contains(body, want))
	}
	if resp, _ := a.send(http.MethodPost, "/v1/client/invite/open", nil, "Authorization", "Bearer "+a.token); resp.StatusCode != http.StatusConflict {
		t.Errorf("a link for a connected account: %d", resp.StatusCode)
	}
	if strings.Contains(p.logs.String(), a.token) || strings.Contains(dump(t, p.db), a.token) || strings.Contains(p.logs.String(), q.Get("token")) {
		t.Error("a token stands in the log or the database")
	}
}

// TestAReturnIsAHintNeverProof: a request of the return address changes
// nothing.
func TestAReturnIsAHintNeverProof(t *testing.T) {
	t.Parallel()
	p := start(t, boot{env: appEnv})
	p.http.Transport = &http.Transport{}
	made := p.invite(http.StatusCreated, object{"external_user_id": "user-1", "app": "slack", "channel": "link", "return_url": "acme://connected"})
	a := p.handOver(made.text("id"))
	code := made.text("invite_link.url")[strings.LastIndex(made.text("invite_link.url"), "/")+1:]
	a.send(http.MethodGet, "/done/"+code+"?outcome=success&status=connected", nil)
	_, body := a.send(http.MethodGet, "/v1/client/invite", nil, "Authorization", "Bearer "+a.token)
	if !strings.Contains(body, `"status":"active"`) || !strings.Contains(body, `"connection":null`) {
		t.Errorf("after a made-up return: %s", body)
	}
	for name, bad := range map[string]string{
		"another app's scheme": "evil://connected", "another host": "https://evil.example/back", "another path": "https://acme.example/elsewhere",
		"a script": "javascript:alert(1)", "plain http": "http://acme.example/back", "a name in front": "https://acme.example@evil.example/back", "no address": "connected",
	} {
		status, _, out := p.call(http.MethodPost, "/v1/invites", object{"external_user_id": "u", "app": "slack", "channel": "link", "return_url": bad})
		if status != http.StatusUnprocessableEntity {
			t.Errorf("%s: %d %v", name, status, out)
		}
	}
}

// TestManyAppsWait: 2,000 waiting apps cost memory, not answers: the API stays
// quick beside them, and each hears of its own invite within a second.
//
// It has the machine to itself: it measures, and it would slow down what others wait for.
func TestManyAppsWait(t *testing.T) { //nolint:paralleltest // see above
	const waiting, invites, changed = 2000, 100, 5
	p := start(t, boot{})
	p.http.Transport = &http.Transport{MaxIdleConnsPerHost: waiting}
	apps := make([]*phone, invites)
	ids := make([]string, invites)
	for i := range apps {
		ids[i] = p.invite(http.StatusCreated, object{"external_user_id": "user-" + string(rune('a'+i%26)) + string(rune('a'+i/26)), "app": "slack", "channel": "link"}).text("id")
		apps[i] = p.handOver(ids[i])
	}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	heard := make(chan int, waiting) // the invite, by each app that hears of its end
	gate := make(chan struct{}, 8)   // apps come one after another, not all in one instant
	ask := func(a *phone, tag string) *http.Response {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, p.base+"/v1/client/invite", nil)
		if err != nil {
			t.Error(err)
			return nil
		}
		req.Header.Set("Authorization", "Bearer "+a.token)
		if tag != "" {
			req.Header.Set("If-None-Match", tag)
			req.Header.Set("Prefer", "wait=25")
		}
		resp, err := p.http.Transport.RoundTrip(req)
		if err != nil {
			if ctx.Err() == nil {
				t.Errorf("an app was hung up on: %v", err)
			}
			return nil
		}
		_, _ = io.Copy(io.Discard, resp.Body)
		_ = resp.Body.Close()
		return resp
	}
	var all sync.WaitGroup
	for n := range waiting {
		all.Go(func() {
			a := apps[n%invites]
			gate <- struct{}{}
			resp := ask(a, "")
			<-gate
			tag := ""
			for resp != nil {
				if t := resp.Header.Get("ETag"); t != "" {
					tag = t
				}
				knew := tag
				if resp = ask(a, tag); resp == nil {
					return
				}
				if resp.StatusCode == http.StatusServiceUnavailable { // for a moment; apps come again
					time.Sleep(time.Second)
					continue
				}
				if resp.StatusCode == http.StatusOK {
					if knew == "" {
						continue
					}
					heard <- n % invites
					return
				}
				if resp.StatusCode != http.StatusNotModified || resp.Header.Get("Preference-Applied") == "" {
					t.Errorf("an app got %d without waiting", resp.StatusCode)
					return
				}
			}
		})
	}
	deadline := time.Now().Add(patience)
	n := p.waiting()
	for ; n < waiting && time.Now().Before(deadline); n = p.waiting() {
		time.Sleep(50 * time.Millisecond)
	}
	if n < waiting { // asked once: those whose wait ends and begins again come and go
		t.Fatalf("only %d wait", n)
	}
	begun := time.Now()
	for range 20 {
		if status, _, out := p.call(http.MethodGet, "/v1/invites/"+ids[0], nil); status != http.StatusOK {
			t.Errorf("a read beside them: %d %v", status, out)
		}
	}
	t.Logf("%d wait; a read beside them takes %s", p.waiting(), time.Since(begun)/20)
	for i := range changed {
		begun = time.Now()
		p.call(http.MethodPost, "/v1/invites/"+ids[i]+"/revoke", nil)
		for n := range waiting / invites {
			select {
			case got := <-heard:
				if got != i {
					t.Errorf("who waits for invite %d heard of the end of %d", got, i)
				}
			case <-time.After(patience):
				t.Fatalf("only %d heard", n)
			}
		}
		t.Logf("all %d heard after %s, the revoking included", waiting/invites, time.Since(begun))
	}
	stop()
	all.Wait()
}

// waiting reads how many wait, from the metrics.
func (p *product) waiting() int {
	p.t.Helper()
	resp, err := p.http.Get(p.base + "/metrics")
	if err != nil {
		p.t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	for lines := bufio.NewScanner(resp.Body); lines.Scan(); {
		if n, ok := strings.CutPrefix(lines.Text(), "connectlink_waiting_requests "); ok {
			var v int
			for _, r := range n {
				if r < '0' || r > '9' {
					break
				}
				v = v*10 + int(r-'0')
			}
			return v
		}
	}
	return 0
}

// TestMobileDocumentation makes the calls that docs/mobile shows, in their
// order, and holds the code shown to them.
func TestMobileDocumentation(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("../../docs/mobile/*.md")
	if err != nil || len(files) != 5 {
		t.Fatalf("%v %v", files, err)
	}
	p := start(t, boot{env: appEnv})
	p.http.Transport = &http.Transport{}
	blocks := regexp.MustCompile("(?s)```([a-z]+)\n(.*?)```")
	for _, file := range files {
		raw, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		name, values, shown := filepath.Base(file), map[string]string{"{key}": p.key}, map[string]bool{}
		var code strings.Builder
		calls := 0
		for _, block := range blocks.FindAllStringSubmatch(string(raw), -1) {
			if block[1] != "http" {
				code.WriteString(block[2])
				continue
			}
			calls++
			head, body, _ := strings.Cut(block[2], "\n\n")
			lines := strings.Split(strings.TrimSpace(head), "\n")
			request, want, ok := strings.Cut(lines[0], " → ")
			method, path, _ := strings.Cut(request, " ")
			if !ok {
				t.Fatalf("%s: %q does not say what the answer is", name, lines[0])
			}
			shown[path] = true
			fill := func(s string) string {
				for k, v := range values {
					s = strings.ReplaceAll(s, k, v)
				}
				return s
			}
			req := httptest.NewRequest(method, p.base+fill(path), strings.NewReader(body))
			req.RequestURI = ""
			for _, line := range lines[1:] {
				k, v, _ := strings.Cut(line, ": ")
				req.Header.Set(k, fill(v))
				if method == http.MethodGet && !strings.Contains(strings.ToLower(string(raw)), strings.ToLower(k)) {
					t.Errorf("%s: the code sends no %s", name, k)
				}
			}
			resp, err := p.http.Do(req.WithContext(t.Context()))
			if err != nil {
				t.Fatal(err)
			}
			answer, _ := io.ReadAll(resp.Body)
			_ = resp.Body.Close()
			if got := strings.Fields(resp.Status)[0]; got != want {
				t.Fatalf("%s: %s: %s %s, want %s", name, lines[0], got, answer, want)
			}
			for placeholder, member := range map[string]string{"{invite}": "id", "{token}": "token"} {
				if m := regexp.MustCompile(`"` + member + `":"([^"]+)"`).FindStringSubmatch(string(answer)); m != nil && values[placeholder] == "" {
					values[placeholder] = m[1]
				}
			}
			if tag := resp.Header.Get("ETag"); tag != "" {
				values["{etag}"] = tag
			}
		}
		if calls != 5 {
			t.Errorf("%s: %d calls shown, want 5", name, calls)
		}
		used := regexp.MustCompile(`/v1/[a-z_/]+`).FindAllString(code.String(), -1)
		slices.Sort(used)
		if used = slices.Compact(used); !slices.Equal(used, []string{"/v1/client/invite", "/v1/client/invite/open"}) {
			t.Errorf("%s: the code calls %v", name, used)
		}
		for _, path := range used {
			if !shown[path] {
				t.Errorf("%s: the code calls %s, which is not among the calls", name, path)
			}
		}
		for _, header := range []string{"If-None-Match", "Prefer", "wait=25", "Authorization", "ETag", "Preference-Applied"} {
			if !strings.Contains(strings.ToLower(code.String()), strings.ToLower(header)) {
				t.Errorf("%s: the code lacks %s", name, header)
			}
		}
	}
}
