package ledger

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/postgres"
	"github.com/connectlink/connectlink/internal/seal"
)

// New is one accepted request, complete: everything that one commit makes durable.
type New struct {
	invite.Place

	ID             invite.ID
	Environment    string
	Status         invite.Status // Active with a link, Pending without
	Channel        invite.Channel
	LinkType       invite.LinkType
	InitiatedBy    invite.InitiatedBy
	ExternalUserID string    // the id, or its placeholder where SealedUserID is given
	UserHash       seal.Hash // userid.Hash; nil: a background job adds it
	SealedUserID   []byte    // of userid.Seal; nil: ExternalUserID is stored as it is
	App            invite.App
	OAuthAppID     string
	Content        []byte // sealed
	ExpiresIn      time.Duration
	ValidFor       time.Duration // 0: the invite ends with its first token
	CreatedBy      invite.KeyID
	Fallback       invite.Fallback // At is the database's to say
	SendAt         time.Time       // zero: now
	Verify         invite.Verify
	Reminders      int            // how often to remind whom the message did not move
	Kind           invite.Purpose // PurposeInvite when empty
	// ReconnectAccount is the account that the invite's links reconnect; empty: a new
	// one is connected. ReconnectOf is the invite by which it was connected.
	ReconnectAccount string
	ReconnectOf      invite.ID
	Trace            []byte // of trace.Marshal; nil: nothing is traced

	Link        *Link     // nil when minting must be retried
	Delivery    *Delivery // nil for channel link
	Code        Code
	Event       invite.Event // "created"
	Public      *NewPublic   // nil: no public event
	Idempotency *Idempotency // nil when the caller sent no key
	Terms       []seal.Hash  // each once: looking for doubles would cost as much as writing them
	Uses        []Use        // what the limits count; a *LimitError of Insert refuses it
}

// Link is one minted connect link.
type Link struct {
	ID            invite.LinkID
	URL           []byte // sealed
	TokenDigest   []byte
	WebhookDigest []byte
	Granted       time.Duration
	Left          time.Duration // the remaining validity; the database adds it to its own time
	ExpiresAtRaw  string        // as Pipedream wrote it
}

// Delivery is one message to be sent.
type Delivery struct {
	ID      invite.DeliveryID
	Number  int
	Channel invite.Channel
	Kind    string // invite.KindFirst and its like
	Lane    invite.Lane
	Lease   *NewLease // nil: a claim takes the delivery
}

// NewLease is the lease, with token 1, that a delivery is stored with, so that the
// process that stores it works on it without a claim.
type NewLease struct {
	Owner int64
	Lasts time.Duration
}

// Code is an invite link's code.
type Code struct {
	ID     [16]byte
	Digest []byte
	Sealed []byte
}

// Idempotency remembers what the request with an Idempotency-Key came to.
type Idempotency struct {
	Route   string
	KeyHash []byte
	BodyMAC []byte
	Outcome Outcome
	// Request is what BodyMAC is of; it is not stored.
	Request string
}

// Inserted is what the database made of one New.
type Inserted struct {
	ID        invite.ID
	CreatedAt time.Time
	ExpiresAt *time.Time
	// Lost: a twin with the same Idempotency-Key was first; nothing was stored.
	Lost bool
	// Leased: the delivery is stored with its New's lease. Without, its lane is
	// paused or the New asked for none.
	Leased bool
}

