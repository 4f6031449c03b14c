package wire_test

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"
	"unsafe"

	"github.com/connectlink/connectlink/internal/wire"
	"github.com/connectlink/connectlink/internal/wire/wiretest"
)

func post(t testing.TB, ctx context.Context, c *http.Client, url string) (*http.Response, error) {
	t.Helper()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, strings.NewReader("body"))
	if err != nil {
		t.Fatal(err)
	}
	resp, err := c.Do(req)
	if resp != nil {
		t.Cleanup(func() { _ = resp.Body.Close() })
	}
	return resp, err
}

func kind(err error) wire.Kind {
	var f *wire.Fault
	if errors.As(wire.Strip(err), &f) {
		return f.Kind
	}
	return ""
}

// monotonicOnly moves a time forward on the monotonic clock alone, as when the
// wall clock is set back meanwhile. Package time has no way to make one; its
// second word is the monotonic reading when the first bit of the first is set.
func monotonicOnly(t time.Time, d time.Duration) time.Time {
	*(*int64)(unsafe.Add(unsafe.Pointer(&t), 8)) += int64(d)
	return t
}

// wallOnly moves a time forward on the wall clock alone, as when a virtual
// machine was suspended.
func wallOnly(t time.Time, d time.Duration) time.Time { return monotonicOnly(t.Add(d), -d) }

func TestTheLeaseEndsByEitherClock(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		later func(time.Time) time.Time
		leave bool
	}{
		"neither":       {func(t time.Time) time.Time { return t.Add(59 * time.Second) }, true},
		"both":          {func(t time.Time) time.Time { return t.Add(time.Hour) }, false},
		"monotonic":     {func(t time.Time) time.Time { return monotonicOnly(t, time.Hour) }, false},
		"wall":          {func(t time.Time) time.Time { return wallOnly(t, time.Hour) }, false},
		"set back only": {func(t time.Time) time.Time { return wallOnly(t, -time.Hour) }, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			raw := wiretest.Ending(t, wiretest.Cut("HTTP/1.1 204 No Content\r\n\r\n"))
			start := time.Now()
			var looks atomic.Int64
			client := wire.Client(wire.Params{Now: func() time.Time {
				if looks.Add(1) == 1 {
					return start
				}
				return c.later(start)
			}})
			ctx, written := wire.Trace(wire.WithDeadline(t.Context(), start.Add(time.Minute)))
			_, err := post(t, ctx, client, raw.URL)
			if (err == nil) != c.leave || written.Any() != c.leave || (raw.Bytes() > 0) != c.leave {
				t.Errorf("%v, written %v, %d bytes arrived; want it to leave: %v", err, written.Any(), raw.Bytes(), c.leave)
			}
			if !c.leave && (kind(err) != wire.KindLease || wire.Classify(written) != wire.NotSent) {
				t.Errorf("%v is %s and %s", err, kind(err), wire.Classify(written))
			}
		})
	}
}

// TLS writes of its own (handshake, alerts) are not bytes of a request, and the
// guard must hold under it all the same.
func TestTheGuardSitsAboveTLS(t *testing.T) {
	t.Parallel()
	var arrived atomic.Int64
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { arrived.Add(1) }))
	srv.EnableHTTP2 = true // offered, and must not be taken
	srv.StartTLS()
	t.Cleanup(srv.Close)
	roots := srv.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs

	start := time.Now()
	var looks atomic.Int64
	expiring := wire.Client(wire.Params{TLS: &tls.Config{RootCAs: roots}, Now: func() time.Time {
		return start.Add(time.Duration(looks.Add(1)-1) * time.Hour)
	}})
	ctx, written := wire.Trace(wire.WithDeadline(t.Context(), start.Add(time.Minute)))
	if _, err := post(t, ctx, expiring, srv.URL); kind(err) != wire.KindLease || written.Any() || arrived.Load() != 0 {
		t.Errorf("%v, written %v, %d arrived", err, written.Any(), arrived.Load())
	}

	client := wire.Client(wire.Params{TLS: &tls.Config{RootCAs: roots}})
	ctx, written = wire.Trace(t.Context())
	resp, err := post(t, ctx, client, srv.URL)
	if err != nil || resp.ProtoMajor != 1 || !written.Any() {
		t.Errorf("%v %+v, written %v: want HTTP/1.1 though HTTP/2 is offered", err, resp, written.Any())
	}
	ctx, written = wire.Trace(t.Context())
	if _, err := post(t, ctx, wire.Client(wire.Params{}), srv.URL); kind(err) != wire.KindTLS || written.Any() {
		t.Errorf("untrusted: %v, written %v", err, written.Any())
	}
}

