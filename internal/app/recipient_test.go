package app_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/chromedp"
	"github.com/jackc/pgx/v5"

	"github.com/connectlink/connectlink/internal/browsertest"
	"github.com/connectlink/connectlink/internal/sandbox"
	"github.com/connectlink/connectlink/internal/waittest"
)

// publicHost is not localhost: browsers make exceptions there that hide faults.
const publicHost = "connect.example.test"

// personsBrowser is what the browser of a person calls itself.
const personsBrowser = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36"

// recipient is a person at a browser, with a product and its sandbox behind it.
type recipient struct {
	*product
	ctx  context.Context // of the browser's tab
	db   *pgx.Conn
	taps int // on our pages
}

func newRecipient(t *testing.T) *recipient {
	t.Helper()
	browsertest.Need(t)
	r := &recipient{product: start(t, boot{env: map[string]string{"CONNECTLINK_PUBLIC_URL": "https://" + publicHost}})}
	base, err := url.Parse(r.base)
	if err != nil {
		t.Fatal(err)
	}
	// The product stands behind a proxy that ends TLS, as it does in earnest.
	front := httptest.NewTLSServer(httputil.NewSingleHostReverseProxy(base))
	t.Cleanup(front.Close)
	ctx := browsertest.New(t,
		chromedp.UserAgent(personsBrowser),
		chromedp.Flag("host-resolver-rules", "MAP "+publicHost+" "+front.Listener.Addr().String()),
		chromedp.IgnoreCertErrors,
	)
	r.ctx = ctx
	// The browser lives as long as the context of its first step.
	if err := chromedp.Do(ctx, chromedp.Navigate("about:blank")); err != nil {
		t.Fatal(err)
	}
	if r.db, err = pgx.Connect(t.Context(), r.product.db); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.db.Close(context.WithoutCancel(t.Context())) })
	return r
}

func (r *recipient) exec(sql string, args ...any) {
	r.t.Helper()
	if _, err := r.db.Exec(r.t.Context(), sql, args...); err != nil {
		r.t.Fatal(err)
	}
}

// passing are the statements that make a time ($1) pass, here and at Pipedream, for
// some invites ($2) or, where that is null, for all.
func passing() []string {
	return []string{
		`UPDATE invites SET created_at = created_at - $1::interval, expires_at = expires_at - $1::interval, gives_up_at = gives_up_at - $1::interval,
			first_handed_out_at = first_handed_out_at - $1::interval, last_handed_out_at = last_handed_out_at - $1::interval,
			poll_at = poll_at - $1::interval, poll_until = poll_until - $1::interval WHERE $2::uuid[] IS NULL OR id = ANY($2)`,
		`UPDATE connect_links SET expires_at = expires_at - $1::interval, minted_at = minted_at - $1::interval, handed_out_at = handed_out_at - $1::interval
			WHERE $2::uuid[] IS NULL OR invite_id = ANY($2)`,
		`UPDATE codes SET created_at = created_at - $1::interval WHERE $2::uuid[] IS NULL OR invite_id = ANY($2)`,
		`UPDATE events SET created_at = created_at - $1::interval, occurred_at = occurred_at - $1::interval WHERE $2::uuid[] IS NULL OR invite_id = ANY($2)`,
		`UPDATE deliveries SET created_at = created_at - $1::interval, updated_at = updated_at - $1::interval WHERE $2::uuid[] IS NULL OR invite_id = ANY($2)`,
		`UPDATE sandbox.connect_tokens SET expires_at = expires_at - $1::interval
			WHERE $2::uuid[] IS NULL OR digest IN (SELECT token_digest FROM connect_links WHERE invite_id = ANY($2))`,
	}
}

// later makes time pass for everything.
func (r *recipient) later(d time.Duration) {
	r.t.Helper()
	for _, sql := range passing() {
		r.exec(sql, d, nil)
	}
}

