package app_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"github.com/connectlink/connectlink/internal/access"
)

// All that follows is done without a mouse. A key that moves the focus is no interaction, as moving
// the mouse is none.

// search looks for something by the search box of each page: one interaction.
func (d *desk) search(text, then string) {
	d.t.Helper()
	d.press("/")
	d.do("search", chromedp.WaitVisible(chromedp.CSS(`#q:focus`)), chromedp.KeyEvent(text))
	d.act("search", then, chromedp.KeyEvent("\r"))
}

// activate presses the link or button that has the focus.
func (d *desk) activate(what, then string) {
	d.t.Helper()
	d.tab(what)
	d.act("activate "+what, then, chromedp.KeyEvent("\r"))
}

// choose selects another radio button of a group: the Tab key comes to the one that is chosen, and
// arrow keys go on.
func (d *desk) choose(group, value string) {
	d.t.Helper()
	d.clicks++
	d.tab(group + ":checked")
	for range evaluate[int](d, fmt.Sprintf(`document.querySelectorAll(%q).length`, group)) {
		if evaluate[string](d, fmt.Sprintf(`document.querySelector(%q).value`, group+":checked")) == value {
			return
		}
		d.do("choose", chromedp.KeyEvent(kb.ArrowDown))
	}
	d.t.Fatalf("%s has no %s", group, value)
}

// field fills a field in, which is an interaction here: a ticket is counted in presses and fields.
func (d *desk) field(selector, text string) {
	d.t.Helper()
	d.clicks++
	d.tab(selector)
	d.do("type", chromedp.KeyEvent(text))
}

// setTime types a time into a field of kind datetime-local, as an American browser takes it.
func (d *desk) setTime(selector string, at time.Time) {
	d.t.Helper()
	at = at.UTC()
	d.field(selector, at.Format("01022006"))
	d.do("type the hour", chromedp.KeyEvent(kb.ArrowRight), chromedp.KeyEvent(at.Format("0304PM")))
	if got, want := evaluate[string](d, fmt.Sprintf(`document.querySelector(%q).value`, selector)), at.Format("2006-01-02T15:04"); got != want {
		d.t.Fatalf("%s holds %q, want %q", selector, got, want)
	}
}

