package account

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/connectlink/connectlink/internal/access"
	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/postgres"
)

// Entry is one entry of the audit log. It outlives its subject, so it holds
// ids, words of fixed lists and keyed hashes, and never an address, a name or
// free text.
type Entry struct {
	By access.Principal // who, in which project and mode, and where from
	// Act is the recorded act: an access.Act if a role decides about it, or a
	// word such as "sign_in".
	Act    access.Act
	Target string    // the id of what it was done to
	Invite invite.ID // the invite it concerns, if it does
	Why    string    // of a pick list
	Data   map[string]string
}

// Audited is an entry as stored.
type Audited struct {
	invite.Place

	ID          invite.AuditID    `db:"id"`
	At          time.Time         `db:"at"`
	Actor       string            `db:"actor"`
	Act         access.Act        `db:"act"`
	Target      string            `db:"target"`
	InviteID    invite.ID         `db:"invite_id"`
	Why         string            `db:"why"`
	Data        map[string]string `db:"data"`
	SessionID   invite.SessionID  `db:"session_id"`
	RequestID   string            `db:"request_id"`
	AddressHash []byte            `db:"place"`
}

// clockSlack is how far an id's time, which is of the process that made it, may
// lie from the entry's, which is of the database.
const clockSlack = time.Hour

const auditColumns = `id, at, project_id, livemode, actor, act, target, invite_id, why, data, session_id, request_id, place`

// InsertAudit adds an entry. It takes a transaction, so that an act and its
// entry are committed together or not at all.
func InsertAudit(ctx context.Context, tx pgx.Tx, e Entry) error {
	return insertEntries(ctx, tx, []Entry{e})
}

// InsertActs adds the entries of acts that staff and API keys can do, in one round trip.
// The creates of keys are left out: there are as many as invites, and each invite names
// its key. So are acts of the service itself, which stand on the timeline.
func InsertActs(ctx context.Context, tx pgx.Tx, acts ...Entry) error {
	return insertEntries(ctx, tx, slices.DeleteFunc(slices.Clone(acts), func(e Entry) bool {
		return e.By.Kind != access.KindStaff && (e.By.Kind != access.KindKey || e.Act == access.ActCreate)
	}))
}

func insertEntries(ctx context.Context, tx pgx.Tx, entries []Entry) error {
	if len(entries) == 0 {
		return nil
	}
	var b pgx.Batch
	for _, e := range entries {
		var session invite.SessionID
		if e.By.Origin.SessionID != "" {
			var err error
			if session, err = invite.Parse[invite.SessionID](e.By.Origin.SessionID); err != nil {
				return fmt.Errorf("insert audit entry %s: %w", e.Act, err)
			}
		}
		if e.Data == nil {
			e.Data = map[string]string{}
		}
		b.Queue(`
			INSERT INTO audit (id, project_id, livemode, actor, act, target, invite_id, why, data, session_id, request_id, place)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)`,
			invite.New[invite.AuditID](), e.By.Project, e.By.Live, e.By.Actor(), string(e.Act), e.Target, e.Invite, e.Why, e.Data,
			session, e.By.Origin.RequestID, e.By.Origin.AddressHash)
	}
	if err := tx.SendBatch(ctx, &b).Close(); err != nil {
		return fmt.Errorf("insert %d audit entries, the first of %s: %w", len(entries), entries[0].Act, postgres.Translate(err))
	}
	return nil
}

// FindAct returns how long ago a principal's session last did an act to a target.
func FindAct(ctx context.Context, db postgres.DB, by access.Principal, act access.Act, target string) (ago time.Duration, ok bool, err error) {
	session, err := invite.Parse[invite.SessionID](by.Origin.SessionID)
	if err != nil {
		return 0, false, fmt.Errorf("find audit entry %s: %w", act, err)
	}
	var seconds float64
	err = db.QueryRow(ctx, `SELECT extract(epoch FROM now() - at)::float8 FROM audit
		WHERE target = $1 AND act = $2 AND session_id = $3 AND project_id = $4 AND livemode = $5 AND actor = $6 ORDER BY id DESC LIMIT 1`,
		target, string(act), session, by.Project, by.Live, by.Actor()).Scan(&seconds)
	if errors.Is(err, pgx.ErrNoRows) {
		return 0, false, nil
	}
	if err != nil {
		return 0, false, fmt.Errorf("find audit entry %s: %w", act, postgres.Translate(err))
	}
	return time.Duration(seconds * float64(time.Second)), true, nil
}

