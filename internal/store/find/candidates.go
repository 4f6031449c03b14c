package find

import (
	"fmt"
	"strings"
	"time"

	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/seal"
)

// How many invites are looked at for one page, at most.
const (
	walked = 15_000 // along the list itself, where neighbours lie together
	joined = 5_000  // along the list, with a look at the latest message of each
	sent   = 2_500  // along the list, with a look at the attempts of each
	probed = 2_500  // one by one, as an index of something rarer names them
)

// clockSlack is how far an id's time, which is of the process that made it, may
// lie from created_at, which is of the database.
const clockSlack = time.Hour

// listing is the SQL of one List, with its arguments as they come to be needed.
//
// It reads candidates, in the order of their ids and up to a limit, and drops
// those that do not match. The candidates come from the rarest filter with an
// index; without one they are the list itself. The planner is left no choice
// between the two: it cannot know the frequency of a word, and a plan that is
// fast for one word takes a minute for another.
type listing struct {
	f    Filter
	args []any
	most int // of candidates, where that is fewer than a page looks at; 0: it is not
}

// limited is how many candidates are read at most, of n that a page looks at.
func (l *listing) limited(n int) int {
	if l.most > 0 {
		return min(n, l.most)
	}
	return n
}

func (l *listing) arg(v any) string {
	l.args = append(l.args, v)
	return fmt.Sprintf("$%d", len(l.args))
}

func (l *listing) scope() string {
	return "project_id = " + l.arg(l.f.Project) + " AND livemode = " + l.arg(l.f.Live)
}

func (l *listing) order() string {
	if l.f.Before.IsZero() {
		return "DESC"
	}
	return "ASC"
}

// rare reports whether a status has an index of its own. It is written into the
// text: only so can that index be used.
func rare(s invite.Status) bool {
	return s == invite.Failed || s == invite.Pending || s == invite.Scheduled || s == invite.Revoked
}

// troubled are the states of messages that have an index of their own, which no
// invite enters whose messages go well.
func troubled(s invite.DeliveryStatus) bool {
	switch s {
	case invite.Deferred, invite.Bounced, invite.Undelivered, invite.Rejected, invite.Suppressed, invite.Complained, invite.Canceled, invite.Unknown:
		return true
	default:
		return false
	}
}

func allTroubled(states []invite.DeliveryStatus) bool {
	for _, s := range states {
		if !troubled(s) {
			return false
		}
	}
	return len(states) > 0
}

// candidates is a SELECT of ids, and how many it gives at most; 0 where it
// gives all there are, few as they are by nature. isList reports that they are neighbours in
// the list itself.
func (l *listing) candidates() (sql string, most int, isList bool) {
	f := l.f
	switch {
	case !f.FailedAfter.IsZero():
		return l.failures(), 0, false
	case !f.ConnectFailedAfter.IsZero():
		return l.failures(), 0, false
	case len(f.Recipient) > 0:
		return l.byTerm(f.Recipient), probed, false
	case f.User.isSet():
		return l.ids("id", f.User.table(l.arg)+" i", l.scope()), probed, false
	case len(f.Metadata) > 0:
		return l.byTerm(f.Metadata[0]), probed, false
	case len(f.Domain) > 0:
		return l.byTerm(f.Domain), probed, false
	case !f.Owner.IsZero():
		return l.ids("invite_id", "invite_owners", "staff_id = "+l.arg(f.Owner)+" AND "+l.scope()), probed, false
	case f.Expiring:
		return fmt.Sprintf(`SELECT id FROM (%s) soonest WHERE %s AND %s%s ORDER BY id %s`, soonest(), l.scope(), unopened, l.bounds("id"), l.order()), 0, false
	case len(f.Progress) == 1 && f.Progress[0] == invite.ConnectFailed:
		return l.ids("DISTINCT invite_id", "events", l.scope()+" AND type = 'connect_failed'"), probed, false
	case f.Reason != "":
		return l.ids("DISTINCT invite_id", "deliveries", l.scope()+" AND reason <> '' AND reason = "+l.arg(string(f.Reason))), probed, false
	case allTroubled(f.DeliveryStatus):
		return l.byDelivery(), probed, false
	case len(f.Inviter) > 0: // before the status: a candidate's status is cheaper to check than its words
		return l.byTerm(f.Inviter), probed, false
	case len(f.Status) == 1 && rare(f.Status[0]):
		return l.ids("id", "invites", l.scope()+" AND status = '"+string(f.Status[0])+"'"), probed, false
	}
	most = walked
	switch {
	case f.Template != "":
		most = sent
	case len(f.DeliveryStatus) > 0:
		most = joined
	}
	return fmt.Sprintf(`SELECT id FROM invites WHERE %s%s ORDER BY id %s LIMIT %d`, l.scope(), l.bounds("id"), l.order(), l.limited(most)), most, true
}

