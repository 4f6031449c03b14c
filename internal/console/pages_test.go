package console_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
	"github.com/jackc/pgx/v5"

	"github.com/connectlink/connectlink/internal/access"
	"github.com/connectlink/connectlink/internal/browsertest"
	"github.com/connectlink/connectlink/internal/grant"
	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/postgres"
	"github.com/connectlink/connectlink/internal/secret"
	"github.com/connectlink/connectlink/internal/store/account"
)

// screenshots names a folder to write pictures of every page into:
//
//	CONNECTLINK_SCREENSHOTS=/some/folder go test ./internal/console -run TestPagesAreAccessible
const screenshots = "CONNECTLINK_SCREENSHOTS"

// chromium is a headless browser that finds host here, for a very busy machine.
func chromium(t *testing.T) context.Context {
	t.Helper()
	return browsertest.New(t, 4*time.Minute, chromedp.Flag("host-resolver-rules", "MAP "+host+" 127.0.0.1"))
}

// furnish puts something onto every page.
func (s *site) furnish() {
	s.t.Helper()
	for i, name := range []string{"Backend in production", "Nightly import", "A laptop"} {
		_, k, err := s.keys.Create(s.t.Context(), grant.NewKey{ProjectID: "default", Name: name, Environment: "development", Scopes: access.Scopes()[:2+i]})
		if err != nil {
			s.t.Fatal(err)
		}
		if i == 2 {
			if _, err := s.keys.Revoke(s.t.Context(), k.ID); err != nil {
				s.t.Fatal(err)
			}
		}
	}
	colleague(s)
	list, err := s.staff.List(s.t.Context())
	if err != nil {
		s.t.Fatal(err)
	}
	by := access.Staff(list[len(list)-1].ID.String(), access.RoleAgent, "default", false)
	by.Origin = access.Origin{RequestID: "req_1", Place: []byte("12345678")}
	id := invite.New[invite.ID]()
	err = postgres.InTx(s.t.Context(), s.db, func(tx pgx.Tx) error {
		for _, e := range []account.Entry{
			{By: by, Act: access.ActUnmask, Target: id.String(), Invite: id}, {By: by, Act: access.ActCorrect, Target: id.String(), Invite: id, Data: map[string]string{"channel": "email"}},
			{By: by, Act: access.ActCopyLink, Target: id.String(), Invite: id},
		} {
			if err := account.InsertAudit(s.t.Context(), tx, e); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		s.t.Fatal(err)
	}
	s.exec(`INSERT INTO provider_accounts (account, failures, last_receipt_at, open_until) VALUES
		('sendgrid:default', 0, now() - interval '3 minutes', NULL), ('twilio:AC1', 9, now() - interval '2 hours', now() + interval '1 minute')`)
	s.exec(`INSERT INTO lanes (lane, held_at, held_by, held_why) VALUES ('default/sms/test', now() - interval '20 minutes', $1, 'provider')`, by.Actor())
}

func colleague(s *site) {
	s.t.Helper()
	_, err := s.staff.Create(s.t.Context(), access.Principal{Kind: access.KindSystem}, grant.NewAccount{
		Login: secret.New("ada@northwind.example"), Name: "Ada Lindqvist", Password: secret.New("correct horse battery"), Roles: map[string]access.Role{"default": access.RoleAgent},
	})
	if err != nil {
		s.t.Fatal(err)
	}
}

// findings runs axe-core and gives what is serious or critical, as sentences.
const findings = `axe.run(document, { resultTypes: ["violations"] }).then(r => r.violations
	.filter(v => v.impact === "serious" || v.impact === "critical")
	.flatMap(v => v.nodes.map(n => v.impact + " " + v.id + ": " + n.html.slice(0, 120) + " – " + n.failureSummary.replace(/\s+/g, " "))))`

// overflow says what is wider than the window.
const overflow = `[...document.querySelectorAll("body *")].filter(e => e.getBoundingClientRect().right > innerWidth + 1 || e.getBoundingClientRect().left < -1)
	.filter(e => !e.closest(".sr, .skip, svg, thead, .who, [hidden]") && getComputedStyle(e).position !== "absolute").map(e => e.tagName + "." + e.className).slice(0, 3)`

// small says which targets are smaller than 24 px both ways; links in running
// text are exempt (WCAG 2.2, 2.5.8).
const small = `[...document.querySelectorAll("a, button, summary, input, select")].filter(e => e.offsetParent && !e.closest(".skip, td, th, .prose, p.soft, li > a[href^='#']"))
	.filter(e => { const r = e.getBoundingClientRect(); return r.width > 0 && (r.height < 23.5 || r.width < 23.5) && !(e.type === "checkbox" || e.type === "radio"); })
	.map(e => e.outerHTML.slice(0, 100))`

func TestPagesAreAccessible(t *testing.T) {
	t.Parallel()
	axe, err := os.ReadFile(filepath.Join("..", "linkpage", "testdata", "axe", "axe.min.js"))
	if err != nil {
		t.Fatal(err)
	}
	s := newSite(t)
	s.furnish()
	ctx := chromium(t)
	pages := map[string]string{
		"sign_in": "/console/sign-in?why=idle&back=%2Fconsole%2Fdefault%2Ftest%2Fhome", "home": "/console/default/test/home", "audit": "/console/default/test/audit", "audit_empty": "/console/default/test/audit?act=erase",
		"keys": "/console/default/test/keys", "keys_live": "/console/default/live/keys", "team": "/console/default/test/team", "system": "/console/default/test/system",
		"settings": "/console/settings", "help": "/console/help", "missing": "/console/default/test/nothing",
	}
	evaluate := func(script string) []string {
		t.Helper()
		found, err := chromedp.Run(ctx, chromedp.Evaluate[[]string](script, chromedp.EvalAwaitPromise))
		if err != nil {
			t.Fatal(err)
		}
		return found
	}
	examine := func(then string) []string {
		t.Helper()
		for _, script := range []string{string(axe) + "; true", then + "; true"} {
			if _, err := chromedp.Run(ctx, chromedp.Evaluate[bool](script)); err != nil {
				t.Fatal(err)
			}
		}
		return evaluate(findings)
	}
	open := func(path string) {
		t.Helper()
		if err := chromedp.Do(ctx, chromedp.Navigate(s.url+path)); err != nil {
			t.Fatal(err)
		}
	}
	// The instrument first: it must find what is spoilt on purpose.
	open(pages["sign_in"])
	spoilt := strings.Join(examine(`document.querySelector("label[for=login]").remove(); document.documentElement.removeAttribute("lang");
		document.querySelector("h1").style.color = "#ddd"`), "\n")
	for _, want := range []string{"label", "html-has-lang"} {
		if !strings.Contains(spoilt, want) {
			t.Errorf("axe does not see %s: %s", want, spoilt)
		}
	}
	link, err := s.staff.Link(t.Context(), access.Principal{Kind: access.KindSystem}, "Robin Ortega", map[string]access.Role{"*": access.RoleAdmin}, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	look := func(name string) {
		t.Helper()
		for _, theme := range []string{"light", "dark"} {
			_, err := chromedp.Call(ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
				Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: theme}},
			})
			if err != nil {
				t.Fatal(err)
			}
			for _, width := range []int64{320, 1280} {
				if err := chromedp.Do(ctx, chromedp.EmulateViewport(width, 900)); err != nil {
					t.Fatal(err)
				}
				open(pages[name])
				s.picture(ctx, name, theme, width)
				for _, f := range append(evaluate(overflow), evaluate(small)...) {
					t.Errorf("%s at %d px, %s: too wide or too small: %s", name, width, theme, f)
				}
				// What is folded counts too.
				for _, f := range examine(`document.querySelectorAll("main details, nav details").forEach(d => d.open = true)`) {
					t.Errorf("%s at %d px, %s: %s", name, width, theme, f)
				}
			}
		}
	}
	look("sign_in")
	open("/console/sign-in/link/" + link.Reveal())
	if err := chromedp.Do(ctx, chromedp.Click(chromedp.CSS(`main button[type=submit]`)), chromedp.WaitVisible(chromedp.CSS(`header.top`))); err != nil {
		t.Fatal(err)
	}
	for name := range pages {
		if name != "sign_in" {
			look(name)
		}
	}
	// Right to left nothing leaves the window either.
	s.rightToLeft(ctx, func() {
		open(pages["home"])
		for _, name := range []string{"home", "keys", "system"} {
			open(pages[name])
			s.picture(ctx, name+"_ar", "light", 320)
			for _, f := range append(evaluate(overflow), examine("0")...) {
				t.Errorf("%s in Arabic: %s", name, f)
			}
		}
	})
}

