package providertest

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/connectlink/connectlink/internal/message"
	"github.com/connectlink/connectlink/internal/provider"
	"github.com/connectlink/connectlink/internal/secret"
	"github.com/connectlink/connectlink/internal/wire"
	"github.com/connectlink/connectlink/internal/wire/wiretest"
)

// Sender is what the suite needs of a sender.
type Sender interface {
	Provider() string
	Account() string
	Proof() provider.Proof
	Send(context.Context, message.Outgoing) (provider.Acceptance, error)
	Check(context.Context) error
}

// Harness tells the suite how one provider looks on the wire.
type Harness struct {
	Spec *wiretest.Spec
	// New makes a sender that speaks to the given base URL.
	New func(baseURL string, client *http.Client) Sender
	// Message makes the n-th message; recipients, links and attempts differ.
	Message func(n int) message.Outgoing
	// Accept writes the provider's answer to a message it takes, giving it id.
	Accept func(w http.ResponseWriter, id string)
	// Refuse writes the provider's error answer, quoting the given words.
	Refuse func(w http.ResponseWriter, status int, words string)
	// Read says to whom a request goes, what it carries, and for which attempt
	// ("" if requests do not say).
	Read func(t testing.TB, r wiretest.Request) (to, text, attempt string)
	// Secrets are values of the sender's that must never be printed.
	Secrets []string
}

// Run runs the suite.
func Run(t *testing.T, h Harness) {
	t.Run("accepts", h.accepts)
	t.Run("before a byte left it was not sent", h.notSent)
	t.Run("after a byte left it is unknown", h.unknown)
	t.Run("an answer decides", h.answers)
	t.Run("nothing leaves once the lease is over", h.lease)
	t.Run("what to wait is read from the answer", h.retryAfter)
	t.Run("an answer cut short is judged by its status", h.cut)
	t.Run("an answer is closed", h.closes)
	t.Run("an empty message never leaves", h.empty)
	t.Run("errors print no secret", h.redaction)
	t.Run("messages never swap under concurrency", h.concurrency)
}

// client has limits that no test on a busy machine reaches: timeouts here
// come from the test itself.
func client() *http.Client {
	return wire.Client(wire.Params{Timeout: time.Minute, DialTimeout: 20 * time.Second, TLSTimeout: 20 * time.Second})
}

// refused asserts the one error type and returns it.
func refused(t testing.TB, receipt provider.Acceptance, err error) *provider.SendError {
	t.Helper()
	se, ok := err.(*provider.SendError)
	if !ok {
		t.Fatalf("Send: %T %v, want a *provider.SendError itself", err, err)
	}
	if receipt != (provider.Acceptance{}) {
		t.Errorf("Send gave a receipt %+v beside its error", receipt)
	}
	return se
}

func (h Harness) accepts(t *testing.T) {
	t.Parallel()
	srv := h.Spec.Serve(t, func(w http.ResponseWriter, _ *http.Request) { h.Accept(w, "vendor-id-1") })
	s, m := h.New(srv.URL, client()), h.Message(1)
	m.LeaseUntil = time.Now().Add(time.Minute)
	got, err := s.Send(t.Context(), m)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(got.ProviderMessageID, "1") || got.HTTPStatus/100 != 2 {
		t.Errorf("receipt %+v, want the vendor's id and status", got)
	}
	if n := len(srv.Requests()); n != 1 {
		t.Fatalf("%d requests, want 1", n)
	}
	to, text, attempt := h.Read(t, srv.Requests()[0])
	wantTo, wantText := ends(m)
	if to != wantTo || text != wantText || attempt != "" && attempt != m.AttemptID {
		t.Errorf("the request is for %q, attempt %q; want %q, %q and this text", to, attempt, wantTo, m.AttemptID)
	}
	if s.Account() == "" || !strings.HasPrefix(s.Account(), s.Provider()+":") {
		t.Errorf("account %q, want one of provider %q", s.Account(), s.Provider())
	}
}

