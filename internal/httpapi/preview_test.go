package httpapi_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/connectlink/connectlink/config"
	"github.com/connectlink/connectlink/internal/message"
	"github.com/connectlink/connectlink/templates"
)

const wanted = `{"external_user_id": "u", "app": "slack", "channel": "email",
	"recipient": {"email": "delivered@connectlink.test", "name": "Pat", "locale": "de-AT", "time_zone": "Europe/Vienna"},
	"inviter": {"name": "Sam Rivera"}, "reason": "to post builds, see https://evil.example/login"}`

func TestAPreviewShowsEverythingAndMakesNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	counts := func() string {
		var out []string
		for _, table := range []string{"invites", "deliveries", "codes", "connect_links", "events", "idempotency"} {
			var n int
			if err := w.db.QueryRow(t.Context(), "SELECT count(*) FROM "+table).Scan(&n); err != nil {
				t.Fatal(err)
			}
			out = append(out, fmt.Sprint(table, n))
		}
		return strings.Join(out, " ")
	}
	before := counts()
	w.mintDown.Store(true) // a preview that minted would say so
	r := w.call(t, w.readOnly, "POST", "/v1/invites/preview", wanted)
	if r.status != 200 {
		t.Fatalf("%d: %s", r.status, r.body)
	}
	for path, want := range map[string]string{
		"object": "invite_preview", "livemode": "false", "previews.0.language": "de", "previews.0.direction": "ltr",
		"previews.0.email.subject": "Verbinden Sie Ihr Konto bei Slack mit Acme", "previews.0.sms.encoding": "GSM-7", "previews.0.sms.segments": "1",
		"previews.0.pages.0.state": "ready", "previews.0.pages.0.status": "200",
	} {
		if got := fmt.Sprint(r.at(t, path)); got != want {
			t.Errorf("%s = %q, want %q", path, got, want)
		}
	}
	if html := fmt.Sprint(r.at(t, "previews.0.pages.0.html")); !strings.Contains(html, `<html lang="de"`) || !strings.Contains(html, "Slack") {
		t.Errorf("the page: %s", html)
	}
	text := fmt.Sprint(r.at(t, "previews.0.email.text"))
	for _, want := range []string{"Guten Tag Pat,", "Sam Rivera von Acme", "(Ortszeit Wien)", publicURL + "/c/preview-", "Grund: to post builds"} {
		if !strings.Contains(text, want) {
			t.Errorf("the mail does not say %q:\n%s", want, text)
		}
	}
	if got := warnings(t, r, 0); !slices.Equal(got, []string{"legal_line_missing", "privacy_url_missing", "text_stripped"}) {
		t.Errorf("warnings %v", got)
	}
	if after := counts(); after != before {
		t.Errorf("stored: %s, before %s", after, before)
	}
}

func TestAPreviewInEveryLanguageAndInOne(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r := w.call(t, w.readOnly, "POST", "/v1/invites/preview?language=all", wanted)
	var langs []string
	want := must(message.NewRenderer(templates.FS)).Languages()
	if all, ok := r.at(t, "previews").([]any); !ok || len(all) != len(want) {
		t.Fatalf("%d previews of %v", len(all), want)
	}
	for i := range want {
		langs = append(langs, fmt.Sprint(r.at(t, fmt.Sprintf("previews.%d.language", i))))
	}
	if r.status != 200 || !slices.Equal(langs, want) {
		t.Fatalf("%d: %v", r.status, langs)
	}
	if got := warnings(t, r, 0); !slices.Contains(got, "sms_over_one_segment") || fmt.Sprint(r.at(t, "previews.0.direction")) != "rtl" {
		t.Errorf("Arabic: %v", got)
	}
	for lang, status := range map[string]int{"fr": 200, "es-MX": 200, "pt-PT": 200, "ja-JP": 200, "xx": 422, "zz-ZZ": 422} {
		if r := w.call(t, w.readOnly, "POST", "/v1/invites/preview?language="+lang, wanted); r.status != status {
			t.Errorf("%s: %d, want %d: %s", lang, r.status, status, r.body)
		}
	}
	if r := w.call(t, w.readOnly, "POST", "/v1/invites/preview?lang=de", wanted); r.status != 422 {
		t.Errorf("a parameter there is none of: %d", r.status)
	}
}

func TestAPreviewIsAsStrictAsACreate(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r := w.call(t, w.key, "POST", "/v1/invites/preview", `{"external_user_id": "", "app": "Slack!", "channel": "fax", "recipent": {}}`)
	for _, pointer := range []string{"/external_user_id", "/app", "/channel", "/recipent"} {
		if r.status != 422 || !strings.Contains(string(r.body), `"`+pointer+`"`) {
			t.Errorf("%d, nothing about %s: %s", r.status, pointer, r.body)
		}
	}
	if r := w.call(t, w.blocks, "POST", "/v1/invites/preview", wanted); r.status != 403 {
		t.Errorf("without the scope: %d", r.status)
	}
	if r := w.call(t, w.key, "POST", "/v1/invites/preview", strings.Replace(wanted, `"slack"`, `"no_such_app_at_all"`, 1)); r.status != 422 {
		t.Errorf("an app there is none of: %d", r.status)
	}
}

func TestAPreviewKnowsTheBrandsFaults(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.project.Brand = config.Brand{Name: "Northwind Traders International", Region: "US", Colour: "#ffd43b", LegalLine: "Northwind", PrivacyURL: "https://northwind.example/p"}
	r := w.call(t, w.live, "POST", "/v1/invites/preview", strings.Replace(wanted, "de-AT", "en", 1))
	if r.status != 200 || fmt.Sprint(r.at(t, "livemode")) != "true" {
		t.Fatalf("%d: %s", r.status, r.body)
	}
	if got := warnings(t, r, 0); !slices.Equal(got, []string{"inviter_left_out", "colour_contrast", "text_stripped"}) {
		t.Errorf("warnings %v: %s", got, r.at(t, "previews.0.sms.text"))
	}
}

func warnings(t *testing.T, r reply, n int) []string {
	t.Helper()
	var out []string
	list, _ := r.at(t, fmt.Sprintf("previews.%d.warnings", n)).([]any)
	for _, one := range list {
		out = append(out, fmt.Sprint(one.(map[string]any)["code"]))
	}
	return out
}

// TestAPreviewInNoLanguageOnlyValidates is how a client checks many requests.
func TestAPreviewInNoLanguageOnlyValidates(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r := w.call(t, w.readOnly, "POST", "/v1/invites/preview?language=none", wanted)
	if list, ok := r.json(t)["previews"].([]any); r.status != 200 || !ok || len(list) != 0 {
		t.Errorf("%d %s", r.status, r.body)
	}
	const bad = `{"external_user_id":"u1","app":"slack","channel":"email","recipient":{"email":"pat@"},"expires_in":-1}`
	for _, lang := range []string{"none", "en"} {
		r := w.call(t, w.readOnly, "POST", "/v1/invites/preview?language="+lang, bad)
		if list, _ := r.json(t)["errors"].([]any); r.status != 422 || len(list) != 2 {
			t.Errorf("%s: %d %s", lang, r.status, r.body)
		}
	}
}