// insertInvites stores a batch of accepted requests in one statement. A row
// whose Idempotency-Key is taken drops out, and the others stand. Where a limit
// would be exceeded nothing is stored.
//
// Children are inserted from the same input in the same statement; foreign
// keys are checked at its end.
const insertInvites = `
WITH input AS (
	SELECT * FROM unnest(
		$1::uuid[], $2::text[], $3::boolean[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[], $9::text[],
		$10::text[], $11::text[], $12::text[], $13::text[], $14::text[], $15::bytea[], $16::int[], $17::int[], $18::uuid[],
		$19::uuid[], $20::bytea[], $21::bytea[], $22::bytea[], $23::int[], $24::float8[], $25::text[],
		$26::uuid[], $27::text[], $28::text[],
		$29::uuid[], $30::bytea[], $31::bytea[],
		$32::uuid[], $33::jsonb[], $34::text[],
		$35::text[], $36::bytea[], $37::bytea[], $38::int[],
		$39::text[], $40::text[], $41::int[], $42::timestamptz[], $43::text[], $46::text[], $47::int[], $48::bytea[], $49::bytea[],
		$50::bigint[], $51::float8[], $52::text[], $53::text[], $54::uuid[], $55::uuid[], $56::bytea[], $64::bytea[]
	) AS t(
		id, project_id, livemode, environment, status, channel, link_type, initiated_by, external_user_id,
		app_slug, app_name, app_logo_url, app_auth_type, oauth_app_id, content, expires_in_s, valid_for_s, created_by,
		link_id, link_url, token_digest, webhook_digest, granted_s, left_s, expires_at_raw,
		delivery_id, kind, lane,
		code_id, code_digest, code,
		event_id, event_data, actor_id,
		idem_route, idem_key, idem_mac, idem_status,
		fallback_channel, fallback_after, fallback_delay_s, send_at, verify, actor, reminders, user_hash, sealed_user_id, lease_owner, lease_s,
		kind_of_invite, reconnect_account, reconnect_of, public_id, public_body, trace)
), idem AS (
	INSERT INTO idempotency (key_id, route, key_hash, body_mac, invite_id, status)
	SELECT created_by, idem_route, idem_key, idem_mac, id, idem_status FROM input WHERE idem_key IS NOT NULL
	ON CONFLICT DO NOTHING
	RETURNING invite_id
), ok AS (
	SELECT input.*,
		coalesce(send_at, now()) + CASE WHEN valid_for_s IS NOT NULL THEN make_interval(secs => valid_for_s)
		             WHEN link_id IS NOT NULL THEN make_interval(secs => left_s) END AS expires_at,
		-- With channel link the answer itself hands the connect link out.
		channel = 'link' AND link_id IS NOT NULL AS handed_out,
		-- As a claim does, leave the deliveries of a paused lane in the queue.
		lease_owner IS NOT NULL AND coalesce((
			SELECT l.held_at IS NULL AND coalesce(l.paused_until <= now(), true) FROM lanes l WHERE l.lane = input.lane), false) AS leased
	FROM input WHERE idem_key IS NULL OR id IN (SELECT invite_id FROM idem)
), uses_in AS (` + selectUses + `$57::uuid[], $58::text[], $59::bytea[], $60::bigint[]` + ofUses + `
	WHERE t.use_of IN (SELECT id FROM ok)
), maxima AS (
	SELECT $61::bigint[] AS per_hour, $62::bigint[] AS per_day, $63::bigint[] AS max_cost
), ` + countUses + `, inv AS (
	INSERT INTO invites (id, project_id, livemode, environment, status, progress, channel, link_type, initiated_by,
		external_user_id, app_slug, app_name, app_logo_url, app_auth_type, oauth_app_id, content, expires_in_s, valid_for_s,
		expires_at, gives_up_at, seq, created_by, created_at, updated_at,
		first_handed_out_at, last_handed_out_at, poll_at, poll_until,
		fallback_channel, fallback_after, fallback_delay_s, fallback_at, send_at, verify, reminders, remind_at, user_hash, sealed_user_id,
		kind, reconnect_account, reconnect_of, trace)
	SELECT id, project_id, livemode, environment, status, 'none', channel, link_type, initiated_by,
		external_user_id, app_slug, app_name, app_logo_url, app_auth_type, oauth_app_id, content, expires_in_s, valid_for_s,
		expires_at, coalesce(expires_at, coalesce(send_at, now()) + make_interval(secs => expires_in_s)), 1, created_by, now(), now(),
		CASE WHEN handed_out THEN now() END, CASE WHEN handed_out THEN now() END,
		CASE WHEN handed_out THEN now() + interval '30 seconds' END,
		CASE WHEN handed_out THEN now() + make_interval(secs => left_s) + interval '10 minutes' END,
		fallback_channel, fallback_after, fallback_delay_s,
		CASE WHEN fallback_after = 'not_visited' THEN coalesce(send_at, now()) + make_interval(secs => fallback_delay_s) END, send_at, verify,
		-- Spread evenly over the invite's life; once its end is known to be another, the next ones follow that.
		reminders, CASE WHEN reminders > 0 THEN coalesce(send_at, now()) + (coalesce(expires_at,
			coalesce(send_at, now()) + make_interval(secs => expires_in_s)) - coalesce(send_at, now())) / (reminders + 1) END, user_hash, sealed_user_id,
		kind_of_invite, reconnect_account, reconnect_of, trace
	FROM ok
	RETURNING id, created_at, expires_at
), links AS (
	INSERT INTO connect_links (invite_id, id, url, token_digest, webhook_digest, granted_s, expires_at, expires_at_raw, minted_at, handed_out_at)
	SELECT id, link_id, link_url, token_digest, webhook_digest, granted_s, now() + make_interval(secs => left_s), expires_at_raw, now(),
		CASE WHEN handed_out THEN now() END
	FROM ok WHERE link_id IS NOT NULL
), dels AS (
	INSERT INTO deliveries (invite_id, id, number, project_id, livemode, channel, kind, status, lane, lease_token, lease_owner, next_at, created_at, updated_at)
	SELECT id, delivery_id, 1, project_id, livemode, channel, kind, 'queued', lane,
		CASE WHEN leased THEN 1 ELSE 0 END, CASE WHEN leased THEN lease_owner END,
		CASE WHEN leased THEN now() + make_interval(secs => lease_s) ELSE coalesce(send_at, now()) END, now(), now()
	FROM ok WHERE delivery_id IS NOT NULL
), cods AS (
	INSERT INTO codes (invite_id, id, delivery_id, digest, code, created_at)
	SELECT id, code_id, delivery_id, code_digest, code, now() FROM ok
), evs AS (
	INSERT INTO events (invite_id, seq, id, project_id, livemode, type, actor, actor_id, delivery_id, link_id, data, occurred_at)
	SELECT id, 1, event_id, project_id, livemode, 'created', actor, actor_id, delivery_id, link_id, event_data, now() FROM ok
), pub AS (
	INSERT INTO public_events (id, project_id, livemode, type, invite_id, sequence, body, created_at)
	SELECT public_id, project_id, livemode, 'invite.created', id, 1, public_body, now() FROM ok WHERE public_id IS NOT NULL
	RETURNING id, project_id, livemode
), queued AS (
	INSERT INTO webhook_deliveries (endpoint_id, event_id, next_at)
	SELECT w.id, pub.id, now() FROM pub CROSS JOIN LATERAL (
		SELECT id FROM webhook_endpoints w WHERE w.project_id = pub.project_id AND w.livemode = pub.livemode
			AND w.disabled_at IS NULL AND (cardinality(w.types) = 0 OR 'invite.created' = ANY(w.types)) OFFSET 0) w
), terms AS (
	INSERT INTO search_terms (hash, invite_id)
	SELECT hash, term_id FROM unnest($44::bytea[], $45::uuid[]) AS s(hash, term_id)
	WHERE term_id IN (SELECT id FROM ok)
)
SELECT inv.id, inv.created_at, inv.expires_at, ok.leased FROM inv JOIN ok ON ok.id = inv.id
WHERE (SELECT count(refused) FROM over) = 0`

