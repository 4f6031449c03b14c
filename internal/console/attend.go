package console

import (
	"cmp"
	"context"
	"errors"
	"hash/fnv"
	"strconv"
	"time"

	"github.com/connectlink/connectlink/internal/access"
	"github.com/connectlink/connectlink/internal/attend"
	"github.com/connectlink/connectlink/internal/console/story"
	"github.com/connectlink/connectlink/internal/invite"
)

// attendance has the owner and the notes of an invite.
type attendance struct {
	Owner     string // their id; empty: none
	OwnerText string
	CanTake   bool
	CanLetGo  bool
	CanNote   bool
	Notes     []noted
	NoteText  string // that was refused
	NoteWrong string // the reason
	Faults    []Fault
}

// stamp tells one attendance from another: the owner and the notes.
func (a attendance) stamp() string {
	h := fnv.New64a()
	_, _ = h.Write([]byte(a.Owner))
	for _, n := range a.Notes {
		_, _ = h.Write([]byte(n.ID))
	}
	return strconv.FormatUint(h.Sum64(), 36)
}

// noted is a note. Text has the addresses that Masked hides.
type noted struct {
	ID, Text, Masked string
	Who              string
	At               time.Time
	CanDelete        bool
}

func (s *console) attendance(p *page, o opened) (attendance, error) {
	owners, err := s.Attend.Owners(p.ctx(), o.ID)
	if err != nil {
		return attendance{}, err
	}
	notes, err := s.Attend.Notes(p.ctx(), o.ID)
	if err != nil {
		return attendance{}, err
	}
	owner, taken := owners[o.ID]
	own := owner == p.signed.Staff.ID
	d := attendance{
		CanTake:  p.by.May(access.ActTake) && (!taken || !own && p.by.May(access.ActTakeOver)),
		CanLetGo: taken && (own && p.by.May(access.ActLetGo) || p.by.May(access.ActTakeOver)),
		CanNote:  p.by.May(access.ActNote) && !o.erased(),
	}
	if !taken && len(notes) == 0 {
		return d, nil
	}
	name, err := s.colleagues(p)
	if err != nil {
		return d, err
	}
	if taken {
		d.Owner, d.OwnerText = owner.String(), p.ownerText(owner, name)
	}
	for _, n := range notes {
		text := n.Text.Reveal()
		d.Notes = append(d.Notes, noted{
			ID: n.ID.String(), Text: text, Masked: story.MaskText(text), Who: name(n.Author), At: n.WrittenAt,
			CanDelete: p.by.May(access.ActDeleteNote) && (n.Author == p.signed.Staff.ID || p.by.May(access.ActTakeOver)),
		})
	}
	return d, nil
}

// colleagues names members of staff.
func (s *console) colleagues(p *page) (func(invite.StaffID) string, error) {
	names, err := s.names(p)
	if err != nil {
		return nil, err
	}
	return func(id invite.StaffID) string {
		switch name := names[string(access.KindStaff)+":"+id.String()]; {
		case id == p.signed.Staff.ID:
			return p.t("You")
		case name != "":
			return name
		}
		return p.t("A colleague")
	}, nil
}

// ownerText names the owner of an invite.
func (p *page) ownerText(owner invite.StaffID, name func(invite.StaffID) string) string {
	if owner == p.signed.Staff.ID {
		return p.t("Assigned to you")
	}
	return p.t("Assigned to %s", "\u2068"+name(owner)+"\u2069")
}

// markOwners adds the owners to the rows of a list.
func (s *console) markOwners(p *page, rows []inviteRow) error {
	ids := make([]invite.ID, 0, len(rows))
	for _, r := range rows {
		id, err := invite.Parse[invite.ID](r.ID)
		if err != nil {
			return err
		}
		ids = append(ids, id)
	}
	owners, err := s.Attend.Owners(p.ctx(), ids...)
	if err != nil || len(owners) == 0 {
		return err
	}
	name, err := s.colleagues(p)
	if err != nil {
		return err
	}
	for i, id := range ids {
		if owner, taken := owners[id]; taken {
			rows[i].Owner = p.ownerText(owner, name)
		}
	}
	return nil
}

