package find

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/postgres"
	"github.com/connectlink/connectlink/internal/store/userid"
)

// ErrNotFound is returned for a missing row, and also for a row of another
// project or mode, so that its existence is not revealed.
var ErrNotFound = errors.New("not found")

// Invite is an invite with its current link, code and latest delivery.
type Invite struct {
	userid.Columns
	invite.Place

	ID               invite.ID          `db:"id"`
	Environment      string             `db:"environment"`
	CreatedBy        invite.KeyID       `db:"created_by"` // the API key or member of staff
	Kind             invite.Purpose     `db:"kind"`
	ReconnectAccount string             `db:"reconnect_account"` // that its links reconnect; empty: a new one is connected
	ReconnectOf      invite.ID          `db:"reconnect_of"`
	ReconnectedBy    invite.ID          `db:"reconnected_by"` // the newest invite that reconnects its account
	Status           invite.Status      `db:"status"`
	Progress         invite.Progress    `db:"progress"`
	Channel          invite.Channel     `db:"channel"`
	LinkType         invite.LinkType    `db:"link_type"`
	Verify           invite.Verify      `db:"verify"`
	InitiatedBy      invite.InitiatedBy `db:"initiated_by"`
	AppSlug          string             `db:"app_slug"`
	AppName          string             `db:"app_name"`
	AppLogoURL       string             `db:"app_logo_url"`
	AppAuthType      string             `db:"app_auth_type"`
	OAuthAppID       string             `db:"oauth_app_id"`
	Content          []byte             `db:"content"` // sealed
	ExpiresInS       int32              `db:"expires_in_s"`
	ValidForS        *int32             `db:"valid_for_s"`
	ExpiresAt        *time.Time         `db:"expires_at"`
	GivesUpAt        time.Time          `db:"gives_up_at"`
	Version          int                `db:"seq"`
	ResendCount      int                `db:"resend_count"`
	ReplacedBy       invite.ID          `db:"replaced_by"`
	AccountID        string             `db:"account_id"`
	AccountName      []byte             `db:"account_name"` // sealed
	ConnectedAt      *time.Time         `db:"connected_at"`
	Health           *string            `db:"health"` // of its account; nil: not under watch
	HealthReason     *string            `db:"health_reason"`
	HealthError      []byte             `db:"health_error"` // sealed with HealthInvite
	HealthInvite     invite.ID          `db:"health_invite"`
	HealthSince      *time.Time         `db:"health_since"`
	HealthCheckedAt  *time.Time         `db:"health_checked_at"`
	FirstHandedOutAt *time.Time         `db:"first_handed_out_at"`
	CreatedAt        time.Time          `db:"created_at"`
	UpdatedAt        time.Time          `db:"updated_at"`
	RevokedAt        *time.Time         `db:"revoked_at"`
	SendAt           *time.Time         `db:"send_at"`
	Reminders        int                `db:"reminders"`
	Reminded         int                `db:"reminded"`
	FallbackAfter    string             `db:"fallback_after"` // empty: none was asked for
	FallbackDelayS   int32              `db:"fallback_delay_s"`
	FirstChannel     *string            `db:"first_channel"` // of the first message, where a fallback was asked for
	ErasedAt         *time.Time         `db:"erased_at"`     // the personal data was erased
	LinkID           invite.LinkID      `db:"link_id"`
	LinkURL          []byte             `db:"link_url"` // sealed
	LinkExpiresAt    *time.Time         `db:"link_expires_at"`
	LinkExpiresRaw   *string            `db:"link_expires_raw"`
	OpenUntil        *time.Time         `db:"open_until"` // a connect link that was handed out works until then
	CodeID           *[16]byte          `db:"code_id"`
	Code             []byte             `db:"code"` // sealed
	DeliveryID       invite.DeliveryID  `db:"delivery_id"`
	DeliveryNumber   *int               `db:"delivery_number"`
	DeliveryChannel  *string            `db:"delivery_channel"`
	DeliveryKind     *string            `db:"delivery_kind"`
	DeliveryStatus   *string            `db:"delivery_status"`
	DeliveryReason   *string            `db:"delivery_reason"`
	DeliveryCode     *string            `db:"delivery_code"`
	DeliveryProvider *string            `db:"delivery_provider"`
	DeliveryUpdated  *time.Time         `db:"delivery_updated"`
	DeliveryCreated  *time.Time         `db:"delivery_created"`
	Now              time.Time          `db:"now"` // the database's, when it was read
}

