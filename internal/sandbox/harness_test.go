package sandbox_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/connectlink/connectlink/internal/postgrestest"
	"github.com/connectlink/connectlink/internal/sandbox"
	"github.com/connectlink/connectlink/internal/seal"
	"github.com/connectlink/connectlink/internal/secret"
	"github.com/connectlink/connectlink/internal/waittest"
)

// world is a sandbox on real listeners, with a product that only listens.
type world struct {
	*sandbox.Sandbox
	t       *testing.T
	cred    sandbox.Credentials
	pool    *pgxpool.Pool
	params  sandbox.Params
	vendors *httptest.Server
	pages   *httptest.Server
	product *product
}

const (
	pace       = 10 * time.Millisecond
	adminToken = "token of this test"
)

// newWorld starts everything; change may adjust the parameters.
func newWorld(t *testing.T, change ...func(*sandbox.Params)) *world {
	t.Helper()
	keys, err := seal.NewKeyset()
	if err != nil {
		t.Fatal(err)
	}
	box, err := seal.NewBox(keys)
	if err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, pool: postgrestest.Pool(t), product: newProduct(t)}
	var pages http.Handler
	w.pages = httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) { pages.ServeHTTP(rw, r) }))
	t.Cleanup(w.pages.Close)
	w.params = sandbox.Params{
		DB: w.pool, Box: box, Log: slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn})),
		PublicURL: w.pages.URL + "/sandbox", CallbackURL: w.product.URL, Pace: pace, AppName: "Northwind", AdminToken: secret.New(adminToken),
	}
	for _, c := range change {
		c(&w.params)
	}
	if w.Sandbox, err = sandbox.New(t.Context(), w.params); err != nil {
		t.Fatal(err)
	}
	pages = http.StripPrefix("/sandbox", w.Pages())
	w.vendors = httptest.NewServer(w.Vendors())
	t.Cleanup(w.vendors.Close)
	w.cred = w.Credentials()
	return w
}

// run runs the sandbox until the test ends.
func (w *world) run() *world {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- w.Run(ctx) }()
	w.t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			w.t.Errorf("Run: %v", err)
		}
	})
	return w
}

// product is the receiver of the vendors' callbacks: it keeps every
// request.
type product struct {
	*httptest.Server
	mu   sync.Mutex
	got  []received
	mux  *http.ServeMux
	deny int // answer so many requests with 500
}

type received struct {
	Method, Path string
	URL          string // as the sender wrote it
	Header       http.Header
	Body         []byte
}

func newProduct(t *testing.T) *product {
	p := &product{mux: http.NewServeMux()}
	p.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		r.Body = io.NopCloser(bytes.NewReader(body))
		p.mu.Lock()
		p.got = append(p.got, received{r.Method, r.URL.Path, p.URL + r.URL.RequestURI(), r.Header.Clone(), body})
		deny := p.deny > 0
		if deny {
			p.deny--
		}
		p.mu.Unlock()
		if deny {
			w.WriteHeader(http.StatusInternalServerError)
			return
		}
		p.mux.ServeHTTP(w, r)
	}))
	p.mux.HandleFunc("POST /hooks/", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })
	t.Cleanup(p.Close)
	return p
}

// requests returns what came to paths that begin so.
func (p *product) requests(prefix string) []received {
	p.mu.Lock()
	defer p.mu.Unlock()
	var out []received
	for _, r := range p.got {
		if strings.HasPrefix(r.Path, prefix) {
			out = append(out, r)
		}
	}
	return out
}

// eventually polls until ok, or fails with what.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	waittest.Until(t, what, ok)
}

// answer is a response read wholly.
type answer struct {
	Status int
	Header http.Header
	Body   []byte
}

func (a answer) json(t *testing.T) map[string]any {
	t.Helper()
	var v map[string]any
	if err := json.Unmarshal(a.Body, &v); err != nil {
		t.Fatalf("the answer (%d) is not JSON: %v\n%s", a.Status, err, a.Body)
	}
	return v
}

// call makes a request; headers come in pairs.
func (w *world) call(method, target string, body io.Reader, headers ...string) answer {
	w.t.Helper()
	a, err := w.try(method, target, body, headers...)
	if err != nil {
		w.t.Fatal(err)
	}
	return a
}

