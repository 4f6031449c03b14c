package visit

import (
	"context"
	"fmt"
	"net"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/connectlink/connectlink/internal/access"
	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/postgres"
	"github.com/connectlink/connectlink/internal/secret"
	"github.com/connectlink/connectlink/internal/store/find"
	"github.com/connectlink/connectlink/internal/store/ledger"
)

// State is which page a recipient sees.
type State string

// The pages.
const (
	Ready           State = "ready"
	Connected       State = "connected"
	CouldNotConnect State = "could_not_connect"
	Expired         State = "expired"
	Replaced        State = "replaced"
	Revoked         State = "revoked"
	Unknown         State = "unknown" // never existed, deleted, or not even a code
	Busy            State = "busy"
	Finishing       State = "finishing" // back from Pipedream, not confirmed yet
	Sent            State = "sent"      // asked for a new link
	Verify          State = "verify"    // asks for a passcode
	NotMe           State = "not_me"    // about to say that it is not for them
	Thanks          State = "thanks"    // has said so
	Stop            State = "stop"      // about to end text messages to this number
	Stopped         State = "stopped"   // has ended them
)

// Page is what the recipient's page shows. Only State is set for Unknown.
type Page struct {
	invite.Place

	State       State
	InviteID    invite.ID // the reference that support asks for is derived from it
	App         invite.App
	InitiatedBy invite.InitiatedBy
	Kind        invite.Purpose
	// Via is the channel by which the opened link came; empty when the product
	// showed it itself.
	Via invite.Channel
	// Provider sent the message that the opened link came in; empty when it is not
	// known.
	Provider string
	// Content is personal: show masked addresses only.
	Content   invite.Content
	ExpiresAt time.Time     // zero while it is not known
	ExpiresIn time.Duration // by the database's clock
	Now       time.Time     // the database's
	// ReplacedAt is when the newer message was asked for; only for Replaced.
	ReplacedAt time.Time
	// CanRenew: the page may offer a new link. CanReport: it may offer the
	// report "This isn't for me".
	CanRenew, CanReport bool
	// CanUndo: the report that ended the invite can still be taken back.
	CanUndo bool
	// Failure is the class of the last failed connection: canceled, denied, error.
	// FailedBefore: a new link was made since, so that the page is Ready.
	Failure      string
	FailedBefore bool
	// MintFailures counts failed mints in a row, lately.
	MintFailures int
	// RetryAfter is when a busy page is worth another try.
	RetryAfter time.Duration
	// Held: the press looked like a robot's, so the page asks for another.
	Held bool
	// AsksCode: a passcode is asked for before the link leads on. Verification is
	// what the page Verify says of it.
	AsksCode     bool
	Verification Verification
	// AccountName is set only by Done, for ten minutes after the connection.
	AccountName string
}

// nameShown is how long the connected account's name is shown: long enough for
// who just connected it, not for who finds the link later.
const nameShown = 10 * time.Minute

// Open returns the page of a code. It changes nothing. An invalid code has
// the page Unknown, not an error.
func (s *Service) Open(ctx context.Context, code secret.Text) (Page, error) {
	row, ok, err := s.find(ctx, code)
	if err != nil || !ok {
		return Page{State: Unknown}, err
	}
	page, err := s.page(row)
	if err != nil || page.State != Revoked || row.CodeRetired {
		return page, err
	}
	report, ok, err := ledger.FindOpenReport(ctx, s.p.DB, row.ID)
	page.CanUndo = ok && report.Withdrawals < withdrawalsPerInvite && row.GivesUpAt.After(row.Now)
	return page, err
}

func (s *Service) find(ctx context.Context, code secret.Text) (ledger.Coded, bool, error) {
	return s.findIn(ctx, s.p.DB, code)
}

func (s *Service) findIn(ctx context.Context, db postgres.DB, code secret.Text) (ledger.Coded, bool, error) {
	text := code.Reveal()
	// A code of an earlier version, with two letters of what stood behind it in a text.
	old := secret.New(text[:min(len(text), access.OldCodeLength)])
	row, ok, err := ledger.FindByCode(ctx, db, secret.Digest(code), secret.Digest(old))
	if !access.ValidCode(text) {
		// The lookup ran anyway: the response time must not disclose whether the text
		// could be a code.
		return ledger.Coded{}, false, err
	}
	return row, ok, err
}

