package find

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/postgres"
	"github.com/connectlink/connectlink/internal/seal"
)

// Filter narrows a list of invites. Zero members do not narrow.
type Filter struct {
	ProjectID      string // required
	Livemode       bool
	Status         []invite.Status
	Channel        invite.Channel
	App            string
	ExternalUserID string
	Recipient      []seal.Hash // of the whole address, one per live key
	Reason         invite.Reason
	Progress       invite.Progress
	Expiring       bool // ends within ExpiringWindow, and nobody opened it
	CreatedAfter   time.Time
	CreatedBefore  time.Time
	After          invite.ID // keyset: only invites older than this one
	Before         invite.ID // keyset, the other way: the page just newer than this one
	Limit          int
}

// List reads a page of invites, newest first. next is the id to go on from,
// zero when there is nothing more: older ones, or with Before newer ones.
func List(ctx context.Context, db postgres.DB, f Filter) (page []Invite, next invite.ID, err error) {
	where, args := f.where()
	args = append(args, f.Limit+1)
	order := "DESC"
	if !f.Before.IsZero() {
		order = "ASC"
	}
	rows, _ := db.Query(ctx, fmt.Sprintf(`SELECT %s FROM invites i %s WHERE %s ORDER BY i.id %s LIMIT $%d`,
		columns, joins, where, order, len(args)), args...)
	page, err = pgx.CollectRows(rows, pgx.RowToStructByName[Invite])
	if err != nil {
		return nil, next, fmt.Errorf("list invites: %w", postgres.Translate(err))
	}
	if len(page) > f.Limit {
		page = page[:f.Limit]
		next = page[f.Limit-1].ID
	}
	if !f.Before.IsZero() {
		slices.Reverse(page)
	}
	return page, next, nil
}

func (f Filter) where() (string, []any) {
	cond := []string{"i.project_id = $1", "i.livemode = $2"}
	args := []any{f.ProjectID, f.Livemode}
	add := func(format string, v any) {
		args = append(args, v)
		cond = append(cond, fmt.Sprintf(format, len(args)))
	}
	switch {
	case len(f.Status) == 1 && slices.Contains(invite.Statuses(), f.Status[0]):
		// One of our own words, and in the text: only so can the planner tell
		// the rare ones, which have an index, from the common ones, which a
		// walk along the list soon meets.
		cond = append(cond, "i.status = '"+string(f.Status[0])+"'")
	case len(f.Status) > 0:
		add("i.status = ANY($%d)", f.Status)
	}
	if f.Channel != "" {
		add("i.channel = $%d", string(f.Channel))
	}
	if f.App != "" {
		add("i.app_slug = $%d", f.App)
	}
	if f.ExternalUserID != "" {
		add("i.external_user_id = $%d", f.ExternalUserID)
	}
	if len(f.Recipient) > 0 {
		// The array is made first, whatever the planner thinks: one person has few invites.
		add("i.id = ANY(ARRAY(SELECT invite_id FROM search_terms WHERE hash = ANY($%d)))", f.Recipient)
	}
	if f.Reason != "" {
		add("d.reason = $%d", string(f.Reason))
	}
	if f.Progress != "" {
		// In the text for the same reason as a rare status; the words are ours.
		if slices.Contains(invite.Progresses(), f.Progress) {
			cond = append(cond, "i.progress = '"+string(f.Progress)+"'")
		} else {
			add("i.progress = $%d", string(f.Progress))
		}
	}
	if f.Expiring {
		cond = append(cond, expiring)
	}
	if !f.CreatedAfter.IsZero() {
		add("i.created_at >= $%d", f.CreatedAfter)
	}
	if !f.CreatedBefore.IsZero() {
		add("i.created_at < $%d", f.CreatedBefore)
	}
	if !f.After.IsZero() {
		add("i.id < $%d", f.After)
	}
	if !f.Before.IsZero() {
		add("i.id > $%d", f.Before)
	}
	return strings.Join(cond, " AND "), args
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
func Events(ctx context.Context, db postgres.DB, id invite.ID) ([]Event, error) {
	rows, _ := db.Query(ctx, `
		SELECT id, invite_id, seq, type, actor, actor_id, delivery_id, attempt_id, link_id, data, detail, occurred_at, created_at
		FROM events WHERE invite_id = $1 ORDER BY seq`, id)
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
