package console

import (
	"github.com/connectlink/connectlink/internal/compose"
	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/store/find"
	"github.com/connectlink/connectlink/internal/visit"
)

// previewPage is the preview of an invite's message and page.
type previewPage struct {
	actPage
	As        string // html, text, sms, page
	Phone     bool   // as wide as one
	Dark      bool
	Message   *preview
	FrameURL  string
	Tabs      []tab   // what of it
	Looks     [][]tab // how it is looked at
	Kept      string  // how close the preview is to the message that was sent
	Texts     string  // the version of the templates that it was sent with; empty: not sent
	SameTexts string  // the list of the invites with the same version
	Elsewhere bool    // the link leads to Pipedream's page, and there is none of ours
}

type tab struct {
	URL, Text string
	Current   bool
}

// showPreview shows message and page as the recipient sees them.
func (s *console) showPreview(p *page, o opened) error {
	a, err := s.actData(p, o, p.t("Message preview"))
	if err != nil {
		return err
	}
	d := previewPage{
		actPage: a, As: oneOf(p.QueryParam("as"), "html", "text", "sms", "page"), Phone: p.QueryParam("width") == "phone", Dark: p.QueryParam("dark") != "",
		Elsewhere: o.LinkType == invite.ConnectLink || !s.Composer.HasPages(),
	}
	if d.As == "" || d.As == "page" && !s.Composer.HasPages() {
		d.As = "html"
		if previewChannel(o).Spec().Form == invite.FormText {
			d.As = "sms"
		}
	}
	now, err := s.shows(p, o)
	if err != nil {
		return err
	}
	d.choose(p, now)
	if d.As == "page" {
		d.FrameURL = withQuery(d.Home+"/page", "then", p.QueryParam("then"))
		return p.show("saw", d)
	}
	if d.Kept, d.Texts, err = s.kept(p, o); err != nil {
		return err
	}
	if d.Texts != "" {
		d.SameTexts = withQuery(d.URL("invites"), "template", d.Texts)
	}
	if d.Message, err = s.compose(p, o, "", kindOf(o)); err != nil {
		return err
	}
	d.FrameURL = d.Home + "/mail"
	return p.show("saw", d)
}

// choose makes the links to the other forms.
func (d *previewPage) choose(p *page, now visit.State) {
	here, width, dark, then := d.Home+"/saw", "", "", p.QueryParam("then")
	if d.Phone {
		width = "phone"
	}
	if d.Dark {
		dark = "1"
	}
	for _, t := range []struct{ as, text string }{{"html", p.t("Email")}, {"text", p.t("Plain text")}, {"sms", p.t("SMS")}, {"page", p.t("Page")}} {
		if t.as != "page" || p.Composer.HasPages() {
			d.Tabs = append(d.Tabs, tab{withQuery(here, "as", t.as, "width", width, "dark", dark), t.text, t.as == d.As})
		}
	}
	if d.As != "html" && (d.As != "page" || d.Elsewhere) {
		return
	}
	if d.As == "page" && now != visit.Ready {
		d.Looks = append(d.Looks, []tab{
			{withQuery(here, "as", d.As, "width", width, "dark", dark), p.t("Current"), then == ""},
			{withQuery(here, "as", d.As, "width", width, "dark", dark, "then", "1"), p.t("While the link was valid"), then != ""},
		})
	}
	d.Looks = append(d.Looks, []tab{
		{withQuery(here, "as", d.As, "dark", dark, "then", then), p.t("On a computer"), !d.Phone},
		{withQuery(here, "as", d.As, "width", "phone", "dark", dark, "then", then), p.t("On a phone"), d.Phone},
	}, []tab{
		{withQuery(here, "as", d.As, "width", width, "then", then), p.t("Light"), !d.Dark},
		{withQuery(here, "as", d.As, "width", width, "dark", "1", "then", then), p.t("Dark"), d.Dark},
	})
}

// kept describes how close the preview is to the sent message: the message is
// not stored, but the version of its templates is.
func (s *console) kept(p *page, o opened) (words, version string, err error) {
	if o.DeliveryStatus == nil {
		return p.t("No message is sent for this invite. This is how it would look."), "", nil
	}
	with, sent, err := find.Wording(p.ctx(), s.DB, o.ID, o.DeliveryID)
	switch {
	case err != nil:
		return "", "", err
	case !sent:
		return p.t("Not sent yet. This is the message as it would be sent now."), "", nil
	case with != s.Composer.Messages(p.by.Place).Version():
		return p.t("Sent messages are not stored. This preview is rendered from the recorded data, and the wording or layout has changed since: the message that arrived was slightly different."), with, nil
	}
	return p.t("Sent messages are not stored. This preview is rendered from the recorded data, with the wording and layout that was sent."), with, nil
}

// previewChannel is the channel of the latest message.
func previewChannel(o opened) invite.Channel {
	if o.DeliveryChannel != nil {
		return invite.Channel(*o.DeliveryChannel)
	}
	return o.Channel
}

// shows is the page that the invite's link leads to now.
func (s *console) shows(p *page, o opened) (visit.State, error) {
	events, err := s.eventsOf(p, o)
	return visit.Shows(o.Invite, events), err
}

// mail is the HTML of a message, for a frame.
func (s *console) mail(p *page, o opened) error {
	w, err := s.written(p, o, p.QueryParam("note"), kindOf(o))
	if err != nil {
		return err
	}
	return p.serveSandboxed(w.mail.HTML.Reveal())
}

// landing is the page of an invite's link, for a frame: as it is now, or as it
// was while the link worked.
func (s *console) landing(p *page, o opened) error {
	if !s.Composer.HasPages() || o.LinkType == invite.ConnectLink {
		return p.missing()
	}
	state, err := s.shows(p, o)
	if err != nil {
		return err
	}
	if p.QueryParam("then") != "" && state != visit.Unknown {
		state = visit.Ready
	}
	d, err := s.draft(p, o)
	if err != nil {
		return err
	}
	if state == visit.Ready && !d.ExpiresAt.After(d.Now) {
		d.Now = orZero(o.DeliveryCreated)
	}
	shown, err := s.Composer.PreviewPage(d, string(state), d.Content.Recipient.Locale)
	if err != nil {
		return err
	}
	return p.serveSandboxed(compose.Hide(shown.HTML, hiddenCode))
}

// draft returns an invite as its pages need it, with masked personal data.
func (s *console) draft(p *page, o opened) (compose.Page, error) {
	d := compose.Page{Invite: s.maskedInvite(p, o), Via: linkChannel(o), OneWay: s.isOneWay(p, o), AsksCode: o.Verify == invite.VerifyCode}
	d.Content.Recipient = o.content.Recipient // the page masks it
	d.Project.Brand.LogoURL = ""              // this console asks nothing of other hosts
	events, err := s.eventsOf(p, o)
	if err != nil {
		return d, err
	}
	d.FailedBefore = o.Progress == invite.ConnectFailed && visit.FailureOver(events)
	for _, e := range events {
		switch e.Type {
		case invite.EventConnectFailed:
			d.Failure = e.Data.Outcome
		case invite.EventRevoked, invite.EventReplaced:
			d.ReplacedAt = e.OccurredAt
		}
	}
	return d, nil
}

// linkChannel is the channel by which the latest link went; empty where the product
// shows it itself.
func linkChannel(o opened) invite.Channel {
	if c := previewChannel(o); c != invite.LinkOnly {
		return c
	}
	return ""
}
