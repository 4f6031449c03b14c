package trace

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/contrib/exporters/autoexport"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/resource"
	sdk "go.opentelemetry.io/otel/sdk/trace"

	"github.com/connectlink/connectlink/internal/wire"
)

// Export is the export of traces of one process.
type Export struct {
	provider *sdk.TracerProvider // nil: no exporter is configured
}

// Tracer returns the Tracer whose spans are exported; nil where no exporter is
// configured.
func (e *Export) Tracer() *Tracer {
	if e.provider == nil {
		return nil
	}
	return New(e.provider)
}

// OpenExport opens the exporter that the standard variables of OpenTelemetry name:
// OTEL_TRACES_EXPORTER, OTEL_EXPORTER_OTLP_* and their like. Sampling, batches and
// resource attributes follow the standard variables too. Without
// OTEL_TRACES_EXPORTER and without an endpoint nothing is exported. getenv must
// read the environment of the process, which the exporters read by themselves.
func OpenExport(ctx context.Context, getenv func(string) string, version string, log *slog.Logger) (*Export, error) {
	if !isWanted(getenv) {
		return &Export{}, nil
	}
	exporter, err := autoexport.NewSpanExporter(ctx)
	if err != nil {
		return nil, fmt.Errorf("open the exporter of traces by the OTEL_ variables: %w", err)
	}
	// No detector of the process: its arguments may hold secrets. The environment's
	// attributes come last and win.
	res, err := resource.New(ctx, resource.WithTelemetrySDK(),
		resource.WithAttributes(attribute.String("service.name", "connectlink"), attribute.String("service.version", version)), resource.WithFromEnv())
	if err != nil {
		return nil, fmt.Errorf("read OTEL_RESOURCE_ATTRIBUTES: %w", err)
	}
	p := sdk.NewTracerProvider(sdk.WithBatcher(&quiet{SpanExporter: exporter, log: log, now: time.Now}), sdk.WithResource(res))
	return &Export{provider: p}, nil
}

// isWanted reports whether the environment asks for an exporter.
func isWanted(getenv func(string) string) bool {
	if strings.EqualFold(getenv("OTEL_SDK_DISABLED"), "true") {
		return false
	}
	if name := getenv("OTEL_TRACES_EXPORTER"); name != "" {
		return name != "none"
	}
	return getenv("OTEL_EXPORTER_OTLP_ENDPOINT") != "" || getenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT") != ""
}

// closeWithin bounds the export of the last spans at a stop.
const closeWithin = 3 * time.Second

// Close exports the last spans.
func (e *Export) Close(ctx context.Context) {
	if e.provider == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeWithin)
	defer cancel()
	_ = e.provider.Shutdown(ctx) // spans are lost, which quiet has logged
}

// warnEvery is how often a receiver that does not take spans is reported.
const warnEvery = time.Minute

// quiet logs faults of an exporter once a minute. The SDK would hand each to a
// handler that is global and prints the receiver's URL.
type quiet struct {
	sdk.SpanExporter
	log  *slog.Logger
	now  func() time.Time
	last atomic.Int64
	lost atomic.Int64 // spans since the last line
}

// ExportSpans implements sdk.SpanExporter. It returns no error.
func (q *quiet) ExportSpans(ctx context.Context, spans []sdk.ReadOnlySpan) error {
	err := q.SpanExporter.ExportSpans(ctx, spans)
	if err == nil {
		return nil
	}
	lost := q.lost.Add(int64(len(spans)))
	before, now := q.last.Load(), q.now()
	if before != 0 && now.Sub(time.Unix(0, before)) < warnEvery || !q.last.CompareAndSwap(before, now.UnixNano()) {
		return nil
	}
	q.lost.Add(-lost)
	q.log.WarnContext(ctx, "traces could not be exported", "spans", lost, "cause", causeOf(err))
	return nil
}

// causeOf names why spans were not taken, without the receiver's address.
func causeOf(err error) string {
	var f *wire.Fault
	if errors.As(wire.Strip(err), &f) {
		return f.Cause()
	}
	return "other"
}
