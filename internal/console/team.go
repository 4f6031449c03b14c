package console

import (
	"cmp"
	"errors"
	"time"

	"github.com/connectlink/connectlink/internal/access"
	"github.com/connectlink/connectlink/internal/console/view"
	"github.com/connectlink/connectlink/internal/grant"
	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/store/account"
)

// teamPage is who may work here, and where they are signed in.
type teamPage struct {
	*view.Base
	People []personRow
}

type personRow struct {
	ID, Name, Email string
	How             string
	Local           bool        // an emergency account
	FactorSet       time.Time   // when its second factor was set up; zero: it has none
	Role            access.Role // in this project
	SignedIn        time.Time
	Off, Own        bool
	Badge           view.Badge
	Sessions        []sessionRow
}

// team lists accounts with a role in this project.
func (s *console) team(p *page) error {
	list, err := s.Staff.List(p.ctx())
	if err != nil {
		return err
	}
	sessions, err := s.Staff.Sessions(p.ctx(), invite.StaffID{})
	if err != nil {
		return err
	}
	d := teamPage{Base: p.base(p.t("Team"), "team")}
	for _, k := range list {
		role := k.Role(p.by.Project)
		if role == "" {
			continue
		}
		r := personRow{ID: k.ID.String(), Name: cmp.Or(k.Person.Name, k.Person.Email, k.ID.String()), Email: k.Person.Email, Role: role, Off: k.DisabledAt != nil, Own: k.ID == p.signed.Staff.ID}
		if k.SignedInAt != nil {
			r.SignedIn = *k.SignedInAt
		}
		switch k.Kind {
		case account.ByIssuer:
			r.How = p.t("Single sign-on")
		case account.ByPassword:
			r.How, r.Local = p.t("Emergency account"), true
			if k.FactorSetAt != nil {
				r.FactorSet = *k.FactorSetAt
			}
		default:
			r.How = p.t("Printed link")
		}
		r.Badge = view.Badge{Kind: "good", Icon: "check", Text: p.t("Active")}
		switch {
		case r.Off:
			r.Badge = view.Badge{Kind: "calm", Icon: "ban", Text: p.t("Disabled")}
		case k.LockedUntil != nil:
			r.Badge = view.Badge{Kind: "warn", Icon: "clock", Text: p.t("Temporarily locked")}
		}
		for _, x := range sessions {
			if x.StaffID == k.ID {
				r.Sessions = append(r.Sessions, sessionRow{x.ID.String(), x.Device, x.CreatedAt, x.SeenAt, x.ID == p.signed.Session.ID})
			}
		}
		d.People = append(d.People, r)
	}
	return p.show("team", d)
}

// reach reports whether the person who asks may administer an account: they must
// be administrator wherever the account has a role.
func (s *console) reach(p *page, id invite.StaffID) (bool, error) {
	a, err := account.GetStaff(p.ctx(), s.DB, id)
	if errors.Is(err, account.ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	if a.Role(p.by.Project) == "" {
		return false, nil
	}
	for project := range a.Roles {
		if !p.signed.Role(project).May(access.ActStaff) {
			return false, nil
		}
	}
	return true, nil
}

func (s *console) disableStaff(p *page) error { return s.setStaff(p, true) }
func (s *console) enableStaff(p *page) error  { return s.setStaff(p, false) }

func (s *console) setStaff(p *page, off bool) error {
	id, err := invite.Parse[invite.StaffID](p.Param("id"))
	if err != nil {
		return p.missing()
	}
	if ok, err := s.reach(p, id); err != nil || !ok {
		if err != nil {
			return err
		}
		return p.missing()
	}
	_, err = s.Staff.SetDisabled(p.ctx(), p.by, id, off)
	switch {
	case errors.Is(err, grant.ErrOwnAccount):
		return p.done(p.frame.URL("team"), "bad", p.t("You cannot disable the account you are signed in with."))
	case err != nil:
		return err
	case off:
		return p.done(p.frame.URL("team"), "good", p.t("The account is disabled, and its sessions have ended."))
	}
	return p.done(p.frame.URL("team"), "good", p.t("The account can sign in again."))
}

func (s *console) endSession(p *page) error {
	id, err := invite.Parse[invite.SessionID](p.Param("id"))
	if err != nil {
		return p.missing()
	}
	sessions, err := s.Staff.Sessions(p.ctx(), invite.StaffID{})
	if err != nil {
		return err
	}
	for _, x := range sessions {
		if x.ID != id {
			continue
		}
		if ok, err := s.reach(p, x.StaffID); err != nil {
			return err
		} else if !ok {
			break
		}
		if _, err := s.Staff.EndSession(p.ctx(), p.by, id); err != nil {
			return err
		}
		return p.done(p.frame.URL("team"), "good", p.t("The session has ended."))
	}
	return p.missing()
}
