package ledger

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/postgres"
)

// HeldLink is a connect link as it stands in the database.
type HeldLink struct {
	ID           invite.LinkID
	URL          []byte // sealed; nil once wiped
	Granted      time.Duration
	Left         time.Duration // by the database's clock; negative once expired
	ExpiresAt    time.Time
	ExpiresAtRaw string
	HandedOutAt  *time.Time
	SinceHandOut time.Duration // meaningful only with HandedOutAt
	Spent        bool          // it was used: the person came back, or Pipedream's webhook came
}

// FindLink returns the newest link of an invite that is not wiped; ok is false when none is held.
func FindLink(ctx context.Context, db postgres.DB, id invite.ID) (HeldLink, bool, error) {
	rows, _ := db.Query(ctx, `
		SELECT id, url, granted_s, extract(epoch FROM expires_at - now())::float8, expires_at, expires_at_raw, handed_out_at,
			coalesce(extract(epoch FROM now() - handed_out_at), 0)::float8, spent_at IS NOT NULL
		FROM connect_links WHERE invite_id = $1 AND url IS NOT NULL ORDER BY minted_at DESC, id DESC LIMIT 1`, id)
	l, err := pgx.CollectExactlyOneRow(rows, func(r pgx.CollectableRow) (HeldLink, error) {
		var l HeldLink
		var granted int32
		var left, since float64
		err := r.Scan(&l.ID, &l.URL, &granted, &left, &l.ExpiresAt, &l.ExpiresAtRaw, &l.HandedOutAt, &since, &l.Spent)
		l.Granted = time.Duration(granted) * time.Second
		l.Left = time.Duration(left * float64(time.Second))
		l.SinceHandOut = time.Duration(since * float64(time.Second))
		return l, err
	})
	if errors.Is(err, pgx.ErrNoRows) {
		return HeldLink{}, false, nil
	}
	if err != nil {
		return HeldLink{}, false, fmt.Errorf("find link of invite %s: %w", id, postgres.Translate(err))
	}
	return l, true, nil
}

// InsertLink stores a freshly minted link and returns its end in the database's time.
func InsertLink(ctx context.Context, tx pgx.Tx, id invite.ID, l Link) (time.Time, error) {
	var expires time.Time
	err := tx.QueryRow(ctx, `
		INSERT INTO connect_links (invite_id, id, url, token_digest, webhook_digest, granted_s, expires_at, expires_at_raw, minted_at)
		VALUES ($1, $2, $3, $4, $5, $6, now() + make_interval(secs => $7), $8, now()) RETURNING expires_at`,
		id, l.ID, l.URL, l.TokenDigest, l.WebhookDigest, seconds(l.Granted), l.Left.Seconds(), l.ExpiresAtRaw).Scan(&expires)
	if err != nil {
		return time.Time{}, fmt.Errorf("insert link of invite %s: %w", id, postgres.Translate(err))
	}
	return expires, nil
}

// SetHandedOut records that a link left our hands, which is when an account
// may appear: it starts the polling of Pipedream's accounts, until the link's
// end plus ten minutes.
func SetHandedOut(ctx context.Context, tx pgx.Tx, id invite.ID, link invite.LinkID) error {
	batch := &pgx.Batch{}
	QueueHandedOut(batch, []HandedOut{{InviteID: id, LinkID: link}})
	if err := tx.SendBatch(ctx, batch).Close(); err != nil {
		return fmt.Errorf("hand out link %s: %w", link, postgres.Translate(err))
	}
	return nil
}

// HandedOut is a link that leaves our hands, with an attempt's message or without.
type HandedOut struct {
	InviteID  invite.ID
	LinkID    invite.LinkID
	AttemptID invite.AttemptID
}

