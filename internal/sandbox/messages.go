package sandbox

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// ErrNoMessage is returned when a message is not in the inbox.
var ErrNoMessage = errors.New("no such message in the sandbox inbox")

// Message is a message as its reader has it. It is test data: no person's.
type Message struct {
	ID        string    `json:"id"` // "msg_…"
	Channel   string    `json:"channel"`
	To        string    `json:"to"`
	From      string    `json:"from"`
	Subject   string    `json:"subject,omitempty"`
	Text      string    `json:"text"`
	HTML      string    `json:"html,omitempty"`
	Status    string    `json:"status"` // the vendor's own word
	ErrorCode int       `json:"error_code,omitempty"`
	CreatedAt time.Time `json:"created_at"`
	AttemptID string    `json:"attempt_id"`
	InviteID  string    `json:"invite_id"`
	Links     []string  `json:"links"` // http links of the text, in order

	id      uuid.UUID
	content content
	fate    string
	deleted bool
}

// MessageFilter narrows Messages; zero values do not.
type MessageFilter struct {
	InviteIDs []string // any of these; nil: all, empty: none
	To        string
	Channel   string
	Before    string // a message id: only older ones
	Limit     int    // at most 200, default 50
}

const messageColumns = `id, channel, attempt_id, invite_id, content, fate, status, coalesce(error_code, 0), created_at, deleted_at IS NOT NULL`

// Messages lists the inbox, newest first.
func (s *Sandbox) Messages(ctx context.Context, f MessageFilter) ([]Message, error) {
	if f.Limit <= 0 || f.Limit > 200 {
		f.Limit = 50
	}
	before := uuid.Max
	if f.Before != "" {
		id, ok := parseMessageID(f.Before)
		if !ok {
			return nil, ErrNoMessage
		}
		before = id
	}
	var to [][]byte
	if f.To != "" {
		for _, h := range s.box.Hashes(addressHash, fold(f.To)) {
			to = append(to, h)
		}
	}
	rows, err := s.db.Query(ctx, `SELECT `+messageColumns+` FROM sandbox.messages
		WHERE id < $1 AND ($2::text[] IS NULL OR invite_id = ANY($2)) AND ($3::bytea[] IS NULL OR to_hash = ANY($3)) AND ($4 = '' OR channel = $4)
		ORDER BY id DESC LIMIT $5`, before, f.InviteIDs, to, f.Channel, f.Limit)
	if err != nil {
		return nil, fmt.Errorf("list sandbox messages: %w", err)
	}
	list, err := pgx.CollectRows(rows, s.scanMessage)
	if err != nil {
		return nil, fmt.Errorf("list sandbox messages: %w", err)
	}
	return list, nil
}

// Message returns one message, or ErrNoMessage.
func (s *Sandbox) Message(ctx context.Context, id string) (Message, error) {
	uid, ok := parseMessageID(id)
	if !ok {
		return Message{}, ErrNoMessage
	}
	rows, err := s.db.Query(ctx, `SELECT `+messageColumns+` FROM sandbox.messages WHERE id = $1`, uid)
	if err != nil {
		return Message{}, fmt.Errorf("read sandbox message %s: %w", id, err)
	}
	m, err := pgx.CollectExactlyOneRow(rows, s.scanMessage)
	if errors.Is(err, pgx.ErrNoRows) {
		return Message{}, ErrNoMessage
	}
	if err != nil {
		return Message{}, fmt.Errorf("read sandbox message %s: %w", id, err)
	}
	return m, nil
}

func (s *Sandbox) scanMessage(r pgx.CollectableRow) (Message, error) {
	var m Message
	var sealed []byte
	if err := r.Scan(&m.id, &m.Channel, &m.AttemptID, &m.InviteID, &sealed, &m.fate, &m.Status, &m.ErrorCode, &m.CreatedAt, &m.deleted); err != nil {
		return m, err
	}
	c, err := s.openContent(m.id, sealed)
	if err != nil {
		return m, err
	}
	m.content = c
	m.ID, m.To, m.From, m.Subject, m.Text, m.HTML = messageID(m.id), c.To, c.From, c.Subject, c.Text, c.HTML
	m.Links = linksIn(c.Text)
	if m.Links == nil {
		m.Links = []string{}
	}
	return m, nil
}

func messageID(id uuid.UUID) string { return "msg_" + smsSID(id)[2:] }

func parseMessageID(s string) (uuid.UUID, bool) {
	if len(s) < 4 || s[:4] != "msg_" {
		return uuid.Nil, false
	}
	return parseSMSSID("SM" + s[4:])
}

// history is one line of a message's story.
type history struct {
	Source     string
	Name       string
	Extra      map[string]string
	HappenedAt time.Time
	Due        bool
	Tries      int
	Answer     *int16
}

func (s *Sandbox) history(ctx context.Context, id uuid.UUID) ([]history, error) {
	rows, err := s.db.Query(ctx, `SELECT source, name, extra, happened_at, due_at IS NOT NULL, tries, answer
		FROM sandbox.events WHERE message_id = $1 ORDER BY happened_at, id`, id)
	if err != nil {
		return nil, fmt.Errorf("read history of %s: %w", id, err)
	}
	list, err := pgx.CollectRows(rows, pgx.RowToStructByPos[history])
	if err != nil {
		return nil, fmt.Errorf("read history of %s: %w", id, err)
	}
	return list, nil
}
