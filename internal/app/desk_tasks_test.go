package app_test

import (
	"errors"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/chromedp"
	"github.com/jackc/pgx/v5"

	"github.com/connectlink/connectlink/internal/access"
	"github.com/connectlink/connectlink/internal/browsertest"
	"github.com/connectlink/connectlink/internal/grant"
	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/longtest"
)

// misspelt is an invite whose address has a wrong domain in our record. The
// message bounced, as from a domain that another company has parked.
func (d *desk) misspelt() object {
	d.t.Helper()
	d.exec(`CREATE FUNCTION sandbox.no_such_mailbox() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
		IF NEW.to_hash = coalesce((SELECT to_hash FROM sandbox.messages ORDER BY created_at, id LIMIT 1), NEW.to_hash) THEN NEW.fate := 'bounced'; END IF;
		RETURN NEW; END $$`)
	d.exec(`CREATE TRIGGER no_such_mailbox BEFORE INSERT ON sandbox.messages FOR EACH ROW EXECUTE FUNCTION sandbox.no_such_mailbox()`)
	made := d.invite(201, to("pat@gmial.com"))
	return d.until(made.text("id"), "bounced", func(inv object) bool { return inv.text("delivery.status") == "bounced" })
}

func (d *desk) exec(sql string) {
	d.t.Helper()
	db, err := pgx.Connect(d.t.Context(), d.db)
	if err != nil {
		d.t.Fatal(err)
	}
	_, err = db.Exec(d.t.Context(), sql)
	if err := errors.Join(err, db.Close(d.t.Context())); err != nil {
		d.t.Fatal(err)
	}
}

// arrived demands that the corrected message got there.
func (d *desk) arrived(inv object) {
	d.t.Helper()
	d.until(inv.text("id"), "delivered to the right address", func(inv object) bool {
		return inv.text("delivery.status") == "delivered" && inv.text("recipient.email") == "pat@gmail.com"
	})
}

// "Pat says no mail came": the agent types the right address, and finds the one
// whose domain is wrong in our record.
func TestBrowserSupportPutsAMisspeltAddressRightInFourSteps(t *testing.T) {
	t.Parallel()
	d := newDesk(t, access.RoleAgent)
	inv := d.misspelt()
	d.open("/home")
	d.within(4, func() {
		d.fill("#q", "pat@gmail.com")
		d.enter("#q", `[data-row] a`)
		d.says("Similar, recently failed")
		d.click(`[data-row] a`, `.sentence`)
		d.says("there is no mailbox at this email address")
		d.click(`.now .button.primary`, `#email`)
		d.fill("#email", "pat@gmail.com")
		d.click(`button[value=send]`, `.flash.good`)
	})
	// The page is followed: it says so by itself.
	d.says("Delivered to p••••@gmail.com")
	d.arrived(inv)
}

// The same without a mouse: a key that moves the focus is no interaction, as
// moving the mouse is none.
func TestBrowserSupportPutsAMisspeltAddressRightByKeyboardAlone(t *testing.T) {
	t.Parallel()
	d := newDesk(t, access.RoleAgent)
	inv := d.misspelt()
	d.open("/home")
	d.within(4, func() {
		d.press("/")
		d.do("search", chromedp.WaitVisible(chromedp.CSS(`#q:focus`)), chromedp.KeyEvent("pat@gmail.com"))
		d.act("search", `[data-row] a`, chromedp.KeyEvent("\r"))
		d.press("j")
		d.act("open the first row", `.sentence`, chromedp.WaitVisible(chromedp.CSS(`[data-row] a:focus`)), chromedp.KeyEvent("\r"))
		d.tab(`.now .button.primary`)
		d.act("open the drawer", `#email`, chromedp.KeyEvent("\r"))
		d.tab(`#email`)
		d.do("type", chromedp.KeyEvent("pat@gmail.com"))
		d.tab(`button[value=send]`)
		d.act("send", `.flash.good`, chromedp.KeyEvent("\r"))
	})
	d.arrived(inv)
}

// press is one key, which types nothing where the page takes it for itself.
func (d *desk) press(key string) {
	d.t.Helper()
	for _, step := range []input.DispatchKeyEventParams{{Type: "keyDown", Key: key, Text: key}, {Type: "keyUp", Key: key}} {
		if _, err := chromedp.Call(d.ctx, input.DispatchKeyEvent, step); err != nil {
			d.t.Fatal(err)
		}
	}
}

// tab goes on by the Tab key until something has the focus.
func (d *desk) tab(selector string) {
	d.t.Helper()
	for range 120 {
		if evaluate[bool](d, fmt.Sprintf(`document.activeElement.matches(%q)`, selector)) {
			return
		}
		d.do("tab", chromedp.KeyEvent("\t"))
	}
	d.t.Fatalf("the Tab key never comes to %s", selector)
}

