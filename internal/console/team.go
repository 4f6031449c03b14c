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

// teamPage is the accounts with a role in the project, where they are signed in, and the form
// that gives a colleague access.
type teamPage struct {
	*view.Base
	People     []personRow
	Passwords  bool       // colleagues can be invited
	Groups     []groupRow // of single sign-on
	OwnWords   bool       // single sign-on names roles itself
	Email      string     // of the form
	PersonName string     // likewise
	Roles      []view.Choice
	Made       madeLink
	Faults     []Fault
}

// Wrong is the fault of a field; the template asks for it.
func (d teamPage) Wrong(field string) string { return faultOf(d.Faults, field) }

// madeLink is a link for a colleague, shown this once.
type madeLink struct {
	For, Link string
	Ends      time.Time
}

// groupRow is a group of single sign-on with its role in the project.
type groupRow struct {
	Group string
	Role  access.Role
}

// GroupRole is what a group of single sign-on may do; Project is empty for every project.
type GroupRole struct {
	Group, Project string
	Role           access.Role
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
	// Roles are the roles to choose from; none: the role is not changed here.
	Roles      []view.Choice
	LinkEnds   time.Time // of the link by which they set a password
	NoPassword bool      // they have not set one yet
}

// team lists accounts with a role in this project.
func (s *console) team(p *page) error {
	d, err := s.teamPage(p)
	if err != nil {
		return err
	}
	return p.show("team", d)
}

func (s *console) teamPage(p *page) (teamPage, error) {
	d := teamPage{Base: p.base(p.t("Team"), "team"), Passwords: s.Passwords, Roles: p.roleChoices(access.RoleAgent)}
	for _, g := range s.Groups {
		if g.Project == "" || g.Project == p.by.Project {
			d.Groups = append(d.Groups, groupRow{g.Group, g.Role})
		}
	}
	d.OwnWords = s.Issuer != nil && len(s.Groups) == 0
	list, err := s.Staff.List(p.ctx())
	if err != nil {
		return d, err
	}
	sessions, err := s.Staff.Sessions(p.ctx(), invite.StaffID{})
	if err != nil {
		return d, err
	}
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
			r.How, r.Local, r.NoPassword = p.t("Emergency account"), true, !k.HasPassword
			if s.Issuer == nil {
				r.How = p.t("Password and second factor")
			}
			if k.LinkExpiresAt != nil {
				r.LinkEnds = *k.LinkExpiresAt
			}
			if !r.Own && k.Roles[account.EveryProject] == "" && p.administers(k.Staff) {
				r.Roles = p.roleChoices(role)
			}
			if k.FactorSetAt != nil {
				r.FactorSet = *k.FactorSetAt
			}
		default:
			r.How = p.t("Sign-in link")
		}
		r.Badge = view.Badge{Kind: "good", Icon: "check", Text: p.t("Active")}
		switch {
		case r.Off:
			r.Badge = view.Badge{Kind: "calm", Icon: "ban", Text: p.t("Disabled")}
		case k.LockedUntil != nil:
			r.Badge = view.Badge{Kind: "warn", Icon: "clock", Text: p.t("Temporarily locked")}
		case r.NoPassword && r.LinkEnds.IsZero():
			r.Badge = view.Badge{Kind: "warn", Icon: "clock", Text: p.t("Invitation expired")}
		case r.NoPassword:
			r.Badge = view.Badge{Kind: "busy", Icon: "clock", Text: p.t("Invited")}
		}
		for _, x := range sessions {
			if x.StaffID == k.ID {
				r.Sessions = append(r.Sessions, sessionRow{x.ID.String(), x.Device, x.CreatedAt, x.SeenAt, x.ID == p.signed.Session.ID})
			}
		}
		d.People = append(d.People, r)
	}
	return d, nil
}

// roleChoices are the roles that an account can have here.
func (p *page) roleChoices(chosen access.Role) []view.Choice {
	var out []view.Choice
	for _, r := range access.Roles() {
		out = append(out, view.Choice{Value: string(r), Text: p.t(view.RoleName(r)), Chosen: r == chosen})
	}
	return out
}

// administers reports whether the person who asks is administrator wherever an account has a
// role.
func (p *page) administers(a account.Staff) bool {
	for project := range a.Roles {
		if !p.signed.Role(project).May(access.ActStaff) {
			return false
		}
	}
	return true
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
	return a.Role(p.by.Project) != "" && p.administers(a), nil
}

// ofColleague serves a form about the account that the path names, where the person who asks
// may administer it.
func (s *console) ofColleague(do func(*page, invite.StaffID) error) func(*page) error {
	return s.proved(func(p *page) error {
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
		return do(p, id)
	})
}

func (s *console) disableStaff(p *page, id invite.StaffID) error { return s.setStaff(p, id, true) }
func (s *console) enableStaff(p *page, id invite.StaffID) error  { return s.setStaff(p, id, false) }

func (s *console) setStaff(p *page, id invite.StaffID, off bool) error {
	_, err := s.Staff.SetDisabled(p.ctx(), p.by, id, off)
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
