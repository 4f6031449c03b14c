package mint

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/connectlink/connectlink/internal/access"
	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/limit"
	"github.com/connectlink/connectlink/internal/pipedream"
	"github.com/connectlink/connectlink/internal/seal"
	"github.com/connectlink/connectlink/internal/secret"
	"github.com/connectlink/connectlink/internal/store/ledger"
	"github.com/connectlink/connectlink/internal/trace"
)

// DefaultScope is what a connect token may do: add accounts of its one user.
// Pipedream's own default would let the holder of the link act as that user.
const DefaultScope = "connect:accounts:read connect:accounts:write"

// timeout bounds one mint: a caller of the API waits for it.
const timeout = 5 * time.Second

// trustedSkew is how far Pipedream's clock may be from ours before its Date
// header, which only counts whole seconds, is the better measure.
const trustedSkew = 3 * time.Second

// ErrPassing marks failures that a later try may not meet: network, 408, 429, 5xx.
var ErrPassing = errors.New("connect token not to be had now")

// IsAccountRefused reports whether Pipedream refused the configuration, so that
// every mint would be refused until an operator acts: credentials, project,
// permissions, base URL, or the allowed hosts of links.
func IsAccountRefused(err error) bool {
	var e *pipedream.Error
	if !errors.As(err, &e) || e.Kind == pipedream.Passing {
		return false
	}
	switch {
	case e.Status >= 300 && e.Status < 400,
		e.Status == http.StatusUnauthorized, e.Status == http.StatusPaymentRequired, e.Status == http.StatusForbidden,
		e.Status == http.StatusNotFound, e.Status == http.StatusMethodNotAllowed, e.Status == http.StatusGone:
		return true
	}
	return e.Op == pipedream.OpAccessToken || e.Code == "bad_base_url" || strings.HasPrefix(e.Code, "link_")
}

// passing carries when to try again.
type passing struct {
	after time.Duration
	err   error
}

func (p *passing) Error() string        { return p.err.Error() }
func (p *passing) Unwrap() error        { return p.err }
func (p *passing) Is(target error) bool { return target == ErrPassing }

// RetryAfter is how long to wait after a temporary failure; 0 if unknown.
func RetryAfter(err error) time.Duration {
	var p *passing
	if errors.As(err, &p) {
		return p.after
	}
	return 0
}

// Set finds the minter of a project, mode and Pipedream environment.
type Set func(place invite.Place, environment string) (*Minter, bool)

// Params are what a Minter needs.
type Params struct {
	Client *pipedream.Client
	Box    *seal.Box
	// PublicURL is where recipients come back to; empty when there is none.
	PublicURL string
	// CallbackURL is where Pipedream's webhooks reach us; empty when they cannot.
	CallbackURL string
	Scope       string // of the connect token; default DefaultScope
	// Budget keeps the documented 100 mints a minute for one external user.
	Budget *limit.Keyed
	Now    func() time.Time
	// Tracer and Metrics observe each mint; nil: not observed.
	Tracer  *trace.Tracer
	Metrics *Metrics
	// Used is told the address of an app's logo when the catalogue is read; it must not
	// wait. May be nil.
	Used func(logoURL string)
}

// Minter mints for one Pipedream project and environment.
type Minter struct {
	p       Params
	catalog *catalog
}

// New makes a Minter.
func New(p Params) *Minter {
	if p.Scope == "" {
		p.Scope = DefaultScope
	}
	if p.Now == nil {
		p.Now = time.Now
	}
	return &Minter{p: p, catalog: newCatalog(p.Client, p.Now, p.Used)}
}

// Request says for whom and what to mint.
type Request struct {
	InviteID       invite.ID
	ExternalUserID string
	App            string
	OAuthAppID     string
	AccountID      string        // to reconnect; empty: a new one is connected
	ExpiresIn      time.Duration // whole seconds, at most 4 h
	// Code is the invite link's by which the person comes back to our /done page.
	Code secret.Text
	// ReturnURL is handed to Pipedream only where no page of ours can be reached.
	ReturnURL string
}

