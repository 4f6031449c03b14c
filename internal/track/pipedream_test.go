package track_test

import (
	"bytes"
	"errors"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/connectlink/connectlink/internal/access"
	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/seal"
	"github.com/connectlink/connectlink/internal/secret"
	"github.com/connectlink/connectlink/internal/track"
	"github.com/connectlink/connectlink/internal/track/tracktest"
)

func TestWebhookConnectsOnlyAConfirmedAccount(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	m := w.Invite(tracktest.Options{})
	w.HandOut(m)
	w.Vendor.Connect(tracktest.Account{ID: "apn_1", Name: "Acme", User: "user-1", App: "slack"})
	for range 3 { // copies change nothing
		if err := w.Pipedream(t.Context(), m.Hook, success(m, "apn_1")); err != nil {
			t.Fatal(err)
		}
	}
	got := w.Get(m.ID)
	if got.Status != invite.Connected || got.AccountID != "apn_1" || got.ConnectedAt == nil {
		t.Fatalf("invite is %s with account %q", got.Status, got.AccountID)
	}
	name, err := w.Box.Open(got.AccountName, seal.AD{Column: "invites.account_name", ID: m.ID.UUID()})
	if err != nil || string(name) != "Acme" {
		t.Errorf("account name %q, %v", name, err)
	}
	if n := w.Count(`SELECT count(*) FROM callbacks WHERE invite_id = $1`, m.ID); n != 1 {
		t.Errorf("%d callbacks kept, want 1", n)
	}
	if n := len(w.checks()); n != 1 {
		t.Errorf("%d jobs enqueued, want 1", n)
	}
	if n := w.published(invite.EffectPublishConnected); n != 1 {
		t.Errorf("published %d times, want once", n)
	}
	if n := w.Count(`SELECT count(*) FROM invites WHERE poll_at IS NOT NULL`); n != 0 {
		t.Error("a connected invite is polled")
	}
	if n := w.Count(`SELECT count(*) FROM connect_links WHERE url IS NOT NULL`) + w.Count(`SELECT count(*) FROM codes WHERE code IS NOT NULL`); n != 0 {
		t.Errorf("%d secrets outlived the connection", n)
	}
}

func TestWebhookIsBelievedOnlyAsFarAsPipedreamConfirms(t *testing.T) {
	t.Parallel()
	long := time.Now().Add(-time.Hour)
	for name, a := range map[string]tracktest.Account{
		"another user":                {ID: "apn_1", User: "user-2", App: "slack"},
		"another app":                 {ID: "apn_1", User: "user-1", App: "github"},
		"made long before the link":   {ID: "apn_1", User: "user-1", App: "slack", CreatedAt: long},
		"no such account":             {ID: "apn_2", User: "user-2", App: "slack"},
		"a user that is only similar": {ID: "apn_1", User: "user-1 ", App: "slack"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			m := w.Invite(tracktest.Options{})
			w.HandOut(m)
			w.Vendor.Connect(a)
			if err := w.Pipedream(t.Context(), m.Hook, success(m, "apn_1")); err != nil {
				t.Fatal(err)
			}
			if got := w.Get(m.ID); got.Status != invite.Active || got.AccountID != "" {
				t.Errorf("invite is %s with account %q", got.Status, got.AccountID)
			}
		})
	}
}

func TestAccountConnectedAnewCountsForAWebhook(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	m := w.Invite(tracktest.Options{})
	w.HandOut(m)
	w.Vendor.Connect(tracktest.Account{ID: "apn_1", User: "user-1", App: "slack", CreatedAt: time.Now().Add(-90 * 24 * time.Hour), UpdatedAt: time.Now()})
	if err := w.Pipedream(t.Context(), m.Hook, success(m, "apn_1")); err != nil {
		t.Fatal(err)
	}
	got := w.Get(m.ID)
	if got.Status != invite.Connected {
		t.Fatalf("invite is %s", got.Status)
	}
	if age := time.Since(*got.ConnectedAt); age > time.Hour {
		t.Errorf("connected %s ago", age)
	}
}

func TestConfirmationIsTriedAgainAfterAnOutage(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	m := w.Invite(tracktest.Options{})
	w.HandOut(m)
	w.Vendor.Connect(tracktest.Account{ID: "apn_1", User: "user-1", App: "slack"})
	w.Vendor.Answer(http.StatusServiceUnavailable, "")
	if err := w.Pipedream(t.Context(), m.Hook, success(m, "apn_1")); err != nil {
		t.Fatalf("the webhook was not taken: %v", err)
	}
	checks := w.checks()
	if len(checks) != 1 {
		t.Fatalf("%d jobs enqueued, want 1", len(checks))
	}
	if err := w.Settle(t.Context(), checks[0]); !errors.Is(err, track.ErrLater) {
		t.Fatalf("during the outage the job says %v", err)
	}
	w.Vendor.Answer(0, "")
	if err := w.Settle(t.Context(), checks[0]); err != nil {
		t.Fatal(err)
	}
	if got := w.Get(m.ID); got.Status != invite.Connected {
		t.Errorf("invite is %s", got.Status)
	}
}

func TestWebhookWithoutTheTokenIsRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	m, other := w.Invite(tracktest.Options{}), w.Invite(tracktest.Options{User: "user-9"})
	w.HandOut(m)
	w.Vendor.Connect(tracktest.Account{ID: "apn_1", User: "user-1", App: "slack"})
	noToken := m
	noToken.Token = secret.Text{}
	for name, c := range map[string]struct {
		hook secret.Text
		body []byte
		want error
	}{
		"another invite's token":  {m.Hook, success(other, "apn_1"), track.ErrUnknown},
		"no token":                {m.Hook, success(noToken, "apn_1"), track.ErrUnknown},
		"another invite's path":   {other.Hook, success(m, "apn_1"), track.ErrUnknown},
		"a path never given":      {access.NewCallbackSecret(), success(m, "apn_1"), track.ErrUnknown},
		"a path that is none":     {secret.New("x' OR 1=1 --"), success(m, "apn_1"), track.ErrUnknown},
		"no JSON":                 {m.Hook, []byte("event=CONNECTION_SUCCESS"), track.ErrMalformed},
		"a list":                  {m.Hook, []byte(`[]`), track.ErrMalformed},
		"an event without a name": {m.Hook, []byte(`{"connect_token":"` + m.Token.Reveal() + `"}`), track.ErrMalformed},
	} {
		if err := w.Pipedream(t.Context(), c.hook, c.body); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
	if n := w.Count(`SELECT count(*) FROM callbacks`) + w.Count(`SELECT count(*) FROM seen`); n != 0 {
		t.Errorf("%d traces of refused webhooks", n)
	}
	if got := w.Get(m.ID); got.Status != invite.Active {
		t.Errorf("invite is %s", got.Status)
	}
}

func TestUnknownEventIsKeptAndAcknowledged(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	m := w.Invite(tracktest.Options{})
	body := []byte(`{"event":"CONNECTION_RENAMED","connect_token":"` + m.Token.Reveal() + `","n":1.4058728083872854e+38}`)
	if err := w.Pipedream(t.Context(), m.Hook, body); err != nil {
		t.Fatal(err)
	}
	if n := w.Count(`SELECT count(*) FROM callbacks WHERE invite_id = $1`, m.ID); n != 1 {
		t.Errorf("%d callbacks kept", n)
	}
}

func TestConnectTokenIsTakenOutOfWhatIsKept(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	m := w.Invite(tracktest.Options{})
	w.HandOut(m)
	if err := w.Pipedream(t.Context(), m.Hook, failure(m, "at https://pipedream.com/x?token="+m.Token.Reveal()+" it failed")); err != nil {
		t.Fatal(err)
	}
	var id [16]byte
	var sealed []byte
	if err := w.Pool.QueryRow(t.Context(), `SELECT id, body FROM callbacks`).Scan(&id, &sealed); err != nil {
		t.Fatal(err)
	}
	plain, err := w.Box.Open(sealed, seal.AD{Column: "callbacks.body", ID: id})
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(plain, []byte(m.Token.Reveal())) || !bytes.Contains(plain, []byte("CONNECTION_ERROR")) {
		t.Errorf("kept body: %d bytes, with token %t", len(plain), bytes.Contains(plain, []byte(m.Token.Reveal())))
	}
}

func TestConnectFailedCanFailTwiceOnOneLink(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	m := w.Invite(tracktest.Options{})
	w.HandOut(m)
	for _, words := range []string{"access_denied", "access_denied", "The user cancelled."} {
		if err := w.Pipedream(t.Context(), m.Hook, failure(m, words)); err != nil {
			t.Fatal(err)
		}
	}
	if got := w.Get(m.ID); got.Status != invite.Active || got.Progress != invite.ConnectFailed {
		t.Errorf("invite is %s, %s", got.Status, got.Progress)
	}
	if n := w.published(invite.EffectPublishConnectFailed); n != 2 {
		t.Errorf("published %d failures, want 2", n)
	}
	var outcomes []string
	for _, e := range w.Events(m.ID) {
		if e.Type == invite.EventConnectFailed {
			outcomes = append(outcomes, e.Data.Outcome)
			if e.Detail == nil || bytes.Contains(e.Detail, []byte("denied")) {
				t.Error("the words are not sealed")
			}
		}
	}
	if want := []string{"denied", "cancelled"}; !slices.Equal(outcomes, want) {
		t.Errorf("classed as %v, want %v", outcomes, want)
	}
}

func TestConnectionAfterRevokeFillsTheConnectionAndAsksForAttention(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	m := w.Invite(tracktest.Options{})
	w.HandOut(m)
	w.Append(m.ID, invite.Event{Type: invite.EventRevoked})
	w.Vendor.Connect(tracktest.Account{ID: "apn_1", User: "user-1", App: "slack"})
	if err := w.Pipedream(t.Context(), m.Hook, success(m, "apn_1")); err != nil {
		t.Fatal(err)
	}
	got := w.Get(m.ID)
	if got.Status != invite.Revoked || got.AccountID != "apn_1" {
		t.Errorf("invite is %s with account %q", got.Status, got.AccountID)
	}
	if !slices.Contains(w.Types(m.ID), invite.EventConnectedLate) {
		t.Errorf("events: %v", w.Types(m.ID))
	}
	if n := w.published(invite.EffectPublishConnected); n != 0 {
		t.Error("the product was told of a connection it had called off as if nothing were")
	}
}

func TestConnectionAfterExpiryCounts(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	m := w.Invite(tracktest.Options{})
	w.HandOut(m)
	w.Append(m.ID, invite.Event{Type: invite.EventExpired})
	w.Vendor.Connect(tracktest.Account{ID: "apn_1", User: "user-1", App: "slack"})
	if err := w.Pipedream(t.Context(), m.Hook, success(m, "apn_1")); err != nil {
		t.Fatal(err)
	}
	if got := w.Get(m.ID); got.Status != invite.Connected {
		t.Errorf("invite is %s", got.Status)
	}
}