// columns of Invite, read through three key-bound look-ups per row.
const columns = `
	i.id, i.project_id, i.livemode, i.environment, i.status, i.progress, i.channel, i.link_type, i.verify, i.initiated_by, i.created_by,
	i.external_user_id, i.sealed_user_id, i.app_slug, i.app_name, i.app_logo_url, i.app_auth_type, i.oauth_app_id, i.content,
	i.expires_in_s, i.valid_for_s, i.expires_at, i.gives_up_at, i.seq, i.resend_count, i.replaced_by,
	i.account_id, i.account_name, i.connected_at, i.first_handed_out_at, i.created_at, i.updated_at, i.revoked_at, i.send_at, i.erased_at,
	i.kind, i.reconnect_account, i.reconnect_of,
	(SELECT r.id FROM invites r WHERE r.reconnect_of = i.id ORDER BY r.id DESC LIMIT 1) AS reconnected_by,
	i.reminders, i.reminded, i.fallback_after, i.fallback_delay_s,
	CASE WHEN i.fallback_after <> '' THEN (SELECT channel FROM deliveries WHERE invite_id = i.id AND number = 1) END AS first_channel,
	l.id AS link_id, l.url AS link_url, l.expires_at AS link_expires_at, l.expires_at_raw AS link_expires_raw,
	(SELECT max(expires_at) FROM connect_links WHERE invite_id = i.id AND handed_out_at IS NOT NULL AND expires_at > now()) AS open_until,
	c.id AS code_id, c.code, d.id AS delivery_id, d.number AS delivery_number, d.channel AS delivery_channel, d.kind AS delivery_kind,
	d.status AS delivery_status, d.reason AS delivery_reason, d.provider_code AS delivery_code, d.provider AS delivery_provider,
	d.updated_at AS delivery_updated, d.created_at AS delivery_created,
	h.status AS health, h.reason AS health_reason, h.error AS health_error, h.invite_id AS health_invite, h.since AS health_since,
	h.checked_at AS health_checked_at, now() AS now`

const joins = `
	LEFT JOIN LATERAL (SELECT id, url, expires_at, expires_at_raw FROM connect_links
		WHERE invite_id = i.id AND (url IS NOT NULL OR i.wiped_at IS NOT NULL) ORDER BY minted_at DESC, id DESC LIMIT 1) l ON true
	LEFT JOIN LATERAL (SELECT id, code FROM codes
		WHERE invite_id = i.id AND retired_at IS NULL ORDER BY created_at DESC, id DESC LIMIT 1) c ON true
	LEFT JOIN LATERAL (SELECT id, number, channel, kind, status, reason, provider_code, provider, updated_at, created_at FROM deliveries
		WHERE invite_id = i.id AND kind <> 'passcode' ORDER BY number DESC LIMIT 1) d ON true` + health

// health joins how the account of an invite does.
const health = `
	LEFT JOIN LATERAL (SELECT status, reason, error, invite_id, since, checked_at FROM connections
		WHERE i.account_id <> '' AND i.erased_at IS NULL AND project_id = i.project_id AND livemode = i.livemode
			AND environment = i.environment AND account_id = i.account_id LIMIT 1) h ON true`

// Get reads one invite of a project and mode. Errors: ErrNotFound.
func Get(ctx context.Context, db postgres.DB, place invite.Place, id invite.ID) (Invite, error) {
	rows, _ := db.Query(ctx, `SELECT `+columns+` FROM invites i `+joins+`
		WHERE i.id = $1 AND i.project_id = $2 AND i.livemode = $3`, id, place.Project, place.Live)
	return one(rows, "invite "+id.String())
}

// born joins what stood beside an invite when it was made: that has its time.
const born = `
	LEFT JOIN connect_links l ON l.invite_id = i.id AND l.minted_at = i.created_at
	LEFT JOIN codes c ON c.invite_id = i.id AND c.created_at = i.created_at
	LEFT JOIN deliveries d ON d.invite_id = i.id AND d.number = 1` + health

// GetCreated reads one invite as it was when it was made, for the answer to a
// repeated request. Secrets that are wiped since are gone from it too, and a
// recipient who was corrected since is the corrected one. Errors: ErrNotFound.
func GetCreated(ctx context.Context, db postgres.DB, place invite.Place, id invite.ID) (Invite, error) {
	rows, _ := db.Query(ctx, getCreated, id, place.Project, place.Live)
	inv, err := one(rows, "invite "+id.String())
	if err != nil {
		return Invite{}, err
	}
	return inv.asCreated(), nil
}

const getCreated = `SELECT ` + columns + ` FROM invites i ` + born + `
	WHERE i.id = $1 AND i.project_id = $2 AND i.livemode = $3`

// AskCreated is GetCreated as part of a batch: out is set when its results are
// read, and left as it is where there is no such invite.
func AskCreated(batch *pgx.Batch, place invite.Place, id invite.ID, out *Invite) {
	batch.Queue(getCreated, id, place.Project, place.Live).Query(func(rows pgx.Rows) error {
		inv, err := one(rows, "invite "+id.String())
		if errors.Is(err, ErrNotFound) {
			return nil
		}
		*out = inv.asCreated()
		return err
	})
}

