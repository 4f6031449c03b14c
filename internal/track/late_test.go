package track_test

import (
	"bytes"
	"compress/gzip"
	"crypto/hmac"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/provider"
	"github.com/connectlink/connectlink/internal/provider/twilio"
	"github.com/connectlink/connectlink/internal/store/ledger"
	"github.com/connectlink/connectlink/internal/track"
	"github.com/connectlink/connectlink/internal/track/tracktest"
)

// lateBounce is what SendGrid posts when a message comes back by the return
// path: an address and a time, and no id of anybody's.
func lateBounce(address, id string, at time.Time) map[string]any {
	return map[string]any{
		"event": "bounce", "type": "bounce", "email": address, "sg_event_id": id, "timestamp": at.Unix(),
		"status": "5.1.1", "reason": "550 5.1.1 <" + address + "> unknown", "bounce_classification": "Invalid Address",
	}
}

func to(email string) *invite.Content {
	return &invite.Content{Recipient: invite.Recipient{Email: email}}
}

// startedAgo moves an attempt's start into the past.
func (w *world) startedAgo(id invite.AttemptID, ago time.Duration) {
	w.t.Helper()
	w.Exec(`UPDATE attempts SET started_at = now() - make_interval(secs => $2) WHERE id = $1`, id, ago.Seconds())
}

func TestLateBounceIsMatchedByItsAddress(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	old, last := w.Invite(tracktest.Options{Content: to("Pat@customer.example")}), w.Invite(tracktest.Options{Content: to("pat@customer.example"), User: "user-2"})
	other, after := w.Invite(tracktest.Options{Content: to("jo@customer.example"), User: "user-3"}), w.Invite(tracktest.Options{Content: to("pat@customer.example"), User: "user-4"})
	oldAttempt, lastAttempt := w.Attempt(old, "sendgrid", "accepted"), w.Attempt(last, "sendgrid", "accepted")
	w.Attempt(other, "sendgrid", "accepted")
	w.Attempt(after, "sendgrid", "accepted")
	w.startedAgo(oldAttempt, 30*time.Hour)
	w.startedAgo(lastAttempt, 20*time.Hour)
	at := time.Now().Add(-10 * time.Hour).Truncate(time.Second)
	w.takeMail(mailEvent(last, lastAttempt, "delivered", "e1", at.Add(-9*time.Hour), nil)) // its server took it, then sent it back
	w.takeMail(lateBounce("PAT@customer.example", "late-1", at), lateBounce("PAT@customer.example", "late-1", at))

	if d := w.delivery(last); d.Status != "bounced" || d.Reason != "address_not_found" || d.InviteStatus != invite.Failed {
		t.Errorf("the last message before the bounce: %+v", d)
	}
	for name, m := range map[string]tracktest.Made{"an earlier message": old, "another address": other, "a later message": after} {
		if d := w.delivery(m); d.Status != "sending" {
			t.Errorf("%s became %s", name, d.Status)
		}
	}
	events := w.Events(last.ID)
	bounce := events[len(events)-1]
	if bounce.Type != invite.EventDeliveryBounced || bounce.Data.Source != "inferred" {
		t.Errorf("event %s with source %q, want it said to be inferred", bounce.Type, bounce.Data.Source)
	}
}

func TestInferredFactsProveNothingAboutACall(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	m := w.Invite(tracktest.Options{})
	w.Attempt(m, "sendgrid", "unknown")
	w.takeMail(lateBounce("pat@customer.example", "late-1", time.Now()))
	if d := w.delivery(m); d.Status != "bounced" || d.Outcome != "unknown" {
		t.Errorf("%+v, want the message bounced and the call's outcome still unknown", d)
	}
	if n := w.Count(`SELECT count(*) FROM provider_accounts WHERE last_receipt_at IS NOT NULL`); n != 0 {
		t.Error("an inferred fact was counted as a receipt")
	}
}

