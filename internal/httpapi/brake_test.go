package httpapi_test

import (
	"strings"
	"testing"
	"time"
)

// brakePause is how long an answer is held.
const brakePause = time.Second

// TestRefusedRequestsOfAKeyAreAnsweredLate from a point on, with the same answer, be
// they single or in a batch.
func TestRefusedRequestsOfAKeyAreAnsweredLate(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	if r := w.call(t, w.admin, "POST", "/v1/pauses", `{"channel":"sms","country":"US","reason":"pumping"}`); r.status != 200 {
		t.Fatalf("%d %s", r.status, r.body)
	}
	const refused = `{"external_user_id":"u1","app":"slack","channel":"sms","recipient":{"phone":"+12025550123"}}`
	batch := `{"invites":[` + strings.Repeat(refused+",", 99) + refused + `]}`
	for _, c := range []struct{ path, body string }{{"/v1/invites/batch", batch}, {"/v1/invites", refused}} {
		late := false
		for range 100 { // a second gives some refusals back
			begun := time.Now()
			r := w.call(t, w.key, "POST", c.path, c.body)
			if !strings.Contains(string(r.body), `"country_paused"`) {
				t.Fatalf("%s: %d %s", c.path, r.status, r.body)
			}
			if late = time.Since(begun) >= brakePause; late {
				break
			}
		}
		if !late {
			t.Errorf("%s: no answer was held", c.path)
		}
	}
}