// do drives the browser, within a time that is far above what it needs.
func (r *recipient) do(what string, steps ...chromedp.Action[chromedp.Void]) {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(r.ctx, patience)
	defer cancel()
	if err := chromedp.Do(ctx, steps...); err != nil {
		where, _ := chromedp.Run(r.ctx, chromedp.Evaluate[string](`location.host + ": " + document.body.innerText`))
		r.t.Fatalf("%s: %v; the browser is at %s", what, err, where)
	}
}

func (r *recipient) open(link string, page string) {
	r.t.Helper()
	r.do("open the link", chromedp.Navigate(link), chromedp.WaitVisible(chromedp.CSS(`main.`+page)),
		chromedp.MouseEvent(input.DispatchMouseEventTypeMouseMoved, 30, 30))
}

// tap presses the one big button and waits for what follows.
func (r *recipient) tap(then string) {
	r.t.Helper()
	r.taps++
	r.do("tap", chromedp.Click(chromedp.CSS(`main button[type=submit]`)), chromedp.WaitVisible(chromedp.CSS(then)))
}

// atPipedream presses a button of the stand-in's page and waits for our page.
func (r *recipient) atPipedream(button, page string) {
	r.t.Helper()
	r.do("at Pipedream", chromedp.Click(chromedp.CSS(`button[value=`+button+`]`)), chromedp.WaitVisible(chromedp.CSS(`main.`+page)))
}

