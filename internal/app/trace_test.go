package app_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/connectlink/connectlink/internal/trace"
	"github.com/connectlink/connectlink/internal/waittest"
)

// newTracer records spans in memory.
func newTracer(t *testing.T) (*trace.Tracer, *tracetest.InMemoryExporter) {
	t.Helper()
	spans := tracetest.NewInMemoryExporter()
	return trace.New(sdk.NewTracerProvider(sdk.WithSyncer(spans))), spans
}

// caller is the trace and span of a product that creates an invite.
const (
	callerTrace = "4bf92f3577b34da6a3ce929d0e0e4736"
	callerSpan  = "00f067aa0ba902b7"
)

// TestAnInviteIsOneTraceFromRequestToWebhook: with an API process and a worker of
// their own, which share nothing but the database.
func TestAnInviteIsOneTraceFromRequestToWebhook(t *testing.T) {
	t.Parallel()
	w := newTold(t, 0)
	var mu sync.Mutex
	parents := map[string]bool{}
	spy := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		mu.Lock()
		parents[r.Header.Get("Traceparent")] = true
		mu.Unlock()
		w.server.Config.Handler.ServeHTTP(rw, r)
	}))
	t.Cleanup(spy.Close)
	env := w.env()
	env["CONNECTLINK_WEBHOOK_URL"] = spy.URL
	env["CONNECTLINK_WEBHOOK_EVENTS"] = "all"

	keyset := newKeyset(t)
	tracer, spans := newTracer(t)
	with := func(role string) map[string]string {
		out := map[string]string{"CONNECTLINK_ROLE": role}
		for k, v := range env {
			out[k] = v
		}
		return out
	}
	api := start(t, boot{keyset: keyset, env: with("api"), tracer: tracer})
	workerTracer, workerSpans := newTracer(t)
	worker := with("worker")
	worker["CONNECTLINK_PUBLIC_URL"] = api.base
	start(t, boot{db: api.db, keyset: keyset, env: worker, tracer: workerTracer})

	made := api.invite(http.StatusCreated, to("delivered+connect@connectlink.test"), "Traceparent", "00-"+callerTrace+"-"+callerSpan+"-01")
	id := made.text("id")
	w.about(id, "invite.connected")

	names := func() []string {
		var out []string
		for _, s := range all(spans, workerSpans) {
			if s.SpanContext.TraceID().String() == callerTrace {
				out = append(out, s.Name)
			}
		}
		return out
	}
	want := []string{"POST /v1/invites", "mint", "deliver", "send sendgrid", "invite.sent", "invite.delivered", "invite.opened", "invite.continued", "invite.connected", "post webhook"}
	waittest.Until(t, "all steps in one trace", func() bool {
		got := names()
		return !slices.ContainsFunc(want, func(n string) bool { return !slices.Contains(got, n) })
	})
	// A post is seen before its span has ended.
	waittest.Until(t, "each post has its span", func() bool {
		ended := 0
		for _, n := range names() {
			if n == "post webhook" {
				ended++
			}
		}
		mu.Lock()
		defer mu.Unlock()
		return ended >= len(parents)
	})
	byID := map[string]tracetest.SpanStub{}
	for _, s := range all(spans, workerSpans) {
		byID[s.SpanContext.SpanID().String()] = s
	}
	var request string
	for _, s := range byID {
		if s.Name == "POST /v1/invites" {
			request = s.SpanContext.SpanID().String()
			if got := s.Parent.SpanID().String(); got != callerSpan || !s.Parent.IsRemote() {
				t.Errorf("the request's parent is %s", got)
			}
		}
	}
	for _, s := range byID {
		about := attribute(s, "connectlink.invite.id")
		if about == "" {
			continue
		}
		if about != id {
			t.Errorf("%s is about %s", s.Name, about)
		}
		if got := s.SpanContext.TraceID().String(); got != callerTrace {
			t.Errorf("%s of the invite is in trace %s", s.Name, got)
		}
	}
	for _, s := range byID {
		switch s.Name {
		case "mint", "deliver", "post webhook":
			if got := s.Parent.SpanID().String(); got != request {
				t.Errorf("the parent of %s is %s", s.Name, byID[got].Name)
			}
		case "send sendgrid":
			if got := byID[s.Parent.SpanID().String()].Name; got != "deliver" {
				t.Errorf("the parent of the send is %q", got)
			}
		case "invite.delivered":
			// The callback is a request with a trace of its own, to which the step links.
			if len(s.Links) != 1 || !strings.HasPrefix(byID[s.Links[0].SpanContext.SpanID().String()].Name, "POST /hooks/") {
				t.Errorf("the delivery report links to %v", s.Links)
			}
		}
	}
	mu.Lock()
	defer mu.Unlock()
	for p := range parents {
		if parts := strings.Split(p, "-"); len(parts) != 4 || parts[1] != callerTrace || byID[parts[2]].Name != "post webhook" {
			t.Errorf("a webhook was posted with traceparent %q", p)
		}
	}
	if len(parents) == 0 {
		t.Error("no webhook was posted")
	}
}