// Insert stores accepted requests, all in one statement. The answers stand in
// the order of rows. Lanes must exist: see EnsureLane. A *LimitError means that
// nothing was stored, because a limit would be exceeded.
func Insert(ctx context.Context, db postgres.DB, rows []New) ([]Inserted, error) {
	c, err := turnRows(rows)
	if err != nil {
		return nil, err
	}
	res, err := db.Query(ctx, insertInvites, c.args()...)
	if err != nil {
		return nil, fmt.Errorf("insert %d invites: %w", len(rows), c.uses.translate(err))
	}
	stored, err := pgx.CollectRows(res, func(r pgx.CollectableRow) (Inserted, error) {
		var in Inserted
		err := r.Scan(&in.ID, &in.CreatedAt, &in.ExpiresAt, &in.Leased)
		return in, err
	})
	if err != nil {
		return nil, fmt.Errorf("insert %d invites: %w", len(rows), c.uses.translate(err))
	}
	byID := make(map[invite.ID]Inserted, len(stored))
	for _, in := range stored {
		byID[in.ID] = in
	}
	out := make([]Inserted, len(rows))
	for i, r := range rows {
		in, ok := byID[r.ID]
		if !ok {
			in = Inserted{ID: r.ID, Lost: true}
		}
		out[i] = in
	}
	return out, nil
}

// EnsureLane makes a lane known to the claim loop.
func EnsureLane(ctx context.Context, db postgres.DB, lane invite.Lane) error {
	_, err := db.Exec(ctx, `INSERT INTO lanes (lane) VALUES ($1) ON CONFLICT DO NOTHING`, lane)
	if err != nil {
		return fmt.Errorf("ensure lane %s: %w", lane, postgres.Translate(err))
	}
	return nil
}

// turnRows turns rows into columns.
func turnRows(rows []New) (*columns, error) {
	var c columns
	c.grow(len(rows))
	for _, r := range rows {
		data, err := json.Marshal(r.Event.Data)
		if err != nil {
			return nil, fmt.Errorf("encode event data: %w", err)
		}
		if err := c.add(r, data); err != nil {
			return nil, fmt.Errorf("insert invite %s: %w", r.ID, err)
		}
	}
	return &c, nil
}
