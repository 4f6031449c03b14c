package dispatch_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/connectlink/connectlink/internal/chaos"
	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/provider"
	"github.com/connectlink/connectlink/internal/provider/twilio"
	"github.com/connectlink/connectlink/internal/secret"
)

// anotherTwilio is a second account for texts, at its own address.
func anotherTwilio(base string) provider.Sender {
	return twilio.New(twilio.Params{
		BaseURL: base, AccountSID: "AC" + strings.Repeat("1", 32), AuthToken: secret.New("down"), From: "+15005550001",
	})
}

func TestTheSecondProviderOfTextsTakesOver(t *testing.T) {
	t.Parallel()
	for name, first := range map[string]func(t *testing.T) provider.Sender{
		"when the first cannot be reached": func(*testing.T) provider.Sender { return anotherTwilio("http://127.0.0.1:1") },
		"when the first refuses the account": func(t *testing.T) provider.Sender {
			refusing := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", "application/json")
				w.WriteHeader(http.StatusUnauthorized)
				_, _ = w.Write([]byte(`{"code":20003,"message":"Authenticate","status":401}`))
			}))
			t.Cleanup(refusing.Close)
			return anotherTwilio(refusing.URL)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			loaded := w.load(20, chaos.Load{Channel: invite.SMS})
			p, down := w.params(), first(t)
			senders := p.Senders
			p.Senders = func(place invite.Place, ch invite.Channel) []provider.Sender {
				return append([]provider.Sender{down}, senders(place, ch)...)
			}
			w.run(p)
			w.until("accepted", w.all("accepted"))
			w.once(loaded)
			if n := w.count(`SELECT count(*) FROM lanes WHERE paused_until > now()`); n != 0 {
				t.Error("the lane is paused although one of its providers works")
			}
		})
	}
}

// A text names the way to stop that its own sender has, not the first choice's.
func TestATextThatAnotherProviderTakesOverNamesThatSendersWayToStop(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	sms := w.load(1, chaos.Load{Channel: invite.SMS})
	p := w.params()
	senders := p.Senders
	p.Senders = func(place invite.Place, ch invite.Channel) []provider.Sender {
		return []provider.Sender{anotherTwilio("http://127.0.0.1:1"), oneWay{senders(place, ch)[0]}}
	}
	w.run(p)
	w.until("accepted", w.all("accepted"))
	page := strings.Replace(sms[0].Key, "/c/", "/s/", 1)
	if m := w.sink.Taken()[0]; !strings.HasSuffix(m.Body, "Stop: "+page) || strings.Contains(m.Body, "STOP") {
		t.Errorf("it says: %s", m.Body)
	}
}

// What the first may have taken is never sent by the second before it is known.
func TestAnUnknownOutcomeIsSettledBeforeTheSecondProviderOfTextsIsTried(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	loaded := w.load(5, chaos.Load{Channel: invite.SMS})
	losing := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			w.sink.ServeHTTP(httptest.NewRecorder(), r) // taken, and the answer is lost
			rw.WriteHeader(http.StatusBadGateway)
			return
		}
		w.sink.ServeHTTP(rw, r)
	}))
	t.Cleanup(losing.Close)
	p := w.params()
	senders := p.Senders
	p.Senders = func(place invite.Place, ch invite.Channel) []provider.Sender {
		first := twilio.New(twilio.Params{
			BaseURL: losing.URL + "/twilio", AccountSID: "AC00000000000000000000000000000000", AuthToken: secret.New("sink"),
			From: "+15005550006", Settle: w.rig.Settle,
		})
		return []provider.Sender{first, renamed{senders(place, ch)[0]}}
	}
	w.run(p)
	w.until("accepted", w.all("accepted"))
	w.once(loaded)
	if n := w.count(`SELECT count(*) FROM attempts WHERE account LIKE 'second:%'`); n > 0 {
		t.Errorf("%d attempts by the second provider", n)
	}
}

// renamed is a sender of another account.
type renamed struct{ provider.Sender }

func (s renamed) Account() string { return "second:" + s.Sender.Account() }