func ends(m message.Outgoing) (to, text string) {
	if m.SMS != nil {
		return m.SMS.To.Reveal(), m.SMS.Body.Reveal()
	}
	return m.Email.To.Email.Reveal(), m.Email.Text.Reveal()
}

func (h Harness) retryAfter(t *testing.T) {
	t.Parallel()
	// By the vendor's clock, independent of ours.
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	for name, c := range map[string]struct {
		header, value string
		want          time.Duration
	}{
		"seconds":        {"Retry-After", "7", 7 * time.Second},
		"a date":         {"Retry-After", now.Add(90 * time.Second).Format(http.TimeFormat), 90 * time.Second},
		"Unix seconds":   {"X-RateLimit-Reset", fmt.Sprint(now.Add(45 * time.Second).Unix()), 45 * time.Second},
		"nothing":        {"X-Nothing", "1", 0},
		"the past":       {"X-RateLimit-Reset", "1600000000", 0},
		"no number":      {"Retry-After", "soon", 0},
		"a mad number":   {"Retry-After", "1e300", time.Hour},
		"a negative one": {"Retry-After", "-5", 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			srv := h.Spec.Serve(t, func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Date", now.Format(http.TimeFormat))
				w.Header().Set(c.header, c.value)
				h.Refuse(w, http.StatusTooManyRequests, "too many requests")
			})
			receipt, err := h.New(srv.URL, client()).Send(t.Context(), h.Message(1))
			se := refused(t, receipt, err)
			h.want(t, se, provider.NotSent, http.StatusTooManyRequests)
			if se.RetryAfter != c.want {
				t.Errorf("retry after %s, want %s", se.RetryAfter, c.want)
			}
		})
	}
}

// closes: until the body of an answer is closed, the client's timer and its goroutine
// stay, for as long as a call may take.
func (h Harness) closes(t *testing.T) {
	t.Parallel()
	for name, write := range map[string]func(http.ResponseWriter){
		"accepted": func(w http.ResponseWriter) { h.Accept(w, "vendor-id-1") },
		"refused":  func(w http.ResponseWriter) { h.Refuse(w, http.StatusBadRequest, "no") },
		"no JSON":  func(w http.ResponseWriter) { w.WriteHeader(http.StatusBadGateway) },
	} {
		srv := h.Spec.Serve(t, func(w http.ResponseWriter, _ *http.Request) { write(w) })
		watched := client()
		bodies := &watchedBodies{next: watched.Transport}
		watched.Transport = bodies
		_, _ = h.New(srv.URL, watched).Send(t.Context(), h.Message(1))
		if opened, closed := bodies.opened.Load(), bodies.closed.Load(); opened == 0 || opened != closed {
			t.Errorf("%s: %d answers, %d closed", name, opened, closed)
		}
	}
}

// watchedBodies counts the answers of a transport, and those that were closed.
type watchedBodies struct {
	next           http.RoundTripper
	opened, closed atomic.Int64
}

// RoundTrip implements http.RoundTripper.
func (w *watchedBodies) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := w.next.RoundTrip(req)
	if err == nil {
		w.opened.Add(1)
		resp.Body = &watchedBody{ReadCloser: resp.Body, of: w}
	}
	return resp, err
}

type watchedBody struct {
	io.ReadCloser

	of   *watchedBodies
	once sync.Once
}

func (b *watchedBody) Close() error {
	b.once.Do(func() { b.of.closed.Add(1) })
	return b.ReadCloser.Close()
}

func (h Harness) empty(t *testing.T) {
	t.Parallel()
	raw := wiretest.Ending(t, wiretest.Silence)
	m := h.Message(1)
	m.Email, m.SMS = nil, nil
	receipt, err := h.New(raw.URL, client()).Send(t.Context(), m)
	h.want(t, refused(t, receipt, err), provider.Refused, 0)
	if raw.Conns() != 0 {
		t.Error("a connection was opened for nothing")
	}
}

