package page_test

import (
	"bytes"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"
	_ "time/tzdata"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/net/html"

	"github.com/connectlink/connectlink/internal/message"
	"github.com/connectlink/connectlink/internal/page"
	"github.com/connectlink/connectlink/templates"
)

var (
	update = flag.Bool("update", false, "write the golden files anew")
	now    = time.Date(2026, 11, 23, 13, 40, 12, 0, time.UTC)
)

const (
	codePath = "/c/x7Kp2mQ9rT4vW8sZ"
	stopPath = "/s/x7Kp2mQ9rT4vW8sZ"
	pageURL  = "https://go.acme.example" + codePath
)

func newPages(t testing.TB) *page.Pages {
	t.Helper()
	p, err := page.New(templates.FS)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func sample(t testing.TB) page.Data {
	t.Helper()
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	return page.Data{
		Brand: "Acme", Colour: "#0b5fff", SupportEmail: "support@acme.example",
		LegalLine: "Acme GmbH, Torstraße 1, 10119 Berlin", PrivacyURL: "https://acme.example/privacy",
		App:     page.App{Name: "Slack", AuthType: "oauth"},
		Inviter: "Sam Rivera", Reason: "to post your build results", RecipientMasked: "p••@c•••.example",
		ExpiresAt: now.Add(3*time.Hour + 48*time.Minute), Now: now, Zone: berlin, ZoneIsRecipients: true,
		CodePath: codePath, Nonce: "n0nce",
	}
}

type shot struct {
	state page.State
	data  page.Data
}

// shots are the pages that differ in what they show.
func shots(t testing.TB) map[string]shot {
	t.Helper()
	out := map[string]shot{}
	add := func(name string, s page.State, change func(*page.Data)) {
		d := sample(t)
		change(&d)
		out[name] = shot{s, d}
	}
	keep := func(*page.Data) {}
	add("ready", page.Ready, keep)
	add("ready_product_asks", page.Ready, func(d *page.Data) { d.Inviter, d.Reason, d.ZoneIsRecipients = "", "", false })
	add("ready_reconnect", page.Ready, func(d *page.Data) { d.Reconnect = true })
	add("ready_reconnect_user_asked", page.Ready, func(d *page.Data) { d.Reconnect, d.InitiatedBy = true, message.ByUser })
	add("ready_user_asked", page.Ready, func(d *page.Data) { d.InitiatedBy = message.ByUser })
	add("ready_keys_test_long", page.Ready, func(d *page.Data) {
		d.Brand, d.App.Name, d.Inviter = "Northwind Traders International", "Google Search Console", "Alexandra Montgomery-Whitfield"
		d.App.AuthType, d.TestMode, d.Colour, d.CanReport = "keys", true, "#ffd43b", true
		d.LogoURL, d.App.LogoURL = "https://cdn.acme.example/logo.png?v=2", "/logos/0123456789abcdef0123456789abcdef.png"
	})
	for _, why := range []string{"cancelled", "denied", "error"} {
		add("ready_failed_before_"+why, page.Ready, func(d *page.Data) { d.FailedBefore, d.Failure = true, why })
	}
	add("ready_note", page.Ready, func(d *page.Data) { d.Note = "Use the finance <b>workspace</b>, please" })
	add("busy", page.Busy, keep)
	add("busy_retries", page.Busy, func(d *page.Data) { d.RetryIn, d.Try = 10, 1 })
	add("busy_again", page.Busy, func(d *page.Data) { d.Persistent, d.Reference = true, "7KQ2-M9TX" })
	add("connected", page.Connected, keep)
	add("connected_named_return", page.Connected, func(d *page.Data) {
		d.AccountName, d.ReturnURL, d.ReturnAfter = "Acme Workspace", "https://acme.example/settings?invite=inv_1&status=connected", 4
	})
	add("connected_to_app", page.Connected, func(d *page.Data) {
		d.ReturnURL, d.ReturnAfter, d.ReturnsToApp = "acmeapp://done?invite=inv_1&status=connected", 1, true
	})
	add("unknown_last_letter", page.Unknown, func(d *page.Data) { *d = page.Data{Nonce: d.Nonce, Missing: 1} })
	add("start", page.Start, func(d *page.Data) { *d = page.Data{Nonce: d.Nonce} })
	add("sample", page.Sample, func(d *page.Data) { *d = page.Data{Nonce: d.Nonce} })
	add("could_not_connect", page.CouldNotConnect, func(d *page.Data) { d.CanRetry, d.Reference = true, "7KQ2-M9TX" })
	add("could_not_connect_cancelled", page.CouldNotConnect, func(d *page.Data) { d.Failure, d.CanRetry = "cancelled", true })
	add("could_not_connect_denied", page.CouldNotConnect, func(d *page.Data) { d.Failure, d.ReturnURL = "denied", "acme://done" })
	add("expired", page.Expired, keep)
	add("expired_renewable", page.Expired, func(d *page.Data) { d.CanRenew, d.RenewChannel = true, "email" })
	add("expired_reportable_by_text", page.Expired, func(d *page.Data) {
		d.CanRenew, d.RenewChannel, d.CanReport, d.RecipientMasked = true, "sms", true, "+1 ••• ••• •100"
	})
	add("replaced_renewable", page.Replaced, func(d *page.Data) { d.ReplacedAt, d.CanRenew, d.RenewChannel = now.Add(-time.Hour), true, "email" })
	add("sent", page.Sent, func(d *page.Data) { d.RenewChannel = "email" })
	add("sent_by_text", page.Sent, func(d *page.Data) {
		d.RenewChannel, d.RecipientMasked, d.Reference = "sms", "+1 ••• ••• •100", "7KQ2-M9TX"
	})
	add("not_me", page.NotMe, func(d *page.Data) { d.CanSuppress = true })
	add("not_me_unchosen", page.NotMe, func(d *page.Data) { d.Unchosen, d.Words = true, "I <b>never</b> asked for this" })
	add("revoked_by_report", page.Revoked, func(d *page.Data) { d.CanUndo = true })
	add("thanks", page.Thanks, func(d *page.Data) { d.CanUndo = true })
	add("stop", page.Stop, func(d *page.Data) { d.StopPath, d.RecipientMasked = stopPath, "+1 ••• ••• •100" })
	add("stopped", page.Stopped, func(d *page.Data) {
		d.StopPath, d.CanResume, d.RecipientMasked = stopPath, true, "+1 ••• ••• •100"
	})
	add("stop_mail", page.Stop, func(d *page.Data) {
		d.StopPath, d.RecipientMasked, d.RenewChannel = stopPath, "p••@c•••.example", "email"
	})
	add("stopped_mail", page.Stopped, func(d *page.Data) {
		d.StopPath, d.RecipientMasked, d.RenewChannel = stopPath, "p••@c•••.example", "email"
	})
	verify := func(by string, v page.Verification) func(*page.Data) {
		return func(d *page.Data) {
			d.VerifyBy, d.Verify = by, v
			if by == "sms" {
				d.RecipientMasked = "+1 ••• ••• •100"
			}
		}
	}
	add("returned", page.Returned, func(d *page.Data) { *d = page.Data{Nonce: d.Nonce} })
	add("ready_asks_code", page.Ready, func(d *page.Data) { d.VerifyBy = "email" })
	add("verify", page.Verify, verify("email", page.Verification{Left: 5, CanSend: true, Wait: time.Minute, Lasts: 10 * time.Minute}))
	add("verify_by_text_again", page.Verify, verify("sms", page.Verification{Left: 5, CanSend: true, Lasts: 8 * time.Minute}))
	add("verify_wrong", page.Verify, verify("email", page.Verification{Said: "wrong", Left: 1, Lasts: 8 * time.Minute}))
	add("verify_malformed_held", page.Verify, func(d *page.Data) {
		verify("email", page.Verification{Said: "malformed", Left: 5, CanSend: true, Lasts: 8 * time.Minute})(d)
		d.Held, d.CanReport = true, true
	})
	add("verify_too_often", page.Verify, verify("email", page.Verification{Said: "too_often", Ended: true, CanSend: true}))
	add("verify_too_late_no_more", page.Verify, verify("sms", page.Verification{Said: "too_late", Ended: true}))
	add("verify_undelivered", page.Verify, verify("sms", page.Verification{Left: 5, CanSend: true, Undelivered: true, Lasts: 9 * time.Minute}))
	add("verify_nowhere_to_send", page.Verify, func(d *page.Data) { d.Reference = "7KQ2-M9TX" })
	add("ready_held", page.Ready, func(d *page.Data) { d.Held, d.CanReport = true, true })
	add("ready_handover", page.Ready, func(d *page.Data) { d.PageURL, d.CanReport = pageURL, true })
	add("in_app_android", page.InApp, func(d *page.Data) {
		d.PageURL, d.CanReport, d.InApp = pageURL, true, page.InAppBrowser{Name: "Instagram", Android: true}
	})
	add("in_app_ios", page.InApp, func(d *page.Data) {
		d.App.Name, d.PageURL, d.InApp = "Google Sheets", pageURL, page.InAppBrowser{Name: "LinkedIn", IOS: true, Refused: true}
	})
	add("in_app_unknown", page.InApp, keep)
	add("ready_stayed", page.Ready, func(d *page.Data) { d.Stay = true })
	add("replaced", page.Replaced, func(d *page.Data) { d.ReplacedAt = now.Add(-time.Hour) })
	add("revoked", page.Revoked, keep)
	add("unknown", page.Unknown, func(d *page.Data) { *d = page.Data{Nonce: d.Nonce} })
	add("too_many", page.TooMany, func(d *page.Data) { *d = page.Data{Nonce: d.Nonce} })
	add("finishing", page.Finishing, func(d *page.Data) { d.RefreshIn = 2 })
	add("finishing_waited", page.Finishing, func(d *page.Data) { d.Waited = true })
	return out
}

func render(t testing.TB, p *page.Pages, s page.State, d page.Data) string {
	t.Helper()
	return renderIn(t, p, "en", s, d)
}

func renderIn(t testing.TB, p *page.Pages, lang string, s page.State, d page.Data) string {
	t.Helper()
	var b bytes.Buffer
	if err := p.Render(&b, s, lang, d); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// spoken are all languages that pages are written in, with their directions.
func spoken(t testing.TB) map[string]string {
	t.Helper()
	ls, err := message.NewLanguages(templates.FS)
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]string{}
	for _, tag := range ls.Tags() {
		if l := ls.Match(tag); l.Owns("pages") {
			out[tag] = l.Dir
		}
	}
	return out
}

// inEveryLanguage calls f for each page in each language. English has no folder
// of its own among the golden files.
func inEveryLanguage(t *testing.T, f func(t *testing.T, lang, name string, sh shot)) {
	t.Helper()
	for lang := range spoken(t) {
		for name, sh := range shots(t) {
			if lang != "en" {
				name = lang + "/" + name
			}
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				f(t, lang, name, sh)
			})
		}
	}
}

