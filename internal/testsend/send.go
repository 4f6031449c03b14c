package testsend

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/connectlink/connectlink/internal/access"
	"github.com/connectlink/connectlink/internal/compose"
	"github.com/connectlink/connectlink/internal/contact"
	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/message"
	"github.com/connectlink/connectlink/internal/postgres"
	"github.com/connectlink/connectlink/internal/provider"
	"github.com/connectlink/connectlink/internal/required"
	"github.com/connectlink/connectlink/internal/seal"
	"github.com/connectlink/connectlink/internal/secret"
	"github.com/connectlink/connectlink/internal/store/account"
)

// ActSent is the act in the audit log. Its entry is committed with the attempt, before the
// provider is called.
const ActSent access.Act = "message_test_sent"

// callDeadline bounds the call to the provider, as dispatch bounds its own.
const callDeadline = 10 * time.Second

// Params are what a Service needs.
type Params struct {
	DB       *pgxpool.Pool
	Box      *seal.Box
	Composer *compose.Composer
	// Senders are the provider accounts of a project and mode, in the order in which they are
	// tried.
	Senders func(place invite.Place, ch invite.Channel) []provider.Sender
	// BlockKeys are the keys under which a suppression of an address would be stored.
	BlockKeys func(place invite.Place, ch invite.Channel, address string) []seal.Hash
	// PerSecond is the rate limit of a provider account, and its burst; 0: unlimited.
	PerSecond func(account string) (rate float64, burst int)
	Log       *slog.Logger
	Now       func() time.Time // for durations and the message's times; time.Now

	// CallDeadline bounds the call to the provider; 10 s.
	CallDeadline time.Duration
}

// Service sends messages to the staff who ask for them. It is safe for concurrent use.
type Service struct{ p Params }

// New returns a Service. A missing collaborator is an error.
func New(p Params) (*Service, error) {
	err := required.Check("testsend.Params", map[string]any{
		"DB": p.DB, "Box": p.Box, "Composer": p.Composer, "Senders": p.Senders, "BlockKeys": p.BlockKeys, "PerSecond": p.PerSecond, "Log": p.Log,
	})
	if err != nil {
		return nil, err
	}
	if p.Now == nil {
		p.Now = time.Now
	}
	if p.CallDeadline <= 0 {
		p.CallDeadline = callDeadline
	}
	return &Service{p}, nil
}

// Mailbox is where test sends of an account go.
type Mailbox struct {
	Address secret.Text
	Name    string
}

// Mailbox returns the mailbox of the principal's account. Errors: *RefusedError with
// WhyNoAddress or WhyUnverified, ErrForbidden.
func (s *Service) Mailbox(ctx context.Context, by access.Principal) (Mailbox, error) {
	id, err := staffID(by)
	if err != nil {
		return Mailbox{}, err
	}
	staff, err := account.GetStaff(ctx, s.p.DB, id)
	if err != nil {
		return Mailbox{}, err
	}
	return s.mailboxOf(staff)
}

// mailboxOf takes the address of a local account, which an administrator entered, and one
// that the issuer verified. The address of another issuer's claim could be anybody's.
func (s *Service) mailboxOf(staff account.Staff) (Mailbox, error) {
	if staff.DisabledAt != nil {
		return Mailbox{}, ErrForbidden
	}
	person, ok := staff.Person(s.p.Box)
	address, err := contact.ParseEmail(person.Email)
	switch {
	case !ok || err != nil || staff.Kind == account.ByLink:
		return Mailbox{}, &RefusedError{Why: WhyNoAddress}
	case staff.Kind == account.ByIssuer && !person.EmailVerified:
		return Mailbox{}, &RefusedError{Why: WhyUnverified}
	}
	return Mailbox{secret.New(address), person.Name}, nil
}

// Order is a message to be sent.
type Order struct {
	// Act is what the role must allow: access.ActMessages or access.ActCreate.
	Act   access.Act
	Texts *message.Renderer
	// Message is rendered with the principal as its recipient, and a link that opens no
	// invite.
	Message compose.Message
	// Form is the key of the form that was posted. It sends once.
	Form string
}

// Result is the result of a test send.
type Result struct {
	Provider string // its name, "sendgrid"
	Outcome  Outcome
	Reason   invite.Reason // why it was refused or not sent
}

// Outcome is the knowledge about the call to the provider.
type Outcome string

// The outcomes.
const (
	Accepted Outcome = "accepted" // the provider took the message
	Refused  Outcome = Outcome(provider.Refused)
	NotSent  Outcome = Outcome(provider.NotSent)
	Unknown  Outcome = Outcome(provider.Unknown) // it may still arrive
)

// Send sends a message to the principal's own address, by one call to a provider. A nil
// error means that the provider was called, now or when the same form was posted before.
// Errors: ErrForbidden, *RefusedError.
func (s *Service) Send(ctx context.Context, by access.Principal, o Order) (Result, error) {
	id, err := staffID(by)
	if err != nil {
		return Result{}, err
	}
	if o.Form == "" || o.Act != access.ActMessages && o.Act != access.ActCreate || !by.May(o.Act) {
		return Result{}, ErrForbidden
	}
	form := secret.Digest(secret.New("test send\x00" + o.Form))
	if known, found, err := account.FindTestSend(ctx, s.p.DB, id, form); err != nil || found {
		return resultOf(known), err
	}
	box, err := s.Mailbox(ctx, by)
	if err != nil {
		return Result{}, err
	}
	out, err := s.compose(by, o, box)
	if err != nil {
		return Result{}, err
	}
	if err := s.checkRecipient(ctx, by.Place, box.Address.Reveal()); err != nil {
		return Result{}, err
	}
	if err := s.checkLimits(ctx, s.p.DB, id); err != nil { // before it takes a token of the provider's limit
		return Result{}, err
	}
	sender, err := s.chooseSender(ctx, by.Place)
	if err != nil {
		return Result{}, err
	}
	t := account.TestSend{ID: invite.New[invite.TestSendID](), StaffID: id, Form: form, Provider: sender.Provider()}
	known, err := s.record(ctx, by, o, t, box)
	if err != nil || !known.ID.IsZero() {
		return resultOf(known), err
	}
	out.InviteID, out.AttemptID = t.ID.String(), t.ID.String()
	return s.call(ctx, sender, t, out), nil
}

