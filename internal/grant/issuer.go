package grant

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/connectlink/connectlink/internal/access"
	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/postgres"
	"github.com/connectlink/connectlink/internal/secret"
	"github.com/connectlink/connectlink/internal/store/account"
)

// ErrOtherPerson: the issuer vouches for a person other than the session's person.
var ErrOtherPerson = errors.New("the issuer signed in another person")

// digestIssuerSession is what an issuer's own session is found by; nil if it names
// none. It is random and not personal, so the digest needs no key.
func digestIssuerSession(issuer, sid string) []byte {
	if sid == "" {
		return nil
	}
	return secret.Digest(secret.New("session\x00" + issuer + "\x00" + sid))
}

// Vouch goes on with a session for whose person the issuer vouches again, with the
// roles of now. A person without a role has no session any more. Errors:
// ErrOtherPerson, ErrNoRole, ErrDisabled.
func (s *Staff) Vouch(ctx context.Context, signed Signed, who Identity, b Browser) error {
	var refusal error
	err := postgres.InTx(ctx, s.db, func(tx pgx.Tx) error {
		a, _, found, err := account.LockStaff(ctx, tx, s.login(account.ByIssuer, who.Issuer, who.Subject))
		switch {
		case err != nil:
			return err
		case !found || a.ID != signed.Staff.ID:
			return ErrOtherPerson
		case a.DisabledAt != nil:
			return ErrDisabled
		}
		if err := followRoles(ctx, tx, a, who.Roles, b); err != nil {
			return err
		}
		if len(who.Roles) == 0 {
			refusal = ErrNoRole
			return s.endForIssuer(ctx, tx, signed.Session.ID, b)
		}
		went, err := account.SetChecked(ctx, tx, signed.Session.ID, digestIssuerSession(who.Issuer, who.Session))
		if err == nil && !went {
			refusal = ErrDisabled // ended meanwhile, by which all its ends are treated alike
		}
		return err
	})
	if err != nil {
		return err
	}
	return refusal
}

// EndUnconfirmed ends a session for whose person the issuer did not vouch.
func (s *Staff) EndUnconfirmed(ctx context.Context, id invite.SessionID, b Browser) error {
	return postgres.InTx(ctx, s.db, func(tx pgx.Tx) error { return s.endForIssuer(ctx, tx, id, b) })
}

func (s *Staff) endForIssuer(ctx context.Context, tx pgx.Tx, id invite.SessionID, b Browser) error {
	changed, err := account.SetEnded(ctx, tx, id, account.EndedConfirm)
	if err != nil || !changed {
		return err
	}
	by := access.Principal{Kind: access.KindSystem, Origin: b.Origin}
	return account.InsertAudit(ctx, tx, account.Entry{By: by, Act: ActSessionEnded, Target: id.String()})
}

// ErrNoProof: the issuer does not tell when the person signed in.
var ErrNoProof = errors.New("the issuer does not tell when the person signed in")

// ConfirmByIssuer records that a person proved who they are at the issuer, and when.
// Errors: as Vouch, and ErrNoProof.
func (s *Staff) ConfirmByIssuer(ctx context.Context, signed Signed, who Identity, b Browser) error {
	if who.AuthenticatedAt.IsZero() {
		return ErrNoProof
	}
	if err := s.Vouch(ctx, signed, who, b); err != nil {
		return err
	}
	return postgres.InTx(ctx, s.db, func(tx pgx.Tx) error { return confirmed(ctx, tx, signed, who.AuthenticatedAt, b) })
}

// confirmed records that a session's person proved who they are: at a time, or, where
// it is zero, now.
func confirmed(ctx context.Context, tx pgx.Tx, signed Signed, at time.Time, b Browser) error {
	by := access.Staff(signed.Staff.ID.String(), "", invite.Place{})
	by.Origin = b.Origin
	by.Origin.SessionID = signed.Session.ID.String()
	if err := account.SetConfirmed(ctx, tx, signed.Session.ID, at); err != nil {
		return err
	}
	return account.InsertAudit(ctx, tx, account.Entry{By: by, Act: ActConfirmed, Target: signed.Session.ID.String()})
}

