package pipedream

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"time"

	"github.com/failsafe-go/failsafe-go"
	"github.com/failsafe-go/failsafe-go/circuitbreaker"
	"github.com/failsafe-go/failsafe-go/retrypolicy"

	"github.com/connectlink/connectlink/internal/secret"
	"github.com/connectlink/connectlink/internal/wire"
)

// DefaultBaseURL is Pipedream's API.
const DefaultBaseURL = "https://api.pipedream.com"

// Params configures a Client.
type Params struct {
	BaseURL      string // default DefaultBaseURL
	ClientID     string
	ClientSecret secret.Text
	ProjectID    string // "proj_…"
	Environment  string // "development" or "production"
	HTTP         *http.Client
	Now          func() time.Time // default time.Now
	// LinkHosts are the hosts a connect link may have; ".example.com" stands for
	// every host below it. Empty allows any: Pipedream pins links of some OAuth
	// clients to hosts of their own.
	LinkHosts []string
	// BreakAfter consecutive passing failures the client stops asking for
	// BreakFor, then tries one call. Defaults 5 and 5 s.
	BreakAfter uint
	BreakFor   time.Duration
	// FirstDelay is the wait before the first retry where Pipedream names none;
	// it doubles. Default 200 ms.
	FirstDelay time.Duration
}

// Client calls Pipedream for one project and environment. It is safe for
// concurrent use.
type Client struct {
	p       Params
	tokens  tokens
	breaker circuitbreaker.CircuitBreaker[[]byte]
}

// New makes a Client. It does not call Pipedream.
func New(p Params) *Client {
	if p.BaseURL == "" {
		p.BaseURL = DefaultBaseURL
	}
	p.BaseURL = strings.TrimRight(p.BaseURL, "/")
	if p.HTTP == nil {
		p.HTTP = wire.Client(wire.Params{})
	}
	if p.Now == nil {
		p.Now = time.Now
	}
	if p.BreakAfter == 0 {
		p.BreakAfter = 5
	}
	if p.BreakFor <= 0 {
		p.BreakFor = 5 * time.Second
	}
	if p.FirstDelay <= 0 {
		p.FirstDelay = 200 * time.Millisecond
	}
	c := &Client{p: p}
	c.breaker = circuitbreaker.NewBuilder[[]byte]().
		HandleIf(func(_ []byte, err error) bool { return isDown(err) }).
		WithFailureThreshold(p.BreakAfter).
		WithDelay(p.BreakFor).
		Build()
	return c
}

// Credentials names the API and the OAuth client that calls count toward, as a hash:
// Clients of several projects and environments may share them.
func (c *Client) Credentials() []byte {
	return secret.Digest(secret.New(c.p.BaseURL + " " + c.p.ClientID))
}

// Ping fetches a fresh access token: it proves base URL and credentials.
func (c *Client) Ping(ctx context.Context) error {
	_, err := c.fetchToken(ctx)
	return err
}

// request is one call to the API.
type request struct {
	op     string // for errors: "create token"
	method string
	path   string // escaped
	query  string // encoded
	body   any
	// scoped: the operation belongs to the project's environment.
	scoped bool
	// public: the operation wants no access token.
	public bool
}

// answer is what a call brought.
type answer struct {
	body []byte
	date time.Time // Pipedream's clock; zero if it did not say
}

const maxTries = 3

// do calls with authorization, retry and breaker, and decodes into out.
func (c *Client) do(ctx context.Context, r request, out any) (answer, error) {
	var last answer
	retry := retrypolicy.NewBuilder[[]byte]().
		HandleIf(func(_ []byte, err error) bool { return c.again(ctx, err) }).
		WithMaxAttempts(maxTries).
		WithDelayFunc(func(e failsafe.ExecutionAttempt[[]byte]) time.Duration { return c.delay(e.LastError(), e.Attempts()) }).
		ReturnLastFailure().
		Build()
	_, err := failsafe.With[[]byte](retry, c.breaker).WithContext(ctx).Get(func() ([]byte, error) {
		var err error
		last, err = c.authorized(ctx, r)
		return last.body, err
	})
	if err != nil {
		return answer{}, c.explain(r.op, err)
	}
	if out == nil {
		return last, nil
	}
	if err := json.Unmarshal(last.body, out); err != nil {
		// An answer of 200 that is not the API's: something in between.
		return answer{}, &Error{Op: r.op, Status: http.StatusOK, Code: "bad_answer", Kind: Passing}
	}
	return last, nil
}

