package message_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/connectlink/connectlink/internal/message"
	"github.com/connectlink/connectlink/internal/secret"
)

// inSituation is a message of a situation, as dispatch fills it.
func inSituation(s message.Situation, lang string) message.Vars {
	v := sample()
	v.Locale, v.Inviter, v.ExpiresAt = lang, "Sam Rivera", sentAt.Add(72*60*60*1e9)
	switch s {
	case message.OnRequest:
		v.Initiator = message.ByUser
	case message.OnResend:
		v.Kind = message.Resend
	case message.OnReminder:
		v.Kind = message.Reminder
	case message.OnReconnect:
		v.IsReconnect = true
	case message.OnFirst:
	}
	return v
}

func email(t *testing.T, r *message.Renderer, v message.Vars) (subject, text, html string) {
	t.Helper()
	m, err := r.Email(v)
	if err != nil {
		t.Fatal(err)
	}
	return m.Subject, m.Text.Reveal(), m.HTML.Reveal()
}

func TestWordingsReplaceTextsOfTheirSituationOnly(t *testing.T) {
	t.Parallel()
	own := newRenderer(t)
	for _, lang := range []string{"en", "ar", "pt-BR"} {
		for _, on := range message.Situations() {
			slot := message.Slot{Language: lang, Situation: on}
			r, err := own.With(map[message.Slot]message.Wording{slot: {
				Subject: "Ours: {App} for {Brand}", Lead: "Our lead: {Inviter} of {Brand} needs {App} within {Duration}.", Button: "Our button for {AppShort}",
			}})
			if err != nil {
				t.Fatal(err)
			}
			if r.Version() == own.Version() {
				t.Error("the version is that of the templates")
			}
			for _, in := range message.Situations() {
				subject, text, html := email(t, r, inSituation(in, lang))
				wasSubject, wasText, wasHTML := email(t, own, inSituation(in, lang))
				if in != on {
					if subject != wasSubject || text != wasText || html != wasHTML {
						t.Errorf("%s, %s: the wording of %s is used", lang, in, on)
					}
					continue
				}
				flat := strings.NewReplacer("\n", " ", "\u2068", "", "\u2069", "").Replace(text)
				if subject != "Ours: Slack for Acme" || !strings.Contains(flat, "Our button for Slack") ||
					!strings.Contains(flat, "Our lead: Sam Rivera of Acme needs Slack within ") || !strings.Contains(html, "Our button for ") || !strings.Contains(html, "Our lead: <bdi>") {
					t.Errorf("%s, %s: %q, %s", lang, in, subject, text)
				}
				if strings.Count(text, "Our") != 3 { // in the subject's line, the lead and the button
					t.Errorf("%s, %s: %s", lang, in, text)
				}
			}
			// Others of the invite, and other languages, say what they said.
			for name, v := range map[string]message.Vars{
				"resend to reconnect": func() message.Vars { v := inSituation(message.OnResend, lang); v.IsReconnect = true; return v }(),
				"passcode": func() message.Vars {
					v := inSituation(on, lang)
					v.Kind, v.Passcode = message.Passcode, secret.New("012345")
					return v
				}(),
				"another language": inSituation(on, "de"),
			} {
				s, x, h := email(t, r, v)
				ws, wx, wh := email(t, own, v)
				if s != ws || x != wx || h != wh {
					t.Errorf("%s, %s: the wording is used in a %s", lang, on, name)
				}
			}
		}
	}
}

// A region without messages of its own says what its language says.
func TestWordingsReachTheRegionsOfTheirLanguage(t *testing.T) {
	t.Parallel()
	r, err := newRenderer(t).With(map[message.Slot]message.Wording{{Language: "en", Situation: message.OnFirst}: {Button: "Go to {App}"}})
	if err != nil {
		t.Fatal(err)
	}
	if _, text, _ := email(t, r, inSituation(message.OnFirst, "en-US")); !strings.Contains(text, "Go to Slack") {
		t.Error(text)
	}
}

// What a message lacks, and what has no room, leaves the templates' text in place.
func TestATextThatDoesNotApplyGivesWayToTheTemplates(t *testing.T) {
	t.Parallel()
	own := newRenderer(t)
	r, err := own.With(map[message.Slot]message.Wording{{Language: "en", Situation: message.OnFirst}: {
		Subject: "A subject of some length, with {App} and with {Brand}", Lead: "{Inviter} asks for {App} at {Brand}.",
	}})
	if err != nil {
		t.Fatal(err)
	}
	v := inSituation(message.OnFirst, "en")
	v.Inviter, v.AppName = "", "Microsoft Outlook Calendar"
	subject, text, html := email(t, r, v)
	wasSubject, wasText, wasHTML := email(t, own, v)
	if subject != wasSubject || text != wasText || html != wasHTML {
		t.Errorf("%q: %s", subject, text)
	}
}