// QueueHandedOut makes SetHandedOut of several invites, which must be locked, part of a
// batch. A link of an attempt that is not recorded is skipped.
func QueueHandedOut(batch *pgx.Batch, links []HandedOut) {
	if len(links) == 0 {
		return
	}
	var invites []invite.ID
	var ids []invite.LinkID
	var attempts []invite.AttemptID
	for _, l := range links {
		invites, ids, attempts = append(invites, l.InviteID), append(ids, l.LinkID), append(attempts, l.AttemptID)
	}
	batch.Queue(`
		WITH l AS (
			UPDATE connect_links l SET handed_out_at = now()
			FROM unnest($1::uuid[], $2::uuid[], $3::uuid[]) AS t(invite_id, id, attempt_id)
			WHERE l.invite_id = t.invite_id AND l.id = t.id
				AND (t.attempt_id IS NULL OR EXISTS (SELECT FROM attempts a WHERE a.invite_id = t.invite_id AND a.id = t.attempt_id))
			RETURNING l.invite_id, l.expires_at
		)
		UPDATE invites i SET first_handed_out_at = coalesce(i.first_handed_out_at, now()), last_handed_out_at = now(),
			poll_at = now() + interval '30 seconds', poll_count = 0,
			poll_until = greatest(i.poll_until, l.expires_at + interval '10 minutes')
		FROM l WHERE i.id = l.invite_id`, invites, ids, attempts)
}

// SetSpent records that the links of an invite that were handed out are used up.
// With a link's id it is that one alone.
func SetSpent(ctx context.Context, db postgres.DB, id invite.ID, link invite.LinkID) error {
	_, err := db.Exec(ctx, `
		UPDATE connect_links SET spent_at = now()
		WHERE invite_id = $1 AND ($3 OR id = $2) AND handed_out_at IS NOT NULL AND spent_at IS NULL`, id, link, link.IsZero())
	if err != nil {
		return fmt.Errorf("set links of invite %s spent: %w", id, postgres.Translate(err))
	}
	return nil
}

// DropLinks forgets the held links of an invite, because the person they were meant for changed.
func DropLinks(ctx context.Context, tx pgx.Tx, id invite.ID) error {
	_, err := tx.Exec(ctx, `UPDATE connect_links SET url = NULL WHERE invite_id = $1 AND url IS NOT NULL`, id)
	if err != nil {
		return fmt.Errorf("drop links of invite %s: %w", id, postgres.Translate(err))
	}
	return nil
}

// SetApp completes the shown name of an invite's app, if Pipedream could not be
// asked when the invite was created.
func SetApp(ctx context.Context, db postgres.DB, id invite.ID, app invite.App) error {
	_, err := db.Exec(ctx, `UPDATE invites SET app_name = $2, app_logo_url = $3, app_auth_type = $4 WHERE id = $1 AND app_auth_type = ''`,
		id, app.Name, app.LogoURL, app.AuthType)
	if err != nil {
		return fmt.Errorf("set app of invite %s: %w", id, postgres.Translate(err))
	}
	return nil
}

// TokenOwner is the invite that a Pipedream webhook speaks of.
type TokenOwner struct {
	invite.Place

	InviteID    invite.ID
	LinkID      invite.LinkID
	TokenDigest []byte
}

// FindByWebhook returns the link whose webhook_uri carries the given secret's
// digest; ok is false when there is none.
func FindByWebhook(ctx context.Context, db postgres.DB, webhookDigest []byte) (TokenOwner, bool, error) {
	var o TokenOwner
	err := db.QueryRow(ctx, `
		SELECT l.invite_id, l.id, i.project_id, i.livemode, l.token_digest
		FROM connect_links l JOIN invites i ON i.id = l.invite_id WHERE l.webhook_digest = $1`, webhookDigest).
		Scan(&o.InviteID, &o.LinkID, &o.Project, &o.Live, &o.TokenDigest)
	if errors.Is(err, pgx.ErrNoRows) {
		return TokenOwner{}, false, nil
	}
	if err != nil {
		return TokenOwner{}, false, fmt.Errorf("find link by webhook: %w", postgres.Translate(err))
	}
	return o, true, nil
}
