package app_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/gorillamux"

	"github.com/connectlink/connectlink/internal/access"
	"github.com/connectlink/connectlink/internal/longtest"
	"github.com/connectlink/connectlink/internal/waittest"
)

// fuzzSeed is fixed, so that a failure repeats.
const fuzzSeed = 20261128

// fuzzRounds is how many random requests each operation gets beside the listed
// ones. CONNECTLINK_FUZZ_ROUNDS sets another number for a run over everything, in
// which each member also gets each hostile text.
func fuzzRounds(t *testing.T) (rounds int, isLong bool) {
	t.Helper()
	text, ok := os.LookupEnv("CONNECTLINK_FUZZ_ROUNDS")
	switch {
	case !ok && longtest.Wanted():
		return 6, false
	case !ok:
		return 3, false
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 0 {
		t.Fatalf("CONNECTLINK_FUZZ_ROUNDS: %q is not a number", text)
	}
	return n, true
}

// fuzzer sends requests to a whole process and holds each answer to the
// document that the process serves.
type fuzzer struct {
	*product
	doc    *openapi3.T
	router routers.Router
	rand   *rand.Rand
	client string // a client token
	isLong bool
	judge  func(op string, q fuzzRequest, resp *http.Response, answer []byte)

	mu     sync.Mutex
	faults map[string]int
	status map[string]map[int]int // by operation
}

func newFuzzer(t *testing.T) *fuzzer {
	t.Helper()
	p := start(t, boot{env: map[string]string{
		"CONNECTLINK_APPLE_APP_IDS": "A1B2C3D4E5.example.acme.app", "CONNECTLINK_ANDROID_APPS": "example.acme.app=" + strings.Repeat("0a", 32),
		"CONNECTLINK_SECURITY_CONTACT": "mailto:security@acme.example",
	}}).scoped(append(access.DefaultScopes(), access.Suppressions, access.Admin, access.Webhooks)...)
	f := &fuzzer{product: p, rand: rand.New(rand.NewPCG(fuzzSeed, 1)), faults: map[string]int{}, status: map[string]map[int]int{}}
	f.judge = f.isAsDocumented
	resp, err := f.http.Get(f.base + "/v1/openapi.json") //nolint:noctx // a test's
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	if f.doc, err = openapi3.NewLoader().LoadFromData(raw); err != nil {
		t.Fatal(err)
	}
	if f.router, err = gorillamux.NewRouter(f.doc); err != nil {
		t.Fatal(err)
	}
	return f
}

// fuzzRequest is one request as it goes out: the target is sent as written.
type fuzzRequest struct {
	method, target string
	header         http.Header
	body           []byte
	what           string // which input it tries
}

// send sends a request and judges the answer.
func (f *fuzzer) send(op string, q fuzzRequest) (int, []byte) {
	f.t.Helper()
	u, err := url.Parse(f.base)
	if err != nil {
		f.t.Fatal(err)
	}
	u.Opaque = q.target
	var body io.Reader
	if q.body != nil {
		body = bytes.NewReader(q.body)
	}
	r, err := http.NewRequestWithContext(f.t.Context(), q.method, f.base, body)
	if err != nil {
		return 0, nil // not a request that this client can send: the wire tests send those
	}
	r.URL, r.Header = u, q.header
	resp, err := f.http.Do(r)
	if err != nil {
		if strings.Contains(err.Error(), "invalid header field") {
			return 0, nil
		}
		f.fault(op, q, "no answer", err.Error())
		return 0, nil
	}
	defer func() { _ = resp.Body.Close() }()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		f.fault(op, q, "answer breaks off", err.Error())
	}
	f.mu.Lock()
	if f.status[op] == nil {
		f.status[op] = map[int]int{}
	}
	f.status[op][resp.StatusCode]++
	f.mu.Unlock()
	f.judge(op, q, resp, answer)
	return resp.StatusCode, answer
}

