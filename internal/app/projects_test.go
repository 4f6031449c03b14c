package app_test

import (
	"net/http"
	"testing"
	"time"
)

// Each project's mail and texts have an account of their own at the stand-ins,
// and so receipts, bounces and STOPs of their own: they used to go to the
// project "default" only.
func TestEveryProjectLearnsOfItsOwnTestMessages(t *testing.T) {
	t.Parallel()
	p := start(t, boot{project: "beta", file: `
projects:
  - id: default
    brand: {name: Acme, region: US}
  - id: beta
    brand: {name: Beta, region: US}
`})
	for _, c := range []struct {
		body object
		want string
	}{
		{to("delivered@connectlink.test"), "delivered"},
		{to("bounced@connectlink.test"), "bounced"},
		{toPhone("+12025550100"), "delivered"},
	} {
		id := p.invite(http.StatusCreated, c.body).text("id")
		p.until(id, c.want, func(inv object) bool { return inv.text("delivery.status") == c.want })
	}
	p.invite(http.StatusCreated, toPhone("+12025550110")) // answers STOP
	for deadline := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
		status, _, answer := p.call(http.MethodPost, "/v1/invites", toPhone("+12025550110"))
		if status == http.StatusUnprocessableEntity && answer.text("code") == "recipient_opted_out" {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("a create after STOP: %d %v", status, answer)
		}
	}
}
