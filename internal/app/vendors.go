package app

import (
	"fmt"
	"time"

	"github.com/connectlink/connectlink/config"
	"github.com/connectlink/connectlink/internal/dispatch"
	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/limit"
	"github.com/connectlink/connectlink/internal/message"
	"github.com/connectlink/connectlink/internal/mint"
	"github.com/connectlink/connectlink/internal/pipedream"
	"github.com/connectlink/connectlink/internal/seal"
	"github.com/connectlink/connectlink/internal/secret"
	"github.com/connectlink/connectlink/internal/sendgrid"
	"github.com/connectlink/connectlink/internal/smtp"
	"github.com/connectlink/connectlink/internal/twilio"
)

// environments are Pipedream's; a live key carries one of them.
var environments = []string{"development", "production"}

// lane is what a key may reach: one project in one mode.
type lane struct {
	project  string
	livemode bool
}

// vendors are the accounts behind one project and mode. Test mode has the
// same clients as live mode; only addresses and credentials differ.
type vendors struct {
	minters     map[string]*mint.Minter // by Pipedream environment
	pipedreams  map[string]*pipedream.Client
	mail        *sendgrid.Sender
	relay       *smtp.Sender // the second way for email, or the only one
	text        *twilio.Sender
	mailEvents  *sendgrid.Verifier
	textEvents  *twilio.Verifier
	callbackURL string // where Twilio and Pipedream reach us; empty when they cannot
}

// senders in the order in which they are tried.
func (v *vendors) senders(c invite.Channel) []dispatch.Sender {
	var out []dispatch.Sender
	if c == invite.Email && v.mail != nil {
		out = append(out, v.mail)
	}
	if c == invite.Email && v.relay != nil {
		out = append(out, v.relay) // after SendGrid, which reports what it took
	}
	if c == invite.SMS && v.text != nil {
		out = append(out, v.text)
	}
	return out
}

// workshop is what all vendors of a process are made with.
type workshop struct {
	cfg       *config.Config
	box       *seal.Box
	publicURL string
	budget    *limit.Keyed
	now       func() time.Time
	// reporting gives the time of the last verified SendGrid event of a project and mode.
	reporting func(project string, livemode bool) func() time.Time
}

// mintsPerMinute is Pipedream's documented limit for one external user.
const mintsPerMinute = 100

// open makes the clients of one project and mode; what has no credentials stays absent.
func (w workshop) open(p config.Project, livemode bool, callbackURL string) (*vendors, error) {
	v := &vendors{minters: map[string]*mint.Minter{}, pipedreams: map[string]*pipedream.Client{}, callbackURL: callbackURL}
	if p.Pipedream.ClientID != "" {
		for _, environment := range environments {
			client := pipedream.New(pipedream.Params{
				BaseURL: p.Pipedream.APIURL, ClientID: p.Pipedream.ClientID, ClientSecret: p.Pipedream.ClientSecret,
				ProjectID: p.Pipedream.ProjectID, Environment: environment, LinkHosts: p.Pipedream.LinkHosts, Now: w.now,
			})
			v.pipedreams[environment] = client
			v.minters[environment] = mint.New(mint.Params{
				Client: client, Box: w.box, PublicURL: w.publicURL, CallbackURL: callbackURL, Scope: p.Pipedream.TokenScope,
				Budget: w.budget, Now: w.now,
			})
		}
	}
	if !p.SendGrid.APIKey.IsZero() {
		v.mail = sendgrid.New(sendgrid.Params{
			BaseURL: p.SendGrid.APIURL, APIKey: p.SendGrid.APIKey, Settle: w.cfg.SettleSendGrid, Now: w.now,
			From: message.Address{Email: secret.New(p.SendGrid.From), Name: p.SendGrid.FromName}, ReplyTo: secret.New(p.SendGrid.ReplyTo),
			ReportingSince: w.reporting(p.ID, livemode),
		})
	}
	if !p.SMTPURL.IsZero() {
		relay, err := smtp.New(smtp.Params{
			URL: p.SMTPURL, Now: w.now,
			From: message.Address{Email: secret.New(p.SendGrid.From), Name: p.SendGrid.FromName}, ReplyTo: secret.New(p.SendGrid.ReplyTo),
		})
		if err != nil {
			return nil, fmt.Errorf("project %s: SMTP URL: %w", p.ID, err)
		}
		v.relay = relay
	}
	if len(p.SendGrid.WebhookPublicKeys) > 0 {
		verifier, err := sendgrid.NewVerifier(p.SendGrid.WebhookPublicKeys)
		if err != nil {
			return nil, fmt.Errorf("project %s: %w", p.ID, err)
		}
		v.mailEvents = verifier
	}
	if p.Twilio.AccountSID != "" {
		v.text = twilio.New(twilio.Params{
			BaseURL: p.Twilio.APIURL, AccountSID: p.Twilio.AccountSID, APIKey: p.Twilio.APIKey, APISecret: p.Twilio.APISecret,
			AuthToken: p.Twilio.AuthToken, MessagingServiceSID: p.Twilio.MessagingServiceSID, From: p.Twilio.From,
			Settle: w.cfg.SettleTwilio, Now: w.now,
		})
		if callbackURL != "" && !p.Twilio.AuthToken.IsZero() {
			tokens := []secret.Text{p.Twilio.AuthToken}
			if !p.Twilio.AuthTokenSecondary.IsZero() {
				tokens = append(tokens, p.Twilio.AuthTokenSecondary)
			}
			verifier, err := twilio.NewVerifier(callbackURL, tokens...)
			if err != nil {
				return nil, fmt.Errorf("project %s: %w", p.ID, err)
			}
			v.textEvents = verifier
		}
	}
	return v, nil
}
