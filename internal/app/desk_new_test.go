package app_test

import (
	"fmt"
	"html"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/jackc/pgx/v5"

	"github.com/connectlink/connectlink/internal/access"
	"github.com/connectlink/connectlink/internal/browsertest"
)

const newInvite = "/console/default/test/new"

// invites is how many invites there are.
func (p *product) invites() int {
	p.t.Helper()
	_, _, list := p.call("GET", "/v1/invites", nil)
	made, _ := list.at("data").([]any)
	return len(made)
}

// The preview before inviting equals the API's preview. It has no effect, and no
// other person can open it.
func TestSupportLooksAtAnInviteBeforeMakingIt(t *testing.T) {
	t.Parallel()
	p := start(t, boot{})
	v := p.staff(access.RoleAgent)
	form := url.Values{
		"key": {"k1"}, "external_user_id": {"user_7"}, "app": {"Google Sheets"}, "channel": {"email"}, "email": {"delivered@connectlink.test"},
		"phone": {"+12025550100"}, "name": {"Pat"}, "inviter": {"Sam Rivera"}, "note": {"see https://evil.example now"}, "locale": {"de"}, "do": {"preview"},
	}
	status, _, page := v.do("POST", newInvite, form.Encode())
	if status != http.StatusOK {
		t.Fatalf("%d: %s", status, page)
	}
	for _, want := range []string{"Nothing has been created or sent yet", `value="google_sheets"`, "text over the limit were removed", "/c/preview-", "1 segment", "Deutsch"} {
		if !strings.Contains(page, want) {
			t.Errorf("the preview lacks %q", want)
		}
	}
	frames := regexp.MustCompile(`<iframe[^>]* sandbox="" src="([^"]+)"`).FindAllStringSubmatch(page, -1)
	if len(frames) != 2 {
		t.Fatalf("%d frames", len(frames))
	}
	mail, landing := html.UnescapeString(frames[0][1]), html.UnescapeString(frames[1][1])
	for at, want := range map[string]string{mail: "Sam Rivera", landing: `lang="de"`} {
		if strings.Contains(at, "delivered") || strings.Contains(at, "user_7") {
			t.Errorf("the address tells who it is for: %s", at)
		}
		shown := v.get(at)
		if !strings.Contains(shown, want) || !strings.Contains(shown, "Google Sheets") || strings.Contains(shown, "href=") || strings.Contains(shown, "evil.example") {
			t.Errorf("the frame is not the preview: %.300s", shown)
		}
	}
	if n := p.invites(); n != 0 {
		t.Errorf("looking made %d invites", n)
	}
	// Bound to the author and to the typed values.
	if status, _, _ := p.staff(access.RoleAdmin).do("GET", mail, ""); status != http.StatusNotFound {
		t.Errorf("a colleague looks along: %d", status)
	}
	for _, draft := range []string{"", "x", mail[strings.Index(mail, "draft=")+6:][:40]} {
		if status, _, _ := v.do("GET", newInvite+"/proof?as=mail&draft="+draft, ""); status != http.StatusNotFound {
			t.Errorf("a draft that is none: %d", status)
		}
	}
	// The same form makes the invite that was looked at.
	form.Set("do", "send")
	if _, at, _ := v.do("POST", newInvite, form.Encode()); !strings.Contains(at, "/invites/inv_") || p.invites() != 1 {
		t.Errorf("sent: at %s with %d invites", at, p.invites())
	}
}

func TestAFaultyDraftIsNotShown(t *testing.T) {
	t.Parallel()
	p := start(t, boot{})
	v := p.staff(access.RoleAgent)
	status, _, page := v.do("POST", newInvite, url.Values{"channel": {"email"}, "do": {"preview"}}.Encode())
	if status != http.StatusUnprocessableEntity || !strings.Contains(page, `href="#external_user_id"`) || !strings.Contains(page, `href="#app"`) ||
		!strings.Contains(page, `href="#email"`) || strings.Contains(page, "<iframe") {
		t.Errorf("an empty form: %d %s", status, page)
	}
}

// The list of apps is Pipedream's: apps that need no account are left out, and
// an unknown name shows similar apps.
func TestSupportChoosesAnApp(t *testing.T) {
	t.Parallel()
	p := start(t, boot{})
	v := p.staff(access.RoleAgent)
	page := v.get(newInvite)
	for _, want := range []string{`<option value="slack">Slack</option>`, `<option value="google_search_console">`, `<option value="Europe/Berlin">`, `<option value="ar">العربية</option>`} {
		if !strings.Contains(page, want) {
			t.Errorf("the form does not offer %s", want)
		}
	}
	if strings.Contains(page, `value="rss"`) {
		t.Error("offers an app without an account")
	}
	// As a script asks for it.
	if like := v.get(newInvite + "/apps?q=sheets"); !strings.Contains(like, `<option value="google_sheets">Google Sheets</option>`) || strings.Contains(like, "slack") {
		t.Errorf("like sheets: %s", like)
	}
	form := url.Values{"key": {"k1"}, "external_user_id": {"user_7"}, "app": {"search"}, "channel": {"email"}, "email": {"delivered@connectlink.test"}, "do": {"send"}}
	status, _, again := v.do("POST", newInvite, form.Encode())
	if status != http.StatusUnprocessableEntity || !strings.Contains(again, "Pipedream has no app with this name") ||
		!strings.Contains(again, `name="meant" value="google_search_console"`) {
		t.Fatalf("an app that there is not: %d", status)
	}
	form.Set("meant", "google_search_console")
	form.Set("key", "k2")
	_, at, _ := v.do("POST", newInvite, form.Encode())
	_, _, made := p.call("GET", "/v1/invites/"+at[strings.LastIndexByte(at, '/')+1:], nil)
	if made.text("app.slug") != "google_search_console" {
		t.Errorf("invited to connect %v", made.at("app"))
	}
	// From now on it is the first of the list.
	if page := v.get(newInvite); !strings.Contains(page, `<datalist id="apps"><option value="google_search_console">Google Search Console</option>`) {
		t.Error("what this project asks for does not come first")
	}
}