// isAsDocumented demands an answer that the document describes, and no failure
// of ours.
func (f *fuzzer) isAsDocumented(op string, q fuzzRequest, resp *http.Response, answer []byte) {
	if resp.StatusCode >= 500 && !isRetryable(resp, answer) {
		f.fault(op, q, resp.Status, string(answer))
		return
	}
	target, err := url.ParseRequestURI(q.target)
	if err != nil || q.method == http.MethodHead || isOfServer(resp.StatusCode) {
		return
	}
	r := (&http.Request{Method: q.method, URL: target, Header: q.header.Clone(), Body: io.NopCloser(bytes.NewReader(q.body))}).WithContext(context.Background())
	route, path, err := f.router.FindRoute(r)
	if err != nil {
		// No operation has this path or this method.
		if resp.StatusCode < 400 && q.method != http.MethodOptions && !strings.HasSuffix(target.Path, "/") {
			f.fault(op, q, "is not documented and was answered "+resp.Status, string(answer))
		}
		if kind := resp.Header.Get("Content-Type"); strings.HasPrefix(target.Path, "/v1/") && resp.StatusCode >= 400 {
			if kind != "application/problem+json" {
				f.fault(op, q, "a failure of type "+kind, string(answer))
			} else if err := f.isProblem(answer); err != nil {
				f.fault(op, q, "a problem that is not as documented", err.Error())
			}
		}
		return
	}
	options := &openapi3filter.Options{
		IncludeResponseStatus: true, ExcludeRequestQueryParams: true, AuthenticationFunc: openapi3filter.NoopAuthenticationFunc,
		RejectWhenRequestBodyNotSpecified: true, SkipSettingDefaults: true,
	}
	in := &openapi3filter.RequestValidationInput{Request: r, PathParams: path, Route: route, Options: options}
	// An empty list counts as an empty object, as the document says: PHP writes both alike.
	if resp.StatusCode < 400 && !refusesItem(answer) && len(bytes.TrimSpace(q.body)) > 0 && !bytes.Contains(q.body, []byte("[]")) && route.Operation.RequestBody != nil {
		if err := openapi3filter.ValidateRequest(r.Context(), in); err != nil {
			f.fault(op, q, "accepted, and the document forbids it", err.Error())
		}
	}
	out := &openapi3filter.ResponseValidationInput{RequestValidationInput: in, Status: resp.StatusCode, Header: resp.Header, Options: options}
	if kind := resp.Header.Get("Content-Type"); strings.HasPrefix(kind, "text/html") || resp.StatusCode == http.StatusNotModified {
		with := *options
		with.ExcludeResponseBody = true
		out.Options = &with
	}
	out.SetBodyBytes(answer)
	if err := openapi3filter.ValidateResponse(r.Context(), out); err != nil {
		f.fault(op, q, "an answer "+resp.Status+" that the document does not describe", err.Error()+"\n"+string(answer))
	}
}

// isOfServer reports whether net/http gives the answer before a handler sees the request.
func isOfServer(status int) bool {
	return status == http.StatusExpectationFailed || status == http.StatusRequestHeaderFieldsTooLarge
}

// isRetryable accepts 502 and 503 where the answer says that a repeat may help.
func isRetryable(resp *http.Response, answer []byte) bool {
	if resp.StatusCode != http.StatusBadGateway && resp.StatusCode != http.StatusServiceUnavailable {
		return resp.StatusCode == http.StatusNotImplemented // announced, not available yet
	}
	var p struct {
		Retryable bool `json:"retryable"`
	}
	return json.Unmarshal(answer, &p) == nil && p.Retryable && resp.Header.Get("Retry-After") != ""
}

func (f *fuzzer) isProblem(answer []byte) error {
	var v any
	if err := json.Unmarshal(answer, &v); err != nil {
		return err
	}
	return f.doc.Components.Schemas["Problem"].Value.VisitJSON(v)
}

// fault reports each kind once, and counts the rest.
func (f *fuzzer) fault(op string, q fuzzRequest, kind, detail string) {
	f.t.Helper()
	f.mu.Lock()
	key := op + " " + kind + firstLine(detail)
	f.faults[key]++
	n := f.faults[key]
	f.mu.Unlock()
	if n == 1 {
		f.t.Errorf("%s, %s: %s %.200q %.200v\nbody %.300q\n%s: %.600s", op, q.what, q.method, q.target, headerText(q.header), q.body, kind, detail)
	}
}

func firstLine(s string) string {
	s, _, _ = strings.Cut(s, "\n")
	return s[:min(len(s), 60)]
}

// headerText is headers without the key.
func headerText(h http.Header) string {
	shown := h.Clone()
	shown.Del("Authorization")
	return fmt.Sprint(shown)
}

// sample chooses most of the requests, and in the short form a fifth of that; the
// seed chooses the same ones each time.
func (f *fuzzer) sample(requests []fuzzRequest, most int) []fuzzRequest {
	if !longtest.Wanted() {
		most = (most + 4) / 5
	}
	f.rand.Shuffle(len(requests), func(i, k int) { requests[i], requests[k] = requests[k], requests[i] })
	return requests[:min(len(requests), most)]
}

// inParallel runs jobs on four goroutines; the list is the same each time.
func inParallel(jobs []func()) {
	next := make(chan func())
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for job := range next {
				job()
			}
		})
	}
	for _, job := range jobs {
		next <- job
	}
	close(next)
	wg.Wait()
}

