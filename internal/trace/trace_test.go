package trace_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/hex"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	otlp "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	"google.golang.org/protobuf/proto"

	"github.com/connectlink/connectlink/internal/trace"
)

const parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"

func TestStoredContextIsResumed(t *testing.T) {
	t.Parallel()
	ctx := trace.Extract(t.Context(), http.Header{"Traceparent": {parent}, "Tracestate": {"vendor=secret"}})
	stored := trace.Marshal(ctx)
	if len(stored) != 25 {
		t.Fatalf("%d bytes", len(stored))
	}
	h := http.Header{}
	trace.Inject(trace.Resume(t.Context(), stored), h)
	if got := h.Get("Traceparent"); got != parent || h.Get("Tracestate") != "" {
		t.Errorf("%v", h)
	}
}

// TestContextsThatAreNone: bytes of another form resume no context, and do not leave
// the one of the caller.
func TestContextsThatAreNone(t *testing.T) {
	t.Parallel()
	if got := trace.Marshal(t.Context()); got != nil {
		t.Errorf("%x", got)
	}
	other := trace.Extract(t.Context(), http.Header{"Traceparent": {parent}})
	for name, stored := range map[string][]byte{"none": nil, "short": {1, 2}, "long": make([]byte, 26), "zero": make([]byte, 25)} {
		if got := trace.Marshal(trace.Resume(other, stored)); got != nil {
			t.Errorf("%s: %x", name, got)
		}
	}
	for _, header := range []string{"", "x", "00-" + strings.Repeat("0", 32) + "-00f067aa0ba902b7-01", parent + "\r\nX: y", strings.Repeat("a", 1<<16)} {
		if got := trace.Marshal(trace.Extract(t.Context(), http.Header{"Traceparent": {header}})); got != nil {
			t.Errorf("%.40q: %x", header, got)
		}
	}
}

func TestNilTracerRecordsNothingAndHandsTheContextOn(t *testing.T) {
	t.Parallel()
	var none *trace.Tracer
	ctx := trace.Extract(t.Context(), http.Header{"Traceparent": {parent}})
	got, span := none.Start(ctx, trace.Client, "mint")
	span.Set(trace.Status(200))
	span.End("x")
	if got != ctx {
		t.Error("another context")
	}
}

// TestTextThatIsNoWordIsNotRecorded: a vendor's code or a name may turn out to be
// text of a person.
func TestTextThatIsNoWordIsNotRecorded(t *testing.T) {
	t.Parallel()
	spans := tracetest.NewInMemoryExporter()
	tracer := trace.New(sdk.NewTracerProvider(sdk.WithSyncer(spans)))
	_, span := tracer.Start(t.Context(), trace.Client, "send", trace.Outcome("person@example.com"), trace.Type("https://x.example/?token=1"))
	span.End("Mailbox of person is full")
	for _, a := range spans.GetSpans()[0].Attributes {
		if a.Value.AsString() != "other" {
			t.Errorf("%s = %q", a.Key, a.Value.AsString())
		}
	}
	if s := spans.GetSpans()[0]; s.Status.Description != "" || len(s.Events) > 0 {
		t.Errorf("%v %v", s.Status, s.Events)
	}
}

// receiver is an OTLP receiver over HTTP.
func receiver(t *testing.T, status int) (url string, got <-chan *otlp.ExportTraceServiceRequest) {
	t.Helper()
	c := make(chan *otlp.ExportTraceServiceRequest, 10)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/v1/traces" {
			t.Errorf("posted to %s", r.URL.Path)
		}
		raw, _ := io.ReadAll(r.Body)
		if r.Header.Get("Content-Encoding") == "gzip" {
			z, err := gzip.NewReader(bytes.NewReader(raw))
			if err != nil {
				t.Error(err)
				return
			}
			raw, _ = io.ReadAll(z)
		}
		var req otlp.ExportTraceServiceRequest
		if err := proto.Unmarshal(raw, &req); err != nil {
			t.Error(err)
		}
		c <- &req
		w.WriteHeader(status)
	}))
	t.Cleanup(s.Close)
	return s.URL, c
}

// setOTEL sets the variables of OpenTelemetry, for the exporter reads the process's.
func setOTEL(t *testing.T, set map[string]string) func(string) string {
	t.Helper()
	for name, value := range set {
		t.Setenv(name, value)
	}
	return func(name string) string { return set[name] }
}

