package httpapi_test

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/getkin/kin-openapi/openapi3"
	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/publish"
)

// endpoints owns webhook endpoints; every name has a public address, but for those
// that say otherwise.
func (w *world) endpoints() *publish.Endpoints {
	return must(publish.NewEndpoints(publish.EndpointParams{
		DB: w.db, Box: w.box, Project: w.projectOf, Now: time.Now,
		Courier: publish.NewCourier(publish.Params{DB: w.db, Box: w.box, Project: w.projectOf, Resolver: w.names.resolver(), Now: time.Now}),
		Lookup: func(ctx context.Context, network, host string) ([]netip.Addr, error) {
			switch {
			case w.names.knows(host):
				return w.names.resolver().LookupNetIP(ctx, network, host)
			case strings.HasPrefix(host, "inside."):
				return []netip.Addr{netip.MustParseAddr("10.0.0.5")}, nil
			case strings.HasPrefix(host, "nowhere."):
				return nil, nil
			}
			return []netip.Addr{netip.MustParseAddr("93.184.216.34")}, nil
		},
	}))
}

func TestWebhookEndpoints(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const path = "/v1/webhook_endpoints"
	made := w.call(t, w.hooks, "POST", path, `{"url":"https://acme.example/hooks?k=1","description":"Back\u202eend","types":["invite.connected"]}`)
	if made.status != 201 || !strings.HasPrefix(made.at(t, "secret").(string), "whsec_") || made.at(t, "description") != "Backend" || made.at(t, "managed_by") != "api" {
		t.Fatalf("create: %d %s", made.status, made.body)
	}
	id, secret := made.at(t, "id").(string), made.at(t, "secret").(string)
	if n := w.count(t, `SELECT count(*) FROM webhook_endpoints WHERE position('acme' in encode(content, 'escape')) > 0`); n != 0 {
		t.Error("the URL is stored in the clear")
	}
	w.play(t, []scenario{
		{name: "read", key: w.hooks, method: "GET", path: path + "/" + id, status: 200, want: map[string]any{"secret": nil, "url": "https://acme.example/hooks?k=1", "status": "enabled", "types.0": "invite.connected"}},
		{name: "list", key: w.hooks, method: "GET", path: path, status: 200, want: map[string]any{"data.0.id": id, "data.0.secret": nil}},
		{name: "without the scope", key: w.key, method: "GET", path: path, status: 403},
		{name: "of another mode", key: w.hooks, method: "GET", path: path + "/whe_069hqkhjp5sv1bqg1oprs35ep0", status: 404, want: map[string]any{"code": "endpoint_not_found"}},
		{name: "disable", key: w.hooks, method: "PATCH", path: path + "/" + id, body: `{"disabled":true}`, status: 200, want: map[string]any{"status": "disabled", "disabled_reason": "request", "types.0": "invite.connected"}},
		{name: "enable, all types", key: w.hooks, method: "PATCH", path: path + "/" + id, body: `{"disabled":false,"types":[]}`, status: 200, want: map[string]any{"status": "enabled", "disabled_reason": nil, "types.0": nil}},
		{name: "all faults at once", key: w.hooks, method: "POST", path: path, body: `{"url":"ftp://x","types":["invite.lost"],"description":"` + strings.Repeat("x", 201) + `"}`, status: 422,
			want: map[string]any{"errors.0.pointer": "/url", "errors.1.pointer": "/description", "errors.2.pointer": "/types/0"}},
		{name: "without a URL", key: w.hooks, method: "POST", path: path, body: `{}`, status: 422, want: map[string]any{"errors.0.pointer": "/url", "errors.0.code": "required"}},
		{name: "a change to a refused URL", key: w.hooks, method: "PATCH", path: path + "/" + id, body: `{"url":"https://127.0.0.1/"}`, status: 422, want: map[string]any{"code": "webhook_url_not_allowed"}},
		{name: "rotate for too long", key: w.hooks, method: "POST", path: path + "/" + id + "/rotate_secret", body: `{"expire_old_in":604801}`, status: 422, want: map[string]any{"errors.0.pointer": "/expire_old_in"}},
		{name: "test of no type", key: w.hooks, method: "POST", path: path + "/" + id + "/test", body: `{"type":"x"}`, status: 422, want: map[string]any{"errors.0.pointer": "/type"}},
		{name: "recover since no time", key: w.hooks, method: "POST", path: path + "/" + id + "/recover", body: `{"since":"yesterday"}`, status: 422, want: map[string]any{"errors.0.pointer": "/since"}},
		{name: "change that of the configuration", key: w.hooks, method: "PATCH", path: path + "/configuration", body: `{"disabled":true}`, status: 409, want: map[string]any{"code": "managed_by_configuration"}},
		{name: "redeliver nothing", key: w.hooks, method: "POST", path: "/v1/events/evt_069hqkhjp5sv1bqg1oprs35ep0/redeliver", status: 404, want: map[string]any{"code": "event_not_found"}},
	})
	rotated := w.call(t, w.hooks, "POST", path+"/"+id+"/rotate_secret", "")
	if rotated.status != 200 || rotated.at(t, "secret") == secret || rotated.at(t, "old_secret_expires_at") == nil {
		t.Errorf("rotate: %d %s", rotated.status, rotated.body)
	}
	if r := w.call(t, w.hooks, "DELETE", path+"/"+id, ""); r.status != 204 {
		t.Errorf("delete: %d %s", r.status, r.body)
	}
	if r := w.call(t, w.hooks, "DELETE", path+"/"+id, ""); r.status != 404 {
		t.Errorf("delete again: %d %s", r.status, r.body)
	}
}

