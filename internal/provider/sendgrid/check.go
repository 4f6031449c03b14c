package sendgrid

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/sendgrid/sendgrid-go/helpers/mail"

	"github.com/connectlink/connectlink/internal/provider"
	"github.com/connectlink/connectlink/internal/wire"
)

// Check asks SendGrid to validate a mail without sending it (sandbox mode: 200
// instead of 202, no event, no credit). It proves the base URL, the key, its
// scope and the sender's form; not that the sender is verified or that mail
// arrives. The error is a *provider.SendError.
func (s *Sender) Check(ctx context.Context) error {
	if s.p.From.Email.IsZero() {
		return fmt.Errorf("%s: no sender address is configured", Provider)
	}
	on := true
	v3 := mail.NewV3MailInit(
		mail.NewEmail(quoteName(s.p.From.Name), s.p.From.Email.Reveal()), "Configuration check",
		mail.NewEmail("", "check@connectlink.test"), mail.NewContent("text/plain", "Configuration check"),
	)
	v3.SetMailSettings(mail.NewMailSettings().SetSandboxMode(mail.NewSetting(on)))
	v3.SetTrackingSettings(trackingOff())
	body, err := marshalMail(v3)
	if err != nil {
		return err
	}
	ctx, written := wire.Trace(ctx)
	resp, err := s.post(ctx, body)
	switch {
	case resp == nil || resp.StatusCode == 0:
		return classifyError(&provider.SendError{
			Provider: Provider, Outcome: provider.Outcome(wire.Classify(written)), Scope: provider.ScopeAccount, Err: wire.Strip(err),
		})
	case resp.StatusCode == http.StatusOK:
		return nil
	case resp.StatusCode == http.StatusAccepted:
		return errors.New(Provider + ": the configuration check was accepted as a mail to send; is this SendGrid?")
	default:
		return s.verdict(resp, err)
	}
}
