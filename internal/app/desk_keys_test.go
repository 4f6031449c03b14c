package app_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/connectlink/connectlink/internal/access"
	"github.com/connectlink/connectlink/internal/browsertest"
)

// at waits until the browser has a page of the project's test mode wholly.
func (d *desk) at(path, what string) {
	d.t.Helper()
	d.waits(what, func() bool {
		return evaluate[string](d, `document.readyState + " " + location.pathname`) == "complete /console/default/test"+path
	})
}

// waits waits for something about the page.
func (d *desk) waits(what string, ok func() bool) {
	d.t.Helper()
	for deadline := time.Now().Add(patience); !ok(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			d.t.Fatalf("never: %s; the browser is at %s", what, evaluate[string](d, `location.pathname + ": " + document.body.innerText`))
		}
	}
}

// Every shortcut of the list does the listed act, none acts while a person
// types, and all can be switched off.
func TestBrowserSupportWorksByShortcuts(t *testing.T) {
	t.Parallel()
	d := newDesk(t, access.RoleAgent)
	first := d.invite(201, to("delivered@connectlink.test")).text("id")
	second := d.invite(201, to("delivered+two@connectlink.test")).text("id")
	for _, id := range []string{first, second} {
		d.until(id, "delivered", func(inv object) bool { return inv.text("delivery.status") == "delivered" })
	}
	focused := func() string {
		return evaluate[string](d, `document.activeElement.id || document.activeElement.getAttribute("href") || ""`)
	}
	row := func(id string) string { return "/console/default/test/invites/" + id }

	d.open("/blocks")
	d.press("g")
	d.press("h")
	d.at("/home", "g h goes home")
	d.press("g")
	d.press("i")
	d.at("/invites", "g i goes to the invites")
	for i, step := range []struct{ key, want string }{{"j", second}, {"j", first}, {"j", first}, {"k", second}} {
		d.press(step.key)
		if got := focused(); got != row(step.want) {
			t.Errorf("step %d, %s: the focus is on %q, want %q", i, step.key, got, row(step.want))
		}
	}
	d.do("open the row", chromedp.KeyEvent("\r"), chromedp.WaitVisible(chromedp.CSS(`.sentence`)))
	d.at("/invites/"+second, "Enter opens the row")
	d.press("r")
	d.do("r resends", chromedp.WaitVisible(chromedp.CSS(`form[action$="`+second+`/resend"] #email`)))
	d.open("/invites/" + second)
	d.press("c")
	d.at("/invites/"+second+"/link", "c copies the link")
	d.press("/")
	d.waits("/ leads to the search", func() bool { return focused() == "q" })

	// In a field a letter is a letter.
	d.do("type", chromedp.KeyEvent("/gh?jkrc"))
	if typed, at := evaluate[string](d, `document.querySelector("#q").value`), evaluate[string](d, `location.pathname`); typed != "/gh?jkrc" || !strings.HasSuffix(at, "/link") {
		t.Errorf("typed %q, and the browser is at %s", typed, at)
	}
	d.open("/invites/" + second)
	d.press("?")
	d.do("the list", chromedp.WaitVisible(chromedp.CSS(`dialog[open]`)))
	for _, listed := range []string{"/", "g", "h", "i", "b", "j", "k", "Enter", "r", "c", "?"} {
		if !evaluate[bool](d, fmt.Sprintf(`[...document.querySelectorAll("dialog kbd")].some(k => k.textContent === %q)`, listed)) {
			t.Errorf("the list does not name %s", listed)
		}
	}
	// Nor while the list is open; and it closes.
	d.press("r")
	d.do("close", chromedp.KeyEvent("\x1b"), chromedp.WaitNotVisible(chromedp.CSS(`dialog`)))
	if at := evaluate[string](d, `location.pathname`); at != row(second) {
		t.Errorf("a key under the list led to %s", at)
	}

	// Switched off (WCAG 2.2, 2.1.4).
	d.do("switch them off", chromedp.Navigate("https://"+consoleHost+"/console/settings"), browsertest.Click(`input[name=keys]`),
		browsertest.Click(`form.form button[type=submit]`), chromedp.WaitVisible(chromedp.CSS(`.flash`)))
	d.open("/invites/" + second)
	before := focused()
	for _, key := range []string{"/", "j", "r", "c", "g", "h", "?"} {
		d.press(key)
	}
	if at, open := evaluate[string](d, `location.pathname`), evaluate[bool](d, `document.querySelector("dialog").open`); at != row(second) || open || focused() != before {
		t.Errorf("a key did something: the browser is at %s, the list is open: %t, the focus is on %q", at, open, focused())
	}
}