// ids is a SELECT of up to probed ids, in the order of the list.
func (l *listing) ids(column, from, where string) string {
	return fmt.Sprintf(`SELECT %s AS id FROM %s WHERE %s%s ORDER BY id %s LIMIT %d`, column, from, where, l.bounds(strings.TrimPrefix(column, "DISTINCT ")), l.order(), l.limited(probed))
}

// byTerm merges one walk per live key, each of them in the order of the index.
func (l *listing) byTerm(hashes []seal.Hash) string {
	walks := make([]string, 0, len(hashes))
	for _, h := range hashes {
		walks = append(walks, "("+l.ids("invite_id", "search_terms", "hash = "+l.arg(h))+")")
	}
	return l.merged("id", walks)
}

// byDelivery merges one walk per state of messages. Two messages of one invite may
// be in two of the states.
func (l *listing) byDelivery() string {
	walks := make([]string, 0, len(l.f.DeliveryStatus))
	for _, s := range l.f.DeliveryStatus {
		walks = append(walks, "("+l.ids("DISTINCT invite_id", "deliveries", l.scope()+" AND status = '"+string(s)+"'")+")")
	}
	return l.merged("DISTINCT id", walks)
}

func (l *listing) merged(id string, walks []string) string {
	return fmt.Sprintf(`SELECT %s FROM (%s) w ORDER BY id %s LIMIT %d`, id, strings.Join(walks, " UNION ALL "), l.order(), l.limited(probed))
}

// notArrived are the events by which an invite comes to be failed, as constants:
// only so the index of failures is used.
const notArrived = `'delivery.bounced', 'delivery.undelivered', 'delivery.rejected', 'delivery.suppressed', 'fallback.skipped'`

// How many failures of a window are looked at, the latest first: by a list, and by a
// count, which ends at CountCap.
const (
	maxFailures     = 10_000
	countedFailures = 2_500
)

// failures is a SELECT of the ids of invites that failed in the filter's window.
func (l *listing) failures() string {
	return fmt.Sprintf(`SELECT DISTINCT invite_id AS id FROM (%s) latest WHERE true%s ORDER BY id %s`, l.latestFailures(maxFailures), l.bounds("invite_id"), l.order())
}

// latestFailures is a SELECT of the invites of up to n failures in the filter's window, the
// latest first. A passcode that does not arrive fails no invite.
func (l *listing) latestFailures(n int) string {
	events, since := "type = 'connect_failed'", l.f.ConnectFailedAfter
	if !l.f.FailedAfter.IsZero() {
		events, since = "type IN ("+notArrived+")", l.f.FailedAfter
	}
	until := ""
	if !l.f.FailedBefore.IsZero() {
		until = " AND occurred_at < " + l.arg(l.f.FailedBefore)
	}
	return fmt.Sprintf(`SELECT invite_id FROM events e WHERE %s AND %s AND occurred_at > %s%s
		AND NOT EXISTS (SELECT FROM deliveries d WHERE d.invite_id = e.invite_id AND d.id = e.delivery_id AND d.kind = 'passcode')
		ORDER BY occurred_at DESC LIMIT %d`, l.scope(), events, l.arg(since), until, n)
}

// bounds is what the keyset and the dates say of an id.
func (l *listing) bounds(column string) string {
	var b strings.Builder
	add := func(op string, v any) { b.WriteString(" AND " + column + " " + op + " " + l.arg(v)) }
	if !l.f.After.IsZero() {
		add("<", l.f.After)
	}
	if !l.f.Before.IsZero() {
		add(">", l.f.Before)
	}
	if !l.f.CreatedAfter.IsZero() {
		add(">=", invite.From[invite.ID](l.f.CreatedAfter.Add(-clockSlack)))
	}
	if !l.f.CreatedBefore.IsZero() {
		add("<", invite.From[invite.ID](l.f.CreatedBefore.Add(clockSlack)))
	}
	if !l.f.UpdatedBefore.IsZero() { // none is updated before it is made
		add("<", invite.From[invite.ID](l.f.UpdatedBefore.Add(clockSlack)))
	}
	return b.String()
}

// page is the whole statement.
func (l *listing) page() string {
	source, key := l.source()
	return fmt.Sprintf(`SELECT %s FROM %s %s WHERE %s ORDER BY %s %s LIMIT %d`, columns, source, joins, l.where(), key, l.order(), l.f.Limit+1)
}