// A connection taken from the pool was bound to an earlier request, whose lease
// must not judge this one.
func TestAReusedConnectionCarriesTheNextRequestsLease(t *testing.T) {
	t.Parallel()
	var conns atomic.Int64
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	srv.Config.ConnState = func(_ net.Conn, s http.ConnState) {
		if s == http.StateNew {
			conns.Add(1)
		}
	}
	srv.Start()
	t.Cleanup(srv.Close)
	var later atomic.Int64
	start := time.Now()
	client := wire.Client(wire.Params{Now: func() time.Time { return start.Add(time.Duration(later.Load())) }})
	get := func(until time.Time) (bool, error) {
		ctx, written := wire.Trace(wire.WithDeadline(t.Context(), until))
		resp, err := post(t, ctx, client, srv.URL)
		if err == nil {
			_, _ = io.Copy(io.Discard, resp.Body)
			_ = resp.Body.Close()
		}
		return written.Any(), err
	}
	if _, err := get(start.Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	later.Store(int64(2 * time.Minute))
	if written, err := get(start.Add(time.Hour)); err != nil || !written {
		t.Errorf("%v: judged by the earlier lease", err)
	}
	if written, err := get(time.Time{}); err != nil || !written {
		t.Errorf("%v: no lease is no limit", err)
	}
	if conns.Load() != 1 {
		t.Errorf("%d connections: nothing was reused, the test shows nothing", conns.Load())
	}
}

func TestBehindAProxyTheGuardStillHolds(t *testing.T) {
	t.Parallel()
	var tunnels atomic.Int64
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodConnect {
			t.Errorf("the proxy saw %s %s", r.Method, r.URL)
			return
		}
		tunnels.Add(1)
		out, err := net.Dial("tcp", r.Host)
		if err != nil {
			t.Error(err)
			return
		}
		in, _, err := w.(http.Hijacker).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		_, _ = io.WriteString(in, "HTTP/1.1 200 OK\r\n\r\n")
		go func() { _, _ = io.Copy(out, in); _ = out.Close() }()
		go func() { _, _ = io.Copy(in, out); _ = in.Close() }()
	}))
	t.Cleanup(proxy.Close)
	var arrived atomic.Int64
	srv := httptest.NewTLSServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { arrived.Add(1) }))
	t.Cleanup(srv.Close)
	proxyURL, err := url.Parse(proxy.URL)
	if err != nil {
		t.Fatal(err)
	}
	roots := srv.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs
	start := time.Now()
	var later atomic.Int64
	client := wire.Client(wire.Params{Proxy: proxyURL, TLS: &tls.Config{RootCAs: roots}, Now: func() time.Time { return start.Add(time.Duration(later.Load())) }})
	ctx, written := wire.Trace(wire.WithDeadline(t.Context(), start.Add(time.Minute)))
	if _, err := post(t, ctx, client, srv.URL); err != nil || !written.Any() || tunnels.Load() != 1 || arrived.Load() != 1 {
		t.Errorf("%v, written %v, %d tunnels, %d arrived", err, written.Any(), tunnels.Load(), arrived.Load())
	}
	later.Store(int64(time.Hour))
	ctx, written = wire.Trace(wire.WithDeadline(t.Context(), start.Add(time.Minute)))
	if _, err := post(t, ctx, client, srv.URL); kind(err) != wire.KindLease || arrived.Load() != 1 {
		t.Errorf("%v, %d arrived, written %v", err, arrived.Load(), written.Any())
	}
}

func TestTheEnvironmentsProxyIsIgnored(t *testing.T) {
	t.Setenv("HTTP_PROXY", wiretest.Refusing(t))
	t.Setenv("HTTPS_PROXY", wiretest.Refusing(t))
	req, err := http.NewRequest(http.MethodGet, "http://vendor.invalid/", nil)
	if err != nil {
		t.Fatal(err)
	}
	_, err = wire.Client(wire.Params{}).Do(req)
	if kind(err) != wire.KindDNS {
		t.Errorf("%v: it was not the name that failed", err)
	}
}

func TestRedirectsAreAnswers(t *testing.T) {
	t.Parallel()
	var elsewhere atomic.Int64
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { elsewhere.Add(1) }))
	t.Cleanup(other.Close)
	for _, status := range []int{301, 302, 303, 307, 308} {
		srv := httptest.NewServer(http.RedirectHandler(other.URL, status))
		t.Cleanup(srv.Close)
		resp, err := post(t, t.Context(), wire.Client(wire.Params{}), srv.URL)
		if err != nil || resp.StatusCode != status || elsewhere.Load() != 0 {
			t.Errorf("%d: %v, followed %d times", status, err, elsewhere.Load())
		}
	}
}