// Three are promised; it takes two.
func TestBrowserSupportSwitchesToTextMessagesInThreeSteps(t *testing.T) {
	t.Parallel()
	d := newDesk(t, access.RoleAgent)
	body := to("mailboxfull@connectlink.test")
	body["recipient"].(object)["phone"] = "+12025550100"
	made := d.invite(201, body)
	d.until(made.text("id"), "bounced", func(inv object) bool { return inv.text("delivery.status") == "bounced" })
	d.open("/invites/" + made.text("id"))
	d.within(2, func() {
		d.click(`.now .button.primary`, `#channel`)
		if !evaluate[bool](d, `document.querySelector("input[value=sms]").checked`) {
			t.Error("the other way is not chosen yet")
		}
		d.click(`button[value=send]`, `.flash.good`)
	})
	d.until(made.text("id"), "delivered by text", func(inv object) bool {
		return inv.text("delivery.status") == "delivered" && inv.text("delivery.channel") == "sms"
	})
}

// A copied link and the reason for copying are in the timeline and the audit
// log; the copied link is ours, and it works.
func TestBrowserACopiedLinkIsOnRecord(t *testing.T) {
	t.Parallel()
	d := newDesk(t, access.RoleLead)
	made := d.invite(201, to("delivered@connectlink.test"))
	// A page that moves while the mouse is down gives the press to another element.
	d.until(made.text("id"), "delivered", func(inv object) bool { return inv.text("delivery.status") == "delivered" })
	d.open("/invites/" + made.text("id"))
	d.within(3, func() {
		d.click(`[data-key=c]`, `#why`)
		d.click(`input[value=in_person]`, `input[value=in_person]:checked`)
		d.click(`main button[type=submit]`, `#link`)
	})
	link := evaluate[string](d, `document.querySelector("#link").textContent`)
	if link != made.text("invite_link.url") || !strings.HasPrefix(link, "https://"+consoleHost+"/c/") {
		t.Errorf("copied a link that is not the invite's own")
	}
	if label := evaluate[string](d, `document.querySelector("figure svg").getAttribute("aria-label")`); label == "" {
		t.Error("the QR code says nothing to who does not see it")
	}
	d.open("/invites/" + made.text("id"))
	d.says("The invite link was copied")
	d.says("You copied the link")
	d.look("light", 1280) // where the menu is not folded
	d.within(1, func() { d.click(`.rail a[href$="/audit"]`, `main td`) })
	d.says(made.text("id"))
	d.says("The person is with me, or on the phone")
	if n := strings.Count(strings.Join(d.events(made.text("id")), " "), "link.copied"); n != 1 {
		t.Errorf("%d times on the timeline", n)
	}
}

// A viewer sees no address: not on a page, in its source, or in its stream.
func TestBrowserAViewerSeesNoAddressAnywhere(t *testing.T) {
	t.Parallel()
	d := newDesk(t, access.RoleViewer)
	const email, phone = "bounced@connectlink.test", "+12025550100"
	made := d.invite(201, object{
		"external_user_id": "pat@customer.example", "app": "slack", "channel": "email", "note": "call +1 202 555 0100",
		"recipient": object{"email": email, "phone": phone, "name": "Patricia Doe"}, "metadata": object{"owner": "owner@customer.example"},
	})
	id := made.text("id")
	d.until(id, "bounced", func(inv object) bool { return inv.text("delivery.status") == "bounced" })
	d.within(2, func() { // what a viewer is for: to find out where it hangs
		d.fill("#q", email)
		d.enter("#q", `main`)
		if evaluate[int](d, `document.querySelectorAll(".sentence").length`) == 0 {
			d.click(`[data-row] a`, `.sentence`)
		}
	})
	d.says("there is no mailbox at this email address")
	block := d.block(email, "wrote from owner@customer.example")
	for _, path := range []string{
		"/home", "/invites", "/invites/" + id, "/invites/" + id + "/saw?as=html", "/invites/" + id + "/saw?as=text", "/invites/" + id + "/saw?as=sms",
		"/invites/" + id + "/mail", "/invites/" + id + "/page", "/invites/" + id + "/saw?as=page", "/people/" + id, "/blocks", block, "/search?q=Doe", "/search?q=0100",
	} {
		source := evaluate[string](d, fmt.Sprintf(`fetch(%q).then(r => r.text())`, d.root+path))
		if len(source) < 500 {
			t.Errorf("%s is nearly empty: %q", path, source)
		}
		for _, secret := range []string{email, phone, "2025550100", "555 0100", "pat@customer", "owner@customer", "Patricia", "/c/" + code(made.text("invite_link.url"))} {
			if strings.Contains(source, secret) {
				t.Errorf("%s holds %s", path, secret)
			}
		}
	}
	stream := evaluate[string](d, fmt.Sprintf(`new Promise(done => { const s = new EventSource(%q); s.addEventListener("moved", e => { s.close(); done(e.data) }) })`, d.root+"/invites/"+id))
	if !strings.Contains(stream, "data-part") || strings.Contains(stream, email) || strings.Contains(stream, "Patricia") {
		t.Errorf("the stream: %.300q", stream)
	}
	for _, path := range []string{"/unmask", "/resend", "/revoke", "/link"} {
		if status := evaluate[int](d, fmt.Sprintf(`fetch(%q, {method: "POST"}).then(r => r.status)`, d.root+"/invites/"+id+path)); status != 403 {
			t.Errorf("%s is answered %d", path, status)
		}
	}
}

