package publish_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/connectlink/connectlink/config"
	"github.com/connectlink/connectlink/internal/access"
	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/job"
	"github.com/connectlink/connectlink/internal/publish"
	"github.com/connectlink/connectlink/internal/seal"
	"github.com/connectlink/connectlink/internal/store/find"
	"github.com/connectlink/connectlink/internal/store/ledger"
	"github.com/connectlink/connectlink/internal/store/userid"
	"github.com/connectlink/connectlink/internal/track/tracktest"
	"github.com/connectlink/connectlink/internal/waittest"
)

// TestB1AJobFromBeforeTheLogPostsItsBytes: an earlier version enqueued the event with
// its body. Each attempt posts these bytes, until the person is erased.
func TestB1AJobFromBeforeTheLogPostsItsBytes(t *testing.T) {
	t.Parallel()
	k := tracktest.New(t)
	var got []string
	endpoint := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		raw, _ := io.ReadAll(r.Body)
		got = append(got, string(raw))
		w.WriteHeader(http.StatusInternalServerError)
	}))
	t.Cleanup(endpoint.Close)
	hook := &config.Webhook{URL: endpoint.URL, Secret: access.NewWebhookSecret()}
	project := func(id string) (config.Project, bool) { return config.Project{ID: id, Webhook: hook}, true }
	courier := publish.NewCourier(publish.Params{DB: k.Pool, Box: k.Box, Project: project, AllowPrivate: true, Now: time.Now})
	m := k.Invite(tracktest.Options{})
	j := job.Publish{EventID: invite.New[invite.EventID](), InviteID: m.ID, Type: "invite.connect_failed", Version: 2}
	body, err := k.Box.Seal([]byte(`{"as":"it was"}`), seal.AD{Column: "river_job.publish", ID: j.EventID.UUID()})
	if err != nil {
		t.Fatal(err)
	}
	j.Body = body
	post := func() {
		t.Helper()
		var failed *publish.AttemptError
		if err := courier.HandOver(t.Context(), j, time.Now()); !errors.As(err, &failed) || failed.Status != 500 {
			t.Fatalf("an answer of 500: %v", err)
		}
	}
	post()
	k.Append(m.ID, invite.Event{Type: invite.EventConnected, Data: invite.Data{AccountID: "apn_1"}})
	post()
	if got[0] != `{"as":"it was"}` || got[1] != got[0] {
		t.Errorf("two attempts posted %q", got)
	}
	j.Body = nil // of the first version
	post()
	k.InTx(func(tx pgx.Tx) error {
		return ledger.SetErased(t.Context(), tx, []invite.ID{m.ID}, "erased-1", userid.Hash(k.Box, here, "erased-1"))
	})
	j.Body = body
	post()
	for _, raw := range got[2:] {
		var e logged
		if err := json.Unmarshal([]byte(raw), &e); err != nil || e.ID != j.EventID || e.Type != j.Type || e.Data.Invite.Status != "connected" {
			t.Errorf("without bytes of its own: %v %s", err, raw)
		}
	}
	if !strings.Contains(got[3], `"recipient":null`) || strings.Contains(got[3], "customer.example") {
		t.Errorf("after an erasure: %s", got[3])
	}
	hook = nil
	if err := courier.HandOver(t.Context(), j, time.Now()); !errors.Is(err, publish.ErrGone) {
		t.Errorf("without a webhook: %v", err)
	}
}

// TestAJobOfALoggedEventIsQueuedForTheEndpoint: once, under the event's own id, and not
// again if the endpoint took it.
func TestAJobOfALoggedEventIsQueuedForTheEndpoint(t *testing.T) {
	t.Parallel()
	k := newHookKit(t)
	m := k.Invite(tracktest.Options{})
	k.happens(m.ID, invite.Event{Type: invite.EventExpired}) // by an earlier version: no endpoint yet
	j := job.Publish{InviteID: m.ID, Type: "invite.expired", Version: 2, EventID: read(t, k.list(find.Feed{}).Events[0]).ID}
	r := newReceiver(t)
	configured := &config.Webhook{URL: r.URL, Secret: access.NewWebhookSecret(), AllowPrivate: true}
	k.webhook.Store(configured)
	if err := k.courier.HandOver(t.Context(), j, time.Now()); err == nil || errors.Is(err, publish.ErrGone) {
		t.Errorf("before the webhook is stored: %v", err)
	}
	hook := k.configure(configured)
	for range 2 {
		if err := k.courier.HandOver(context.WithoutCancel(t.Context()), j, time.Now()); err != nil {
			t.Fatal(err)
		}
		waittest.Until(t, "it is delivered", func() bool { return k.delivered(hook) == 1 })
	}
	if ids := r.count(j.EventID.String()); ids != 1 || len(k.attempts(hook)) != 1 {
		t.Errorf("delivered %d times: %q", ids, r.got())
	}
}
