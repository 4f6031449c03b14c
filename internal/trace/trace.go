package trace

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
)

// scope names what instruments this program.
const scope = "github.com/connectlink/connectlink"

// Kind is the role of a span in its trace.
type Kind trace.SpanKind

// The kinds of spans.
const (
	Internal = Kind(trace.SpanKindInternal)
	Server   = Kind(trace.SpanKindServer)   // answers a request
	Client   = Kind(trace.SpanKindClient)   // calls a vendor or a product
	Consumer = Kind(trace.SpanKindConsumer) // works on queued items
)

// Tracer begins spans. A nil Tracer records nothing and still hands the context of
// a caller's trace on.
type Tracer struct{ tracer trace.Tracer }

// New makes a Tracer over a provider of OpenTelemetry's.
func New(p trace.TracerProvider) *Tracer { return &Tracer{tracer: p.Tracer(scope)} }

// Span is one step of a trace. The zero Span records nothing.
type Span struct{ span trace.Span }

// Start begins a span as a child of the one in ctx, and returns a context with it.
func (t *Tracer) Start(ctx context.Context, kind Kind, name string, attrs ...Attr) (context.Context, Span) {
	return t.start(ctx, kind, name, attrs)
}

// StartAt is Start with the span's begin, and a link to the span in from. A link
// says what caused a step that belongs to another trace.
func (t *Tracer) StartAt(ctx context.Context, at time.Time, from context.Context, kind Kind, name string, attrs ...Attr) (context.Context, Span) { //nolint:revive // two contexts: a parent and a cause
	return t.start(ctx, kind, name, attrs, trace.WithTimestamp(at), linkTo(from))
}

// StartOwn begins a trace of its own, linked to the span in ctx.
func (t *Tracer) StartOwn(ctx context.Context, kind Kind, name string, attrs ...Attr) (context.Context, Span) {
	return t.start(ctx, kind, name, attrs, trace.WithNewRoot(), linkTo(ctx))
}

func linkTo(from context.Context) trace.SpanStartOption {
	if sc := trace.SpanContextFromContext(from); sc.IsValid() {
		return trace.WithLinks(trace.Link{SpanContext: sc})
	}
	return trace.WithAttributes()
}

func (t *Tracer) start(ctx context.Context, kind Kind, name string, attrs []Attr, opts ...trace.SpanStartOption) (context.Context, Span) {
	if t == nil {
		return ctx, Span{}
	}
	opts = append(opts, trace.WithSpanKind(trace.SpanKind(kind)), trace.WithAttributes(keyValues(attrs)...))
	ctx, s := t.tracer.Start(ctx, name, opts...)
	return ctx, Span{s}
}

// Set adds attributes.
func (s Span) Set(attrs ...Attr) {
	if s.span != nil && s.span.IsRecording() {
		s.span.SetAttributes(keyValues(attrs)...)
	}
}

// End ends the span. fault is a word for what went wrong, such as an error code or
// a cause of package wire; empty: nothing did.
func (s Span) End(fault string) {
	if s.span == nil {
		return
	}
	if fault != "" {
		s.span.SetAttributes(attribute.String("error.type", word(fault)))
		s.span.SetStatus(codes.Error, "")
	}
	s.span.End()
}

// Attr is an attribute of a span.
type Attr struct{ kv attribute.KeyValue }

func keyValues(attrs []Attr) []attribute.KeyValue {
	out := make([]attribute.KeyValue, 0, len(attrs))
	for _, a := range attrs {
		if a.kv.Valid() {
			out = append(out, a.kv)
		}
	}
	return out
}