// The tickets that a support team gets in its first week, each in at most four presses and fields,
// by keyboard alone, and with its answer on the page.
func TestBrowserTicketsTakeFourInteractionsByKeyboard(t *testing.T) {
	t.Parallel()
	d := newDesk(t, access.RoleAdmin)

	bounced := d.misspelt()
	body := to("delivered@connectlink.test")
	body["external_user_id"] = "user-2" // whose data is erased below
	delivered := d.invite(201, body)
	d.until(delivered.text("id"), "delivered", func(inv object) bool { return inv.text("delivery.status") == "delivered" })
	late := d.invite(201, to("delivered+late@connectlink.test"))
	if status, _, out := d.call("POST", "/v1/test_helpers/invites/"+late.text("id")+"/advance", object{"to": "expired"}); status != 200 {
		t.Fatalf("advance: %d %v", status, out)
	}
	d.exec(`UPDATE deliveries SET created_at = now() - interval '5 minutes'`) // a resend within two is asked about
	stopped := d.invite(201, toPhone("+12025550110"))
	d.failed()
	d.open("/invites/" + stopped.text("id"))
	d.says("STOP")

	// Counts follow by some seconds.
	d.waits("the messages are counted", func() bool {
		d.open("/system")
		return strings.Contains(d.text(), "Delivery is as fast as usual.")
	})

	for _, ticket := range []struct {
		name string
		do   func()
	}{
		{"Pat says no mail came", func() {
			d.search("pat@gmail.com", `[data-row] a`)
			d.says("Similar, recently failed")
			d.activate(`[data-row] a`, `.sentence`)
			d.activate(`.now .button.primary`, `#email`)
			if got := evaluate[string](d, `document.querySelector("#email").value`); got != "pat@gmail.com" {
				t.Errorf("the field holds %q", got)
			}
			d.activate(`button[value=send]`, `.flash.good`)
			d.arrived(bounced)
		}},
		{"this link has expired", func() {
			d.search(late.text("invite_link.url"), `.sentence`)
			d.says("Expired")
			d.activate(`.now .button.primary`, `#channel`)
			d.activate(`button[value=send]`, `.flash.good`)
		}},
		{"it says another company's name", func() {
			d.search(delivered.text("invite_link.url"), `.sentence`)
			d.activate(`a[href$="/saw"]`, `#ways, main iframe, main`)
			d.activate(`a[href*="as=page"]`, `iframe`)
			if page := evaluate[string](d, `fetch(document.querySelector("iframe").src).then(r => r.text())`); !strings.Contains(page, "Acme") {
				t.Errorf("the page does not name the company: %.200s", page)
			}
		}},
		{"pressed STOP, wants messages", func() {
			d.search("+1 202 555 0110", `.sentence`)
			d.says("STOP")
			d.says("START")
		}},
		{"who resent this, and when?", func() {
			d.search(late.text("id"), `.sentence`)
			d.says("You resent it")
		}},
		{"delete everything about this person", func() {
			d.search("delivered@connectlink.test", `.sentence`)
			d.activate(`a[href*="/people/"]`, `#erase`)
			d.says("Open invites that end")
			d.field("#reason", "asked in writing")
			d.activate(`form[action$="/erase"] button`, `.flash.good`)
			d.says("Receipt of the erasure")
		}},
		{"which invites failed last night?", func() {
			d.activate(`main a[href*="status=failed"]`, `[data-row]`)
			d.setTime("#failed_since", time.Now().Add(-12*time.Hour))
			d.setTime("#failed_until", time.Now().Add(time.Minute))
			d.activate(`form.filters button[type=submit]`, `#failed_since:not([value=""])`)
			if n := evaluate[int](d, `document.querySelectorAll("[data-row]").length`); n == 0 {
				t.Error("no invite is listed")
			}
		}},
		{"why is delivery slow today?", func() {
			d.activate(`.rail a[href$="/system"]`, `#pace`)
			d.says("Delivery is as fast as usual.")
			d.says("Age of the queue")
		}},
		{"is SendGrid down?", func() {
			row := evaluate[string](d, `[...document.querySelectorAll(".provider")].map(e => e.innerText).find(t => t.includes("SendGrid")) || ""`)
			if !strings.Contains(row, "did not arrive") { // whether that is much depends on the number of messages
				t.Errorf("of SendGrid it says %q", row)
			}
		}},
		{"give a colleague access", func() {
			d.activate(`.rail a[href$="/team"]`, `#email`)
			d.field("#name", "Kim Berg")
			d.field("#email", "kim@northwind.example")
			d.activate(`main form[action$="/team"] button`, `#link`)
			if got := evaluate[string](d, `document.querySelector("#link").textContent`); !strings.HasPrefix(got, "https://"+consoleHost+"/console/sign-in/password/") {
				t.Errorf("the link is %.40q", got)
			}
		}},
		{"what exactly did they receive?", func() {
			d.search(late.text("id"), `.sentence`)
			d.activate(`a[href$="/saw"]`, `iframe`)
			d.says("Message preview")
		}},
	} {
		d.look("light", 1280) // where the menu is not folded
		d.open("/home")
		d.clicks = 0
		ticket.do()
		if d.clicks > 4 {
			t.Errorf("%q: %d interactions", ticket.name, d.clicks)
		}
		t.Logf("%q: %d", ticket.name, d.clicks)
	}

	// "50 people at one customer": eight are promised, because a wrong press here reaches many.
	const people = 50
	for n := range people {
		body := to(fmt.Sprintf("bounced+%d@connectlink.test", n))
		body["external_user_id"] = fmt.Sprintf("bigco-%d", n)
		d.invite(201, body)
	}
	d.waits("all messages bounced", func() bool {
		_, _, list := d.call("GET", "/v1/invites?delivery_status=bounced&limit=100", nil)
		bounced, _ := list["data"].([]any)
		return len(bounced) >= people
	})
	d.exec(`UPDATE deliveries SET created_at = now() - interval '5 minutes'`)
	d.open("/home")
	d.within(8, func() {
		d.search("connectlink.test", `#bulk`)
		d.choose(`#bulk input[name=scope]`, "all")
		d.activate(`#bulk button[value=resend]`, `#dry-run`)
		d.activate(`form[action*="/confirm"] button`, `#progress`)
		d.says("Finished")
	})
	t.Logf("50 people: %d", d.clicks)
	if _, _, sent := d.call("GET", "/v1/invites?limit=100", nil); strings.Count(fmt.Sprint(sent), "resend_count:1") < people {
		t.Errorf("not all were resent")
	}
}
