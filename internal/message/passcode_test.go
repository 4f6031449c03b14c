package message_test

import (
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/connectlink/connectlink/internal/message"
	"github.com/connectlink/connectlink/internal/secret"
)

func passcode(tag string) message.Vars {
	v := sample()
	v.Kind, v.Locale, v.URL = message.Passcode, tag, secret.Text{}
	v.Passcode, v.PageHost, v.ExpiresAt = secret.New("048213"), "go.acme.example", sentAt.Add(10*time.Minute)
	return v
}

func TestPasscodesAreSentWithoutALinkInEveryLanguage(t *testing.T) {
	t.Parallel()
	r := newRenderer(t)
	for _, tag := range written(t) {
		segments, _ := cheapest(tag)
		for name, change := range map[string]func(*message.Vars){
			"": func(*message.Vars) {},
			"_long_names": func(v *message.Vars) {
				long := longNames()
				v.Brand, v.AppName, v.Inviter = long.Brand, long.AppName, long.Inviter
			},
		} {
			t.Run(tag+name, func(t *testing.T) {
				t.Parallel()
				v := passcode(tag)
				change(&v)
				mail, err := r.Email(v)
				if err != nil {
					t.Fatal(err)
				}
				sms, err := r.SMS(v)
				if err != nil {
					t.Fatal(err)
				}
				dir := tag + "/"
				if tag == "en" {
					dir = ""
				}
				golden(t, dir+"passcode"+name+".html", mail.HTML.Reveal())
				golden(t, dir+"passcode"+name+".txt", "Subject: "+mail.Subject+"\n\n"+mail.Text.Reveal())
				golden(t, dir+"passcode"+name+".sms.txt", sms.Body.Reveal())
				if sms.Segments > segments {
					t.Errorf("the text has %d segments", sms.Segments)
				}
				if body := sms.Body.Reveal(); !strings.HasSuffix(body, "\n@go.acme.example #048213") || strings.Count(body, "048213") != 2 || strings.Contains(body, "http") {
					t.Errorf("the text is %q", body)
				}
				if strings.Contains(mail.Subject, "048213") {
					t.Error("the digits stand in the subject")
				}
				links := regexp.MustCompile(`https?://[^\s"<]+`)
				for part, s := range map[string]string{"text": mail.Text.Reveal(), "HTML": mail.HTML.Reveal()} {
					for _, link := range links.FindAllString(s, -1) {
						if link != v.PrivacyURL {
							t.Errorf("the %s part holds the link %s", part, link)
						}
					}
					if strings.Count(s, "048213") != 1 || strings.Contains(s, "Montgomery") {
						t.Errorf("the %s part has the digits %d times", part, strings.Count(s, "048213"))
					}
				}
				if !regexp.MustCompile(`(?m)^048213$`).MatchString(mail.Text.Reveal()) {
					t.Error("in the text part the digits share their line")
				}
			})
		}
	}
}

func TestWhatIsNoPasscodeIsNotSent(t *testing.T) {
	t.Parallel()
	r := newRenderer(t)
	for _, digits := range []string{"", "12345", "1234567", "12345a", "١٢٣٤٥٦"} {
		v := passcode("en")
		v.Passcode = secret.New(digits)
		if _, err := r.Email(v); err == nil || digits != "" && strings.Contains(err.Error(), digits) {
			t.Errorf("%d characters: %v", len(digits), err)
		}
	}
	// A host that phones would not take is left out.
	v := passcode("en")
	v.PageHost = "localhost"
	sms, err := r.SMS(v)
	if err != nil || strings.Contains(sms.Body.Reveal(), "@") {
		t.Errorf("%v", err)
	}
}
