package pipedream

import (
	"context"
	"encoding/json"
	"net/http"
	"sync"
	"time"

	"github.com/connectlink/connectlink/internal/secret"
	"github.com/connectlink/connectlink/internal/wire"
)

// OpAccessToken names the call that proves the client's credentials, in Error.Op.
const OpAccessToken = "get access token"

// scopes are all this service ever needs.
const scopes = "connect:tokens:create connect:accounts:read"

const (
	// renewBefore the end a token is not used any more, as in Pipedream's SDKs.
	renewBefore = 2 * time.Minute
	// fetchFor bounds one fetch, which no caller's deadline bounds.
	fetchFor = 10 * time.Second
)

// tokens keeps the access token and at most one fetch of it.
type tokens struct {
	mu     sync.Mutex
	token  secret.Text
	until  time.Time
	flight *flight
}

// flight is one fetch that many may wait for.
type flight struct {
	done  chan struct{}
	token secret.Text
	err   error
}

// get returns the kept token or waits for a fetch. The fetch has a context
// of its own: the caller that started it may leave.
func (t *tokens) get(ctx context.Context, c *Client) (secret.Text, error) {
	t.mu.Lock()
	if !t.token.IsZero() && c.p.Now().Before(t.until) {
		defer t.mu.Unlock()
		return t.token, nil
	}
	f := t.flight
	if f == nil {
		f = &flight{done: make(chan struct{})}
		t.flight = f
		go t.fetch(f, c)
	}
	t.mu.Unlock()

	select {
	case <-f.done:
		return f.token, f.err
	case <-ctx.Done():
		return secret.Text{}, &Error{Op: OpAccessToken, Kind: Passing, err: wire.Strip(ctx.Err())}
	}
}

// fetch ends by itself: the call is bounded.
func (t *tokens) fetch(f *flight, c *Client) {
	ctx, cancel := context.WithTimeout(context.Background(), fetchFor)
	defer cancel()
	asked := c.p.Now()
	got, err := c.fetchToken(ctx)

	t.mu.Lock()
	defer t.mu.Unlock()
	if err == nil {
		t.token = secret.New(got.AccessToken)
		t.until = asked.Add(time.Duration(got.ExpiresIn)*time.Second - renewBefore)
		f.token = t.token
	}
	f.err = err
	t.flight = nil
	close(f.done)
}

// drop forgets a refused token, unless another has taken its place meanwhile.
func (t *tokens) drop(refused secret.Text) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.token == refused {
		t.token = secret.Text{}
	}
}

type accessToken struct {
	AccessToken string `json:"access_token"`
	ExpiresIn   int64  `json:"expires_in"`
}

// fetchToken sends JSON: a form body, which oauth2 libraries send, is not
// documented.
func (c *Client) fetchToken(ctx context.Context) (accessToken, error) {
	a, err := c.call(ctx, request{
		op: OpAccessToken, method: http.MethodPost, path: "/v1/oauth/token", public: true,
		body: map[string]string{
			"grant_type":    "client_credentials",
			"client_id":     c.p.ClientID,
			"client_secret": c.p.ClientSecret.Reveal(),
			"scope":         scopes,
		},
	}, secret.Text{})
	if err != nil {
		return accessToken{}, err
	}
	var got accessToken
	if err := json.Unmarshal(a.body, &got); err != nil || got.AccessToken == "" {
		return accessToken{}, &Error{Op: OpAccessToken, Status: http.StatusOK, Code: "bad_answer", Kind: Passing}
	}
	if got.ExpiresIn <= 0 {
		got.ExpiresIn = 3600
	}
	return got, nil
}
