package grant

import (
	"context"
	"fmt"
	"maps"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/connectlink/connectlink/internal/access"
	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/postgres"
	"github.com/connectlink/connectlink/internal/seal"
	"github.com/connectlink/connectlink/internal/secret"
	"github.com/connectlink/connectlink/internal/store/account"
)

// Browser describes the browser of a sign-in.
type Browser struct {
	Token  secret.Text // of the session it has already, which the new one replaces
	Device string      // a class, "Firefox on Linux"
	Origin access.Origin
}

// dummy is the hash of no account's password: refusing an unknown login takes
// as long as refusing a wrong password.
const dummy = "$argon2id$v=19$m=19456,t=2,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"

// SignInWithPassword signs in by a local account. Errors: ErrRefused, ErrLocked,
// ErrDisabled; the caller limits how often it is asked.
func (s *Staff) SignInWithPassword(ctx context.Context, login, password secret.Text, b Browser) (secret.Text, error) {
	known := account.NewLogin(account.ByPassword, "", login.Reveal())
	hashes := known.Hashes(s.box)
	// The slow comparison happens outside a transaction.
	var a account.Staff
	phc, found := dummy, false
	err := postgres.InTx(ctx, s.db, func(tx pgx.Tx) error {
		stored, p, ok, err := account.LockStaff(ctx, tx, hashes)
		if ok {
			a, phc, found = stored, p, true
		}
		return err
	})
	if err != nil {
		return secret.Text{}, err
	}
	right, upgraded, err := s.check(ctx, phc, password)
	if err != nil {
		return secret.Text{}, fmt.Errorf("check the password of staff %s: %w", a.ID, err)
	}
	switch {
	case !found:
		return secret.Text{}, ErrRefused
	case a.LockedUntil != nil:
		return secret.Text{}, ErrLocked
	case !right:
		return secret.Text{}, s.wrong(ctx, hashes, phc, b)
	case a.DisabledAt != nil:
		return secret.Text{}, ErrDisabled
	}
	return s.begin(ctx, a.ID, "password", b, func(tx pgx.Tx) error {
		now, err := lockUnchanged(ctx, tx, hashes, phc)
		if err != nil {
			return err
		}
		who := s.open(now).Person
		who.Email = strings.TrimSpace(login.Reveal())
		if upgraded != "" {
			if err := account.SetPassword(ctx, tx, a.ID, upgraded); err != nil {
				return err
			}
		}
		return s.setProfile(ctx, tx, a.ID, known, who)
	})
}

// wrong counts a wrong password. Many that come at once are compared side by
// side, so each asks again whether it still may.
func (s *Staff) wrong(ctx context.Context, login []seal.Hash, phc string, b Browser) error {
	err := postgres.InTx(ctx, s.db, func(tx pgx.Tx) error {
		a, err := lockUnchanged(ctx, tx, login, phc)
		if err != nil {
			return err
		}
		if err := account.AddFailure(ctx, tx, a.ID); err != nil {
			return err
		}
		by := access.Principal{Kind: access.KindSystem, Origin: b.Origin}
		return account.InsertAudit(ctx, tx, account.Entry{By: by, Act: ActSignInFailed, Target: a.ID.String(), Why: "password"})
	})
	if err != nil {
		return err
	}
	return ErrRefused
}

// lockUnchanged locks an account whose password was compared, and returns a change
// made meanwhile: ErrLocked after too many wrong ones, ErrRefused if the
// password was changed.
func lockUnchanged(ctx context.Context, tx pgx.Tx, login []seal.Hash, phc string) (account.Staff, error) {
	a, stored, found, err := account.LockStaff(ctx, tx, login)
	switch {
	case err != nil:
		return a, err
	case !found || stored != phc:
		return a, ErrRefused
	case a.LockedUntil != nil:
		return a, ErrLocked
	}
	return a, nil
}

// maxChecking bounds the passwords compared at a time: each takes memory and a
// processor, and many at once must not exhaust the process.
const maxChecking = 1

