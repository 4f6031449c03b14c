package app_test

import (
	"bytes"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"

	"golang.org/x/net/html"

	"github.com/connectlink/connectlink/internal/access"
)

// crawler opens every page that a link or form leads to, and sends each form as
// it stands and with hostile fields.
type crawler struct {
	*fuzzer
	seen   map[string]bool   // pages and forms, identifiers left out
	params map[string]string // values of path parameters that exist
}

// form is one of a page, with the values that a browser would send.
type form struct {
	method, action string
	fields         url.Values
}

// identifier matches what differs between two pages of one kind.
var identifier = regexp.MustCompile(`[a-z]+_[0-9A-Za-z]{12,}|[0-9A-Za-z]{16,}|=[^&]*`)

// parse finds the links and forms of a page.
func parsePage(at *url.URL, body []byte) (links []string, forms []form) {
	doc, err := html.Parse(bytes.NewReader(body))
	if err != nil {
		return nil, nil
	}
	attr := func(n *html.Node, name string) string {
		for _, a := range n.Attr {
			if a.Key == name {
				return a.Val
			}
		}
		return ""
	}
	local := func(address string) (string, bool) {
		u, err := at.Parse(address)
		if err != nil || u.Host != at.Host {
			return "", false
		}
		return u.RequestURI(), true
	}
	for n := range doc.Descendants() {
		if n.Type != html.ElementNode {
			continue
		}
		switch n.Data {
		case "a", "iframe":
			if to, ok := local(attr(n, "href") + attr(n, "src")); ok {
				links = append(links, to)
			}
		case "form":
			f := form{method: strings.ToUpper(attr(n, "method")), fields: url.Values{}}
			if f.method == "" {
				f.method = http.MethodGet
			}
			to, ok := local(attr(n, "action"))
			if !ok || f.method == "DIALOG" { // that one closes a dialog, and sends nothing
				continue
			}
			f.action = to
			for c := range n.Descendants() {
				if name := attr(c, "name"); c.Type == html.ElementNode && name != "" && name != "viewport" {
					f.fields.Add(name, attr(c, "value"))
				}
			}
			forms = append(forms, f)
		}
	}
	return links, forms
}

// isAPage demands an answer that is no failure of ours and, if it is a page of
// ours, a content security policy.
func (c *crawler) isAPage(op string, q fuzzRequest, resp *http.Response, answer []byte) {
	isBusy := resp.StatusCode == http.StatusServiceUnavailable && resp.Header.Get("Retry-After") != ""
	if resp.StatusCode >= 500 && !isBusy && resp.StatusCode != http.StatusNotImplemented {
		c.fault(op, q, resp.Status, string(answer))
	}
	isPage := strings.HasPrefix(resp.Header.Get("Content-Type"), "text/html") && !strings.HasPrefix(q.target, "/sandbox/")
	if isPage && resp.Header.Get("Content-Security-Policy") == "" {
		c.fault(op, q, "a page without a content security policy", resp.Status)
	}
}

// crawl opens pages from the given addresses on, each kind once.
func (c *crawler) crawl(starts ...string) (forms []form) {
	c.t.Helper()
	base, err := url.Parse(c.base)
	if err != nil {
		c.t.Fatal(err)
	}
	for len(starts) > 0 && len(c.seen) < 2_000 {
		at := starts[0]
		starts = starts[1:]
		key := identifier.ReplaceAllString(at, "…")
		if c.seen[key] || strings.Contains(at, "/sign-out") || strings.HasPrefix(at, "/v1/") {
			continue
		}
		c.seen[key] = true
		page, err := base.Parse(at)
		if err != nil {
			continue
		}
		_, body := c.send("a page", fuzzRequest{method: http.MethodGet, target: at, header: http.Header{}, what: "a link"})
		links, found := parsePage(page, body)
		starts = append(starts, links...)
		for _, f := range found {
			key := f.method + " " + identifier.ReplaceAllString(f.action, "…") + " " + strings.Join(slices.Sorted(maps.Keys(f.fields)), ",")
			if !c.seen[key] && !strings.Contains(f.action, "/sign-out") {
				c.seen[key] = true
				forms = append(forms, f)
			}
		}
	}
	return forms
}

