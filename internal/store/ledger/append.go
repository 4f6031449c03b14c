package ledger

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/postgres"
	"github.com/connectlink/connectlink/internal/seal"
)

// ErrNotFound is returned where an invite, link, code or delivery that must exist does not.
var ErrNotFound = errors.New("no such row")

// Locked is an invite whose row is locked by the transaction that read it.
type Locked struct {
	invite.Place

	ID          invite.ID
	Environment string
	State       invite.State
	Erased      bool      // words that come late are not kept any more
	Now         time.Time // the database's
	Trace       []byte    // of trace.Marshal; nil: nothing is traced
	// QueuedAt is since when each delivery could be sent.
	QueuedAt map[invite.DeliveryID]time.Time
	sendAt   time.Time // zero: at once
}

// Applied is what events made of an invite.
type Applied struct {
	Locked  // with the state after the events
	Before  invite.State
	Effects []invite.Effect
	Public  []Announcement
}

// Announcement is a public event that one event of a timeline caused.
type Announcement struct {
	Type invite.PublicType
	// Sequence is the number of the event on the timeline: it grows with each
	// public event of an invite, also where several come in one transaction.
	Sequence int
}

// Batch is the events to be recorded for one invite, in order.
type Batch struct {
	ID     invite.ID
	Events []invite.Event
}

// Lock locks an invite's row and its deliveries', in this order. Errors: ErrNotFound.
func Lock(ctx context.Context, tx pgx.Tx, id invite.ID) (Locked, error) {
	locked, err := LockAll(ctx, tx, []invite.ID{id})
	if err != nil {
		return Locked{}, err
	}
	if len(locked) == 0 {
		return Locked{}, fmt.Errorf("lock invite %s: %w", id, ErrNotFound)
	}
	return locked[0], nil
}

