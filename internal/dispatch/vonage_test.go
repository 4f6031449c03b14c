package dispatch_test

import (
	"testing"

	"github.com/connectlink/connectlink/internal/chaos"
	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/provider"
	"github.com/connectlink/connectlink/internal/provider/vonage"
	"github.com/connectlink/connectlink/internal/secret"
)

// Failover between two providers of texts works as between two of email.
func TestTwilioTakesOverWhenVonageIsDown(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	loaded := w.load(20, chaos.Load{Channel: invite.SMS})
	p := w.params()
	senders := p.Senders
	down := vonage.New(vonage.Params{BaseURL: "http://127.0.0.1:1", APIKey: "down", APISecret: secret.New("x"), From: "+15005550007"})
	p.Senders = func(place invite.Place, ch invite.Channel) []provider.Sender {
		return append([]provider.Sender{down}, senders(place, ch)...)
	}
	w.run(p)
	w.until("accepted", w.all("accepted"))
	w.once(loaded)
	if n := w.count(`SELECT count(*) FROM deliveries d JOIN attempts a ON a.invite_id = d.invite_id WHERE a.provider = 'twilio' AND a.outcome = 'accepted'`); n != 20 {
		t.Errorf("%d of 20 went by Twilio", n)
	}
}