// filled are the requests of a form: with one field hostile, missing or doubled,
// and bodies that are no form at all.
func (c *crawler) filled(f form) (list []fuzzRequest) {
	add := func(what string, fields url.Values) {
		q := fuzzRequest{method: f.method, target: f.action, header: http.Header{}, what: what}
		if f.method == http.MethodGet {
			path, _, _ := strings.Cut(f.action, "?")
			q.target = path + "?" + fields.Encode()
		} else {
			q.body = []byte(fields.Encode())
			q.header.Set("Content-Type", "application/x-www-form-urlencoded")
		}
		list = append(list, q)
	}
	with := func(name string, values ...string) url.Values {
		fields := maps.Clone(f.fields)
		fields[name] = values
		return fields
	}
	for _, name := range slices.Sorted(maps.Keys(f.fields)) {
		for _, text := range c.texts() {
			add("field "+name, with(name, text))
		}
		add("field "+name+" missing", with(name))
		add("field "+name+" twice", with(name, "a", "b"))
	}
	if f.method == http.MethodPost {
		for _, body := range []string{"", "%zz", "a=%ff&b=%00", ";", "=&&=", strings.Repeat("a=1&", 20_000), `{"a":1}`} {
			for _, kind := range []string{"application/x-www-form-urlencoded", "multipart/form-data", "multipart/form-data; boundary=x", "application/json", "text/plain; charset=\xff", ""} {
				h := http.Header{}
				if kind != "" {
					h.Set("Content-Type", kind)
				}
				list = append(list, fuzzRequest{method: f.method, target: f.action, header: h, body: []byte(body), what: "a body that is no form"})
			}
		}
	}
	add("as it stands", f.fields)
	return list
}

// TestFuzzEveryRouteThatIsNotInTheDocument sends hostile path segments, queries
// and bodies to the pages, the console and the vendors' callbacks. The routes are
// the process's own list, so that none is forgotten.
func TestFuzzEveryRouteThatIsNotInTheDocument(t *testing.T) {
	t.Parallel()
	c := newCrawler(t)
	var jobs, last []func()
	for _, r := range c.app.Routes() {
		if strings.HasPrefix(r.Path, "/v1/") {
			continue // the document has them
		}
		// The real path, with identifiers that exist, and one with each segment hostile.
		segments := strings.Split(r.Path, "/")
		fill := func(at int, value string) string {
			out := slices.Clone(segments)
			for i, s := range out {
				if strings.HasPrefix(s, ":") {
					out[i] = c.params[s]
				}
				if s == "*" {
					out[i] = "x"
				}
				if i == at {
					out[i] = value
				}
			}
			return strings.Join(out, "/")
		}
		var requests []fuzzRequest
		add := func(what, target string) {
			requests = append(requests, fuzzRequest{method: r.Method, target: target, what: what})
		}
		add("the route", fill(0, ""))
		for i, s := range segments {
			if strings.HasPrefix(s, ":") || s == "*" {
				for _, text := range append(c.texts(), "%00", "%ff", "..", "x") {
					add("path "+s, fill(i, url.PathEscape(text)))
				}
			}
		}
		for _, text := range c.texts() {
			query := url.Values{}
			for _, name := range []string{"q", "cursor", "status", "reason", "day", "back", "lang", "locale", "to", "id", "as", "width", "error", "code", "state", "token", "app", "connectLink"} {
				query.Set(name, text)
			}
			add("query", fill(0, "")+"?"+query.Encode())
		}
		for _, query := range []string{"?%zz", "?a=%ff&q=%00", "?q=%ED%A0%80", "?lang=%ff", "?;", "?" + strings.Repeat("q=1&", 2_000)} {
			add("query", fill(0, "")+query)
		}
		if r.Method == http.MethodPost {
			for _, body := range append(c.texts(), "[]", "[{}]", `[{"event":"\u0000"}]`, "{}", "null", "\x00", "%zz", "MessageSid=%00&MessageStatus=%ff", "a=b") {
				for _, kind := range []string{"application/json", "application/x-www-form-urlencoded"} {
					requests = append(requests, fuzzRequest{
						method: r.Method, target: fill(0, ""), body: []byte(body), what: "body",
						header: http.Header{"Content-Type": {kind}, "X-Twilio-Signature": {"x\xff"}, "X-Twilio-Email-Event-Webhook-Signature": {"%%"}, "X-Twilio-Email-Event-Webhook-Timestamp": {"x"}},
					})
				}
			}
		}
		if !c.isLong {
			requests = c.sample(requests, len(requests))
		}
		for _, q := range requests {
			if q.header == nil {
				q.header = http.Header{}
			}
			q.header.Set("Sec-Fetch-Site", "same-origin")
			job := func() { c.send(r.Method+" "+r.Path, q) }
			if strings.HasSuffix(r.Path, "/sign-out") {
				last = append(last, job) // the rest needs the session
			} else {
				jobs = append(jobs, job)
			}
		}
	}
	c.run(append(jobs, last...))
}

