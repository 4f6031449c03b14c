package app

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/connectlink/connectlink/config"
	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/provider"
	"github.com/connectlink/connectlink/internal/provider/twilio"
	"github.com/connectlink/connectlink/internal/sandbox"
	"github.com/connectlink/connectlink/internal/secret"
)

func openTwilio(w clientFactory, p config.Project, _ bool, callbackURL string) (*provider.Provider, error) {
	t := p.Twilio
	if t.AccountSID == "" {
		return nil, nil //nolint:nilnil // not configured, as opener says
	}
	text := twilio.New(twilio.Params{
		BaseURL: t.APIURL, AccountSID: t.AccountSID, APIKey: t.APIKey, APISecret: t.APISecret,
		AuthToken: t.AuthToken, MessagingServiceSID: t.MessagingServiceSID, From: t.From, OneWay: t.OneWay,
		Settle: w.cfg.SettleTwilio, Now: w.now,
	})
	out := &provider.Provider{
		Name: twilio.Provider, Channel: invite.SMS, Sender: text, Redactor: text, PerSecond: t.PerSecond,
		Checks: []provider.Check{{
			What: "Twilio (reading the account)", Advice: "TWILIO_ACCOUNT_SID must fit the API key or the auth token.", Try: text.Check,
		}},
	}
	if t.MessagingServiceSID != "" {
		out.Checks = append(out.Checks, provider.Check{
			What:   "Twilio's Messaging Service and its senders",
			Advice: "TWILIO_MESSAGING_SERVICE_SID must be a Messaging Service of this account with a sender for text messages.",
			Try: func(ctx context.Context) error {
				err := text.CheckService(ctx)
				if errors.Is(err, twilio.ErrMayNotRead) {
					return fmt.Errorf("%w: %w", provider.ErrNotTried, err)
				}
				return err
			},
		})
	}
	if callbackURL == "" || t.AuthToken.IsZero() {
		return out, nil
	}
	tokens := []secret.Text{t.AuthToken}
	if !t.AuthTokenSecondary.IsZero() {
		tokens = append(tokens, t.AuthTokenSecondary)
	}
	verifier, err := twilio.NewVerifier(callbackURL, tokens...)
	if err != nil {
		return nil, err
	}
	for key := range strings.FieldsFuncSeq(t.WebhookSharedKeys.Reveal(), func(r rune) bool { return r == ',' || r == ' ' }) {
		verifier.WithSharedKeys(secret.New(key))
	}
	out.Callbacks = twilio.NewCallbacks(verifier)
	return out, nil
}

func rehearseTwilio(p *config.Project, s *sandbox.Sandbox, base string) {
	cred := s.Credentials()
	p.Twilio = config.Twilio{
		APIURL: base + "/twilio/@" + p.ID, AccountSID: cred.TwilioAccountSID, AuthToken: cred.TwilioAuthToken,
		APIKey: cred.TwilioAPIKey, APISecret: cred.TwilioAPISecret, MessagingServiceSID: cred.TwilioMessagingServiceSID,
		OneWay: p.Twilio.OneWay,
	}
}
