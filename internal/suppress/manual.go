package suppress

import (
	"context"
	"errors"
	"fmt"
	"time"
	"unicode/utf8"

	"github.com/jackc/pgx/v5"

	"github.com/connectlink/connectlink/internal/access"
	"github.com/connectlink/connectlink/internal/contact"
	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/postgres"
	"github.com/connectlink/connectlink/internal/seal"
	"github.com/connectlink/connectlink/internal/secret"
	"github.com/connectlink/connectlink/internal/store/account"
	"github.com/connectlink/connectlink/internal/store/suppression"
)

// maxNote bounds what may be said about a block.
const maxNote = 2000

// unlistTimeout bounds the call to the provider while a person waits.
const unlistTimeout = 10 * time.Second

// Suppression is a block as its project sees it.
type Suppression struct {
	ID        invite.SuppressionID
	Livemode  bool
	Channel   invite.Channel
	Kind      invite.Block
	Recipient secret.Text // zero once erased
	Note      secret.Text
	Source    string
	InviteID  invite.ID
	CreatedAt time.Time
	LiftedAt  *time.Time
	// ProviderKeeps, of a suppression just lifted, means that our key could
	// not change the provider's own list: a person has to do it there.
	ProviderKeeps bool
}

// Add is a suppression added by a person or key. One of Email and Phone is
// given.
type Add struct {
	Email  string
	Phone  string
	Reason string // why, in the asker's words
}

// Query selects blocks; empty members select all.
type Query struct {
	Channel   invite.Channel
	Kind      invite.Block
	Recipient string
	Since     time.Time // zero: of any age
	After     invite.SuppressionID
	Limit     int
}

// List returns the active suppressions of a principal's project, newest first,
// and where the next page begins. Errors: invalid_request for a text that is no
// address.
func (s *Service) List(ctx context.Context, p access.Principal, q Query) ([]Suppression, invite.SuppressionID, error) {
	f := suppression.Filter{Scope: s.scope(p.Place), Channel: q.Channel, Kind: q.Kind, Since: q.Since, After: q.After, Limit: q.Limit}
	if q.Recipient != "" {
		ch, address, ok := parseAddress(q.Recipient, p)
		if !ok {
			return nil, q.After, faultError("/recipient", invite.FaultInvalid, "must be an email address, or a phone number that begins with + and the country code")
		}
		f.Keys = suppression.Keys(s.p.Box, f.Scope, ch, address)
	}
	rows, next, err := suppression.List(ctx, s.p.DB, f)
	if err != nil {
		return nil, next, err
	}
	out := make([]Suppression, 0, len(rows))
	for _, r := range rows {
		one, err := s.open(r)
		if err != nil {
			return nil, next, err
		}
		out = append(out, one)
	}
	return out, next, nil
}

// CountSince counts the standing blocks of a principal's project that are newer
// than since, as List with that Query lists them, up to most.
func (s *Service) CountSince(ctx context.Context, p access.Principal, since time.Time, most int) (int, error) {
	return suppression.Count(ctx, s.p.DB, suppression.Filter{Scope: s.scope(p.Place), Since: since}, most)
}

// CountByDay counts the suppressions of the last days, up to most, by how many times 24
// hours ago they were made; the latest day comes first.
func (s *Service) CountByDay(ctx context.Context, p access.Principal, days, most int) ([]int, error) {
	since := time.Now().Add(-time.Duration(days) * 24 * time.Hour)
	return suppression.CountByDay(ctx, s.p.DB, suppression.Filter{Scope: s.scope(p.Place), Since: since}, days, most)
}

