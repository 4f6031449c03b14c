package sandbox

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"golang.org/x/sync/errgroup"
)

const (
	eventsPerClaim = 200
	// postLease is longer than a post may take; an event whose poster died
	// is posted again after it.
	postLease = 30 * time.Second
	// postsAtOnce bounds what one process asks of the product.
	postsAtOnce = 32
	// sendgridGivesUp is how long SendGrid goes on trying.
	sendgridGivesUp = 24 * time.Hour
)

// dueEvent is an event to be posted, with what it is about.
type dueEvent struct {
	ID         uuid.UUID
	MessageID  *uuid.UUID
	Source     string
	Name       string
	Extra      map[string]string
	Payload    []byte
	HappenedAt time.Time
	Tries      int // this one included
	Content    []byte
	ErrorCode  *int32

	answer int
	next   *time.Time
}

// postEvents posts the due callbacks. Claims are leases: a post in progress
// when its process died is made again.
func (s *Sandbox) postEvents(ctx context.Context) (int, error) {
	now := s.now()
	rows, err := s.db.Query(ctx, `
		WITH due AS (SELECT id FROM sandbox.events WHERE due_at <= $1 ORDER BY due_at, id LIMIT $2 FOR UPDATE SKIP LOCKED),
		     claimed AS (UPDATE sandbox.events e SET due_at = $3, tries = tries + 1 FROM due WHERE e.id = due.id RETURNING e.*)
		SELECT c.id, c.message_id, c.source, c.name, c.extra, c.payload, c.happened_at, c.tries, m.content, m.error_code
		FROM claimed c LEFT JOIN sandbox.messages m ON m.id = c.message_id
		ORDER BY c.happened_at, c.id`, now, eventsPerClaim, now.Add(postLease))
	if err != nil {
		return 0, fmt.Errorf("claim due callbacks: %w", err)
	}
	due, err := pgx.CollectRows(rows, func(r pgx.CollectableRow) (*dueEvent, error) {
		var e dueEvent
		err := r.Scan(&e.ID, &e.MessageID, &e.Source, &e.Name, &e.Extra, &e.Payload, &e.HappenedAt, &e.Tries, &e.Content, &e.ErrorCode)
		return &e, err
	})
	if err != nil {
		return 0, fmt.Errorf("claim due callbacks: %w", err)
	}
	if len(due) == 0 {
		return 0, nil
	}
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(postsAtOnce)
	for _, batch := range s.callbackBatches(due) {
		g.Go(func() error {
			switch batch[0].Source {
			case sendgrid:
				s.postMailEvents(gctx, batch)
			case twilio:
				s.postSMSStatuses(gctx, batch)
			case pipedream:
				s.postConnection(gctx, batch[0])
			}
			return nil
		})
	}
	_ = g.Wait() // posts report on their events, never fail
	if ctx.Err() != nil {
		// Posts that this process's end cut off were not tries: a vendor that
		// retries nothing would lose them.
		for _, e := range due {
			if e.answer == 0 {
				e.next = &now
			}
		}
	}
	return len(due), s.settleEvents(ctx, due)
}

// callbackBatches groups events as the vendors do: SendGrid posts arrays,
// Twilio one request an event, in order within a message.
func (s *Sandbox) callbackBatches(due []*dueEvent) [][]*dueEvent {
	var out [][]*dueEvent
	var mail []*dueEvent
	byMessage := map[uuid.UUID]int{}
	for _, e := range due {
		switch {
		case e.Source == sendgrid:
			mail = append(mail, e)
		case e.Source == twilio && e.MessageID != nil:
			i, seen := byMessage[*e.MessageID]
			if !seen {
				i = len(out)
				byMessage[*e.MessageID] = i
				out = append(out, nil)
			}
			out[i] = append(out[i], e)
		default:
			out = append(out, []*dueEvent{e})
		}
	}
	if len(mail) > 0 {
		if s.faults.callbacks(sendgrid).Shuffle {
			rand.Shuffle(len(mail), func(i, j int) { mail[i], mail[j] = mail[j], mail[i] })
		}
		out = append(out, mail)
	}
	return out
}

// settleEvents writes what became of each post. Its context may have ended
// with the posts done: they are settled all the same, else they come twice.
func (s *Sandbox) settleEvents(ctx context.Context, done []*dueEvent) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	ids, answers, nexts := make([]uuid.UUID, len(done)), make([]int16, len(done)), make([]*time.Time, len(done))
	for i, e := range done {
		ids[i], answers[i], nexts[i] = e.ID, int16(e.answer), e.next
	}
	// A webhook about a connection holds a token and whose account it is: it is not kept
	// once it was posted.
	if _, err := s.db.Exec(ctx, `UPDATE sandbox.events e SET answer = t.answer, due_at = t.due_at,
			payload = CASE WHEN t.due_at IS NOT NULL OR e.message_id IS NOT NULL THEN e.payload END
		FROM unnest($1::uuid[], $2::smallint[], $3::timestamptz[]) AS t(id, answer, due_at) WHERE e.id = t.id`,
		ids, answers, nexts); err != nil {
		return fmt.Errorf("settle %d callbacks: %w", len(done), err)
	}
	return nil
}

// again sets an event's next try: a pace, doubled each time up to a minute of
// paces, with jitter so that batches do not stay together for ever.
func (s *Sandbox) again(e *dueEvent) {
	wait := s.paces(float64(min(1<<min(e.Tries-1, 6), 60)))
	wait += time.Duration(rand.Int64N(int64(wait)/4 + 1))
	t := s.now().Add(wait)
	e.next = &t
}
