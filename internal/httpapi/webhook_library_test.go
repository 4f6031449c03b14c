package httpapi_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/connectlink/connectlink/internal/invite"
)

// webhookLibrary names a folder with the JavaScript library of Standard Webhooks:
//
//	npm ci --prefix .ci/webhooks
//	CONNECTLINK_TEST_WEBHOOK_LIBRARY=$PWD/.ci/webhooks go test ./internal/httpapi -run JavaScript
const webhookLibrary = "CONNECTLINK_TEST_WEBHOOK_LIBRARY"

// libraryPost is a post, and whether the library is to verify it with the secret.
type libraryPost struct {
	Type      string `json:"type"`
	Secret    string `json:"secret"`
	ID        string `json:"id"`
	Timestamp string `json:"timestamp"`
	Signature string `json:"signature"`
	Body      string `json:"body"`
	Verifies  bool   `json:"verifies"`
}

// TestTheJavaScriptLibraryVerifiesEveryType: by the only secret, by both during a
// rotation, by the new one alone after it, and no changed body. The library is the one
// that receivers in JavaScript use; .ci/run installs it.
func TestTheJavaScriptLibraryVerifiesEveryType(t *testing.T) {
	t.Parallel()
	folder := os.Getenv(webhookLibrary)
	if folder == "" {
		t.Skipf("%s is not set: the JavaScript library of Standard Webhooks is not installed", webhookLibrary)
	}
	w := newWorld(t)
	w.project.PrivateWebhooks = true
	posted := make(chan signedPost, 1)
	receiver := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		raw, _ := io.ReadAll(r.Body)
		posted <- signedPost{raw, r.Header}
	}))
	t.Cleanup(receiver.Close)
	made := w.call(t, w.hooks, "POST", "/v1/webhook_endpoints", `{"url":"`+receiver.URL+`"}`)
	path := "/v1/webhook_endpoints/" + made.at(t, "id").(string)
	rotate := func(body string) string {
		return w.call(t, w.hooks, "POST", path+"/rotate_secret", body).at(t, "secret").(string)
	}
	var posts []libraryPost
	each := func(secrets map[string]bool) {
		for _, name := range invite.PublicTypes() {
			if r := w.call(t, w.hooks, "POST", path+"/test", `{"type":"`+string(name)+`"}`); r.at(t, "delivered") != true {
				t.Fatalf("%s: %d %s", name, r.status, r.body)
			}
			p := <-posted
			for secret, verifies := range secrets {
				one := libraryPost{
					string(name), secret, p.head.Get("webhook-id"), p.head.Get("webhook-timestamp"), p.head.Get("webhook-signature"), string(p.body), verifies,
				}
				posts = append(posts, one)
				one.Body, one.Verifies = strings.Replace(one.Body, `"livemode":false`, `"livemode":true`, 1), false
				posts = append(posts, one)
			}
		}
	}
	first := made.at(t, "secret").(string)
	each(map[string]bool{first: true})
	second := rotate("")
	each(map[string]bool{first: true, second: true})
	third := rotate(`{"expire_old_in":0}`)
	each(map[string]bool{first: false, second: false, third: true})

	raw, err := json.Marshal(posts)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "posts.json")
	if err := os.WriteFile(file, raw, 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "node", "verify.mjs", file)
	cmd.Dir = folder
	var said, wrong strings.Builder
	cmd.Stdout, cmd.Stderr = &said, &wrong
	err = cmd.Run()
	if n, _ := strconv.Atoi(strings.TrimSpace(said.String())); err != nil || n != len(posts) || n < 6*len(invite.PublicTypes()) {
		t.Errorf("%d of %d posts: %v\n%s", n, len(posts), err, wrong.String())
	}
}
