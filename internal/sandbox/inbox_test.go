package sandbox_test

import (
	"fmt"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/connectlink/connectlink/internal/sandbox"
)

func (w *world) page(path string) answer {
	w.t.Helper()
	return w.call("GET", w.pages.URL+"/sandbox"+path, nil)
}

func (w *world) newest() sandbox.Message {
	w.t.Helper()
	list, err := w.Messages(w.t.Context(), sandbox.MessageFilter{Limit: 1})
	if err != nil || len(list) != 1 {
		w.t.Fatalf("newest message: %v, %v", list, err)
	}
	return list[0]
}

func TestInboxShowsWhatItsReaderSees(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const nasty = `<script>alert(1)</script>`
	w.mail("pat@customer.example", nasty+" https://go.example/c/abc", func(m map[string]any) { m["subject"] = "Hello " + nasty })
	mail := w.newest()
	w.text("+12025550100", "Connect: https://go.example/c/"+strings.Repeat("x", 150))
	sms := w.newest()

	list := string(w.page("/inbox").Body)
	if strings.Index(list, "+12025550100") > strings.Index(list, "pat@customer.example") {
		t.Error("the list is not newest first")
	}
	for path, want := range map[string][]string{
		"/inbox": {"/sandbox/inbox/" + mail.ID, "Accepted"},
		"/inbox?to=PAT%40customer.example&channel=email": {mail.ID},
		"/inbox?to=nobody%40customer.example":            {"Nothing here"},
		"/inbox?before=msg_nonsense":                     {"Nothing here"},
		"/inbox?live=1":                                  {"Stop refreshing"},
		"/inbox/" + mail.ID:                              {`src="/sandbox/inbox/` + mail.ID + `/html"`, `sandbox="allow-popups`, "pat@customer.example", "inv_1", "https://go.example/c/abc"},
		"/inbox/" + mail.ID + "?view=text":               {"&lt;script&gt;"},
		"/inbox/" + mail.ID + "?view=source":             {"&lt;p&gt;&lt;script&gt;"},
		"/inbox/" + sms.ID:                               {"2 segments", "180 GSM-7 units", "SM" + sms.ID[4:]},
	} {
		a := w.page(path)
		body := string(a.Body)
		for _, s := range want {
			if a.Status != 200 || !strings.Contains(body, s) {
				t.Errorf("%s (%d) lacks %q", path, a.Status, s)
			}
		}
		if strings.Contains(body, nasty) || strings.Contains(body, "<script") {
			t.Errorf("%s holds a script", path)
		}
		if csp := a.Header.Get("Content-Security-Policy"); !strings.Contains(csp, "default-src 'none'") || strings.Contains(csp, "unsafe") {
			t.Errorf("%s: CSP %q", path, csp)
		}
		if got := regexp.MustCompile(`(?:src|href)="(https?://[^"]+|//[^"]+)"`).FindAllStringSubmatch(body, -1); len(got) > 0 {
			for _, g := range got {
				if !strings.HasPrefix(g[1], "https://go.example/") { // the message's own link
					t.Errorf("%s refers to %s", path, g[1])
				}
			}
		}
	}
	if excluded := string(w.page("/inbox?channel=email").Body); strings.Contains(excluded, sms.ID) {
		t.Error("the channel filter lets texts through")
	}
	for _, path := range []string{"/inbox/msg_nonsense", "/inbox/" + sms.ID + "/html", "/inbox/msg_" + strings.Repeat("0", 32)} {
		if a := w.page(path); a.Status != 404 {
			t.Errorf("%s: %d", path, a.Status)
		}
	}
}

func TestMailFrameCanDoNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.mail("pat@customer.example", "x", func(m map[string]any) {
		m["content"].([]any)[1].(map[string]any)["value"] = `<html><HEAD><title>t</title></HEAD><body><a href="https://go.example">x</a></body></html>`
	})
	a := w.page("/inbox/" + w.newest().ID + "/html")
	csp := a.Header.Get("Content-Security-Policy")
	for _, want := range []string{"sandbox allow-popups", "default-src 'none'", "img-src data:", "frame-ancestors 'self'"} {
		if !strings.Contains(csp, want) {
			t.Errorf("CSP %q lacks %q", csp, want)
		}
	}
	if strings.Contains(csp, "allow-scripts") || strings.Contains(csp, "allow-same-origin") || strings.Contains(csp, "https:") {
		t.Errorf("CSP %q allows too much", csp)
	}
	if !strings.Contains(string(a.Body), `<HEAD><base target="_blank"><title>`) {
		t.Errorf("links would open inside the frame: %s", a.Body)
	}
}

func TestInboxPages(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	if body := string(w.page("/inbox").Body); !strings.Contains(body, "No messages yet") {
		t.Error("the empty inbox does not say how to begin")
	}
	for i := range 30 {
		w.mail(fmt.Sprintf("p%d@customer.example", i), "x")
	}
	seen := map[string]bool{}
	row := regexp.MustCompile(`href="/sandbox/inbox/(msg_[0-9a-f]+)"`)
	older := regexp.MustCompile(`href="/sandbox/inbox\?([^"]+)">Older`)
	query, pages := "", 0
	for more := true; more && pages < 5; pages++ {
		body := string(w.page("/inbox?" + query).Body)
		for _, m := range row.FindAllStringSubmatch(body, -1) {
			seen[m[1]] = true
		}
		next := older.FindStringSubmatch(body)
		if more = next != nil; more {
			query = strings.ReplaceAll(next[1], "&amp;", "&")
		}
	}
	if len(seen) != 30 || pages != 2 {
		t.Errorf("%d messages on %d pages", len(seen), pages)
	}
}

func TestInboxTellsTheStory(t *testing.T) {
	t.Parallel()
	w := newWorld(t).run()
	w.serveLinkPage(w.connectLink("u", "slack", nil))
	w.mail("delivered+connect@connectlink.test", "Open "+w.product.URL+"/c/abc")
	w.settled()
	body := string(w.page("/inbox/" + w.newest().ID).Body)
	last := 0
	for _, want := range []string{"processed", "reported to the product", "delivered</span>", "visited", "continued", "opened the connect page", "pressed connect"} {
		at := strings.Index(body, want)
		if at < last {
			t.Fatalf("the story lacks %q, or tells it too early", want)
		}
		last = at
	}
	w.text("+12025550100", "secret")
	w.settled()
	sid := "SM" + w.newest().ID[4:]
	w.call("POST", w.twilioURL("/Messages/"+sid+".json"), strings.NewReader(url.Values{"Body": {""}}.Encode()),
		"Authorization", w.basic(), "Content-Type", "application/x-www-form-urlencoded")
	if body := string(w.page("/inbox/" + w.newest().ID).Body); strings.Contains(body, "secret") || !strings.Contains(body, "redacted") {
		t.Error("a redacted text still shows")
	}
}
