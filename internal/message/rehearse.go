package message

import (
	"bytes"
	"fmt"
	"text/template"
	"time"

	"github.com/connectlink/connectlink/internal/secret"
)

// rehearse renders every message of a language with every option on and off: a
// field's name is looked up only when the line that uses it runs.
func (e *compiled) rehearse(l *Language) error {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	full := Vars{
		Brand: "Brand", AppName: "App", Inviter: "Inviter", Reason: "reason", Note: "note", RecipientName: "Name",
		URL: secret.New("https://example.com/c/code"), RecipientEmail: secret.New("name@example.com"),
		SupportEmail: "help@example.com", Reference: "0000-0000", LegalLine: "Legal", PrivacyURL: "https://example.com/privacy",
		LogoURL: "https://example.com/logo.png", Passcode: secret.New("012345"), PageHost: "example.com", CanRenew: true, CanReport: true, ExpiresAt: now.Add(time.Hour), Now: now,
	}
	bare := Vars{Brand: full.Brand, AppName: full.AppName, URL: full.URL, Passcode: full.Passcode, ExpiresAt: full.ExpiresAt, Now: now}
	full.StopURL = secret.New("https://example.com/s/code")
	lone := full
	lone.Inviter, lone.CanRenew, lone.CanReport = "", false, false
	for _, v := range []Vars{full, bare, lone} {
		for i := range 32 {
			v.LinkType, v.Initiator = LinkInvite, ByProduct
			v.Kind = kinds()[i%4]
			if i/4&1 != 0 {
				v.LinkType = LinkConnect
			}
			if i/4&2 != 0 {
				v.Initiator = ByUser
			}
			v.IsReconnect = i/16&1 != 0
			c, err := newContent(v, l)
			if err != nil {
				return fmt.Errorf("%s message in %s: %w", v.Kind, l.Tag, err)
			}
			if _, err := e.email(v, c); err != nil {
				return fmt.Errorf("%s email in %s: %w", v.Kind, l.Tag, err)
			}
			if _, err := e.textMessage(v, c); err != nil {
				return fmt.Errorf("%s text message in %s: %w", v.Kind, l.Tag, err)
			}
			if err := e.rehearseVariants(kindOf(v), c); err != nil {
				return fmt.Errorf("a wording in %s: %w", l.Tag, err)
			}
		}
	}
	return nil
}

// rehearseVariants runs those wordings too that are only for long names.
func (e *compiled) rehearseVariants(k Kind, c content) error {
	var b bytes.Buffer
	for _, ts := range [][]*template.Template{e.subjects[k], e.sms[k]} {
		for _, t := range ts {
			if _, err := executeTemplate(&b, t, &c); err != nil {
				return err
			}
		}
	}
	return nil
}
