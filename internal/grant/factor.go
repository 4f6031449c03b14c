package grant

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/subtle"
	"errors"
	"fmt"
	"net/url"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/pquerna/otp"
	"github.com/pquerna/otp/hotp"

	"github.com/connectlink/connectlink/internal/access"
	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/postgres"
	"github.com/connectlink/connectlink/internal/seal"
	"github.com/connectlink/connectlink/internal/secret"
	"github.com/connectlink/connectlink/internal/store/account"
)

// ErrCode is a wrong code of the second factor, or one that was used before.
var ErrCode = errors.New("the code is wrong, or was used before")

const (
	totpColumn = "staff_totp.secret"
	// totpSkew is how many steps of 30 s an authenticator's clock may be off
	// (RFC 6238, section 5.2, recommends one).
	totpSkew = 1
	// recoveryCodes are made at a time, of recoveryLength characters of base32: 80
	// bits, so that their digests need no key.
	recoveryCodes  = 10
	recoveryLength = 16
)

// Setup is what an authenticator app is set up with.
type Setup struct {
	Secret  secret.Text // base32, for typing it in
	Address secret.Text // otpauth://, for a QR code
}

func setupOf(key, login string) *Setup {
	q := url.Values{"secret": {key}, "issuer": {"Connect Link"}, "algorithm": {"SHA1"}, "digits": {"6"}, "period": {"30"}}
	label := url.PathEscape("Connect Link:" + login)
	// Authenticators do not read + as a space.
	return &Setup{secret.New(key), secret.New("otpauth://totp/" + label + "?" + strings.ReplaceAll(q.Encode(), "+", "%20"))}
}

// newTicket seals a right password, with a new secret if the account has no second
// factor yet.
func (s *Staff) newTicket(ctx context.Context, t ticket) (Ticket, error) {
	now, err := account.GetTime(ctx, s.db)
	if err != nil {
		return Ticket{}, err
	}
	t.Ends = now.Add(ticketLasts)
	enrolled, err := account.HasTOTP(ctx, s.db, t.Staff)
	if err != nil {
		return Ticket{}, err
	}
	var out Ticket
	if !enrolled {
		t.Secret = rand.Text()[:26] // 130 bits in base32; RFC 4226 asks for 128
		out.Setup = setupOf(t.Secret, t.Login)
	}
	out.Token, err = s.sealText(t, ticketColumn)
	return out, err
}

// SetupOf returns what the authenticator app is set up with for this ticket, nil if it is
// set up. Errors: ErrTicket, also where another sign-in set up an app since.
func (s *Staff) SetupOf(ctx context.Context, token secret.Text) (*Setup, error) {
	t, err := s.openTicket(ctx, token)
	if err != nil {
		return nil, err
	}
	var enrolled bool
	err = postgres.InTx(ctx, s.db, func(tx pgx.Tx) error {
		if _, err := lockTicket(ctx, tx, t); err != nil {
			return err
		}
		enrolled, err = account.HasTOTP(ctx, tx, t.Staff)
		return err
	})
	switch {
	case err != nil:
		return nil, err
	case enrolled != (t.Secret == ""):
		return nil, ErrTicket
	case enrolled:
		return nil, nil
	}
	return setupOf(t.Secret, t.Login), nil
}

// takeCode uses a code up. For an account without a second factor it sets up the
// one of the ticket, and returns its recovery codes. A wrong code is counted before
// the next one is compared. Errors: ErrCode, *LockedError.
func (s *Staff) takeCode(ctx context.Context, t ticket, try attempt, code secret.Text, b Browser) (recovery []secret.Text, err error) {
	var refusal error
	counted := false
	err = postgres.InTx(ctx, s.db, func(tx pgx.Tx) error {
		a, err := lockTicket(ctx, tx, t)
		switch {
		case err != nil:
			return err
		case a.DisabledAt != nil:
			return ErrDisabled
		}
		stored, enrolled, err := account.LockTOTP(ctx, tx, t.Staff)
		switch {
		case err != nil:
			return err
		case !enrolled && t.Secret == "":
			return ErrTicket // reset since
		case enrolled && stored.Locked > 0:
			return &LockedError{stored.Locked}
		case enrolled:
			refusal, err = s.useCode(ctx, tx, t.Staff, stored, code, b)
		default:
			recovery, refusal, err = s.enrol(ctx, tx, t, code, b)
		}
		if err != nil || refusal == nil {
			return err
		}
		if err := account.AddTOTPFailure(ctx, tx, t.Staff); err != nil {
			return err
		}
		counted, err = countFailure(ctx, tx, try, t.Staff, "code", b)
		return err
	})
	if err == nil && refusal != nil {
		return nil, s.refusalOf(ctx, try, counted, refusal)
	}
	return recovery, err
}

