package providertest

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/provider"
	"github.com/connectlink/connectlink/internal/wire"
	"github.com/connectlink/connectlink/internal/wire/wiretest"
)

func (h Harness) notSent(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		url  func(testing.TB) string
		kind wire.Kind
	}{
		"the port is closed":             {wiretest.Refusing, wire.KindDial},
		"the name does not exist":        {func(testing.TB) string { return "http://vendor.invalid" }, wire.KindDNS},
		"nobody vouches for the machine": {wiretest.Untrusted, wire.KindTLS},
		"it does not speak TLS": {func(t testing.TB) string {
			srv := h.Spec.Serve(t, func(http.ResponseWriter, *http.Request) { t.Error("a request arrived") })
			return strings.Replace(srv.URL, "http://", "https://", 1)
		}, wire.KindTLS},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			receipt, err := h.New(c.url(t), client()).Send(t.Context(), h.Message(1))
			se := refused(t, receipt, err)
			h.want(t, se, provider.NotSent, 0)
			f, _ := se.Err.(*wire.Fault)
			if f == nil || f.Kind != c.kind {
				t.Errorf("cause %v, want a fault of kind %q", se.Err, c.kind)
			}
		})
	}
	t.Run("the caller had given up", func(t *testing.T) {
		t.Parallel()
		raw := wiretest.Ending(t, wiretest.Silence)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		receipt, err := h.New(raw.URL, client()).Send(ctx, h.Message(1))
		h.want(t, refused(t, receipt, err), provider.NotSent, 0)
		if raw.Bytes() != 0 {
			t.Errorf("%d bytes arrived", raw.Bytes())
		}
	})
}

func (h Harness) unknown(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]wiretest.End{
		"closed without an answer": wiretest.EOF,
		"reset":                    wiretest.Reset,
		"not HTTP":                 wiretest.Garbage,
		"half a status line":       wiretest.Cut("HTTP/1.1 2"),
		"never answered":           wiretest.Silence,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			raw := wiretest.Ending(t, end)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			if name == "never answered" {
				go func() { <-raw.Arrived(); cancel() }() // the caller's patience ends
			}
			receipt, err := h.New(raw.URL, client()).Send(ctx, h.Message(1))
			h.want(t, refused(t, receipt, err), provider.Unknown, 0)
			if raw.Bytes() == 0 || raw.Conns() != 1 {
				t.Errorf("%d bytes over %d connections arrived, want one request and no repetition", raw.Bytes(), raw.Conns())
			}
		})
	}
	t.Run("timed out", func(t *testing.T) {
		t.Parallel()
		// The limit grows until the request gets out before it, however slow
		// the machine; what never changes is that the two go together.
		for limit := 50 * time.Millisecond; limit < time.Minute; limit *= 2 {
			raw := wiretest.Ending(t, wiretest.Silence)
			ctx, cancel := context.WithTimeout(t.Context(), limit)
			receipt, err := h.New(raw.URL, client()).Send(ctx, h.Message(1))
			cancel()
			se := refused(t, receipt, err)
			if raw.Bytes() == 0 && se.Outcome == provider.NotSent {
				continue
			}
			h.want(t, se, provider.Unknown, 0)
			return
		}
		t.Error("no request got out within a minute")
	})
}

func (h Harness) answers(t *testing.T) {
	t.Parallel()
	for status, want := range map[int]struct {
		outcome provider.Outcome
		scope   provider.Scope
	}{
		http.StatusFound:                 {provider.Refused, provider.ScopeAccount},
		http.StatusBadRequest:            {provider.Refused, provider.ScopeMessage},
		http.StatusUnauthorized:          {provider.Refused, provider.ScopeAccount},
		http.StatusForbidden:             {provider.Refused, provider.ScopeAccount},
		http.StatusNotFound:              {provider.Refused, provider.ScopeAccount},
		http.StatusRequestTimeout:        {provider.Unknown, provider.ScopeMessage},
		http.StatusTooManyRequests:       {provider.NotSent, provider.ScopeAccount},
		http.StatusInternalServerError:   {provider.Unknown, provider.ScopeMessage},
		http.StatusBadGateway:            {provider.Unknown, provider.ScopeMessage},
		http.StatusServiceUnavailable:    {provider.Unknown, provider.ScopeMessage},
		http.StatusGatewayTimeout:        {provider.Unknown, provider.ScopeMessage},
		http.StatusRequestEntityTooLarge: {provider.Refused, ""},
	} {
		for kind, write := range map[string]func(w http.ResponseWriter){
			"in the provider's form": func(w http.ResponseWriter) { h.Refuse(w, status, "no") },
			"as a proxy's page": func(w http.ResponseWriter) {
				w.Header().Set("Content-Type", "text/html")
				w.Header().Set("Location", "/elsewhere")
				w.WriteHeader(status)
				_, _ = w.Write([]byte("<html><h1>nginx</h1></html>"))
			},
			"with a body that is not what its type says": func(w http.ResponseWriter) {
				w.Header().Set("Content-Type", "application/json")
				w.WriteHeader(status)
				_, _ = w.Write([]byte("{"))
			},
		} {
			t.Run(fmt.Sprintf("%d %s", status, kind), func(t *testing.T) {
				t.Parallel()
				srv := h.Spec.Serve(t, func(w http.ResponseWriter, _ *http.Request) { write(w) })
				receipt, err := h.New(srv.URL, client()).Send(t.Context(), h.Message(1))
				se := refused(t, receipt, err)
				h.want(t, se, want.outcome, status)
				if want.scope != "" && se.Scope != want.scope {
					t.Errorf("scope %q, want %q", se.Scope, want.scope)
				}
				if n := len(srv.Requests()); n != 1 {
					t.Errorf("%d requests: a sender must not repeat itself", n)
				}
				if kind == "in the provider's form" {
					return
				}
				// The answer gives no cause: no address may be taken for dead.
				for _, ended := range []invite.DeliveryStatus{invite.Rejected, invite.Undelivered, invite.Bounced, invite.Suppressed} {
					if block, blocks := invite.BlockOf(ended, se.Reason); blocks {
						t.Errorf("the reason %q would suppress the address as %q", se.Reason, block)
					}
				}
			})
		}
	}
}

func (h Harness) cut(t *testing.T) {
	t.Parallel()
	for status, want := range map[string]provider.Outcome{
		"400 Bad Request": provider.Refused, "401 Unauthorized": provider.Refused,
		"429 Too Many Requests": provider.NotSent, "500 Internal Server Error": provider.Unknown,
	} {
		t.Run(status, func(t *testing.T) {
			t.Parallel()
			raw := wiretest.Ending(t, wiretest.Cut(
				"HTTP/1.1 "+status+"\r\nContent-Type: application/json\r\nContent-Length: 500\r\n\r\n{\"errors\":["))
			receipt, err := h.New(raw.URL, client()).Send(t.Context(), h.Message(1))
			se := refused(t, receipt, err)
			if se.Outcome != want || fmt.Sprint(se.HTTPStatus) != status[:3] {
				t.Errorf("%v, want %s", se, want)
			}
		})
	}
}
