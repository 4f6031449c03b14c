// Package wiretest is test support for the edges: vendors' own OpenAPI
// documents to check every request against, and servers that fail in the ways
// networks do.
//
// The documents in testdata are the vendors' published ones, cut down to the
// operations used here; their licences stand beside them. Pipedream's carries
// in its head which parts are published and which are inferred.
package wiretest

import (
	"bytes"
	"context"
	"embed"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/gorillamux"
)

//go:embed testdata/pipedream.yaml testdata/sendgrid.json testdata/twilio.json
var documents embed.FS

// Spec is one vendor's OpenAPI document.
type Spec struct{ router routers.Router }

// Pipedream loads the document of Pipedream Connect.
func Pipedream(t testing.TB) *Spec { return load(t, "pipedream.yaml") }

// SendGrid loads the document of SendGrid's Mail Send.
func SendGrid(t testing.TB) *Spec { return load(t, "sendgrid.json") }

// Twilio loads the document of Twilio's Messages.
func Twilio(t testing.TB) *Spec { return load(t, "twilio.json") }

func load(t testing.TB, name string) *Spec {
	t.Helper()
	raw, err := documents.ReadFile("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return Parse(t, name, raw)
}

// Parse reads a document that a test brings itself.
func Parse(t testing.TB, name string, raw []byte) *Spec {
	t.Helper()
	doc, err := openapi3.NewLoader().LoadFromData(raw)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	// Requests go to a loopback address here; the host is not checked.
	doc.Servers = nil
	for _, item := range doc.Paths.Map() {
		item.Servers = nil
	}
	router, err := gorillamux.NewRouter(doc)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return &Spec{router: router}
}

// Check returns where a request violates the document. The body must be
// readable again afterwards, so it is passed beside the request.
func (s *Spec) Check(r *http.Request, body []byte) error {
	in, err := s.input(r, body)
	if err != nil {
		return err
	}
	return openapi3filter.ValidateRequest(context.Background(), in)
}

func (s *Spec) input(r *http.Request, body []byte) (*openapi3filter.RequestValidationInput, error) {
	r = r.Clone(context.Background())
	r.Body = io.NopCloser(bytes.NewReader(body))
	r.ContentLength = int64(len(body))
	route, params, err := s.router.FindRoute(r)
	if err != nil {
		return nil, err
	}
	return &openapi3filter.RequestValidationInput{
		Request: r, PathParams: params, Route: route,
		Options: &openapi3filter.Options{
			MultiError: true,
			// Credentials are checked by the servers of the tests, which know them.
			AuthenticationFunc: openapi3filter.NoopAuthenticationFunc,
		},
	}, nil
}

// Request is one request a Server has seen.
type Request struct {
	Method, Path, Query string
	Header              http.Header
	Body                []byte
}

// Server stands in for a vendor.
type Server struct {
	// URL is what to configure as the vendor's base URL. It has a path, as the
	// sandbox's has.
	URL  string
	http *httptest.Server

	mu   sync.Mutex
	seen []Request
}

// Prefix is the path of every Server's base URL.
const Prefix = "/vendor"

// Serve starts a server that checks every request against the document and
// fails the test for one that does not follow it. The body is readable in h.
func (s *Spec) Serve(t testing.TB, h http.HandlerFunc) *Server {
	t.Helper()
	srv := new(Server)
	srv.http = httptest.NewServer(s.handler(t, srv, h))
	srv.URL = srv.http.URL + Prefix
	t.Cleanup(srv.http.Close)
	return srv
}

func (s *Spec) handler(t testing.TB, srv *Server, h http.HandlerFunc) http.HandlerFunc {
	return func(rw http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return // cut off on purpose by the test
		}
		inner := r.Clone(r.Context())
		inner.URL.Path = strings.TrimPrefix(r.URL.Path, Prefix)
		inner.URL.RawPath = strings.TrimPrefix(r.URL.RawPath, Prefix)
		srv.mu.Lock()
		srv.seen = append(srv.seen, Request{
			Method: r.Method, Path: inner.URL.EscapedPath(), Query: r.URL.RawQuery, Header: r.Header.Clone(), Body: body,
		})
		srv.mu.Unlock()
		if err := s.Check(inner, body); err != nil {
			t.Errorf("%s %s does not follow the vendor's document: %v", r.Method, inner.URL.Path, err)
		}
		if r.Header.Get("Idempotency-Key") != "" {
			t.Errorf("%s %s carries an Idempotency-Key", r.Method, inner.URL.Path)
		}
		inner.Body = io.NopCloser(bytes.NewReader(body))
		h(rw, inner)
	}
}

// Requests returns the requests seen so far.
func (s *Server) Requests() []Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]Request(nil), s.seen...)
}

// Close stops the server early.
func (s *Server) Close() { s.http.Close() }