func parse(t testing.TB, src string) *html.Node {
	t.Helper()
	doc, err := html.Parse(strings.NewReader(src))
	if err != nil {
		t.Fatal(err)
	}
	return doc
}

func attr(n *html.Node, key string) string {
	for _, a := range n.Attr {
		if a.Key == key {
			return a.Val
		}
	}
	return ""
}

var inlined = regexp.MustCompile(`(?s)(<(style|script)[^>]*>).*?(</(style|script)>)`)

func TestPagesMatchTheirGoldenFiles(t *testing.T) {
	t.Parallel()
	p := newPages(t)
	seen := map[page.State]bool{}
	for _, sh := range shots(t) {
		seen[sh.state] = true
	}
	inEveryLanguage(t, func(t *testing.T, lang, name string, sh shot) {
		got := inlined.ReplaceAllString(renderIn(t, p, lang, sh.state, sh.data), "$1…$3")
		file := filepath.Join("testdata", "golden", name+".html")
		if *update {
			if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
				t.Fatal(err)
			}
			return
		}
		want, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(strings.Split(string(want), "\n"), strings.Split(got, "\n")); diff != "" {
			t.Errorf("%s changed (-want +got); if meant, run with -update:\n%s", name, diff)
		}
	})
	for _, s := range page.States() {
		if !seen[s] {
			t.Errorf("state %s has no golden file", s)
		}
	}
}

