package console_test

import (
	"html"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/connectlink/connectlink/internal/access"
	"github.com/connectlink/connectlink/internal/compose"
	"github.com/connectlink/connectlink/internal/invite"
)

const messagesPath = "/console/default/test/messages"

func wordingForm(do, base, subject, lead, button string) url.Values {
	return url.Values{"do": {do}, "base": {base}, "subject": {subject}, "lead": {lead}, "button": {button}}
}

// sent is the first message of an invite as dispatch would compose it.
func (s *site) sent(t *testing.T, place invite.Place, lang string) (subject, mail string) {
	t.Helper()
	composer := must[*compose.Composer](t)(compose.New(compose.Params{PublicURL: publicURL, Messages: s.board.Messages}))
	m := composer.TryMessage(s.project(place.Project), lang, compose.UsualTrial())
	m.Livemode, m.Content.Note = place.Live, ""
	out, err := composer.Compose(m, invite.Email)
	if err != nil {
		t.Fatal(err)
	}
	return out.Email.Subject, compose.Hide(out.Email.HTML.Reveal(), "****")
}

// An administrator changes a message, sees what it will be, and goes back; live mode has it
// when it is copied there.
func TestAdministratorsChangeMessagesAndGoBack(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	admin := s.signedIn("Robin", map[string]access.Role{"default": access.RoleAdmin, "other": access.RoleAdmin})
	test, live := invite.Place{Project: "default"}, invite.Place{Project: "default", Live: true}
	at := messagesPath + "/en/first"
	if list := admin.get(messagesPath).text(); strings.Count(list, "Built-in text") != 5 || !strings.Contains(list, "Connect your {App} account to {Brand}") {
		t.Errorf("the list: %s", list)
	}
	if form := admin.get(at).body; !strings.Contains(form, `value="Connect your {App} account to {Brand}"`) || strings.Contains(form, "Copy to live mode") {
		t.Errorf("the form of a message that was not changed: %s", form)
	}

	// The preview shows the message as it would be sent, and saves nothing.
	subject, lead, button := "{App} & {Brand}: please connect", "{Inviter} of {Brand} asks you to connect {App}.", "Go to {AppShort}"
	seen := admin.post(at, wordingForm("preview", "0", subject, lead, button))
	frame := regexp.MustCompile(`<iframe[^>]* src="([^"]+)"`).FindStringSubmatch(seen.body)
	if seen.StatusCode != http.StatusOK || frame == nil || !strings.Contains(seen.text(), "Slack & Northwind: please connect") || !strings.Contains(seen.body, `value="Go to {AppShort}"`) {
		t.Fatalf("the preview: %d %s", seen.StatusCode, seen.text())
	}
	mail := admin.get(html.UnescapeString(frame[1]))
	if !strings.Contains(mail.Header.Get("Content-Security-Policy"), "sandbox") || s.count(`SELECT count(*) FROM message_wordings`) != 0 {
		t.Errorf("the frame: %v", mail.Header)
	}
	if other := s.signedIn("Kim", map[string]access.Role{"default": access.RoleAdmin}); other.get(html.UnescapeString(frame[1])).StatusCode != http.StatusNotFound {
		t.Error("the preview of another session opens")
	}
	if saved := admin.follow(admin.post(at, wordingForm("save", "0", subject, lead, button))); !strings.Contains(saved.text(), "Saved. Messages use this text from now on.") || !strings.Contains(saved.text(), "Robin") {
		t.Fatalf("saving: %s", saved.text())
	}
	now, sent := s.sent(t, test, "en")
	if now != "Slack & Northwind: please connect" || stripped(sent) != stripped(mail.body) {
		t.Errorf("%q is sent, and another mail than the preview", now)
	}
	for _, elsewhere := range []invite.Place{live, {Project: "other"}} {
		if now, _ := s.sent(t, elsewhere, "en"); !strings.HasPrefix(now, "Connect your Slack account") {
			t.Errorf("%v sends %q", elsewhere, now)
		}
	}
	if again := admin.follow(admin.post(at, wordingForm("save", "1", subject, lead, button))); !strings.Contains(again.text(), "Nothing to save") {
		t.Errorf("the same again: %s", again.text())
	}

	// A colleague who has the older form in front of them loses nothing and overwrites nothing.
	if late := admin.post(at, wordingForm("save", "0", "", "", "My button")); late.StatusCode != http.StatusUnprocessableEntity ||
		!strings.Contains(late.text(), "changed in the meantime") || !strings.Contains(late.body, `value="My button"`) || !strings.Contains(late.body, `name="base" value="1"`) {
		t.Errorf("a late form: %d %s", late.StatusCode, late.text())
	}

	if copied := admin.follow(admin.post(at+"/copy", url.Values{"version": {"1"}})); !strings.Contains(copied.text(), "Copied.") {
		t.Errorf("copying: %s", copied.text())
	}
	if now, _ := s.sent(t, live, "en"); now != "Slack & Northwind: please connect" {
		t.Errorf("live mode sends %q", now)
	}
	if !strings.Contains(admin.get("/console/default/live/messages/en/first").text(), "Copied from test mode: Robin") {
		t.Error("live mode does not say where its version is from")
	}
	if a := admin.post("/console/default/live/messages/en/first/copy", url.Values{"version": {"1"}}); a.StatusCode != http.StatusNotFound {
		t.Errorf("copying from live mode: %d", a.StatusCode)
	}

	admin.post(at, wordingForm("save", "1", "", "", "Second"))
	back := admin.follow(admin.post(at+"/restore", url.Values{"version": {"1"}, "base": {"2"}}))
	for _, want := range []string{"Restored.", "Version 3 Back to version 1: Robin", "Button: Second Go to {AppShort}", "Button: Go to {AppShort} Second", "Subject: Built-in text {App} & {Brand}: please connect"} {
		if !strings.Contains(back.text(), want) {
			t.Errorf("the history lacks %q: %s", want, back.text())
		}
	}
	admin.follow(admin.post(at+"/restore", url.Values{"version": {"0"}, "base": {"3"}}))
	if now, _ := s.sent(t, test, "en"); !strings.HasPrefix(now, "Connect your Slack account") {
		t.Errorf("with the built-in text %q is sent", now)
	}
	for _, form := range []url.Values{{"version": {"9"}, "base": {"4"}}, {"version": {"-1"}, "base": {"4"}}, {"version": {"x"}, "base": {"4"}}, {}} {
		if a := admin.post(at+"/restore", form); a.StatusCode != http.StatusNotFound {
			t.Errorf("restoring %v: %d", form, a.StatusCode)
		}
	}
	if log := admin.get("/console/default/test/audit").body; strings.Count(log, "Changed a message") < 4 || !strings.Contains(log, `href="`+at+`"`) {
		t.Error("the audit log lacks the changes")
	}
	for _, missing := range []string{"/xx/first", "/en/passcode", "/en-US/first"} {
		if a := admin.get(messagesPath + missing); a.StatusCode != http.StatusNotFound {
			t.Errorf("%s: %d", missing, a.StatusCode)
		}
	}
}

