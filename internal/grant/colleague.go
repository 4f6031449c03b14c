package grant

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/connectlink/connectlink/internal/access"
	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/postgres"
	"github.com/connectlink/connectlink/internal/secret"
	"github.com/connectlink/connectlink/internal/store/account"
)

// PasswordLinkLasts is how long a colleague has to set a password.
const PasswordLinkLasts = 72 * time.Hour

// Colleague is a person to be given access to one project.
type Colleague struct {
	Email   string // in the form of contact.ParseEmail
	Name    string
	Project string
	Role    access.Role
}

// Invitation is access that was given.
type Invitation struct {
	ID invite.StaffID
	// Link is the part of an address by which the colleague sets a password, once; zero
	// for a person who had an account before. They sign in as they did.
	Link secret.Text
}

// Invite creates a local account without a password, and the link by which its owner sets
// one. A person who has an account is given the role. Their password is not touched: the
// account may have roles in projects that the inviter has nothing to do with. Errors:
// ErrDisabled, ErrOwnAccount.
func (s *Staff) Invite(ctx context.Context, by access.Principal, c Colleague) (Invitation, error) {
	login := account.NewLogin(account.ByPassword, "", c.Email)
	for range 2 {
		var out Invitation
		found := false
		err := postgres.InTx(ctx, s.db, func(tx pgx.Tx) error {
			a, _, ok, err := account.LockStaff(ctx, tx, login.Hashes(s.box))
			if err != nil || !ok {
				return err
			}
			found, out.ID = true, a.ID
			switch {
			case isOwn(by, a.ID):
				return ErrOwnAccount
			case a.DisabledAt != nil:
				return ErrDisabled
			}
			return setRole(ctx, tx, by, a.ID, c.Project, c.Role)
		})
		if err != nil || found {
			return out, err
		}
		out = Invitation{invite.New[invite.StaffID](), access.NewSessionToken()}
		err = s.insertWith(ctx, by, out.ID, login, Person{Name: c.Name, Email: c.Email}, "", map[string]access.Role{c.Project: c.Role}, func(tx pgx.Tx) error {
			return insertPasswordLink(ctx, tx, by, out.ID, out.Link)
		})
		if !errors.Is(err, ErrLoginTaken) { // taken: another process was first
			return out, err
		}
	}
	return Invitation{}, fmt.Errorf("invite a colleague: %w", ErrLoginTaken)
}

// NewPasswordLink makes another link by which the owner of a local account sets a password,
// in place of an earlier link. The present password works until then. Errors:
// account.ErrNotFound, ErrNotLocal, ErrOwnAccount, ErrDisabled.
func (s *Staff) NewPasswordLink(ctx context.Context, by access.Principal, id invite.StaffID) (secret.Text, error) {
	link := access.NewSessionToken()
	err := s.changeLocal(ctx, by, id, func(tx pgx.Tx, a account.Staff) error {
		if a.DisabledAt != nil {
			return ErrDisabled
		}
		return insertPasswordLink(ctx, tx, by, id, link)
	})
	return link, err
}

func insertPasswordLink(ctx context.Context, tx pgx.Tx, by access.Principal, id invite.StaffID, link secret.Text) error {
	if err := account.ReplacePasswordLink(ctx, tx, id, digestPasswordLink(link), PasswordLinkLasts); err != nil {
		return err
	}
	return account.InsertAudit(ctx, tx, account.Entry{By: by, Act: ActPasswordLink, Target: id.String()})
}

// digestPasswordLink is not the digest of links that sign in: neither is taken for the other.
func digestPasswordLink(link secret.Text) []byte {
	return secret.Digest(secret.New("password\x00" + link.Reveal()))
}

// SetRole gives a local account a role in one project, from its next request on; "" takes the
// role away. Errors: account.ErrNotFound, ErrNotLocal, ErrOwnAccount.
func (s *Staff) SetRole(ctx context.Context, by access.Principal, id invite.StaffID, project string, role access.Role) error {
	return s.changeLocal(ctx, by, id, func(tx pgx.Tx, _ account.Staff) error {
		return setRole(ctx, tx, by, id, project, role)
	})
}