func (w *world) try(method, target string, body io.Reader, headers ...string) (answer, error) {
	w.t.Helper()
	req, err := http.NewRequest(method, target, body)
	if err != nil {
		w.t.Fatal(err)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	client := &http.Client{
		Transport:     w.vendors.Client().Transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	res, err := client.Do(req)
	if err != nil {
		return answer{}, err
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		return answer{}, err
	}
	checkContract(w.t, w.vendors.URL, req, res, b)
	return answer{res.StatusCode, res.Header, b}, nil
}

func jsonBody(t *testing.T, v any) io.Reader {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return bytes.NewReader(b)
}

const jsonType = "application/json"

// mail sends one mail as the product would; change may adjust the body.
func (w *world) mail(to, text string, change ...func(map[string]any)) answer {
	w.t.Helper()
	body := map[string]any{
		"personalizations": []any{map[string]any{
			"to":          []any{map[string]any{"email": to, "name": "Pat"}},
			"custom_args": map[string]any{"cl_invite": "inv_1", "cl_attempt": "att_1", "cl_env": "test"},
		}},
		"from":    map[string]any{"email": "connect@northwind.example", "name": "Northwind"},
		"subject": "Connect your Slack account to Northwind",
		"content": []any{
			map[string]any{"type": "text/plain", "value": text},
			map[string]any{"type": "text/html", "value": "<p>" + text + "</p>"},
		},
	}
	for _, c := range change {
		c(body)
	}
	return w.call("POST", w.vendors.URL+"/sendgrid/v3/mail/send", jsonBody(w.t, body),
		"Authorization", "Bearer "+w.cred.SendGridAPIKey.Reveal(), "Content-Type", jsonType)
}

// marked sets the ids a mail carries.
func marked(invite, attempt string) func(map[string]any) {
	return func(m map[string]any) {
		args := m["personalizations"].([]any)[0].(map[string]any)["custom_args"].(map[string]any)
		args["cl_invite"], args["cl_attempt"] = invite, attempt
	}
}

func (w *world) twilioURL(path string) string {
	return w.vendors.URL + "/twilio/2010-04-01/Accounts/" + w.cred.TwilioAccountSID + path
}

// basic is the Authorization of an API key.
func (w *world) basic() string {
	req := &http.Request{Header: http.Header{}}
	req.SetBasicAuth(w.cred.TwilioAPIKey, w.cred.TwilioAPISecret.Reveal())
	return req.Header.Get("Authorization")
}

// text sends one SMS as the product would.
func (w *world) text(to, body string, change ...func(url.Values)) answer {
	w.t.Helper()
	form := url.Values{
		"To": {to}, "Body": {body}, "MessagingServiceSid": {w.cred.TwilioMessagingServiceSID}, "ValidityPeriod": {"3600"},
		"StatusCallback": {w.product.URL + "/hooks/twilio/status/default/test/inv_2/att_2#rc=5&rp=all"},
	}
	for _, c := range change {
		c(form)
	}
	return w.call("POST", w.twilioURL("/Messages.json"), strings.NewReader(form.Encode()),
		"Authorization", w.basic(), "Content-Type", "application/x-www-form-urlencoded")
}

// bearer gets a Pipedream access token.
func (w *world) bearer(scope string) string {
	w.t.Helper()
	a := w.call("POST", w.vendors.URL+"/pipedream/v1/oauth/token", jsonBody(w.t, map[string]any{
		"grant_type": "client_credentials", "client_id": w.cred.PipedreamClientID,
		"client_secret": w.cred.PipedreamClientSecret.Reveal(), "scope": scope,
	}), "Content-Type", jsonType)
	if a.Status != http.StatusOK {
		w.t.Fatalf("oauth token: %d %s", a.Status, a.Body)
	}
	return a.json(w.t)["access_token"].(string)
}

// mint asks for a Connect token.
func (w *world) mint(user string, more map[string]any) answer {
	w.t.Helper()
	body := map[string]any{"external_user_id": user}
	for k, v := range more {
		body[k] = v
	}
	return w.call("POST", w.vendors.URL+"/pipedream/v1/connect/"+w.cred.PipedreamProjectID+"/tokens", jsonBody(w.t, body),
		"Authorization", "Bearer "+w.bearer("connect:tokens:create"), "x-pd-environment", "production", "Content-Type", jsonType)
}

// connectLink mints and appends the app, as the product does.
func (w *world) connectLink(user, app string, more map[string]any) string {
	w.t.Helper()
	a := w.mint(user, more)
	if a.Status != http.StatusOK {
		w.t.Fatalf("mint: %d %s", a.Status, a.Body)
	}
	return a.json(w.t)["connect_link_url"].(string) + "&app=" + app
}

func (w *world) pipedream(path, scope string, environment ...string) answer {
	w.t.Helper()
	headers := []string{"Authorization", "Bearer " + w.bearer(scope)}
	if len(environment) > 0 {
		headers = append(headers, "x-pd-environment", environment[0])
	}
	return w.call("GET", w.vendors.URL+"/pipedream"+path, nil, headers...)
}

// blockOnce holds the first request until released and answers the others.
func blockOnce(blocked, release chan struct{}) http.HandlerFunc {
	var once sync.Once
	return func(w http.ResponseWriter, _ *http.Request) {
		once.Do(func() {
			close(blocked)
			<-release
		})
		w.WriteHeader(http.StatusNoContent)
	}
}