// LockAll locks invites in the order of their ids; those that do not exist are left out.
func LockAll(ctx context.Context, tx pgx.Tx, ids []invite.ID) ([]Locked, error) {
	batch := &pgx.Batch{}
	// NO KEY UPDATE lets inserts of child rows, which share-lock the key, go on meanwhile.
	batch.Queue(`
		SELECT id, project_id, livemode, environment, status, progress, channel, expires_at, gives_up_at, account_id,
			connected_at, revoked_at, replaced_by, resend_count, seq, fallback_channel, fallback_after, fallback_delay_s, fallback_at,
			erased_at IS NOT NULL, now(), trace, send_at
		FROM invites WHERE id = ANY($1) ORDER BY id FOR NO KEY UPDATE`, ids)
	batch.Queue(`
		SELECT invite_id, id, kind, status, channel, reason, provider_code, provider, ended_at, failure, delivered_at, created_at
		FROM deliveries WHERE invite_id = ANY($1) ORDER BY invite_id, number FOR NO KEY UPDATE`, ids)
	res := tx.SendBatch(ctx, batch)
	defer func() { _ = res.Close() }()

	rows, _ := res.Query()
	locked, err := pgx.CollectRows(rows, scanLocked)
	if err != nil {
		return nil, fmt.Errorf("lock invites: %w", postgres.Translate(err))
	}
	index := make(map[invite.ID]int, len(locked))
	for i, l := range locked {
		index[l.ID] = i
	}
	rows, _ = res.Query()
	var of invite.ID
	var d invite.DeliveryState
	var ended, delivered *time.Time
	var queued time.Time
	var failed *failure
	_, err = pgx.ForEachRow(rows, []any{&of, &d.ID, &d.Kind, &d.Status, &d.Channel, &d.Reason, &d.ProviderCode, &d.Provider, &ended, &failed, &delivered, &queued}, func() error {
		d.EndedAt, d.DeliveredAt, d.Failure = orZero(ended), orZero(delivered), failed.fact()
		// An id is missing only when the invite came between the two statements.
		if i, ok := index[of]; ok {
			locked[i].State.Deliveries = append(locked[i].State.Deliveries, d)
			locked[i].noteQueued(d.ID, queued)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("lock deliveries: %w", postgres.Translate(err))
	}
	if err := res.Close(); err != nil {
		return nil, fmt.Errorf("lock invites: %w", postgres.Translate(err))
	}
	return locked, nil
}

// noteQueued notes since when a delivery could be sent: not before a scheduled time.
func (l *Locked) noteQueued(id invite.DeliveryID, created time.Time) {
	if l.QueuedAt == nil {
		l.QueuedAt = make(map[invite.DeliveryID]time.Time, 1)
	}
	if created.Before(l.sendAt) {
		created = l.sendAt
	}
	l.QueuedAt[id] = created
}

func scanLocked(r pgx.CollectableRow) (Locked, error) {
	var l Locked
	var expires, connected, revoked, fallback, send *time.Time
	var delay int32
	var replaced invite.ID
	err := r.Scan(&l.ID, &l.Project, &l.Live, &l.Environment, &l.State.Status, &l.State.Progress, &l.State.Channel,
		&expires, &l.State.GivesUpAt, &l.State.AccountID, &connected, &revoked, &replaced, &l.State.ResendCount, &l.State.Version,
		&l.State.Fallback.Channel, &l.State.Fallback.After, &delay, &fallback,
		&l.Erased, &l.Now, &l.Trace, &send)
	l.sendAt = orZero(send)
	l.State.Fallback.Delay, l.State.Fallback.At = time.Duration(delay)*time.Second, orZero(fallback)
	l.State.ExpiresAt, l.State.ConnectedAt, l.State.RevokedAt = orZero(expires), orZero(connected), orZero(revoked)
	l.State.ReplacedBy = replaced.String()
	return l, err
}

// Append records events of one invite and folds them into its state. It locks
// the invite first, so callers that already hold the lock pay nothing for it.
// Errors: ErrNotFound.
func Append(ctx context.Context, tx pgx.Tx, box *seal.Box, id invite.ID, events ...invite.Event) (Applied, error) {
	applied, err := AppendAll(ctx, tx, box, []Batch{{ID: id, Events: events}})
	if err != nil {
		return Applied{}, err
	}
	if len(applied) == 0 {
		return Applied{}, fmt.Errorf("append to invite %s: %w", id, ErrNotFound)
	}
	return applied[0], nil
}

// AppendAll records events of several invites in two round trips. Batches of
// the same invite are joined in order; invites that do not exist are left out.
// Applied events are returned in the order of the invites' ids. Statements that
// more adds go with the writes, after them.
func AppendAll(ctx context.Context, tx pgx.Tx, box *seal.Box, batches []Batch, more ...func(*pgx.Batch)) ([]Applied, error) {
	events := make(map[invite.ID][]invite.Event, len(batches))
	ids := make([]invite.ID, 0, len(batches))
	for _, b := range batches {
		if _, ok := events[b.ID]; !ok {
			ids = append(ids, b.ID)
		}
		events[b.ID] = append(events[b.ID], b.Events...)
	}
	var locked []Locked
	if len(ids) > 0 {
		var err error
		if locked, err = LockAll(ctx, tx, ids); err != nil {
			return nil, err
		}
	}
	var w writes
	out := make([]Applied, 0, len(locked))
	for _, l := range locked {
		a := Applied{Locked: l, Before: l.State}
		for _, e := range events[l.ID] {
			if e.ID.IsZero() {
				e.ID = invite.New[invite.EventID]()
			}
			if e.At.IsZero() {
				e.At = l.Now
			}
			var effects []invite.Effect
			a.State, effects = invite.Fold(a.State, e)
			for _, f := range effects {
				if public, ok := f.Public(); ok {
					a.Public = append(a.Public, Announcement{public, a.State.Version})
				}
				if !slices.Contains(a.Effects, f) {
					a.Effects = append(a.Effects, f)
				}
			}
			if err := w.event(box, l, a.State.Version, e); err != nil {
				return nil, err
			}
		}
		w.state(a)
		out = append(out, a)
	}
	return out, w.flush(ctx, tx, more)
}

// writes gathers what a batch of folds has to write: one array per column.
type writes struct {
	evInvite           []invite.ID
	evSeq              []int32
	evID               []invite.EventID
	evProject          []string
	evLive             []bool
	evType, evActor    []string
	evActorID          []string
	evDelivery         []invite.DeliveryID
	evAttempt          []invite.AttemptID
	evLink             []invite.LinkID
	evData             []string
	evDetail           [][]byte
	evAt               []time.Time
	invID              []invite.ID
	invStatus          []string
	invProgress        []string
	invChannel         []string
	invExpires         []*time.Time
	invGivesUp         []time.Time
	invAccount         []string
	invConnected       []*time.Time
	invRevoked         []*time.Time
	invReplaced        []invite.ID
	invResends, invSeq []int32
	invFallback        []string
	invFallbackAt      []*time.Time
	wipe               []invite.ID
	delInvite          []invite.ID
	delID              []invite.DeliveryID
	delStatus          []string
	delReason, delCode []string
	delProvider        []string
	delEnded           []*time.Time
	delFailure         []*string
	delDelivered       []*time.Time
	delSettled         []bool
	sentInvite         []invite.ID
	sentDelivery       []invite.DeliveryID // passcodes whose digits are no longer needed
}

func (w *writes) event(box *seal.Box, l Locked, seq int, e invite.Event) error {
	data, err := json.Marshal(e.Data)
	if err != nil {
		return fmt.Errorf("encode data of event %s: %w", e.ID, err)
	}
	var detail []byte
	if !e.Detail.IsZero() && !l.Erased {
		if detail, err = box.Seal([]byte(e.Detail.Reveal()), seal.AD{Column: "events.detail", ID: e.ID.UUID()}); err != nil {
			return fmt.Errorf("seal detail of event %s: %w", e.ID, err)
		}
	}
	w.evInvite = append(w.evInvite, l.ID)
	w.evSeq = append(w.evSeq, int32(seq))
	w.evID = append(w.evID, e.ID)
	w.evProject = append(w.evProject, l.Project)
	w.evLive = append(w.evLive, l.Live)
	w.evType = append(w.evType, string(e.Type))
	w.evActor = append(w.evActor, string(e.Actor.Kind))
	w.evActorID = append(w.evActorID, e.Actor.ID)
	w.evDelivery = append(w.evDelivery, e.DeliveryID)
	w.evAttempt = append(w.evAttempt, e.AttemptID)
	w.evLink = append(w.evLink, e.LinkID)
	w.evData = append(w.evData, string(data))
	w.evDetail = append(w.evDetail, detail)
	w.evAt = append(w.evAt, e.At)
	return nil
}

func (w *writes) state(a Applied) {
	s := a.State
	replaced, _ := invite.Parse[invite.ID](s.ReplacedBy)
	w.invID = append(w.invID, a.ID)
	w.invStatus = append(w.invStatus, string(s.Status))
	w.invProgress = append(w.invProgress, string(s.Progress))
	w.invChannel = append(w.invChannel, string(s.Channel))
	w.invExpires = append(w.invExpires, orNull(s.ExpiresAt))
	w.invGivesUp = append(w.invGivesUp, s.GivesUpAt)
	w.invAccount = append(w.invAccount, s.AccountID)
	w.invConnected = append(w.invConnected, orNull(s.ConnectedAt))
	w.invRevoked = append(w.invRevoked, orNull(s.RevokedAt))
	w.invReplaced = append(w.invReplaced, replaced)
	w.invResends = append(w.invResends, int32(s.ResendCount))
	w.invSeq = append(w.invSeq, int32(s.Version))
	w.invFallback = append(w.invFallback, string(s.Fallback.Channel))
	w.invFallbackAt = append(w.invFallbackAt, orNull(s.Fallback.At))
	if slices.Contains(a.Effects, invite.EffectWipe) {
		w.wipe = append(w.wipe, a.ID)
	}
	for _, d := range s.Deliveries {
		if slices.Contains(a.Before.Deliveries, d) {
			continue
		}
		w.delInvite = append(w.delInvite, a.ID)
		w.delID = append(w.delID, d.ID)
		w.delStatus = append(w.delStatus, string(d.Status))
		w.delReason = append(w.delReason, string(d.Reason))
		w.delCode = append(w.delCode, d.ProviderCode)
		w.delProvider = append(w.delProvider, d.Provider)
		w.delEnded = append(w.delEnded, orNull(d.EndedAt))
		w.delFailure = append(w.delFailure, failureJSON(d.Failure))
		w.delDelivered = append(w.delDelivered, orNull(d.DeliveredAt))
		w.delSettled = append(w.delSettled, d.Status.Ended())
		if d.Kind == invite.KindPasscode && d.Status.Ended() && d.Status != invite.Unknown {
			w.sentInvite, w.sentDelivery = append(w.sentInvite, a.ID), append(w.sentDelivery, d.ID)
		}
	}
}

func (w *writes) flush(ctx context.Context, tx pgx.Tx, more []func(*pgx.Batch)) error {
	batch := &pgx.Batch{}
	w.queue(batch)
	for _, add := range more {
		add(batch)
	}
	if batch.Len() == 0 {
		return nil
	}
	if err := tx.SendBatch(ctx, batch).Close(); err != nil {
		return fmt.Errorf("append to %d invites: %w", len(w.invID), postgres.Translate(err))
	}
	return nil
}

func (w *writes) queue(batch *pgx.Batch) {
	if len(w.invID) == 0 {
		return
	}
	batch.Queue(`
		UPDATE invites i SET status = t.status, progress = t.progress, channel = t.channel, expires_at = t.expires_at,
			gives_up_at = t.gives_up_at, account_id = t.account_id, connected_at = t.connected_at, revoked_at = t.revoked_at,
			replaced_by = t.replaced_by, resend_count = t.resend_count, seq = t.seq,
			fallback_channel = t.fallback_channel, fallback_at = t.fallback_at, updated_at = now()
		FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::timestamptz[], $6::timestamptz[], $7::text[],
			$8::timestamptz[], $9::timestamptz[], $10::uuid[], $11::int[], $12::int[], $13::text[], $14::timestamptz[])
			AS t(id, status, progress, channel, expires_at, gives_up_at, account_id, connected_at, revoked_at, replaced_by, resend_count, seq,
				fallback_channel, fallback_at)
		WHERE i.id = t.id`,
		w.invID, w.invStatus, w.invProgress, w.invChannel, w.invExpires, w.invGivesUp, w.invAccount,
		w.invConnected, w.invRevoked, w.invReplaced, w.invResends, w.invSeq, w.invFallback, w.invFallbackAt)
	if len(w.evID) > 0 {
		batch.Queue(`
		INSERT INTO events (invite_id, seq, id, project_id, livemode, type, actor, actor_id, delivery_id, attempt_id, link_id, data, detail, occurred_at)
		SELECT * FROM unnest($1::uuid[], $2::int[], $3::uuid[], $4::text[], $5::boolean[], $6::text[], $7::text[], $8::text[],
			$9::uuid[], $10::uuid[], $11::uuid[], $12::jsonb[], $13::bytea[], $14::timestamptz[])`,
			w.evInvite, w.evSeq, w.evID, w.evProject, w.evLive, w.evType, w.evActor, w.evActorID,
			w.evDelivery, w.evAttempt, w.evLink, w.evData, w.evDetail, w.evAt)
	}
	if len(w.delID) > 0 {
		// A settled delivery leaves the queue, also under a lease of another
		// process.
		batch.Queue(`
		UPDATE deliveries d SET status = t.status, reason = t.reason, provider_code = t.provider_code,
			provider = t.provider, ended_at = t.ended_at, failure = t.failure::jsonb, delivered_at = t.delivered_at, updated_at = now(),
			next_at = CASE WHEN t.settled THEN NULL ELSE d.next_at END,
			lease_owner = CASE WHEN t.settled THEN NULL ELSE d.lease_owner END
		FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[], $5::text[], $6::text[], $7::timestamptz[], $8::boolean[],
			$9::text[], $10::timestamptz[])
			AS t(invite_id, id, status, reason, provider_code, provider, ended_at, settled, failure, delivered_at)
		WHERE d.invite_id = t.invite_id AND d.id = t.id`,
			w.delInvite, w.delID, w.delStatus, w.delReason, w.delCode, w.delProvider, w.delEnded, w.delSettled,
			w.delFailure, w.delDelivered)
	}
	if len(w.sentDelivery) > 0 {
		batch.Queue(`
		UPDATE passcodes p SET digits = NULL FROM unnest($1::uuid[], $2::uuid[]) AS t(invite_id, delivery_id)
		WHERE p.invite_id = t.invite_id AND p.delivery_id = t.delivery_id`, w.sentInvite, w.sentDelivery)
	}
	if len(w.wipe) > 0 {
		queueWipe(batch, w.wipe)
	}
}

func orZero(t *time.Time) time.Time {
	if t == nil {
		return time.Time{}
	}
	return *t
}

func orNull(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

// SetReopened undoes the mark of a wiped invite: a resend gives it secrets again.
func SetReopened(ctx context.Context, tx pgx.Tx, id invite.ID) error {
	_, err := tx.Exec(ctx, `UPDATE invites SET wiped_at = NULL WHERE id = $1`, id)
	if err != nil {
		return fmt.Errorf("reopen invite %s: %w", id, postgres.Translate(err))
	}
	return nil
}
