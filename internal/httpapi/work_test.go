package httpapi_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/connectlink/connectlink/internal/dispatch"
	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/message"
	"github.com/connectlink/connectlink/internal/provider"
	"github.com/connectlink/connectlink/internal/provider/sendgrid"
	"github.com/connectlink/connectlink/internal/provider/twilio"
	"github.com/connectlink/connectlink/internal/seal"
	"github.com/connectlink/connectlink/internal/secret"
	"github.com/connectlink/connectlink/internal/track"
	"github.com/connectlink/connectlink/internal/waittest"
)

// tracker takes callbacks of the sandbox for project "default", and mail
// events that a test signs itself for project "signed".
func (w *world) tracker(base string) *track.Tracker {
	w.t.Helper()
	cred := w.sandbox.Credentials()
	w.signer = must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	own := base64.StdEncoding.EncodeToString(must(x509.MarshalPKIXPublicKey(&w.signer.PublicKey)))
	callbacks := map[string]provider.Callbacks{
		"sendgrid/default": sendgrid.NewCallbacks(must(sendgrid.NewVerifier([]string{cred.SendGridWebhookPublicKey}))),
		"sendgrid/signed":  sendgrid.NewCallbacks(must(sendgrid.NewVerifier([]string{own}))),
		"twilio/default":   twilio.NewCallbacks(must(twilio.NewVerifier(base, cred.TwilioAuthToken))),
	}
	return must(track.New(track.Params{
		DB: w.db, Box: w.box,
		Accounts: func(invite.Place, string) (track.Accounts, bool) { return w.accounts, true },
		Callbacks: func(name string, place invite.Place) (provider.Callbacks, bool) {
			c, ok := callbacks[name+"/"+place.Project]
			return c, ok && !place.Live
		},
		Senders:   w.textSenders,
		Publish:   publishNothing,
		Later:     func(context.Context, pgx.Tx, track.Check) error { return nil },
		SawReport: func(string, invite.Place) {},
		Log:       slog.New(slog.DiscardHandler),
	}))
}

// sign makes the headers of a mail event post for project "signed".
func (w *world) sign(body string) []string {
	w.t.Helper()
	stamp := strconv.FormatInt(time.Now().Unix(), 10)
	digest := sha256.Sum256([]byte(stamp + body))
	signature := must(ecdsa.SignASN1(rand.Reader, w.signer, digest[:]))
	return []string{
		"X-Twilio-Email-Event-Webhook-Timestamp: " + stamp,
		"X-Twilio-Email-Event-Webhook-Signature: " + base64.StdEncoding.EncodeToString(signature),
	}
}

// work sends the queued messages and plays the vendors' part until the test
// ends.
func (w *world) work() {
	w.t.Helper()
	cred := w.sandbox.Credentials()
	mail := sendgrid.New(sendgrid.Params{
		BaseURL: w.vendors.URL + "/sendgrid", APIKey: cred.SendGridAPIKey,
		From: message.Address{Email: secret.New("connect@acme.example"), Name: "Acme"}, ReplyTo: secret.New("help@acme.example"),
	})
	text := twilio.New(twilio.Params{
		BaseURL: w.vendors.URL + "/twilio", AccountSID: cred.TwilioAccountSID, APIKey: cred.TwilioAPIKey, APISecret: cred.TwilioAPISecret,
		AuthToken: cred.TwilioAuthToken, MessagingServiceSID: cred.TwilioMessagingServiceSID,
	})
	d := must(dispatch.New(dispatch.Params{
		Pauses: w.pauses,
		DB:     w.db, DirectURL: secret.New(w.url), Box: w.box, Minters: w.minters, Project: w.projectOf,
		Senders: func(_ invite.Place, c invite.Channel) []provider.Sender {
			if c == invite.SMS {
				return []provider.Sender{text}
			}
			return []provider.Sender{mail}
		},
		Composer: composer(), Publish: publishNothing,
		CallbackURL: func(place invite.Place, provider, inviteID, attemptID string) string {
			if provider != "twilio" {
				return ""
			}
			return fmt.Sprintf("%s/hooks/twilio/status/%s/test/%s/%s", w.server.URL, place.Project, inviteID, attemptID)
		},
		BlockKeys: func(invite.Place, invite.Channel, string) []seal.Hash { return nil },
		Log:       slog.New(slog.DiscardHandler), Poll: 10 * time.Millisecond,
	}))
	ctx, cancel := context.WithCancel(context.WithoutCancel(w.t.Context()))
	var g sync.WaitGroup
	for name, run := range map[string]func(context.Context) error{"dispatch": d.Run, "sandbox": w.sandbox.Run} {
		g.Go(func() {
			if err := run(ctx); err != nil && !errors.Is(err, context.Canceled) {
				w.t.Errorf("%s: %v", name, err)
			}
		})
	}
	w.t.Cleanup(func() { cancel(); g.Wait() })
}

// until asks for an invite until a member of it has a value.
func (w *world) until(t *testing.T, id, path, want string) reply {
	t.Helper()
	var r reply
	waittest.Until(t, path+" is "+want, func() bool {
		r = w.call(t, w.key, "GET", "/v1/invites/"+id+"?expand=deliveries,events", "")
		return r.at(t, path) == want
	}, func() string { return string(r.body) })
	return r
}

