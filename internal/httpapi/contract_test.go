package httpapi_test

import (
	"bytes"
	"context"
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

	"github.com/connectlink/connectlink/internal/httpapi"
	"github.com/connectlink/connectlink/internal/web"
)

// contract checks requests and answers against the document that is served.
type contract struct {
	doc    *openapi3.T
	router routers.Router

	mu   sync.Mutex
	seen map[string]bool // operation ids answered with success
}

// loadContract reads the document as callers get it, so that its JSON form is
// tested.
func loadContract(t *testing.T) *contract {
	t.Helper()
	served := servedContract(t)
	return &contract{doc: served.doc, router: served.router, seen: map[string]bool{}}
}

// servedOnce is read once for all tests: reading and routing take long.
//
//nolint:gochecknoglobals // the file does not change
var servedOnce struct {
	sync.Once
	contract *contract
}

func servedContract(t *testing.T) *contract {
	t.Helper()
	servedOnce.Do(func() { servedOnce.contract = readContract(t) })
	if servedOnce.contract == nil {
		t.Fatal("the document could not be read")
	}
	return servedOnce.contract
}

func readContract(t *testing.T) *contract {
	t.Helper()
	e := newEcho(t, web.Params{}, httpapi.Params{})
	w := httptest.NewRecorder()
	e.ServeHTTP(w, httptest.NewRequest("GET", "/v1/openapi.json", nil))
	if w.Code != 200 {
		t.Fatalf("document: %d %s", w.Code, w.Body)
	}
	doc, err := openapi3.NewLoader().LoadFromData(w.Body.Bytes())
	if err != nil {
		t.Fatalf("document: %v", err)
	}
	if err := doc.Validate(context.Background()); err != nil {
		t.Fatalf("document: %v", err)
	}
	closeSchemas(doc)
	router, err := gorillamux.NewRouter(doc)
	if err != nil {
		t.Fatal(err)
	}
	return &contract{doc: doc, router: router}
}

// closeSchemas makes undocumented members a fault. In the document objects of
// answers stay open, because changes are additive; in a test of the same
// version an undocumented member is forgotten documentation.
func closeSchemas(doc *openapi3.T) {
	no := false
	for _, ref := range doc.Components.Schemas {
		if s := ref.Value; len(s.Properties) > 0 && s.AdditionalProperties.Has == nil && s.AdditionalProperties.Schema == nil {
			s.AdditionalProperties.Has = &no
		}
	}
}

// options: every documented part must exist, statuses included.
func options() *openapi3filter.Options {
	return &openapi3filter.Options{
		IncludeResponseStatus: true, MultiError: true, AuthenticationFunc: openapi3filter.NoopAuthenticationFunc,
		RejectWhenRequestBodyNotSpecified: true, SkipSettingDefaults: true,
	}
}

// check compares one exchange with the document. An accepted request must be
// allowed by the document; every answer must be documented.
func (c *contract) check(t *testing.T, r *http.Request, body []byte, resp *http.Response, answer []byte) {
	t.Helper()
	r = r.Clone(context.Background())
	r.Body = io.NopCloser(bytes.NewReader(body))
	r.URL.Scheme, r.URL.Host, r.Host = "", "", ""
	if r.Method == http.MethodHead || r.Method == http.MethodOptions {
		return
	}
	route, path, err := c.router.FindRoute(r)
	if err != nil {
		if !strings.HasPrefix(r.URL.Path, "/hooks/") && resp.StatusCode < 400 {
			t.Errorf("contract: %s %s is not documented: %v", r.Method, r.URL.Path, err)
		}
		return
	}
	in := &openapi3filter.RequestValidationInput{Request: r, PathParams: path, Route: route, Options: options()}
	if resp.StatusCode < 400 {
		if err := openapi3filter.ValidateRequest(r.Context(), in); err != nil {
			t.Errorf("contract: %s %s was accepted, but the document forbids it: %v", r.Method, r.URL.Path, err)
		}
		c.mu.Lock()
		c.seen[route.Operation.OperationID] = true
		c.mu.Unlock()
	}
	if s := resp.StatusCode; s >= 400 && s < 500 && route.Operation.Responses.Status(s) == nil {
		t.Errorf("contract: the answer %d to %s %s is documented as `default` only: %s", s, r.Method, r.URL.Path, answer)
	}
	out := &openapi3filter.ResponseValidationInput{RequestValidationInput: in, Status: resp.StatusCode, Header: resp.Header, Options: options()}
	if kind := resp.Header.Get("Content-Type"); strings.HasPrefix(kind, "text/html") || kind == "text/event-stream" {
		out.Options.ExcludeResponseBody = true
	}
	out.SetBodyBytes(answer)
	if err := openapi3filter.ValidateResponse(r.Context(), out); err != nil {
		t.Errorf("contract: the answer %d to %s %s is not as documented: %v\n%s", resp.StatusCode, r.Method, r.URL.Path, err, answer)
	}
}