// operation is one of the document, with a request that succeeds.
type operation struct {
	id, method, path string
	op               *openapi3.Operation
	params           openapi3.Parameters
	body             *openapi3.Schema // nil: it takes none
	valid            map[string]any
}

func (f *fuzzer) operations() (list []operation) {
	f.t.Helper()
	valid := map[string]map[string]any{
		"createInvite":      {"external_user_id": "u1", "app": "slack", "channel": "email", "recipient": map[string]any{"email": "delivered@connectlink.test", "name": "Pat Lee"}, "inviter": map[string]any{"name": "Sam"}, "metadata": map[string]any{"k": "v"}},
		"previewInvite":     {"external_user_id": "u1", "app": "slack", "channel": "email", "recipient": map[string]any{"email": "delivered@connectlink.test", "name": "Pat Lee"}, "inviter": map[string]any{"name": "Sam"}},
		"resendInvite":      {"note": "Again"},
		"extendInvite":      {"valid_for": 864000},
		"reconnectInvite":   {"note": "Again", "recipient": map[string]any{"name": "Pat Lee"}},
		"revokeInvite":      {"reason": "done"},
		"addSuppression":    {"email": "jo@customer.example", "reason": "Asked by phone"},
		"liftSuppression":   {"reason": "Was wrong"},
		"exportPerson":      {"external_user_id": "u-export"},
		"erasePerson":       {"external_user_id": "u-erase"},
		"advanceTestInvite": {"to": "expired"},
		"pauseSending":      {"channel": "sms", "country": "GB", "reason": "pumping"},
		"resumeSending":     {"channel": "sms", "country": "GB"},
		"setTestFault":      {"vendor": "sms", "kind": "doubled_events", "duration": 1},
		"searchInvites": {
			"limit": 2, "status": []any{"active"}, "channel": "email", "app": "slack", "external_user_id": "u1", "recipient": "pat@customer.example",
			"created": map[string]any{"gte": "2026-01-01"}, "reason": "address_not_found",
		},
		"createWebhookEndpoint":  {"url": "http://127.0.0.1:9/", "description": "Backend", "types": []any{"invite.connected"}},
		"updateWebhookEndpoint":  {"description": "Backend", "types": []any{}, "disabled": false},
		"rotateWebhookSecret":    {"expire_old_in": 60},
		"testWebhookEndpoint":    {"type": "invite.connected"},
		"recoverWebhookEndpoint": {"since": "2026-01-01T00:00:00Z"},
		"redeliverEvent":         {},
		"createInvites":          {"invites": []any{map[string]any{"external_user_id": "u1", "app": "slack", "channel": "link"}}},
		"revokeInvites":          {"external_user_id": "u-revoke"},
		"searchSuppressions":     {"limit": 2, "channel": "email", "kind": "by_hand", "recipient": "jo@customer.example"},
	}
	for _, path := range slices.Sorted(maps.Keys(f.doc.Paths.Map())) {
		item := f.doc.Paths.Map()[path]
		for _, method := range slices.Sorted(maps.Keys(item.Operations())) {
			op := item.Operations()[method]
			o := operation{id: op.OperationID, method: method, path: path, op: op, params: append(slices.Clone(item.Parameters), op.Parameters...)}
			if op.RequestBody != nil {
				o.body = op.RequestBody.Value.Content.Get("application/json").Schema.Value
				if o.valid = valid[o.id]; o.valid == nil {
					f.t.Errorf("%s takes a body, and the fuzzer knows no valid one", o.id)
					continue
				}
			}
			list = append(list, o)
		}
	}
	return list
}

// request builds the operation's valid request with some parts replaced:
// parameters by name, and the body's bytes.
func (f *fuzzer) request(o operation, ids map[string]string, with map[string]string, body []byte, what string) fuzzRequest {
	q := fuzzRequest{method: o.method, target: o.path, header: http.Header{}, body: body, what: what}
	query := url.Values{}
	q.header.Set("Authorization", "Bearer "+f.key)
	if strings.HasPrefix(o.path, "/v1/client/") {
		q.header.Set("Authorization", "Bearer "+f.client)
	}
	for _, ref := range o.params {
		p := ref.Value
		value, given := with[p.Name]
		switch p.In {
		case "path":
			if !given {
				value = url.PathEscape(ids[o.path])
			}
			q.target = strings.ReplaceAll(q.target, "{"+p.Name+"}", value)
		case "query":
			if given {
				query.Set(p.Name, value)
			}
		case "header":
			if given {
				q.header.Set(p.Name, value)
			}
		}
	}
	if len(query) > 0 {
		q.target += "?" + query.Encode()
	}
	if body != nil {
		q.header.Set("Content-Type", "application/json")
	}
	return q
}

