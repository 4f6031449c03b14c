package ledger

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/postgres"
	"github.com/connectlink/connectlink/internal/store/userid"
)

// Coded is an invite as an invite link's code finds it: what its page needs.
type Coded struct {
	invite.Place

	CodeID      uuid.UUID `db:"code_id"`
	CodeRetired bool      `db:"retired"`
	// Via is how this code was sent: by which channel, through which provider, in
	// which queue's lane, and how many seconds ago its message left; empty for
	// channel link.
	Via           *string      `db:"via"`
	Provider      string       `db:"provider"`
	Lane          *invite.Lane `db:"lane"`
	SinceDelivery *float64     `db:"since_delivery"`
	// OutdatedAt is when the recipient asked for the new link that took this
	// code's place; nil for a code that still leads on.
	OutdatedAt *time.Time `db:"outdated_at"`

	userid.Columns

	ID          invite.ID          `db:"id"`
	Environment string             `db:"environment"`
	Status      invite.Status      `db:"status"`
	Progress    invite.Progress    `db:"progress"`
	Channel     invite.Channel     `db:"channel"`
	LinkType    invite.LinkType    `db:"link_type"`
	Verify      invite.Verify      `db:"verify"`
	InitiatedBy invite.InitiatedBy `db:"initiated_by"`
	AppSlug     string             `db:"app_slug"`
	AppName     string             `db:"app_name"`
	AppLogoURL  string             `db:"app_logo_url"`
	AppAuthType string             `db:"app_auth_type"`
	OAuthAppID  string             `db:"oauth_app_id"`
	Kind        invite.Purpose     `db:"kind"`
	// ReconnectAccount is the account that its links reconnect; empty: a new one.
	ReconnectAccount string       `db:"reconnect_account"`
	Content          []byte       `db:"content"` // sealed; nil once erased
	ExpiresInS       int32        `db:"expires_in_s"`
	ExpiresAt        *time.Time   `db:"expires_at"`
	GivesUpAt        time.Time    `db:"gives_up_at"`
	AccountID        string       `db:"account_id"`
	AccountName      []byte       `db:"account_name"` // sealed
	ConnectedAt      *time.Time   `db:"connected_at"`
	ReplacedBy       invite.ID    `db:"replaced_by"`
	ReplacedAt       *time.Time   `db:"replaced_at"`   // when the newer invite was made
	FailureClass     *string      `db:"failure_class"` // of the last failed connection
	FailureOver      bool         `db:"failure_over"`  // a new link was made since that failure
	MintFailures     int          `db:"mint_failures"` // in a row, within ten minutes
	CreatedBy        invite.KeyID `db:"created_by"`    // the API key or member of staff
	Now              time.Time    `db:"now"`
}

// FindByCode returns the invite that a code leads to, by the digests that it may have; ok
// is false when there is none.
func FindByCode(ctx context.Context, db postgres.DB, digests ...[]byte) (Coded, bool, error) {
	rows, _ := db.Query(ctx, `
		SELECT c.id AS code_id, c.retired_at IS NOT NULL AS retired, d.channel AS via, coalesce(d.provider, '') AS provider, d.lane,
			(SELECT extract(epoch FROM now() - min(a.finished_at))::float8 FROM attempts a
				WHERE a.invite_id = c.invite_id AND a.delivery_id = c.delivery_id AND a.outcome = 'accepted') AS since_delivery,
			-- A resend by the product keeps earlier messages working, a renewal does
			-- not: whoever may ask for it has shown nothing but an old link.
			(SELECT n.created_at FROM (SELECT e.type, e.created_at FROM events e
				WHERE e.invite_id = i.id AND e.type IN ('renewed', 'resent') ORDER BY e.seq DESC LIMIT 1) n
				WHERE n.type = 'renewed' AND n.created_at > c.created_at) AS outdated_at,
			i.id, i.project_id, i.livemode, i.environment, i.status, i.progress, i.channel, i.link_type, i.verify,
			i.initiated_by, i.external_user_id, i.sealed_user_id, i.app_slug, i.app_name, i.app_logo_url, i.app_auth_type, i.oauth_app_id, i.kind, i.reconnect_account,
			i.content, i.expires_in_s, i.expires_at, i.gives_up_at, i.account_id, i.account_name, i.connected_at, i.replaced_by, i.created_by,
			r.created_at AS replaced_at,
			f.class AS failure_class,
			-- A resend keeps earlier links working, so it also counts for those.
			coalesce(c.created_at > f.created_at OR EXISTS (SELECT FROM events e
				WHERE e.invite_id = i.id AND e.type IN ('renewed', 'resent') AND e.seq > f.seq), false) AS failure_over,
			(SELECT count(*) FROM events e WHERE e.invite_id = i.id AND e.type = 'link.mint_failed' AND e.created_at > now() - interval '10 minutes'
				AND e.seq > coalesce((SELECT max(m.seq) FROM events m WHERE m.invite_id = i.id AND m.type = 'link.minted'), 0)) AS mint_failures,
			now() AS now
		FROM codes c JOIN invites i ON i.id = c.invite_id LEFT JOIN invites r ON r.id = i.replaced_by
			LEFT JOIN deliveries d ON d.invite_id = c.invite_id AND d.id = c.delivery_id
			LEFT JOIN LATERAL (SELECT e.data->>'outcome' AS class, e.created_at, e.seq FROM events e
				WHERE e.invite_id = i.id AND e.type = 'connect_failed' ORDER BY e.seq DESC LIMIT 1) f ON true
		WHERE c.digest = ANY($1)`, digests)
	found, err := pgx.CollectExactlyOneRow(rows, pgx.RowToStructByName[Coded])
	if errors.Is(err, pgx.ErrNoRows) {
		return Coded{}, false, nil
	}
	if err != nil {
		return Coded{}, false, fmt.Errorf("find invite by code: %w", postgres.Translate(err))
	}
	return found, true, nil
}

// CountEvents counts an invite's events of one type, up to limit.
func CountEvents(ctx context.Context, db postgres.DB, id invite.ID, t invite.EventType, limit int) (int, error) {
	var n int
	err := db.QueryRow(ctx, `SELECT count(*) FROM (SELECT FROM events WHERE invite_id = $1 AND type = $2 LIMIT $3) e`,
		id, string(t), limit).Scan(&n)
	if err != nil {
		return 0, fmt.Errorf("count events of invite %s: %w", id, postgres.Translate(err))
	}
	return n, nil
}

// CountRobotPresses counts links that robots were given within a day.
func CountRobotPresses(ctx context.Context, db postgres.DB, id invite.ID) (int, error) {
	var n int
	err := db.QueryRow(ctx, `
		SELECT count(*) FROM events WHERE invite_id = $1 AND type = $2 AND created_at > now() - interval '1 day'
			AND data->>'looks_like' IN ($3, $4)`,
		id, string(invite.EventContinued), invite.LooksLikeScanner, invite.LooksLikePreviewRobot).Scan(&n)
	if err != nil {
		return 0, fmt.Errorf("count robots' presses of invite %s: %w", id, postgres.Translate(err))
	}
	return n, nil
}
