package sandbox

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"golang.org/x/sync/errgroup"

	"github.com/connectlink/connectlink/internal/postgres"
)

const (
	journeysPerClaim = 50
	// walkTries is how often a person tries a page that does not come before
	// losing patience: the product may be restarting under a test.
	walkTries = 8
)

// knownJourney reports whether a "+" word is one.
func knownJourney(word string) bool {
	return slices.Contains([]string{"visit", "connect", "deny", "connecterror", "scanner", "notme", "renew"}, word)
}

// stride is the time between two steps of a person.
func (s *Sandbox) stride(slow bool) time.Duration {
	if slow {
		return s.paces(5)
	}
	return s.pace
}

// dueJourney is a person about to act.
type dueJourney struct {
	ID        uuid.UUID
	MessageID uuid.UUID
	Kind      string
	Slow      bool
	Step      int
	State     []byte
	Tries     int // this one included
	InviteID  string
	Content   []byte
	CreatedAt time.Time // of the message
}

// where is what a person remembers between steps; sealed, it holds links.
type where struct {
	Link string `json:"link"` // the one in the message
	// Digits: the message holds six of them and no link.
	Digits bool   `json:"-"`
	Page   string `json:"page,omitempty"`  // where the browser is now
	Form   *form  `json:"form,omitempty"`  // what they are about to submit
	Press  string `json:"press,omitempty"` // the connect page's button
	Field  string `json:"field,omitempty"` // of Form, where digits go
}

// walked is what a step came to. A nil next step ends the journey.
type walked struct {
	did  string // for the history: "visited", "continued", …
	note string
	next *int
	wait time.Duration // instead of one stride
}

// errLater: the page did not come, try again.
var errLater = errors.New("the page did not come")

// walkJourneys lets every scripted person who is due take one step. Like
// callbacks, steps are leased: a person whose process died repeats the step,
// like a reload.
func (s *Sandbox) walkJourneys(ctx context.Context) (int, error) {
	now := s.now()
	rows, err := s.db.Query(ctx, `
		WITH due AS (SELECT id FROM sandbox.journeys WHERE due_at <= $1 ORDER BY due_at LIMIT $2 FOR UPDATE SKIP LOCKED),
		     claimed AS (UPDATE sandbox.journeys j SET due_at = $3, tries = tries + 1 FROM due WHERE j.id = due.id RETURNING j.*)
		SELECT c.id, c.message_id, c.kind, c.slow, c.step, c.state, c.tries, m.invite_id, m.content, m.created_at
		FROM claimed c JOIN sandbox.messages m ON m.id = c.message_id`, now, journeysPerClaim, now.Add(postLease))
	if err != nil {
		return 0, fmt.Errorf("claim journeys: %w", err)
	}
	due, err := pgx.CollectRows(rows, pgx.RowToStructByPos[dueJourney])
	if err != nil {
		return 0, fmt.Errorf("claim journeys: %w", err)
	}
	var g errgroup.Group
	g.SetLimit(journeysPerClaim)
	for _, j := range due {
		g.Go(func() error { return s.walk(ctx, j) })
	}
	return len(due), g.Wait()
}

// walk takes one step and writes down what came of it.
func (s *Sandbox) walk(ctx context.Context, j dueJourney) error {
	at, err := s.openWhere(j)
	if err != nil {
		return s.endJourney(ctx, j, "gave up", "the message cannot be read")
	}
	if at.Digits {
		return s.endJourney(ctx, j, "received", "a code, for whoever is at the page that asks for it")
	}
	if at.Link == "" {
		return s.endJourney(ctx, j, "gave up", "the message holds no link")
	}
	did, err := s.takeStep(ctx, j, &at)
	switch {
	case ctx.Err() != nil:
		return nil // leased: another process repeats it
	case errors.Is(err, errLater) && j.Tries < walkTries:
		return s.postpone(ctx, j)
	case err != nil:
		return s.endJourney(ctx, j, "gave up", err.Error())
	}
	return s.storeStep(ctx, j, at, did)
}

