package console

import (
	"errors"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/connectlink/connectlink/internal/access"
	"github.com/connectlink/connectlink/internal/console/story"
	"github.com/connectlink/connectlink/internal/console/view"
	"github.com/connectlink/connectlink/internal/contact"
	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/issue"
	"github.com/connectlink/connectlink/internal/web"
)

// actPage is a form that does something to one invite.
type actPage struct {
	*view.Base
	App, To, Home string
	Person        person // whom it is about, masked
	Badge         view.Badge
	Sentence      string
	Version       int
	Faults        []Fault
	Changed       []story.Entry // what happened since the form was shown
}

// resendPage is the drawer: by which way, to which address, with which note.
type resendPage struct {
	actPage
	Channel, Email, Phone, Note string
	Correct                     bool              // opened to correct the address
	OldEmail, OldPhone          string            // masked
	Suggested                   string            // the address that was probably meant
	Sure                        bool              // the question about the address was answered by submitting again
	Asked                       bool              // something is asked about it now
	Searched                    bool              // the address proposed is the one that was searched for
	CanShow                     bool              // the old address may be put into its field
	Bounced                     bool              // the address there is did not take the latest message
	Change                      []contact.Stretch // the new address, with the parts marked that differ from the old one
	Effect                      string
	CanAllow                    bool   // a lead can allow more messages to the person
	Open                        string // a page at Pipedream that nothing can close works until then
	Preview                     *preview
}

// First is the id of the field that the form was opened for.
func (d resendPage) First() string {
	switch f := d.field(); {
	case !d.Correct && (f == "" || d.Old() != ""):
		return "channel"
	case f == invite.FieldPhone:
		return "phone"
	}
	return "email"
}

// field is the recipient's field that the chosen channel sends to; empty where
// the channel is none.
func (d resendPage) field() invite.Field { return invite.Channel(d.Channel).Spec().Field }

// Old is the address that there is for the chosen channel, masked.
func (d resendPage) Old() string {
	if d.field() == invite.FieldPhone {
		return d.OldPhone
	}
	return d.OldEmail
}

// Wrong is the fault of a field; templates ask for it.
func (a actPage) Wrong(field string) string { return faultOf(a.Faults, field) }

func (s *console) actData(p *page, o opened, title string) (actPage, error) {
	events, err := s.eventsOf(p, o)
	if err != nil {
		return actPage{}, err
	}
	situation, err := p.situation(o, events)
	if err != nil {
		return actPage{}, err
	}
	b := p.base(title, "invites")
	return actPage{
		Base: b, App: o.AppName, To: o.to(), Person: p.person(o), Home: b.URL("invites", o.ID.String()), Badge: p.standing(o, situation),
		Sentence: story.Sentence(b, situation), Version: o.Version,
	}, nil
}

// resendForm shows the drawer.
func (s *console) resendForm(p *page, o opened) error {
	d, err := s.resendData(p, o)
	if err != nil {
		return err
	}
	d.Correct = p.QueryParam("correct") != ""
	if c := p.QueryParam("channel"); invite.Channel(c).Sends() {
		d.Channel = c
	}
	if d.Correct {
		if err := s.propose(p, o, &d); err != nil {
			return err
		}
	}
	d.say(o)
	if !isResendable(o.Status) {
		d.Faults = []Fault{{"channel", p.t("This invite can no longer be resent. Create a new one.")}}
	}
	return p.show("resend", d)
}

func (s *console) resendData(p *page, o opened) (resendPage, error) {
	a, err := s.actData(p, o, p.t("Resend"))
	d := resendPage{actPage: a, Channel: string(o.Channel), OldEmail: o.masked(invite.FieldEmail), OldPhone: o.masked(invite.FieldPhone)}
	if d.Channel == string(invite.LinkOnly) {
		d.Channel = string(invite.Channels()[0])
	}
	d.CanShow, d.Bounced = p.by.May(access.ActUnmask), o.wrongAddress()
	return d, err
}

// say puts into one sentence what sending will do.
func (d *resendPage) say(o opened) {
	if d.CanShow {
		d.Change = d.changes(o)
	}
	d.Effect = d.T("The link in earlier messages keeps working, and its time starts again.")
	if d.Correct || d.Email != "" && o.content.Recipient.Email != "" || d.Phone != "" && o.content.Recipient.Phone != "" {
		d.Effect = d.T("The old link stops working. The new address gets its own link.")
	}
	if left := orZero(o.OpenUntil).Sub(o.Now); left > 0 {
		d.Open = d.T("A Pipedream page opened before works for %s more.", d.Span(left))
	}
}

// shownVersion is the version of the invite that a form was made from; false
// when the form names none that can be.
func shownVersion(form url.Values, o opened) (int, bool) {
	n, err := strconv.Atoi(form.Get("version"))
	return n, err == nil && 1 <= n && n <= o.Version
}

