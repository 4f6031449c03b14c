package grant

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/connectlink/connectlink/internal/access"
	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/postgres"
	"github.com/connectlink/connectlink/internal/secret"
	"github.com/connectlink/connectlink/internal/store/account"
	"github.com/connectlink/connectlink/internal/store/traffic"
)

const (
	// KeyLife is how long a key works unless its maker says otherwise.
	KeyLife = 365 * 24 * time.Hour
	// Overlap is how long a replaced key goes on working unless it is said otherwise.
	Overlap = 24 * time.Hour
	// MaxOverlap bounds it: a key that is to be replaced should not stay for ever.
	MaxOverlap = 30 * 24 * time.Hour
)

// ErrKeyEnded is returned for a key that was revoked or has expired.
var ErrKeyEnded = errors.New("the key was revoked or has expired, so it cannot be rotated: create a new one")

// Rotation replaces a key by another with the same rights.
type Rotation struct {
	ID        invite.KeyID
	ExpiresAt *time.Time       // of the new key; nil: never
	Overlap   time.Duration    // how long the old key goes on working; 0: it ends at once
	By        access.Principal // zero: the operator, on the command line
}

// Rotated is the outcome.
type Rotated struct {
	Key     secret.Text // returned here and never again
	Made    account.Key
	OldEnds time.Time
	Paused  bool // as the old key: a lead resumes each of them
}

// Rotate makes a key with name, project, mode, environment and scopes of another one,
// which goes on working for a while. The replacement of a paused key is paused too: its
// messages have the same cause. A principal other than the operator's reaches the
// keys of its own project and mode. Errors: account.ErrNotFound, ErrKeyEnded.
func (s *Service) Rotate(ctx context.Context, r Rotation) (Rotated, error) {
	var out Rotated
	err := postgres.InTx(ctx, s.db, func(tx pgx.Tx) error {
		old, err := account.LockKey(ctx, tx, r.ID)
		switch {
		case err != nil:
			return err
		case r.By.Kind != "" && old.Place != r.By.Place:
			return fmt.Errorf("rotate key %s: %w", r.ID, account.ErrNotFound)
		case !old.Usable:
			return ErrKeyEnded
		}
		key, hint := access.NewKey(old.Live)
		parsed, err := access.ParseKey(key)
		if err != nil {
			return fmt.Errorf("rotate key %s: %w", r.ID, err)
		}
		out.Key, out.Made = key, account.Key{
			ID: invite.New[invite.KeyID](), Place: old.Place, Name: old.Name, Hint: hint, Environment: old.Environment,
			Scopes: old.Scopes, ExpiresAt: r.ExpiresAt, Replaces: &old.ID, Usable: true,
		}
		if err := insertKey(ctx, tx, operatorPrincipal(r.By, old.Place), out.Made, parsed.Digest); err != nil {
			return err
		}
		if out.Paused, err = copyPause(ctx, tx, r.By, old, out.Made.ID); err != nil {
			return err
		}
		out.OldEnds, err = account.SetKeyEnd(ctx, tx, old.ID, r.Overlap)
		return err
	})
	if err != nil {
		return Rotated{}, err
	}
	s.mu.Lock()
	clear(s.cache)
	clear(s.keys)
	s.mu.Unlock()
	return out, nil
}

// copyPause pauses the replacement of a key that is paused.
func copyPause(ctx context.Context, tx pgx.Tx, by access.Principal, old account.Key, id invite.KeyID) (bool, error) {
	paused, err := traffic.CopyKeyPause(ctx, tx, old.Place, old.ID, id)
	if err != nil || !paused {
		return false, err
	}
	return true, account.InsertAudit(ctx, tx, account.Entry{
		By: operatorPrincipal(by, old.Place), Act: traffic.ActPaused, Target: traffic.Subject{Place: old.Place, Scope: traffic.Key, Name: id.String()}.String(),
		Data: map[string]string{"replaces": old.ID.String()},
	})
}