// redaction: vendors quote addresses, net/http quotes URLs and malformed answers.
func (h Harness) redaction(t *testing.T) {
	t.Parallel()
	m := h.Message(1)
	to, text := ends(m)
	const quoted = "pat@customer.example"
	refusing := h.Spec.Serve(t, func(w http.ResponseWriter, _ *http.Request) {
		h.Refuse(w, http.StatusBadRequest, "the address "+quoted+" and "+to+" are not good")
	})
	for name, url := range map[string]string{
		"refused": refusing.URL, "not HTTP": wiretest.Ending(t, wiretest.Garbage).URL, "closed": wiretest.Refusing(t),
		"a base URL with credentials": "http://user:hunter22@127.0.0.1:1/x\x7f",
	} {
		_, err := h.New(url, client()).Send(t.Context(), m)
		if err == nil {
			t.Fatalf("%s: no error", name)
		}
		se := refused(t, provider.Acceptance{}, err)
		if name == "refused" && !strings.Contains(se.Detail.Reveal(), quoted) {
			t.Errorf("the provider's words are lost: %q", se.Detail.Reveal())
		}
		for _, format := range []string{"%v", "%+v", "%s", "%q"} {
			for _, shown := range []string{fmt.Sprintf(format, err), fmt.Sprintf(format, se.Err), fmt.Sprintf(format, *se)} {
				for _, hidden := range append([]string{to, text, quoted, "hunter22"}, h.Secrets...) {
					if hidden != "" && strings.Contains(shown, hidden) {
						t.Errorf("%s: %s shows %q: %s", name, format, hidden, shown)
					}
				}
			}
		}
	}
}

// concurrency: the SendGrid SDK's own client has swapped mails between
// recipients under load; see the package comment of sendgrid.
func (h Harness) concurrency(t *testing.T) {
	t.Parallel()
	const many = 200
	var taken atomic.Int64
	srv := h.Spec.Serve(t, func(w http.ResponseWriter, _ *http.Request) {
		h.Accept(w, fmt.Sprintf("vendor-id-%d", taken.Add(1)))
	})
	s := h.New(srv.URL, client())
	var wg sync.WaitGroup
	ids := make([]string, many)
	for n := range many {
		wg.Go(func() {
			receipt, err := s.Send(t.Context(), h.Message(n))
			if err != nil {
				t.Errorf("message %d: %v", n, err)
			}
			ids[n] = receipt.ProviderMessageID
		})
	}
	wg.Wait()
	type sent struct{ To, Text, Attempt string }
	got, want := map[sent]int{}, map[sent]int{}
	for _, r := range srv.Requests() {
		to, text, attempt := h.Read(t, r)
		got[sent{to, text, attempt}]++
	}
	says := false
	for k := range got {
		says = says || k.Attempt != ""
	}
	for n := range many {
		m := h.Message(n)
		to, text := ends(m)
		k := sent{to, text, m.AttemptID}
		if !says {
			k.Attempt = ""
		}
		want[k]++
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("each message must go once, to its own recipient (-want +got):\n%s", d)
	}
	seen := map[string]bool{}
	for _, id := range ids {
		if id == "" || seen[id] {
			t.Errorf("provider id %q came twice or not at all", id)
		}
		seen[id] = true
	}
}

func (h Harness) want(t testing.TB, se *provider.SendError, outcome provider.Outcome, status int) {
	t.Helper()
	if se.Outcome != outcome || se.HTTPStatus != status {
		t.Errorf("%v (cause %v), want %s with status %d", se, se.Err, outcome, status)
	}
	if se.Provider == "" || se.Scope == "" {
		t.Errorf("%+v lacks provider or scope", *se)
	}
	if se.Reason == "" || se.Reason != se.ReasonOf() {
		t.Errorf("%+v has no reason of the vendor's package", *se)
	}
}

// Text makes the n-th link, so that messages of a suite can be told apart.
func Text(n int) secret.Text {
	return secret.New(fmt.Sprintf("Connect: https://go.brand.example/c/code%06d", n))
}
