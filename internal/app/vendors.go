package app

import (
	"fmt"
	"strings"
	"time"

	"github.com/connectlink/connectlink/config"
	"github.com/connectlink/connectlink/internal/dispatch"
	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/limit"
	"github.com/connectlink/connectlink/internal/message"
	"github.com/connectlink/connectlink/internal/mint"
	"github.com/connectlink/connectlink/internal/pipedream"
	"github.com/connectlink/connectlink/internal/provider"
	"github.com/connectlink/connectlink/internal/provider/sendgrid"
	"github.com/connectlink/connectlink/internal/provider/smtp"
	"github.com/connectlink/connectlink/internal/provider/twilio"
	"github.com/connectlink/connectlink/internal/seal"
	"github.com/connectlink/connectlink/internal/secret"
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
	callbacks   map[string]provider.Callbacks // by provider
	callbackURL string                        // where Twilio and Pipedream reach us; empty when they cannot
	mailOrder   []string
	paces       map[string]dispatch.Pace // by account; absent is unlimited
}

// senders in the order in which they are tried.
func (v *vendors) senders(c invite.Channel) []provider.Sender {
	var out []provider.Sender
	if c == invite.SMS && v.text != nil {
		out = append(out, v.text)
	}
	if c != invite.Email {
		return out
	}
	for _, by := range v.mailOrder {
		switch {
		case by == config.BySendGrid && v.mail != nil:
			out = append(out, v.mail)
		case by == config.BySMTP && v.relay != nil:
			out = append(out, v.relay)
		}
	}
	return out
}

// keepTo limits an account, to a tenth of a second's worth at once.
func (v *vendors) keepTo(account string, perSecond float64) {
	if perSecond > 0 {
		v.paces[account] = dispatch.Pace{PerSecond: perSecond, Burst: max(1, int(perSecond/10))}
	}
}

// pace is the limit of an account. Where projects share one and disagree, the
// slowest counts: it is one limit at the provider.
func (a *App) pace(account string) dispatch.Pace {
	var slowest dispatch.Pace
	for _, v := range a.vendors {
		if p, ok := v.paces[account]; ok && (slowest.PerSecond == 0 || p.PerSecond < slowest.PerSecond) {
			slowest = p
		}
	}
	return slowest
}

// workshop is what all vendors of a process are made with.
type workshop struct {
	cfg       *config.Config
	box       *seal.Box
	publicURL string
	budget    *limit.Keyed
	now       func() time.Time
	// reporting gives the time of the last verified report of a provider for a project and mode.
	reporting func(provider, project string, livemode bool) func() time.Time
}

// mintsPerMinute is Pipedream's documented limit for one external user.
const mintsPerMinute = 100

// open makes the clients of one project and mode; what has no credentials stays absent.
func (w workshop) open(p config.Project, livemode bool, callbackURL string) (*vendors, error) {
	v := &vendors{minters: map[string]*mint.Minter{}, pipedreams: map[string]*pipedream.Client{}, callbackURL: callbackURL,
		mailOrder: p.EmailProviders, paces: map[string]dispatch.Pace{}, callbacks: map[string]provider.Callbacks{}}
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
			ReportingSince: w.reporting(sendgrid.Provider, p.ID, livemode),
		})
		v.keepTo(v.mail.Account(), p.SendGrid.PerSecond)
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
		v.keepTo(relay.Account(), p.SMTPPerSecond)
	}
	if len(p.SendGrid.WebhookPublicKeys) > 0 {
		verifier, err := sendgrid.NewVerifier(p.SendGrid.WebhookPublicKeys)
		if err != nil {
			return nil, fmt.Errorf("project %s: %w", p.ID, err)
		}
		v.callbacks[sendgrid.Provider] = sendgrid.NewCallbacks(verifier)
	}
	if p.Twilio.AccountSID != "" {
		v.text = twilio.New(twilio.Params{
			BaseURL: p.Twilio.APIURL, AccountSID: p.Twilio.AccountSID, APIKey: p.Twilio.APIKey, APISecret: p.Twilio.APISecret,
			AuthToken: p.Twilio.AuthToken, MessagingServiceSID: p.Twilio.MessagingServiceSID, From: p.Twilio.From,
			Settle: w.cfg.SettleTwilio, Now: w.now,
		})
		v.keepTo(v.text.Account(), p.Twilio.PerSecond)
		if callbackURL != "" && !p.Twilio.AuthToken.IsZero() {
			tokens := []secret.Text{p.Twilio.AuthToken}
			if !p.Twilio.AuthTokenSecondary.IsZero() {
				tokens = append(tokens, p.Twilio.AuthTokenSecondary)
			}
			verifier, err := twilio.NewVerifier(callbackURL, tokens...)
			if err != nil {
				return nil, fmt.Errorf("project %s: %w", p.ID, err)
			}
			for key := range strings.FieldsFuncSeq(p.Twilio.WebhookSharedKeys.Reveal(), func(r rune) bool { return r == ',' || r == ' ' }) {
				verifier.WithSharedKeys(secret.New(key))
			}
			v.callbacks[twilio.Provider] = twilio.NewCallbacks(verifier)
		}
	}
	return v, nil
}