func setRole(ctx context.Context, tx pgx.Tx, by access.Principal, id invite.StaffID, project string, role access.Role) error {
	if err := account.SetRole(ctx, tx, id, project, role); err != nil {
		return err
	}
	return account.InsertAudit(ctx, tx, account.Entry{By: by, Act: ActStaffRoles, Target: id.String(), Data: roleText(map[string]access.Role{project: role})})
}

// changeLocal changes the local account of another person. Errors: account.ErrNotFound,
// ErrNotLocal, ErrOwnAccount.
func (s *Staff) changeLocal(ctx context.Context, by access.Principal, id invite.StaffID, change func(pgx.Tx, account.Staff) error) error {
	if isOwn(by, id) {
		return ErrOwnAccount
	}
	return postgres.InTx(ctx, s.db, func(tx pgx.Tx) error {
		a, _, err := account.LockStaffByID(ctx, tx, id)
		switch {
		case err != nil:
			return err
		case a.Kind != account.ByPassword:
			return ErrNotLocal
		}
		return change(tx, a)
	})
}

func isOwn(by access.Principal, id invite.StaffID) bool {
	return by.Kind == access.KindStaff && by.ID == id.String()
}

// PasswordLinkOwner returns the account whose password a link sets, and leaves the link.
// Errors: ErrLinkUsed, ErrDisabled.
func (s *Staff) PasswordLinkOwner(ctx context.Context, link secret.Text) (Known, error) {
	id, ok, err := account.FindPasswordLink(ctx, s.db, digestPasswordLink(link))
	if err != nil {
		return Known{}, err
	}
	if !ok {
		return Known{}, ErrLinkUsed
	}
	a, err := account.GetStaff(ctx, s.db, id)
	switch {
	case err != nil:
		return Known{}, err
	case a.DisabledAt != nil:
		return Known{}, ErrDisabled
	}
	return s.open(a), nil
}

// SetPasswordByLink sets the password of a link's account, ends its sessions and uses the link
// up. The sign-in goes on with the second factor, which stays if there is one. Errors:
// ErrLinkUsed, ErrDisabled, ErrBusy, ErrPasswordLength, ErrPasswordCommon; after the last two the
// link can be used again.
func (s *Staff) SetPasswordByLink(ctx context.Context, link, password secret.Text, b Browser) (Ticket, error) {
	owner, err := s.PasswordLinkOwner(ctx, link)
	if err != nil {
		return Ticket{}, err
	}
	phc, err := s.hashOf(ctx, owner, password, b)
	if err != nil {
		return Ticket{}, err
	}
	id := owner.Staff.ID
	by := access.Staff(id.String(), "", invite.Place{})
	by.Origin = b.Origin
	err = postgres.InTx(ctx, s.db, func(tx pgx.Tx) error {
		a, _, err := account.LockStaffByID(ctx, tx, id)
		if err != nil {
			return err
		}
		if a.DisabledAt != nil {
			return ErrDisabled
		}
		taken, err := account.TakePasswordLink(ctx, tx, digestPasswordLink(link))
		if err != nil {
			return err
		}
		if !taken {
			return ErrLinkUsed
		}
		if err := account.SetPassword(ctx, tx, id, phc); err != nil {
			return err
		}
		if _, err := account.SetAllEnded(ctx, tx, id, account.EndedRevoked); err != nil {
			return err
		}
		return account.InsertAudit(ctx, tx, account.Entry{By: by, Act: ActPasswordSet, Target: id.String()})
	})
	if err != nil {
		return Ticket{}, err
	}
	return s.newTicket(ctx, ticket{Staff: id, Login: strings.TrimSpace(owner.Person.Email), PHC: digestPHC(phc)})
}

// hashOf hashes a new password, in its turn: hashing takes memory as comparing does.
func (s *Staff) hashOf(ctx context.Context, owner Known, password secret.Text, b Browser) (string, error) {
	try := s.attemptOf(owner.Staff.ID, owner.Person.Email, b)
	done, err := s.checking.wait(ctx, try.known, try.from)
	if err != nil {
		return "", err
	}
	defer done()
	return hashNewPassword(password, owner.Person.Email, owner.Person.Name)
}
