package find

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/postgres"
	"github.com/connectlink/connectlink/internal/seal"
)

// Filter narrows a list of invites. Zero members do not narrow.
type Filter struct {
	invite.Place // required

	Status    []invite.Status
	Channel   invite.Channel
	App       string
	User      User
	Recipient []seal.Hash // of the whole address, one per live key
	Inviter   []seal.Hash // of the whole name, one per live key
	Domain    []seal.Hash // of the domain of the recipient's address, one per live key
	// Metadata are pairs that all must be there, each as the hashes of MetadataTerms.
	Metadata [][]seal.Hash
	Reason   invite.Reason // of the latest message
	// DeliveryStatus are the states that the latest message may have.
	DeliveryStatus []invite.DeliveryStatus
	Progress       []invite.Progress
	Expiring       bool // ends within ExpiringWindow, and was not opened
	// FailedAfter selects the invites of which no message arrived and whose last
	// failure is later. ConnectFailedAfter does so for failed connections. At most
	// one of the two is given. FailedBefore bounds the window of the given one.
	FailedAfter        time.Time
	ConnectFailedAfter time.Time
	FailedBefore       time.Time
	Owner              invite.StaffID // of the invite
	Template           string         // the version of the templates that one of its messages was sent with
	CreatedAfter       time.Time
	CreatedBefore      time.Time
	UpdatedAfter       time.Time
	UpdatedBefore      time.Time
	After              invite.ID // keyset: only invites older than this one
	Before             invite.ID // keyset, the other way: the page just newer than this one
	Limit              int
}

// List reads a page of invites, newest first. next is the id to go on from,
// zero when there is nothing more: older ones, or with Before newer ones.
//
// However rare what the filter wants, the time is bounded: only a stretch of
// the list is looked through at once (see candidates). So a page can hold less
// than Limit, even nothing, and still have a next.
func List(ctx context.Context, db postgres.DB, f Filter) (page []Invite, next invite.ID, err error) {
	if f.User.isSet() {
		if f.User, err = f.User.resolve(ctx, db, ""); err != nil {
			return nil, next, err
		}
	}
	l := listing{f: f}
	sql := l.page()
	rows, _ := db.Query(ctx, sql, l.args...)
	page, err = pgx.CollectRows(rows, pgx.RowToStructByName[Invite])
	if err != nil {
		return nil, next, fmt.Errorf("list invites: %w", postgres.Translate(err))
	}
	if len(page) > f.Limit {
		page = page[:f.Limit]
		next = page[f.Limit-1].ID
	} else if next, err = stretchEnd(ctx, db, listing{f: f}); err != nil {
		return nil, next, err
	}
	if !f.Before.IsZero() {
		slices.Reverse(page)
	}
	return page, next, nil
}

// stretchEnd is the last invite that was looked at, where others come behind it.
func stretchEnd(ctx context.Context, db postgres.DB, l listing) (end invite.ID, err error) {
	sql, most, _ := l.candidates()
	if most == 0 {
		return end, nil
	}
	err = db.QueryRow(ctx, fmt.Sprintf(`SELECT id FROM (%s) c ORDER BY id %s OFFSET %d LIMIT 1`, sql, l.order(), l.limited(most)-1), l.args...).Scan(&end)
	if errors.Is(err, pgx.ErrNoRows) {
		return end, nil
	}
	if err != nil {
		return end, fmt.Errorf("list invites: end of the stretch: %w", postgres.Translate(err))
	}
	return end, nil
}

// Event is one entry of a timeline as stored.
type Event struct {
	ID         invite.EventID    `db:"id"`
	InviteID   invite.ID         `db:"invite_id"`
	Seq        int               `db:"seq"`
	Type       invite.EventType  `db:"type"`
	Actor      invite.ActorKind  `db:"actor"`
	ActorID    string            `db:"actor_id"`
	DeliveryID invite.DeliveryID `db:"delivery_id"`
	AttemptID  invite.AttemptID  `db:"attempt_id"`
	LinkID     invite.LinkID     `db:"link_id"`
	Data       invite.Data       `db:"data"`
	Detail     []byte            `db:"detail"` // sealed
	OccurredAt time.Time         `db:"occurred_at"`
	CreatedAt  time.Time         `db:"created_at"`
}