// resend does it, or shows what it would do.
func (s *console) resend(p *page, o opened) error {
	form, err := p.form()
	if err != nil {
		return err
	}
	d, err := s.resendData(p, o)
	if err != nil {
		return err
	}
	d.Channel, d.Email, d.Phone = form.Get("channel"), strings.TrimSpace(form.Get("email")), strings.TrimSpace(form.Get("phone"))
	// The other channel's field is not shown, so what stands in it counts for nothing.
	switch d.field() {
	case invite.FieldEmail:
		d.Phone = ""
	case invite.FieldPhone:
		d.Email = ""
	}
	d.Note, d.Sure, d.Correct = form.Get("note"), form.Get("sure") == d.Email && d.Email != "", form.Get("correct") != ""
	seen, ok := shownVersion(form, o)
	if !ok {
		seen = o.Version
	}
	if form.Get("do") == "show" {
		return s.showOld(p, o, d)
	}
	d.say(o)
	if d.ask(p, o) {
		return p.wrong("resend", d)
	}
	if form.Get("do") == "preview" {
		if d.Preview, err = s.preview(p, o, d); err != nil {
			return err
		}
		d.Version = seen
		return p.show("resend", d)
	}
	if form.Get("do") == "allow" {
		if err := s.Invites.AllowMore(p.ctx(), p.by, o.ID, invite.Channel(d.Channel)); err != nil {
			return s.refused(p, err, o, seen, &d.actPage, func() error { return p.wrong("resend", d) })
		}
	}
	req := issue.ResendRequest{Channel: d.Channel, Note: d.Note}
	if d.Email != "" || d.Phone != "" {
		req.Recipient = &issue.RecipientRequest{Email: d.Email, Phone: d.Phone}
	}
	out, err := s.Invites.Resend(p.ctx(), p.by, o.ID, req, issue.Meta{RequestID: web.RequestID(p.ctx()), Seen: seen})
	if err != nil {
		d.CanAllow = isPersonLimit(err) && d.Email == "" && d.Phone == "" && p.by.May(access.ActAllowMore)
		return s.refused(p, err, o, seen, &d.actPage, func() error { return p.wrong("resend", d) })
	}
	text := p.t("On its way.")
	if out.Invite.Recipient != nil {
		address := maskAddress(out.Invite.Channel.Spec().Field, out.Invite.Recipient.Address(out.Invite.Channel), o.wide)
		text = p.t("On its way to %s.", "\u2068"+address+"\u2069")
	}
	return p.done(d.Home, "good", text)
}

// isPersonLimit reports whether err refuses more messages to one person.
func isPersonLimit(err error) bool {
	var e *invite.Error
	return errors.As(err, &e) && e.Limit != nil && e.Limit.Scope == "recipient"
}

// refused shows a form again with what a use case had against it.
func (s *console) refused(p *page, err error, o opened, seen int, a *actPage, again func() error) error {
	if errors.Is(err, issue.ErrChanged) {
		now, err := p.invite()
		if err != nil {
			return p.orMissing(err)
		}
		fresh, err := s.actData(p, now, a.Title)
		if err != nil {
			return err
		}
		*a = fresh
		if a.Changed, err = s.since(p, now, seen); err != nil {
			return err
		}
		return again()
	}
	var e *invite.Error
	if !errors.As(err, &e) || e.Code == invite.CodeInternal || e.Code == invite.CodeUnavailable {
		return err
	}
	a.Faults = p.faults(e, o.Now)
	return again()
}

// since is what happened after a version, the newest first.
func (s *console) since(p *page, o opened, seen int) ([]story.Entry, error) {
	events, err := s.eventsOf(p, o)
	if err != nil {
		return nil, err
	}
	happened, err := s.happened(events)
	var out []story.Entry
	for _, t := range s.tries(p, o, happened, false) {
		for _, e := range t.Entries {
			if e.Seq > seen || e.Sending && e.Seq == seen {
				out = append(out, e)
			}
		}
	}
	return out, err
}

// revokePage ends an invite for good.
type revokePage struct {
	actPage
	Reason string
	Open   string
}

func (s *console) revokeData(p *page, o opened) (revokePage, error) {
	a, err := s.actData(p, o, p.t("Revoke this invite"))
	d := revokePage{actPage: a}
	if left := orZero(o.OpenUntil).Sub(o.Now); left > 0 {
		d.Open = p.t("A Pipedream page opened before works for %s more.", p.frame.Span(left))
	}
	return d, err
}

func (s *console) revokeForm(p *page, o opened) error {
	d, err := s.revokeData(p, o)
	if err != nil {
		return err
	}
	return p.show("revoke", d)
}

func (s *console) revoke(p *page, o opened) error {
	form, err := p.form()
	if err != nil {
		return err
	}
	d, err := s.revokeData(p, o)
	if err != nil {
		return err
	}
	d.Reason = form.Get("reason")
	seen, ok := shownVersion(form, o)
	if !ok {
		seen = 1 // the oldest that a page can have shown
	}
	if _, err := s.Invites.Revoke(p.ctx(), p.by, o.ID, issue.RevokeRequest{Reason: d.Reason}, issue.Meta{RequestID: web.RequestID(p.ctx()), Seen: seen}); err != nil {
		return s.refused(p, err, o, seen, &d.actPage, func() error { return p.wrong("revoke", d) })
	}
	return p.done(d.Home, "good", p.t("Revoked. The link now shows that it was cancelled."))
}

// sortedKeys are the keys of a map in order.
func sortedKeys(m map[string]string) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// withQuery writes an address with the members that are set.
func withQuery(address string, members ...string) string {
	v := url.Values{}
	for i := 0; i+1 < len(members); i += 2 {
		if members[i+1] != "" {
			v.Set(members[i], members[i+1])
		}
	}
	if len(v) == 0 {
		return address
	}
	return address + "?" + v.Encode()
}
