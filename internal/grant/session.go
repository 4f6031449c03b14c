package grant

import (
	"context"
	"fmt"
	"maps"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/connectlink/connectlink/internal/access"
	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/postgres"
	"github.com/connectlink/connectlink/internal/secret"
	"github.com/connectlink/connectlink/internal/store/account"
)

// Identity is a person as an issuer names them.
type Identity struct {
	Issuer, Subject string
	Person          Person
	Session         string                 // the issuer's own; empty: it names none
	Roles           map[string]access.Role // what the issuer's claims come to here
	// AuthenticatedAt is when the person signed in at the issuer; zero: unknown, which
	// proves no identity for acts of consequence.
	AuthenticatedAt time.Time
}

// SignInWithOIDC signs in whom an issuer vouches for; who has no role here is refused,
// and keeps none that they had. Errors: ErrNoRole, ErrDisabled.
func (s *Staff) SignInWithOIDC(ctx context.Context, who Identity, b Browser) (secret.Text, error) {
	known := account.NewLogin(account.ByIssuer, who.Issuer, who.Subject)
	login := known.Hashes(s.box)
	if len(who.Roles) == 0 {
		err := postgres.InTx(ctx, s.db, func(tx pgx.Tx) error {
			a, _, found, err := account.LockStaff(ctx, tx, login)
			if err == nil && found {
				err = followRoles(ctx, tx, a, nil, b)
			}
			if err != nil {
				return err
			}
			return s.auditRefused(ctx, tx, WhyNoRole, who.Issuer+"\x00"+who.Subject, b)
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
			session := account.NewSession{
				StaffID: a.ID, Method: "oidc", IssuerSession: digestIssuerSession(who.Issuer, who.Session), ConfirmedAt: who.AuthenticatedAt,
			}
			return s.begin(ctx, session, b, func(tx pgx.Tx) error {
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
	return s.begin(ctx, account.NewSession{StaffID: id, Method: "link"}, b, nil)
}

// begin starts a session with a token of its own, and ends the one that the
// browser had: a token from before a sign-in is worth nothing after it.
func (s *Staff) begin(ctx context.Context, session account.NewSession, b Browser, also func(tx pgx.Tx) error) (secret.Text, error) {
	token := access.NewSessionToken()
	session.ID, session.Device, session.Digest = invite.New[invite.SessionID](), b.Device, secret.Digest(token)
	by := access.Staff(session.StaffID.String(), "", invite.Place{})
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
		if err := account.InsertSession(ctx, tx, session); err != nil {
			return err
		}
		if err := account.SetSignedIn(ctx, tx, session.StaffID); err != nil {
			return err
		}
		return account.InsertAudit(ctx, tx, account.Entry{By: by, Act: ActSignIn, Target: session.StaffID.String(), Data: map[string]string{"method": session.Method}})
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