// CountActs returns how often a principal's session did an act within a time, in
// all projects and modes.
func CountActs(ctx context.Context, db postgres.DB, by access.Principal, act access.Act, within time.Duration) (n int, err error) {
	session, err := invite.Parse[invite.SessionID](by.Origin.SessionID)
	if err != nil {
		return 0, fmt.Errorf("count audit entries %s: %w", act, err)
	}
	err = db.QueryRow(ctx, `SELECT count(*) FROM audit WHERE actor = $1 AND id >= $2 AND act = $3 AND session_id = $4
		AND at >= now() - make_interval(secs => $5)`,
		by.Actor(), invite.From[invite.AuditID](time.Now().Add(-within-clockSlack)), string(act), session, within.Seconds()).Scan(&n)
	if err != nil {
		return 0, fmt.Errorf("count audit entries %s: %w", act, postgres.Translate(err))
	}
	return n, nil
}

// AuditFilter selects entries. Every field but the project narrows, and is
// ignored when zero.
type AuditFilter struct {
	// Entries that concern all projects are added where All is set.
	invite.Place
	All bool

	Actor    string // "staff:stf_…"
	Act      access.Act
	Target   string
	InviteID invite.ID
	Since    time.Time
	Until    time.Time
	After    invite.AuditID // keyset: only entries older than this one
	Before   invite.AuditID // keyset, the other way: the page just newer than this one
	Limit    int
}

// ListAudit reads a page of entries, newest first. next is the id to go on
// from, zero when there is nothing more: older ones, or with Before newer ones.
func ListAudit(ctx context.Context, db postgres.DB, f AuditFilter) (page []Audited, next invite.AuditID, err error) {
	where, args := f.where()
	order := "DESC"
	if !f.Before.IsZero() {
		order = "ASC"
	}
	// Each walk is along one index; an "or" would be none.
	scopes := []string{"project_id = $1 AND livemode = $2"}
	if f.All {
		scopes = append(scopes, "project_id = '' AND livemode = true", "project_id = '' AND livemode = false")
	}
	var walks []string
	for _, scope := range scopes {
		walks = append(walks, fmt.Sprintf(`(SELECT %s FROM audit WHERE %s%s ORDER BY id %s LIMIT %d)`, auditColumns, scope, where, order, f.Limit+1))
	}
	rows, _ := db.Query(ctx, fmt.Sprintf(`SELECT * FROM (%s) a ORDER BY id %s LIMIT %d`, strings.Join(walks, " UNION ALL "), order, f.Limit+1), args...)
	page, err = pgx.CollectRows(rows, pgx.RowToStructByName[Audited])
	if err != nil {
		return nil, next, fmt.Errorf("list audit entries: %w", postgres.Translate(err))
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

// where is what narrows beside the scope, which has the first two arguments.
func (f AuditFilter) where() (string, []any) {
	args := []any{f.Project, f.Live}
	var where strings.Builder
	and := func(condition string, v any) {
		args = append(args, v)
		fmt.Fprintf(&where, " AND "+condition, len(args))
	}
	if f.Actor != "" {
		and("actor = $%d", f.Actor)
	}
	if f.Act != "" {
		and("act = $%d", string(f.Act))
	}
	if f.Target != "" {
		and("target = $%d", f.Target)
	}
	if !f.InviteID.IsZero() {
		and("invite_id = $%d", f.InviteID)
	}
	// The id's time gives the place of a date in the list, up to differences
	// of clocks.
	if !f.Since.IsZero() {
		and("at >= $%d", f.Since)
		and("id >= $%d", invite.From[invite.AuditID](f.Since.Add(-clockSlack)))
	}
	if !f.Until.IsZero() {
		and("at < $%d", f.Until)
		and("id < $%d", invite.From[invite.AuditID](f.Until.Add(clockSlack)))
	}
	if !f.After.IsZero() {
		and("id < $%d", f.After)
	}
	if !f.Before.IsZero() {
		and("id > $%d", f.Before)
	}
	return where.String(), args
}
