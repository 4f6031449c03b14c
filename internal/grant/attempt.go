package grant

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

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
	Known  secret.Text // from an earlier sign-in: SignedIn.Known
	Client string      // the key that tries of this client are counted by: its address or network
	Device string      // a class, "Firefox on Linux"
	Origin access.Origin
}

// Errors of sign-ins by password.
var (
	// ErrRefused is a wrong login or password; which of them is not told.
	ErrRefused = errors.New("the sign-in is refused")
	// ErrBusy: too many passwords wait for their comparison.
	ErrBusy = errors.New("too many sign-ins at once")
)

// LockedError is the refusal of who failed too often: from this device, or, for a
// device that never signed in, from this address for this login. Unknown logins
// are locked alike.
type LockedError struct{ For time.Duration }

func (e *LockedError) Error() string {
	return fmt.Sprintf("too many failed sign-ins: locked for %s", e.For.Round(time.Second))
}

const knownColumn = "staff.known_device"

// known is the content of a device's cookie (OWASP: device cookies,
// https://owasp.org/www-community/Slow_Down_Online_Guessing_Attacks_with_Device_Cookies).
type known struct {
	Staff invite.StaffID `json:"staff"`
	Nonce []byte         `json:"nonce"`
}

// newKnown makes the cookie of a device that signed an account in.
func (s *Staff) newKnown(id invite.StaffID) (secret.Text, error) {
	k := known{Staff: id, Nonce: make([]byte, 16)}
	_, _ = rand.Read(k.Nonce) // does not fail; it ends the process instead
	return s.sealText(k, knownColumn)
}

// sealText seals a value for keeping in a browser.
func (s *Staff) sealText(v any, column string) (secret.Text, error) {
	plain, err := json.Marshal(v)
	if err != nil {
		return secret.Text{}, fmt.Errorf("encode %s: %w", column, err)
	}
	sealed, err := s.box.Seal(plain, seal.AD{Column: column})
	if err != nil {
		return secret.Text{}, fmt.Errorf("seal %s: %w", column, err)
	}
	return secret.New(base64.RawURLEncoding.EncodeToString(sealed)), nil
}

// openText opens what sealText made; false for anything else.
func (s *Staff) openText(t secret.Text, column string, v any) bool {
	sealed, err := base64.RawURLEncoding.DecodeString(t.Reveal())
	if err != nil || len(sealed) == 0 {
		return false
	}
	plain, err := s.box.Open(sealed, seal.AD{Column: column})
	return err == nil && json.Unmarshal(plain, v) == nil
}

// attempt is one try to sign in: by whom its failures are counted.
type attempt struct {
	by    seal.Hash
	known bool   // the device signed this account in before
	from  string // Browser.Client
}

// attemptOf tells who tries. An outsider has no cookie of a device, so their
// failures count for their own address only, and lock no other person out.
func (s *Staff) attemptOf(id invite.StaffID, login string, b Browser) attempt {
	var k known
	if !id.IsZero() && s.openText(b.Known, knownColumn, &k) && k.Staff == id {
		return attempt{s.box.Hash("sign_in", "device", string(k.Nonce)), true, b.Client}
	}
	return attempt{s.box.Hash("sign_in", "client", b.Client, strings.ToLower(strings.TrimSpace(login))), false, b.Client}
}

// refuseLocked returns a *LockedError if the one who tries is locked.
func (s *Staff) refuseLocked(ctx context.Context, a attempt) error {
	left, locked, err := account.FindSignInLock(ctx, s.db, a.by)
	if err == nil && locked {
		return &LockedError{left}
	}
	return err
}

// countFailure counts a failure in a transaction; counted is false if a lock began
// meanwhile. id is zero where no account has the login.
func countFailure(ctx context.Context, tx pgx.Tx, a attempt, id invite.StaffID, what string, b Browser) (counted bool, err error) {
	if counted, err = account.AddSignInFailure(ctx, tx, a.by); err != nil || !counted || id.IsZero() {
		return counted, err
	}
	by := access.Principal{Kind: access.KindSystem, Origin: b.Origin}
	return true, account.InsertAudit(ctx, tx, account.Entry{By: by, Act: ActSignInFailed, Target: id.String(), Why: what})
}

// failPassword counts a wrong password and returns the refusal. Passwords that come at
// once are compared side by side, so the lock is asked for again.
func (s *Staff) failPassword(ctx context.Context, a attempt, id invite.StaffID, login string, b Browser) error {
	counted := false
	err := postgres.InTx(ctx, s.db, func(tx pgx.Tx) (err error) {
		counted, err = countFailure(ctx, tx, a, id, "password", b)
		if err != nil || !counted || !id.IsZero() {
			return err
		}
		return s.auditRefused(ctx, tx, WhyUnknownLogin, login, b)
	})
	if err != nil {
		return err
	}
	return s.refusalOf(ctx, a, counted, ErrRefused)
}

// refusalOf returns the lock that began before a failure was counted, else the refusal.
func (s *Staff) refusalOf(ctx context.Context, a attempt, counted bool, refusal error) error {
	if !counted {
		if err := s.refuseLocked(ctx, a); err != nil {
			return err
		}
	}
	return refusal
}