// Add blocks an address by hand; the bool reports whether there was none before.
// Errors: invalid_request.
func (s *Service) Add(ctx context.Context, p access.Principal, a Add) (Suppression, bool, error) {
	ch, address, err := pickAddress(a, p)
	if err != nil {
		return Suppression{}, false, err
	}
	note, err := readNote(a.Reason, "say why the address is blocked")
	if err != nil {
		return Suppression{}, false, err
	}
	scope := s.scope(p.Place)
	var id invite.SuppressionID
	var fresh bool
	err = postgres.InTx(ctx, s.p.DB, func(tx pgx.Tx) error {
		id, fresh, err = suppression.Insert(ctx, tx, s.p.Box, scope, suppression.New{
			Channel: ch, Kind: invite.ByHand, Address: secret.New(address), Note: secret.New(note), Source: suppression.FromAPI, By: p.ID,
		})
		if err != nil || !fresh {
			return err
		}
		return appendAudit(ctx, tx, p, access.ActBlock, id, invite.ID{})
	})
	if err != nil {
		return Suppression{}, false, err
	}
	r, err := suppression.Get(ctx, s.p.DB, scope, id)
	if err != nil {
		return Suppression{}, false, err
	}
	out, err := s.open(r)
	return out, fresh, err
}

// Get returns a block of a principal's project, standing or lifted. Errors:
// suppression_not_found.
func (s *Service) Get(ctx context.Context, p access.Principal, id invite.SuppressionID) (Suppression, error) {
	r, err := suppression.Get(ctx, s.p.DB, s.scope(p.Place), id)
	if errors.Is(err, suppression.ErrNotFound) {
		return Suppression{}, invite.Errorf(invite.CodeSuppressionNotFound, "There is no suppression %s here.", id)
	}
	if err != nil {
		return Suppression{}, err
	}
	return s.open(r)
}

// appendAudit adds an act about a suppression to the audit log, in the transaction that
// does it.
func appendAudit(ctx context.Context, tx pgx.Tx, p access.Principal, act access.Act, id invite.SuppressionID, concerns invite.ID) error {
	return account.InsertActs(ctx, tx, account.Entry{By: p, Act: act, Target: id.String(), Invite: concerns})
}

// readNote cleans the reason that was given for a block; required is the fault
// of an empty one.
func readNote(reason, required string) (string, error) {
	if n := utf8.RuneCountInString(reason); n > maxNote {
		return "", faultError("/reason", invite.FaultTooLong, fmt.Sprintf("at most %d characters, these are %d", maxNote, n))
	}
	note := contact.Clean(reason, maxNote)
	if note == "" {
		return "", faultError("/reason", invite.FaultRequired, required)
	}
	return note, nil
}

// Lift lets an address be written to again, and removes it from the mail
// provider's own list. Errors, as *invite.Error: suppression_not_found,
// recipient_opted_out for what only the person can undo, invalid_request
// without a reason, unavailable when the provider cannot be asked now.
func (s *Service) Lift(ctx context.Context, p access.Principal, id invite.SuppressionID, reason string) (Suppression, error) {
	note, err := readNote(reason, "say why the address may be written to again")
	if err != nil {
		return Suppression{}, err
	}
	scope := s.scope(p.Place)
	r, err := suppression.Get(ctx, s.p.DB, scope, id)
	if errors.Is(err, suppression.ErrNotFound) {
		return Suppression{}, invite.Errorf(invite.CodeSuppressionNotFound, "There is no suppression %s for this key.", id)
	}
	if err != nil {
		return Suppression{}, err
	}
	out, err := s.open(r)
	if err != nil || r.LiftedAt != nil {
		return out, err // lifting twice is the same as once
	}
	if !r.Kind.Liftable() {
		why, _ := invite.Explain(r.Kind.Reason())
		return Suppression{}, invite.Errorf(invite.CodeRecipientOptedOut, "%s %s", why.Title, why.Advice)
	}
	cleared, err := s.unlist(ctx, p, out)
	if err != nil {
		return Suppression{}, err
	}
	keys := suppression.Keys(s.p.Box, scope, r.Channel, out.Recipient.Reveal())
	if len(keys) == 0 {
		keys = []seal.Hash{r.Hash} // the address is erased; the block stands by its hash
	}
	err = postgres.InTx(ctx, s.p.DB, func(tx pgx.Tx) error {
		if _, err := suppression.SetLifted(ctx, tx, s.p.Box, keys, false, p.ID, secret.New(note)); err != nil {
			return err
		}
		return appendAudit(ctx, tx, p, access.ActLiftBlock, id, r.InviteID)
	})
	if err != nil {
		return Suppression{}, err
	}
	if r, err = suppression.Get(ctx, s.p.DB, scope, id); err != nil {
		return Suppression{}, err
	}
	out, err = s.open(r)
	out.ProviderKeeps = !cleared
	return out, err
}

