package app

import (
	"github.com/connectlink/connectlink/config"
	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/message"
	"github.com/connectlink/connectlink/internal/provider"
	"github.com/connectlink/connectlink/internal/provider/sendgrid"
	"github.com/connectlink/connectlink/internal/sandbox"
	"github.com/connectlink/connectlink/internal/secret"
)

func openSendGrid(w clientFactory, p config.Project, livemode bool, _ string) (*provider.Provider, error) {
	if p.SendGrid.APIKey.IsZero() && len(p.SendGrid.WebhookPublicKeys) == 0 {
		return nil, nil //nolint:nilnil // not configured, as opener says
	}
	out := &provider.Provider{Name: sendgrid.Provider, Channel: invite.Email, PerSecond: p.SendGrid.PerSecond}
	if !p.SendGrid.APIKey.IsZero() {
		mail := sendgrid.New(sendgrid.Params{
			BaseURL: p.SendGrid.APIURL, APIKey: p.SendGrid.APIKey, Settle: w.cfg.SettleSendGrid, Now: w.now,
			From: emailFrom(p), ReplyTo: secret.New(p.SendGrid.ReplyTo),
			ReportingSince: w.reporting(sendgrid.Provider, invite.Place{Project: p.ID, Live: livemode}),
		})
		out.Sender, out.Unlister = mail, mail
		out.Checks = []provider.Check{{
			What: "SendGrid (a send in sandbox mode)", Advice: "The API key needs Mail Send, and the sender must be verified there.", Try: mail.Check,
		}}
	}
	if len(p.SendGrid.WebhookPublicKeys) > 0 {
		verifier, err := sendgrid.NewVerifier(p.SendGrid.WebhookPublicKeys)
		if err != nil {
			return nil, err
		}
		out.Callbacks = sendgrid.NewCallbacks(verifier)
	}
	return out, nil
}

// emailFrom is the sender of email, by every provider.
func emailFrom(p config.Project) message.Address {
	return message.Address{Email: secret.New(p.SendGrid.From), Name: p.SendGrid.FromName}
}

func rehearseSendGrid(p *config.Project, s *sandbox.Sandbox, base string) {
	from, cred := p.SendGrid.From, s.Credentials()
	if from == "" {
		from = "connect@connectlink.test"
	}
	p.SendGrid = config.SendGrid{
		APIURL: base + "/sendgrid/@" + p.ID, APIKey: cred.SendGridAPIKey, From: from, FromName: p.SendGrid.FromName,
		ReplyTo: p.SendGrid.ReplyTo, WebhookPublicKeys: []string{cred.SendGridWebhookPublicKey},
	}
}