func TestMessagesLeaveAndProvidersReportThemDelivered(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.work()
	for channel, recipient := range map[string]string{
		"email": `{"email":"delivered@connectlink.test","name":"Pat Lee"}`,
		"sms":   `{"phone":"+12025550100"}`,
	} {
		t.Run(channel, func(t *testing.T) {
			t.Parallel()
			id := w.create(t, w.key, fmt.Sprintf(`{"external_user_id":"u-%s","app":"slack","channel":%q,"recipient":%s}`, channel, channel, recipient))
			// Delivered can only come from a callback: signed, posted to our
			// address by the stand-in, taken by the handler.
			r := w.until(t, id, "delivery.status", "delivered")
			link, delivery := r.at(t, "invite_link.url").(string), r.at(t, "delivery.id").(string)

			inbox := w.call(t, w.key, "GET", "/v1/test_helpers/messages?invite="+id, "")
			if inbox.at(t, "data.0.links.0") != link || inbox.at(t, "data.1") != nil {
				t.Errorf("the inbox has other links than %s: %s", link, inbox.body)
			}
			one := w.call(t, w.key, "GET", "/v1/test_helpers/messages/"+inbox.at(t, "data.0.id").(string), "")
			if one.at(t, "invite_id") != id || one.at(t, "channel") != channel {
				t.Errorf("message = %s", one.body)
			}
			content := w.call(t, w.key, "GET", "/v1/deliveries/"+delivery+"/content", "")
			code := link[strings.LastIndexByte(link, '/')+1:]
			if content.status != 200 || strings.Contains(string(content.body), code) || !strings.Contains(string(content.body), publicURL+"/c/••••") {
				t.Errorf("content: %d %s", content.status, content.body)
			}
			if sms := content.at(t, "subject") == nil; sms != (channel == "sms") {
				t.Errorf("subject = %v", content.at(t, "subject"))
			}
		})
	}
}

func TestAFailedMessageSaysWhy(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.work()
	id := w.create(t, w.key, `{"external_user_id":"u1","app":"slack","channel":"email","recipient":{"email":"bounced@connectlink.test"}}`)
	r := w.until(t, id, "delivery.status", "bounced")
	for path, want := range map[string]string{
		"delivery.reason.code": "address_not_found", "delivery.reason.action": "correct_address", "status": "failed",
		"deliveries.0.reason.code": "address_not_found", "deliveries.0.provider": "sendgrid",
	} {
		if got := r.at(t, path); got != want {
			t.Errorf("%s = %v, want %s", path, got, want)
		}
	}
	if found := w.call(t, w.key, "GET", "/v1/invites?reason=address_not_found", ""); found.at(t, "data.0.id") != id {
		t.Errorf("not found by its reason: %s", found.body)
	}
}

func TestTheInboxIsSharedByProjectsAndShownToEachItsOwn(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.work()
	body := `{"external_user_id":"u1","app":"slack","channel":"email","recipient":{"email":"delivered@connectlink.test"}}`
	var own []string
	for range 3 {
		w.create(t, w.other, body)
		own = append(own, w.create(t, w.key, body))
	}
	foreign := w.create(t, w.other, body)
	for _, id := range own {
		w.until(t, id, "delivery.status", "delivered")
	}
	// Two pages of two: three messages, all of own invites.
	var seen []string
	path := "/v1/test_helpers/messages?limit=2&to=Delivered@connectlink.test"
	var message string
	for range 2 {
		r := w.call(t, w.key, "GET", path, "")
		for _, m := range r.at(t, "data").([]any) {
			seen = append(seen, m.(map[string]any)["invite_id"].(string))
			message = m.(map[string]any)["id"].(string)
		}
		next, _ := r.at(t, "next_cursor").(string)
		path = "/v1/test_helpers/messages?limit=2&to=delivered@connectlink.test&cursor=" + next
	}
	if len(seen) != 3 {
		t.Errorf("%d messages, want 3: %v", len(seen), seen)
	}
	for _, id := range own {
		if !strings.Contains(strings.Join(seen, " "), id) {
			t.Errorf("the message of %s is missing", id)
		}
	}
	w.play(t, []scenario{
		{name: "one of another project", key: w.other, method: "GET", path: "/v1/test_helpers/messages/" + message, status: 404, want: map[string]any{"code": "message_not_found"}},
		{name: "no such message", key: w.key, method: "GET", path: "/v1/test_helpers/messages/msg_1", status: 404, want: map[string]any{"code": "message_not_found"}},
		{name: "another project's invite", key: w.key, method: "GET", path: "/v1/test_helpers/messages?invite=" + foreign, status: 404, want: map[string]any{"code": "invite_not_found"}},
		{name: "a cursor of nobody", key: w.key, method: "GET", path: "/v1/test_helpers/messages?cursor=x", status: 422, want: map[string]any{"errors.0.pointer": "/cursor"}},
	})
}

func TestAdvance(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id := w.create(t, w.key, byEmail)
	path := "/v1/test_helpers/invites/" + id + "/advance"
	w.play(t, []scenario{
		{name: "nowhere", key: w.key, method: "POST", path: path, body: `{}`, status: 422, want: map[string]any{"errors.0.pointer": "/to"}},
		{name: "somewhere unknown", key: w.key, method: "POST", path: path, body: `{"to":"heaven"}`, status: 422},
		{name: "another project's", key: w.other, method: "POST", path: path, body: `{"to":"expired"}`, status: 404},
		{name: "to its end", key: w.key, method: "POST", path: path, body: `{"to":"expired"}`, status: 200, want: map[string]any{"status": "expired"}},
		{name: "and back by a resend", key: w.key, method: "POST", path: "/v1/invites/" + id + "/resend",
			body: `{"recipient":{"email":"pat2@customer.example"}}`, status: 200, want: map[string]any{"status": "active"}},
	})
}
