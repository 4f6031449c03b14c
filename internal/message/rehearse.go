package message

import (
	"fmt"
	"text/template"
	"time"

	"github.com/connectlink/connectlink/internal/secret"
)

// rehearse renders every message of a language with every option on and off: a
// field's name is looked up only when the line that uses it runs.
func (r *Renderer) rehearse(tag string) error {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	full := Vars{
		Brand: "Brand", AppName: "App", Inviter: "Inviter", Reason: "reason", Note: "note", RecipientName: "Name",
		URL: secret.New("https://example.com/c/code"), RecipientEmail: secret.New("name@example.com"),
		SupportEmail: "help@example.com", LegalLine: "Legal", PrivacyURL: "https://example.com/privacy",
		LogoURL: "https://example.com/logo.png", Passcode: secret.New("012345"), PageHost: "example.com", CanRenew: true, CanReport: true, ExpiresAt: now.Add(time.Hour), Now: now,
	}
	bare := Vars{Brand: full.Brand, AppName: full.AppName, URL: full.URL, Passcode: full.Passcode, ExpiresAt: full.ExpiresAt, Now: now}
	full.StopURL = secret.New("https://example.com/s/code")
	lone := full
	lone.Inviter, lone.CanRenew, lone.CanReport = "", false, false
	for _, v := range []Vars{full, bare, lone} {
		for i := range 16 {
			v.Locale, v.LinkType, v.Initiator = tag, LinkInvite, ByProduct
			v.Kind = []Kind{First, Resend, Reminder, Passcode}[i%4]
			if i/4&1 != 0 {
				v.LinkType = LinkConnect
			}
			if i/4&2 != 0 {
				v.Initiator = ByUser
			}
			if _, err := r.Email(v); err != nil {
				return fmt.Errorf("%s email in %s: %w", v.Kind, tag, err)
			}
			if _, err := r.SMS(v); err != nil {
				return fmt.Errorf("%s text message in %s: %w", v.Kind, tag, err)
			}
			if err := r.rehearseVariants(v); err != nil {
				return fmt.Errorf("a wording in %s: %w", tag, err)
			}
		}
	}
	return nil
}

// rehearseVariants runs those wordings too that are only for long names.
func (r *Renderer) rehearseVariants(v Vars) error {
	e, c, err := r.prepare(v)
	if err != nil {
		return err
	}
	for _, ts := range [][]*template.Template{e.subjects[v.Kind], e.sms[v.Kind]} {
		for _, t := range ts {
			if _, err := executeTemplate(t, c); err != nil {
				return err
			}
		}
	}
	return nil
}
