package sandbox

import (
	"context"
	"errors"
	"fmt"
	"slices"
)

// ErrNoAccount: the stand-in for Pipedream has no such account.
var ErrNoAccount = errors.New("sandbox: no such account")

// AccountState is what a connected account is made to be.
type AccountState string

const (
	AccountHealthy   AccountState = "healthy"
	AccountUnhealthy AccountState = "unhealthy"
	AccountDead      AccountState = "dead"
	AccountDeleted   AccountState = "deleted" // it is gone for good
)

// AccountStates lists them.
func AccountStates() []AccountState {
	return []AccountState{AccountHealthy, AccountUnhealthy, AccountDead, AccountDeleted}
}

// SetAccount makes a connected account healthy, unhealthy or dead, as it happens at
// Pipedream when a person changes a password or removes the access; or deletes it.
// Errors: ErrNoAccount.
func (s *Sandbox) SetAccount(ctx context.Context, apn string, to AccountState) error {
	if !slices.Contains(AccountStates(), to) {
		return fmt.Errorf("sandbox: no account state %q", to)
	}
	id, ok := parseAccountID(apn)
	if !ok {
		return ErrNoAccount
	}
	sql, args := `DELETE FROM sandbox.accounts WHERE id = $1`, []any{id}
	if to != AccountDeleted {
		var dead *bool
		var failure *string
		if to != AccountHealthy {
			words := "invalid_grant: The access was revoked or the password was changed."
			failure = &words
		}
		if yes := true; to == AccountDead {
			dead = &yes
		}
		sql = `UPDATE sandbox.accounts SET healthy = $2, dead = $3, error = $4, updated_at = $5 WHERE id = $1`
		args = append(args, to == AccountHealthy, dead, failure, s.now())
	}
	tag, err := s.db.Exec(ctx, sql, args...)
	if err != nil {
		return fmt.Errorf("make account %s %s: %w", apn, to, err)
	}
	if tag.RowsAffected() == 0 {
		return ErrNoAccount
	}
	return nil
}
