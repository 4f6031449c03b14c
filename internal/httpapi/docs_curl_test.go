package httpapi_test

import (
	"html"
	"net/url"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"github.com/connectlink/connectlink/internal/secret"
)

var (
	articles = regexp.MustCompile(`(?s)<article id="([^"]+)" class="operation">(.*?)</article>`)
	figures  = regexp.MustCompile(`(?s)<figure><figcaption>(.*?)</figcaption><pre tabindex="0"><code>(.*?)</code></pre></figure>`)
)

// shownRequest is a request of the reference, as a shell hands it to curl.
type shownRequest struct {
	method, target, body string
	header               []string
}

// parseCurl lets a shell split the command.
func parseCurl(t *testing.T, command string) shownRequest {
	t.Helper()
	cmd := exec.Command("sh", "-c", `curl() { printf '%s\0' "$@"; }; `+command)
	cmd.Env = []string{"CONNECTLINK_API_KEY=key", "CLIENT_TOKEN=token"}
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v", command, err)
	}
	var r shownRequest
	args := strings.Split(strings.TrimSuffix(string(out), "\x00"), "\x00")
	for i := 0; i < len(args); i++ {
		switch args[i] {
		case "-X":
			i++
			r.method = args[i]
		case "-H":
			i++
			r.header = append(r.header, args[i])
		case "-d":
			i++
			r.body = args[i]
		default:
			r.target = args[i]
		}
	}
	switch {
	case r.method != "":
	case r.body != "":
		r.method = "POST"
	default:
		r.method = "GET"
	}
	return r
}

// TestTheReferenceShowsEveryRequestBesideItsResponse takes the requests from the page,
// as a reader copies them: each is of the operation it stands at, and is accepted. Only
// an object that exists in the reader's project alone may be missing.
func TestTheReferenceShowsEveryRequestBesideItsResponse(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	keys := map[string]secret.Text{"suppressions": w.blocks, "admin": w.admin, "webhooks": w.hooks}
	shown := map[string][][]string{}
	for _, a := range articles.FindAllStringSubmatch(string(w.call(t, secret.Text{}, "GET", "/docs", "").body), -1) {
		shown[a[1]] = figures.FindAllStringSubmatch(a[2], -1)
	}
	for path, item := range w.contract.doc.Paths.Map() {
		for method, op := range item.Operations() {
			requests, responses := 0, 0
			for _, f := range shown[op.OperationID] {
				if strings.HasPrefix(f[1], "Response") {
					responses++
					continue
				}
				requests++
				r := parseCurl(t, html.UnescapeString(f[2]))
				target, err := url.Parse(r.target)
				if err != nil || r.method != method || strings.ContainsAny(r.target, "{}…") {
					t.Errorf("%s: shows %s %s (%v)", op.OperationID, r.method, r.target, err)
					continue
				}
				key, ok := keys[scopeOf(op)]
				if !ok {
					key = w.key
				}
				if scopeOf(op) == "client token" {
					key = secret.Text{}
				}
				answer := w.call(t, key, r.method, target.RequestURI(), r.body)
				missing := strings.Contains(path, "{id}") && answer.status == 404
				if answer.status >= 300 && !missing && scopeOf(op) != "client token" {
					t.Errorf("%s: the request shown is answered %d %s", op.OperationID, answer.status, answer.body)
				}
			}
			if op.RequestBody != nil && op.RequestBody.Value.Content["application/json"] == nil {
				continue // posted by a provider
			}
			if requests == 0 {
				t.Errorf("%s: no request is shown", op.OperationID)
			}
			if ok := op.Responses.Status(200); ok != nil && ok.Value.Content["application/json"] != nil && responses == 0 {
				t.Errorf("%s: no response is shown", op.OperationID)
			}
		}
	}
}
