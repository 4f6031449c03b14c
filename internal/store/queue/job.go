package queue

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/postgres"
	"github.com/connectlink/connectlink/internal/store/userid"
)

// Ref names a delivery.
type Ref struct {
	InviteID   invite.ID
	DeliveryID invite.DeliveryID
}

// Lease is the right to work on a delivery.
type Lease struct {
	Ref
	Token int64
	Owner int64
}

// Job is a claimed delivery with all that deciding and sending needs, as it
// stood in one snapshot. Personal values are sealed.
type Job struct {
	invite.Place

	Lease
	Now time.Time // the database's, when this was read

	Lane      invite.Lane
	Channel   invite.Channel
	Kind      string // invite.KindFirst and its like
	Status    invite.DeliveryStatus
	Reason    invite.Reason // why it waits; empty for none
	Attempts  int           // begun so far
	Poisoned  int
	CreatedAt time.Time
	// RestoredAt is when a restore to an earlier time was declared, after which the
	// message may have been sent; nil: none was, or it was not sent.
	RestoredAt *time.Time

	Invite Invite
	Code   *Code // nil: wiped or retired
	// Passcode is what a delivery of that kind carries; nil: it is another kind,
	// or the digits are wiped.
	Passcode *Passcode
	Link     *Link    // nil: none is held
	Last     *Attempt // nil: none was begun
	// SentLink is the link that Last carried; nil when it carried none or its URL is gone.
	SentLink *Link
}

// Invite is what dispatch needs of an invite.
type Invite struct {
	userid.Columns

	Version     int
	Status      invite.Status
	Environment string
	LinkType    invite.LinkType
	InitiatedBy invite.InitiatedBy
	AppSlug     string
	AppName     string
	AppAuthType string // empty while Pipedream could not be asked
	OAuthAppID  string
	Kind        invite.Purpose
	// ReconnectAccount is the account that its links reconnect; empty: a new one.
	ReconnectAccount string
	CreatedBy        invite.KeyID // the API key or member of staff
	Progress         invite.Progress
	Content          []byte // nil once erased
	ExpiresIn        time.Duration
	ValidFor         time.Duration // 0 when not given
	ExpiresAt        *time.Time
	GivesUpAt        time.Time
	Trace            []byte // of trace.Marshal; nil: nothing is traced
}

// Code is the invite link's code of this delivery.
type Code struct {
	ID     [16]byte
	Sealed []byte
}

// Passcode is the digits that a delivery carries.
type Passcode struct {
	Digits    []byte // sealed
	ExpiresAt time.Time
}

// Link is a connect link that is held.
type Link struct {
	ID        invite.LinkID
	URL       []byte
	Granted   time.Duration
	ExpiresAt time.Time
}

// Attempt is the latest call for a delivery.
type Attempt struct {
	ID         invite.AttemptID
	Number     int
	Outcome    string
	Provider   string
	Account    string
	StartedAt  time.Time
	FinishedAt *time.Time
}

// The outcomes of an attempt.
const (
	Open      = "open"      // the call was begun; its result was not recorded
	Accepted  = "accepted"  // the provider took the message
	NotSent   = "not_sent"  // it did not
	Refused   = "refused"   // it said no
	Unknown   = "unknown"   // the answer was lost
	Abandoned = "abandoned" // its answer is no longer looked for
)

// Fresh reports whether the snapshot is consistent: a claim locks the newest
// version of a delivery, while the joined rows are as of the statement's
// start. A job that is not fresh must be read again.
func (j *Job) Fresh() bool {
	if j.Last == nil {
		return j.Attempts == 0
	}
	return j.Attempts == j.Last.Number
}

// jobColumns and jobJoins read a Job for each row c of deliveries.
const jobColumns = `
	c.invite_id, c.id, c.lease_token, c.lease_owner, now(),
	c.project_id, c.livemode, c.lane, c.channel, c.kind, c.status, c.attempts, c.poisoned, c.created_at,
	i.seq, i.status, i.environment, i.link_type, i.initiated_by, i.external_user_id, i.sealed_user_id, i.app_slug, i.app_name, i.oauth_app_id,
	i.content, i.expires_in_s, coalesce(i.valid_for_s, 0), i.expires_at, i.gives_up_at,
	k.id, k.code,
	l.id, l.url, l.granted_s, l.expires_at,
	a.id, a.number, a.outcome, a.provider, a.account, a.started_at, a.finished_at,
	s.id, s.url, s.granted_s, s.expires_at,
	p.digits, p.expires_at, c.reason, i.app_auth_type, i.kind, i.reconnect_account, i.created_by, i.progress, i.trace, c.restored_at`