func TestExportByStandardVariables(t *testing.T) { //nolint:paralleltest // sets the environment
	url, got := receiver(t, http.StatusOK)
	getenv := setOTEL(t, map[string]string{
		"OTEL_EXPORTER_OTLP_ENDPOINT": url, "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf", "OTEL_SERVICE_NAME": "links-eu",
		"OTEL_RESOURCE_ATTRIBUTES": "deployment.environment.name=eu", "OTEL_EXPORTER_OTLP_COMPRESSION": "gzip",
	})
	e, err := trace.OpenExport(t.Context(), getenv, "v1.2.3", slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	ctx := trace.Extract(t.Context(), http.Header{"Traceparent": {parent}})
	_, span := e.Tracer().Start(ctx, trace.Client, "mint", trace.Provider("pipedream"))
	span.End("dns_not_found")
	e.Close(t.Context())
	req := <-got
	resource := map[string]string{}
	for _, a := range req.ResourceSpans[0].Resource.Attributes {
		resource[a.Key] = a.Value.GetStringValue()
	}
	for key, want := range map[string]string{"service.name": "links-eu", "service.version": "v1.2.3", "deployment.environment.name": "eu"} {
		if resource[key] != want {
			t.Errorf("%s = %q", key, resource[key])
		}
	}
	for key := range resource {
		if strings.HasPrefix(key, "process.") {
			t.Errorf("%s is exported", key)
		}
	}
	s := req.ResourceSpans[0].ScopeSpans[0].Spans[0]
	if s.Name != "mint" || hex.EncodeToString(s.TraceId) != parent[3:35] || hex.EncodeToString(s.ParentSpanId) != parent[36:52] {
		t.Errorf("%v", s)
	}
}

func TestSamplingByStandardVariables(t *testing.T) { //nolint:paralleltest // sets the environment
	url, got := receiver(t, http.StatusOK)
	getenv := setOTEL(t, map[string]string{"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": url + "/v1/traces", "OTEL_TRACES_SAMPLER": "parentbased_always_off"})
	e, err := trace.OpenExport(t.Context(), getenv, "", slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	_, span := e.Tracer().Start(t.Context(), trace.Internal, "not sampled")
	span.End("")
	_, span = e.Tracer().Start(trace.Extract(t.Context(), http.Header{"Traceparent": {parent}}), trace.Internal, "sampled by the caller")
	span.End("")
	e.Close(t.Context())
	if req := <-got; len(req.ResourceSpans[0].ScopeSpans[0].Spans) != 1 {
		t.Errorf("%v", req)
	}
}

func TestNothingIsExportedUnlessAskedFor(t *testing.T) { //nolint:paralleltest // beside tests that set the environment
	for name, set := range map[string]map[string]string{
		"no variable": nil, "none": {"OTEL_TRACES_EXPORTER": "none", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://localhost:1"},
		"disabled": {"OTEL_SDK_DISABLED": "true", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://localhost:1"}, "only a name": {"OTEL_SERVICE_NAME": "x"},
	} {
		e, err := trace.OpenExport(t.Context(), func(n string) string { return set[n] }, "", slog.New(slog.DiscardHandler))
		if err != nil || e.Tracer() != nil {
			t.Errorf("%s: %v", name, err)
		}
		e.Close(t.Context())
	}
}

func TestUnknownExporterIsRefused(t *testing.T) { //nolint:paralleltest // sets the environment
	getenv := setOTEL(t, map[string]string{"OTEL_TRACES_EXPORTER": "jaegr"})
	if _, err := trace.OpenExport(t.Context(), getenv, "", slog.New(slog.DiscardHandler)); err == nil || !strings.Contains(err.Error(), "OTEL_") {
		t.Errorf("%v", err)
	}
}

// TestReceiverThatIsAwayIsLoggedByItsCause: without its URL, which may carry a key.
func TestReceiverThatIsAwayIsLoggedByItsCause(t *testing.T) { //nolint:paralleltest // sets the environment
	gone := httptest.NewServer(http.NotFoundHandler())
	gone.Close()
	getenv := setOTEL(t, map[string]string{
		"OTEL_EXPORTER_OTLP_ENDPOINT": strings.Replace(gone.URL, "http://", "http://secret-user:secret-key@", 1), "OTEL_EXPORTER_OTLP_TIMEOUT": "300",
	})
	var log bytes.Buffer
	e, err := trace.OpenExport(t.Context(), getenv, "", slog.New(slog.NewTextHandler(&log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	_, span := e.Tracer().Start(t.Context(), trace.Internal, "lost")
	span.End("")
	e.Close(context.WithoutCancel(t.Context()))
	if got := log.String(); !strings.Contains(got, "traces could not be exported") || !strings.Contains(got, "cause=") || strings.Contains(got, "secret") || strings.Contains(got, "127.0.0.1") {
		t.Errorf("log: %s", got)
	}
	t.Log(log.String())
}