// Minted is a connect link ready to be stored and given out.
type Minted struct {
	Link      ledger.Link
	URL       secret.Text
	ExpiresAt time.Time // as Pipedream gave it
}

// Mint asks Pipedream for a token. It must be called with no transaction
// open. Errors: ErrPassing (see RetryAfter), or *invite.Error with
// CodeMintFailed for a lasting refusal.
func (m *Minter) Mint(ctx context.Context, r Request) (Minted, error) {
	if ok, after := m.p.Budget.Allow(r.ExternalUserID); !ok {
		return Minted{}, &passing{after, errors.New("mint: this external user's tokens a minute are used up")}
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	hook := access.NewCallbackSecret()
	success, failure := m.redirects(r)
	begun := m.p.Now()
	calling, span := m.p.Tracer.Start(ctx, trace.Client, "mint", trace.Invite(r.InviteID), trace.Provider("pipedream"))
	token, err := m.p.Client.CreateToken(calling, pipedream.CreateToken{
		ExternalUserID:     r.ExternalUserID,
		Scope:              m.p.Scope,
		SuccessRedirectURI: success,
		ErrorRedirectURI:   failure,
		WebhookURI:         m.webhook(hook),
		ExpiresIn:          int(r.ExpiresIn / time.Second),
	})
	m.p.Metrics.observe(m.p.Now().Sub(begun), err)
	span.Set(trace.Status(statusOf(err)))
	span.End(Cause(err))
	if err != nil {
		return Minted{}, explain(err)
	}
	full, err := pipedream.Complete(token.ConnectLinkURL, pipedream.Completion{App: r.App, OAuthAppID: r.OAuthAppID, AccountID: r.AccountID})
	if err != nil {
		return Minted{}, fmt.Errorf("mint: %w", err)
	}
	id := invite.New[invite.LinkID]()
	sealed, err := m.p.Box.Seal([]byte(full.Reveal()), seal.AD{Column: "connect_links.url", ID: id.UUID()})
	if err != nil {
		return Minted{}, fmt.Errorf("mint: seal link %s: %w", id, err)
	}
	left := m.left(token, begun)
	return Minted{
		URL: full, ExpiresAt: token.ExpiresAt,
		Link: ledger.Link{
			ID: id, URL: sealed, TokenDigest: secret.Digest(token.Token), WebhookDigest: secret.Digest(hook),
			// The granted life may be shorter than the requested one.
			Granted: min(r.ExpiresIn, max(left.Round(time.Second), time.Second)), Left: left, ExpiresAtRaw: token.ExpiresAt.UTC().Format(time.RFC3339Nano),
		},
	}, nil
}

// left is the remaining life of a token, measured against Pipedream's
// clock if ours differs, so that a wrong clock never makes an expired link
// look valid.
func (m *Minter) left(t pipedream.Token, begun time.Time) time.Duration {
	now := t.ReceivedAt
	if skew := t.ServerDate.Sub(now); !t.ServerDate.IsZero() && skew.Abs() > trustedSkew+now.Sub(begun) {
		now = t.ServerDate
	}
	return max(t.ExpiresAt.Sub(now), 0)
}

func (m *Minter) webhook(hook secret.Text) secret.Text {
	if m.p.CallbackURL == "" {
		return secret.Text{}
	}
	return secret.New(m.p.CallbackURL + "/hooks/pipedream/" + hook.Reveal())
}

func (m *Minter) redirects(r Request) (success, failure secret.Text) {
	if m.p.PublicURL == "" {
		return secret.New(r.ReturnURL), secret.New(r.ReturnURL)
	}
	done := m.p.PublicURL + "/done/" + url.PathEscape(r.Code.Reveal())
	return secret.New(done + "?outcome=success"), secret.New(done + "?outcome=error")
}

func explain(err error) error {
	var e *pipedream.Error
	if errors.As(err, &e) && e.Kind == pipedream.Passing {
		return &passing{e.RetryAfter, fmt.Errorf("mint: %w", err)}
	}
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
		return &passing{0, fmt.Errorf("mint: %w", err)}
	}
	return &invite.Error{Code: invite.CodeMintFailed, Message: "Pipedream refused to make a connect token for this request.", Err: err}
}