// useCode checks a code of an account that has a second factor.
func (s *Staff) useCode(ctx context.Context, tx pgx.Tx, id invite.StaffID, stored account.TOTP, code secret.Text, b Browser) (refusal, err error) {
	key, err := s.box.Open(stored.Secret, seal.AD{Column: totpColumn, ID: id.UUID()})
	if err != nil {
		return nil, fmt.Errorf("open second factor of staff %s: %w", id, err)
	}
	step, right, err := matchTOTP(string(key), code, stored.Step)
	switch {
	case err != nil:
		return nil, err
	case right && step <= stored.LastStep:
		return ErrCode, nil // used before
	case right:
		return nil, account.SetTOTPStep(ctx, tx, id, step)
	}
	used, err := account.SetRecoveryCodeUsed(ctx, tx, id, digestRecovery(code))
	if err != nil || !used {
		return ErrCode, err
	}
	by := access.Principal{Kind: access.KindSystem, Origin: b.Origin}
	if err := account.InsertAudit(ctx, tx, account.Entry{By: by, Act: ActRecoveryUsed, Target: id.String()}); err != nil {
		return nil, err
	}
	return nil, account.SetTOTPStep(ctx, tx, id, stored.LastStep)
}

// enrol stores the secret of a ticket once the app shows the right code for it.
func (s *Staff) enrol(ctx context.Context, tx pgx.Tx, t ticket, code secret.Text, b Browser) (recovery []secret.Text, refusal, err error) {
	now, err := account.GetTime(ctx, tx)
	if err != nil {
		return nil, nil, err
	}
	step, right, err := matchTOTP(t.Secret, code, account.TOTPStep(now))
	if err != nil || !right {
		return nil, ErrCode, err
	}
	sealed, err := s.box.Seal([]byte(t.Secret), seal.AD{Column: totpColumn, ID: t.Staff.UUID()})
	if err != nil {
		return nil, nil, fmt.Errorf("seal second factor of staff %s: %w", t.Staff, err)
	}
	if ok, err := account.InsertTOTP(ctx, tx, t.Staff, sealed, step); err != nil || !ok {
		return nil, ErrCode, err // the account's row is locked, so ok
	}
	if recovery, err = newRecoveryCodes(ctx, tx, t.Staff); err != nil {
		return nil, nil, err
	}
	by := access.Staff(t.Staff.String(), "", invite.Place{})
	by.Origin = b.Origin
	return recovery, nil, account.InsertAudit(ctx, tx, account.Entry{By: by, Act: ActFactorSet, Target: t.Staff.String()})
}

// matchTOTP finds the step near now whose code this is. Of equal codes it finds
// the latest, which spends the earlier ones as well.
func matchTOTP(key string, code secret.Text, now int64) (step int64, ok bool, err error) {
	given := strings.Join(strings.Fields(code.Reveal()), "")
	for step := now + totpSkew; step >= now-totpSkew; step-- {
		want, err := hotp.GenerateCodeCustom(key, uint64(step), hotp.ValidateOpts{Digits: otp.DigitsSix, Algorithm: otp.AlgorithmSHA1})
		if err != nil {
			return 0, false, fmt.Errorf("make a code: %w", errInvalidTOTP)
		}
		if subtle.ConstantTimeCompare([]byte(want), []byte(given)) == 1 {
			return step, true, nil
		}
	}
	return 0, false, nil
}

