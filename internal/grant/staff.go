package grant

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/connectlink/connectlink/internal/access"
	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/postgres"
	"github.com/connectlink/connectlink/internal/seal"
	"github.com/connectlink/connectlink/internal/secret"
	"github.com/connectlink/connectlink/internal/store/account"
)

// Words of the audit log for what no role decides about.
const (
	ActSignIn       access.Act = "sign_in"
	ActSignInFailed access.Act = "sign_in_failed"
	ActSignOut      access.Act = "sign_out"
	ActStaffCreated access.Act = "staff_created"
	ActStaffEnabled access.Act = "staff_enabled"
	ActStaffOff     access.Act = "staff_disabled"
	ActStaffRoles   access.Act = "staff_roles"
	ActPasswordLink access.Act = "password_link_created"
	ActPasswordSet  access.Act = "password_set"
	ActFactorSet    access.Act = "second_factor_set"
	ActFactorReset  access.Act = "second_factor_reset"
	ActRecoveryUsed access.Act = "recovery_code_used"
	ActRecoveryMade access.Act = "recovery_codes_created"
	ActConfirmed    access.Act = "identity_confirmed"
	ActSessionEnded access.Act = "session_ended"
	ActKeyCreated   access.Act = "key_created"
	ActKeyRevoked   access.Act = "key_revoked"
)

// Faults of a sign-in, for telling the person what to do.
var (
	// ErrNoRole: the person is known to the issuer, and has no role here.
	ErrNoRole = errors.New("the person has no role here")
	// ErrDisabled: the account was disabled here.
	ErrDisabled = errors.New("the account is disabled")
	// ErrLinkUsed: the sign-in link was used before, or is too old.
	ErrLinkUsed = errors.New("the sign-in link was used or is too old")
	// ErrLoginTaken: there is an account with this login.
	ErrLoginTaken = errors.New("there is an account with this login already")
	// ErrNotLocal: the roles of an issuer's people come with each sign-in, and
	// those of a printed link with each link.
	ErrNotLocal = errors.New("only an emergency account's roles are kept here; others come from single sign-on")
	// ErrOwnAccount: a person who did this to their own account could not undo
	// it.
	ErrOwnAccount = errors.New("you cannot disable the account that you are signed in with")
)

// Person is who an account belongs to.
type Person = account.Person

// Known is an account with its person.
type Known struct {
	account.Staff
	Person Person
}

// Signed is a member of staff with a session.
type Signed struct {
	Session account.Session
	Known
}

// Staff signs staff in and administers their accounts.
type Staff struct {
	db       *pgxpool.Pool
	box      *seal.Box
	checking *turns // of passwords
}

// NewStaff makes a Staff.
func NewStaff(db *pgxpool.Pool, box *seal.Box) *Staff {
	return &Staff{db: db, box: box, checking: newTurns()}
}

// open decrypts the owner's name of an account. An account that no key opens
// any more is shown without a name, and does not make a list fail.
func (s *Staff) open(a account.Staff) Known {
	p, _ := a.Person(s.box)
	return Known{Staff: a, Person: p}
}

// login returns the hashes that an account is found by.
func (s *Staff) login(kind, issuer, subject string) []seal.Hash {
	return account.NewLogin(kind, issuer, subject).Hashes(s.box)
}

// setProfile renews login and profile of an account under the present key: the one of
// its creation is retired some day.
func (s *Staff) setProfile(ctx context.Context, tx pgx.Tx, id invite.StaffID, login account.Login, who Person) error {
	profile, err := who.Seal(s.box, id)
	if err != nil {
		return err
	}
	sealed, err := login.Seal(s.box, id)
	if err != nil {
		return err
	}
	return account.SetProfile(ctx, tx, id, login.Hashes(s.box)[0], sealed, profile)
}

// NewAccount is a local account to be made.
type NewAccount struct {
	Login    secret.Text // an email address
	Name     string
	Password secret.Text
	Roles    map[string]access.Role // by project; account.EveryProject is all
}

// Create makes a local account. Errors: ErrLoginTaken, ErrPasswordLength,
// ErrPasswordCommon.
func (s *Staff) Create(ctx context.Context, by access.Principal, n NewAccount) (invite.StaffID, error) {
	phc, err := hashNewPassword(n.Password, n.Login.Reveal(), n.Name)
	if err != nil {
		return invite.StaffID{}, err
	}
	id := invite.New[invite.StaffID]()
	err = s.insert(ctx, by, id, account.NewLogin(account.ByPassword, "", n.Login.Reveal()),
		Person{Name: n.Name, Email: n.Login.Reveal()}, phc, n.Roles)
	return id, err
}

func (s *Staff) insert(ctx context.Context, by access.Principal, id invite.StaffID, login account.Login, p Person, phc string, roles map[string]access.Role) error {
	return s.insertWith(ctx, by, id, login, p, phc, roles, func(pgx.Tx) error { return nil })
}