// stripped is a mail as a frame shows it, where links lead nowhere.
func stripped(mail string) string {
	for _, attribute := range []string{`href="[^"]*"`, `role="link"`, `aria-disabled="true"`, `class="[^"]*"`, `style="[^"]*"`} {
		mail = regexp.MustCompile(` `+attribute).ReplaceAllString(mail, "")
	}
	return html.UnescapeString(mail)
}

// All faults are told at once, at their fields, and the typed texts stay; nothing of it
// becomes markup.
func TestFaultsOfAMessageAreToldAtTheirFields(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	admin := s.signedIn("Robin", map[string]access.Role{"default": access.RoleAdmin})
	at := messagesPath + "/de/reminder"
	subject, lead, button := "Bcc:\r\nx@evil.example", `<script>alert(1)</script> {{.URL}} {Link}`, strings.Repeat("<b>", 20)
	for _, do := range []string{"preview", "save"} {
		a := admin.post(at, wordingForm(do, "0", subject, lead, button))
		if a.StatusCode != http.StatusUnprocessableEntity {
			t.Fatalf("%s: %d", do, a.StatusCode)
		}
		for _, want := range []string{
			"Subject: Remove line breaks and invisible characters.", "Subject: Leave out links and addresses, such as \u2068x@evil.example\u2069",
			"First sentence: \u2068{Link}\u2069 is not a variable of this text.", "First sentence: Use \u2068{App}\u2069", "First sentence: Use \u2068{Brand}\u2069", "Button: Use at most \u206830\u2069 characters.",
		} {
			if !strings.Contains(a.text(), want) {
				t.Errorf("%s: lacks %q in %s", do, want, a.text())
			}
		}
		for _, want := range []string{`href="#subject"`, `id="lead-wrong"`, html.EscapeString(lead), html.EscapeString(button)} {
			if !strings.Contains(html.UnescapeString(a.body), html.UnescapeString(want)) {
				t.Errorf("%s: the page lacks %s", do, want)
			}
		}
		if strings.Contains(a.body, "<script>alert") || strings.Contains(a.body, "<b><b>") {
			t.Error("a typed text became markup")
		}
	}
	if n := s.count(`SELECT count(*) FROM message_wordings`) + s.count(`SELECT count(*) FROM audit WHERE act = 'messages'`); n != 0 {
		t.Errorf("%d rows of a wording with faults", n)
	}
	// Long for the usual values: the preview says that another is used.
	long := "{Brand}: bitte {App} verbinden, damit alles weitergehen kann"
	if a := admin.post(at, wordingForm("preview", "0", long, "", "")); a.StatusCode != http.StatusOK || !strings.Contains(a.text(), "The subject is too long for these names") {
		t.Errorf("a long subject: %d %s", a.StatusCode, a.text())
	}
}