// countFailures counts the invites that pages list, up to CountCap, among the invites of
// the latest countedFailures; more reports that there were more failures.
func (l *listing) countFailures() string {
	latest := l.latestFailures(countedFailures)
	return fmt.Sprintf(`WITH latest AS MATERIALIZED (%s)
		SELECT (SELECT count(*) FROM (SELECT FROM (SELECT DISTINCT invite_id AS id FROM latest) one
			CROSS JOIN LATERAL (SELECT * FROM invites WHERE id = one.id AND %s OFFSET 0) i WHERE %s LIMIT %d) t),
			(SELECT count(*) FROM latest) = %d AS more`, latest, l.scope(), l.where(), CountCap, countedFailures)
}

// source is where the rows come from, and the column that they are ordered by.
func (l *listing) source() (source, key string) {
	sql, _, isList := l.candidates()
	if isList {
		// The list's own rows; looking each up by its id would be twice the work.
		source, key = "("+strings.Replace(sql, "SELECT id", "SELECT *", 1)+") i", "i.id"
	} else {
		// OFFSET keeps it a look-up per candidate, in their order, that stops at the limit.
		source, key = fmt.Sprintf(`(%s) one CROSS JOIN LATERAL (SELECT * FROM invites WHERE id = one.id AND %s OFFSET 0) i`, sql, l.scope()), "one.id"
	}
	return source, key
}

// unfiltered is the condition of a list without filters.
const unfiltered = "true"

// where is what an invite must fulfil, whichever way it became a candidate.
func (l *listing) where() string {
	f := l.f
	cond := []string{unfiltered}
	add := func(before string, v any, after string) { cond = append(cond, before+l.arg(v)+after) }
	if !f.FailedAfter.IsZero() {
		add("i.status = ", string(invite.Failed), "")
	}
	if !f.ConnectFailedAfter.IsZero() {
		add("i.progress = ", string(invite.ConnectFailed), "")
	}
	if len(f.Status) > 0 {
		add("i.status = ANY(", f.Status, ")")
	}
	if f.Channel != "" {
		add("i.channel = ", string(f.Channel), "")
	}
	if f.App != "" {
		add("i.app_slug = ", f.App, "")
	}
	if f.User.isSet() {
		cond = append(cond, f.User.where("i.", l.arg))
	}
	if len(f.Inviter) > 0 {
		add("(SELECT true FROM search_terms WHERE invite_id = i.id AND hash = ANY(", f.Inviter, ") LIMIT 1)")
	}
	if len(f.Domain) > 0 {
		add("(SELECT true FROM search_terms WHERE invite_id = i.id AND hash = ANY(", f.Domain, ") LIMIT 1)")
	}
	if !f.Owner.IsZero() {
		add("(SELECT true FROM invite_owners WHERE invite_id = i.id AND staff_id = ", f.Owner, ")")
	}
	if f.Reason != "" {
		// Of the latest message, as the joined one is; asked before anything is joined.
		add("(SELECT reason FROM deliveries WHERE invite_id = i.id AND kind <> 'passcode' ORDER BY number DESC LIMIT 1) = ", string(f.Reason), "")
	}
	if f.Template != "" {
		add("(SELECT true FROM attempts WHERE invite_id = i.id AND template_version = ", f.Template, " AND outcome IN ('accepted', 'unknown') LIMIT 1)")
	}
	for _, pair := range f.Metadata {
		add("(SELECT true FROM search_terms WHERE invite_id = i.id AND hash = ANY(", pair, ") LIMIT 1)")
	}
	if len(f.DeliveryStatus) > 0 {
		add("(SELECT status FROM deliveries WHERE invite_id = i.id AND kind <> 'passcode' ORDER BY number DESC LIMIT 1) = ANY(", f.DeliveryStatus, ")")
	}
	if len(f.Progress) > 0 {
		add("i.progress = ANY(", f.Progress, ")")
	}
	if f.Expiring {
		cond = append(cond, "i.wiped_at IS NULL AND i.gives_up_at > now() AND i.gives_up_at < now() + interval '1 hour' AND i.status IN ('active', 'pending') AND i.progress = 'none'")
	}
	if !f.CreatedAfter.IsZero() {
		add("i.created_at >= ", f.CreatedAfter, "")
	}
	if !f.CreatedBefore.IsZero() {
		add("i.created_at < ", f.CreatedBefore, "")
	}
	if !f.UpdatedAfter.IsZero() {
		add("i.updated_at >= ", f.UpdatedAfter, "")
	}
	if !f.UpdatedBefore.IsZero() {
		add("i.updated_at < ", f.UpdatedBefore, "")
	}
	return strings.Join(cond, " AND ")
}