// TestTraceparentOfStrangersIsIgnored: recipients, vendors and scanners must not
// write into the traces of products.
func TestTraceparentOfStrangersIsIgnored(t *testing.T) {
	t.Parallel()
	tracer, spans := newTracer(t)
	p := start(t, boot{tracer: tracer})
	for path, want := range map[string]int{"/c/00000000000000000000": 404, "/hooks/pipedream/x": 405, "/nowhere": 404} {
		p.gets(path, "Traceparent", "00-"+callerTrace+"-"+callerSpan+"-01", want)
	}
	// A span ends after its answer is sent.
	waittest.Until(t, "a span of each request", func() bool { return len(all(spans)) == 3 })
	for _, s := range all(spans) {
		if s.Parent.IsValid() || s.SpanContext.TraceID().String() == callerTrace {
			t.Errorf("%s continues a stranger's trace", s.Name)
		}
	}
}

// TestUntracedProcessHandsTheCallersTraceOn: to the product's webhook, through a
// process without an exporter.
func TestUntracedProcessHandsTheCallersTraceOn(t *testing.T) {
	t.Parallel()
	w := newTold(t, 0)
	parent := "00-" + callerTrace + "-" + callerSpan + "-01"
	got := make(chan string, 100)
	spy := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { got <- r.Header.Get("Traceparent") }))
	t.Cleanup(spy.Close)
	env := w.env()
	env["CONNECTLINK_WEBHOOK_URL"] = spy.URL
	p := start(t, boot{env: env})
	p.invite(http.StatusCreated, to("bounced@connectlink.test"), "Traceparent", parent)
	if header := <-got; header != parent {
		t.Errorf("traceparent %q", header)
	}
}

// TestItemsOfABatchHaveTracesOfTheirOwn, each linked to the request.
func TestItemsOfABatchHaveTracesOfTheirOwn(t *testing.T) {
	t.Parallel()
	tracer, spans := newTracer(t)
	p := start(t, boot{tracer: tracer})
	second := to("delivered@connectlink.test")
	second["external_user_id"] = "user-2"
	status, _, out := p.call(http.MethodPost, "/v1/invites/batch", object{"invites": []any{to("delivered@connectlink.test"), second}})
	if status != http.StatusOK {
		t.Fatalf("%d %v", status, out)
	}
	of := map[string]string{} // trace by invite
	waittest.Until(t, "two mints", func() bool {
		for _, s := range all(spans) {
			if s.Name == "send sendgrid" {
				of[attribute(s, "connectlink.invite.id")] = s.SpanContext.TraceID().String()
			}
		}
		return len(of) == 2
	})
	traces := map[string]bool{}
	for _, id := range of {
		traces[id] = true
	}
	if len(traces) != 2 {
		t.Errorf("two invites have %d traces", len(traces))
	}
	for _, s := range all(spans) {
		if s.Name == "create item of batch" && len(s.Links) != 1 {
			t.Errorf("an item has %d links", len(s.Links))
		}
	}
}

func all(exporters ...*tracetest.InMemoryExporter) []tracetest.SpanStub {
	var out []tracetest.SpanStub
	for _, e := range exporters {
		out = append(out, e.GetSpans()...)
	}
	return out
}

func attribute(s tracetest.SpanStub, key string) string {
	for _, a := range s.Attributes {
		if string(a.Key) == key {
			return a.Value.AsString()
		}
	}
	return ""
}

// printSpans is all text of spans: names, attributes, events, links, statuses, resource.
func printSpans(spans []tracetest.SpanStub) string {
	var out strings.Builder
	for _, s := range spans {
		fmt.Fprintf(&out, "%s %v %v %v %v %v %v\n", s.Name, s.Attributes, s.Events, s.Links, s.Status, s.Resource, s.SpanContext.TraceState())
	}
	return out.String()
}