// check compares a password with the stored one. A right one that is stored with
// parameters of earlier versions is returned in the form of today, else upgraded is empty.
func (s *Staff) check(ctx context.Context, phc string, password secret.Text) (right bool, upgraded string, err error) {
	select {
	case s.checking <- struct{}{}:
		defer func() { <-s.checking }()
	case <-ctx.Done():
		return false, "", ctx.Err()
	}
	right, err = checkPassword(phc, password)
	if right && err == nil && !isCurrent(phc) {
		upgraded = hashPassword(password)
	}
	return right, upgraded, err
}

// Identity is a person as an issuer names them.
type Identity struct {
	Issuer, Subject string
	Person          Person
	Roles           map[string]access.Role // what the issuer's claims come to here
}

// SignInWithOIDC signs in whom an issuer vouches for; who has no role here is refused,
// and keeps none that they had. Errors: ErrNoRole, ErrDisabled.
func (s *Staff) SignInWithOIDC(ctx context.Context, who Identity, b Browser) (secret.Text, error) {
	known := account.NewLogin(account.ByIssuer, who.Issuer, who.Subject)
	login := known.Hashes(s.box)
	if len(who.Roles) == 0 {
		err := postgres.InTx(ctx, s.db, func(tx pgx.Tx) error {
			a, _, found, err := account.LockStaff(ctx, tx, login)
			if err != nil || !found {
				return err
			}
			return followRoles(ctx, tx, a, nil, b)
		})
		if err != nil {
			return secret.Text{}, err
		}
		return secret.Text{}, ErrNoRole
	}
	for range 2 {
		var a account.Staff
		var found bool
		err := postgres.InTx(ctx, s.db, func(tx pgx.Tx) (err error) {
			a, _, found, err = account.LockStaff(ctx, tx, login)
			return err
		})
		switch {
		case err != nil:
			return secret.Text{}, err
		case found && a.DisabledAt != nil:
			return secret.Text{}, ErrDisabled
		case found:
			return s.begin(ctx, a.ID, "oidc", b, func(tx pgx.Tx) error {
				if err := s.setProfile(ctx, tx, a.ID, known, who.Person); err != nil {
					return err
				}
				now, err := account.GetStaff(ctx, tx, a.ID) // locked by the line above
				if err != nil {
					return err
				}
				return followRoles(ctx, tx, now, who.Roles, b)
			})
		}
		by := access.Principal{Kind: access.KindSystem, Origin: b.Origin}
		err = s.insert(ctx, by, invite.New[invite.StaffID](), known, who.Person, "", who.Roles)
		if err != nil && err != ErrLoginTaken { //nolint:errorlint // insert gives it bare; taken: a twin was first
			return secret.Text{}, err
		}
	}
	return secret.Text{}, fmt.Errorf("sign in by issuer: %w", ErrLoginTaken)
}

// followRoles gives an account the roles that its issuer's claims come to now.
func followRoles(ctx context.Context, tx pgx.Tx, a account.Staff, roles map[string]access.Role, b Browser) error {
	if maps.Equal(a.Roles, roles) {
		return nil
	}
	if err := account.SetRoles(ctx, tx, a.ID, roles); err != nil {
		return err
	}
	by := access.Principal{Kind: access.KindSystem, Origin: b.Origin}
	return account.InsertAudit(ctx, tx, account.Entry{By: by, Act: ActStaffRoles, Target: a.ID.String(), Data: roleText(roles)})
}

// UseLink signs in by a link that works once. Errors: ErrLinkUsed, ErrDisabled.
func (s *Staff) UseLink(ctx context.Context, link secret.Text, b Browser) (secret.Text, error) {
	var id invite.StaffID
	err := postgres.InTx(ctx, s.db, func(tx pgx.Tx) error {
		var ok bool
		var err error
		if id, ok, err = account.TakeStaffLink(ctx, tx, secret.Digest(link)); err != nil {
			return err
		}
		if !ok {
			return ErrLinkUsed
		}
		a, err := account.GetStaff(ctx, tx, id)
		if err == nil && a.DisabledAt != nil {
			return ErrDisabled
		}
		return err
	})
	if err != nil {
		return secret.Text{}, err
	}
	return s.begin(ctx, id, "link", b, nil)
}