func TestPagesKeepTheRules(t *testing.T) {
	t.Parallel()
	p := newPages(t)
	inEveryLanguage(t, func(t *testing.T, lang, _ string, sh shot) {
		src := renderIn(t, p, lang, sh.state, sh.data)
		if len(src) >= 50_000 {
			t.Errorf("%d bytes", len(src))
		}
		count := map[string]int{}
		robots, og := "", ""
		for n := range parse(t, src).Descendants() {
			if n.Type != html.ElementNode {
				continue
			}
			count[n.Data]++
			for _, a := range n.Attr {
				if a.Key == "style" || strings.HasPrefix(a.Key, "on") {
					t.Errorf("<%s %s> is refused by the policy", n.Data, a.Key)
				}
				if a.Key == "href" && strings.Contains(a.Val, "ZgotmplZ") {
					t.Errorf("<%s> leads nowhere", n.Data)
				}
			}
			if (n.Data == "style" || n.Data == "script") && attr(n, "nonce") != sh.data.Nonce {
				t.Errorf("<%s> lacks the nonce", n.Data)
			}
			if s := attr(n, "src"); s != "" && s != sh.data.LogoURL && s != sh.data.App.LogoURL {
				t.Errorf("<%s> loads %s", n.Data, s)
			}
			if n.Data == "meta" && attr(n, "name") == "robots" {
				robots = attr(n, "content")
			}
			if strings.HasPrefix(attr(n, "property"), "og:") {
				og += attr(n, "content") + "\n"
			}
			if n.Data == "form" && (attr(n, "method") != "post" || !strings.HasPrefix(attr(n, "action"), codePath) && attr(n, "action") != stopPath) {
				t.Errorf("the form goes %s to %s", attr(n, "method"), attr(n, "action"))
			}
			if n.Data == "svg" && attr(n, "aria-hidden") != "true" {
				t.Error("a picture is read out")
			}
		}
		if count["h1"] != 1 || count["main"] != 1 || count["title"] != 1 {
			t.Errorf("h1 %d, main %d, title %d", count["h1"], count["main"], count["title"])
		}
		if count["script"] > 1 || count["link"]+count["iframe"]+count["object"]+count["base"] > 0 {
			t.Errorf("elements that have no place here: %v", count)
		}
		if !strings.Contains(robots, "noindex") {
			t.Error("search engines may keep it")
		}
		for _, private := range []string{sh.data.Brand, sh.data.Inviter, sh.data.App.Name, sh.data.RecipientMasked} {
			if private != "" && strings.Contains(og, private) {
				t.Errorf("a preview robot is told %q", private)
			}
		}
		if sh.data.TestMode != strings.Contains(src, `class="test"`) {
			t.Error("the TEST bar is wrong")
		}
	})
}