func code(link string) string { return link[strings.LastIndexByte(link, '/')+1:] }

func TestBrowserTheDeskIsAccessible(t *testing.T) {
	t.Parallel()
	d := newDesk(t, access.RoleAdmin)
	instrument := browsertest.NewInstrument(d.ctx, t)
	failed := d.failed()
	id := failed.text("id")
	body := to("delivered@connectlink.test")
	body["note"] = "as we said on the phone"
	body["external_user_id"] = strings.Repeat("0123456789abcdef", 8) // nowhere to break it
	body["recipient"] = object{"email": "delivered@connectlink.test", "phone": "+12025550100", "name": "Maria-Magdalena Wolfeschlegelsteinhausenbergerdorff de la Torre"}
	body["metadata"] = object{"workspace_that_asked_for_it": strings.Repeat("x", 120), "plan": "a plan with a long name that has spaces in it, and goes on and on"}
	expired := d.invite(201, body).text("id")
	if status, _, out := d.call("POST", "/v1/test_helpers/invites/"+expired+"/advance", object{"to": "expired"}); status != 200 {
		t.Fatalf("advance: %d %v", status, out)
	}
	d.invite(201, toPhone("+12025550106"))
	d.open("/invites/" + expired)
	d.click(`form[action$="/take"] button`, `.head .owner`)
	d.fill("#text", strings.Repeat("Donaudampfschiff", 8))
	d.click(`form[action$="/notes"] button`, `.noted`)
	d.open("/invites?status=expired")
	d.click(`.save-view summary`, `.save-view[open] form`)
	d.fill("#view-name", strings.Repeat("Donaudampfschiff", 2))
	d.click(`.save-view [type=submit]`, `.flash.good`)
	d.open("/invites")
	d.click(`.bulk [value=page]`, `.bulk .acts button`)
	d.click(`.bulk .acts [value=resend]`, `.bulk-run form`)
	_, act, _ := strings.Cut(evaluate[string](d, `location.pathname`), "/test")
	pages := map[string]string{
		"views": "/views", "bulk": act, "bulk-latest": "/bulk", "bulk-correct": "/bulk/correct",
		"search-none": "/search?q=nobody", "search-similar": "/search?q=" + url.QueryEscape("bounced@customer.example"), "search": "/search?q=connectlink.test",
		"invites": "/invites", "invites-filtered": "/invites?status=failed", "invite-failed": "/invites/" + id, "invite-expired": "/invites/" + expired,
		"resend": "/invites/" + id + "/resend?correct=1", "revoke": "/invites/" + id + "/revoke", "link": "/invites/" + id + "/link",
		"saw": "/invites/" + id + "/saw", "saw-text": "/invites/" + id + "/saw?as=text", "saw-sms": "/invites/" + id + "/saw?as=sms",
		"saw-page": "/invites/" + expired + "/saw?as=page", "saw-page-dark": "/invites/" + expired + "/saw?as=page&then=1&width=phone&dark=1",
		"person": "/people/" + id, "blocks": "/blocks", "block": d.block("pat@customer.example", "asked on the phone"), "new": "/new", "home": "/home", "system": "/system",
	}
	d.exec(furnishPictures)
	look := func(of browsertest.Page) {
		for _, name := range slices.Sorted(maps.Keys(pages)) {
			d.open(pages[name])
			at := of
			at.Narrow = of.Narrow && name != "invites" // the widest table, from the right too
			d.examine(instrument, at, name)
		}
	}
	look(browsertest.Page{Lang: "en", Dir: "ltr"})
	d.arabic()
	look(browsertest.Page{Lang: "ar", Dir: "rtl", Narrow: true})
	if longtest.Wanted() {
		for _, lang := range []string{"de", "es", "fr"} {
			d.language(lang)
			look(browsertest.Page{Lang: lang, Dir: "ltr"})
		}
	}
}

