package app

import (
	"bytes"
	"crypto/rand"
	"fmt"
	"time"

	"github.com/connectlink/connectlink/internal/contact"
	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/issue"
	"github.com/connectlink/connectlink/internal/linkpage/view"
	"github.com/connectlink/connectlink/internal/message"
)

// showPages renders every page of an invite that was not made.
func (a *App) showPages(d issue.Draft, lang string) ([]issue.PreviewPage, error) {
	out := make([]issue.PreviewPage, 0, len(view.States()))
	for _, s := range view.States() {
		if s == view.Verify && d.Verify != invite.VerifyCode {
			continue // never shown
		}
		one, err := a.showPage(d, string(s), lang)
		if err != nil {
			return nil, err
		}
		out = append(out, one)
	}
	return out, nil
}

// showPage renders one page of an invite for a viewer other than its recipient.
// Its address is masked, and its paths hold the draft's code.
func (a *App) showPage(d issue.Draft, state, lang string) (issue.PreviewPage, error) {
	s := view.State(state)
	var b bytes.Buffer
	if err := a.textsOf(d.Project.ID).pages.Render(&b, s, lang, a.pageData(d)); err != nil {
		return issue.PreviewPage{}, fmt.Errorf("preview: %w", err)
	}
	return issue.PreviewPage{State: state, Status: s.Status(), HTML: b.String()}, nil
}

func (a *App) pageData(d issue.Draft) view.Data {
	brand, r := d.Project.Brand, d.Content.Recipient
	data := view.Data{
		Brand: brand.Name, Colour: brand.Colour, LogoURL: brand.LogoURL, SupportEmail: brand.SupportEmail,
		LegalLine: brand.LegalLine, PrivacyURL: brand.PrivacyURL, TestMode: !d.Livemode,
		App: view.App{Name: d.App.Name, AuthType: d.App.AuthType}, Inviter: d.Content.Inviter, Reason: d.Content.Reason, Note: d.Content.Note,
		InitiatedBy: message.Initiator(d.InitiatedBy), ExpiresAt: d.ExpiresAt, Now: d.Now,
		Reference: d.Reference, Failure: d.Failure, FailedBefore: d.FailedBefore, ReplacedAt: d.ReplacedAt,
		CodePath: "/c/" + d.Code, StopPath: "/s/" + d.Code, CanResume: d.OneWay,
		CanRenew: true, RenewChannel: string(d.Channel), CanReport: true, CanSuppress: true, CanRetry: true,
		PageURL: a.public + "/c/" + d.Code,
		// No nonce but one for the style: a preview runs no script.
		Nonce: rand.Text(),
	}
	if d.Verify == invite.VerifyCode {
		data.VerifyBy = string(d.Channel)
		data.Verify = view.Verification{Left: 5, CanSend: true, Lasts: 10 * time.Minute}
	}
	switch {
	case d.Channel == invite.SMS || r.Email == "" && r.Phone != "":
		data.RecipientMasked = contact.MaskPhone(r.Phone)
	case r.Email != "":
		data.RecipientMasked = contact.MaskEmail(r.Email)
	}
	if len(d.Project.Pipedream.LinkHosts) > 0 {
		data.ConnectHost = d.Project.Pipedream.LinkHosts[0]
	}
	if zone, err := contact.ParseTimeZone(r.TimeZone); err == nil && r.TimeZone != "" {
		data.Zone, data.ZoneIsRecipients = zone, true
	}
	return data
}
