package publish_test

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"

	"github.com/connectlink/connectlink/config"
	"github.com/connectlink/connectlink/internal/access"
	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/job"
	"github.com/connectlink/connectlink/internal/publish"
	"github.com/connectlink/connectlink/internal/store/ledger"
	"github.com/connectlink/connectlink/internal/store/userid"
	"github.com/connectlink/connectlink/internal/track/tracktest"
	"github.com/connectlink/connectlink/migrations"
)

// TestB1EveryTryOfAnEventSendsTheSameBytes: the event tells of the invite as it was
// when the event happened, not as it is now.
func TestB1EveryTryOfAnEventSendsTheSameBytes(t *testing.T) {
	t.Parallel()
	k := tracktest.New(t)
	var got [][]byte
	endpoint := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		raw, _ := io.ReadAll(r.Body)
		got = append(got, raw)
		w.WriteHeader(http.StatusInternalServerError)
	}))
	t.Cleanup(endpoint.Close)
	project := func(id string) (config.Project, bool) {
		return config.Project{ID: id, Webhook: &config.Webhook{URL: endpoint.URL, Secret: access.NewWebhookSecret()}}, true
	}
	jobs, err := river.NewClient(riverpgxv5.New(k.Pool), &river.Config{Schema: migrations.RiverSchema})
	if err != nil {
		t.Fatal(err)
	}
	outbox := publish.NewOutbox(jobs, k.Box, project)
	m := k.Invite(tracktest.Options{})
	happens := func(e invite.Event) {
		k.InTx(func(tx pgx.Tx) error {
			applied, err := ledger.Append(t.Context(), tx, k.Box, m.ID, e)
			if err != nil {
				return err
			}
			return outbox.Enqueue(t.Context(), tx, applied)
		})
	}
	happens(invite.Event{Type: invite.EventConnectFailed})
	failed := enqueued(t.Context(), t, k, "invite.connect_failed")
	courier := publish.NewCourier(publish.Params{DB: k.Pool, Box: k.Box, Project: project, AllowPrivate: true, Now: time.Now})
	deliver := func(j job.Publish) {
		if err := courier.Deliver(t.Context(), j, time.Now()); err == nil {
			t.Fatal("an answer of 500 was taken for success")
		}
	}
	deliver(failed)
	happens(invite.Event{Type: invite.EventConnected, Data: invite.Data{AccountID: "apn_1"}})
	deliver(failed)
	deliver(enqueued(t.Context(), t, k, "invite.connected"))
	if len(got) != 3 || string(got[0]) != string(got[1]) {
		t.Fatalf("two tries of one event differ:\n%s\n%s", got[0], got[1])
	}
	var first, last struct {
		Data struct {
			Invite struct {
				Status, Progress string
				Version          int
			}
		}
	}
	if err := json.Unmarshal(got[1], &first); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(got[2], &last); err != nil {
		t.Fatal(err)
	}
	if a, b := first.Data.Invite, last.Data.Invite; a.Status != "active" || a.Progress != "connect_failed" || b.Status != "connected" || a.Version >= b.Version {
		t.Errorf("the events tell of %+v and %+v", a, b)
	}
	// Once the person is erased, nothing of them waits in a job.
	k.InTx(func(tx pgx.Tx) error {
		return ledger.SetErased(t.Context(), tx, []invite.ID{m.ID}, "erased-1", userid.Hash(k.Box, invite.Place{Project: "default"}, "erased-1"))
	})
	if n := k.Count(`SELECT count(*) FROM ` + migrations.RiverSchema + `.river_job WHERE args ? 'body'`); n != 0 {
		t.Errorf("%d events keep what they say of an erased person", n)
	}
	deliver(enqueued(t.Context(), t, k, "invite.connected"))
	if erased := string(got[3]); !strings.Contains(erased, `"recipient":null`) || strings.Contains(erased, "customer.example") {
		t.Errorf("after an erasure: %s", erased)
	}
}

// enqueued reads the one job of a type.
func enqueued(ctx context.Context, t *testing.T, k *tracktest.Kit, name string) job.Publish {
	t.Helper()
	var args []byte
	var j job.Publish
	err := k.Pool.QueryRow(ctx, `SELECT args FROM `+migrations.RiverSchema+`.river_job WHERE kind = 'publish' AND args->>'type' = $1`, name).Scan(&args)
	if err == nil {
		err = json.Unmarshal(args, &j)
	}
	if err != nil {
		t.Fatal(err)
	}
	return j
}
