package console

import (
	"encoding/base64"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/connectlink/connectlink/internal/issue"
	"github.com/connectlink/connectlink/internal/message"
	"github.com/connectlink/connectlink/internal/seal"
	"github.com/connectlink/connectlink/internal/visit"
)

// draftLasts is how long a preview can be opened.
const draftLasts = 15 * time.Minute

// newPreview is what an invite would be that was not made yet. Its link leads
// nowhere.
type newPreview struct {
	preview
	Channel    string
	Language   string
	Warnings   []string
	Mail, Page string // the frames' addresses
	ByMail     bool   // both ways are open to a resend, if both addresses are there
	BySMS      bool
}

// draftOf returns the preview of a form, from the same use case as the API's
// preview. The frames request the same preview: the form travels sealed in their
// addresses.
func (s *console) draftOf(p *page, form url.Values) (*newPreview, error) {
	seen, err := s.shown(p, form)
	if err != nil {
		return nil, err
	}
	sealed, err := p.sealDraft(form)
	if err != nil {
		return nil, err
	}
	at := p.frame.URL("new", "proof")
	d := &newPreview{
		preview: *renderedMessage{seen.Email, seen.SMS}.preview(), Channel: form.Get("channel"), Language: languageName(seen.Language),
		Mail: withQuery(at, "as", "mail", "draft", sealed), ByMail: form.Get("email") != "", BySMS: form.Get("phone") != "",
	}
	if _, ok := renderReadyPage(seen); ok && s.PublicURL != "" {
		d.Page = withQuery(at, "as", "page", "draft", sealed)
	}
	for _, w := range seen.Warnings {
		if text := p.warning(w); text != "" {
			d.Warnings = append(d.Warnings, text)
		}
	}
	return d, nil
}

func (s *console) shown(p *page, form url.Values) (issue.Preview, error) {
	req, _ := p.readCreateRequest(form) // create told of what cannot be read
	list, err := s.Invites.Preview(p.ctx(), p.by, req, "")
	if err != nil {
		return issue.Preview{}, err
	}
	return list[0], nil // no language asked for: the recipient's
}

func renderReadyPage(seen issue.Preview) (html string, ok bool) {
	for _, one := range seen.Pages {
		if one.State == string(visit.Ready) {
			return one.HTML, true
		}
	}
	return "", false
}

// warning returns the text of a warning that the person who fills in the form
// can act on; empty for others.
func (p *page) warning(w message.Warning) string {
	switch w.Code {
	case message.WarnSegments:
		return p.t("The text message is longer than one segment and is charged as several.")
	case message.WarnAppShortened:
		return p.t("The app's full name did not fit everywhere.")
	case message.WarnInviterLeft:
		return p.t("The text message has no room for the name of the person who invites.")
	case message.WarnLimit:
		return p.t("A sending limit would refuse this message now.")
	case message.WarnPaused:
		return p.t("Messages there are paused now; see Pauses.")
	case message.WarnText:
		return p.t("Links, control characters and text over the limit were removed.")
	}
	return ""
}

// showDraft serves the message or the page of an unsent invite, for a frame.
func (s *console) showDraft(p *page) error {
	form, ok := p.openDraft(p.QueryParam("draft"))
	if !ok || form.Get("channel") == "" { // a draft of another form
		return p.missing()
	}
	seen, err := s.shown(p, form)
	if err != nil {
		return err
	}
	if p.QueryParam("as") != "page" {
		return p.serveSandboxed(seen.Email.HTML.Reveal())
	}
	html, ok := renderReadyPage(seen)
	if !ok {
		return p.missing()
	}
	return p.serveSandboxed(html)
}

// ad binds a draft to the session that made it.
func (p *page) ad() seal.AD {
	return seal.AD{Column: "console.draft", ID: p.signed.Session.ID.UUID()}
}

// sealDraft seals a form for use in an address. Only the session that sealed it
// can open it.
func (p *page) sealDraft(form url.Values) (string, error) {
	plain := strconv.FormatInt(p.Now().Add(draftLasts).Unix(), 10) + "\n" + form.Encode()
	sealed, err := p.Box.Seal([]byte(plain), p.ad())
	return base64.RawURLEncoding.EncodeToString(sealed), err
}

func (p *page) openDraft(word string) (url.Values, bool) {
	sealed, err := base64.RawURLEncoding.DecodeString(word)
	if err != nil {
		return nil, false
	}
	plain, err := p.Box.Open(sealed, p.ad())
	if err != nil {
		return nil, false
	}
	until, rest, _ := strings.Cut(string(plain), "\n")
	if at, err := strconv.ParseInt(until, 10, 64); err != nil || p.Now().Unix() > at {
		return nil, false
	}
	form, err := url.ParseQuery(rest)
	return form, err == nil
}