func TestHostileWordingsStayText(t *testing.T) {
	t.Parallel()
	own := newRenderer(t)
	// As a row of another version may hold it: Check refuses all of these.
	hostile := "\"`<script>alert(1)</script>\r\nBcc: x@example.org {{.URL}} {URL} {{template \"email\" .}} \\{{\u202e{App} {Brand}"
	r, err := own.With(map[message.Slot]message.Wording{{Language: "en", Situation: message.OnFirst}: {Subject: "S\r\nBcc: x {{.URL}} <b>", Lead: hostile, Button: hostile}})
	if err != nil {
		t.Fatal(err)
	}
	subject, text, html := email(t, r, inSituation(message.OnFirst, "en"))
	if subject != "SBcc: x {{.URL}} <b>" {
		t.Errorf("the subject is %q", subject)
	}
	if strings.Contains(html, "<script") || strings.Contains(html, "<b>") || !strings.Contains(html, "&lt;script&gt;") || !strings.Contains(html, "{{.URL}}") {
		t.Error("the HTML part took markup")
	}
	if strings.ContainsAny(text, "\r\u202e") || strings.Contains(text, "\nBcc") || strings.Count(text, inviteURL) != 1 {
		t.Errorf("the text part: %s", text)
	}
}

func TestCheckTellsAllFaultsOfAWording(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		w    message.Wording
		want string // part code text
	}{
		"nothing":          {message.Wording{}, ""},
		"good":             {message.Wording{Subject: "Connect {App} to {Brand}", Lead: "{Inviter} at {Brand} asks for {App} (2 minutes).", Button: "Go"}, ""},
		"a joiner spells":  {message.Wording{Button: "می\u200cخواهم"}, ""},
		"no-break spaces":  {message.Wording{Button: "Connecter\u202f! {App}\u00a0"}, ""},
		"too long":         {message.Wording{Subject: "{Brand} " + strings.Repeat("x", 56)}, "subject too_long 60"},
		"as long as can":   {message.Wording{Subject: "{Brand} " + strings.Repeat("x", 55)}, ""},
		"an address":       {message.Wording{Button: "See acme.example/x"}, "button link acme.example"},
		"of a name":        {message.Wording{Button: "See {Brand}.com"}, "button link xx.com"},
		"a mail address":   {message.Wording{Button: "Ask x@y"}, "button link x@y"},
		"with a scheme":    {message.Wording{Button: "javascript://x"}, "button link javascript://x"},
		"a number":         {message.Wording{Button: "Call +1 (202) 555"}, "button number 1 (202) 555"},
		"another variable": {message.Wording{Button: "{URL}"}, "button variable {URL}"},
		"of the lead only": {message.Wording{Subject: "{Inviter} and {App}"}, "subject variable {Inviter}"},
		"a brace":          {message.Wording{Button: "{{.App}}"}, "button variable {"},
		"without names":    {message.Wording{Lead: "Please connect."}, "lead missing {App}; lead missing {Brand}"},
		"a line break":     {message.Wording{Button: "Go\nnow"}, "button character "},
		"bidi override":    {message.Wording{Button: "Go \u202e now"}, "button character "},
		"not UTF-8":        {message.Wording{Button: "Go \xff"}, "button character "},
		"all at once":      {message.Wording{Subject: "www.x", Lead: "{X}\x00", Button: strings.Repeat("y", 31)}, "subject link www.x; subject missing {App}; lead character ; lead variable {X}; lead missing {App}; lead missing {Brand}; button too_long 30"},
	} {
		var got []string
		for _, f := range c.w.Check("Acme") {
			got = append(got, fmt.Sprintf("%s %s %s", f.Part, f.Code, f.Text))
		}
		if diff := cmp.Diff(c.want, strings.Join(got, "; ")); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

// The editor begins with what the templates say, and nothing of it is a fault.
func TestTheTemplatesTextsPassAsWordings(t *testing.T) {
	t.Parallel()
	own := newRenderer(t)
	for _, lang := range own.Languages() {
		for _, on := range message.Situations() {
			slot := message.Slot{Language: lang, Situation: on}
			w, err := own.Wording(slot)
			if err != nil {
				t.Fatal(err)
			}
			if w.Subject == "" || w.Lead == "" || w.Button == "" || w != w.Tidy() || len(w.Check("Acme")) > 0 {
				t.Errorf("%s, %s: %+v has %v", lang, on, w, w.Check("Acme"))
			}
			r, err := own.With(map[message.Slot]message.Wording{slot: w})
			if err != nil {
				t.Fatal(err)
			}
			if again, err := r.Wording(slot); err != nil || again != w {
				t.Errorf("%s, %s: %+v became %+v, %v", lang, on, w, again, err)
			}
			s, x, h := email(t, r, inSituation(on, lang))
			ws, wx, wh := email(t, own, inSituation(on, lang))
			if s != ws || x != wx || h != wh {
				t.Errorf("%s, %s: the same texts make another message", lang, on)
			}
		}
	}
}

func TestVersionsOfWordingsDifferAsTheTextsDo(t *testing.T) {
	t.Parallel()
	own := newRenderer(t)
	with := func(w message.Wording) string {
		r, err := own.With(map[message.Slot]message.Wording{{Language: "en", Situation: message.OnFirst}: w})
		if err != nil {
			t.Fatal(err)
		}
		return r.Version()
	}
	a, b, c := with(message.Wording{Button: "A"}), with(message.Wording{Button: "B"}), with(message.Wording{})
	if a == b || a != with(message.Wording{Button: "A"}) || c != own.Version() {
		t.Errorf("%s, %s, %s; the templates' is %s", a, b, c, own.Version())
	}
	for _, slot := range []message.Slot{{Language: "xx", Situation: message.OnFirst}, {Language: "en", Situation: "passcode"}} {
		if _, err := own.With(map[message.Slot]message.Wording{slot: {Button: "A"}}); err == nil {
			t.Errorf("%v was taken", slot)
		}
	}
}
