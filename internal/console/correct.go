package console

import (
	"strings"

	"github.com/connectlink/connectlink/internal/contact"
	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/store/find"
)

// propose puts the address that was searched for into the form of an invite that
// is a slip of the hand away from it.
func (s *console) propose(p *page, o opened, d *resendPage) error {
	text, found, err := s.Staff.LatestSearch(p.ctx(), p.signed.Session.ID)
	if err != nil || !found {
		return err
	}
	by, typed := find.Meant(text, p.project.Brand.Region, o.content.Recipient)
	switch {
	case by == find.ByEmail && d.field() == invite.FieldEmail:
		d.Email, d.Searched = typed, true
	case by == find.ByPhone && d.field() == invite.FieldPhone:
		d.Phone, d.Searched = typed, true
	}
	return nil
}

// showOld puts the old address into its field, in clear, so that the slip can be
// seen and put right there; that is on record as every look at an address is.
func (s *console) showOld(p *page, o opened, d resendPage) error {
	if !d.CanShow {
		return p.wrong("resend", d)
	}
	r, err := s.Unmask.Recipient(p.ctx(), p.by, o.ID)
	if err != nil {
		return err
	}
	d.Correct = true
	if d.field() == invite.FieldPhone {
		d.Phone = r.Phone
	} else {
		d.Email = r.Email
	}
	d.say(o)
	return p.show("resend", d)
}

// wrongAddress reports whether the latest message came to nothing because of its
// address.
func (o opened) wrongAddress() bool {
	if o.DeliveryReason == nil {
		return false
	}
	e, ok := invite.ExplainDelivery(invite.Reason(*o.DeliveryReason), invite.DeliveryStatus(*o.DeliveryStatus))
	return ok && e.Action == invite.CorrectAddress
}

// ask reports whether the form must be looked at again before anything is tried:
// an address is missing, its domain looks like a slip, or it is another mailbox.
func (d *resendPage) ask(p *page, o opened) bool {
	last := string(o.Channel)
	if o.DeliveryChannel != nil {
		last = *o.DeliveryChannel
	}
	field, typed, old := "email", d.Email, d.OldEmail
	if d.field() == invite.FieldPhone {
		field, typed, old = "phone", d.Phone, d.OldPhone
	}
	switch {
	case typed != "" || !invite.Channel(d.Channel).Sends():
	case old == "" && field == "email":
		d.Faults = append(d.Faults, Fault{field, p.t("No email address on file for this person. Enter one.")})
	case old == "":
		d.Faults = append(d.Faults, Fault{field, p.t("No number on file for this person. Enter one.")})
	case d.Correct && d.Email == "" && d.Phone == "":
		d.Faults = append(d.Faults, Fault{field, p.t("Enter the correct address. It replaces the old one.")})
	case d.Bounced && d.Channel == last:
		d.Faults = append(d.Faults, Fault{field, p.t("The last message to this address was not delivered. Enter the correct one.")})
	}
	email, err := contact.ParseEmail(d.Email)
	if err != nil || d.Sure {
		return len(d.Faults) > 0
	}
	local, domain, _ := strings.Cut(email, "@")
	if meant, ok := contact.SuggestDomain(domain); ok {
		d.Suggested, d.Asked = local+"@"+meant, true
		d.Faults = append(d.Faults, Fault{"email", p.t("Did you mean %s? Correct it, or submit again to keep what you typed.", "\u2068"+d.Suggested+"\u2069")})
	} else if contact.IsOtherMailbox(o.content.Recipient.Email, email) {
		d.Asked = true
		d.Faults = append(d.Faults, Fault{"email", d.samePerson(p)})
	}
	return len(d.Faults) > 0
}

// fewLetters is how many letters a correction changes, where it is one.
const fewLetters = 2

// changes marks in the new address of the chosen channel where it differs from the
// old one; nil where nothing does, or one of them is not known.
func (d *resendPage) changes(o opened) []contact.Stretch {
	was, now := o.content.Recipient.Email, d.Email
	if d.field() == invite.FieldPhone {
		was, now = o.content.Recipient.Phone, strings.Join(strings.Fields(d.Phone), "")
	} else {
		was, now = contact.SearchEmail(was), contact.SearchEmail(now)
	}
	if was == "" || now == "" || was == now {
		return nil
	}
	if d.field() == invite.FieldPhone {
		return partChanges(now, was)
	}
	local, domain := contact.EmailParts(now)
	oldLocal, oldDomain := contact.EmailParts(was)
	out := partChanges(local, oldLocal)
	if domain == "" {
		return out
	}
	return append(append(out, contact.Stretch{Text: "@"}), partChanges(domain, oldDomain)...)
}

// partChanges marks the letters that differ where they are few. Else all of it is
// new, and letters that agree by chance would only tell of the old address.
func partChanges(now, was string) []contact.Stretch {
	if n := contact.Distance(now, was); n > 0 && n <= fewLetters {
		return contact.Slips(now, was)
	}
	return []contact.Stretch{{Text: now, Slip: now != was}}
}

func (d *resendPage) samePerson(p *page) string {
	user := "\u2068" + d.Person.User + "\u2069"
	if d.Person.Inviter == "" {
		return p.t("This is a different mailbox. Is it the same person: user id %s? If so, submit again.", user)
	}
	return p.t("This is a different mailbox. Is it the same person: user id %s, invited by %s? If so, submit again.", user, "\u2068"+d.Person.Inviter+"\u2069")
}
