package app_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/connectlink/connectlink/internal/access"
	"github.com/connectlink/connectlink/internal/grant"
	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/seal"
	"github.com/connectlink/connectlink/internal/secret"
)

// hostile strings try to become markup, script, attributes, templates or SQL.
func hostile() []string {
	return []string{
		`<script>window.pwned=1</script>`, `"><img src=x onerror=window.pwned=1>`, `'><svg onload=window.pwned=1>`, "`${window.pwned=1}`",
		`</textarea><script>window.pwned=1</script>`, `{{.Secret}} {{template "x"}}`, `javascript:window.pwned=1`, `&lt;b&gt; &amp; <b>`,
		`'; DROP TABLE invites; --`, "\u202eevil\u2066", `%s%d%!`, `<!--`, `]]>`, `<a href=javascript:window.pwned=1>x</a>`,
	}
}

// worst has nothing that is taken out of what people write, as addresses of
// pages are.
const worst = `"><b onclick='pwned = 1'>b</b><textarea>`

// harmless asserts that no part of a page was created by input. The policy
// would keep most of it from running; it must not even exist.
func (d *desk) harmless(where string) {
	d.t.Helper()
	made := evaluate[[]string](d, `[...("pwned" in window ? ["it ran"] : []), ...[...document.querySelectorAll(
		"script:not([src^='/console/static/']), main img:not(.appmark[src^='/logos/']), main b:not(.i), main iframe:not(.mail), style, object, embed, base, [onerror], [onload], [onclick], [href^='javascript' i], [action^='javascript' i], [src^='javascript' i]"
		)].map(e => e.outerHTML.slice(0, 120))]`)
	if len(made) > 0 {
		d.t.Errorf("%s: what somebody wrote became %q", where, made)
	}
}

// shows demands that a page says all of these, letter by letter. What turns
// writing round may be taken out; white space is one space.
func (d *desk) shows(where string, all []string) {
	d.t.Helper()
	plain := strings.NewReplacer("\u202e", "", "\u2066", "", "\u2068", "", "\u2069", "")
	text := strings.Join(strings.Fields(plain.Replace(evaluate[string](d, `document.querySelector("main").textContent`))), " ")
	for _, h := range all {
		if !strings.Contains(text, strings.Join(strings.Fields(plain.Replace(h)), " ")) {
			d.t.Errorf("%s does not show %q", where, h)
		}
	}
}

// What products, recipients and providers write is text on every page.
func TestBrowserHostileTextIsShownAsText(t *testing.T) {
	t.Parallel()
	d := newDesk(t, access.RoleAdmin)
	for i, h := range hostile() {
		body := object{
			"external_user_id": "u" + h, "app": "slack", "channel": "email", "reason": h, "note": h,
			"recipient": object{"email": fmt.Sprintf("delivered+%d@connectlink.test", i), "name": h}, "inviter": object{"name": h}, "metadata": object{h[:min(len(h), 40)]: h},
		}
		status, _, made := d.call("POST", "/v1/invites", body)
		if status != 201 {
			t.Fatalf("%q: %d %v", h, status, made)
		}
		id := made.text("id")
		for _, path := range []string{"/invites/" + id, "/people/" + id, "/invites/" + id + "/saw", "/search?q=" + url.QueryEscape(h), "/invites?app=" + url.QueryEscape(h) + "&status=" + url.QueryEscape(h)} {
			d.open(path)
			d.harmless(fmt.Sprintf("%s with %q", path, h))
		}
		if i == 0 {
			d.open("/invites/" + id)
			d.shows("the invite", []string{h})
		}
	}
	// Through the console's own forms too.
	d.open("/new")
	for _, field := range []string{"#external_user_id", "#app", "#email", "#phone", "#name", "#inviter", "#reason", "#time_zone"} {
		d.fill(field, `"><img src=x onerror=window.pwned=1>`)
	}
	d.click(`main button[type=submit]`, `.summary`)
	d.harmless("a form shown again")
}

