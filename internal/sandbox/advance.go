package sandbox

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/connectlink/connectlink/internal/postgres"
	"github.com/connectlink/connectlink/internal/seal"
)

// stepsPerClaim bounds one transaction of fates.
const stepsPerClaim = 200

// dueMessage is a message whose next step is due.
type dueMessage struct {
	ID        uuid.UUID
	Channel   string
	ToHash    []byte
	Content   []byte
	Fate      string
	Step      int
	DueAt     time.Time
	UpdatedAt time.Time
}

// advanceMessages moves every due message one step along its fate, in one
// transaction: a step happens exactly once, in spite of crashes.
func (s *Sandbox) advanceMessages(ctx context.Context) (int, error) {
	var n int
	err := postgres.InTx(ctx, s.db, func(tx pgx.Tx) error {
		now := s.now()
		rows, err := tx.Query(ctx, `SELECT id, channel, to_hash, content, fate, step, due_at, updated_at
			FROM sandbox.messages WHERE due_at <= $1 ORDER BY due_at LIMIT $2 FOR UPDATE SKIP LOCKED`, now, stepsPerClaim)
		if err != nil {
			return fmt.Errorf("claim due messages: %w", err)
		}
		due, err := pgx.CollectRows(rows, pgx.RowToStructByPos[dueMessage])
		if err != nil {
			return fmt.Errorf("claim due messages: %w", err)
		}
		if n = len(due); n == 0 {
			return nil
		}
		var moves movedBatch
		for _, m := range due {
			if err := s.advance(&moves, m, now); err != nil {
				return err
			}
		}
		return moves.write(ctx, tx, now)
	})
	return n, err
}

// advance works out one message's step.
func (s *Sandbox) advance(b *movedBatch, m dueMessage, now time.Time) error {
	f := s.fates.named(m.Channel, m.Fate)
	if m.Step >= len(f.steps) {
		b.move(m.ID, m.Step, nil, "", 0)
		return nil
	}
	c, err := s.openContent(m.ID, m.Content)
	if err != nil {
		// A row that no key opens would come back for ever and hold up its
		// batch: it ends here, and says so.
		s.log.Error("sandbox message does not open", "message", m.ID, "err", err)
		b.move(m.ID, len(f.steps), nil, "", 0)
		return nil
	}
	st := f.steps[m.Step]
	status, code := "", 0
	for i, h := range st.happen {
		status, code = h.name, h.code
		at := m.UpdatedAt.Add(m.DueAt.Sub(m.UpdatedAt) * time.Duration(i+1) / time.Duration(len(st.happen)))
		if err := b.event(m, h, at, s.callbackDue(m.Channel, c, st, now)); err != nil {
			return err
		}
	}
	var next *time.Time
	if m.Step+1 < len(f.steps) {
		t := m.DueAt.Add(s.paces(f.steps[m.Step+1].after))
		next = &t
	}
	b.move(m.ID, m.Step+1, next, status, code)
	if st.suppress != "" {
		b.suppress(st.suppress, m.ToHash, st.happen)
	}
	if st.suppress == optOuts {
		var post *time.Time
		if s.inboundURL(c.account()) != "" {
			post = s.faults.callbackDue(twilio, now)
		}
		if err := b.event(m, happening{name: repliedStop}, now, post); err != nil {
			return err
		}
	}
	if kind, slow := journeyOf(m.Channel, c.To); kind != "" && st.arrives {
		b.journey(m.ID, kind, slow, now.Add(s.stride(slow)))
	}
	return nil
}

// callbackDue returns when to notify the customer: nil if the step is quiet
// or no callback URL is set.
func (s *Sandbox) callbackDue(channel string, c content, st step, now time.Time) *time.Time {
	if st.quiet || channel == email && s.eventsURL(c.account()) == "" || channel == sms && c.Callback == "" {
		return nil
	}
	vendor := sendgrid
	if channel == sms {
		vendor = twilio
	}
	return s.faults.callbackDue(vendor, now)
}

// movedBatch gathers what one claim changes, to be written in four statements
// however many messages moved.
type movedBatch struct {
	ids      []uuid.UUID
	steps    []int16
	nexts    []*time.Time
	statuses []string
	codes    []*int32

	eventIDs, eventMessages []uuid.UUID
	sources, names          []string
	extras                  [][]byte
	happened                []time.Time
	posts                   []*time.Time

	lists, reasons, bounceCodes []string
	hashes                      [][]byte

	journeyIDs, journeyMessages []uuid.UUID
	kinds                       []string
	slows                       []bool
	starts                      []time.Time
}