func (s *Sandbox) openWhere(j dueJourney) (where, error) {
	var at where
	if j.State != nil {
		plain, err := s.box.Open(j.State, ad("journeys.state", j.ID))
		if err == nil {
			err = json.Unmarshal(plain, &at)
		}
		return at, err
	}
	c, err := s.openContent(j.MessageID, j.Content)
	if err != nil {
		return at, err
	}
	if links := linksIn(c.Text); len(links) > 0 {
		at.Link = links[0]
	}
	at.Digits = digitsIn(c.Text) != ""
	return at, nil
}

func (s *Sandbox) storeStep(ctx context.Context, j dueJourney, at where, did walked) error {
	plain, err := json.Marshal(at)
	if err != nil {
		return fmt.Errorf("encode journey %s: %w", j.ID, err)
	}
	sealed, err := s.box.Seal(plain, ad("journeys.state", j.ID))
	if err != nil {
		return fmt.Errorf("seal journey %s: %w", j.ID, err)
	}
	now := s.now()
	step, due := j.Step, (*time.Time)(nil)
	if did.next != nil {
		wait := did.wait
		if wait == 0 {
			wait = s.stride(j.Slow)
		}
		t := now.Add(wait)
		step, due = *did.next, &t
	} else {
		sealed = nil // nothing left to remember
	}
	return s.settleJourney(ctx, j, `step = $2, state = $3, due_at = $4, tries = 0`, []any{step, sealed, due}, did.did, did.note)
}

func (s *Sandbox) endJourney(ctx context.Context, j dueJourney, did, note string) error {
	return s.settleJourney(ctx, j, `state = NULL, due_at = NULL`, nil, did, note)
}

func (s *Sandbox) postpone(ctx context.Context, j dueJourney) error {
	due := s.now().Add(s.paces(float64(int(1) << min(j.Tries-1, 4))))
	return s.settleJourney(ctx, j, `due_at = $2`, []any{due}, "", "")
}

// settleJourney writes a step and its line of history together.
func (s *Sandbox) settleJourney(ctx context.Context, j dueJourney, set string, args []any, did, note string) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	return postgres.InTx(ctx, s.db, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `UPDATE sandbox.journeys SET `+set+` WHERE id = $1`, append([]any{j.ID}, args...)...); err != nil {
			return fmt.Errorf("settle journey %s: %w", j.ID, err)
		}
		if did == "" {
			return nil
		}
		extra := map[string]string{}
		if note != "" {
			extra["note"] = note
		}
		if _, err := tx.Exec(ctx, `INSERT INTO sandbox.events (id, message_id, source, name, extra, happened_at) VALUES ($1, $2, 'person', $3, $4, $5)`,
			newID(), j.MessageID, did, extra, s.now()); err != nil {
			return fmt.Errorf("note journey %s: %w", j.ID, err)
		}
		return nil
	})
}

// digitsFor reads the newest message of the journey's invite that holds digits
// and came after the one with the link. errLater while there is none.
func (s *Sandbox) digitsFor(ctx context.Context, j dueJourney) (string, error) {
	rows, err := s.db.Query(ctx, `SELECT id, content FROM sandbox.messages
		WHERE invite_id = $1 AND invite_id <> '' AND id <> $2 AND created_at >= $3 AND content IS NOT NULL ORDER BY created_at DESC LIMIT 10`,
		j.InviteID, j.MessageID, j.CreatedAt)
	if err != nil {
		return "", errLater
	}
	later, err := pgx.CollectRows(rows, pgx.RowToStructByPos[struct {
		ID      uuid.UUID
		Content []byte
	}])
	if err != nil {
		return "", errLater
	}
	for _, m := range later {
		c, err := s.openContent(m.ID, m.Content)
		if err != nil {
			return "", err
		}
		if digits := digitsIn(c.Text); digits != "" {
			return digits, nil
		}
	}
	return "", errLater
}

// secondLetter reports whether this message is a later one of its invite: a
// person who asked for a new link does not ask for ever.
func (s *Sandbox) secondLetter(ctx context.Context, j dueJourney) (bool, error) {
	var second bool
	if err := s.db.QueryRow(ctx, `SELECT EXISTS (SELECT FROM sandbox.messages WHERE invite_id = $1 AND invite_id <> '' AND created_at < $2)`,
		j.InviteID, j.CreatedAt).Scan(&second); err != nil {
		return false, fmt.Errorf("look for an earlier message: %w", err)
	}
	return second, nil
}
