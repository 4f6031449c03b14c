package app_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"

	"github.com/connectlink/connectlink/internal/access"
)

// An open page follows the person until they are connected, without being
// loaded again and without moving anything from under the agent's hands; and
// who has no scripts sees the same after a reload.
func TestBrowserSupportSeesAnInviteGetConnected(t *testing.T) {
	t.Parallel()
	d := newDesk(t, access.RoleAdmin)
	made := d.invite(201, to("delivered@connectlink.test"))
	id := made.text("id")
	d.until(id, "delivered", func(inv object) bool { return inv.text("delivery.status") == "delivered" })
	d.open("/invites/" + id + "?details=1")
	d.says("Delivered to de••••@connectlink.test")
	titles := func() []string {
		return evaluate[[]string](d, `[...document.querySelectorAll("#timeline .what")].map(e => e.childNodes[0].data.trim())`)
	}
	before := titles()
	// What the agent reads and where they are; and a mark that a reload would take away.
	evaluate[bool](d, `(() => { const e = [...document.querySelectorAll("#timeline li")].at(-1); window.kept = e; e.querySelector("time").focus(); window.loaded = "once"; return true })()`)
	said := `window.said = []; new MutationObserver(() => said.push(document.querySelector(".sentence").textContent)).observe(document.querySelector(".sentence"), {childList: true, characterData: true, subtree: true}); true`
	evaluate[bool](d, said)

	d.connect(made)

	d.says("Connected as")
	d.waits("the timeline ends with the connection", func() bool { return strings.Contains(strings.Join(titles(), "\n"), " is connected") })
	if evaluate[string](d, `window.loaded || ""`) != "once" {
		t.Fatal("the page was loaded again")
	}
	after := titles()
	if len(after) <= len(before) || !slices.Equal(after[len(after)-len(before):], before) {
		t.Errorf("the timeline grew from %q to %q", before, after)
	}
	if !evaluate[bool](d, `kept.isConnected && document.activeElement === kept.querySelector("time")`) {
		t.Error("the entry that the agent reads was replaced, or has lost the focus")
	}
	if n := evaluate[int](d, `document.querySelectorAll("#timeline li dl.facts").length`); n < len(after) {
		t.Errorf("technical details of %d of %d entries are shown", n, len(after))
	}
	if sentences := evaluate[[]string](d, `said`); len(sentences) == 0 || slices.Contains(sentences, "") {
		t.Errorf("a screen reader was told %q", sentences)
	}
	if n := evaluate[int](d, `document.querySelectorAll(".now .primary, .now .danger, .now [data-key=r], .now [data-key=c]").length`); n != 0 {
		t.Errorf("%d things are still to be done with a connected invite", n)
	}

	// The same without scripts.
	noScripts := func(value bool) {
		if _, err := chromedp.Call(d.ctx, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: value}); err != nil {
			t.Fatal(err)
		}
	}
	noScripts(true)
	d.open("/invites/" + id)
	sentence, err := chromedp.Run(d.ctx, chromedp.Text(chromedp.CSS(`.sentence`)))
	if err != nil || !strings.HasPrefix(sentence, "Connected as ") {
		t.Errorf("without scripts: %q, %v", sentence, err)
	}
	timeline, err := chromedp.Run(d.ctx, chromedp.Text(chromedp.CSS(`#timeline`)))
	if err != nil {
		t.Fatal(err)
	}
	for _, title := range after {
		if !strings.Contains(timeline, title) {
			t.Errorf("without scripts the timeline lacks %q", title)
		}
	}
	noScripts(false)
}

// connect is what the person does, in a tab of their own.
func (d *desk) connect(made object) {
	d.t.Helper()
	tab, stop := chromedp.NewContext(d.ctx)
	defer stop()
	// A browser that calls itself headless is taken for a scanner.
	person := &recipient{product: d.product, ctx: tab}
	if _, err := chromedp.Call(tab, emulation.SetUserAgentOverride, emulation.SetUserAgentOverrideParams{UserAgent: personsBrowser}); err != nil {
		d.t.Fatal(err)
	}
	person.open(made.text("invite_link.url"), "ready")
	person.tap(pipedreamsButton)
	person.atPipedream("connect", "connected")
	d.until(made.text("id"), "connected", func(inv object) bool { return inv.text("status") == "connected" })
}
