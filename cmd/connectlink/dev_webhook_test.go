package main_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
)

// TestDevPostsEventsToTheURLOfItsFlag: where events go in dev stood on no page, and
// needed two variables. The secret stays the same after a restart.
func TestDevPostsEventsToTheURLOfItsFlag(t *testing.T) {
	t.Parallel()
	type post struct {
		header http.Header
		body   []byte
	}
	posts := make(chan post, 100)
	receiver := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		posts <- post{r.Header, body}
	}))
	t.Cleanup(receiver.Close)
	u := usedState(t)
	d := startDev(t, u.dir, nil, "--listen=127.0.0.1:0", "--webhook", receiver.URL+"/hook")
	hook, err := standardwebhooks.NewWebhook(d.hookSecret)
	if err != nil {
		t.Fatalf("the secret: %v", err)
	}
	made := parse(t, mustRun(t, d.api(), "invites", "create", "--user=user-1", "--app=slack", "--email=delivered+connect@connectlink.test", "--return-url=acme://connected"))
	runCommand(t, d.api(), "invites", "create", "--user=user-1", "--app=slack", "--return-url=javascript:alert(1)").want(t, 2, "/return_url")
	d.until("posts that the account is connected", func() bool {
		select {
		case p := <-posts:
			if err := hook.Verify(p.body, p.header); err != nil {
				t.Fatal(err)
			}
			e := parse(t, string(p.body))
			return e.text("type") == "invite.connected" && e.text("invite_id") == made.text("id")
		default:
			return false
		}
	})
	runCommand(t, d.api(), "trigger", "invite.expired").want(t, 0, `"http_status": 200`)
	if p := <-posts; hook.Verify(p.body, p.header) != nil || !strings.Contains(string(p.body), "invite.expired") {
		t.Errorf("triggered %s", p.body)
	}
	runCommand(t, d.api(), "messages", "list", "--table", "--invite", made.text("id")).want(t, 0, "SUBJECT", "delivered+connect@connectlink.test")
	runCommand(t, d.api(), "invites", "get", "--table", made.text("id")).want(t, 0, "connected", "delivery.delivered")
	runCommand(t, d.api(), "messages", "open").want(t, 0, "To: delivered+connect@connectlink.test", "Subject: ", "http://")
	d.interrupt()
	if again := startDev(t, u.dir, nil, "--listen=127.0.0.1:0", "--webhook", receiver.URL+"/hook"); again.hookSecret != d.hookSecret {
		t.Error("after a restart the secret is another")
	}
	runCommand(t, nil, "dev", "--state", folder(t), "--listen=127.0.0.1:0", "--webhook", "nowhere").want(t, 2, "CONNECTLINK_WEBHOOK_URL")
}