func staffID(by access.Principal) (invite.StaffID, error) {
	if by.Kind != access.KindStaff {
		return invite.StaffID{}, ErrForbidden
	}
	return invite.Parse[invite.StaffID](by.ID)
}

// compose addresses the message to the principal, whatever recipient it has.
func (s *Service) compose(by access.Principal, o Order, box Mailbox) (message.Outgoing, error) {
	m, life := o.Message, o.Message.ExpiresAt.Sub(o.Message.Now)
	if m.Project.ID != by.Project || m.Livemode != by.Live {
		return message.Outgoing{}, errors.New("the message is of another project or mode")
	}
	m.Now = s.p.Now()
	m.ExpiresAt = m.Now.Add(life)
	m.Content.Recipient.Email, m.Content.Recipient.Name, m.Content.Recipient.Phone = box.Address.Reveal(), box.Name, ""
	out, err := s.p.Composer.ComposeSample(o.Texts, m, Channel())
	if err != nil {
		return out, fmt.Errorf("compose a test send: %w", err)
	}
	return out, nil
}

// record stores the attempt and its audit entry under the limits. It returns the earlier
// test send of the form if there is one.
func (s *Service) record(ctx context.Context, by access.Principal, o Order, t account.TestSend, box Mailbox) (known account.TestSend, err error) {
	err = postgres.InTx(ctx, s.p.DB, func(tx pgx.Tx) error {
		// The lock counts the sends of one person in turn, in all processes.
		staff, _, err := account.LockStaffByID(ctx, tx, t.StaffID)
		if err != nil {
			return err
		}
		if now, err := s.mailboxOf(staff); err != nil || now != box {
			if err == nil {
				err = &RefusedError{Why: WhyNoAddress} // it was changed a moment ago
			}
			return err
		}
		var found bool
		if known, found, err = account.FindTestSend(ctx, tx, t.StaffID, t.Form); err != nil || found {
			return err
		}
		if err := s.checkLimits(ctx, tx, t.StaffID); err != nil {
			return err
		}
		if err := account.InsertTestSend(ctx, tx, t); err != nil {
			return err
		}
		return account.InsertAudit(ctx, tx, account.Entry{By: by, Act: ActSent, Target: t.ID.String(), Data: map[string]string{
			"from": string(o.Act), "provider": t.Provider, "language": o.Texts.Match(o.Message.Content.Recipient.Locale),
		}})
	})
	return known, err
}

// call hands the message over, once. It does not end with the request: a call that is cut
// off has an unknown outcome.
func (s *Service) call(ctx context.Context, sender provider.Sender, t account.TestSend, out message.Outgoing) Result {
	ctx = context.WithoutCancel(ctx)
	out.LeaseUntil = time.Now().Add(s.p.CallDeadline)
	begun := s.p.Now()
	fault := s.callProvider(ctx, sender, out)
	t.Outcome = string(Accepted)
	status, code := 0, ""
	if fault != nil {
		t.Outcome, t.Reason, status, code = string(fault.Outcome), fault.ReasonOf(), fault.HTTPStatus, fault.ProviderCode
	}
	recording, cancel := context.WithTimeout(ctx, s.p.CallDeadline)
	defer cancel()
	err := account.SetTestSendOutcome(recording, s.p.DB, t)
	s.p.Log.InfoContext(ctx, "test send", "test_send", t.ID, "staff", t.StaffID, "provider", t.Provider, "outcome", t.Outcome, "reason", string(t.Reason),
		"http_status", status, "provider_code", code, "call_ms", s.p.Now().Sub(begun).Milliseconds())
	if err != nil {
		s.p.Log.WarnContext(ctx, "what became of a test send could not be recorded", "test_send", t.ID, "err", err)
	}
	return resultOf(t)
}

// callProvider makes the call. A sender that panics may have sent.
func (s *Service) callProvider(ctx context.Context, sender provider.Sender, out message.Outgoing) (fault *provider.SendError) {
	ctx, cancel := context.WithTimeout(ctx, s.p.CallDeadline)
	defer cancel()
	defer func() {
		if p := recover(); p != nil {
			fault = &provider.SendError{Provider: sender.Provider(), Outcome: provider.Unknown, Err: fmt.Errorf("panic: %T", p)}
		}
	}()
	if _, err := sender.Send(ctx, out); err != nil && !errors.As(err, &fault) {
		// Against its contract; the careful reading is the safe one.
		fault = &provider.SendError{Provider: sender.Provider(), Outcome: provider.Unknown, Err: err}
	}
	return fault
}

// resultOf returns the result of a test send. One without an outcome is being sent by another
// request, or its process ended.
func resultOf(t account.TestSend) Result {
	r := Result{Provider: t.Provider, Outcome: Outcome(t.Outcome), Reason: t.Reason}
	if r.Outcome == "" {
		r.Outcome = Unknown
	}
	return r
}
