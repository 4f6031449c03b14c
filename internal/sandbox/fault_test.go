package sandbox_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/connectlink/connectlink/internal/sandbox"
)

// put sets faults through the admin endpoint.
func (w *world) put(faults string) answer {
	w.t.Helper()
	return w.call("PUT", w.vendors.URL+"/admin/faults", strings.NewReader(faults), "Content-Type", jsonType, "Authorization", "Bearer "+adminToken)
}

// tryMail is mail whose connection may break.
func (w *world) tryMail(invite string) (answer, error) {
	w.t.Helper()
	body := map[string]any{
		"personalizations": []any{map[string]any{
			"to":          []any{map[string]any{"email": "pat@customer.example"}},
			"custom_args": map[string]any{"cl_invite": invite, "cl_attempt": "att_" + invite},
		}},
		"from": map[string]any{"email": "a@b.example"}, "subject": "s",
		"content": []any{map[string]any{"type": "text/plain", "value": "x"}},
	}
	return w.try("POST", w.vendors.URL+"/sendgrid/v3/mail/send", jsonBody(w.t, body),
		"Authorization", "Bearer "+w.cred.SendGridAPIKey.Reveal(), "Content-Type", jsonType)
}

func TestCutConnectionsAndTheLedger(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for cut, taken := range map[string]int{"blackout": 0, "before_taking": 0, "after_taking": 1} {
		if a := w.put(fmt.Sprintf(`{"sendgrid":[{"cut":%q,"times":1}]}`, cut)); a.Status != 200 {
			t.Fatalf("set %s: %s", cut, a.Body)
		}
		// A cut on a reused connection makes Go's client try an idempotent
		// request again; a POST with a body it must not.
		if a, err := w.tryMail("inv_" + cut); err == nil {
			t.Errorf("%s: answered %d", cut, a.Status)
		}
		l, err := w.Ledger(t.Context())
		if err != nil || l.Invites["inv_"+cut] != taken || l.Attempts["att_inv_"+cut] != taken {
			t.Errorf("%s: ledger = %+v, %v; want %d", cut, l, err, taken)
		}
		if a, err := w.tryMail("inv_after_" + cut); err != nil || a.Status != 202 {
			t.Errorf("%s: the fault outlived its one time: %d %v", cut, a.Status, err)
		}
	}
	var l sandbox.Ledger
	if err := json.Unmarshal(w.call("GET", w.vendors.URL+"/admin/ledger", nil, "Authorization", "Bearer "+adminToken).Body, &l); err != nil || l.Messages != 4 {
		t.Errorf("GET /admin/ledger = %+v, %v", l, err)
	}
}

func TestAnswersThatLie(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, c := range []struct {
		fault string
		want  int
		taken int
	}{
		{`{"sendgrid":[{"status":503,"times":1}]}`, 503, 0},
		{`{"sendgrid":[{"status":503,"taken":true,"times":1}]}`, 503, 1},
		{`{"sendgrid":[{"status":429,"retry_after_s":7,"times":1}]}`, 429, 1},
		{`{"sendgrid":[{"ops":["scopes"],"status":500}]}`, 202, 2},
	} {
		w.put(c.fault)
		a, err := w.tryMail("inv")
		if err != nil || a.Status != c.want {
			t.Errorf("%s: %d %v", c.fault, a.Status, err)
		}
		if c.want == 429 && a.Header.Get("X-RateLimit-Reset") == "" {
			t.Errorf("429 without X-RateLimit-Reset: %v", a.Header)
		}
		if l, err := w.Ledger(t.Context()); err != nil || l.Messages != c.taken {
			t.Errorf("%s: %d taken (%v), want %d", c.fault, l.Messages, err, c.taken)
		}
	}
}

func TestLatencyComesBeforeOrAfterTaking(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.put(`{"sendgrid":[{"answer_ms":300,"times":1}]}`)
	start := time.Now()
	done := make(chan error, 1)
	go func() { _, err := w.tryMail("inv_slow"); done <- err }()
	eventually(t, "the message to be taken", func() bool { l, err := w.Ledger(t.Context()); return err == nil && l.Messages == 1 })
	select {
	case <-done:
		if time.Since(start) < 300*time.Millisecond {
			t.Error("the answer came before its latency")
		}
	default:
		if err := <-done; err != nil || time.Since(start) < 300*time.Millisecond {
			t.Errorf("answered after %v: %v", time.Since(start), err)
		}
	}
}

