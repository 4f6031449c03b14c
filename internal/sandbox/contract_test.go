package sandbox_test

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
)

// contracts are the vendors' own documents, read once.
var contracts = sync.OnceValues(func() (map[string]*openapi3.T, error) {
	out := map[string]*openapi3.T{}
	for vendor, file := range map[string]string{"pipedream": "pipedream.yaml", "twilio": "twilio.json", "sendgrid": "sendgrid.json"} {
		raw, err := os.ReadFile(filepath.Join("testdata", file))
		if err != nil {
			return nil, err
		}
		if out[vendor], err = openapi3.NewLoader().LoadFromData(raw); err != nil {
			return nil, err
		}
	}
	return out, nil
})

var parameter = regexp.MustCompile(`\\\{[^/]*?\\\}`)

// findRoute finds an operation by path. The library's own router knows no
// parameter inside a segment, as in Messages/{Sid}.json.
func findRoute(doc *openapi3.T, method, path string) *routers.Route {
	for template, item := range doc.Paths.Map() {
		want := parameter.ReplaceAllString(regexp.QuoteMeta(template), `[^/]+`)
		op := item.GetOperation(method)
		if op != nil && regexp.MustCompile("^"+want+"$").MatchString(path) {
			return &routers.Route{Spec: doc, Path: template, PathItem: item, Method: method, Operation: op}
		}
	}
	return nil
}

// checkContract holds every vendor's answer of every test against that
// vendor's document: status declared, headers and body as declared.
func checkContract(t *testing.T, base string, req *http.Request, res *http.Response, body []byte) {
	t.Helper()
	path, ok := strings.CutPrefix(req.URL.String(), base)
	if !ok {
		return
	}
	vendor, rest, _ := strings.Cut(strings.TrimPrefix(path, "/"), "/")
	all, err := contracts()
	if err != nil {
		t.Fatalf("read the contracts: %v", err)
	}
	doc, ok := all[vendor]
	switch {
	case !ok: // /admin
		return
	case vendor == "sendgrid" && res.StatusCode == http.StatusOK && rest == "v3/mail/send":
		return // sandbox mode's answer is in the prose only
	}
	asked := req.Clone(context.Background())
	route := findRoute(doc, req.Method, "/"+strings.Split(rest, "?")[0])
	if route == nil {
		if res.StatusCode != http.StatusNotFound && !undocumented(rest) {
			t.Errorf("%s %s: answered %d, but the document knows no such call", req.Method, rest, res.StatusCode)
		}
		return
	}
	if res.StatusCode >= 400 && route.Operation.Responses.Status(res.StatusCode) == nil {
		return // the documents declare few refusals; the tests assert them one by one
	}
	err = openapi3filter.ValidateResponse(context.Background(), &openapi3filter.ResponseValidationInput{
		RequestValidationInput: &openapi3filter.RequestValidationInput{Request: asked, Route: route},
		Status:                 res.StatusCode, Header: res.Header, Body: io.NopCloser(bytes.NewReader(body)),
		Options: &openapi3filter.Options{IncludeResponseStatus: true, MultiError: true},
	})
	if err != nil {
		t.Errorf("%s %s answered %d against %s's document: %v\n%s", req.Method, rest, res.StatusCode, vendor, err, body)
	}
}

// undocumented calls are known from the contract's prose or other documents.
func undocumented(rest string) bool {
	return strings.HasPrefix(rest, "v3/scopes") || strings.HasPrefix(rest, "v3/suppression") || strings.HasPrefix(rest, "v3/user")
}

func TestContractCheckCanFail(t *testing.T) {
	t.Parallel()
	all, err := contracts()
	if err != nil {
		t.Fatal(err)
	}
	req, _ := http.NewRequest("GET", "http://vendor.example/v1/connect/apps/slack", nil)
	route := findRoute(all["pipedream"], "GET", "/v1/connect/apps/slack")
	if route == nil {
		t.Fatal("the document lacks the call")
	}
	err = openapi3filter.ValidateResponse(t.Context(), &openapi3filter.ResponseValidationInput{
		RequestValidationInput: &openapi3filter.RequestValidationInput{Request: req, Route: route},
		Status:                 200, Header: http.Header{"Content-Type": {"application/json"}},
		Body: io.NopCloser(strings.NewReader(`{"data":{"name":"Slack"}}`)),
	})
	if err == nil {
		t.Fatal("an App without its required members passed the check")
	}
}