// TestAWebhookURLThatIsRefusedSaysWhichRule: and how to allow it.
func TestAWebhookURLThatIsRefusedSaysWhichRule(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for url, says := range map[string]string{
		"http://acme.example/":         "must begin with https",
		"https://127.0.0.1/":           "not public",
		"https://localhost/":           "not public",
		"https://10.0.0.5:8443/":       "not public",
		"https://169.254.169.254/":     "not public",
		"https://[::1]/":               "not public",
		"https://[::ffff:10.0.0.1]/":   "not public",
		"https://[64:ff9b::a00:1]/":    "not public",
		"https://[fd00:ec2::254]/":     "not public",
		"https://inside.acme.example/": "webhook.allow_private",
		"https://nowhere.example/":     "without an address",
		"https://a:b@acme.example/":    "user name",
	} {
		r := w.call(t, w.hooks, "POST", "/v1/webhook_endpoints", `{"url":"`+url+`"}`)
		if r.status != 422 || r.at(t, "code") != "webhook_url_not_allowed" || !strings.Contains(r.at(t, "detail").(string), says) || strings.Contains(string(r.body), "a:b") {
			t.Errorf("%s: %d %s, want %q", url, r.status, r.body, says)
		}
	}
	w.project.PrivateWebhooks = true
	if r := w.call(t, w.hooks, "POST", "/v1/webhook_endpoints", `{"url":"http://inside.acme.example/"}`); r.status != 201 {
		t.Errorf("with webhook.allow_private: %d %s", r.status, r.body)
	}
}

// TestATestEventOfEachTypeVerifies: with the library that receivers use, by the only
// secret, by both during a rotation, and by the new one alone after it.
func TestATestEventOfEachTypeVerifies(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.project.PrivateWebhooks = true
	posted := make(chan signedPost, 1)
	receiver := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		raw, _ := io.ReadAll(r.Body)
		posted <- signedPost{raw, r.Header}
		_, _ = io.WriteString(rw, "thank you")
	}))
	t.Cleanup(receiver.Close)
	made := w.call(t, w.hooks, "POST", "/v1/webhook_endpoints", `{"url":"`+receiver.URL+`"}`)
	path := "/v1/webhook_endpoints/" + made.at(t, "id").(string)
	rotate := func(body string) string {
		return w.call(t, w.hooks, "POST", path+"/rotate_secret", body).at(t, "secret").(string)
	}
	each := func(when string, secrets map[string]bool) {
		for _, name := range invite.PublicTypes() {
			r := w.call(t, w.hooks, "POST", path+"/test", `{"type":"`+string(name)+`"}`)
			if r.status != 200 || r.at(t, "delivered") != true || r.at(t, "answer") != "thank you" {
				t.Fatalf("%s, %s: %d %s", when, name, r.status, r.body)
			}
			p := <-posted
			for secret, verifies := range secrets {
				if err := must(standardwebhooks.NewWebhook(secret)).Verify(p.body, p.head); (err == nil) != verifies {
					t.Errorf("%s, %s: %v, want verified %t: %s", when, name, err, verifies, p.body)
				}
			}
			w.checkEvent(t, name, p.body)
		}
	}
	first := made.at(t, "secret").(string)
	each("with one secret", map[string]bool{first: true})
	second := rotate("")
	each("during a rotation", map[string]bool{first: true, second: true})
	third := rotate(`{"expire_old_in":0}`)
	each("after a rotation at once", map[string]bool{first: false, second: false, third: true})
}

// signedPost is a post as an endpoint receives it.
type signedPost struct {
	body []byte
	head http.Header
}

// checkEvent compares a posted event with the document's section of its type.
func (w *world) checkEvent(t *testing.T, name invite.PublicType, raw []byte) {
	t.Helper()
	var event map[string]any
	if err := json.Unmarshal(raw, &event); err != nil {
		t.Fatal(err)
	}
	media := w.contract.doc.Webhooks[string(name)].Post.RequestBody.Value.Content["application/json"]
	if err := media.Schema.Value.VisitJSON(event, openapi3.MultiErrors()); err != nil || event["type"] != string(name) {
		t.Errorf("%s is not as documented: %v: %s", name, err, raw)
	}
}

// private creates an endpoint on this machine and takes the leave to call it away: a
// post to it is refused before it is dialled.
func (w *world) private(t *testing.T) string {
	t.Helper()
	w.project.PrivateWebhooks = true
	defer func() { w.project.PrivateWebhooks = false }()
	return w.call(t, w.hooks, "POST", "/v1/webhook_endpoints", `{"url":"http://127.0.0.1:9/"}`).at(t, "id").(string)
}