func (b *movedBatch) move(id uuid.UUID, step int, next *time.Time, status string, code int) {
	b.ids, b.steps, b.nexts = append(b.ids, id), append(b.steps, int16(step)), append(b.nexts, next)
	b.statuses = append(b.statuses, status)
	var c *int32
	if code != 0 {
		v := int32(code)
		c = &v
	}
	b.codes = append(b.codes, c)
}

func (b *movedBatch) event(m dueMessage, h happening, at time.Time, post *time.Time) error {
	source, extra := sendgrid, h.extra
	if m.Channel == sms {
		source = twilio
		if h.code != 0 {
			extra = map[string]string{"ErrorCode": fmt.Sprint(h.code)}
		}
	}
	if extra == nil {
		extra = map[string]string{}
	}
	js, err := json.Marshal(extra)
	if err != nil {
		return fmt.Errorf("encode event of message %s: %w", m.ID, err)
	}
	b.eventIDs, b.eventMessages = append(b.eventIDs, newID()), append(b.eventMessages, m.ID)
	b.sources, b.names, b.extras = append(b.sources, source), append(b.names, h.name), append(b.extras, js)
	b.happened, b.posts = append(b.happened, at), append(b.posts, post)
	return nil
}

func (b *movedBatch) suppress(list string, to seal.Hash, why []happening) {
	reason, status := "", ""
	if len(why) > 0 {
		last := why[len(why)-1].extra
		reason, status = last["reason"], last["status"]
	}
	b.lists, b.hashes = append(b.lists, list), append(b.hashes, to)
	b.reasons, b.bounceCodes = append(b.reasons, reason), append(b.bounceCodes, status)
}

func (b *movedBatch) journey(message uuid.UUID, kind string, slow bool, start time.Time) {
	b.journeyIDs, b.journeyMessages = append(b.journeyIDs, newID()), append(b.journeyMessages, message)
	b.kinds, b.slows, b.starts = append(b.kinds, kind), append(b.slows, slow), append(b.starts, start)
}

func (b *movedBatch) write(ctx context.Context, tx pgx.Tx, now time.Time) error {
	if _, err := tx.Exec(ctx, `UPDATE sandbox.messages m
		SET step = t.step, due_at = t.due_at, updated_at = $6,
		    status = CASE WHEN t.status = '' THEN m.status ELSE t.status END,
		    error_code = coalesce(t.code, m.error_code), sent_at = coalesce(m.sent_at, $6)
		FROM unnest($1::uuid[], $2::smallint[], $3::timestamptz[], $4::text[], $5::integer[]) AS t(id, step, due_at, status, code)
		WHERE m.id = t.id`, b.ids, b.steps, b.nexts, b.statuses, b.codes, now); err != nil {
		return fmt.Errorf("move messages: %w", err)
	}
	if len(b.eventIDs) > 0 {
		if _, err := tx.Exec(ctx, `INSERT INTO sandbox.events (id, message_id, source, name, extra, happened_at, due_at)
			SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[], $5::jsonb[], $6::timestamptz[], $7::timestamptz[])`,
			b.eventIDs, b.eventMessages, b.sources, b.names, b.extras, b.happened, b.posts); err != nil {
			return fmt.Errorf("insert events: %w", err)
		}
	}
	if len(b.lists) > 0 {
		if _, err := tx.Exec(ctx, `INSERT INTO sandbox.suppressions (list, address_hash, reason, status, created_at)
			SELECT DISTINCT ON (list, hash) list, hash, reason, status, $5::timestamptz
			FROM unnest($1::text[], $2::bytea[], $3::text[], $4::text[]) AS t(list, hash, reason, status)
			ON CONFLICT (list, address_hash) DO UPDATE SET lifted_at = NULL, created_at = EXCLUDED.created_at`,
			b.lists, b.hashes, b.reasons, b.bounceCodes, now); err != nil {
			return fmt.Errorf("insert suppressions: %w", err)
		}
	}
	if len(b.journeyIDs) > 0 {
		if _, err := tx.Exec(ctx, `INSERT INTO sandbox.journeys (id, message_id, kind, slow, due_at, created_at)
			SELECT *, $6::timestamptz FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::boolean[], $5::timestamptz[])`,
			b.journeyIDs, b.journeyMessages, b.kinds, b.slows, b.starts, now); err != nil {
			return fmt.Errorf("insert journeys: %w", err)
		}
	}
	return nil
}