// insertWith stores a new account and what belongs to it. Errors: ErrLoginTaken.
func (s *Staff) insertWith(ctx context.Context, by access.Principal, id invite.StaffID, login account.Login, p Person, phc string, roles map[string]access.Role, also func(pgx.Tx) error) error {
	profile, err := p.Seal(s.box, id)
	if err != nil {
		return err
	}
	sealed, err := login.Seal(s.box, id)
	if err != nil {
		return err
	}
	err = postgres.InTx(ctx, s.db, func(tx pgx.Tx) error {
		if err := account.InsertStaff(ctx, tx, account.NewStaff{
			ID: id, Kind: login.Kind, LoginHash: login.Hashes(s.box)[0], Login: sealed, Profile: profile, Password: phc,
		}); err != nil {
			return err
		}
		if err := account.SetRoles(ctx, tx, id, roles); err != nil {
			return err
		}
		if err := account.InsertAudit(ctx, tx, account.Entry{By: by, Act: ActStaffCreated, Target: id.String(), Data: roleText(roles)}); err != nil {
			return err
		}
		return also(tx)
	})
	var taken *postgres.ConstraintError
	if errors.As(err, &taken) && taken.Name == "staff_login_hash_key" {
		return ErrLoginTaken
	}
	return err
}

// roleText is roles in the form of the audit log.
func roleText(roles map[string]access.Role) map[string]string {
	out := map[string]string{}
	for project, r := range roles {
		out["role:"+project] = string(r)
	}
	return out
}

// List returns every account, newest first.
func (s *Staff) List(ctx context.Context) ([]Known, error) {
	list, err := account.ListStaff(ctx, s.db)
	if err != nil {
		return nil, err
	}
	out := make([]Known, len(list))
	for i, a := range list {
		out[i] = s.open(a)
	}
	return out, nil
}

// SetDisabled ends an account with all its sessions, or brings it back.
// Errors: account.ErrNotFound, ErrOwnAccount.
func (s *Staff) SetDisabled(ctx context.Context, by access.Principal, id invite.StaffID, disabled bool) (changed bool, err error) {
	if disabled && by.Kind == access.KindStaff && by.ID == id.String() {
		return false, ErrOwnAccount
	}
	act := ActStaffEnabled
	if disabled {
		act = ActStaffOff
	}
	err = postgres.InTx(ctx, s.db, func(tx pgx.Tx) error {
		if _, err := account.GetStaff(ctx, tx, id); err != nil {
			return err
		}
		if changed, err = account.SetDisabled(ctx, tx, id, disabled); err != nil || !changed {
			return err
		}
		if disabled {
			if _, err := account.SetAllEnded(ctx, tx, id, account.EndedDisabled); err != nil {
				return err
			}
		}
		return account.InsertAudit(ctx, tx, account.Entry{By: by, Act: act, Target: id.String()})
	})
	return changed, err
}

// SetRoles gives a local account these roles and no others, from its next
// request on. Errors: account.ErrNotFound, ErrNotLocal.
func (s *Staff) SetRoles(ctx context.Context, by access.Principal, id invite.StaffID, roles map[string]access.Role) error {
	return postgres.InTx(ctx, s.db, func(tx pgx.Tx) error {
		a, err := account.GetStaff(ctx, tx, id)
		if err != nil {
			return err
		}
		if a.Kind != account.ByPassword {
			return ErrNotLocal
		}
		if err := account.SetRoles(ctx, tx, id, roles); err != nil {
			return err
		}
		return account.InsertAudit(ctx, tx, account.Entry{By: by, Act: ActStaffRoles, Target: id.String(), Data: roleText(roles)})
	})
}

// SetPassword gives a local account a new password and ends its sessions.
// Errors: ErrPasswordLength, ErrPasswordCommon.
func (s *Staff) SetPassword(ctx context.Context, by access.Principal, login, password secret.Text) (found bool, err error) {
	phc, err := hashNewPassword(password, login.Reveal())
	if err != nil {
		return false, err
	}
	err = postgres.InTx(ctx, s.db, func(tx pgx.Tx) error {
		a, _, ok, err := account.LockStaff(ctx, tx, s.login(account.ByPassword, "", login.Reveal()))
		if err != nil || !ok {
			return err
		}
		found = true
		if err := account.SetPassword(ctx, tx, a.ID, phc); err != nil {
			return err
		}
		if _, err := account.SetAllEnded(ctx, tx, a.ID, account.EndedRevoked); err != nil {
			return err
		}
		return account.InsertAudit(ctx, tx, account.Entry{By: by, Act: ActPasswordSet, Target: a.ID.String()})
	})
	return found, err
}

// Link makes a link that signs an account in once. The account is created if
// it does not exist: it belongs to the operator of the program and has no
// password.
func (s *Staff) Link(ctx context.Context, by access.Principal, name string, roles map[string]access.Role, lasts time.Duration) (secret.Text, error) {
	login := account.NewLogin(account.ByLink, "", name)
	token := access.NewSessionToken()
	for range 2 {
		var found bool
		err := postgres.InTx(ctx, s.db, func(tx pgx.Tx) error {
			a, _, ok, err := account.LockStaff(ctx, tx, login.Hashes(s.box))
			if err != nil || !ok {
				return err
			}
			found = true
			if err := account.SetRoles(ctx, tx, a.ID, roles); err != nil {
				return err
			}
			return account.InsertStaffLink(ctx, tx, a.ID, secret.Digest(token), lasts)
		})
		if err != nil || found {
			return token, err
		}
		err = s.insert(ctx, by, invite.New[invite.StaffID](), login, Person{Name: name}, "", roles)
		if err != nil && !errors.Is(err, ErrLoginTaken) { // taken: another process was first
			return secret.Text{}, err
		}
	}
	return secret.Text{}, fmt.Errorf("make a sign-in link: %w", ErrLoginTaken)
}