func (s *Service) page(row ledger.Coded) (Page, error) {
	state := stateOf(row)
	if state == Unknown {
		return Page{State: Unknown}, nil
	}
	p := Page{
		State: state, InviteID: row.ID, Place: row.Place,
		App:         invite.App{Slug: row.AppSlug, Name: row.AppName, LogoURL: row.AppLogoURL, AuthType: row.AppAuthType},
		InitiatedBy: row.InitiatedBy, Kind: row.Kind, Now: row.Now, MintFailures: row.MintFailures,
	}
	if row.CodeRetired {
		return p, nil // the wrong person's link: it says nothing of the right one
	}
	content, err := find.Open(s.p.Box, row.ID, row.Content)
	if err != nil {
		return Page{}, err
	}
	p.Content = content
	if row.Via != nil {
		p.Via, p.Provider = invite.Channel(*row.Via), row.Provider
	}
	p.CanRenew, p.CanReport = isRenewable(row, content), isReportable(state)
	p.AsksCode = row.Verify == invite.VerifyCode
	if row.ExpiresAt != nil {
		p.ExpiresAt, p.ExpiresIn = *row.ExpiresAt, row.ExpiresAt.Sub(row.Now)
	}
	if row.ReplacedAt != nil {
		p.ReplacedAt = *row.ReplacedAt
	}
	if row.OutdatedAt != nil {
		p.ReplacedAt = *row.OutdatedAt
	}
	if row.FailureClass != nil {
		p.Failure = *row.FailureClass
		p.FailedBefore = state == Ready && row.FailureOver
	}
	return p, nil
}

// stateOf decides by what the database said, at its own time: an invite whose
// end has passed is over, whether or not it was swept up yet.
func stateOf(row ledger.Coded) State {
	switch {
	case row.Content == nil:
		return Unknown // erased: indistinguishable from what never was
	case row.CodeRetired:
		return Revoked
	case row.Status == invite.Connected:
		return Connected
	case row.Status == invite.Revoked && !row.ReplacedBy.IsZero():
		return Replaced
	case row.Status == invite.Revoked:
		return Revoked
	case row.Status == invite.Expired, !row.GivesUpAt.After(row.Now):
		return Expired
	case row.OutdatedAt != nil:
		return Replaced
	case row.Progress == invite.ConnectFailed && !row.FailureOver:
		return CouldNotConnect
	default:
		// Failed too: the message may have found another way, and who holds
		// the link may use it. A failed connection is over once a new link was
		// made: the person asked for a new start.
		return Ready
	}
}

// Shows returns the page of an invite's latest link, for callers without the
// link. Events are the invite's, oldest first.
func Shows(inv find.Invite, events []find.Event) State {
	return stateOf(ledger.Coded{
		Content: inv.Content, Status: inv.Status, Progress: inv.Progress, ReplacedBy: inv.ReplacedBy, GivesUpAt: inv.GivesUpAt, Now: inv.Now,
		FailureOver: FailureOver(events),
	})
}

// FailureOver reports whether a new link was made after the last failed
// connection. Events are an invite's, oldest first.
func FailureOver(events []find.Event) bool {
	over, failed := false, false
	for _, e := range events {
		switch e.Type {
		case invite.EventConnectFailed:
			over, failed = false, true
		case invite.EventResent, invite.EventRenewed:
			over = true
		case invite.EventDeliveryQueued:
			over = over || e.Data.Kind != invite.KindPasscode // which carries no link
		}
	}
	return over && failed
}

// open reports whether a press of the button may still lead on.
func (s State) open() bool { return s == Ready || s == CouldNotConnect }

// ReturnStatus is the hint that a product's return URL carries.
type ReturnStatus string

// The hints.
const (
	ReturnConnected ReturnStatus = "connected"
	ReturnFailed    ReturnStatus = "failed"
	// ReturnPending says nothing: the outcome is not confirmed yet.
	ReturnPending ReturnStatus = ""
)

// ReturnURL is the product's return URL with the invite and a hint of the
// outcome appended; empty when there is none, or none that a browser may be
// sent to. Custom says that it is an app's own scheme.
func (p Page) ReturnURL(status ReturnStatus) (target string, custom bool) {
	u, err := url.Parse(p.Content.ReturnURL)
	if err != nil || u.Scheme == "" {
		return "", false
	}
	scheme := strings.ToLower(u.Scheme)
	switch {
	case scheme == "https":
		if u.Host == "" || u.User != nil {
			return "", false
		}
	case scheme == "http" && !p.Live && isLoopback(u.Hostname()):
		// A developer's own machine, with a test key.
	case slices.Contains([]string{"http", "javascript", "data", "vbscript", "file", "blob", "about", "view-source", "intent", "filesystem"}, scheme):
		// Checked when the invite was made, and again here: this is where it would bite.
		return "", false
	default:
		custom = true
	}
	query := "invite=" + url.QueryEscape(p.InviteID.String())
	if status != ReturnPending {
		query += "&status=" + url.QueryEscape(string(status))
	}
	if u.RawQuery != "" {
		query = u.RawQuery + "&" + query
	}
	u.RawQuery = query
	return u.String(), custom
}

func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// String leaves out personal data: pages are logged by accident.
func (p Page) String() string { return fmt.Sprintf("page %s of %s", p.State, p.InviteID) }