func TestAnswersAreCapped(t *testing.T) {
	t.Parallel()
	for size, ok := range map[int]bool{0: true, 99: true, 100: true, 101: false, 100000: false} {
		srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			_, _ = w.Write([]byte(strings.Repeat("x", size)))
		}))
		t.Cleanup(srv.Close)
		resp, err := post(t, t.Context(), wire.Client(wire.Params{MaxResponse: 100}), srv.URL)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		if (err == nil) != ok || !ok && !errors.Is(err, wire.ErrTooLarge) || len(body) != min(size, 100) {
			t.Errorf("%d bytes: read %d, %v", size, len(body), err)
		}
	}
}

func TestNoRequestThatNetHTTPWouldRepeat(t *testing.T) {
	t.Parallel()
	raw := wiretest.Ending(t, wiretest.EOF)
	for _, name := range []string{"Idempotency-Key", "X-Idempotency-Key"} {
		req, err := http.NewRequest(http.MethodPost, raw.URL, strings.NewReader("x"))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set(name, "1")
		if _, err := wire.Client(wire.Params{}).Do(req); err == nil || raw.Conns() != 0 {
			t.Errorf("%s: %v, %d connections", name, err, raw.Conns())
		}
	}
}

func TestFaultsPrintNoURL(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]wiretest.End{"eof": wiretest.EOF, "reset": wiretest.Reset, "protocol": wiretest.Garbage} {
		_, err := post(t, t.Context(), wire.Client(wire.Params{}), wiretest.Ending(t, end).URL+"?token=ctok_secret")
		got := wire.Strip(fmt.Errorf("outer: %w", err))
		if string(kind(err)) != name || strings.Contains(got.Error(), "ctok_secret") || strings.Contains(got.Error(), "pat@") {
			t.Errorf("%s: %v", name, got)
		}
		if again := wire.Strip(fmt.Errorf("wrapped: %w", got)); again != got {
			t.Errorf("stripped twice: %v", again)
		}
	}
	if wire.Strip(nil) != nil {
		t.Error("nil became an error")
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := post(t, ctx, wire.Client(wire.Params{}), wiretest.Ending(t, wiretest.Silence).URL); kind(err) != wire.KindTimeout {
		t.Errorf("%v, want a timeout", err)
	}
	if _, err := post(t, t.Context(), wire.Client(wire.Params{Timeout: 50 * time.Millisecond}), wiretest.Ending(t, wiretest.Silence).URL); kind(err) != wire.KindTimeout {
		t.Errorf("%v, want a timeout by the client's own limit", err)
	}
}

func TestRetryAfter(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	for name, c := range map[string]struct {
		header http.Header
		want   time.Duration
	}{
		"nothing":                      {http.Header{}, 0},
		"seconds":                      {http.Header{"Retry-After": {" 120 "}}, 2 * time.Minute},
		"a fraction":                   {http.Header{"Retry-After": {"1.5"}}, 1500 * time.Millisecond},
		"a date":                       {http.Header{"Retry-After": {"Mon, 23 Nov 2026 12:01:00 GMT"}}, time.Minute},
		"a date by the vendor's clock": {http.Header{"Retry-After": {"Mon, 23 Nov 2026 13:01:00 GMT"}, "Date": {"Mon, 23 Nov 2026 13:00:00 GMT"}}, time.Minute},
		"Unix seconds":                 {http.Header{"X-Ratelimit-Reset": {fmt.Sprint(now.Unix() + 30)}}, 30 * time.Second},
		"by the vendor's clock":        {http.Header{"X-Ratelimit-Reset": {fmt.Sprint(now.Unix() + 3630)}, "Date": {"Mon, 23 Nov 2026 13:00:00 GMT"}}, 30 * time.Second},
		"seconds from now":             {http.Header{"X-Ratelimit-Reset": {"30"}}, 30 * time.Second},
		"Retry-After goes first":       {http.Header{"Retry-After": {"5"}, "X-Ratelimit-Reset": {"30"}}, 5 * time.Second},
		"an unreadable one does not":   {http.Header{"Retry-After": {"later"}, "X-Ratelimit-Reset": {"30"}}, 30 * time.Second},
		"past":                         {http.Header{"Retry-After": {"Mon, 23 Nov 2026 11:00:00 GMT"}}, 0},
		"negative":                     {http.Header{"Retry-After": {"-1"}}, 0},
		"not a number":                 {http.Header{"Retry-After": {"NaN"}}, 0},
		"infinite":                     {http.Header{"Retry-After": {"Inf"}}, time.Hour},
		"a year":                       {http.Header{"Retry-After": {"31536000"}}, time.Hour},
	} {
		if got := wire.RetryAfter(c.header, now); got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
}

func TestCodeKeepsCodesOnly(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"21610": "21610", "personalizations.0.to.0.email": "personalizations.0.to.0.email", "pat@customer.example": "",
		"two words": "", "": "", strings.Repeat("x", 81): "", "näh": "",
	} {
		if got := wire.Code(in); got != want {
			t.Errorf("%q: %q", in, got)
		}
	}
}
