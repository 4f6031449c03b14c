package webhook_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/connectlink/connectlink/client/webhook"
)

const (
	secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw" //nolint:gosec // a test's own
	other  = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD" //nolint:gosec // a test's own
	body   = `{"id":"evt_1","type":"invite.connected","created_at":"2026-11-28T09:31:12Z","livemode":false,"data":{"invite":{"id":"inv_1","version":6}}}`
)

func signed(t testing.TB, with string, at time.Time) http.Header {
	t.Helper()
	hook, err := standardwebhooks.NewWebhook(with)
	if err != nil {
		t.Fatal(err)
	}
	signature, err := hook.Sign("evt_1", at, []byte(body))
	if err != nil {
		t.Fatal(err)
	}
	return http.Header{"Webhook-Id": {"evt_1"}, "Webhook-Timestamp": {fmt.Sprint(at.Unix())}, "Webhook-Signature": {signature}}
}

func TestVerifyReadsAnEvent(t *testing.T) {
	t.Parallel()
	e, err := webhook.Verify(secret, signed(t, secret, time.Now()), []byte(body))
	if err != nil || e.Data.Invite == nil || e.Type != "invite.connected" || e.Data.Invite.ID != "inv_1" || e.Data.Invite.Version != 6 {
		t.Errorf("%+v, %v", e, err)
	}
}

func TestVerifyAcceptsOneOfSeveralSignatures(t *testing.T) {
	t.Parallel()
	now := time.Now()
	h := signed(t, other, now)
	h.Set("Webhook-Signature", h.Get("Webhook-Signature")+" "+signed(t, secret, now).Get("Webhook-Signature"))
	if _, err := webhook.Verify(secret, h, []byte(body)); err != nil {
		t.Error(err)
	}
}

func TestVerifyRefusesWhatTheServiceDidNotSign(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		header http.Header
		body   string
	}{
		"another secret":  {signed(t, other, time.Now()), body},
		"a changed body":  {signed(t, secret, time.Now()), strings.Replace(body, "inv_1", "inv_2", 1)},
		"an old request":  {signed(t, secret, time.Now().Add(-time.Hour)), body},
		"no headers":      {http.Header{}, body},
		"a future time":   {signed(t, secret, time.Now().Add(time.Hour)), body},
		"an empty string": {signed(t, secret, time.Now()), ""},
	} {
		if _, err := webhook.Verify(secret, c.header, []byte(c.body)); !errors.Is(err, webhook.ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := webhook.Verify("whsec_%%%", signed(t, secret, time.Now()), []byte(body)); err == nil || strings.Contains(err.Error(), "%%%") {
		t.Errorf("a secret that is none: %v", err)
	}
}

func TestReadRefusesABodyWithoutEnd(t *testing.T) {
	t.Parallel()
	r := httptest.NewRequest(http.MethodPost, "/hook", strings.NewReader(strings.Repeat("x", webhook.MaxBody+1)))
	if _, err := webhook.Read(secret, r); err == nil {
		t.Error("it was read")
	}
}

func ExampleRead() {
	receive := func(w http.ResponseWriter, r *http.Request) {
		event, err := webhook.Read(secret, r)
		if err != nil {
			http.Error(w, "not signed by Connect Link delivery", http.StatusBadRequest)
			return
		}
		if event.Data.Invite != nil { // nil for an event that is about no invite
			fmt.Println(event.Type, event.Data.Invite.ID)
		}
		w.WriteHeader(http.StatusNoContent)
	}
	hook, err := standardwebhooks.NewWebhook(secret)
	if err != nil {
		fmt.Println(err)
		return
	}
	now := time.Now()
	signature, err := hook.Sign("evt_1", now, []byte(body))
	if err != nil {
		fmt.Println(err)
		return
	}
	r := httptest.NewRequest(http.MethodPost, "/hook", strings.NewReader(body))
	r.Header.Set("webhook-id", "evt_1")
	r.Header.Set("webhook-timestamp", fmt.Sprint(now.Unix()))
	r.Header.Set("webhook-signature", signature)
	receive(httptest.NewRecorder(), r)
	// Output: invite.connected inv_1
}
