package console_test

import (
	"html"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/connectlink/connectlink/internal/access"
	"github.com/connectlink/connectlink/internal/compose"
	"github.com/connectlink/connectlink/internal/console"
	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/message"
	"github.com/connectlink/connectlink/internal/oidc/oidctest"
	"github.com/connectlink/connectlink/internal/provider"
	"github.com/connectlink/connectlink/internal/provider/sendgrid"
	"github.com/connectlink/connectlink/internal/sandbox"
	"github.com/connectlink/connectlink/internal/secret"
)

// postbox is SendGrid's stand-in, to which the site's emails go by the real client.
type postbox struct{ *sandbox.Sandbox }

func newPostbox(s *site, p *console.Params) postbox {
	s.t.Helper()
	box := must[*sandbox.Sandbox](s.t)(sandbox.New(s.t.Context(), sandbox.Params{DB: s.db, Box: p.Box, PublicURL: publicURL + "/sandbox"}))
	vendors := httptest.NewServer(box.Vendors())
	s.t.Cleanup(vendors.Close)
	s.mail = sendgrid.New(sendgrid.Params{
		BaseURL: vendors.URL + "/sendgrid/@default", APIKey: box.Credentials().SendGridAPIKey, From: message.Address{Email: secret.New("connect@northwind.example")},
	})
	return postbox{box}
}

func (b postbox) inbox(s *site) []sandbox.Message {
	s.t.Helper()
	return must[[]sandbox.Message](s.t)(b.Messages(s.t.Context(), sandbox.MessageFilter{Limit: 200}))
}

// senders are those of live mode of the first project.
func (s *site) senders(place invite.Place, ch invite.Channel) []provider.Sender {
	if s.mail == nil || place != (invite.Place{Project: "default", Live: true}) || ch != invite.Email {
		return nil
	}
	return []provider.Sender{s.mail}
}

// newSelfSite is a site with single sign-on, whose emails reach a postbox.
func newSelfSite(t *testing.T) (s *site, mail postbox, issuer string) {
	t.Helper()
	issuer = oidctest.Start(t)
	var params *console.Params
	s = newSite(t, withIssuer(issuer, "http://"+host), func(p *console.Params) { params = p })
	return s, newPostbox(s, params), issuer
}

// key is the key of a form by which it sends once.
func (a answer) selfKey() string {
	if m := regexp.MustCompile(`name="self" value="([^"]+)"`).FindStringSubmatch(a.body); m != nil {
		return m[1]
	}
	return ""
}

const livePath = "/console/default/live"