const jobJoins = `
	JOIN invites i ON i.id = c.invite_id
	LEFT JOIN LATERAL (
		SELECT id, code FROM codes
		WHERE invite_id = c.invite_id AND delivery_id = c.id AND retired_at IS NULL AND code IS NOT NULL
		ORDER BY created_at DESC LIMIT 1) k ON true
	LEFT JOIN LATERAL (
		SELECT id, url, granted_s, expires_at FROM connect_links
		WHERE invite_id = c.invite_id AND url IS NOT NULL
		ORDER BY minted_at DESC, id DESC LIMIT 1) l ON true
	LEFT JOIN LATERAL (
		SELECT id, number, outcome, provider, account, started_at, finished_at, link_id FROM attempts
		WHERE invite_id = c.invite_id AND delivery_id = c.id
		ORDER BY number DESC LIMIT 1) a ON true
	LEFT JOIN connect_links s ON s.invite_id = c.invite_id AND s.id = a.link_id AND s.url IS NOT NULL
	LEFT JOIN passcodes p ON c.kind = 'passcode' AND p.invite_id = c.invite_id AND p.delivery_id = c.id AND p.digits IS NOT NULL`

func scanJob(r pgx.CollectableRow) (Job, error) {
	var (
		j                    Job
		expiresIn, validFor  int32
		codeID               *[16]byte
		code, url, sentURL   []byte
		linkID, sentID       invite.LinkID
		granted, sentGranted *int32
		linkEnds, sentEnds   *time.Time
		attemptID            invite.AttemptID
		number               *int32
		outcome, provider    *string
		account              *string
		started, finished    *time.Time
		digits               []byte
		digitsEnd            *time.Time
	)
	err := r.Scan(&j.InviteID, &j.DeliveryID, &j.Token, &j.Owner, &j.Now,
		&j.Project, &j.Live, &j.Lane, &j.Channel, &j.Kind, &j.Status, &j.Attempts, &j.Poisoned, &j.CreatedAt,
		&j.Invite.Version, &j.Invite.Status, &j.Invite.Environment, &j.Invite.LinkType, &j.Invite.InitiatedBy,
		&j.Invite.UserText, &j.Invite.SealedUser, &j.Invite.AppSlug, &j.Invite.AppName, &j.Invite.OAuthAppID,
		&j.Invite.Content, &expiresIn, &validFor, &j.Invite.ExpiresAt, &j.Invite.GivesUpAt,
		&codeID, &code,
		&linkID, &url, &granted, &linkEnds,
		&attemptID, &number, &outcome, &provider, &account, &started, &finished,
		&sentID, &sentURL, &sentGranted, &sentEnds,
		&digits, &digitsEnd, &j.Reason, &j.Invite.AppAuthType, &j.Invite.Kind, &j.Invite.ReconnectAccount, &j.Invite.CreatedBy, &j.Invite.Progress, &j.Invite.Trace, &j.RestoredAt)
	if err != nil {
		return Job{}, err
	}
	j.Invite.ExpiresIn = time.Duration(expiresIn) * time.Second
	j.Invite.ValidFor = time.Duration(validFor) * time.Second
	if codeID != nil {
		j.Code = &Code{ID: *codeID, Sealed: code}
	}
	if digitsEnd != nil {
		j.Passcode = &Passcode{Digits: digits, ExpiresAt: *digitsEnd}
	}
	if !linkID.IsZero() {
		j.Link = &Link{ID: linkID, URL: url, Granted: time.Duration(*granted) * time.Second, ExpiresAt: *linkEnds}
	}
	if !attemptID.IsZero() {
		j.Last = &Attempt{
			ID: attemptID, Number: int(*number), Outcome: *outcome, Provider: *provider, Account: *account,
			StartedAt: *started, FinishedAt: finished,
		}
	}
	if !sentID.IsZero() {
		j.SentLink = &Link{ID: sentID, URL: sentURL, Granted: time.Duration(*sentGranted) * time.Second, ExpiresAt: *sentEnds}
	}
	return j, nil
}

// FindJob reads a job again; ok is false when the lease is no longer held.
func FindJob(ctx context.Context, db postgres.DB, l Lease) (Job, bool, error) {
	rows, _ := db.Query(ctx, `SELECT `+jobColumns+` FROM deliveries c `+jobJoins+`
		WHERE c.invite_id = $1 AND c.id = $2 AND c.lease_token = $3 AND c.lease_owner IS NOT DISTINCT FROM $4::bigint`,
		l.InviteID, l.DeliveryID, l.Token, l.Owner)
	jobs, err := pgx.CollectRows(rows, scanJob)
	if err != nil {
		return Job{}, false, fmt.Errorf("find delivery %s: %w", l.DeliveryID, postgres.Translate(err))
	}
	if len(jobs) == 0 {
		return Job{}, false, nil
	}
	return jobs[0], true, nil
}