// Logout is what an issuer reports of a person or of one of its sessions
// (OpenID Connect Back-Channel Logout 1.0).
type Logout struct {
	Issuer, ID       string // ID is the token's own
	Subject, Session string // one of them may be empty
	Ends             time.Time
}

// logoutKept is how long the id of a logout token is remembered beyond its end:
// longer than clocks differ.
const logoutKept = 10 * time.Minute

// EndByIssuer ends the sessions that a logout at the issuer is about, and returns
// how many. first is false if this logout was reported before.
func (s *Staff) EndByIssuer(ctx context.Context, l Logout, origin access.Origin) (ended int, first bool, err error) {
	digest := secret.Digest(secret.New("logout\x00" + l.Issuer + "\x00" + l.ID))
	err = postgres.InTx(ctx, s.db, func(tx pgx.Tx) error {
		now, err := account.GetTime(ctx, tx)
		if err != nil {
			return err
		}
		if first, err = account.InsertSingleUse(ctx, tx, digest, max(l.Ends.Sub(now), 0)+logoutKept); err != nil || !first {
			return err
		}
		ids, err := s.endReported(ctx, tx, l)
		if err != nil {
			return err
		}
		ended = len(ids)
		for _, id := range ids {
			by := access.Principal{Kind: access.KindSystem, Origin: origin}
			if err := account.InsertAudit(ctx, tx, account.Entry{By: by, Act: ActSessionEnded, Target: id.String()}); err != nil {
				return err
			}
		}
		return nil
	})
	return ended, first, err
}

// endReported ends the issuer's session that a logout names, else all of the
// person. Where both are named, the person's sessions go as well for which the
// issuer told us no session of its own.
func (s *Staff) endReported(ctx context.Context, tx pgx.Tx, l Logout) (ids []invite.SessionID, err error) {
	// Accounts are locked before their sessions, here as elsewhere.
	var a account.Staff
	found := false
	if l.Subject != "" {
		if a, _, found, err = account.LockStaff(ctx, tx, s.login(account.ByIssuer, l.Issuer, l.Subject)); err != nil {
			return nil, err
		}
	}
	if l.Session != "" {
		if ids, err = account.SetIssuerSessionsEnded(ctx, tx, digestIssuerSession(l.Issuer, l.Session)); err != nil {
			return nil, err
		}
	}
	if !found {
		return ids, nil
	}
	more, err := account.SetStaffIssuerSessionsEnded(ctx, tx, a.ID, l.Session == "")
	return append(ids, more...), err
}

// UseFlow uses the state of a sign-in at the issuer up; false means that it was
// used before.
func (s *Staff) UseFlow(ctx context.Context, state string, lasts time.Duration) (first bool, err error) {
	err = postgres.InTx(ctx, s.db, func(tx pgx.Tx) (err error) {
		first, err = account.InsertSingleUse(ctx, tx, secret.Digest(secret.New("flow\x00"+state)), lasts)
		return err
	})
	return first, err
}

// HoldForm keeps a sealed form with a session until the person confirmed who they
// are.
func (s *Staff) HoldForm(ctx context.Context, id invite.SessionID, sealed []byte) error {
	return account.SetHeldForm(ctx, s.db, id, sealed)
}

// DropForm drops the form that a session keeps.
func (s *Staff) DropForm(ctx context.Context, id invite.SessionID) error {
	return account.SetHeldForm(ctx, s.db, id, nil)
}

// DropOld drops the forms that sessions kept for an hour, and searches whose time is over.
func (s *Staff) DropOld(ctx context.Context) error {
	_, forms := account.DeleteHeldForms(ctx, s.db)
	_, searches := account.DeleteSearches(ctx, s.db, true)
	return errors.Join(forms, searches)
}

// HeldForm returns the sealed form that a session keeps; ok is false if there is none.
func (s *Staff) HeldForm(ctx context.Context, id invite.SessionID) (sealed []byte, ok bool, err error) {
	return account.FindHeldForm(ctx, s.db, id)
}
