package app

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/connectlink/connectlink/config"
	"github.com/connectlink/connectlink/internal/limit"
	"github.com/connectlink/connectlink/internal/provider/twilio"
)

// ErrNotTried: the credentials may not do what the check does, and need not.
var ErrNotTried = errors.New("not tried")

// Check is one thing that the doctor tries at a vendor.
type Check struct {
	What   string
	Advice string // what to do when it fails
	Try    func(ctx context.Context) error
}

// InboundTexts is where Twilio has to post what people reply to a project's live
// texts; ok is false where it sends none, or Twilio cannot reach us or prove
// itself.
func InboundTexts(cfg *config.Config, p config.Project) (url string, ok bool) {
	if p.Twilio.AccountSID == "" || p.Twilio.AuthToken.IsZero() || cfg.PublicURL == nil || !cfg.CallbacksReachable(p.Twilio.APIURL) {
		return "", false
	}
	return strings.TrimSuffix(cfg.PublicURL.String(), "/") + "/hooks/twilio/inbound/" + p.ID + "/live", true
}

// Checks lists what can be tried of a project's live vendors without sending
// anything or making a connect token.
func Checks(cfg *config.Config, p config.Project) []Check {
	shop := workshop{
		cfg: cfg, now: time.Now, budget: limit.New(1, 1, time.Now),
		reporting: func(string, string, bool) func() time.Time { return nil },
	}
	v, err := shop.open(p, true, "")
	if err != nil {
		return []Check{{"vendors", "Correct the key that is named.", func(context.Context) error { return err }}}
	}
	var out []Check
	if c, ok := v.pipedreams[p.Pipedream.Environment]; ok {
		out = append(out, Check{
			"Pipedream's token endpoint", "PIPEDREAM_CLIENT_ID and PIPEDREAM_CLIENT_SECRET must be an OAuth client of the workspace.", c.Ping,
		})
	}
	if v.mail != nil {
		out = append(out, Check{
			"SendGrid (a send in sandbox mode)", "The API key needs Mail Send, and the sender must be verified there.", v.mail.Check,
		})
	}
	if v.relay != nil {
		out = append(out, Check{
			"the SMTP server (up to naming the sender)", "SMTP_URL must name a server with a valid certificate, and its login must be allowed to send as SENDGRID_FROM.", v.relay.Check,
		})
	}
	if v.text != nil {
		out = append(out, Check{"Twilio (reading the account)", "TWILIO_ACCOUNT_SID must fit the API key or the auth token.", v.text.Check})
		if p.Twilio.MessagingServiceSID != "" {
			out = append(out, Check{
				"Twilio's Messaging Service and its senders", "TWILIO_MESSAGING_SERVICE_SID must be a Messaging Service of this account with a sender for text messages.",
				func(ctx context.Context) error {
					err := v.text.CheckService(ctx)
					if errors.Is(err, twilio.ErrMayNotRead) {
						return fmt.Errorf("%w: %w", ErrNotTried, err)
					}
					return err
				},
			})
		}
	}
	return out
}
