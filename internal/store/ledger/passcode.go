package ledger

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/postgres"
	"github.com/connectlink/connectlink/internal/seal"
)

// Passcode is an invite's newest one, with what became of its message.
type Passcode struct {
	DeliveryID invite.DeliveryID
	Hash       seal.Hash
	Tries      int           // wrong ones
	Left       time.Duration // until it ends; not positive once it has
	Age        time.Duration
	Passed     bool
	// SincePassed counts from when the right digits were entered first, and
	// Spent says that a connect link was handed out since; both only if Passed.
	SincePassed time.Duration
	Spent       bool
	Channel     invite.Channel
	Status      invite.DeliveryStatus // of the message
}

// InsertPasscode stores the passcode that a queued delivery of a locked invite carries.
func InsertPasscode(ctx context.Context, tx pgx.Tx, id invite.ID, d invite.DeliveryID, hash seal.Hash, digits []byte, life time.Duration) error {
	_, err := tx.Exec(ctx, `
		INSERT INTO passcodes (invite_id, delivery_id, hash, digits, expires_at, created_at)
		VALUES ($1, $2, $3, $4, now() + make_interval(secs => $5), now())`, id, d, hash, digits, life.Seconds())
	if err != nil {
		return fmt.Errorf("insert passcode of invite %s: %w", id, postgres.Translate(err))
	}
	return nil
}

// FindPasscode returns an invite's newest passcode; ok is false when none was made.
func FindPasscode(ctx context.Context, db postgres.DB, id invite.ID) (Passcode, bool, error) {
	var p Passcode
	var left, age, since float64
	// Of one transaction's time there is one passcode at most.
	err := db.QueryRow(ctx, `
		SELECT p.delivery_id, p.hash, p.tries, extract(epoch FROM p.expires_at - now())::float8, extract(epoch FROM now() - p.created_at)::float8,
			p.passed_at IS NOT NULL, coalesce(extract(epoch FROM now() - p.passed_at), 0)::float8,
			coalesce(i.last_handed_out_at >= p.passed_at, false), d.channel, d.status
		FROM passcodes p JOIN invites i ON i.id = p.invite_id JOIN deliveries d ON d.invite_id = p.invite_id AND d.id = p.delivery_id
		WHERE p.invite_id = $1 ORDER BY p.created_at DESC, p.delivery_id DESC LIMIT 1`, id).
		Scan(&p.DeliveryID, &p.Hash, &p.Tries, &left, &age, &p.Passed, &since, &p.Spent, &p.Channel, &p.Status)
	if errors.Is(err, pgx.ErrNoRows) {
		return Passcode{}, false, nil
	}
	if err != nil {
		return Passcode{}, false, fmt.Errorf("find passcode of invite %s: %w", id, postgres.Translate(err))
	}
	span := func(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }
	p.Left, p.Age, p.SincePassed = span(left), span(age), span(since)
	return p, true, nil
}

// CountPasscodes counts those asked for within a day, and how many of them by robots.
func CountPasscodes(ctx context.Context, db postgres.DB, id invite.ID) (all, byRobots int, err error) {
	err = db.QueryRow(ctx, `
		SELECT count(*), count(*) FILTER (WHERE data->>'looks_like' IN ($3, $4)) FROM events
		WHERE invite_id = $1 AND type = $2 AND created_at > now() - interval '1 day'`,
		id, string(invite.EventVerifyRequested), invite.LooksLikeScanner, invite.LooksLikePreviewRobot).Scan(&all, &byRobots)
	if err != nil {
		return 0, 0, fmt.Errorf("count passcodes of invite %s: %w", id, postgres.Translate(err))
	}
	return all, byRobots, nil
}

// SetWrongTry counts a wrong try of a passcode and returns the total. The invite
// must be locked.
func SetWrongTry(ctx context.Context, tx pgx.Tx, id invite.ID, d invite.DeliveryID) (int, error) {
	var tries int
	err := tx.QueryRow(ctx, `UPDATE passcodes SET tries = tries + 1 WHERE invite_id = $1 AND delivery_id = $2 RETURNING tries`, id, d).Scan(&tries)
	if err != nil {
		return 0, fmt.Errorf("count a try of a passcode of invite %s: %w", id, postgres.Translate(err))
	}
	return tries, nil
}

// SetPassed records that the right digits were entered; false when they had been before.
func SetPassed(ctx context.Context, tx pgx.Tx, id invite.ID, d invite.DeliveryID) (bool, error) {
	tag, err := tx.Exec(ctx, `
		UPDATE passcodes SET passed_at = now(), digits = NULL WHERE invite_id = $1 AND delivery_id = $2 AND passed_at IS NULL`, id, d)
	if err != nil {
		return false, fmt.Errorf("pass a passcode of invite %s: %w", id, postgres.Translate(err))
	}
	return tag.RowsAffected() == 1, nil
}

// endPasscodes ends and wipes the passcodes of invites.
const endPasscodes = `UPDATE passcodes SET digits = NULL, expires_at = least(expires_at, now())
	WHERE invite_id = ANY($1) AND (digits IS NOT NULL OR expires_at > now())`

// passcodeHash is the kind of hash by which digits are compared.
const passcodeHash = "passcode"

// PasscodeHashes are the hashes that the digits of a message may be stored as, one per
// live key, the primary key's first.
func PasscodeHashes(box *seal.Box, id invite.DeliveryID, digits string) []seal.Hash {
	return box.Hashes(passcodeHash, id.String(), digits)
}