func TestFaultsAreChecked(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, bad := range []string{`{"sendgrit":[]}`, `{"sendgrid":[{"cutt":"x"}]}`, `{"sendgrid":[{"cut":"sometimes"}]}`,
		`{"twilio":[{"status":99}]}`, `{"twilio":[{"share":2}]}`, `{"callbacks":{"smtp":{}}}`, `{"twilio":[{"times":-1}]}`, `[`} {
		if a := w.put(bad); a.Status != http.StatusBadRequest {
			t.Errorf("%s: %d", bad, a.Status)
		}
	}
	w.put(`{"twilio":[{"status":503,"times":2}]}`)
	w.text("+12025550100", "x")
	if got := w.Faults().Twilio; len(got) != 1 || got[0].Times != 1 {
		t.Errorf("left over: %+v", got)
	}
	w.put(`{}`)
	if a := w.text("+12025550100", "x"); a.Status != 201 {
		t.Errorf("after healing: %d", a.Status)
	}
}

func TestCallbackFaults(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.put(`{"callbacks":{"sendgrid":{"copies":2},"twilio":{"drop":true}}}`)
	w.run()
	w.text("+12025550100", "x")
	w.mail("delivered@connectlink.test", "x", marked("inv_copies", "a"))
	eventually(t, "three copies of two events", func() bool { return len(w.eventNames("inv_copies")) == 6 })
	ids := map[string]int{}
	for _, e := range w.mailEvents() {
		ids[e.SGEventID]++
	}
	if len(ids) != 2 {
		t.Errorf("copies came under new ids: %v", ids)
	}
	eventually(t, "the text's fate", func() bool {
		m, err := w.Messages(t.Context(), sandbox.MessageFilter{Channel: "sms"})
		return err == nil && m[0].Status == "delivered"
	})
	if got := w.product.requests("/hooks/twilio"); len(got) != 0 {
		t.Errorf("dropped callbacks came: %d", len(got))
	}
}

func TestManyAtOnceAreAllTakenOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t).run()
	const n = 300
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			a, err := w.tryMail(fmt.Sprintf("inv_%d", i))
			if err != nil || a.Status != 202 {
				t.Errorf("mail %d: %d %v", i, a.Status, err)
			}
		})
	}
	wg.Wait()
	l, err := w.Ledger(t.Context())
	if err != nil || l.Messages != n || len(l.Invites) != n || len(l.Attempts) != n || l.Unmarked != 0 {
		t.Fatalf("ledger: %d messages, %d invites, %v", l.Messages, len(l.Invites), err)
	}
	eventually(t, "two events of each", func() bool { return len(w.mailEvents()) >= 2*n })
	seen := map[string]int{}
	for _, e := range w.mailEvents() {
		seen[e.SGEventID]++
	}
	if len(seen) != 2*n {
		t.Errorf("%d distinct events, want %d", len(seen), 2*n)
	}
}

// Two processes over one database: whichever runs does the work, once.
func TestTwoProcessesShareOneSandbox(t *testing.T) {
	t.Parallel()
	w := newWorld(t).run()
	other, err := sandbox.New(t.Context(), w.params)
	if err != nil {
		t.Fatal(err)
	}
	if other.Credentials() != w.cred {
		t.Fatal("the second process made credentials of its own")
	}
	twin := &world{Sandbox: other, t: t}
	twin.run()
	for i := range 40 {
		w.mail("delivered@connectlink.test", "x", marked(fmt.Sprintf("inv_%d", i), "a"))
	}
	eventually(t, "all events settled", func() bool {
		var made, open int
		err := w.pool.QueryRow(t.Context(), `SELECT count(*), count(*) FILTER (WHERE due_at IS NOT NULL) FROM sandbox.events`).Scan(&made, &open)
		return err == nil && made == 80 && open == 0
	})
	if got := len(w.mailEvents()); got != 80 {
		t.Errorf("%d events posted, want 80", got)
	}
}