func TestLateBounceOfAnotherModeOrOfLongAgoMatchesNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	m := w.Invite(tracktest.Options{})
	a := w.Attempt(m, "sendgrid", "accepted")
	w.startedAgo(a, 6*24*time.Hour)
	w.takeMail(lateBounce("pat@customer.example", "late-1", time.Now()))
	raw, header := w.mailPost(lateBounce("pat@customer.example", "late-2", time.Now().Add(-6*24*time.Hour)))
	if err := w.SendGrid(t.Context(), invite.Place{Project: "default", Live: true}, raw, header); err != nil {
		t.Fatal(err)
	}
	if d := w.delivery(m); d.Status != "sending" {
		t.Errorf("delivery became %s", d.Status)
	}
	if n := w.Count(`SELECT count(*) FROM unmatched`); n != 2 {
		t.Errorf("%d callbacks wait, want 2", n)
	}
}

// TestCallbackBeforeOurAnswerIsJoined: others drop what they cannot match yet.
func TestCallbackBeforeOurAnswerIsJoined(t *testing.T) {
	t.Parallel()
	const sid = "SM0123456789abcdef0123456789abcdef"
	w := newWorld(t)
	mail := w.Invite(tracktest.Options{})
	text := w.Invite(tracktest.Options{Channel: invite.SMS, User: "user-2"})
	var ghost tracktest.Made // a callback whose attempt's row is not there at all yet
	ghost.ID = text.ID
	attempt := invite.New[invite.AttemptID]()

	e := mailEvent(mail, invite.AttemptID{}, "delivered", "e1", time.Now(), nil)
	delete(e, "cl_invite")
	delete(e, "cl_attempt")
	w.takeMail(e, e)
	w.takeText(ghost, attempt, "delivered", "")
	if n := w.Count(`SELECT count(*) FROM unmatched`); n != 2 {
		t.Fatalf("%d callbacks wait, want 2", n)
	}
	w.Exec(`UPDATE unmatched SET next_at = now()`)
	if n, err := w.Join(t.Context()); err != nil || n != 0 {
		t.Fatalf("joined %d before there was anything to join: %v", n, err)
	}
	if n := w.Count(`SELECT count(*) FROM unmatched WHERE tries = 1 AND next_at > now()`); n != 2 {
		t.Errorf("%d are to be tried later, want 2", n)
	}

	ma, ta := w.Attempt(mail, "sendgrid", "accepted"), w.Attempt(text, "twilio", "open")
	w.Exec(`UPDATE attempts SET provider_message_id = '14c5d75ce93' WHERE id = $1`, ma)
	w.Exec(`UPDATE attempts SET id = $2 WHERE id = $1`, ta, attempt)
	if n, err := w.Join(t.Context()); err != nil || n != 0 {
		t.Fatalf("joined %d before it was due: %v", n, err)
	}
	w.Exec(`UPDATE unmatched SET next_at = now()`)
	if n, err := w.Join(t.Context()); err != nil || n != 2 {
		t.Fatalf("joined %d, %v, want 2", n, err)
	}
	for name, m := range map[string]tracktest.Made{"mail": mail, "text": text} {
		d := w.delivery(m)
		if d.Status != "delivered" || d.Outcome != "accepted" {
			t.Errorf("%s: %+v", name, d)
		}
	}
	if got := w.delivery(text).Message; got != sid {
		t.Errorf("the text's SID is %q", got)
	}
	if n := w.Count(`SELECT count(*) FROM unmatched`) + w.Count(`SELECT count(*) FROM callbacks WHERE invite_id IS NULL`); n != 0 {
		t.Errorf("%d callbacks are still nobody's", n)
	}
	if n, err := w.Join(t.Context()); err != nil || n != 0 {
		t.Errorf("joined %d again: %v", n, err)
	}
}