// An administrator sends themselves a text that is not saved. It is what the text would be
// to a recipient, and it goes to the account's address, whatever the form says.
func TestAnAdministratorSendsThemselvesAMessage(t *testing.T) {
	t.Parallel()
	s, mail, issuer := newSelfSite(t)
	admin := s.browser()
	admin.signInAt(issuer, "u1", "platform")
	at := livePath + "/messages/de/reminder"
	open := admin.get(at)
	if !strings.Contains(open.text(), "goes to u1@staff.example , the address of your account, and to no other") || open.selfKey() == "" {
		t.Fatalf("the form: %s", open.text())
	}
	form := wordingForm("test", "0", "{Brand} erinnert an {App}", "{Brand} bittet Sie noch einmal um {App}.", "Weiter zu {AppShort}")
	form.Set("self", open.selfKey())
	for _, field := range []string{"to", "email", "recipient", "address"} {
		form.Set(field, "victim@elsewhere.example")
	}
	sent := admin.post(at+"?to=victim@elsewhere.example", form)
	if sent.StatusCode != http.StatusOK || !strings.Contains(sent.text(), "SendGrid took the message: look in your inbox.") || !strings.Contains(sent.body, `value="{Brand} erinnert an {App}"`) {
		t.Fatalf("sending: %d %s", sent.StatusCode, sent.text())
	}
	got := mail.inbox(s)
	if len(got) != 1 || got[0].To != "u1@staff.example" || got[0].Subject != "[Test] Northwind erinnert an Slack" || s.count(`SELECT count(*) FROM message_wordings`) != 0 {
		t.Fatalf("the inbox: %+v", got)
	}
	// The same page again, as a browser reloads it, and then its next form.
	if again := admin.post(at, form); again.StatusCode != http.StatusOK || !strings.Contains(again.text(), "SendGrid took the message") || len(mail.inbox(s)) != 1 {
		t.Errorf("the same form: %d, %d messages", again.StatusCode, len(mail.inbox(s)))
	}
	form.Set("self", sent.selfKey())
	admin.post(at, form)
	if n := len(mail.inbox(s)); n != 2 {
		t.Errorf("the next form: %d messages", n)
	}

	// Saved, it is sent to recipients with the same words.
	admin.follow(admin.post(at, wordingForm("save", "0", form.Get("subject"), form.Get("lead"), form.Get("button"))))
	composer := must[*compose.Composer](t)(compose.New(compose.Params{PublicURL: publicURL, Messages: s.board.Messages}))
	m := composer.TryMessage(s.project("default"), "de", compose.UsualTrial())
	m.Livemode, m.Content.Note, m.Kind, m.Content.Recipient.Name = true, "", invite.KindReminder, "Pat u1"
	real := must[message.Outgoing](t)(composer.Compose(m, invite.Email))
	dated := regexp.MustCompile(`(?s)(\d+\. \pL+|\d\d:\d\d|Montag|Dienstag|Mittwoch|Donnerstag|Freitag|Samstag|Sonntag)`)
	plain := func(html string) string {
		return dated.ReplaceAllString(strings.NewReplacer(compose.PreviewCode, "CODE", compose.SampleCode, "CODE", "u1@staff.example", "ADDRESS", "recipient@example.com", "ADDRESS").Replace(html), "")
	}
	if "[Test] "+real.Email.Subject != got[0].Subject || plain(real.Email.HTML.Reveal()) != plain(got[0].HTML) {
		t.Errorf("another mail is sent: %q\n%s\n%s", real.Email.Subject, plain(real.Email.HTML.Reveal()), plain(got[0].HTML))
	}
	if log := admin.get(livePath + "/audit?act=message_test_sent").text(); strings.Count(log, "Sent a message to themselves") < 3 || strings.Contains(log, "u1@staff.example") {
		t.Errorf("the audit log: %s", log)
	}
	for _, word := range []string{"u1@staff", "victim", compose.SampleCode} {
		if strings.Contains(s.log.String(), word) {
			t.Errorf("the log holds %q", word)
		}
	}
}

// Faults are told as for saving, and nothing is sent.
func TestAMessageWithFaultsIsNotSentToOneself(t *testing.T) {
	t.Parallel()
	s, mail, issuer := newSelfSite(t)
	admin := s.browser()
	admin.signInAt(issuer, "u1", "platform")
	at := livePath + "/messages/en/first"
	form := wordingForm("test", "0", "Bcc: x@evil.example", "{Link}", strings.Repeat("long ", 20))
	form.Set("self", admin.get(at).selfKey())
	a := admin.post(at, form)
	for _, want := range []string{"Subject: Leave out links and addresses", "First sentence: \u2068{Link}\u2069 is not a variable", "Button: Use at most"} {
		if a.StatusCode != http.StatusUnprocessableEntity || !strings.Contains(a.text(), want) {
			t.Errorf("%d lacks %q: %s", a.StatusCode, want, a.text())
		}
	}
	invalid := url.Values{"do": {"test"}, "self": {"x"}, "channel": {"email"}, "email": {"no address"}, "app": {""}, "external_user_id": {"user-1"}, "reason": {"kept <b>"}}
	a = admin.post(livePath+"/new", invalid)
	if a.StatusCode != http.StatusUnprocessableEntity || !strings.Contains(a.body, `href="#email"`) || !strings.Contains(a.body, `href="#app"`) || !strings.Contains(a.body, html.EscapeString("kept <b>")) {
		t.Errorf("a new invite with faults: %d %s", a.StatusCode, a.text())
	}
	if n := len(mail.inbox(s)); n != 0 || s.count(`SELECT count(*) FROM test_sends`) != 0 {
		t.Errorf("%d messages", n)
	}
}

