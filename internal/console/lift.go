package console

import (
	"errors"
	"net/http"
	"slices"

	"github.com/connectlink/connectlink/internal/console/view"
	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/store/find"
	"github.com/connectlink/connectlink/internal/suppress"
)

// liftPage asks why an address may be written to again.
type liftPage struct {
	*view.Base
	Row    blockRow
	Reason string
	Faults []Fault
	Shown  string // the address, unmasked
	For    int    // seconds for which it is
	Then   string // the invite to be sent again once the block is lifted
}

// Back is where the page was come to from.
func (d liftPage) Back() string {
	if d.Then != "" {
		return d.URL("invites", d.Then)
	}
	return d.URL("blocks")
}

// Wrong is the fault of a field; the template asks for it.
func (d liftPage) Wrong(field string) string { return faultOf(d.Faults, field) }

func (p *page) block() (suppress.Suppression, error) {
	id, err := invite.Parse[invite.SuppressionID](p.Param("id"))
	if err != nil {
		return suppress.Suppression{}, errMissing
	}
	b, err := p.Blocks.Get(p.ctx(), p.by, id)
	if invite.CodeOf(err) == invite.CodeSuppressionNotFound {
		return b, errMissing
	}
	return b, err
}

// blockPage shows one block, with the way to lift it.
func (s *console) block(p *page) error {
	b, err := p.block()
	if err != nil {
		return p.orMissing(err)
	}
	d := p.lift(b, p.QueryParam("then"))
	if p.QueryParam("shown") != "" {
		address, left, ok, err := s.Unmask.BlockedAgain(p.ctx(), p.by, b.ID)
		if err != nil {
			return err
		}
		if ok {
			d.Shown, d.For = address.Reveal(), secondsLeft(left)
		}
	}
	return p.show("block", d)
}

func (p *page) lift(b suppress.Suppression, then string) liftPage {
	d := liftPage{Base: p.base(p.t("Suppression"), "blocks"), Row: p.blockRow(b)}
	if id, err := invite.Parse[invite.ID](then); err == nil {
		d.Then = id.String()
	}
	return d
}

// unmaskBlock records that a member of staff unmasks a suppressed address, and
// redirects to the page that shows it.
func (s *console) unmaskBlock(p *page) error {
	b, err := p.block()
	if err != nil {
		return p.orMissing(err)
	}
	form, err := p.form()
	if err != nil {
		return err
	}
	if _, err := s.Unmask.Blocked(p.ctx(), p.by, b.ID); err != nil {
		return err
	}
	return p.Redirect(http.StatusSeeOther, withQuery(p.frame.URL("blocks", b.ID.String()), "shown", "1", "then", p.lift(b, form.Get("then")).Then))
}

// liftBlock lets an address be written to again.
func (s *console) liftBlock(p *page) error {
	b, err := p.block()
	if err != nil {
		return p.orMissing(err)
	}
	form, err := p.form()
	if err != nil {
		return err
	}
	d := p.lift(b, form.Get("then"))
	lifted, err := s.Blocks.Lift(p.ctx(), p.by, b.ID, form.Get("reason"))
	if err != nil {
		d.Reason = form.Get("reason")
		switch invite.CodeOf(err) {
		case invite.CodeInvalidRequest:
			d.Faults = []Fault{{"reason", p.t("Enter why messages may be sent to this address again.")}}
		case invite.CodeRecipientOptedOut:
			why, _ := invite.Explain(b.Kind.Reason())
			d.Faults = []Fault{{"reason", p.t(why.Title) + " " + p.t(why.Advice)}}
		case invite.CodeUnavailable:
			d.Faults = []Fault{{"reason", p.t("The mail provider's list could not be changed, so the address is still blocked. Try again in a minute.")}}
		default:
			return err
		}
		return p.wrong("block", d)
	}
	to := p.frame.URL("blocks")
	if !b.InviteID.IsZero() {
		to = p.frame.URL("invites", b.InviteID.String())
	}
	if d.Then != "" {
		if to, err = s.onward(p, d.Then); err != nil {
			return err
		}
	}
	if lifted.ProviderKeeps {
		return p.done(to, "note", p.t("Unblocked here. The mail provider keeps the address on its own list: an operator has to remove it there."))
	}
	return p.done(to, "good", p.t("Unblocked. Messages can be sent to this address again."))
}

// onward is where to go once a block was lifted for an invite's sake: to the next
// block of its address, else to sending it again.
func (s *console) onward(p *page, then string) (string, error) {
	home := p.frame.URL("invites", then)
	id, err := invite.Parse[invite.ID](then)
	if err != nil {
		return home, nil
	}
	inv, err := find.Get(p.ctx(), s.DB, p.by.Place, id)
	if errors.Is(err, find.ErrNotFound) {
		return p.frame.URL("blocks"), nil
	}
	if err != nil {
		return "", err
	}
	o, err := p.open(inv)
	if err != nil {
		return "", err
	}
	b, ok, err := s.standing(p, o)
	switch {
	case err != nil:
		return "", err
	case ok:
		return withQuery(p.frame.URL("blocks", b.ID.String()), "then", then), nil
	case !isResendable(o.Status):
		return home, nil
	}
	return home + "/resend", nil
}

// standing is a block of the address that an invite's latest message was for; one
// that can be lifted before one that cannot. ok is false when none is in force.
func (s *console) standing(p *page, o opened) (b suppress.Suppression, ok bool, err error) {
	address := o.content.Recipient.Address(previewChannel(o))
	if address == "" {
		return b, false, nil
	}
	list, _, err := s.Blocks.List(p.ctx(), p.by, suppress.Query{Recipient: address, Channel: previewChannel(o), Limit: perPage})
	if invite.CodeOf(err) == invite.CodeInvalidRequest {
		return b, false, nil // an address of old rules; it cannot be blocked either
	}
	if err != nil || len(list) == 0 {
		return b, false, err
	}
	if i := slices.IndexFunc(list, func(b suppress.Suppression) bool { return b.Kind.Liftable() }); i >= 0 {
		return list[i], true, nil
	}
	return list[0], true, nil
}
