package compose

import (
	"bytes"
	"crypto/rand"
	"fmt"
	"io"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/connectlink/connectlink/internal/contact"
	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/message"
	"github.com/connectlink/connectlink/internal/page"
	"github.com/connectlink/connectlink/internal/secret"
)

// offerHelpAfter failed mints in a row, the busy page names a contact.
const offerHelpAfter = 3

// Page is the page of an invite's link.
type Page struct {
	Invite
	State page.State
	// Via is the channel by which the opened link came; empty where the product
	// showed it itself.
	Via    invite.Channel
	OneWay bool // people cannot reply to a sender of texts
	// BaseURL is where the page can be reached from another browser, without a
	// slash at the end; empty leaves out what needs it.
	BaseURL string

	Failure      string // the class of the last failed connection
	FailedBefore bool   // a new link was made since
	MintFailures int    // in a row, lately
	ReplacedAt   time.Time
	AccountName  string
	Held         bool
	CanRenew     bool
	CanReport    bool
	AppLogo      string // the path of the app's logo on the page's own host; may be empty
	CanUndo      bool   // the report that was just made

	AsksCode     bool           // a passcode is asked for before the link leads on
	VerifyVia    invite.Channel // by which a passcode went; empty: Via
	Verification page.Verification
}

// Format keeps the code and personal data out of logs and errors.
func (Page) Format(s fmt.State, _ rune) {
	_, _ = io.WriteString(s, "compose.Page["+secret.Redacted+"]")
}

// Data is the only place where the data of an invite's page is filled from the
// invite. The caller adds what depends on the request: nonce, language, the way back
// to the product and the reader's browser.
func (p Page) Data() page.Data {
	brand, code := p.Project.Brand, url.PathEscape(p.Code.Reveal())
	d := page.Data{
		Brand: brand.Name, Colour: brand.Colour, LogoURL: brand.LogoURL, SupportEmail: brand.SupportEmail,
		LegalLine: brand.LegalLine, PrivacyURL: brand.PrivacyURL, TestMode: !p.Livemode,
		// Never the catalogue's address: a third party must not learn of visitors.
		App:         page.App{Name: p.App.Name, AuthType: p.App.AuthType, LogoURL: p.AppLogo},
		Inviter:     contact.Clean(p.Content.Inviter, 80),
		Reason:      contact.Clean(p.Content.Reason, 200),
		Note:        contact.CleanPublic(p.Content.Note, 200),
		InitiatedBy: message.Initiator(p.InitiatedBy), Reconnect: p.IsReconnect, RecipientMasked: p.maskedRecipient(),
		ExpiresAt: p.ExpiresAt, Now: p.Now, ConnectHost: connectHost(p.Project), Reference: p.Reference,
		CodePath: "/c/" + code, StopPath: "/s/" + code,
		Failure: p.Failure, FailedBefore: p.FailedBefore, CanRetry: p.State == page.CouldNotConnect,
		Persistent: p.MintFailures >= offerHelpAfter, ReplacedAt: p.ReplacedAt, AccountName: p.AccountName,
		CanRenew: p.CanRenew, RenewChannel: string(p.Via), CanReport: p.CanReport, CanUndo: p.CanUndo, CanSuppress: p.Via != "", CanResume: p.IsResumable(),
		Held: p.Held,
	}
	if p.BaseURL != "" {
		d.PageURL = strings.TrimSuffix(p.BaseURL, "/") + d.CodePath
	}
	if p.AsksCode {
		d.VerifyBy = string(p.Via)
	}
	switch p.State {
	case page.Verify:
		d.VerifyBy, d.Verify = string(p.VerifyVia), p.Verification
	case page.InApp:
		d.InApp.Refused = isRefusedInApps(p.App.Slug)
	}
	d.Zone, d.ZoneIsRecipients = zoneOf(p.Content.Recipient)
	return d
}

