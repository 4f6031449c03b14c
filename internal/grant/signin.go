package grant

import (
	"cmp"
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/postgres"
	"github.com/connectlink/connectlink/internal/secret"
	"github.com/connectlink/connectlink/internal/store/account"
)

// dummy is the hash of no account's password: refusing an unknown login takes
// as long as refusing a wrong password.
const dummy = "$argon2id$v=19$m=19456,t=2,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"

// ErrTicket: the password was given too long ago, or was changed since.
var ErrTicket = errors.New("the sign-in took too long, or the password was changed: begin again")

// ticketLasts is the time between a right password and the code, which for the
// first sign-in includes setting up an authenticator app.
const ticketLasts = 10 * time.Minute

const ticketColumn = "staff.ticket"

// ticket is what a browser keeps, sealed, between password and code: a right
// password alone stores nothing and opens nothing.
type ticket struct {
	Staff  invite.StaffID `json:"staff"`
	Login  string         `json:"login"`
	PHC    []byte         `json:"phc"` // digest of the stored password, so that a change ends it
	Ends   time.Time      `json:"ends"`
	Secret string         `json:"secret,omitempty"` // of the authenticator app to be set up
}

// Ticket is a right password that a code must follow.
type Ticket struct {
	Token secret.Text // sealed; for Finish
	// Setup is what the authenticator app is set up with; nil: it is set up.
	Setup *Setup
}

func digestPHC(phc string) []byte {
	sum := sha256.Sum256([]byte(phc))
	return sum[:]
}

// CheckPassword is the first step of a sign-in by a local account. Errors:
// ErrRefused, *LockedError, ErrBusy, ErrDisabled.
func (s *Staff) CheckPassword(ctx context.Context, login, password secret.Text, b Browser) (Ticket, error) {
	hashes := s.login(account.ByPassword, "", login.Reveal())
	// The slow comparison happens outside a transaction.
	var a account.Staff
	phc, found := dummy, false
	err := postgres.InTx(ctx, s.db, func(tx pgx.Tx) error {
		stored, p, ok, err := account.LockStaff(ctx, tx, hashes)
		if ok && p != "" { // "" is of a colleague who has not set a password yet
			a, phc, found = stored, p, true
		}
		return err
	})
	if err != nil {
		return Ticket{}, err
	}
	try := s.attemptOf(a.ID, login.Reveal(), b)
	if err := s.refuseLocked(ctx, try); err != nil {
		return Ticket{}, err
	}
	right, upgraded, err := s.compare(ctx, try, phc, password)
	switch {
	case err != nil:
		return Ticket{}, fmt.Errorf("check the password of staff %s: %w", a.ID, err)
	case !found || !right:
		return Ticket{}, s.failPassword(ctx, try, a.ID, login.Reveal(), b)
	}
	// A right one among many wrong ones at once must not pass a lock either.
	if err := s.refuseLocked(ctx, try); err != nil {
		return Ticket{}, err
	}
	if a.DisabledAt != nil {
		return Ticket{}, ErrDisabled
	}
	if upgraded != "" {
		err := postgres.InTx(ctx, s.db, func(tx pgx.Tx) error {
			if _, err := lockUnchanged(ctx, tx, a.ID, digestPHC(phc)); err != nil {
				return err
			}
			return account.SetPassword(ctx, tx, a.ID, upgraded)
		})
		if err != nil {
			return Ticket{}, err
		}
		phc = upgraded
	}
	return s.newTicket(ctx, ticket{Staff: a.ID, Login: strings.TrimSpace(login.Reveal()), PHC: digestPHC(phc)})
}

// compare compares a password with the stored one. A right one that is stored with
// parameters of earlier versions is returned in the form of today, else upgraded is empty.
func (s *Staff) compare(ctx context.Context, try attempt, phc string, password secret.Text) (right bool, upgraded string, err error) {
	done, err := s.checking.wait(ctx, try.known, try.from)
	if err != nil {
		return false, "", err
	}
	defer done()
	right, err = checkPassword(phc, password)
	if right && err == nil && !isCurrent(phc) {
		upgraded = hashPassword(password)
	}
	return right, upgraded, err
}