// errInvalidTOTP stands for the library's error, which may quote the secret.
var errInvalidTOTP = errors.New("the stored second factor is not base32")

// newRecoveryCodes gives an account new recovery codes in place of those it had.
func newRecoveryCodes(ctx context.Context, tx pgx.Tx, id invite.StaffID) ([]secret.Text, error) {
	codes, digests := make([]secret.Text, recoveryCodes), make([][]byte, recoveryCodes)
	for i := range codes {
		text := rand.Text()[:recoveryLength]
		codes[i] = secret.New(text[:4] + "-" + text[4:8] + "-" + text[8:12] + "-" + text[12:])
		digests[i] = digestRecovery(codes[i])
	}
	return codes, account.ReplaceRecoveryCodes(ctx, tx, id, digests)
}

// ErrNoFactor: the account has no second factor, so no recovery codes either.
var ErrNoFactor = errors.New("the account has no second factor")

// NewRecoveryCodes gives an account new recovery codes in place of those it has.
// Errors: ErrNoFactor.
func (s *Staff) NewRecoveryCodes(ctx context.Context, by access.Principal, id invite.StaffID) (codes []secret.Text, err error) {
	err = postgres.InTx(ctx, s.db, func(tx pgx.Tx) error {
		_, ok, err := account.LockTOTP(ctx, tx, id)
		if err != nil || !ok {
			return cmp.Or(err, ErrNoFactor)
		}
		if codes, err = newRecoveryCodes(ctx, tx, id); err != nil {
			return err
		}
		return account.InsertAudit(ctx, tx, account.Entry{By: by, Act: ActRecoveryMade, Target: id.String()})
	})
	return codes, err
}

// RecoveryLeft returns how many recovery codes of an account are unused.
func (s *Staff) RecoveryLeft(ctx context.Context, id invite.StaffID) (int, error) {
	return account.CountRecoveryCodes(ctx, s.db, id)
}

// digestRecovery is what a recovery code is found by: written as people do, in any
// case, with digits for the letters they look like.
func digestRecovery(code secret.Text) []byte {
	text := strings.NewReplacer("-", "", " ", "", "0", "O", "1", "I", "8", "B").Replace(strings.ToUpper(code.Reveal()))
	return secret.Digest(secret.New(text))
}

// ResetFactor removes an account's second factor and ends its sessions: the next
// sign-in by password sets up another. found is false if no local account has the
// login; had is false if it had no second factor.
func (s *Staff) ResetFactor(ctx context.Context, by access.Principal, login secret.Text) (found, had bool, err error) {
	err = postgres.InTx(ctx, s.db, func(tx pgx.Tx) error {
		a, _, ok, err := account.LockStaff(ctx, tx, s.login(account.ByPassword, "", login.Reveal()))
		if err != nil || !ok {
			return err
		}
		found = true
		had, err = resetFactor(ctx, tx, by, a.ID)
		return err
	})
	return found, had, err
}

// ResetFactorOf is ResetFactor for an account that is known by its id. Errors:
// account.ErrNotFound, ErrNotLocal, ErrOwnAccount.
func (s *Staff) ResetFactorOf(ctx context.Context, by access.Principal, id invite.StaffID) (had bool, err error) {
	err = s.changeLocal(ctx, by, id, func(tx pgx.Tx, _ account.Staff) (err error) {
		had, err = resetFactor(ctx, tx, by, id)
		return err
	})
	return had, err
}

// resetFactor removes the second factor of a locked account.
func resetFactor(ctx context.Context, tx pgx.Tx, by access.Principal, id invite.StaffID) (had bool, err error) {
	if had, err = account.DeleteTOTP(ctx, tx, id); err != nil {
		return had, err
	}
	if err := account.SetFactorReset(ctx, tx, id); err != nil || !had {
		return had, err
	}
	if _, err := account.SetAllEnded(ctx, tx, id, account.EndedRevoked); err != nil {
		return had, err
	}
	return had, account.InsertAudit(ctx, tx, account.Entry{By: by, Act: ActFactorReset, Target: id.String()})
}