// Invite, Delivery, Attempt, Endpoint, Event and Request are ids of this service.
func Invite(id fmt.Stringer) Attr   { return wordAttr("connectlink.invite.id", id.String()) }
func Delivery(id fmt.Stringer) Attr { return wordAttr("connectlink.delivery.id", id.String()) }
func Attempt(id fmt.Stringer) Attr  { return wordAttr("connectlink.attempt.id", id.String()) }
func Endpoint(id fmt.Stringer) Attr { return wordAttr("connectlink.endpoint.id", id.String()) }
func Event(id fmt.Stringer) Attr    { return wordAttr("connectlink.event.id", id.String()) }
func Request(id string) Attr        { return wordAttr("connectlink.request.id", id) }

// Method, Route and Status are of HTTP. The route is a pattern, never a path.
func Method(name string) Attr   { return wordAttr("http.request.method", name) }
func Route(pattern string) Attr { return Attr{attribute.String("http.route", pattern)} }
func Status(code int) Attr {
	if code == 0 {
		return Attr{}
	}
	return Attr{attribute.Int("http.response.status_code", code)}
}

// Provider, Channel, Outcome and Type are words of fixed sets.
func Provider(name string) Attr { return wordAttr("connectlink.provider", name) }
func Channel(name string) Attr  { return wordAttr("connectlink.channel", name) }
func Outcome(name string) Attr  { return wordAttr("connectlink.outcome", name) }
func Type(name string) Attr     { return wordAttr("connectlink.event.type", name) }

// Number is which attempt it is, from 1.
func Number(n int) Attr { return Attr{attribute.Int("connectlink.attempt.number", n)} }

func wordAttr(key, value string) Attr { return Attr{attribute.String(key, word(value))} }

// longestWord bounds a word; ids have 30 characters.
const longestWord = 60

// word returns s if it can be an id or a word of a set, else "other":
// anything else could be text of a person or a vendor.
func word(s string) string {
	if len(s) > longestWord {
		return "other"
	}
	for i := range len(s) {
		switch c := s[i]; {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '_', c == '.', c == '-':
		default:
			return "other"
		}
	}
	return s
}

// size of a stored context: trace id, span id, flags.
const size = 16 + 8 + 1

// Marshal returns the context of the span in ctx as it is stored with an invite;
// nil where ctx has none.
func Marshal(ctx context.Context) []byte {
	sc := trace.SpanContextFromContext(ctx)
	if !sc.IsValid() {
		return nil
	}
	id, span := sc.TraceID(), sc.SpanID()
	out := make([]byte, 0, size)
	out = append(out, id[:]...)
	out = append(out, span[:]...)
	return append(out, byte(sc.TraceFlags()))
}

// Resume returns ctx as of the span that Marshal stored. Without a stored context
// it returns a context without a span, so that nothing is attributed to the
// trace of another invite.
func Resume(ctx context.Context, stored []byte) context.Context {
	if len(stored) != size {
		if trace.SpanContextFromContext(ctx).IsValid() {
			return trace.ContextWithSpanContext(ctx, trace.SpanContext{})
		}
		return ctx
	}
	return trace.ContextWithRemoteSpanContext(ctx, trace.NewSpanContext(trace.SpanContextConfig{
		TraceID: trace.TraceID(stored[:16]), SpanID: trace.SpanID(stored[16:24]), TraceFlags: trace.TraceFlags(stored[24]),
	}))
}

// Extract returns ctx as of the caller's span, by traceparent (W3C Trace Context).
// tracestate is dropped: its text is the caller's, and would be exported.
func Extract(ctx context.Context, h http.Header) context.Context {
	if len(h["Traceparent"]) == 0 {
		return ctx
	}
	sc := trace.SpanContextFromContext(propagation.TraceContext{}.Extract(ctx, propagation.HeaderCarrier(h)))
	if !sc.IsValid() {
		return ctx
	}
	return trace.ContextWithRemoteSpanContext(ctx, sc.WithTraceState(trace.TraceState{}))
}

// Inject writes traceparent, for the receiver of a request to continue the trace.
func Inject(ctx context.Context, h http.Header) {
	propagation.TraceContext{}.Inject(ctx, propagation.HeaderCarrier(h))
}
