package app_test

import (
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"github.com/connectlink/connectlink/internal/access"
	"github.com/connectlink/connectlink/internal/browsertest"
)

// Sending again opens over the page, by keyboard too, and gives the focus back.
// What its form answers is shown in its place, until it is done.
func TestBrowserSendingAgainOpensOverThePage(t *testing.T) {
	t.Parallel()
	d := newDesk(t, access.RoleAgent)
	inv := d.failed()
	at := "/invites/" + inv.text("id")
	instrument := browsertest.NewInstrument(d.ctx, t)
	d.open(at)
	focus := func(want string) {
		t.Helper()
		if !evaluate[bool](d, `document.activeElement.matches('`+want+`')`) {
			t.Errorf("the focus is at %s, want %s", evaluate[string](d, `document.activeElement.outerHTML.slice(0, 120)`), want)
		}
	}
	here := func() {
		t.Helper()
		if path := evaluate[string](d, `location.pathname`); !strings.HasSuffix(path, at) {
			t.Errorf("the browser went to %s", path)
		}
	}
	d.tab(`.now a.primary[data-drawer]`)
	d.do("open", chromedp.KeyEvent("\r"), chromedp.WaitVisible(chromedp.CSS(`dialog#drawer[open] #email`)))
	here()
	focus(`#email`) // to be corrected
	if name := evaluate[string](d, `document.getElementById(document.getElementById("drawer").getAttribute("aria-labelledby")).textContent`); name != "Resend" {
		t.Errorf("the dialog is called %q", name)
	}
	d.do("escape", chromedp.KeyEvent("\x1b"), chromedp.WaitNotVisible(chromedp.CSS(`dialog#drawer`)))
	focus(`.now a.primary[data-drawer]`)
	here()

	// The links that lead back close it too.
	d.click(`.now a.primary[data-drawer]`, `#drawer #email`)
	d.do("cancel", browsertest.Click(`#drawer form.form a.button`), chromedp.WaitNotVisible(chromedp.CSS(`dialog#drawer`)))
	focus(`.now a.primary[data-drawer]`)

	d.click(`.now a[data-key=r]`, `#drawer #email`)
	focus(`input[name=channel][value=email]`)
	d.shoot("drawer")
	found, err := instrument.Look(browsertest.Page{Lang: "en", Dir: "ltr"})
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range found {
		// What lies behind is covered and out of reach on purpose, so only what
		// axe-core finds counts here, which knows of dialogs.
		if strings.Contains(f, " serious ") || strings.Contains(f, " critical ") || strings.Contains(f, "heading") {
			t.Errorf("the drawer %s", f)
		}
	}
	d.do("narrow", chromedp.EmulateViewport(320, 640))
	if over := evaluate[int](d, `document.getElementById("drawer").scrollWidth - document.getElementById("drawer").clientWidth`); over > 0 {
		t.Errorf("the drawer is %d px too wide at 320 px", over)
	}
	d.do("wide", chromedp.EmulateViewport(1280, 900))

	d.fill("#email", "pat@gmial.com")
	d.click(`#drawer button[value=send]`, `#drawer .summary`)
	focus(`.summary`)
	if v := evaluate[string](d, `document.querySelector("#drawer #email").value`); v != "pat@gmial.com" {
		t.Errorf("the form forgot what was typed: %q", v)
	}
	here()
	evaluate[bool](d, `document.querySelector("#drawer #email").value = "delivered@connectlink.test"; true`)
	d.click(`#drawer button[value=preview]`, `#drawer #preview`)
	focus(`#preview`)
	here()
	d.click(`#drawer button[value=send]`, `.flash.good`)
	here()
	if evaluate[bool](d, `document.getElementById("drawer").open`) {
		t.Error("it stays open when all is done")
	}
	d.until(inv.text("id"), "delivered", func(inv object) bool { return inv.text("recipient.email") == "delivered@connectlink.test" })
}

// A person whose session ended is led to the sign-in, as by any link.
func TestBrowserADrawerWithoutASessionLeadsToTheSignIn(t *testing.T) {
	t.Parallel()
	d := newDesk(t, access.RoleAgent)
	d.open("/invites/" + d.failed().text("id"))
	d.sql(`UPDATE staff_sessions SET ended_at = now(), ended_why = 'signed_out'`)
	d.click(`.now a.primary[data-drawer]`, `.door`)
	if !strings.Contains(evaluate[string](d, `location.search`), "resend") {
		t.Error("the sign-in does not lead back to what was wanted")
	}
}
