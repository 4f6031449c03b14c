package app_test

import (
	"net/http"
	"testing"
	"time"
)

// TestWhoRepliesStopIsNotTextedAgain goes the whole way: the sandbox's person
// gets the text, replies STOP, Twilio's stand-in tells us, and a second invite
// is refused before anything is minted.
func TestWhoRepliesStopIsNotTextedAgain(t *testing.T) {
	t.Parallel()
	p := start(t, boot{})
	p.invite(http.StatusCreated, toPhone("+12025550110"))
	deadline := time.Now().Add(patience)
	for {
		status, _, answer := p.call(http.MethodPost, "/v1/invites", toPhone("+12025550110"))
		if status == http.StatusUnprocessableEntity && answer.text("code") == "recipient_opted_out" {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("still texted: %d %v", status, answer)
		}
		time.Sleep(20 * time.Millisecond)
	}
	// Scripted fates of messages block nothing: they are met anew each time.
	for range 2 {
		made := p.invite(http.StatusCreated, to("bounced@connectlink.test"))
		p.until(made.text("id"), "bounced", func(inv object) bool { return inv.text("delivery.status") == "bounced" })
	}
}