// begin starts a session with a token of its own, and ends the one that the
// browser had: a token from before a sign-in is worth nothing after it.
func (s *Staff) begin(ctx context.Context, id invite.StaffID, method string, b Browser, also func(tx pgx.Tx) error) (secret.Text, error) {
	token := access.NewSessionToken()
	session := account.Session{ID: invite.New[invite.SessionID](), StaffID: id, Method: method, Device: b.Device}
	by := access.Staff(id.String(), "", invite.Place{})
	by.Origin = b.Origin
	by.Origin.SessionID = session.ID.String()
	err := postgres.InTx(ctx, s.db, func(tx pgx.Tx) error {
		if also != nil {
			if err := also(tx); err != nil {
				return err
			}
		}
		if !b.Token.IsZero() {
			old, _, found, err := account.FindSession(ctx, tx, secret.Digest(b.Token))
			if err != nil {
				return err
			}
			if found {
				if _, err := account.SetEnded(ctx, tx, old.ID, account.EndedReplaced); err != nil {
					return err
				}
			}
		}
		if err := account.InsertSession(ctx, tx, session, secret.Digest(token)); err != nil {
			return err
		}
		if err := account.SetSignedIn(ctx, tx, id); err != nil {
			return err
		}
		return account.InsertAudit(ctx, tx, account.Entry{By: by, Act: ActSignIn, Target: id.String(), Data: map[string]string{"method": method}})
	})
	if err != nil {
		return secret.Text{}, err
	}
	return token, nil
}

// Session returns the owner of a session's token. The session may have
// ended: see Session.Ended. ok is false for an unknown token.
func (s *Staff) Session(ctx context.Context, token secret.Text) (signed Signed, ok bool, err error) {
	if !access.ValidSessionToken(token.Reveal()) {
		return Signed{}, false, nil
	}
	session, a, found, err := account.FindSession(ctx, s.db, secret.Digest(token))
	if err != nil || !found {
		return Signed{}, false, err
	}
	if session.Ended == "" && a.DisabledAt != nil {
		session.Ended = account.EndedDisabled
	}
	return Signed{Session: session, Known: s.open(a)}, true, nil
}

// TouchSession records that a session is in use; flashRead takes its message away.
func (s *Staff) TouchSession(ctx context.Context, id invite.SessionID, flashRead bool) error {
	return account.SetSeen(ctx, s.db, id, flashRead)
}

// SetFlash leaves a message for the session's next page.
func (s *Staff) SetFlash(ctx context.Context, id invite.SessionID, flash string) error {
	return account.SetFlash(ctx, s.db, id, flash)
}

// SignOut ends one's own session.
func (s *Staff) SignOut(ctx context.Context, by access.Principal, id invite.SessionID) error {
	_, err := s.end(ctx, by, id, account.EndedSignedOut, ActSignOut)
	return err
}

// EndSession ends a session of any account; false means that it had ended
// before.
func (s *Staff) EndSession(ctx context.Context, by access.Principal, id invite.SessionID) (bool, error) {
	return s.end(ctx, by, id, account.EndedRevoked, ActSessionEnded)
}

func (s *Staff) end(ctx context.Context, by access.Principal, id invite.SessionID, why account.Ended, act access.Act) (changed bool, err error) {
	err = postgres.InTx(ctx, s.db, func(tx pgx.Tx) error {
		if changed, err = account.SetEnded(ctx, tx, id, why); err != nil || !changed {
			return err
		}
		return account.InsertAudit(ctx, tx, account.Entry{By: by, Act: act, Target: id.String()})
	})
	return changed, err
}

// Sessions lists the sessions of an account, or of all when id is zero, that
// are not over.
func (s *Staff) Sessions(ctx context.Context, id invite.StaffID) ([]account.Session, error) {
	return account.ListSessions(ctx, s.db, id)
}