// unlist comes before our own block is lifted: if it fails nothing is lifted,
// and it can be asked for again.
func (s *Service) unlist(ctx context.Context, p access.Principal, b Suppression) (cleared bool, err error) {
	if !b.Channel.Spec().HasProviderList || b.Recipient.IsZero() {
		return true, nil
	}
	l, ok := s.p.Unlister(p.Place)
	if !ok {
		return true, nil
	}
	ctx, cancel := context.WithTimeout(ctx, unlistTimeout)
	defer cancel()
	if cleared, err = l.Unlist(ctx, b.Recipient, b.Kind); err != nil {
		s.p.Log.WarnContext(ctx, "an address could not be removed from the provider's list", "suppression", b.ID.String(), "err", err)
		e := invite.Errorf(invite.CodeUnavailable, "The mail provider's list could not be changed, so the address is still suppressed. Retry later.")
		e.RetryAfterS = 30
		e.Err = err
		return false, e
	}
	return cleared, nil
}

func (s *Service) open(r suppression.Row) (Suppression, error) {
	out := Suppression{
		ID: r.ID, Livemode: r.Live, Channel: r.Channel, Kind: r.Kind, Source: r.Source, InviteID: r.InviteID,
		CreatedAt: r.CreatedAt, LiftedAt: r.LiftedAt,
	}
	var err1, err2 error
	out.Recipient, err1 = suppression.Open(s.p.Box, r.ID, "suppressions.address", r.Address)
	out.Note, err2 = suppression.Open(s.p.Box, r.ID, "suppressions.note", r.Note)
	if err := errors.Join(err1, err2); err != nil {
		return Suppression{}, fmt.Errorf("show suppression: %w", err)
	}
	return out, nil
}

func pickAddress(a Add, p access.Principal) (invite.Channel, string, error) {
	switch {
	case a.Email == "" && a.Phone == "":
		return "", "", faultError("/email", invite.FaultRequired, "email or phone is required")
	case a.Email != "" && a.Phone != "":
		return "", "", faultError("/phone", invite.FaultNotAllowed, "give email or phone, not both")
	case a.Email != "":
		if ch, address, ok := parseAddress(a.Email, p); ok && ch == invite.FieldEmail.Channel() {
			return ch, address, nil
		}
		return "", "", faultError("/email", invite.FaultInvalid, "must be an email address")
	}
	if ch, address, ok := parseAddress(a.Phone, p); ok && ch == invite.FieldPhone.Channel() {
		return ch, address, nil
	}
	return "", "", faultError("/phone", invite.FaultInvalid, "must be a phone number that begins with + and the country code")
}

// parseAddress reads an address as an invite's recipient is read.
func parseAddress(text string, p access.Principal) (invite.Channel, string, bool) {
	if email, err := contact.ReadEmail(text); err == nil {
		return invite.FieldEmail.Channel(), email, true
	}
	read := contact.ParsePhone
	if !p.Live {
		read = contact.ParsePhoneTest
	}
	phone, err := read(text, "")
	if err == nil {
		return invite.FieldPhone.Channel(), phone.E164, true
	}
	return "", "", false
}

func faultError(pointer string, code invite.Code, detail string) error {
	return &invite.Error{
		Code: invite.CodeInvalidRequest, Message: "The request has faults; each is listed with its place.",
		Faults: []invite.Fault{{Pointer: pointer, Code: code, Detail: detail}},
	}
}