// Events reads the timeline of an invite, oldest first. The caller has made
// sure, by Get, that the invite is the asker's.
//
// Beginning an attempt stores no event: EventDeliverySending is derived from the
// attempt, with its id. Seq is then that of the event before it.
func Events(ctx context.Context, db postgres.DB, id invite.ID) ([]Event, error) {
	rows, _ := db.Query(ctx, `
		SELECT id, invite_id, seq, type, actor, actor_id, delivery_id, attempt_id, link_id, data, detail, occurred_at, created_at
		FROM (
			SELECT id, invite_id, seq, type, actor, actor_id, delivery_id, attempt_id, link_id, data, detail, occurred_at, created_at, 0 AS place
			FROM events WHERE invite_id = $1
			UNION ALL
			SELECT a.id, a.invite_id, a.after_seq, $2, $3, 'dispatch', a.delivery_id, a.id, a.link_id,
				jsonb_build_object('channel', d.channel, 'provider', a.provider, 'attempt', a.number), NULL, a.started_at, a.started_at, a.number
			FROM attempts a JOIN deliveries d ON d.invite_id = a.invite_id AND d.id = a.delivery_id
			WHERE a.invite_id = $1 AND a.after_seq IS NOT NULL
		) e ORDER BY seq, place > 0, created_at, place`, id, invite.EventDeliverySending, invite.ActorSystem)
	events, err := pgx.CollectRows(rows, pgx.RowToStructByName[Event])
	if err != nil {
		return nil, fmt.Errorf("list events of invite %s: %w", id, postgres.Translate(err))
	}
	return events, nil
}

// Delivery is one message as stored, with how often it was tried.
type Delivery struct {
	ID                invite.DeliveryID     `db:"id"`
	InviteID          invite.ID             `db:"invite_id"`
	Number            int                   `db:"number"`
	Channel           invite.Channel        `db:"channel"`
	Kind              string                `db:"kind"`
	Status            invite.DeliveryStatus `db:"status"`
	Reason            invite.Reason         `db:"reason"`
	ProviderCode      string                `db:"provider_code"`
	Provider          string                `db:"provider"`
	ProviderMessageID string                `db:"provider_message_id"`
	Attempts          int                   `db:"attempts"`
	NextAt            *time.Time            `db:"next_at"`
	CreatedAt         time.Time             `db:"created_at"`
	UpdatedAt         time.Time             `db:"updated_at"`
}

const deliveryColumns = `
	d.id, d.invite_id, d.number, d.channel, d.kind, d.status, d.reason, d.provider_code, d.provider,
	coalesce((SELECT a.provider_message_id FROM attempts a WHERE a.invite_id = d.invite_id AND a.delivery_id = d.id
		AND a.provider_message_id <> '' ORDER BY a.number DESC LIMIT 1), '') AS provider_message_id,
	d.attempts, d.next_at, d.created_at, d.updated_at`

// Deliveries reads the messages of an invite, oldest first. The caller has
// made sure, by Get, that the invite is the asker's.
func Deliveries(ctx context.Context, db postgres.DB, id invite.ID) ([]Delivery, error) {
	rows, _ := db.Query(ctx, `SELECT `+deliveryColumns+` FROM deliveries d WHERE d.invite_id = $1 ORDER BY d.number`, id)
	list, err := pgx.CollectRows(rows, pgx.RowToStructByName[Delivery])
	if err != nil {
		return nil, fmt.Errorf("list deliveries of invite %s: %w", id, postgres.Translate(err))
	}
	return list, nil
}
