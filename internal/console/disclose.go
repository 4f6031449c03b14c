package console

import (
	"errors"
	"net/http"
	"time"

	"github.com/connectlink/connectlink/internal/console/view"
	"github.com/connectlink/connectlink/internal/invite"
	linkpages "github.com/connectlink/connectlink/internal/page"
	"github.com/connectlink/connectlink/internal/store/find"
	"github.com/connectlink/connectlink/internal/unmask"
)

// eventsOf reads an invite's timeline.
func (s *console) eventsOf(p *page, o opened) ([]find.Event, error) {
	return find.Events(p.ctx(), s.DB, o.ID)
}

// unmask records that a member of staff unmasks the recipient of an invite, and
// redirects to the page that shows it.
func (s *console) unmask(p *page, o opened) error {
	if _, err := s.Unmask.Recipient(p.ctx(), p.by, o.ID); err != nil {
		return err
	}
	return p.Redirect(http.StatusSeeOther, p.frame.URL("invites", o.ID.String())+"?shown=1#who")
}

// disclose shows an invite's person for as long as the session that unmasked it
// may look; to anybody else, and later, the address of the page shows nothing.
func (s *console) disclose(p *page, o opened, d *invitePage) error {
	if p.QueryParam("shown") == "" {
		return nil
	}
	r, left, ok, err := s.Unmask.RecipientAgain(p.ctx(), p.by, o.ID)
	if err != nil || !ok {
		return err
	}
	d.Person.Masked = &person{Name: d.Person.Name, Email: d.Person.Email, Phone: d.Person.Phone}
	d.Person.Name, d.Person.Email, d.Person.Phone, d.Person.ShownFor = r.Name, r.Email, r.Phone, secondsLeft(left)
	return nil
}

// secondsLeft is a time that is left in seconds, at least one.
func secondsLeft(d time.Duration) int { return max(1, int(d/time.Second)) }

// copyPage asks what a link is wanted for, and then shows it.
type copyPage struct {
	actPage
	Whys []view.Choice
	Link string
	QR   linkpages.QR
}

func (s *console) copyData(p *page, o opened) (copyPage, error) {
	a, err := s.actData(p, o, p.t("Copy the invite link"))
	d := copyPage{actPage: a}
	for _, w := range unmask.Whys() {
		d.Whys = append(d.Whys, view.Choice{Value: string(w), Text: p.why(string(w))})
	}
	return d, err
}

// why is a reason of the pick list in words.
func (p *page) why(w string) string {
	switch unmask.Why(w) {
	case unmask.InPerson:
		return p.t("The person is with me, or on the phone")
	case unmask.OtherChannel:
		return p.t("I will send it another way")
	case unmask.NoMessage:
		return p.t("Messages do not get through")
	case unmask.Testing:
		return p.t("Testing")
	}
	return w
}

func (s *console) linkForm(p *page, o opened) error {
	d, err := s.copyData(p, o)
	if err != nil {
		return err
	}
	return p.show("link", d)
}

func (s *console) link(p *page, o opened) error {
	form, err := p.form()
	if err != nil {
		return err
	}
	d, err := s.copyData(p, o)
	if err != nil {
		return err
	}
	link, err := s.Unmask.Link(p.ctx(), p.by, o.ID, unmask.Why(form.Get("why")))
	var e *invite.Error
	switch {
	case errors.As(err, &e) && e.Code == invite.CodeInvalidRequest:
		d.Faults = []Fault{{"why", p.t("Choose what the link is for.")}}
		return p.wrong("link", d)
	case errors.As(err, &e) && e.Code == invite.CodeInviteEnded:
		d.Faults = []Fault{{"why", p.t("This link no longer works. Send a new one first.")}}
		return p.wrong("link", d)
	case err != nil:
		return err
	}
	d.Link, d.QR = link.Reveal(), linkpages.NewQR(link.Reveal())
	return p.show("link", d)
}