// furnishPictures stores a day of counts for every picture of Home and System.
const furnishPictures = `
INSERT INTO message_counts (project_id, livemode, bucket, provider, domain, accepted, delivered, failed, refused, accept_times, deliver_times)
SELECT 'default', false, date_bin('15 minutes', now(), timestamptz '2000-01-01 00:00:00Z') - n * interval '15 minutes', 'sendgrid', d,
	CASE WHEN n BETWEEN 30 AND 34 THEN 0 ELSE 90 - n % 7 END, CASE WHEN n BETWEEN 30 AND 34 THEN 0 WHEN n < 9 THEN 40 ELSE 80 END, CASE WHEN n < 9 THEN 20 ELSE 1 END, CASE WHEN n BETWEEN 30 AND 34 THEN 9 ELSE 0 END,
	'{60,20,10,0,0,0,0,0,0,0,0,0,0,0,0}', '{0,0,0,0,0,0,0,0,0,40,0,0,0,0,0}'
FROM generate_series(1, 90) n, unnest(ARRAY['', 'gmail.com', 'outlook.com', 'a-domain-with-a-long-name.example']) d;
INSERT INTO message_counts (project_id, livemode, bucket, provider, domain, accepted, delivered, accept_times, deliver_times)
SELECT 'default', false, date_bin('15 minutes', now(), timestamptz '2000-01-01 00:00:00Z') - n * interval '1 day', 'sendgrid', '', 90, 88, '{60,20,10,0,0,0,0,0,0,0,0,0,0,0,0}', '{0,0,0,88,0,0,0,0,0,0,0,0,0,0,0}'
FROM generate_series(2, 8) n;
INSERT INTO queue_samples (project_id, livemode, channel, at, due, oldest_s)
SELECT 'default', false, 'email', date_trunc('minute', now()) - n * interval '5 minutes', n, 5 * n FROM generate_series(1, 70) n;
INSERT INTO event_counts (project_id, livemode, bucket, type, n)
SELECT 'default', false, date_bin('15 minutes', now(), timestamptz '2000-01-01 00:00:00Z') - n * interval '8 hours', t, 3 + n % 4 FROM generate_series(1, 23) n, unnest(ARRAY['invite.delivery_failed', 'invite.expired']) t;
INSERT INTO invite_counts (project_id, livemode, day, channel, app_slug, created, sent, delivered, opened, continued, connected, connect_times)
SELECT 'default', false, (now() AT TIME ZONE 'UTC')::date - 2, c, a, 104, 100, 90, 52, 40, 38, '{1,3,6,9,12,8,5,3,2,2,1,0,1,0}' FROM unnest(ARRAY['email', 'sms']) c, unnest(ARRAY['google_drive', 'salesforce_rest_api']) a;
INSERT INTO excursions (id, project_id, livemode, kind, value, threshold) SELECT gen_random_uuid(), 'default', false, k, 71.6, 10 FROM unnest(ARRAY['bounce_rate', 'queue_age']) k`

// examine reports the accessibility faults of the shown page.
func (d *desk) examine(with *browsertest.Instrument, of browsertest.Page, name string) {
	d.t.Helper()
	d.shoot(name + "-" + of.Lang)
	found, err := with.Look(of)
	if err != nil {
		d.t.Fatalf("%s: %v", name, err)
	}
	for _, f := range found {
		d.t.Errorf("%s %s %s", name, of.Lang, f)
	}
}

// arabic is the language from now on.
func (d *desk) arabic() {
	d.t.Helper()
	d.language("ar")
}

// language chooses a language of the console.
func (d *desk) language(lang string) {
	d.t.Helper()
	evaluate[bool](d, fmt.Sprintf(`document.cookie = "connectlink_console=" + encodeURIComponent("lang=%s") + "; path=/; secure"; true`, lang))
}

// block blocks an address, as the product's backend does, and gives the page of
// the block, below the project's root.
func (d *desk) block(email, reason string) string {
	d.t.Helper()
	key, _, err := d.app.Grants.Create(d.t.Context(), grant.NewKey{Place: invite.Place{Project: "default"}, Name: "Blocks", Environment: "development", Scopes: access.Scopes()})
	if err != nil {
		d.t.Fatal(err)
	}
	may := *d.product
	may.key = key.Reveal()
	status, _, made := may.call("POST", "/v1/suppressions", object{"email": email, "reason": reason})
	if status != 201 {
		d.t.Fatalf("block: %d %v", status, made)
	}
	return "/blocks/" + made.text("id")
}