func TestOnlyALookedAtPageThatLeadsOnTellsThatItWasSeen(t *testing.T) {
	t.Parallel()
	p := newPages(t)
	for _, s := range page.States() {
		src := render(t, p, s, sample(t))
		if got, want := strings.Contains(src, `data-seen="`+codePath+`/seen"`), s == page.Ready || s == page.InApp; got != want {
			t.Errorf("%s: beacon %v, want %v", s, got, want)
		}
	}
	d := sample(t)
	d.Nonce = ""
	if strings.Contains(render(t, p, page.Ready, d), "<script") {
		t.Error("a script that the policy refuses was sent")
	}
}

func TestPolicyAllowsTheLogosAndNothingElse(t *testing.T) {
	t.Parallel()
	p := newPages(t)
	const head = "default-src 'none'; style-src 'nonce-N'; script-src 'nonce-N'; connect-src 'self'; img-src "
	const tail = "; base-uri 'none'; frame-ancestors 'none'"
	for _, tt := range []struct{ name, brand, app, want string }{
		{"no logos", "", "", "'none'"},
		{"both, without queries", "https://cdn.example/a/logo.png?x=1", "/logos/0123456789abcdef0123456789abcdef.png", "https://cdn.example/a/logo.png 'self'"},
		{"an app's logo is on this host only", "", "https://assets.example/app", "'none'"},
		{"an app's logo is a picture", "", "/c/0123456789abcdef0123456789abcdef.png", "'none'"},
		{"http is dropped", "http://cdn.example/a.png", "", "'none'"},
		{"data is dropped", "data:image/png;base64,AA", "", "'none'"},
		{"a directive in the path keeps its origin only", "https://cdn.example/a;script-src%20*", "", "https://cdn.example"},
		{"a directive in the host is dropped", "https://cdn.example;script-src */a", "", "'none'"},
		{"credentials are dropped", "https://u:p@cdn.example/a", "", "'none'"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			d := page.Data{LogoURL: tt.brand, App: page.App{LogoURL: tt.app}}
			if got := p.CSP("N", d); got != head+tt.want+tail {
				t.Errorf("got  %s\nwant %s", got, head+tt.want+tail)
			}
		})
	}
}

