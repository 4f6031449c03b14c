package app

import (
	"github.com/connectlink/connectlink/config"
	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/provider"
	"github.com/connectlink/connectlink/internal/provider/vonage"
	"github.com/connectlink/connectlink/internal/sandbox"
)

func openVonage(w clientFactory, p config.Project, livemode bool, callbackURL string) (*provider.Provider, error) {
	v := p.Vonage
	if v.APIKey == "" {
		return nil, nil //nolint:nilnil // not configured, as opener says
	}
	text := vonage.New(vonage.Params{
		BaseURL: v.APIURL, APIKey: v.APIKey, APISecret: v.APISecret, From: v.From, OneWay: v.OneWay, Now: w.now,
		Settle:         w.cfg.SettleSendGrid, // both report by events, late and in their own time
		ReportingSince: w.reporting(vonage.Provider, invite.Place{Project: p.ID, Live: livemode}),
		Deaf:           callbackURL == "" || v.SignatureSecret.IsZero(),
	})
	out := &provider.Provider{
		Name: vonage.Provider, Channel: invite.SMS, Sender: text, Redactor: text, PerSecond: v.PerSecond,
		Checks: []provider.Check{{
			What: "Vonage (listing applications)", Advice: "VONAGE_API_KEY and VONAGE_API_SECRET must be those of one account.", Try: text.Check,
		}},
	}
	if callbackURL == "" || v.SignatureSecret.IsZero() {
		return out, nil
	}
	verifier, err := vonage.NewVerifier(v.APIKey, w.now, v.SignatureSecret, v.SignatureSecretSecondary)
	if err != nil {
		return nil, err
	}
	out.Callbacks = vonage.NewCallbacks(verifier)
	return out, nil
}

// rehearseVonage does nothing for a project without an account there: its test mode
// fails over where its live mode does.
func rehearseVonage(p *config.Project, s *sandbox.Sandbox, base string) {
	if !p.Vonage.Configured() {
		p.Vonage = config.Vonage{} // half a live account is none in test mode
		return
	}
	cred := s.Vonage()
	p.Vonage = config.Vonage{
		APIURL: base + "/vonage/@" + p.ID, APIKey: cred.APIKey, APISecret: cred.APISecret, SignatureSecret: cred.SignatureSecret,
		From: cred.From, OneWay: p.Vonage.OneWay,
	}
}