// IsResumable reports whether the page takes back the end of text messages: it does
// where people cannot reply to the sender.
func (p Page) IsResumable() bool { return p.Via.Spec().OptOutByReply && p.OneWay }

// maskedRecipient is the address that the opened link went to, as its owner would
// recognise it. A link that the product showed itself is told apart by any.
func (p Page) maskedRecipient() string {
	r, via := p.Content.Recipient, p.Via
	if p.State == page.Verify && p.VerifyVia != "" {
		via = p.VerifyVia
	}
	for _, f := range append([]invite.Field{via.Spec().Field}, invite.Fields()...) {
		if address := f.Of(r); address != "" || f == invite.FieldPhone {
			return contact.Mask(f, address)
		}
	}
	return ""
}

// isRefusedInApps reports whether an app signs in through Google, which is known to
// refuse browsers inside apps.
func isRefusedInApps(slug string) bool {
	return strings.HasPrefix(slug, "google") || strings.HasPrefix(slug, "gmail") || strings.HasPrefix(slug, "youtube")
}

// IsRenewable reports whether the page of a link offers a new one: the link is over
// or overtaken, and it came as a message to a known address.
func IsRenewable(state string, link invite.LinkType, via invite.Channel, r invite.Recipient) bool {
	s := page.State(state)
	return (s == page.Expired || s == page.Replaced) && link != invite.ConnectLink && r.Address(via) != ""
}

// IsReportable reports whether the page of a link offers "This isn't for me".
func IsReportable(state string) bool {
	return slices.Contains([]page.State{page.Ready, page.CouldNotConnect, page.Expired}, page.State(state))
}

// linkState is the state of a link whose page is shown. The question for a code and
// the way out of an app's browser stand before the page of a link that works.
func linkState(shown page.State) string {
	if shown == page.Verify || shown == page.InApp {
		return string(page.Ready)
	}
	return string(shown)
}

// PreviewPage is one page of an invite as its recipient would see it.
type PreviewPage struct {
	State  string `json:"state"`
	Status int    `json:"status"` // HTTP
	HTML   string `json:"html"`
}

// PreviewPages renders every page that an invite can have; none where this process
// has no pages.
func (c *Composer) PreviewPages(p Page, lang string) ([]PreviewPage, error) {
	if c.p.Pages == nil {
		return nil, nil
	}
	out := make([]PreviewPage, 0, len(page.States()))
	for _, s := range page.States() {
		if s == page.Verify && !p.AsksCode || s == page.Sample {
			continue // never shown for this invite
		}
		one, err := c.PreviewPage(p, string(s), lang)
		if err != nil {
			return nil, err
		}
		out = append(out, one)
	}
	return out, nil
}

// HasPages reports whether pages can be rendered.
func (c *Composer) HasPages() bool { return c.p.Pages != nil }

// PreviewPage renders the page of a state for a viewer other than the recipient.
// What the state decides is filled in.
func (c *Composer) PreviewPage(p Page, state, lang string) (PreviewPage, error) {
	p.State, p.BaseURL = page.State(state), c.p.PublicURL
	p.CanReport, p.CanRenew = IsReportable(linkState(p.State)), IsRenewable(state, p.LinkType, p.Via, p.Content.Recipient)
	if c.p.Logo != nil {
		p.AppLogo = c.p.Logo(p.App.LogoURL)
	}
	if p.State == page.Verify {
		p.VerifyVia, p.Verification = p.Via, page.Verification{Left: 5, CanSend: true, Lasts: 10 * time.Minute}
	}
	var d page.Data
	if !p.State.IsAnonymous() {
		d = p.Data()
	}
	// A preview runs no script; the nonce is for the style.
	d.Nonce = rand.Text()
	var b bytes.Buffer
	if err := c.p.Pages(p.Project.ID).Render(&b, p.State, lang, d); err != nil {
		return PreviewPage{}, fmt.Errorf("preview: %w", err)
	}
	return PreviewPage{State: string(p.State), Status: p.State.Status(), HTML: b.String()}, nil
}
