package app_test

import (
	"context"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"

	"github.com/connectlink/connectlink/internal/access"
	"github.com/connectlink/connectlink/internal/browsertest"
)

// desk is a member of staff at a browser, with a whole process behind it.
type desk struct {
	*product
	ctx    context.Context // of the browser's tab
	root   string          // of the project's test mode
	clicks int             // what the person did: a click, Enter, or a key that does something; see act
}

// consoleHost is not localhost: browsers make exceptions there that hide faults.
const consoleHost = "console.example.test"

func newDesk(t *testing.T, role access.Role, flags ...chromedp.ExecAllocatorOption) *desk {
	t.Helper()
	browsertest.Need(t)
	d := &desk{product: start(t, boot{env: map[string]string{"CONNECTLINK_PUBLIC_URL": "https://" + consoleHost}})}
	base, err := url.Parse(d.base)
	if err != nil {
		t.Fatal(err)
	}
	proxy := httputil.NewSingleHostReverseProxy(base)
	proxy.FlushInterval = -1 // as proxies treat event streams
	front := httptest.NewUnstartedServer(proxy)
	front.StartTLS()
	t.Cleanup(front.Close)
	t.Cleanup(front.CloseClientConnections)
	ctx := browsertest.New(t, append(flags,
		chromedp.Flag("host-resolver-rules", "MAP "+consoleHost+" "+front.Listener.Addr().String()), chromedp.IgnoreCertErrors)...)
	d.ctx, d.root = ctx, "https://"+consoleHost+"/console/default/test"
	// The browser lives as long as the context of its first step.
	if err := chromedp.Do(ctx, chromedp.Navigate("about:blank")); err != nil {
		t.Fatal(err)
	}
	d.signIn(role)
	return d
}

// signIn signs a person in with one role in the project.
func (d *desk) signIn(role access.Role) {
	d.t.Helper()
	d.signInAs("Robin "+string(role), role)
}

func (d *desk) signInAs(name string, role access.Role) {
	d.t.Helper()
	token, err := d.app.Staff.Link(d.t.Context(), access.Principal{Kind: access.KindSystem}, name,
		map[string]access.Role{"default": role}, time.Minute)
	if err != nil {
		d.t.Fatal(err)
	}
	d.do("sign in", chromedp.Navigate("https://"+consoleHost+"/console/sign-in/link/"+url.PathEscape(token.Reveal())),
		browsertest.Click(`main button[type=submit]`), chromedp.WaitVisible(chromedp.CSS(`input#q`)))
}

func (d *desk) do(what string, steps ...chromedp.Action[chromedp.Void]) {
	d.t.Helper()
	ctx, cancel := context.WithTimeout(d.ctx, patience)
	defer cancel()
	if err := chromedp.Do(ctx, steps...); err != nil {
		where, _ := chromedp.Run(d.ctx, chromedp.Evaluate[string](`location.pathname + ": " + document.body.innerText`))
		d.t.Fatalf("%s: %v; the browser is at %.3000s", what, err, where)
	}
}

func evaluate[T any](d *desk, script string) T {
	d.t.Helper()
	v, err := chromedp.Run(d.ctx, chromedp.Evaluate[T](script, chromedp.EvalAwaitPromise))
	if err != nil {
		d.t.Fatalf("%s: %v", script, err)
	}
	return v
}

// text is what the page says; empty while another page is on its way.
func (d *desk) text() string {
	return evaluate[string](d, `document.querySelector("main")?.innerText ?? ""`)
}

// open goes to a page of the project's test mode, as a bookmark does.
func (d *desk) open(path string) {
	d.t.Helper()
	d.do("open "+path, chromedp.Navigate(d.root+path), chromedp.WaitReady(chromedp.CSS(`main`)))
}

// act is one interaction: it does something, and waits for what follows. All
// that counts as one goes through here.
func (d *desk) act(what, then string, steps ...chromedp.Action[chromedp.Void]) {
	d.t.Helper()
	d.clicks++
	d.do(what, append(steps, chromedp.WaitVisible(chromedp.CSS(then)))...)
}

// within demands that a task takes no more interactions than that.
func (d *desk) within(most int, task func()) {
	d.t.Helper()
	d.clicks = 0
	task()
	if d.clicks > most {
		d.t.Errorf("%d interactions, want at most %d", d.clicks, most)
	}
}

// click presses something and waits for what follows.
func (d *desk) click(what, then string) {
	d.t.Helper()
	d.act("click "+what, then, browsertest.Click(what))
}

// fill types into a field; that is typing, not a click.
func (d *desk) fill(field, text string) {
	d.t.Helper()
	d.do("fill "+field, chromedp.Focus(chromedp.CSS(field)), chromedp.SendKeys(chromedp.CSS(field), text))
}

// enter presses Enter in a field.
func (d *desk) enter(field, then string) {
	d.t.Helper()
	d.act("enter in "+field, then, chromedp.SendKeys(chromedp.CSS(field), "\r"))
}

// says waits until the page says something.
func (d *desk) says(want string) {
	d.t.Helper()
	deadline := time.Now().Add(patience)
	for {
		got := d.text()
		if strings.Contains(strings.NewReplacer("\u2068", "", "\u2069", "").Replace(got), want) {
			return
		}
		if time.Now().After(deadline) {
			d.t.Fatalf("the page never says %q: %s", want, got)
		}
		time.Sleep(30 * time.Millisecond)
	}
}

// failed is an invite whose message came back.
func (d *desk) failed() object {
	d.t.Helper()
	made := d.invite(201, to("bounced@connectlink.test"))
	return d.until(made.text("id"), "bounced", func(inv object) bool { return inv.text("delivery.status") == "bounced" })
}

// shoot keeps pictures of the page where CONNECTLINK_SCREENSHOTS names a folder.
func (d *desk) shoot(name string) {
	d.t.Helper()
	browsertest.Picture(d.ctx, d.t, name, strings.HasSuffix(name, "-en"))
}

func (d *desk) look(theme string, width int64) {
	d.t.Helper()
	if _, err := chromedp.Call(d.ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
		// Colours that are still fading into each other have no contrast to measure.
		Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: theme}, {Name: "prefers-reduced-motion", Value: "reduce"}},
	}); err != nil {
		d.t.Fatal(err)
	}
	d.do("resize", chromedp.EmulateViewport(width, 900))
}
