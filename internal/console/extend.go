package console

import (
	"strconv"
	"time"

	"github.com/connectlink/connectlink/internal/access"
	"github.com/connectlink/connectlink/internal/console/view"
	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/issue"
	"github.com/connectlink/connectlink/internal/web"
)

// endLayout is how ends of invites are written in sentences, in UTC.
const endLayout = "2006-01-02 15:04"

// extensions are the times from now for which staff let invites work.
func extensions() []time.Duration {
	const day = 24 * time.Hour
	return []time.Duration{day, 3 * day, 7 * day, 14 * day, 30 * day}
}

const (
	// defaultExtension is what forms propose.
	defaultExtension = 7 * 24 * time.Hour
	// leastExtension is how much later than the present end the end of a choice is: sentences
	// name minutes.
	leastExtension = time.Minute
)

// extendPage lets an invite work longer.
type extendPage struct {
	actPage
	Choices []view.Choice // those that end later than the invite does
	Ends    string        // when the invite ends now, in UTC
}

func (p *page) canExtend(o opened) bool {
	return p.by.May(access.ActExtend) && o.Status.Extendable() && o.LinkType == invite.InviteLink && o.GivesUpAt.After(o.Now) &&
		o.Now.Add(invite.MaxValidFor).Sub(o.GivesUpAt) >= leastExtension
}

func (s *console) extendData(p *page, o opened) (extendPage, error) {
	a, err := s.actData(p, o, p.t("Extend this invite"))
	d := extendPage{actPage: a, Ends: o.GivesUpAt.UTC().Format(endLayout)}
	for _, lasts := range extensions() {
		ends := o.Now.Add(lasts)
		if ends.Sub(o.GivesUpAt) < leastExtension {
			continue
		}
		d.Choices = append(d.Choices, view.Choice{
			Value: strconv.Itoa(int(lasts.Seconds())), Chosen: lasts == defaultExtension,
			Text: p.t("%s, until %s UTC", p.lifeText(lasts), ends.UTC().Format(endLayout)),
		})
	}
	d.choose(strconv.Itoa(int(defaultExtension.Seconds())))
	return d, err
}

// choose ticks a choice; the first one where there is no such.
func (d *extendPage) choose(value string) {
	found := false
	for i := range d.Choices {
		d.Choices[i].Chosen = d.Choices[i].Value == value
		found = found || d.Choices[i].Chosen
	}
	if !found && len(d.Choices) > 0 {
		d.Choices[0].Chosen = true
	}
}

func (s *console) extendForm(p *page, o opened) error {
	d, err := s.extendData(p, o)
	if err != nil {
		return err
	}
	if !p.canExtend(o) {
		d.Faults = []Fault{{"valid_for", p.t("This invite cannot be extended. Resend it, or create a new one.")}}
	}
	return p.show("extend", d)
}

func (s *console) extend(p *page, o opened) error {
	form, err := p.form()
	if err != nil {
		return err
	}
	d, err := s.extendData(p, o)
	if err != nil {
		return err
	}
	d.choose(form.Get("valid_for"))
	seen, ok := shownVersion(form, o)
	if !ok {
		seen = 1 // the oldest that a page can have shown
	}
	made, err := s.Invites.Extend(p.ctx(), p.by, o.ID, readExtension(form.Get("valid_for")), issue.Meta{RequestID: web.RequestID(p.ctx()), Seen: seen})
	if err != nil {
		return s.refused(p, err, o, seen, &d.actPage, func() error { return p.wrong("extend", d) })
	}
	return p.done(d.Home, "good", p.t("Extended. Links in earlier messages work until %s UTC. Nothing was sent.", orZero(made.Invite.ExpiresAt).UTC().Format(endLayout)))
}

// readExtension reads the time that a form has; what is no number counts as left out.
func readExtension(seconds string) issue.ExtendRequest {
	n, err := strconv.Atoi(seconds)
	if err != nil {
		return issue.ExtendRequest{}
	}
	return issue.ExtendRequest{ValidFor: &n}
}