// What comes back from providers and recipients, on the page and in its stream.
func TestBrowserHostileAnswersAreShownAsText(t *testing.T) {
	t.Parallel()
	d := newDesk(t, access.RoleAdmin)
	all := strings.Join(hostile(), " ")
	said, err := json.Marshal("550 5.1.1 " + all)
	if err != nil {
		t.Fatal(err)
	}
	d.exec(`CREATE FUNCTION sandbox.hostile() RETURNS trigger LANGUAGE plpgsql AS $f$ BEGIN
		NEW.extra := jsonb_set(NEW.extra, '{reason}', $j$` + string(said) + `$j$::jsonb); RETURN NEW; END $f$`)
	d.exec(`CREATE TRIGGER hostile BEFORE INSERT ON sandbox.events FOR EACH ROW WHEN (NEW.name = 'bounce') EXECUTE FUNCTION sandbox.hostile()`)
	bounced := d.failed()
	d.open("/invites/" + bounced.text("id"))
	d.shows("the bounced invite", hostile()[:6])
	d.harmless("the bounced invite")

	// The words of a recipient come into a page that is open already.
	made := d.invite(201, to("delivered@connectlink.test"))
	id := made.text("id")
	d.until(id, "delivered", func(inv object) bool { return inv.text("delivery.status") == "delivered" })
	d.open("/invites/" + id)
	form := url.Values{"from": {"page"}, "why": {"scam"}, "words": {worst + all}}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, d.base+"/c/"+code(made.text("invite_link.url"))+"/not-me", strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("User-Agent", personsBrowser)
	req.Header.Set("Accept-Language", "en")
	res, err := d.http.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()
	d.until(id, "reported", func(inv object) bool { return inv.text("status") == "revoked" })
	d.says("the person reported that it is not for them")
	d.waits("the recipient's words", func() bool { return evaluate[int](d, `document.querySelectorAll("#timeline .words").length`) > 0 })
	d.shows("the stream", []string{worst})
	d.harmless("the stream")

	// And an account may be called anything.
	made = d.invite(201, to("delivered@connectlink.test"))
	d.connect(made)
	d.called(made.text("id"), all)
	for _, path := range []string{"/invites/", "/people/"} {
		d.open(path + made.text("id"))
		d.shows(path, hostile())
		d.harmless(path)
	}
}

// called gives the account that an invite was connected to another name.
func (d *desk) called(id, name string) {
	d.t.Helper()
	keyset, err := seal.ParseKeyset(secret.New(d.seal))
	if err != nil {
		d.t.Fatal(err)
	}
	box, err := seal.NewBox(keyset)
	if err != nil {
		d.t.Fatal(err)
	}
	of, err := invite.Parse[invite.ID](id)
	if err != nil {
		d.t.Fatal(err)
	}
	sealed, err := box.Seal([]byte(name), seal.AD{Column: "invites.account_name", ID: of.UUID()})
	if err != nil {
		d.t.Fatal(err)
	}
	d.exec(fmt.Sprintf(`UPDATE invites SET account_name = '\x%x' WHERE id = '%x'`, sealed, of.UUID()))
}

// Text from staff is text for other staff: names, keys, reasons of
// suppressions and of their end, filters and searches.
func TestBrowserHostileWordsOfStaffAreShownAsText(t *testing.T) {
	t.Parallel()
	d := newDesk(t, access.RoleAdmin)
	system := access.Principal{Kind: access.KindSystem}
	for i, h := range hostile() {
		if _, _, err := d.app.Grants.Create(t.Context(), grant.NewKey{Place: invite.Place{Project: "default"}, Name: h, Environment: "development", Scopes: access.DefaultScopes()}); err != nil {
			t.Fatalf("key %q: %v", h, err)
		}
		if _, err := d.app.Staff.Create(t.Context(), system, grant.NewAccount{
			Login: secret.New(fmt.Sprintf("h%d@northwind.example", i)), Name: h, Password: secret.New("correct horse battery"), Roles: map[string]access.Role{"default": access.RoleLead},
		}); err != nil {
			t.Fatalf("account %q: %v", h, err)
		}
		d.block(fmt.Sprintf("b%d@customer.example", i), "because "+h)
	}
	for _, path := range []string{"/keys", "/team", "/blocks", "/audit"} {
		d.open(path)
		d.harmless(path)
		if path == "/keys" || path == "/team" {
			d.shows(path, hostile())
		}
	}
	d.open(d.block("worst@customer.example", worst))
	d.shows("a block", []string{worst})
	d.fill("#reason", worst)
	d.click(`#lift + form button`, `.flash`)
	d.harmless("after lifting a block")
	d.open("/audit")
	d.harmless("the audit log")

	// A reason for revoking, a note for sending again, and who signs in by such a name.
	made := d.invite(201, to("delivered@connectlink.test"))
	d.until(made.text("id"), "delivered", func(inv object) bool { return inv.text("delivery.status") == "delivered" })
	d.open("/invites/" + made.text("id") + "/resend")
	d.fill("#email", worst)
	d.fill("#note", worst)
	d.click(`button[value=preview]`, `#preview`)
	d.harmless("the drawer shown again")
	d.open("/invites/" + made.text("id") + "/revoke")
	d.fill("#reason", worst)
	d.click(`main button[type=submit]`, `.flash`)
	d.shows("the revoked invite", []string{worst})
	d.harmless("the revoked invite")
	for _, h := range hostile() {
		q := url.QueryEscape(h)
		for _, path := range []string{
			"/audit?who=" + q + "&act=" + q + "&target=" + q + "&since=" + q + "&until=" + q, "/blocks?kind=" + q + "&channel=" + q + "&after=" + q,
			"/invites?status=" + q + "&channel=" + q + "&reason=" + q + "&app=" + q + "&since=" + q + "&after=" + q,
		} {
			d.open(path)
			d.harmless(path)
		}
	}
	d.signInAs(worst, access.RoleAdmin)
	d.open("/home")
	d.harmless("the page of somebody of such a name")
	if got := evaluate[string](d, `document.querySelector(".who").textContent`); got != worst {
		t.Errorf("the menu is headed %q", got)
	}
}
