package sandbox_test

import (
	"bytes"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/connectlink/connectlink/internal/sandbox"
	"github.com/connectlink/connectlink/internal/secret"
	"github.com/connectlink/connectlink/internal/waittest"
)

// sendText sends a text message of an account; 0 is a broken connection.
func (w *world) sendText(account string) int {
	w.t.Helper()
	form := url.Values{
		"To": {"+12025550142"}, "Body": {"x"}, "MessagingServiceSid": {w.cred.TwilioMessagingServiceSID},
		"StatusCallback": {w.product.URL + "/hooks/twilio/status/" + account + "/test/inv_2/att_2"},
	}
	target := strings.Replace(w.twilioURL("/Messages.json"), "/twilio/", "/twilio/@"+account+"/", 1)
	r, err := http.NewRequestWithContext(w.t.Context(), http.MethodPost, target, strings.NewReader(form.Encode()))
	if err != nil {
		w.t.Fatal(err)
	}
	r.Header.Set("Authorization", w.basic())
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	a, err := w.vendors.Client().Do(r) // the path with an account is none of the vendor's document
	if err != nil {
		return 0
	}
	_ = a.Body.Close()
	return a.StatusCode
}

func (w *world) setFault(account, vendor, kind string, lasting time.Duration) {
	w.t.Helper()
	if _, err := w.SetAccountFault(w.t.Context(), account, vendor, kind, lasting); err != nil {
		w.t.Fatal(err)
	}
}

func TestAFaultOfOneAccountDoesNotMeetAnother(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for kind, want := range map[string]int{sandbox.FaultDown: 503, sandbox.FaultRateLimited: 429, sandbox.FaultLostAnswer: 0, sandbox.FaultDoubledEvents: 201} {
		w.setFault("acme", sandbox.FaultySMS, kind, time.Hour)
		before, err := w.Ledger(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if status := w.sendText("acme"); status != want {
			t.Errorf("%s: %d, want %d", kind, status, want)
		}
		if status := w.sendText("other"); status != 201 {
			t.Errorf("%s: the other account is answered %d", kind, status)
		}
		after, err := w.Ledger(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		taken := 1 // of the other account
		if want == 0 || want == 201 {
			taken = 2
		}
		if n := after.Messages - before.Messages; n != taken {
			t.Errorf("%s: %d messages were taken, want %d", kind, n, taken)
		}
	}
	list, err := w.ListAccountFaults(t.Context(), "acme")
	if err != nil || len(list) != 1 {
		t.Errorf("a vendor has %+v, %v", list, err)
	}
	if list, err := w.ListAccountFaults(t.Context(), "other"); err != nil || len(list) != 0 {
		t.Errorf("the other account has %+v, %v", list, err)
	}
	w.setFault("acme", sandbox.FaultySMS, sandbox.FaultDown, time.Hour)
	if err := w.ClearAccountFault(t.Context(), "acme", sandbox.FaultySMS); err != nil {
		t.Fatal(err)
	}
	if status := w.sendText("acme"); status != 201 {
		t.Errorf("after it was cleared: %d", status)
	}
	for _, c := range [][2]string{{"fax", sandbox.FaultDown}, {sandbox.FaultySMS, "lost"}} {
		if _, err := w.SetAccountFault(t.Context(), "acme", c[0], c[1], time.Hour); err == nil {
			t.Errorf("%v was taken", c)
		}
	}
}

func TestAFaultEndsAndIsObeyedByEveryProcess(t *testing.T) {
	t.Parallel()
	c := newClock()
	w := newWorld(t, func(p *sandbox.Params) { p.Now = c.Now })
	if status := w.sendText("acme"); status != 201 { // which reads the faults
		t.Fatalf("answered %d", status)
	}
	other, err := sandbox.New(t.Context(), w.params) // another process on the same database
	if err != nil {
		t.Fatal(err)
	}
	if _, err := other.SetAccountFault(t.Context(), "acme", sandbox.FaultySMS, sandbox.FaultDown, time.Minute); err != nil {
		t.Fatal(err)
	}
	c.Add(time.Second)
	if status := w.sendText("acme"); status != 503 {
		t.Errorf("a second after it was set: %d", status)
	}
	c.Add(time.Minute)
	if status := w.sendText("acme"); status != 201 {
		t.Errorf("after its end: %d", status)
	}
	if list, err := w.ListAccountFaults(t.Context(), "acme"); err != nil || len(list) != 0 {
		t.Errorf("after its end: %+v, %v", list, err)
	}
}

func TestDoubledEventsArePostedTwice(t *testing.T) {
	t.Parallel()
	w := newWorld(t).run()
	w.setFault("default", sandbox.FaultyEmail, sandbox.FaultDoubledEvents, time.Hour)
	w.mail("delivered@connectlink.test", "x")
	waittest.Until(t, "each event is posted twice", func() bool {
		n := map[string]int{}
		for _, e := range w.mailEvents() {
			n[e.SGEventID]++
		}
		for _, times := range n {
			if times < 2 {
				return false
			}
		}
		return len(n) > 0
	})
}

func TestDoubledConnectionsArePostedTwice(t *testing.T) {
	t.Parallel()
	w := newWorld(t).run()
	w.setFault("default", sandbox.FaultyPipedream, sandbox.FaultDoubledEvents, time.Hour)
	link := w.connectLink("user-1", "slack", map[string]any{"webhook_uri": w.product.URL + "/hooks/pipedream/s3cret"})
	if a := w.press(link, "connect"); a.Status != 200 {
		t.Fatalf("connect: %d", a.Status)
	}
	waittest.Until(t, "the connection is posted twice", func() bool {
		posts := w.product.requests("/hooks/pipedream/s3cret")
		return len(posts) == 2 && bytes.Equal(posts[0].Body, posts[1].Body)
	})
}

// TestAdminNeedsItsToken: the stand-ins listen where other users of the machine can
// reach them.
func TestAdminNeedsItsToken(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for name, headers := range map[string][]string{"no token": nil, "another": {"Authorization", "Bearer x"}, "another scheme": {"Authorization", "Basic " + adminToken}} {
		for _, path := range []string{"/admin/ledger", "/admin/faults", "/admin/messages"} {
			if a := w.call("GET", w.vendors.URL+path, nil, headers...); a.Status != 401 || strings.Contains(string(a.Body), "messages\":") {
				t.Errorf("%s at %s: %d", name, path, a.Status)
			}
		}
	}
	closed := newWorld(t, func(p *sandbox.Params) { p.AdminToken = secret.Text{} })
	if a := closed.call("GET", closed.vendors.URL+"/admin/ledger", nil, "Authorization", "Bearer "); a.Status != 404 {
		t.Errorf("without a token of its own: %d", a.Status)
	}
}
