package twilio

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/twilio/twilio-go/client"
	openapi "github.com/twilio/twilio-go/rest/api/v2010"

	"github.com/connectlink/connectlink/internal/wire"
)

// call is a client.BaseClient for one call. One per call, because the interface
// has no place for a context and no place for the headers of an error: the call
// carries the first in and the second out.
type call struct {
	ctx context.Context
	p   *Params

	status int // 0 until a status line was read
	header http.Header
	fault  client.TwilioRestError // decoded body of an error, if it was JSON
}

// begin makes the API of one call.
func (s *Sender) begin(ctx context.Context) (*openapi.ApiService, *call) {
	c := &call{ctx: ctx, p: &s.p}
	return openapi.NewApiServiceWithClient(c), c
}

// errAnswered: Twilio answered without success; see status, header and
// fault of the call.
var errAnswered = errors.New("twilio answered with an error")

// SendRequest implements client.BaseClient.
func (c *call) SendRequest(method, rawURL string, data url.Values, headers map[string]any, _ ...byte) (*http.Response, error) {
	u, err := c.rebase(rawURL)
	if err != nil {
		return nil, err
	}
	var body io.Reader
	if method == http.MethodPost {
		body = strings.NewReader(data.Encode())
	} else if len(data) > 0 {
		u += "?" + data.Encode()
	}
	req, err := http.NewRequestWithContext(c.ctx, method, u, body)
	if err != nil {
		return nil, errors.New("the base URL of Twilio is not a URL")
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	req.Header.Set("Accept", "application/json")
	req.Header.Set("User-Agent", wire.UserAgent())
	user, password := c.p.credentials()
	req.SetBasicAuth(user, password.Reveal())

	resp, err := c.p.HTTP.Do(req)
	if err != nil {
		return nil, err
	}
	answer := resp.Body // not what stands in its place at the end
	defer func() { _ = answer.Close() }()
	c.status, c.header = resp.StatusCode, resp.Header
	raw, err := io.ReadAll(answer)
	if resp.StatusCode < 200 || resp.StatusCode > 299 {
		if wire.IsJSON(resp.Header) {
			_ = json.Unmarshal(raw, &c.fault) // else a proxy's page: the status is all there is
		}
		return nil, errAnswered
	}
	if err != nil {
		return nil, err
	}
	resp.Body = io.NopCloser(bytes.NewReader(raw))
	return resp, nil
}

// rebase puts the SDK's path under the configured base URL. The SDK's host is
// dropped, and with it what TWILIO_EDGE and TWILIO_REGION, which the SDK reads
// from the environment, have made of it.
func (c *call) rebase(rawURL string) (string, error) {
	u, err := url.Parse(rawURL)
	if err != nil {
		return "", errors.New("the SDK made a bad URL")
	}
	return c.p.BaseURL + u.EscapedPath(), nil
}

// AccountSid implements client.BaseClient.
func (c *call) AccountSid() string { return c.p.AccountSID }

// SetTimeout implements client.BaseClient; the context has the deadline.
func (c *call) SetTimeout(time.Duration) {}

// SetOauth implements client.BaseClient.
func (c *call) SetOauth(client.OAuth) {}

// OAuth implements client.BaseClient.
func (c *call) OAuth() client.OAuth { return nil }