// TestFuzzEveryOperationOfTheDocument sends boundary values, wrong types, hostile
// text and malformed JSON to each operation.
func TestFuzzEveryOperationOfTheDocument(t *testing.T) {
	t.Parallel()
	f := newFuzzer(t)
	var rounds int
	rounds, f.isLong = fuzzRounds(t)
	var jobs []func()
	for _, o := range f.operations() {
		ids := f.subjects(o)
		if status, answer := f.send(o.id, f.request(o, ids, nil, encode(o.valid), "a valid request")); status >= 400 && o.id != "ready" {
			t.Errorf("%s: the valid request is refused, so that nothing behind its checks is tried: %d %s", o.id, status, answer)
		}
		requests := f.listed(o, ids)
		if !f.isLong {
			requests = f.sample(requests, max(len(requests)/5, 150))
		}
		for range rounds {
			requests = append(requests, f.random(o, ids))
		}
		for _, q := range requests {
			jobs = append(jobs, func() { f.send(o.id, q) })
		}
	}
	t.Logf("%d requests", len(jobs))
	inParallel(jobs)
	if strings.Contains(f.logs.String(), "panic") {
		t.Error("the process panicked")
	}
	for _, id := range slices.Sorted(maps.Keys(f.status)) {
		t.Logf("%s: %v", id, f.status[id])
	}
	for key, n := range f.faults {
		if n > 1 {
			t.Logf("%d times: %s", n, key)
		}
	}
}

// subjects makes what an operation acts on and returns its id by path.
func (f *fuzzer) subjects(o operation) map[string]string {
	f.t.Helper()
	made := f.invite(201, to("delivered@connectlink.test"))
	if o.id == "resendInvite" {
		f.until(made.text("id"), "delivered", func(inv object) bool { return inv.text("delivery.status") == "delivered" })
	}
	id := made.text("id")
	ids := map[string]string{"/docs/errors/{code}": "internal", "/docs/guides/{guide}": "quickstart"}
	switch {
	case o.id == "reconnectInvite" || o.id == "checkConnection":
		connected := f.invite(201, with(to("delivered+connect@connectlink.test"), "external_user_id", "u-reconnect"))
		f.until(connected.text("id"), "connected", func(inv object) bool { return inv.text("status") == "connected" })
		ids[o.path] = connected.text("id")
	case strings.HasPrefix(o.path, "/v1/deliveries/"):
		ids[o.path] = made.text("delivery.id")
		if o.id == "getDeliveryContent" {
			f.until(id, "delivered", func(inv object) bool { return inv.text("delivery.status") == "delivered" })
		}
	case strings.HasPrefix(o.path, "/v1/suppressions/"):
		_, _, block := f.call("POST", "/v1/suppressions", object{"email": "lift@customer.example", "reason": "Asked"})
		ids[o.path] = block.text("id")
	case strings.HasPrefix(o.path, "/v1/webhook_endpoints/"):
		_, _, made := f.call("POST", "/v1/webhook_endpoints", object{"url": "http://127.0.0.1:9/"})
		ids[o.path] = made.text("id")
	case strings.HasPrefix(o.path, "/v1/events/"):
		waittest.Until(f.t, "the invite has an event", func() bool {
			_, _, list := f.call("GET", "/v1/events?invite="+id, nil)
			data, _ := list["data"].([]any)
			if len(data) > 0 {
				ids[o.path] = object(data[0].(map[string]any)).text("id")
			}
			return len(data) > 0
		})
	case o.id == "clearTestFault":
		ids[o.path] = "email"
	case o.id == "getTestMessage":
		f.until(id, "delivered", func(inv object) bool { return inv.text("delivery.status") == "delivered" })
		_, _, list := f.call("GET", "/v1/test_helpers/messages", nil)
		ids[o.path] = object(list["data"].([]any)[0].(map[string]any)).text("id")
	case strings.HasPrefix(o.path, "/v1/client/"):
		_, _, token := f.call("POST", "/v1/invites/"+id+"/client_token", nil)
		f.client = token.text("token")
		if f.client == "" {
			f.t.Fatalf("no client token: %v", token)
		}
	case ids[o.path] == "":
		ids[o.path] = id
	}
	return ids
}

func encode(v map[string]any) []byte {
	if v == nil {
		return nil
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		panic(err)
	}
	return bytes.TrimSpace(b.Bytes())
}

// refusesItem reports whether an answer is that of a batch of which items were refused,
// each for itself.
func refusesItem(answer []byte) bool {
	var batch struct {
		Results []struct {
			Status int `json:"status"`
		} `json:"results"`
	}
	if json.Unmarshal(answer, &batch) != nil {
		return false
	}
	for _, r := range batch.Results {
		if r.Status >= 400 {
			return true
		}
	}
	return false
}