// again reports whether a failure is worth another try within the caller's time.
func (c *Client) again(ctx context.Context, err error) bool {
	var e *Error
	if !errors.As(err, &e) || e.Kind != Passing || ctx.Err() != nil {
		return false
	}
	deadline, ok := ctx.Deadline()
	// Waiting longer than the caller does would only hold the caller up.
	return !ok || time.Until(deadline) > max(e.RetryAfter, c.p.FirstDelay)
}

// delay is what Pipedream asked for, else full jitter over a doubling bound.
func (c *Client) delay(err error, attempts int) time.Duration {
	var e *Error
	if errors.As(err, &e) && e.RetryAfter > 0 {
		return e.RetryAfter
	}
	bound := c.p.FirstDelay << max(attempts-1, 0)
	return bound/2 + rand.N(bound/2+1)
}

// isDown reports whether a failure counts towards the breaker. 429 does not: the
// limit of mints is per external user, and one busy user is no outage. Neither
// does a caller that gave up.
func isDown(err error) bool {
	var e *Error
	return errors.As(err, &e) && e.Kind == Passing && e.Status != http.StatusTooManyRequests && !errors.Is(err, context.Canceled)
}

// explain turns what retry and breaker add into this package's error.
func (c *Client) explain(op string, err error) error {
	var e *Error
	switch {
	case errors.As(err, &e):
		return e
	case errors.Is(err, circuitbreaker.ErrOpen):
		return &Error{Op: op, Code: "breaker_open", Kind: Passing, RetryAfter: c.breaker.RemainingDelay()}
	default:
		return &Error{Op: op, Kind: Passing, err: wire.Strip(err)}
	}
}

// authorized calls once, and once more with a fresh access token if the one at
// hand is refused.
func (c *Client) authorized(ctx context.Context, r request) (answer, error) {
	if r.public {
		return c.call(ctx, r, secret.Text{})
	}
	token, err := c.tokens.get(ctx, c)
	if err != nil {
		return answer{}, err
	}
	a, err := c.call(ctx, r, token)
	var e *Error
	if !errors.As(err, &e) || e.Kind != Unauthorized {
		return a, err
	}
	c.tokens.drop(token)
	if token, err = c.tokens.get(ctx, c); err != nil {
		return answer{}, err
	}
	return c.call(ctx, r, token)
}

// call makes one HTTP request.
func (c *Client) call(ctx context.Context, r request, token secret.Text) (answer, error) {
	fail := func(err error) (answer, error) {
		return answer{}, &Error{Op: r.op, Kind: Passing, err: wire.Strip(err)}
	}
	target := c.p.BaseURL + r.path
	if r.query != "" {
		target += "?" + r.query
	}
	var body io.Reader
	if r.body != nil {
		raw, err := json.Marshal(r.body)
		if err != nil {
			return answer{}, &Error{Op: r.op, Code: "unsendable", Kind: Lasting}
		}
		body = bytes.NewReader(raw)
	}
	req, err := http.NewRequestWithContext(ctx, r.method, target, body)
	if err != nil {
		return answer{}, &Error{Op: r.op, Code: "bad_base_url", Kind: Lasting}
	}
	req.Header.Set("Accept", "application/json")
	req.Header.Set("User-Agent", wire.UserAgent())
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if !token.IsZero() {
		req.Header.Set("Authorization", "Bearer "+token.Reveal())
	}
	if r.scoped {
		req.Header.Set("x-pd-environment", c.p.Environment)
	}
	resp, err := c.p.HTTP.Do(req)
	if err != nil {
		return fail(err)
	}
	defer func() { _ = resp.Body.Close() }()
	raw, readErr := io.ReadAll(resp.Body)
	if resp.StatusCode < 200 || resp.StatusCode > 299 {
		return answer{}, c.refusal(r.op, resp, raw)
	}
	if readErr != nil {
		return fail(readErr)
	}
	a := answer{body: raw}
	if d, err := http.ParseTime(resp.Header.Get("Date")); err == nil {
		a.date = d
	}
	return a, nil
}