func TestReturnGoesOnlyWhereABrowserMayGo(t *testing.T) {
	t.Parallel()
	p := newPages(t)
	for target, want := range map[string]bool{
		"https://acme.example/done?a=1&b=2": true,
		"acme-app://done":                   true,
		"javascript:alert(1)":               false,
		"JavaScript:alert(1)":               false,
		"\tjavascript:alert(1)":             false,
		"data:text/html,x":                  false,
		"view-source:https://acme.example":  false,
		"//acme.example":                    false,
		"/relative":                         false,
		"":                                  false,
	} {
		d := sample(t)
		d.ReturnURL, d.ReturnAfter = target, 4
		var links, refreshes []string
		for n := range parse(t, render(t, p, page.Connected, d)).Descendants() {
			if strings.Contains(attr(n, "class"), "button") {
				links = append(links, attr(n, "href"))
			}
			if attr(n, "http-equiv") == "refresh" {
				refreshes = append(refreshes, attr(n, "content"))
			}
		}
		if want && (!slices.Equal(links, []string{target}) || !slices.Equal(refreshes, []string{"4;url=" + target})) {
			t.Errorf("%q: links %q, refreshes %q", target, links, refreshes)
		}
		if !want && len(links)+len(refreshes) > 0 {
			t.Errorf("%q: links %q, refreshes %q", target, links, refreshes)
		}
	}
}

func TestHostileValuesStayText(t *testing.T) {
	t.Parallel()
	p := newPages(t)
	bad := []string{
		`<script>alert(1)</script>`, `"><img src=x onerror=alert(1)>`, `</style><h1>x`, `' onmouseover='x`,
		`{{.Nonce}}`, "a\nb\x00", "\u202egnol", strings.Repeat("x", 5000), "javascript:alert(1)", "%s%n", "\xff",
	}
	languages := spoken(t)
	for _, s := range page.States() {
		for i, v := range bad {
			t.Run(fmt.Sprintf("%s %d", s, i), func(t *testing.T) {
				t.Parallel()
				for lang := range languages {
					d := sample(t)
					d.CanRetry, d.Persistent, d.AccountName, d.Reference = true, true, "x", "x"
					d.CanRenew, d.CanReport, d.CanSuppress, d.Held, d.Unchosen, d.Words, d.PageURL = true, true, true, true, true, "x", pageURL
					d.InApp = page.InAppBrowser{Name: "x", IOS: true} // Android's button is tested by itself
					want := elements(t, renderIn(t, p, lang, s, d))
					d.Brand, d.App.Name, d.Inviter, d.Reason, d.RecipientMasked = v, v, v, v, v
					d.SupportEmail, d.LegalLine, d.PrivacyURL, d.Colour = v, v, v, v
					d.AccountName, d.Reference, d.ReturnURL, d.Failure, d.ConnectHost = v, v, v, v, v
					d.LogoURL, d.App.LogoURL = v, v
					d.Words, d.InApp.Name, d.RenewChannel, d.PageURL = v, v, v, v
					for el, n := range elements(t, renderIn(t, p, lang, s, d)) {
						if n > want[el] {
							t.Errorf("%s: <%s> appears %d times instead of %d", lang, el, n, want[el])
						}
					}
				}
			})
		}
	}
}

func elements(t *testing.T, src string) map[string]int {
	out := map[string]int{}
	for n := range parse(t, src).Descendants() {
		if n.Type == html.ElementNode {
			out[n.Data]++
			for _, a := range n.Attr {
				if strings.HasPrefix(a.Key, "on") || strings.HasPrefix(strings.TrimSpace(a.Val), "javascript:") {
					t.Errorf("<%s %s=%q>", n.Data, a.Key, a.Val)
				}
			}
		}
	}
	return out
}