// asCreated undoes what happened to an invite since it was made.
func (inv Invite) asCreated() Invite {
	inv.Status, inv.Progress, inv.Version, inv.ResendCount = invite.Pending, invite.NotOpened, 1, 0
	inv.ReplacedBy, inv.AccountID, inv.AccountName, inv.ConnectedAt, inv.RevokedAt = invite.ID{}, "", nil, nil, nil
	inv.ReconnectedBy = invite.ID{}
	inv.UpdatedAt, inv.Now, inv.ExpiresAt, inv.OpenUntil, inv.Reminded = inv.CreatedAt, inv.CreatedAt, nil, nil, 0
	if !inv.LinkID.IsZero() {
		inv.Status, inv.ExpiresAt = invite.Active, inv.LinkExpiresAt
	}
	from := inv.CreatedAt
	if inv.SendAt != nil {
		inv.Status, from = invite.Scheduled, *inv.SendAt
	}
	if inv.ValidForS != nil {
		end := from.Add(time.Duration(*inv.ValidForS) * time.Second)
		inv.ExpiresAt = &end
	}
	inv.Channel = invite.LinkOnly
	if inv.DeliveryID.IsZero() {
		inv.OpenUntil = inv.LinkExpiresAt
		return inv
	}
	queued, none := string(invite.Queued), ""
	inv.Channel = invite.Channel(*inv.DeliveryChannel)
	inv.DeliveryStatus, inv.DeliveryUpdated = &queued, &inv.CreatedAt
	inv.DeliveryReason, inv.DeliveryCode, inv.DeliveryProvider = &none, &none, &none
	return inv
}

// Any reads one invite of any project; for the service itself, never for a caller. Errors: ErrNotFound.
func Any(ctx context.Context, db postgres.DB, id invite.ID) (Invite, error) {
	rows, _ := db.Query(ctx, `SELECT `+columns+` FROM invites i `+joins+` WHERE i.id = $1`, id)
	return one(rows, "invite "+id.String())
}

func one(rows pgx.Rows, what string) (Invite, error) {
	inv, err := pgx.CollectExactlyOneRow(rows, pgx.RowToStructByName[Invite])
	if errors.Is(err, pgx.ErrNoRows) {
		return Invite{}, fmt.Errorf("get %s: %w", what, ErrNotFound)
	}
	if err != nil {
		return Invite{}, fmt.Errorf("get %s: %w", what, postgres.Translate(err))
	}
	return inv, nil
}

// FindActive returns the newest open invite of one external user and app; ok
// is false when there is none.
func FindActive(ctx context.Context, db postgres.DB, u User, app string) (Invite, bool, error) {
	u, err := u.resolve(ctx, db, " AND wiped_at IS NULL AND "+openOnly)
	if err != nil {
		return Invite{}, false, err
	}
	args := arguments{u.Project, u.Live, app}
	table := u.table(args.add)
	rows, _ := db.Query(ctx, `SELECT `+columns+` FROM `+table+` i `+joins+`
		WHERE i.project_id = $1 AND i.livemode = $2 AND i.app_slug = $3 AND i.`+openOnly+`
		ORDER BY i.id DESC LIMIT 1`, args...)
	inv, err := one(rows, "active invite")
	if errors.Is(err, ErrNotFound) {
		return Invite{}, false, nil
	}
	return inv, err == nil, err
}

// FindConnected returns the newest invite of one external user and app by which one
// of these accounts was connected, or any where accounts is nil; ok is false when
// there is none.
func FindConnected(ctx context.Context, db postgres.DB, u User, app string, accounts []string) (Invite, bool, error) {
	u, err := u.resolve(ctx, db, " AND account_id <> ''")
	if err != nil {
		return Invite{}, false, err
	}
	args := arguments{u.Project, u.Live, app, accounts}
	table := u.table(args.add)
	rows, _ := db.Query(ctx, `SELECT `+columns+` FROM `+table+` i `+joins+`
		WHERE i.project_id = $1 AND i.livemode = $2 AND i.app_slug = $3 AND ($4::text[] IS NULL OR i.account_id = ANY($4)) AND i.account_id <> '' AND i.status = 'connected'
			AND i.erased_at IS NULL
		ORDER BY i.id DESC LIMIT 1`, args...)
	inv, err := one(rows, "connected invite")
	if errors.Is(err, ErrNotFound) {
		return Invite{}, false, nil
	}
	return inv, err == nil, err
}

// ListActive returns the ids of the open invites of one external user and app, but for one.
func ListActive(ctx context.Context, db postgres.DB, u User, app string, but invite.ID) ([]invite.ID, error) {
	u, err := u.resolve(ctx, db, " AND wiped_at IS NULL AND "+openOnly)
	if err != nil {
		return nil, err
	}
	args := arguments{u.Project, u.Live, app, but}
	table := u.table(args.add)
	rows, _ := db.Query(ctx, `SELECT id FROM `+table+` i
		WHERE project_id = $1 AND livemode = $2 AND app_slug = $3 AND id <> $4 AND `+openOnly+`
		ORDER BY id`, args...)
	ids, err := pgx.CollectRows(rows, pgx.RowTo[invite.ID])
	if err != nil {
		return nil, fmt.Errorf("list active invites: %w", postgres.Translate(err))
	}
	return ids, nil
}
