package config

import (
	"slices"
	"strings"
	"time"
	"unicode"
)

// The channels of accounts.
const (
	email = "email"
	sms   = "sms"
)

// Account is what a project has at one provider of messages.
type Account struct {
	Name    string // as in EmailProviders and SMSProviders, and in callback paths
	Label   string // the vendor's own spelling
	APIURL  string // empty where nothing there calls back
	channel string
	needs   string // the setting that is missing where the account is not there
	isThere bool   // enough is set that a choice of it means something
	isReady bool   // messages can be sent
	// warn calls add for what works and yet should not stay so; hasPages: recipients
	// can reach our pages. May be nil.
	warn func(add func(key, format string, args ...any), hasPages bool)
	// settings are the account's own, in addition to those of projects.go, and check
	// reports contradictions between them. Both may be nil.
	settings func() []option[Project]
	check    func(add func(key, format string, args ...any), name func(key string) string)
}

// Accounts lists all providers that a project can have, one entry each, in the
// order in which they are tried unless the project says otherwise.
func (p Project) Accounts() []Account {
	return []Account{
		{Name: BySendGrid, Label: "SendGrid", APIURL: p.SendGrid.APIURL, channel: email, needs: "sendgrid.api_key",
			isThere: !p.SendGrid.APIKey.IsZero(), isReady: p.SendGrid.Configured(), warn: p.SendGrid.warn},
		{Name: BySMTP, Label: "the SMTP server", channel: email, needs: "smtp_url",
			isThere: !p.SMTPURL.IsZero(), isReady: !p.SMTPURL.IsZero()},
		{Name: ByTwilio, Label: "Twilio", APIURL: p.Twilio.APIURL, channel: sms, needs: "twilio.account_sid",
			isThere: p.Twilio.Configured(), isReady: p.Twilio.Configured(), warn: p.Twilio.warn},
		p.Vonage.account(),
	}
}

// Providers are the names of a channel's accounts in the order in which they are
// tried; none of an unknown channel.
func (p Project) Providers(channel string) []string {
	switch channel {
	case email:
		return p.EmailProviders
	case sms:
		return p.SMSProviders
	}
	return nil
}

// NoReceipt is after how long without a word on its arrival a message of a channel is
// said to have none.
func (c *Config) NoReceipt(channel string) time.Duration {
	switch channel {
	case email:
		return c.NoReceiptEmail
	case sms:
		return c.NoReceiptSMS
	}
	return 0
}

// providerNames are those of a channel's providers.
func providerNames(channel string) []string {
	var out []string
	for _, a := range (Project{}).Accounts() {
		if a.channel == channel {
			out = append(out, a.Name)
		}
	}
	return out
}

// chosen reports whether one of the chosen accounts is there, and else which setting
// to name.
func (p Project) chosen(channel string, order []string) (there bool, needs string) {
	for _, a := range p.Accounts() {
		if a.channel != channel || !slices.Contains(order, a.Name) {
			continue
		}
		if needs == "" {
			needs = a.needs
		}
		there = there || a.isThere
	}
	return there, needs
}

func (s SendGrid) warn(add func(key, format string, args ...any), _ bool) {
	if s.Configured() && len(s.WebhookPublicKeys) == 0 {
		add("sendgrid.webhook_public_keys", "not set, so there are no delivery receipts by email, and a send whose outcome is unknown waits for a person")
	}
	warnPrefix(add, "sendgrid.api_key", s.APIKey.Reveal(), "SG.")
}

func (t Twilio) warn(add func(key, format string, args ...any), hasPages bool) {
	if t.Configured() && t.AuthToken.IsZero() {
		add("twilio.auth_token", "not set, so Twilio's callbacks cannot be verified and are refused")
	}
	if t.Configured() {
		warnOneWay(add, "twilio.two_way", t.OneWay, t.MessagingServiceSID == "" && strings.ContainsFunc(t.From, unicode.IsLetter), hasPages)
	}
	warnPrefix(add, "twilio.account_sid", t.AccountSID, "AC")
	warnPrefix(add, "twilio.api_key", t.APIKey, "SK")
	warnPrefix(add, "twilio.messaging_service_sid", t.MessagingServiceSID, "MG")
}

// warnOneWay compares the setting of a text sender with what it is.
func warnOneWay(add func(key, format string, args ...any), key string, oneWay, inLetters, hasPages bool) {
	if !oneWay && inLetters {
		add(key, "true, but nobody can reply STOP to a sender id in letters: set it to false")
	}
	if oneWay && !hasPages {
		add(key, "false needs a public URL: without one a message cannot say where to stop")
	}
}

// warnPrefix adds a warning where a value does not have the form of its kind.
func warnPrefix(add func(key, format string, args ...any), key, value, prefix string) {
	if value != "" && !strings.HasPrefix(value, prefix) {
		add(key, "does not begin with %s; is it something else?", prefix)
	}
}
