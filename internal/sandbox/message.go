package sandbox

import (
	"context"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/connectlink/connectlink/internal/seal"
)

// The channels of a message.
const (
	email = "email"
	sms   = "sms"
)

// message is one row of sandbox.messages: something a stand-in took.
type message struct {
	ID        uuid.UUID
	Channel   string
	AttemptID string
	InviteID  string
	ToHash    seal.Hash
	Content   []byte
	Fate      string
	Status    string
	CreatedAt time.Time
}

// content is the sealed part of a message.
type content struct {
	From     string            `json:"from"`
	FromName string            `json:"from_name,omitempty"`
	To       string            `json:"to"`
	ToName   string            `json:"to_name,omitempty"`
	ReplyTo  string            `json:"reply_to,omitempty"`
	Subject  string            `json:"subject,omitempty"`
	Text     string            `json:"text"`
	HTML     string            `json:"html,omitempty"`
	Args     map[string]string `json:"args,omitempty"`     // SendGrid's custom args
	Category []string          `json:"category,omitempty"` // SendGrid's categories
	Callback string            `json:"callback,omitempty"` // Twilio's StatusCallback, fragment included
	Service  string            `json:"service,omitempty"`  // Twilio's MessagingServiceSid
	Account  string            `json:"account,omitempty"`  // whose it is, see Vendors
	Via      string            `json:"via,omitempty"`      // of a text, the stand-in that took it; empty: Twilio's
}

// take stores a message that a stand-in accepts. After it returned nil the
// message is in the ledger, even if the answer is lost.
func (s *Sandbox) take(ctx context.Context, channel string, c content, attempt, invite string, f outcome) (uuid.UUID, error) {
	id := newID()
	plain, err := json.Marshal(c)
	if err != nil {
		return id, fmt.Errorf("encode message: %w", err)
	}
	sealed, err := s.box.Seal(plain, ad("messages.content", id))
	if err != nil {
		return id, fmt.Errorf("seal message %s: %w", id, err)
	}
	status := "accepted"
	if channel == sms && c.Service == "" {
		status = "queued" // Twilio's first word without a Messaging Service
	}
	return id, s.takeMessages.put(ctx, message{
		ID: id, Channel: channel, AttemptID: attempt, InviteID: invite,
		ToHash: s.box.Hash(addressHash, fold(c.To)), Content: sealed,
		Fate: f.name, Status: status, CreatedAt: s.now(),
	})
}

// addressHash is the kind of hash by which addresses are found.
const addressHash = "sandbox.address"

// fold makes addresses comparable.
func fold(address string) string { return strings.ToLower(strings.TrimSpace(address)) }

func (s *Sandbox) insertMessages(ctx context.Context, rows []message) error {
	n := len(rows)
	ids, channels, attempts := make([]uuid.UUID, n), make([]string, n), make([]string, n)
	invites, hashes, contents := make([]string, n), make([][]byte, n), make([][]byte, n)
	fates, statuses, due, created := make([]string, n), make([]string, n), make([]time.Time, n), make([]time.Time, n)
	for i, m := range rows {
		ids[i], channels[i], attempts[i], invites[i] = m.ID, m.Channel, m.AttemptID, m.InviteID
		hashes[i], contents[i], fates[i], statuses[i] = m.ToHash, m.Content, m.Fate, m.Status
		created[i], due[i] = m.CreatedAt, m.CreatedAt.Add(s.paces(s.fates.named(m.Channel, m.Fate).steps[0].after))
	}
	_, err := s.db.Exec(ctx, `
		INSERT INTO sandbox.messages (id, channel, attempt_id, invite_id, to_hash, content, fate, status, due_at, created_at, updated_at)
		SELECT id, channel, attempt_id, invite_id, to_hash, content, fate, status, due_at, created_at, created_at
		FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::bytea[], $6::bytea[], $7::text[], $8::text[], $9::timestamptz[], $10::timestamptz[])
		  AS t(id, channel, attempt_id, invite_id, to_hash, content, fate, status, due_at, created_at)`,
		ids, channels, attempts, invites, hashes, contents, fates, statuses, due, created)
	if err != nil {
		return fmt.Errorf("insert %d messages: %w", n, err)
	}
	return nil
}

// paces turns scripted time into real time.
func (s *Sandbox) paces(n float64) time.Duration { return time.Duration(n * float64(s.pace)) }

func (s *Sandbox) openContent(id uuid.UUID, sealed []byte) (content, error) {
	var c content
	if sealed == nil {
		return c, nil // deleted at the vendor
	}
	plain, err := s.box.Open(sealed, ad("messages.content", id))
	if err != nil {
		return c, fmt.Errorf("open message %s: %w", id, err)
	}
	if err := json.Unmarshal(plain, &c); err != nil {
		return c, fmt.Errorf("decode message %s: %w", id, err)
	}
	return c, nil
}

func (s *Sandbox) sealContent(id uuid.UUID, c content) ([]byte, error) {
	plain, err := json.Marshal(c)
	if err != nil {
		return nil, fmt.Errorf("encode message %s: %w", id, err)
	}
	return s.box.Seal(plain, ad("messages.content", id))
}

// SendGrid's X-Message-Id and Twilio's SID carry the row's id, so that neither
// needs a column and an index.

func mailID(id uuid.UUID) string { return base64.RawURLEncoding.EncodeToString(id[:]) }

func smsSID(id uuid.UUID) string { return "SM" + hex.EncodeToString(id[:]) }

func parseSMSSID(sid string) (uuid.UUID, bool) {
	rest, ok := strings.CutPrefix(sid, "SM")
	if !ok || len(rest) != 32 {
		return uuid.Nil, false
	}
	raw, err := hex.DecodeString(rest)
	if err != nil {
		return uuid.Nil, false
	}
	return uuid.UUID(raw), true
}

// linkPattern finds http links in a text part, without trailing punctuation.
var linkPattern = regexp.MustCompile(`https?://[^\s<>"']*[^\s<>"'.,;:!?)\]]`)

// How a message gives six digits to be typed in: on a line of their own, as the
// last line that phones read ("@host #123456"), or as a word where there is no link.
var (
	digitsLine  = regexp.MustCompile(`(?m)^\s*([0-9]{6})\s*$`)
	digitsBound = regexp.MustCompile(`(?m)^@\S+ #([0-9]{6})$`)
	digitsWord  = regexp.MustCompile(`(?:^|[\s:])([0-9]{6})(?:$|[\s.,])`)
)

func digitsIn(text string) string {
	for _, p := range []*regexp.Regexp{digitsLine, digitsBound, digitsWord} {
		if p == digitsWord && len(linksIn(text)) > 0 {
			break // a number in a person's note
		}
		if m := p.FindStringSubmatch(text); m != nil {
			return m[1]
		}
	}
	return ""
}

func linksIn(text string) []string { return linkPattern.FindAllString(text, -1) }