// latest is the link in the newest message to an address.
func (r *recipient) latest(id string, n int) string {
	r.t.Helper()
	deadline := time.Now().Add(patience)
	for {
		messages, err := r.app.Sandbox().Messages(r.t.Context(), sandbox.MessageFilter{InviteIDs: []string{id}})
		if err != nil {
			r.t.Fatal(err)
		}
		if len(messages) >= n {
			for _, l := range messages[0].Links {
				if strings.Contains(l, "/c/") {
					return l
				}
			}
		}
		if time.Now().After(deadline) {
			r.t.Fatalf("%d messages came, want %d", len(messages), n)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// connects demands that the invite gets connected, with at most so many taps.
func (r *recipient) connects(id string, taps int) {
	r.t.Helper()
	r.atPipedream("connect", "connected")
	r.until(id, "connected", func(inv object) bool { return inv.text("status") == "connected" })
	if r.taps > taps {
		r.t.Errorf("%d taps, want at most %d", r.taps, taps)
	}
}

const pipedreamsButton = `button[value=connect]`

// TestBrowserALinkWorksWheneverItIsOpened opens links in a real browser, as late and
// after as much trouble as people do, and goes on until the account is there.
func TestBrowserALinkWorksWheneverItIsOpened(t *testing.T) {
	t.Parallel()
	all := newRecipient(t)
	week := object{"valid_for": 7 * 24 * 3600}
	for _, c := range []struct {
		name   string
		extra  object
		person func(r *recipient, id, link string)
	}{
		{"after a minute", nil, func(r *recipient, id, link string) {
			r.later(time.Minute)
			r.open(link, "ready")
			r.tap(pipedreamsButton)
			r.connects(id, 1)
		}},
		{"ten minutes before the end", nil, func(r *recipient, id, link string) {
			r.later(3*time.Hour + 50*time.Minute)
			r.open(link, "ready")
			r.tap(pipedreamsButton)
			r.connects(id, 1)
		}},
		{"after five hours", nil, func(r *recipient, id, link string) {
			r.later(5 * time.Hour)
			r.open(link, "expired")
			r.tap(`main.sent`)
			r.open(r.latest(id, 2), "ready")
			r.tap(pipedreamsButton)
			r.connects(id, 2)
		}},
		{"after five hours, of a week", week, func(r *recipient, id, link string) {
			r.later(5 * time.Hour)
			r.open(link, "ready")
			r.tap(pipedreamsButton)
			r.connects(id, 2)
		}},
		{"after three days", nil, func(r *recipient, id, link string) {
			r.later(72 * time.Hour)
			r.open(link, "expired")
			r.tap(`main.sent`)
			fresh := r.latest(id, 2)
			r.open(link, "replaced")
			r.open(fresh, "ready")
			r.tap(pipedreamsButton)
			r.connects(id, 2)
		}},
		{"after three days, of a week", week, func(r *recipient, id, link string) {
			r.later(72 * time.Hour)
			r.open(link, "ready")
			r.tap(pipedreamsButton)
			r.connects(id, 2)
		}},
		{"after robots", nil, func(r *recipient, id, link string) {
			at, err := url.Parse(link)
			if err != nil {
				t.Fatal(err)
			}
			for _, method := range []string{http.MethodHead, http.MethodGet, http.MethodPost} {
				req, err := http.NewRequestWithContext(r.t.Context(), method, r.base+at.Path, strings.NewReader("again=1"))
				if err != nil {
					r.t.Fatal(err)
				}
				req.Header.Set("User-Agent", "Mozilla/5.0 (compatible; Barracuda Sentinel)")
				res, err := http.DefaultTransport.RoundTrip(req) // follows nothing
				if err != nil {
					r.t.Fatal(err)
				}
				_ = res.Body.Close()
			}
			r.open(link, "ready")
			r.tap(pipedreamsButton)
			r.connects(id, 1)
		}},
		{"after a token was spent", nil, func(r *recipient, id, link string) {
			r.open(link, "ready")
			r.tap(pipedreamsButton)
			r.exec(`UPDATE sandbox.connect_tokens SET spent_at = now() WHERE spent_at IS NULL`)
			r.later(2 * time.Minute)
			r.open(link, "ready")
			r.tap(pipedreamsButton)
			r.connects(id, 2)
		}},
		{"after a failed attempt", nil, func(r *recipient, id, link string) {
			r.open(link, "ready")
			r.tap(pipedreamsButton)
			r.atPipedream("deny", "could_not_connect")
			r.tap(pipedreamsButton)
			r.connects(id, 2)
		}},
		{"with Pipedream down, then back", week, func(r *recipient, id, link string) {
			r.later(5 * time.Hour)
			r.open(link, "ready")
			if err := r.app.Sandbox().SetFaults(sandbox.Faults{Pipedream: []sandbox.Fault{{Ops: []string{"mint"}, Status: http.StatusServiceUnavailable}}}); err != nil {
				r.t.Fatal(err)
			}
			r.tap(`main.busy`)
			if err := r.app.Sandbox().SetFaults(sandbox.Faults{}); err != nil {
				r.t.Fatal(err)
			}
			r.tap(pipedreamsButton)
			r.connects(id, 2)
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := *all
			r.product, r.taps = all.in(t), 0
			body := to("delivered@connectlink.test")
			body["external_user_id"] = "user of " + c.name
			for k, v := range c.extra {
				body[k] = v
			}
			made := r.invite(http.StatusCreated, body)
			link := made.text("invite_link.url")
			if !strings.HasPrefix(link, "https://"+publicHost+"/c/") {
				t.Fatal("the link does not lead to the public host")
			}
			r.until(made.text("id"), "delivered", func(inv object) bool { return inv.text("delivery.status") == "delivered" })
			c.person(&r, made.text("id"), link)
		})
	}
	for _, c := range diagonal() {
		t.Run(c.String(), func(t *testing.T) {
			r := *all
			r.product, r.taps = all.in(t), 0
			r.walkDiagonal(c)
		})
	}
}

// TestBrowserThePageDrawsTheAppsLogo: of an SVG and of a PNG of the catalogue, within the
// policy of the page and of the picture.
func TestBrowserThePageDrawsTheAppsLogo(t *testing.T) {
	t.Parallel()
	r := newRecipient(t)
	for app, extension := range map[string]string{"slack": ".svg", "hubspot": ".png"} {
		link := r.invite(http.StatusCreated, with(to("delivered@connectlink.test"), "app", app)).text("invite_link.url")
		var width int
		waittest.Until(t, "the page has the logo of "+app, func() bool {
			r.do("open the link", chromedp.Navigate(link), chromedp.WaitVisible(chromedp.CSS(`main.ready`)))
			path, err := chromedp.Run(r.ctx, chromedp.Evaluate[string](`document.querySelector("main img")?.getAttribute("src") ?? ""`))
			if err == nil && path != "" && !strings.HasSuffix(path, extension) {
				t.Fatalf("the logo of %s is %s, want %s", app, path, extension)
			}
			if path != "" {
				width, err = chromedp.Run(r.ctx, chromedp.Evaluate[int](`document.querySelector("main img").decode().then(() => document.querySelector("main img").naturalWidth, () => 0)`, chromedp.EvalAwaitPromise))
			}
			return err == nil && path != ""
		})
		if width == 0 {
			t.Errorf("the browser cannot draw the logo of %s", app)
		}
	}
}

// TestBrowserDigitsComeBeforeTheLink is the whole way of an invite that asks for a
// passcode: link, digits from the inbox, a retry, the account, the timeline.
func TestBrowserDigitsComeBeforeTheLink(t *testing.T) {
	t.Parallel()
	r := newRecipient(t)
	made := r.invite(http.StatusCreated, with(to("delivered@connectlink.test"), "verify", "code"))
	id, link := made.text("id"), made.text("invite_link.url")
	if made.text("verify") != "code" || made.at("connect_link_url") != nil {
		t.Fatalf("verify %q, and the answer carries a connect link: %t", made.text("verify"), made.at("connect_link_url") != nil)
	}
	r.open(link, "ready")
	r.tap(`main.verify #code`)
	digits := r.digits(id)
	r.do("wrong digits", chromedp.SendKeys(chromedp.CSS(`#code`), mistyped(digits)))
	r.tap(`main.verify .fault`)
	r.do("right digits", chromedp.SendKeys(chromedp.CSS(`#code`), digits))
	r.tap(pipedreamsButton)
	r.atPipedream("connect", "connected")
	inv := r.until(id, "connected", func(inv object) bool { return inv.text("status") == "connected" })
	if inv.text("delivery.status") != "delivered" || len(inv["deliveries"].([]any)) != 2 {
		t.Errorf("delivery %s of %d", inv.text("delivery.status"), len(inv["deliveries"].([]any)))
	}
	if logs := r.logs.String(); strings.Contains(logs, digits) {
		t.Error("the log holds the digits")
	}
	events := strings.Join(r.events(id), " ")
	for _, want := range []string{"verify.requested", "verify.failed", "verify.passed"} {
		if !strings.Contains(events, want) {
			t.Errorf("the timeline lacks %s: %s", want, events)
		}
	}
}

// digits are those of the newest message of an invite, once they came.
func (r *recipient) digits(id string) string {
	r.t.Helper()
	for deadline := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
		messages, err := r.app.Sandbox().Messages(r.t.Context(), sandbox.MessageFilter{InviteIDs: []string{id}})
		if err != nil {
			r.t.Fatal(err)
		}
		if len(messages) > 1 {
			return regexp.MustCompile(`(?m)^[0-9]{6}$`).FindString(messages[0].Text)
		}
		if time.Now().After(deadline) {
			r.t.Fatal("no message with digits came")
		}
	}
}

func mistyped(digits string) string {
	if digits[0] == '9' {
		return "0" + digits[1:]
	}
	return string(digits[0]+1) + digits[1:]
}

// TestScriptedPeopleAskForAFreshLinkAndReport plays "+renew" and "+notme"
// through the whole process.
func TestScriptedPeopleAskForAFreshLinkAndReport(t *testing.T) {
	t.Parallel()
	w := newTold(t, 0)
	// A link of "+renew" lives for five paces, so these must not be too short.
	p := start(t, boot{env: w.env(), pace: time.Second})
	reported := p.invite(http.StatusCreated, to("delivered+notme@connectlink.test")).text("id")
	renewed := p.invite(http.StatusCreated, to("delivered+renew@connectlink.test")).text("id")
	inv := p.until(renewed, "renewed and delivered again", func(inv object) bool {
		// The list is read after the invite: only its own last entry is sure to be the second message.
		list := inv["deliveries"].([]any)
		return len(list) == 2 && object(list[1].(map[string]any)).text("status") == "delivered"
	})
	if inv.at("resend_count") != 0.0 || inv.text("expires_at") == "" {
		t.Errorf("resent %v times, until %q", inv.at("resend_count"), inv.text("expires_at"))
	}
	messages, err := p.app.Sandbox().Messages(t.Context(), sandbox.MessageFilter{InviteIDs: []string{renewed}})
	if err != nil || len(messages) != 2 {
		t.Fatalf("%d messages, %v", len(messages), err)
	}
	// The text is wrapped at spaces.
	said := strings.Join(strings.Fields(messages[0].Text), " ")
	if !strings.Contains(said, "you can ask for a new one there") || !strings.Contains(said, "This isn’t for me") {
		t.Errorf("%d messages, %v: the words do not promise what the page can do", len(messages), err)
	}
	e := w.about(reported, "invite.reported")
	if e.text("data.invite.status") != "revoked" {
		t.Errorf("the product hears of %v", e.at("data.invite.status"))
	}
	// It was a slip: the link works again, and the product hears that too.
	if messages, err = p.app.Sandbox().Messages(t.Context(), sandbox.MessageFilter{InviteIDs: []string{reported}}); err != nil || len(messages) != 1 {
		t.Fatalf("%d messages, %v", len(messages), err)
	}
	person := &walk{http: p.http, browser: matrixBrowsers()[0]}
	person.takeBack(t, messages[0].Links[0])
	if e := w.about(reported, "invite.report_withdrawn"); e.text("data.invite.status") != "pending" || e.text("data.invite.revoked_at") != "" {
		t.Errorf("the product hears of %v, revoked at %v", e.at("data.invite.status"), e.at("data.invite.revoked_at"))
	}
	if err := person.goOn(); err != nil {
		t.Error(err)
	}
	p.until(reported, "connected", func(inv object) bool { return inv.text("status") == "connected" })
}

// takeBack withdraws a report that was just made, and demands the link's own page.
func (w *walk) takeBack(t *testing.T, link string) {
	t.Helper()
	if err := w.get(link); err != nil || w.at != "revoked" || w.mainForm() == nil {
		t.Fatalf("the page %q of the reported link offers no way back, %v", w.at, err)
	}
	fields := fieldsOf(w.mainForm())
	w.handFields(fields)
	err := w.send(http.MethodPost, attr(w.mainForm(), "action"), fields)
	if err != nil || w.at != "ready" {
		t.Fatalf("the report taken back: page %q, %v", w.at, err)
	}
}

// TestAPersonWhoWantsNoMoreMessagesGetsNone: the choice on the page holds for
// the next invite too.
func TestAPersonWhoWantsNoMoreMessagesGetsNone(t *testing.T) {
	t.Parallel()
	p := start(t, boot{})
	made := p.invite(http.StatusCreated, to("kim@customer.example"))
	link, err := url.Parse(made.text("invite_link.url"))
	if err != nil {
		t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, p.base+link.Path+"/not-me", strings.NewReader("from=page&why=not_expected&suppress=1"))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("User-Agent", "Mozilla/5.0 (X11; Linux x86_64; rv:143.0) Gecko/20100101 Firefox/143.0")
	req.Header.Set("Accept-Language", "en")
	res, err := p.http.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()
	if res.StatusCode != http.StatusOK {
		t.Fatalf("reported: %d", res.StatusCode)
	}
	if status, _, out := p.call(http.MethodPost, "/v1/invites", to("kim@customer.example")); status != http.StatusUnprocessableEntity || out.text("code") != "recipient_suppressed" {
		t.Errorf("the next invite: %d %v", status, out)
	}
	// Taking the report back takes the wish for no more messages back.
	(&walk{http: p.http, browser: matrixBrowsers()[0]}).takeBack(t, made.text("invite_link.url"))
	p.invite(http.StatusCreated, to("kim@customer.example"))
}
