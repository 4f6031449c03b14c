package client

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"
)

// Variables of the environment that NewFromEnvironment reads.
const (
	VariableURL = "CONNECTLINK_API_URL"
	VariableKey = "CONNECTLINK_API_KEY"
)

// Params configure a Client.
type Params struct {
	// URL is the service's address, for example https://connect.acme.example.
	URL string
	// Key is an API key, cl_test_… or cl_live_….
	Key string
	// HTTP sends the requests; by default a client with a timeout of 30 seconds for
	// each attempt. Redirects are never followed: a redirect turns a POST into a GET.
	HTTP *http.Client
	// MaxAttempts bounds how often one request is sent; 4 by default, 1 for no retries.
	MaxAttempts int
	// UserAgent is put before the client's own.
	UserAgent string
}

// Client calls the API. It is safe for concurrent use.
type Client struct {
	base        *url.URL
	http        *http.Client
	authorize   func(*http.Request) // a closure, so that printing a Client shows no key
	maxAttempts int
	userAgent   string
}

// New returns a Client. It sends nothing.
func New(p Params) (*Client, error) {
	base, err := url.Parse(strings.TrimSuffix(p.URL, "/"))
	if err != nil || base.Host == "" || (base.Scheme != "https" && base.Scheme != "http") {
		return nil, errors.New("connectlink: URL must be an address such as https://connect.acme.example")
	}
	if base.User != nil || base.RawQuery != "" || base.Fragment != "" {
		return nil, errors.New("connectlink: URL must have no user, query or fragment")
	}
	if p.Key == "" {
		return nil, errors.New("connectlink: Key is missing")
	}
	if p.MaxAttempts < 0 {
		return nil, fmt.Errorf("connectlink: MaxAttempts is %d; want 1 or more, or 0 for the default", p.MaxAttempts)
	}
	c := &Client{base: base, maxAttempts: p.MaxAttempts, userAgent: strings.TrimSpace(p.UserAgent + " connectlink-go")}
	if c.maxAttempts == 0 {
		c.maxAttempts = 4
	}
	c.authorize = func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+p.Key) }
	hc := http.Client{Timeout: 30 * time.Second}
	if p.HTTP != nil {
		hc = *p.HTTP
	}
	hc.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	c.http = &hc
	return c, nil
}

// NewFromEnvironment returns a Client for CONNECTLINK_API_URL and
// CONNECTLINK_API_KEY.
func NewFromEnvironment() (*Client, error) {
	c, err := New(Params{URL: os.Getenv(VariableURL), Key: os.Getenv(VariableKey)})
	if err != nil {
		return nil, fmt.Errorf("%w (from %s and %s)", err, VariableURL, VariableKey)
	}
	return c, nil
}
