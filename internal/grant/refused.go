package grant

import (
	"context"
	"encoding/hex"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/connectlink/connectlink/internal/access"
	"github.com/connectlink/connectlink/internal/seal"
	"github.com/connectlink/connectlink/internal/store/account"
)

// Why a sign-in without an account was refused, in the audit log.
const (
	WhyUnknownLogin = "unknown_login"
	WhyNoRole       = "no_role"
	// WhyManyLogins stands for logins that are not listed one by one: there were too many.
	WhyManyLogins = "many_logins"
)

// Bounds of the audit log's entries about refused sign-ins without an account, within an
// hour. Outsiders write these entries, and the log is append-only.
const (
	maxRefusedLogins = 20  // of a network
	maxRefusedAll    = 200 // of all
)

// auditRefused records a refused sign-in that belongs to no account. The login is hashed.
// Of the refusals of a login from a network within an hour the first, tenth, hundredth and so
// on have an entry, with their number. Logins beyond the bounds are counted together.
func (s *Staff) auditRefused(ctx context.Context, tx pgx.Tx, why, login string, b Browser) error {
	login = strings.ToLower(strings.TrimSpace(login))
	n, err := account.AddRefusal(ctx, tx, s.box.Hash("refused_sign_in", "login", why, login, b.Client))
	if err != nil {
		return err
	}
	target := "login:" + hex.EncodeToString(s.box.Hash("refused_sign_in", "target", why, login))
	if n > 1 {
		return s.insertRefused(ctx, tx, why, target, n, b)
	}
	for _, all := range []struct {
		by  seal.Hash
		max int
	}{
		{s.box.Hash("refused_sign_in", "network", b.Client), maxRefusedLogins},
		{s.box.Hash("refused_sign_in", "all"), maxRefusedAll},
	} {
		logins, err := account.AddRefusal(ctx, tx, all.by)
		switch {
		case err != nil:
			return err
		case logins > all.max:
			return s.insertRefused(ctx, tx, WhyManyLogins, "", logins, b)
		}
	}
	return s.insertRefused(ctx, tx, why, target, 1, b)
}

// insertRefused inserts the entry of the nth refusal, if n is a power of ten.
func (s *Staff) insertRefused(ctx context.Context, tx pgx.Tx, why, target string, n int, b Browser) error {
	if !isPowerOfTen(n) {
		return nil
	}
	by := access.Principal{Kind: access.KindSystem, Origin: b.Origin}
	return account.InsertAudit(ctx, tx, account.Entry{
		By: by, Act: ActSignInFailed, Target: target, Why: why, Data: map[string]string{"count": strconv.Itoa(n)},
	})
}

func isPowerOfTen(n int) bool {
	for n > 1 && n%10 == 0 {
		n /= 10
	}
	return n == 1
}