// rightToLeft does something with the console in Arabic on a narrow screen.
func (s *site) rightToLeft(ctx context.Context, do func()) {
	s.t.Helper()
	err := chromedp.Do(ctx, chromedp.EmulateViewport(320, 900), chromedp.Navigate(s.url+"/console/settings"),
		chromedp.SetValue(chromedp.CSS(`#lang`), "ar"), chromedp.Click(chromedp.CSS(`form.form button[type=submit]`)), chromedp.WaitVisible(chromedp.CSS(`.flash`)))
	if err != nil {
		s.t.Fatal(err)
	}
	dir, err := chromedp.Run(ctx, chromedp.Evaluate[string](`document.dir + " " + document.documentElement.lang`))
	if err != nil || dir != "rtl ar" {
		s.t.Errorf("the page is %q, %v", dir, err)
	}
	do()
}

// picture writes a screenshot of the whole page where somebody wants one.
func (s *site) picture(ctx context.Context, name, theme string, width int64) {
	folder := os.Getenv(screenshots)
	if folder == "" {
		return
	}
	png, err := chromedp.Run(ctx, chromedp.FullScreenshot(100))
	if err == nil {
		err = os.WriteFile(filepath.Join(folder, fmt.Sprintf("%s-%s-%d.png", name, theme, width)), png, 0o600)
	}
	if err != nil {
		s.t.Error(err)
	}
}