// ownerNames are the names of the owners of invites, for a file.
func (s *console) ownerNames(ctx context.Context, p *page, ids []invite.ID) (map[invite.ID]string, error) {
	owners, err := s.Attend.Owners(ctx, ids...)
	if err != nil || len(owners) == 0 {
		return nil, err
	}
	staff, err := s.names(p)
	if err != nil {
		return nil, err
	}
	names := make(map[invite.ID]string, len(owners))
	for id, owner := range owners {
		names[id] = cmp.Or(staff[string(access.KindStaff)+":"+owner.String()], "(no longer known)")
	}
	return names, nil
}

func (s *console) take(p *page, o opened) error {
	seen, err := p.seenOwner()
	if err != nil {
		return err
	}
	return s.attended(p, o, s.Attend.Take(p.ctx(), p.by, o.ID, seen), p.t("The invite is assigned to you."))
}

func (s *console) letGo(p *page, o opened) error {
	seen, err := p.seenOwner()
	if err != nil {
		return err
	}
	return s.attended(p, o, s.Attend.LetGo(p.ctx(), p.by, o.ID, seen), p.t("The invite is no longer assigned."))
}

// seenOwner is the owner whom the page of a form showed, zero for none.
func (p *page) seenOwner() (invite.StaffID, error) {
	form, err := p.form()
	if err != nil {
		return invite.StaffID{}, err
	}
	seen, _ := invite.Parse[invite.StaffID](form.Get("seen"))
	return seen, nil
}

// attended redirects to the invite with the outcome, or the name of the owner.
func (s *console) attended(p *page, o opened, err error, done string) error {
	home := p.frame.URL("invites", o.ID.String())
	var taken *attend.TakenError
	switch {
	case errors.As(err, &taken):
		name, err := s.colleagues(p)
		if err != nil {
			return err
		}
		return p.done(home, "bad", p.t("Nothing was changed: the invite is already assigned to %s.", "\u2068"+name(taken.Owner)+"\u2069"))
	case err != nil:
		return err
	}
	return p.done(home, "good", done)
}

func (s *console) writeNote(p *page, o opened) error {
	form, err := p.form()
	if err != nil {
		return err
	}
	home := p.frame.URL("invites", o.ID.String()) + "#notes"
	text, wrong := form.Get("text"), ""
	switch err := s.Attend.Write(p.ctx(), p.by, o.ID, text); {
	case err == nil:
		return p.done(home, "good", p.t("The note is saved."))
	case errors.Is(err, attend.ErrErased):
		return p.done(home, "bad", p.t("The note was not saved: the personal data of this invite was erased."))
	case errors.Is(err, attend.ErrManyNotes):
		wrong = p.t("An invite has at most %d notes. Delete one first.", attend.MaxNotes)
	case invite.CodeOf(err) == invite.CodeInvalidRequest:
		wrong = p.t("Enter 1 to 2,000 characters.")
	default:
		return err
	}
	d, err := s.inviteData(p, o)
	if err != nil {
		return err
	}
	if d.attendance, err = s.attendance(p, o); err != nil {
		return err
	}
	d.NoteText, d.NoteWrong, d.Faults = text, wrong, []Fault{{"text", wrong}}
	return p.wrong("invite", d)
}

func (s *console) deleteNote(p *page, o opened) error {
	id, err := invite.Parse[invite.NoteID](p.Param("note"))
	if err != nil {
		return p.missing()
	}
	home := p.frame.URL("invites", o.ID.String()) + "#notes"
	switch err := s.Attend.Delete(p.ctx(), p.by, o.ID, id); {
	case errors.Is(err, attend.ErrNoNote):
		return p.done(home, "note", p.t("This note was deleted already."))
	case errors.Is(err, attend.ErrForbidden):
		return p.done(home, "bad", p.t("The note was not deleted: a lead can delete notes of others."))
	case err != nil:
		return err
	}
	return p.done(home, "good", p.t("The note is deleted."))
}
