package app

import (
	"fmt"

	"github.com/connectlink/connectlink/config"
	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/provider"
	"github.com/connectlink/connectlink/internal/provider/smtp"
	"github.com/connectlink/connectlink/internal/sandbox"
	"github.com/connectlink/connectlink/internal/secret"
)

func openSMTP(w clientFactory, p config.Project, _ bool, _ string) (*provider.Provider, error) {
	if p.SMTPURL.IsZero() {
		return nil, nil //nolint:nilnil // not configured, as opener says
	}
	relay, err := smtp.New(smtp.Params{URL: p.SMTPURL, Now: w.now, From: emailFrom(p), ReplyTo: secret.New(p.SendGrid.ReplyTo)})
	if err != nil {
		return nil, fmt.Errorf("SMTP URL: %w", err)
	}
	return &provider.Provider{
		Name: smtp.Provider, Channel: invite.Email, Sender: relay, PerSecond: p.SMTPPerSecond,
		Checks: []provider.Check{{
			What:   "the SMTP server (up to naming the sender)",
			Advice: "SMTP_URL must name a server with a valid certificate, and its login must be allowed to send as SENDGRID_FROM.", Try: relay.Check,
		}},
	}, nil
}

// rehearseSMTP leaves no mail server: it would be a way out of the sandbox.
func rehearseSMTP(p *config.Project, _ *sandbox.Sandbox, _ string) { p.SMTPURL = secret.Text{} }