// lockUnchanged locks an account unless its password was changed since it was
// compared. Errors: ErrTicket.
func lockUnchanged(ctx context.Context, tx pgx.Tx, id invite.StaffID, phc []byte) (account.Staff, error) {
	a, stored, err := account.LockStaffByID(ctx, tx, id)
	switch {
	case errors.Is(err, account.ErrNotFound):
		return a, ErrTicket
	case err != nil:
		return a, err
	case subtle.ConstantTimeCompare(digestPHC(stored), phc) != 1:
		return a, ErrTicket
	}
	return a, nil
}

// openTicket opens a ticket that has not ended. Errors: ErrTicket.
func (s *Staff) openTicket(ctx context.Context, token secret.Text) (t ticket, err error) {
	if !s.openText(token, ticketColumn, &t) {
		return ticket{}, ErrTicket
	}
	now, err := account.GetTime(ctx, s.db)
	if err == nil && now.After(t.Ends) {
		err = ErrTicket
	}
	return t, err
}

// lockTicket locks the account of a ticket unless its password was changed or its second
// factor reset since the ticket was made. Errors: ErrTicket.
func lockTicket(ctx context.Context, tx pgx.Tx, t ticket) (account.Staff, error) {
	a, err := lockUnchanged(ctx, tx, t.Staff, t.PHC)
	if err == nil && a.FactorResetAt != nil && !t.Ends.Add(-ticketLasts).After(*a.FactorResetAt) {
		err = ErrTicket
	}
	return a, err
}

// SignedIn is a finished sign-in.
type SignedIn struct {
	Token secret.Text // of the session
	Known secret.Text // for Browser.Known: the device signed this account in
	// Recovery are the codes that replace a lost second factor, right after it was
	// set up; they are shown this once.
	Recovery []secret.Text
}

// Finish is the second step of a sign-in by a local account: a code of the
// authenticator app, or a recovery code. The first sign-in sets the app up.
// Errors: ErrTicket, ErrCode, *LockedError, ErrDisabled.
func (s *Staff) Finish(ctx context.Context, token, code secret.Text, b Browser) (SignedIn, error) {
	t, err := s.openTicket(ctx, token)
	if err != nil {
		return SignedIn{}, err
	}
	try := s.attemptOf(t.Staff, t.Login, b)
	if err := s.refuseLocked(ctx, try); err != nil {
		return SignedIn{}, err
	}
	recovery, err := s.takeCode(ctx, t, try, code, b)
	if err != nil {
		return SignedIn{}, err
	}
	out := SignedIn{Recovery: recovery}
	if out.Known, err = s.newKnown(t.Staff); err != nil {
		return SignedIn{}, err
	}
	out.Token, err = s.begin(ctx, account.NewSession{StaffID: t.Staff, Method: "password"}, b, func(tx pgx.Tx) error {
		a, err := lockTicket(ctx, tx, t)
		switch {
		case err != nil:
			return err
		case a.DisabledAt != nil:
			return ErrDisabled
		}
		if ok, err := account.DeleteSignInFailures(ctx, tx, try.by); err != nil || !ok {
			if err == nil {
				err = &LockedError{} // it began while the code was checked
			}
			return err
		}
		who := s.open(a).Person
		who.Email = t.Login
		return s.setProfile(ctx, tx, a.ID, account.NewLogin(account.ByPassword, "", t.Login), who)
	})
	return out, err
}

// Confirm takes password and code from a person who is signed in by a local account,
// and records that they proved who they are. Errors: ErrRefused, ErrCode,
// *LockedError, ErrBusy, ErrDisabled.
func (s *Staff) Confirm(ctx context.Context, signed Signed, password, code secret.Text, b Browser) error {
	t, err := s.CheckPassword(ctx, secret.New(signed.Person.Email), password, b)
	if err != nil {
		return err
	}
	var content ticket
	if t.Setup != nil || !s.openText(t.Token, ticketColumn, &content) || content.Staff != signed.Staff.ID {
		return ErrRefused // the factor was reset: a sign-in sets it up again
	}
	try := s.attemptOf(content.Staff, content.Login, b)
	if _, err := s.takeCode(ctx, content, try, code, b); err != nil {
		return err
	}
	return postgres.InTx(ctx, s.db, func(tx pgx.Tx) error {
		if ok, err := account.DeleteSignInFailures(ctx, tx, try.by); err != nil || !ok {
			return cmp.Or(err, error(&LockedError{})) // it began while the code was checked
		}
		return confirmed(ctx, tx, signed, time.Time{}, b)
	})
}
