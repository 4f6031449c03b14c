package wire

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"time"
)

// Params shapes a client. The zero value is a sound one.
type Params struct {
	// Timeout bounds a whole call, reading the answer included. It is the
	// backstop behind the context's own deadline. Default 20 s.
	Timeout time.Duration
	// DialTimeout bounds connecting (name lookup included), TLSTimeout the
	// handshake after it. Default 5 s each.
	DialTimeout, TLSTimeout time.Duration
	// MaxResponse caps an answer's body in bytes; reading past it fails with
	// ErrTooLarge. Default 1 MiB.
	MaxResponse int64
	// PublicOnly refuses to connect to an address that is not public, for URLs that
	// are not configured.
	PublicOnly bool
	// MaxIdlePerHost is how many idle connections are kept to one vendor.
	// Default 512, which is what a process sends at a time: a burst of sends should
	// not pay a handshake each.
	MaxIdlePerHost int
	// TLS is for private certificate authorities. Default: the system's.
	TLS *tls.Config
	// Proxy is an egress proxy. The environment's proxy variables are ignored
	// on purpose: a variable set for another program must not see bearer links.
	Proxy *url.URL
	// Now is the clock of the lease guard. Default time.Now, whose monotonic
	// reading the guard needs.
	Now func() time.Time
}

// idleTimeout is shorter than the idle timeout of the load balancers in front
// of the vendors, so that we, not they, close idle connections: a request
// written to a connection that the other side is closing ends as "unknown".
const idleTimeout = 15 * time.Second

func (p Params) withDefaults() Params {
	def := func(d *time.Duration, v time.Duration) {
		if *d <= 0 {
			*d = v
		}
	}
	def(&p.Timeout, 20*time.Second)
	def(&p.DialTimeout, 5*time.Second)
	def(&p.TLSTimeout, 5*time.Second)
	if p.MaxResponse <= 0 {
		p.MaxResponse = 1 << 20
	}
	if p.MaxIdlePerHost <= 0 {
		p.MaxIdlePerHost = 512
	}
	if p.Now == nil {
		p.Now = time.Now
	}
	return p
}

// Client makes a client for calls to vendors. Redirects are not followed: the
// 3xx itself is the answer, because following it would carry credentials or a
// repeated POST to an address that was not configured.
func Client(p Params) *http.Client {
	p = p.withDefaults()

	dialPlain := func(ctx context.Context, _, addr string) (net.Conn, error) {
		c, err := dialConn(ctx, p.DialTimeout, p.PublicOnly, addr)
		if err != nil {
			return nil, err
		}
		return &conn{Conn: c, now: p.Now}, nil
	}
	tlsConfig := &tls.Config{}
	if p.TLS != nil {
		tlsConfig = p.TLS.Clone()
	}
	if tlsConfig.MinVersion == 0 {
		tlsConfig.MinVersion = tls.VersionTLS12
	}
	tlsConfig.NextProtos = []string{"http/1.1"}

	// The guard sits above TLS, where a byte written is a byte of the request;
	// below it, handshakes and alerts would be counted too.
	dialTLS := func(ctx context.Context, _, addr string) (net.Conn, error) {
		raw, err := dialConn(ctx, p.DialTimeout, p.PublicOnly, addr)
		if err != nil {
			return nil, err
		}
		cfg := tlsConfig
		if cfg.ServerName == "" {
			host, _, err := net.SplitHostPort(addr)
			if err != nil {
				_ = raw.Close()
				return nil, &dialError{err}
			}
			cfg = cfg.Clone()
			cfg.ServerName = host
		}
		hctx, cancel := context.WithTimeout(ctx, p.TLSTimeout)
		defer cancel()
		tc := tls.Client(raw, cfg)
		if err := tc.HandshakeContext(hctx); err != nil {
			_ = raw.Close()
			return nil, &tlsError{err}
		}
		return &conn{Conn: tc, now: p.Now}, nil
	}

	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	t := &http.Transport{
		DialContext:            dialPlain,
		DialTLSContext:         dialTLS,
		TLSClientConfig:        tlsConfig,
		TLSHandshakeTimeout:    p.TLSTimeout,
		Protocols:              protocols,
		IdleConnTimeout:        idleTimeout,
		MaxIdleConns:           2 * p.MaxIdlePerHost,
		MaxIdleConnsPerHost:    p.MaxIdlePerHost,
		MaxResponseHeaderBytes: 64 << 10,
	}
	if p.Proxy != nil {
		t.Proxy = http.ProxyURL(p.Proxy)
	}
	return &http.Client{
		Timeout:       p.Timeout,
		Transport:     &guard{next: t, max: p.MaxResponse, now: p.Now},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// errIdempotencyKey guards a rule that is easy to break in good faith: with
// this header set, net/http repeats a POST by itself after a lost answer.
var errIdempotencyKey = errors.New("a request with an Idempotency-Key would be repeated by net/http")

// guard ties each request to the connection that carries it.
type guard struct {
	next http.RoundTripper
	max  int64
	now  func() time.Time
}

// RoundTrip implements http.RoundTripper.
func (g *guard) RoundTrip(req *http.Request) (*http.Response, error) {
	if _, ok := req.Header["Idempotency-Key"]; ok {
		closeBody(req)
		return nil, errIdempotencyKey
	}
	if _, ok := req.Header["X-Idempotency-Key"]; ok {
		closeBody(req)
		return nil, errIdempotencyKey
	}
	ctx := req.Context()
	w, _ := ctx.Value(writtenKey{}).(*Written)
	if w == nil {
		w = new(Written)
	}
	l := &load{written: w}
	if until, ok := ctx.Value(leaseKey{}).(time.Time); ok {
		l.until = until
		if hasPassed(g.now(), until) {
			// Not even a connection is worth opening.
			closeBody(req)
			return nil, ErrLeaseOver
		}
	}
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GotConn: func(info httptrace.GotConnInfo) {
			c := unwrapConn(info.Conn)
			if c == nil {
				_ = info.Conn.Close() // not ours, so not guarded: nothing may pass
				return
			}
			c.carry(l)
		},
	})
	resp, err := g.next.RoundTrip(req.WithContext(ctx))
	if err != nil {
		// From here on this request writes nothing more, from any goroutine of
		// net/http; the caller is about to ask the question.
		return nil, l.end(err)
	}
	resp.Body = &capped{ReadCloser: resp.Body, left: g.max}
	return resp, nil
}

// CloseIdleConnections lets http.Client.CloseIdleConnections through.
func (g *guard) CloseIdleConnections() {
	if t, ok := g.next.(*http.Transport); ok {
		t.CloseIdleConnections()
	}
}

// unwrapConn finds our connection; behind a proxy net/http puts its own TLS around it.
func unwrapConn(c net.Conn) *conn {
	for {
		switch v := c.(type) {
		case *conn:
			return v
		case interface{ NetConn() net.Conn }:
			c = v.NetConn()
		default:
			return nil
		}
	}
}

func closeBody(req *http.Request) {
	if req.Body != nil {
		_ = req.Body.Close()
	}
}