func TestStatusOfEachState(t *testing.T) {
	t.Parallel()
	want := map[page.State]int{
		page.Ready: 200, page.Busy: 503, page.Connected: 200, page.CouldNotConnect: 200, page.Expired: 410,
		page.Replaced: 410, page.Revoked: 410, page.Unknown: 404, page.TooMany: 429, page.Finishing: 200,
		page.InApp: 200, page.Sent: 200, page.NotMe: 200, page.Thanks: 200, page.Stop: 200, page.Stopped: 200, page.Verify: 200, page.Returned: 200, page.Start: 200, page.Sample: 200,
	}
	got := map[page.State]int{}
	for _, s := range page.States() {
		got[s] = s.Status()
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestLanguageComesFromTheInviteThenTheBrowser(t *testing.T) {
	t.Parallel()
	files := fstest.MapFS{}
	err := fs.WalkDir(templates.FS, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		src, err := fs.ReadFile(templates.FS, name)
		files[name] = &fstest.MapFile{Data: src}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	p, err := page.New(files)
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ locale, accept, want string }{
		{"", "", "en"},
		{"ar", "en", "ar"},
		{"ar-EG", "", "ar"},
		{"", "ar-SA,en;q=0.5", "ar"},
		{"", "nl-BE,nl;q=0.9,ar;q=0.5", "ar"},
		{"", "pt-BR,pt;q=0.9,ar;q=0.5", "pt-BR"},
		{"", "pt-PT", "pt-BR"},
		{"pt", "de", "pt-BR"},
		{"ja-JP", "de", "ja"},
		{"", "ja-JP,ja;q=0.9", "ja"},
		{"", "fr-CA,fr;q=0.9,ar;q=0.5", "fr"},
		{"es-419", "", "es"},
		{"de-CH", "fr", "de"},
		{"en-US", "ar", "en-US"},
		{"", "ko", "en"},
		{"", "!!;q=x,,,", "en"},
		{"not a locale", "ar", "ar"},
		{"en-GB", "", "en"},
	} {
		if got := p.Language(tt.locale, tt.accept); got != tt.want {
			t.Errorf("%q, %q: %s, want %s", tt.locale, tt.accept, got, tt.want)
		}
	}
	var b bytes.Buffer
	if err := p.Render(&b, page.Ready, "ar", sample(t)); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(b.String(), `<html lang="ar" dir="rtl">`) {
		t.Error("the page is not set from the right")
	}

	files["ar/pages/ready.html"] = &fstest.MapFile{Data: []byte(`{{define "title"}}x{{end}}{{define "main"}}{{.Brnad}}{{end}}`)}
	if _, err := page.New(files); err == nil {
		t.Error("a field that does not exist stopped nothing")
	}
	delete(files, "ar/pages/ready.html")
	if _, err := page.New(files); err == nil {
		t.Error("a language without a page stopped nothing")
	}
}

func TestTheLanguageCanBeChangedOnThePageAndStaysChosen(t *testing.T) {
	t.Parallel()
	p := newPages(t)
	d := sample(t)
	d.CanRenew, d.CanReport, d.PageURL, d.Chosen, d.Query = true, true, pageURL, "de", "stay=1"
	languages := spoken(t)
	if languages["en"] != "ltr" || languages["ar"] != "rtl" || languages["pt-BR"] != "ltr" || languages["ja"] != "ltr" || len(languages) < 7 {
		t.Fatalf("languages: %v", languages)
	}
	for _, s := range page.States() {
		offered := map[string]string{}
		current := ""
		for n := range parse(t, renderIn(t, p, "de", s, d)).Descendants() {
			if n.Data == "nav" {
				for c := range n.Descendants() {
					if c.Data == "a" {
						offered[attr(c, "lang")+" "+attr(c, "dir")] = attr(c, "href")
					}
					if attr(c, "aria-current") == "true" {
						current += attr(c, "lang")
					}
				}
				continue
			}
			// Where the page leads, the choice goes along. The beacon needs none,
			// and another browser's address stays as it was sent.
			for _, key := range []string{"href", "action"} {
				if a := attr(n, key); strings.HasPrefix(a, codePath) && !strings.HasSuffix(a, "lang=de") {
					t.Errorf("%s: <%s> forgets the language: %s", s, n.Data, a)
				}
			}
		}
		want := map[string]string{}
		for lang, dir := range languages {
			if lang != "de" {
				want[lang+" "+dir] = "?stay=1&lang=" + lang
			}
		}
		if diff := cmp.Diff(want, offered); diff != "" || current != "de" {
			t.Errorf("%s: current %q, offered (-want +got):\n%s", s, current, diff)
		}
	}
	for tag, want := range map[string]string{"de": "de", "AR": "ar", "en-US": "en-US", "pt-BR": "pt-BR", "ja": "ja", "de-AT": "", "": "", "xx": "", "../x": ""} {
		if got := p.Chosen(tag); got != want {
			t.Errorf("chosen %q: %q, want %q", tag, got, want)
		}
	}
}

func TestDataDoesNotPrint(t *testing.T) {
	t.Parallel()
	d := sample(t)
	if s := fmt.Sprintf("%v %+v %#v %s", d, d, &d, d); strings.Contains(s, codePath) || strings.Contains(s, "Sam") {
		t.Error(s)
	}
}
