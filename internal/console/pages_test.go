package console_test

import (
	"context"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/jackc/pgx/v5"

	"github.com/connectlink/connectlink/internal/access"
	"github.com/connectlink/connectlink/internal/browsertest"
	"github.com/connectlink/connectlink/internal/grant"
	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/longtest"
	"github.com/connectlink/connectlink/internal/postgres"
	"github.com/connectlink/connectlink/internal/secret"
	"github.com/connectlink/connectlink/internal/store/account"
)

// chromium is a headless browser that finds host here.
func chromium(t *testing.T) context.Context {
	t.Helper()
	return browsertest.New(t, chromedp.Flag("host-resolver-rules", "MAP "+host+" 127.0.0.1"))
}

// furnish puts something onto every page.
func (s *site) furnish() {
	s.t.Helper()
	for i, name := range []string{"Backend in production", "Nightly import", "A laptop"} {
		_, k, err := s.keys.Create(s.t.Context(), grant.NewKey{Place: invite.Place{Project: "default"}, Name: name, Environment: "development", Scopes: access.Scopes()[:2+i]})
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
	by := access.Staff(list[len(list)-1].ID.String(), access.RoleAgent, invite.Place{Project: "default"})
	by.Origin = access.Origin{RequestID: "req_1", AddressHash: []byte("12345678")}
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
	s.exec(`INSERT INTO message_wordings (project_id, livemode, version, language, situation, subject, lead, button, did, author) VALUES
		('default', false, 1, 'ar', 'first', '{Brand}: {App}', '', '{AppShort}', 'saved', $1), ('default', false, 2, 'ar', 'first', '', '', 'Connect {AppShort}', 'saved', $1)`, by.Actor())
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

// TestBrowserPagesAreAccessible looks at the pages about the console itself; those
// that show invites are looked at in package app, with a whole process behind.
func TestBrowserPagesAreAccessible(t *testing.T) {
	t.Parallel()
	browsertest.Need(t)
	h := newHooked(t)
	s := h.site
	s.furnish()
	webhook, event := h.furnishWebhooks()
	ctx := chromium(t)
	pages := map[string]string{
		"sign_in": "/console/sign-in?why=idle&back=%2Fconsole%2Fdefault%2Ftest%2Fhome", "home": "/console/default/test/home", "audit": "/console/default/test/audit", "audit_empty": "/console/default/test/audit?act=erase",
		"keys": "/console/default/test/keys", "keys_live": "/console/default/live/keys", "team": "/console/default/test/team", "system": "/console/default/test/system", "pauses": "/console/default/live/pauses",
		"webhooks": webhooksPath, "webhooks_live": "/console/default/live/webhooks", "webhook": webhook,
		"messages": messagesPath, "message": messagesPath + "/ar/first",
		"events": "/console/default/test/events", "event": event,
		"settings": "/console/settings", "help": "/console/help", "missing": "/console/default/test/nothing",
	}
	invited := must[grant.Invitation](t)(s.staff.Invite(t.Context(), access.Principal{Kind: access.KindSystem}, grant.Colleague{
		Email: "kim@northwind.example", Name: "Kim Berg", Project: "default", Role: access.RoleAgent,
	}))
	pages["password"] = "/console/sign-in/password/" + invited.Link.Reveal()
	instrument := browsertest.NewInstrument(ctx, t)
	open := func(path string) {
		t.Helper()
		if err := chromedp.Do(ctx, chromedp.Navigate(s.url+path)); err != nil {
			t.Fatal(err)
		}
	}
	look := func(name string, of browsertest.Page) {
		t.Helper()
		open(pages[name])
		browsertest.Picture(ctx, t, name+"-"+of.Lang, of.Lang == "en")
		found, err := instrument.Look(of)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		for _, f := range found {
			t.Errorf("%s %s %s", name, of.Lang, f)
		}
	}
	english, arabic := browsertest.Page{Lang: "en", Dir: "ltr"}, browsertest.Page{Lang: "ar", Dir: "rtl", Narrow: true}
	look("sign_in", english)
	link, err := s.staff.Link(t.Context(), access.Principal{Kind: access.KindSystem}, "Robin Ortega", map[string]access.Role{"*": access.RoleAdmin}, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	open("/console/sign-in/link/" + link.Reveal())
	if err := chromedp.Do(ctx, browsertest.Click(`main button[type=submit]`), chromedp.WaitVisible(chromedp.CSS(`header.top`))); err != nil {
		t.Fatal(err)
	}
	all := []browsertest.Page{english, arabic}
	if longtest.Wanted() {
		for _, lang := range []string{"de", "es", "fr"} {
			all = append(all, browsertest.Page{Lang: lang, Dir: "ltr"})
		}
	}
	for _, of := range all {
		if of.Lang != "en" {
			err := chromedp.Do(ctx, chromedp.Navigate(s.url+"/console/settings"), chromedp.SetValue(chromedp.CSS(`#lang`), of.Lang),
				browsertest.Click(`form.form button[type=submit]`), chromedp.WaitVisible(chromedp.CSS(`.flash`)))
			if err != nil {
				t.Fatal(err)
			}
		}
		for _, name := range slices.Sorted(maps.Keys(pages)) {
			if name != "sign_in" {
				look(name, of)
			}
		}
	}
}