// An agent sends themselves the message of an invite before they create it: the words and
// the language of the form, and none of its addresses.
func TestAnAgentSendsThemselvesTheMessageOfANewInvite(t *testing.T) {
	t.Parallel()
	s, mail, issuer := newSelfSite(t)
	agent := s.browser()
	agent.signInAt(issuer, "u2", "support")
	at := livePath + "/new"
	form := url.Values{
		"do": {"test"}, "self": {agent.get(at).selfKey()}, "channel": {"email"}, "email": {"customer@elsewhere.example"}, "name": {"Casey Customer"}, "app": {"slack"},
		"external_user_id": {"user-1"}, "reason": {"to post your report"}, "inviter": {"Sam"}, "locale": {"es"}, "time_zone": {"Europe/Madrid"}, "to": {"victim@elsewhere.example"},
	}
	a := agent.post(at, form)
	if a.StatusCode != http.StatusOK || !strings.Contains(a.text(), "SendGrid took the message: look in your inbox.") || !strings.Contains(a.body, `value="customer@elsewhere.example"`) || !strings.Contains(a.body, `value="to post your report"`) {
		t.Fatalf("%d %s", a.StatusCode, a.text())
	}
	got := mail.inbox(s)
	if len(got) != 1 || got[0].To != "u2@staff.example" || !strings.HasPrefix(got[0].Subject, "[Prueba] ") || !strings.Contains(got[0].Text, "to post your report") || !strings.Contains(got[0].Text, publicURL+"/c/"+compose.SampleCode) {
		t.Fatalf("the inbox: %+v", got)
	}
	for _, other := range []string{"customer@", "Casey", "victim"} {
		if strings.Contains(got[0].Text+got[0].HTML+got[0].To, other) {
			t.Errorf("the message names %q", other)
		}
	}
	if n := s.count(`SELECT count(*) FROM invites`) + s.count(`SELECT count(*) FROM deliveries`) + s.count(`SELECT count(*) FROM public_events`); n != 0 {
		t.Errorf("%d rows of an invite", n)
	}
	for _, channel := range []string{"sms", "link"} {
		form.Set("channel", channel)
		form.Set("phone", "+12025550100")
		form.Set("self", channel)
		if a := agent.post(at, form); a.StatusCode != http.StatusUnprocessableEntity || !strings.Contains(a.text(), "Only emails can be sent to you.") {
			t.Errorf("%s: %d %s", channel, a.StatusCode, a.text())
		}
	}
	// The editor is for administrators.
	if a := agent.post(livePath+"/messages/en/first", wordingForm("test", "0", "", "", "")); a.StatusCode != http.StatusForbidden {
		t.Errorf("an agent in the editor: %d", a.StatusCode)
	}
	if n := len(mail.inbox(s)); n != 1 {
		t.Errorf("%d messages", n)
	}
}