// TestFuzzEveryFormOfThePages submits each form that a crawl finds, as a signed-in
// admin and as a recipient.
func TestFuzzEveryFormOfThePages(t *testing.T) {
	t.Parallel()
	c := newCrawler(t)
	starts := []string{"/", "/docs", "/sandbox/inbox", "/console/", "/console/default/test/home"}
	for _, s := range []string{"", "/verify", "/not-me", "/not-me/undo", "/renew"} {
		starts = append(starts, "/c/"+c.params[":code"]+s)
	}
	starts = append(starts, "/s/"+c.params[":code"], "/done/"+c.params[":code"])
	forms := c.crawl(starts...)
	if len(forms) < 15 {
		t.Fatalf("the crawl found %d forms", len(forms))
	}
	var jobs []func()
	for _, f := range forms {
		requests := c.filled(f)
		if !c.isLong {
			requests = c.sample(requests, 40)
		}
		for _, q := range requests {
			q.header.Set("Sec-Fetch-Site", "same-origin")
			jobs = append(jobs, func() { c.send(f.method+" "+identifier.ReplaceAllString(f.action, "…"), q) })
		}
	}
	c.run(jobs)
}

func newCrawler(t *testing.T) *crawler {
	t.Helper()
	p := start(t, boot{})
	c := &crawler{fuzzer: &fuzzer{product: p, rand: rand.New(rand.NewPCG(fuzzSeed, 2)), faults: map[string]int{}, status: map[string]map[int]int{}}, seen: map[string]bool{}}
	_, c.isLong = fuzzRounds(t)
	for _, fate := range []string{"delivered", "bounced", "delivered+denied", "delivered+connect", "suppressed"} {
		p.invite(201, to(fate+"@connectlink.test"))
	}
	p.invite(201, with(to("delivered@connectlink.test"), "verify", "code"))
	open := p.invite(201, to("pat@customer.example"))
	c.params = map[string]string{
		":project": "default", ":mode": "test", ":id": open.text("id"), ":invite": open.text("id"), ":attempt": "att_06h29anmc9so96jjfe30ftqlt8", ":secret": "x",
		":code": code(open.text("invite_link.url")), ":delivery": open.text("delivery.id"),
	}
	c.judge = c.isAPage
	c.http = p.staff(access.RoleAdmin).http
	c.http.CheckRedirect = func(r *http.Request, _ []*http.Request) error {
		if "http://"+r.URL.Host != c.base {
			return http.ErrUseLastResponse // where people return to is not here
		}
		return nil
	}
	return c
}

// run sends everything and reports what the process says of itself.
func (c *crawler) run(jobs []func()) {
	c.t.Helper()
	c.t.Logf("%d requests", len(jobs))
	inParallel(jobs)
	if strings.Contains(c.logs.String(), "panic") {
		c.t.Error("the process panicked")
	}
	for _, op := range slices.Sorted(maps.Keys(c.status)) {
		c.t.Logf("%s: %v", op, c.status[op])
	}
}