func TestUnmatchedCallbacksAreGivenUpAfterADay(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	m := tracktest.Made{ID: invite.New[invite.ID]()}
	w.takeMail(mailEvent(m, invite.New[invite.AttemptID](), "delivered", "e1", time.Now(), nil),
		mailEvent(m, invite.New[invite.AttemptID](), "open", "e2", time.Now(), nil)) // says nothing about delivery: nothing to wait for
	if n := w.Count(`SELECT count(*) FROM unmatched WHERE gives_up_at > now() + interval '23 hours 59 minutes' AND gives_up_at <= now() + interval '24 hours'`); n != 1 {
		t.Fatalf("%d callbacks wait for a day, want 1", n)
	}
	w.Exec(`UPDATE unmatched SET tries = 30, next_at = now()`)
	if _, err := w.Join(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := w.Count(`SELECT count(*) FROM unmatched WHERE next_at BETWEEN now() + interval '59 minutes' AND now() + interval '1 hour'`); n != 1 {
		t.Error("after many tries it is not tried about every hour")
	}
	w.Exec(`UPDATE unmatched SET next_at = now(), gives_up_at = now()`)
	if _, err := w.Join(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := w.Count(`SELECT count(*) FROM unmatched`); n != 0 {
		t.Errorf("%d callbacks wait after their time", n)
	}
	if n := w.Count(`SELECT count(*) FROM callbacks`); n != 2 {
		t.Errorf("%d callbacks kept, want 2: what came stays for support", n)
	}
}

// TestCopiesUnderOtherIDsChangeNothing: SendGrid's copies of an event mostly
// share its id, and some do not.
func TestCopiesUnderOtherIDsChangeNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	m := w.Invite(tracktest.Options{})
	attempt := w.Attempt(m, "sendgrid", "open")
	at := time.Now().Add(-time.Minute).Truncate(time.Second)
	w.takeMail(mailEvent(m, attempt, "delivered", "id", at, nil))
	want := w.delivery(m)
	for i := range 46 {
		w.takeMail(mailEvent(m, attempt, "delivered", "id", at, nil), mailEvent(m, attempt, "delivered", fmt.Sprint("id-", i), at, nil))
		w.takeMail(mailEvent(m, attempt, "processed", fmt.Sprint("p-", i), at.Add(-time.Second), nil))
	}
	if diff := cmp.Diff(want, w.delivery(m)); diff != "" {
		t.Error(diff)
	}
	if n := w.published(invite.EffectPublishDeliveryFailed); n != 0 {
		t.Errorf("%d failures told", n)
	}
}

func TestBatchesOfAMegabyteAndMoreCompressedOrNot(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	m := w.Invite(tracktest.Options{})
	attempt := w.Attempt(m, "sendgrid", "open")
	at := time.Now().Add(-time.Minute)
	var events []map[string]any
	for i := range 1200 {
		events = append(events, mailEvent(m, attempt, "open", fmt.Sprint("open-", i), at, map[string]any{"useragent": string(bytes.Repeat([]byte{'x'}, 1000))}))
	}
	events = append(events, mailEvent(m, attempt, "delivered", "delivered", at, nil))
	raw, header := w.mailPost(events...)
	if len(raw) < 1<<20 {
		t.Fatalf("a batch of %d bytes is no test", len(raw))
	}
	if err := w.SendGrid(t.Context(), invite.Place{Project: "default"}, raw, header); err != nil {
		t.Fatal(err)
	}
	if d := w.delivery(m); d.Status != "delivered" {
		t.Errorf("delivery is %s", d.Status)
	}
	if n := w.Count(`SELECT count(*) FROM callbacks`); n != len(events) {
		t.Errorf("%d callbacks kept, want %d", n, len(events))
	}

	second := w.Invite(tracktest.Options{User: "user-2"})
	secondAttempt := w.Attempt(second, "sendgrid", "open")
	plain, err := json.Marshal([]any{mailEvent(second, secondAttempt, "delivered", "zipped", at, nil)})
	if err != nil {
		t.Fatal(err)
	}
	var zipped bytes.Buffer
	z := gzip.NewWriter(&zipped)
	_, _ = z.Write(plain)
	_ = z.Close()
	header = w.sign(zipped.Bytes()) // what travels is signed
	if err := w.SendGrid(t.Context(), invite.Place{Project: "default"}, zipped.Bytes(), header); !errors.Is(err, track.ErrMalformed) {
		t.Errorf("compressed, and not said to be: %v", err)
	}
	header.Set("Content-Encoding", "gzip")
	if err := w.SendGrid(t.Context(), invite.Place{Project: "default"}, zipped.Bytes(), header); err != nil {
		t.Fatal(err)
	}
	if d := w.delivery(second); d.Status != "delivered" {
		t.Errorf("delivery is %s", d.Status)
	}
}

// TestStatusAsJSON: Twilio can post JSON; then a digest of the body is in the
// signed URL.
func TestStatusAsJSON(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	m := w.Invite(tracktest.Options{Channel: invite.SMS})
	attempt := w.Attempt(m, "twilio", "open")
	body := []byte(`{"MessageSid":"SM0123456789abcdef0123456789abcdef","MessageStatus":"undelivered","ErrorCode":30006,"To":"+12025550100","More":{"a":1}}`)
	digest := sha256.Sum256(body)
	c := provider.Post{
		Provider: "twilio", Place: invite.Place{Project: "default"}, InviteID: m.ID.String(), AttemptID: attempt.String(), Header: http.Header{}, Raw: body,
		RequestURI: "/hooks/twilio/status/default/test/" + m.ID.String() + "/" + attempt.String() + "?bodySHA256=" + hex.EncodeToString(digest[:]),
	}
	mac := hmac.New(sha1.New, []byte(authToken))
	mac.Write([]byte(publicURL + c.RequestURI))
	c.Header.Set("Content-Type", "application/json")
	c.Header.Set(twilio.SignatureHeader, base64.StdEncoding.EncodeToString(mac.Sum(nil)))
	forged := c
	forged.Raw = bytes.Replace(body, []byte("30006"), []byte("30005"), 1)
	if err := w.Reports(t.Context(), forged); !errors.Is(err, track.ErrForged) {
		t.Errorf("altered: %v", err)
	}
	if err := w.Reports(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	if d := w.delivery(m); d.Status != "undelivered" || d.Reason != "landline" {
		t.Errorf("%+v", d)
	}
}

func TestSilenceIsSaidAloud(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(p *track.Params) {
		p.Silence = []ledger.Silence{{Channel: invite.Email, After: time.Hour}, {Channel: invite.SMS, After: 30 * time.Minute}}
	})
	ago := func(m tracktest.Made, d time.Duration) {
		w.Exec(`UPDATE deliveries SET updated_at = now() - make_interval(secs => $2) WHERE invite_id = $1`, m.ID, d.Seconds())
	}
	made := func(ch invite.Channel, typ invite.EventType, quiet time.Duration) tracktest.Made {
		m := w.Invite(tracktest.Options{Channel: ch, User: fmt.Sprint(ch, typ, quiet)})
		w.Attempt(m, "x", "accepted")
		w.Append(m.ID, invite.Event{Type: typ, DeliveryID: m.Delivery})
		ago(m, quiet)
		return m
	}
	const long, short = 61 * time.Minute, 59 * time.Minute
	silent := made(invite.Email, invite.EventDeliveryAccepted, long)
	waiting := made(invite.Email, invite.EventDeliveryAccepted, short)
	text := made(invite.SMS, invite.EventDeliverySent, short)
	delivered := made(invite.Email, invite.EventDeliveryDelivered, long)
	deferred := made(invite.Email, invite.EventDeliveryDeferred, long)

	if n, err := w.Silence(t.Context()); err != nil || n != 2 {
		t.Fatalf("%d silent, %v, want 2", n, err)
	}
	for _, c := range []struct {
		name   string
		m      tracktest.Made
		status string
		reason string
	}{
		{"mail that nobody confirmed", silent, "accepted", "no_receipt"},
		{"mail not long ago", waiting, "accepted", ""},
		{"text that was sent", text, "sent", "no_receipt"},
		{"mail that arrived", delivered, "delivered", ""},
		{"mail that is put off", deferred, "deferred", ""},
	} {
		if d := w.delivery(c.m); d.Status != c.status || d.Reason != c.reason || d.InviteStatus != invite.Active {
			t.Errorf("%s: %+v", c.name, d)
		}
	}
	ago(silent, 2*long)
	if n, err := w.Silence(t.Context()); err != nil || n != 0 {
		t.Errorf("said again of %d: %v", n, err)
	}
	w.Append(silent.ID, invite.Event{Type: invite.EventDeliveryDelivered, DeliveryID: silent.Delivery})
	if d := w.delivery(silent); d.Status != "delivered" || d.Reason != "" {
		t.Errorf("after a late receipt: %+v", d)
	}
}