// What the form of a new invite answers with, in the two writings.
func TestBrowserThePreviewOfAnInviteIsAccessible(t *testing.T) {
	t.Parallel()
	d := newDesk(t, access.RoleAgent)
	instrument := browsertest.NewInstrument(d.ctx, t)
	fields := map[string]string{
		"#external_user_id": "user_7", "#app": "Google Sheets", "#email": "pat@customer.example", "#phone": "+12025550100", "#note": "see https://x.example",
	}
	preview := func(app, then string) {
		t.Helper()
		d.open("/new")
		fields["#app"] = app
		for field, text := range fields {
			d.fill(field, text)
		}
		d.click(`button[value=preview]`, then)
	}
	for _, of := range []browsertest.Page{{Lang: "en", Dir: "ltr"}, {Lang: "ar", Dir: "rtl", Narrow: true}} {
		if of.Lang == "ar" {
			d.arabic()
		}
		preview("Google Sheets", `#preview iframe`)
		d.do("focus what was asked for", chromedp.WaitVisible(chromedp.CSS(`#preview-title:focus`)))
		d.examine(instrument, of, "new-preview")
		preview("search", `input[name=meant]`)
		d.examine(instrument, of, "new-meant")
	}
}

// TestTheFormOfANewInviteKnowsWhatTheAPIKnows: each option of the form is in the invite that the
// API shows.
func TestTheFormOfANewInviteKnowsWhatTheAPIKnows(t *testing.T) {
	t.Parallel()
	p := start(t, boot{})
	v := p.staff(access.RoleAgent)
	at := time.Now().UTC().Add(48 * time.Hour).Truncate(time.Minute)
	form := url.Values{
		"key": {"k1"}, "external_user_id": {"user_7"}, "app": {"slack"}, "channel": {"email"}, "email": {"delivered@connectlink.test"}, "phone": {"+12025550100"}, "name": {"Pat"},
		"inviter": {"Sam"}, "locale": {"de"}, "time_zone": {"Asia/Tokyo"}, "valid_for": {"604800"}, "verify": {"code"}, "count": {"2"}, "after": {"not_visited"}, "delay_s": {"900"},
		"send_at": {at.Add(9 * time.Hour).Format("2006-01-02T15:04")}, "initiated_by": {"user"}, "if_active": {"replace"}, "if_connected": {"error"},
		"source": {"asked on the phone"}, "metadata": {"team = sales\r\n\r\norder=A=1\r\n"}, "do": {"send"},
	}
	_, to, page := v.do("POST", newInvite, form.Encode())
	if !strings.Contains(to, "/invites/inv_") {
		t.Fatalf("to %q: %s", to, page)
	}
	_, _, made := p.call("GET", "/v1/invites/"+to[strings.LastIndexByte(to, '/')+1:], nil)
	for field, want := range map[string]string{
		"status": "scheduled", "send_at": at.Format(time.RFC3339), "verify": "code", "initiated_by": "user", "recipient.locale": "de", "recipient.time_zone": "Asia/Tokyo",
		"fallback.channel": "sms", "fallback.after": "not_visited", "fallback.delay_s": "900", "reminders.count": "2",
		"metadata.team": "sales", "metadata.order": "A=1", "recipient.sms_consent.source": "asked on the phone",
	} {
		if got := fmt.Sprint(made.at(field)); !strings.HasPrefix(got, strings.TrimSuffix(want, "Z")) {
			t.Errorf("%s is %q, want %q", field, got, want)
		}
	}
	db, err := pgx.Connect(t.Context(), p.db)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close(t.Context()) }()
	var lasts int
	if err := db.QueryRow(t.Context(), `SELECT valid_for_s FROM invites`).Scan(&lasts); err != nil || lasts != 604800 {
		t.Errorf("valid for %d s: %v", lasts, err)
	}
	if !strings.Contains(page, "The invite is scheduled.") {
		t.Error("the page does not tell that it is scheduled")
	}
	// All faults at once, and nothing is lost.
	form.Set("key", "k2")
	for field, text := range map[string]string{"email": "pat@@x", "send_at": "tomorrow", "metadata": "team", "count": "many", "valid_for": "9999999", "return_url": "javascript:alert(1)", "oauth_app_id": "x"} {
		form.Set(field, text)
	}
	status, _, page := v.do("POST", newInvite, form.Encode())
	for _, field := range []string{"email", "send_at", "metadata", "count", "valid_for", "return_url", "oauth_app_id"} {
		if status != http.StatusUnprocessableEntity || !strings.Contains(page, `href="#`+field+`"`) {
			t.Errorf("%d without a fault at %s", status, field)
		}
	}
	for _, kept := range []string{`value="tomorrow"`, ">team</textarea>", `<option value="de" selected>`, `<details class="more" open>`, `value="javascript:alert(1)"`} {
		if !strings.Contains(page, kept) {
			t.Errorf("the form lost %s", kept)
		}
	}
	// Without a message the link is handed over.
	_, to, page = v.do("POST", newInvite, url.Values{"key": {"k3"}, "external_user_id": {"user_8"}, "app": {"slack"}, "channel": {"link"}, "do": {"send"}}.Encode())
	if !strings.Contains(page, "Copy its link from here.") {
		t.Errorf("by link: to %q", to)
	}
}
