package erase

import (
	"context"
	"encoding/hex"
	"log/slog"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/connectlink/connectlink/internal/access"
	"github.com/connectlink/connectlink/internal/contact"
	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/provider"
	"github.com/connectlink/connectlink/internal/required"
	"github.com/connectlink/connectlink/internal/seal"
	"github.com/connectlink/connectlink/internal/store/account"
	"github.com/connectlink/connectlink/internal/store/ledger"
	"github.com/connectlink/connectlink/internal/store/suppression"
)

// limits of what a request may hold, in characters.
const (
	maxUserID = 250
	maxReason = 200
)

// Inbox is what test mode has sent, and what its Pipedream knows of people: by invites,
// by digests of connect tokens, and by accounts.
type Inbox interface {
	Erase(ctx context.Context, inviteIDs []string, tokens [][]byte, accounts []string) error
}

// Params are what a Service needs.
type Params struct {
	DB  *pgxpool.Pool
	Box *seal.Box
	// Senders are what a project's texts come from, the first choice first; none when
	// it sends none.
	Senders func(place invite.Place) []string
	// Redactor of a provider for a project; false where there are no credentials (any
	// more), nil where the provider keeps no text of messages.
	Redactor func(name string, place invite.Place) (provider.Redactor, bool)
	// Inbox of test mode; nil where there is none.
	Inbox Inbox
	// Keep is how long a project keeps invites that ended.
	Keep func(project string) time.Duration
	// Publish hands on what follows from events, in the transaction that records them.
	Publish func(ctx context.Context, tx pgx.Tx, applied ...ledger.Applied) error
	// Later makes sure, from the same transaction on, that Again is called with
	// ids until it returns nil, first after some minutes.
	Later   func(ctx context.Context, tx pgx.Tx, ids []invite.ID) error
	Log     *slog.Logger
	Metrics prometheus.Registerer // nil: not registered
}

// Service exports, erases and deletes personal data. It is safe for
// concurrent use.
type Service struct {
	p       Params
	metrics *metrics
}

// New makes a Service. A missing collaborator is an error.
func New(p Params) (*Service, error) {
	err := required.Check("erase.Params", map[string]any{
		"DB": p.DB, "Box": p.Box, "Senders": p.Senders, "Redactor": p.Redactor, "Keep": p.Keep, "Publish": p.Publish, "Later": p.Later,
	})
	if err != nil {
		return nil, err
	}
	if p.Log == nil {
		p.Log = slog.New(slog.DiscardHandler)
	}
	return &Service{p: p, metrics: newMetrics(p.Metrics)}, nil
}

func (s *Service) scope(p access.Principal) suppression.Scope {
	return suppression.Scope{Place: p.Place, Senders: s.p.Senders(p.Place)}
}

// marks are what may stand in place of an erased person's id: one per live key,
// the primary key's first.
func (s *Service) marks(p access.Principal, externalUserID string) []string {
	var out []string
	for _, h := range s.p.Box.Hashes("person", p.Project, strconv.FormatBool(p.Live), externalUserID) {
		out = append(out, "erased:"+hex.EncodeToString(h))
	}
	return out
}

// Reference returns the first characters of the mark that stands in place of an erased person's
// id: enough to tell erasures apart, and of no use for finding the person.
func Reference(mark string) string {
	hash := strings.TrimPrefix(mark, "erased:")
	return hash[:min(len(hash), 12)]
}

// checkRequest checks what both questions begin with.
func checkRequest(externalUserID, reason string) (string, error) {
	var faults []invite.Fault
	switch n := utf8.RuneCountInString(externalUserID); {
	case strings.TrimSpace(externalUserID) == "":
		faults = append(faults, invite.Fault{Pointer: "/external_user_id", Code: invite.FaultRequired, Detail: "name the person by your own id"})
	case n > maxUserID:
		faults = append(faults, invite.Fault{Pointer: "/external_user_id", Code: invite.FaultTooLong, Detail: "at most 250 characters"})
	}
	if utf8.RuneCountInString(reason) > maxReason {
		faults = append(faults, invite.Fault{Pointer: "/reason", Code: invite.FaultTooLong, Detail: "at most 200 characters"})
	}
	if len(faults) > 0 {
		return "", &invite.Error{
			Code: invite.CodeInvalidRequest, Message: "The request has faults; each is listed with its place.", Faults: faults,
		}
	}
	return contact.Clean(reason, maxReason), nil
}

// appendAudit records the requester under the token that replaces the person's id:
// with the id the audit log would hold data that was to be erased.
func appendAudit(ctx context.Context, tx pgx.Tx, p access.Principal, act access.Act, mark string, invites int) error {
	return account.InsertAudit(ctx, tx, account.Entry{By: p, Act: act, Target: mark, Data: map[string]string{"invites": strconv.Itoa(invites)}})
}

// addresses are the keys under which blocks of a content's addresses stand.
func (s *Service) addresses(p access.Principal, c invite.Content) []seal.Hash {
	scope := s.scope(p)
	var keys []seal.Hash
	for _, ch := range invite.Channels() {
		keys = append(keys, suppression.Keys(s.p.Box, scope, ch, c.Recipient.Address(ch))...)
	}
	return keys
}