// Who cannot be sent anything reads why, in their language, and finds no button.
func TestAnAccountWithoutAnAddressIsTold(t *testing.T) {
	t.Parallel()
	s, mail, _ := newSelfSite(t)
	operator := s.signedIn("Robin", map[string]access.Role{"default": access.RoleAdmin})
	unverified := s.browser()
	unverified.back(unverified.post(unverified.get("/console/sign-in/issuer").location(), oidctest.Pick("u3", []string{"platform"}, "unverified")))
	for _, page := range []string{livePath + "/messages/en/first", livePath + "/new"} {
		for b, want := range map[*browser]string{operator: "Your account has no email address", unverified: "The sign-in service does not confirm that the email address"} {
			if a := b.get(page); !strings.Contains(a.text(), want) || a.selfKey() != "" || strings.Contains(a.body, `value="test"`) {
				t.Errorf("%s: %s", page, a.text())
			}
			form := wordingForm("test", "0", "", "", "")
			form["self"], form["channel"], form["email"], form["app"], form["external_user_id"] = []string{"x"}, []string{"email"}, []string{"a@b.example"}, []string{"slack"}, []string{"u"}
			if a := b.post(page, form); a.StatusCode != http.StatusUnprocessableEntity || !strings.Contains(a.text(), want) {
				t.Errorf("posting to %s: %d %s", page, a.StatusCode, a.text())
			}
		}
	}
	for lang, want := range map[string]string{"de": "Ihr Konto hat keine E-Mail-Adresse", "ar": "ليس لحسابك عنوان", "es": "Su cuenta no tiene dirección de correo", "fr": "Votre compte n’a pas d’adresse e-mail"} {
		operator.extra.Set("Accept-Language", lang)
		if a := operator.get(livePath + "/new"); !strings.Contains(a.text(), want) {
			t.Errorf("%s: %s", lang, a.text())
		}
	}
	if n := len(mail.inbox(s)); n != 0 {
		t.Errorf("%d messages", n)
	}
}

// Each reason why nothing was sent is told, with the form as it was typed.
func TestWhyNothingWasSentToOneselfIsTold(t *testing.T) {
	t.Parallel()
	s, mail, issuer := newSelfSite(t)
	admin := s.browser()
	admin.signInAt(issuer, "u1", "platform")
	send := func(mode string, want string, status int) {
		t.Helper()
		at := "/console/default/" + mode + "/messages/en/first"
		form := wordingForm("test", "0", "", "", "Typed button")
		form.Set("self", admin.get(at).selfKey())
		if a := admin.post(at, form); a.StatusCode != status || !strings.Contains(a.text(), want) || !strings.Contains(a.body, `value="Typed button"`) {
			t.Errorf("%d, want %q: %s", a.StatusCode, want, a.text())
		}
	}
	const refused = http.StatusUnprocessableEntity
	send("test", "no email provider is configured", refused)
	admin.follow(admin.post(livePath+"/system/email/stop", url.Values{"why": {"maintenance"}, "reason": {"maintenance"}}))
	send("live", "emails of this project and mode are paused", refused)
	admin.follow(admin.post(livePath+"/system/email/resume", nil))
	admin.follow(admin.post(livePath+"/blocks", url.Values{"channel": {"email"}, "address": {"u1@staff.example"}, "email": {"u1@staff.example"}, "reason": {"asked"}}))
	send("live", "your own address is on the suppression list", refused)
	s.exec(`UPDATE suppressions SET lifted_at = now()`)
	s.exec(`INSERT INTO provider_accounts (account, open_until) VALUES ($1, now() + interval '1 minute')`, s.mail.Account())
	send("live", "the email provider fails at the moment", refused)
	s.exec(`DELETE FROM provider_accounts`)
	for status, want := range map[int]string{
		http.StatusUnauthorized: "SendGrid refused the message.", http.StatusTooManyRequests: "SendGrid did not take the message, so it was not sent.",
		http.StatusBadGateway: "It is unknown whether SendGrid took the message",
	} {
		if err := mail.SetFaults(sandbox.Faults{SendGrid: []sandbox.Fault{{Status: status}}}); err != nil {
			t.Fatal(err)
		}
		send("live", want, http.StatusOK)
	}
	if err := mail.SetFaults(sandbox.Faults{}); err != nil {
		t.Fatal(err)
	}
	send("live", "look in your inbox", http.StatusOK)
	send("live", "look in your inbox", http.StatusOK)
	send("live", "you can send yourself 5 messages in 10 minutes and 20 in 24 hours", refused)
	if n := len(mail.inbox(s)); n != 2 {
		t.Errorf("%d messages", n)
	}
}
