package httpapi_test

import (
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/labstack/echo/v4"

	"github.com/connectlink/connectlink/internal/httpapi"
	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/web"
)

func page(e *echo.Echo, path string) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	e.ServeHTTP(w, httptest.NewRequest("GET", path, nil))
	return w
}

var (
	hrefs = regexp.MustCompile(`(?:href|src)="([^"]+)"`)
	ids   = regexp.MustCompile(`\bid="([^"]+)"`)
)

func TestEveryLinkOfTheDocumentationLeadsSomewhere(t *testing.T) {
	t.Parallel()
	e := newEcho(t, web.Params{}, httpapi.Params{PublicURL: publicURL})
	todo, done := []string{"/docs"}, map[string]*httptest.ResponseRecorder{}
	fragments := map[string][]string{}
	for len(todo) > 0 {
		path := todo[0]
		todo = todo[1:]
		if done[path] != nil {
			continue
		}
		w := page(e, path)
		done[path] = w
		if w.Code != 200 {
			t.Errorf("%s: %d", path, w.Code)
			continue
		}
		if !strings.HasPrefix(w.Header().Get("Content-Type"), "text/html") {
			continue
		}
		for _, m := range hrefs.FindAllStringSubmatch(w.Body.String(), -1) {
			to, fragment, _ := strings.Cut(m[1], "#")
			switch {
			case strings.HasPrefix(path, "/docs/guides/") && strings.HasPrefix(to, "https://"):
				continue // a guide may name its sources
			case strings.Contains(to, "//"):
				t.Errorf("%s leads elsewhere: %s", path, m[1])
			case to == "" && fragment == "":
				t.Errorf("%s has a link to nowhere", path)
			case to == "":
				to = path
			}
			if fragment != "" {
				fragments[to] = append(fragments[to], fragment)
			}
			todo = append(todo, to)
		}
	}
	if len(done) < 30 {
		t.Errorf("only %d pages reached", len(done))
	}
	for path, wanted := range fragments {
		var have []string
		for _, m := range ids.FindAllStringSubmatch(done[path].Body.String(), -1) {
			have = append(have, m[1])
		}
		for _, f := range wanted {
			if !slices.Contains(have, f) {
				t.Errorf("%s has no #%s", path, f)
			}
		}
	}
}

func TestEveryErrorCodeHasAPage(t *testing.T) {
	t.Parallel()
	e := newEcho(t, web.Params{}, httpapi.Params{PublicURL: publicURL})
	for _, k := range web.Kinds() {
		w := page(e, "/docs/errors/"+string(k.Code))
		if w.Code != 200 {
			t.Errorf("%s: %d", k.Code, w.Code)
			continue
		}
		body := w.Body.String()
		for _, want := range []string{string(k.Code), "What it means", "What to do", publicURL + "/docs/errors/" + string(k.Code)} {
			if !strings.Contains(body, want) {
				t.Errorf("%s: the page lacks %q", k.Code, want)
			}
		}
		if strings.Contains(body, "<p></p>") {
			t.Errorf("%s: a part of the page is empty", k.Code)
		}
	}
	w := page(e, "/docs/errors/none")
	if w.Code != 404 || w.Header().Get("Content-Type") != "application/problem+json" {
		t.Errorf("an unknown code: %d %s", w.Code, w.Body)
	}
}

func TestTheReasonsPageHasEveryReason(t *testing.T) {
	t.Parallel()
	e := newEcho(t, web.Params{}, httpapi.Params{})
	body := page(e, "/docs/reasons").Body.String()
	for _, r := range invite.Explanations() {
		if !strings.Contains(body, `id="`+string(r.Code)+`"`) {
			t.Errorf("%s is missing", r.Code)
		}
	}
}

func TestTheDocumentationLoadsNothingFromElsewhere(t *testing.T) {
	t.Parallel()
	e := newEcho(t, web.Params{}, httpapi.Params{})
	w := page(e, "/docs")
	body := strings.Replace(w.Body.String(), `<script src="/docs/docs.js" defer></script>`, "", 1)
	for _, forbidden := range []string{"<script", "style=", "@import", " on", "<img", "<iframe"} {
		if forbidden == " on" {
			if m := regexp.MustCompile(`<[^>]* on[a-z]+=`).FindString(body); m != "" {
				t.Errorf("a handler in the page: %s", m)
			}
			continue
		}
		if strings.Contains(body, forbidden) {
			t.Errorf("the page has %q", forbidden)
		}
	}
	if got := w.Header().Get("Content-Security-Policy"); !strings.HasPrefix(got, "default-src 'none'; style-src 'self'; script-src 'self';") {
		t.Errorf("policy = %q", got)
	}
	if css := page(e, "/docs/docs.css"); css.Header().Get("Content-Type") != "text/css; charset=utf-8" || strings.Contains(css.Body.String(), "url(") {
		t.Errorf("style sheet: %s", css.Header().Get("Content-Type"))
	}
}

func TestThePageShowsEveryOperationAndSchema(t *testing.T) {
	t.Parallel()
	c := loadContract(t)
	body := page(newEcho(t, web.Params{}, httpapi.Params{}), "/docs").Body.String()
	for path, item := range c.doc.Paths.Map() {
		for method, op := range item.Operations() {
			if !strings.Contains(body, `<article id="`+op.OperationID+`" class="operation">`) || !strings.Contains(body, "<h3><code>"+method+" "+path+"</code></h3>") {
				t.Errorf("%s %s is not shown", method, path)
			}
		}
	}
	for name, item := range c.doc.Webhooks {
		if !strings.Contains(body, `<article id="`+item.Post.OperationID+`" class="operation">`) || !strings.Contains(body, "<h3><code>"+name+"</code></h3>") {
			t.Errorf("webhook %s is not shown", name)
		}
	}
	for name := range c.doc.Components.Schemas {
		if !strings.Contains(body, `id="schema-`+name+`"`) {
			t.Errorf("schema %s is not shown", name)
		}
	}
}

func TestTheDocumentKeepsTheOrderItIsWrittenIn(t *testing.T) {
	t.Parallel()
	w := page(newEcho(t, web.Params{}, httpapi.Params{}), "/v1/openapi.json")
	body := w.Body.String()
	if a, b := strings.Index(body, `"openapi"`), strings.Index(body, `"components"`); a < 0 || b < a || !strings.HasPrefix(body, "{\n  \"openapi\": \"3.1.0\"") {
		t.Errorf("begins with %.60s", body)
	}
	if got := w.Header().Get("Access-Control-Allow-Origin"); got != "*" {
		t.Errorf("other origins may not read it: %q", got)
	}
}
