package issue_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/connectlink/connectlink/config"
	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/issue"
	"github.com/connectlink/connectlink/internal/secret"
	"github.com/connectlink/connectlink/internal/store/find"
	"github.com/connectlink/connectlink/internal/store/ledger"
	"github.com/connectlink/connectlink/internal/store/suppression"
)

// reconnecting is a world whose project wants invites for unhealthy accounts.
func reconnecting(t *testing.T) *world {
	t.Helper()
	w := newWorld(t)
	w.project.OnUnhealthy, w.project.MaxReconnects = config.UnhealthyInvite, 1
	return w
}

// unhealthy is a connected invite whose account stopped working, as the watch leaves it.
func (w *world) unhealthy(s *issue.Service, r issue.CreateRequest, account string) invite.ID {
	w.t.Helper()
	id := w.create(s, r)
	w.fate(id, delivered(), invite.Event{Type: invite.EventConnected, Data: invite.Data{AccountID: account}})
	if _, err := w.db.Exec(w.t.Context(), `INSERT INTO connections (project_id, livemode, environment, account_id, invite_id, status, reason, since, checked_at, next_at, reconnect_at)
		SELECT project_id, livemode, environment, account_id, id, 'unhealthy', 'account_unhealthy', now(), now(), now() + interval '1 day', now() FROM invites WHERE id = $1`, id); err != nil {
		w.t.Fatal(err)
	}
	return id
}

// reconnect makes the planned invites due, and makes them.
func (w *world) reconnect(s *issue.Service, want int) {
	w.t.Helper()
	if _, err := w.db.Exec(w.t.Context(), `UPDATE connections SET reconnect_at = now() WHERE reconnect_at IS NOT NULL`); err != nil {
		w.t.Fatal(err)
	}
	n, err := s.ReconnectUnhealthy(w.t.Context())
	if err != nil || n != want {
		w.t.Fatalf("%d invites made (%v), want %d", n, err, want)
	}
}

// again returns the invites that reconnect another.
func (w *world) again(of invite.ID) []find.Invite {
	w.t.Helper()
	rows, err := w.db.Query(w.t.Context(), `SELECT id FROM invites WHERE reconnect_of = $1 ORDER BY id`, of)
	if err != nil {
		w.t.Fatal(err)
	}
	ids, err := pgx.CollectRows(rows, pgx.RowTo[invite.ID])
	if err != nil {
		w.t.Fatal(err)
	}
	out := make([]find.Invite, 0, len(ids))
	for _, id := range ids {
		out = append(out, w.get(id))
	}
	return out
}

func TestAnUnhealthyAccountLeadsToOneInvite(t *testing.T) {
	t.Parallel()
	w := reconnecting(t)
	s := w.process()
	week := 7 * 24 * 3600
	r := ask("user-1")
	r.Note, r.Reason, r.ValidFor, r.Metadata = "From Sam", "we can post", &week, map[string]string{"k": "v"}
	id := w.unhealthy(s, r, "apn_1")
	w.reconnect(s, 1)
	w.reconnect(s, 0)
	made := w.again(id)
	if len(made) != 1 {
		t.Fatalf("%d invites", len(made))
	}
	got := made[0]
	if got.Kind != invite.PurposeReconnect || got.ReconnectAccount != "apn_1" || got.Status != invite.Pending || got.Channel != invite.Email ||
		got.AppSlug != "slack" || got.OAuthAppID != "oa_slack9" || got.ValidForS == nil || int(*got.ValidForS) != week || got.DeliveryStatus == nil || *got.DeliveryStatus != "queued" {
		t.Errorf("%+v", got)
	}
	content, err := find.Open(w.box, got.ID, got.Content)
	if err != nil || content.Recipient.Email != "Pat.Doe@customer.example" || content.Reason != "we can post" || content.Metadata["k"] != "v" || content.Inviter+content.Note != "" {
		t.Errorf("%+v, %v", content, err)
	}
	if user, err := got.OpenUser(w.box, got.ID); user != "user-1" || err != nil {
		t.Errorf("user %q, %v", user, err)
	}
	if n := w.count(`SELECT count(*) FROM events WHERE invite_id = $1 AND type = 'created' AND actor = 'system' AND data->>'outcome' = 'on_unhealthy' AND data->>'other_invite' = $2`, got.ID, id.String()); n != 1 {
		t.Error("its timeline does not tell why it was made")
	}
	if old := w.get(id); old.ReconnectedBy != got.ID || !slices.Contains(w.timeline(id), "reconnect.invited") {
		t.Errorf("the first invite: %v, %v", old.ReconnectedBy, w.timeline(id))
	}
	if lane := <-w.woken; lane != got.Lane(invite.Email) && w.count(`SELECT count(*) FROM deliveries WHERE invite_id = $1`, got.ID) != 1 {
		t.Errorf("woken %v", lane)
	}
}

func TestADeletedAccountIsReplacedByANewOne(t *testing.T) {
	t.Parallel()
	w := reconnecting(t)
	s := w.process()
	id := w.unhealthy(s, ask("user-1"), "apn_1")
	if _, err := w.db.Exec(t.Context(), `UPDATE connections SET reason = 'account_deleted'`); err != nil {
		t.Fatal(err)
	}
	w.reconnect(s, 1)
	if got := w.again(id)[0]; got.ReconnectAccount != "" || got.Kind != invite.PurposeReconnect {
		t.Errorf("%s reconnects %q", got.Kind, got.ReconnectAccount)
	}
}

func TestWhyNoInviteIsMadeForAnUnhealthyAccount(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		prepare func(*world, *issue.Service)
		request func(*issue.CreateRequest)
		why     string
	}{
		"the project changed its mind": {prepare: func(w *world, _ *issue.Service) { w.project.OnUnhealthy = config.UnhealthyEvent }, why: "policy"},
		"nothing can be sent":          {request: func(r *issue.CreateRequest) { r.Channel = "link" }, why: "no_message"},
		"the address is suppressed": {prepare: func(w *world, _ *issue.Service) {
			_, _, err := suppression.Insert(w.t.Context(), w.db, w.box, suppression.Scope{Place: invite.Place{Project: "default"}}, suppression.New{
				Channel: invite.Email, Kind: invite.NotMe, Address: secret.New("pat.doe@customer.example"), Source: suppression.FromPage,
			})
			if err != nil {
				w.t.Fatal(err)
			}
		}, why: string(invite.NotMe.Reason())},
		"another invite is open": {prepare: func(w *world, s *issue.Service) { w.create(s, ask("user-1")) }, why: "active_invite_exists"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := reconnecting(t)
			s := w.process()
			r := ask("user-1")
			if c.request != nil {
				c.request(&r)
			}
			id := w.unhealthy(s, r, "apn_1")
			if c.prepare != nil {
				c.prepare(w, s)
			}
			w.reconnect(s, 0)
			if got := w.timeline(id); len(w.again(id)) != 0 || !slices.Contains(got, "reconnect.skipped"+c.why) {
				t.Errorf("timeline %v", got)
			}
			w.reconnect(s, 0)
			if got := strings.Count(strings.Join(w.timeline(id), " "), "reconnect.skipped"); got != 1 {
				t.Errorf("it is told %d times", got)
			}
		})
	}
}

func TestAnInviteToReconnectWaitsForTheMorning(t *testing.T) {
	t.Parallel()
	w := reconnecting(t)
	w.key.Live, w.key.Environment = true, "production"
	s := w.process()
	r := ask("user-1")
	r.Recipient.TimeZone = zoneAt(2)
	id := w.unhealthy(s, r, "apn_1")
	w.reconnect(s, 0)
	if n := w.count(`SELECT count(*) FROM connections WHERE reconnect_at BETWEEN now() + interval '5 hours' AND now() + interval '6 hours 1 minute'`); n != 1 || len(w.again(id)) != 0 {
		t.Error("it does not wait for eight o'clock there")
	}
}

// TestAPersonGetsTheProjectsNumberOfInvitesOverAllProcesses although several accounts
// of theirs stop working at once.
func TestAPersonGetsTheProjectsNumberOfInvitesOverAllProcesses(t *testing.T) {
	t.Parallel()
	for most := range 3 {
		t.Run(fmt.Sprint(most), func(t *testing.T) {
			t.Parallel()
			w := reconnecting(t)
			w.project.MaxReconnects = most
			first := w.process()
			apps := []string{"slack", "notion", "github", "google_sheets", "hubspot", "airtable_oauth"}
			for i, app := range apps {
				r := ask("user-1")
				r.App, r.OAuthAppID = app, ""
				w.unhealthy(first, r, fmt.Sprintf("apn_%d", i))
			}
			other := w.unhealthy(first, ask("user-2"), "apn_other")
			var g sync.WaitGroup
			for range 4 {
				s := w.process()
				g.Go(func() {
					if _, err := s.ReconnectUnhealthy(context.WithoutCancel(t.Context())); err != nil {
						t.Error(err)
					}
				})
			}
			g.Wait()
			if n := w.count(`SELECT count(*) FROM invites WHERE kind = 'reconnect' AND reconnect_of <> $1`, other); n != most {
				t.Errorf("%d invites for one person, want %d", n, most)
			}
			if n := w.count(`SELECT count(*) FROM events WHERE type = 'reconnect.skipped' AND data->>'outcome' = 'max_reconnects_per_person'`); n < len(apps)-most {
				t.Errorf("%d timelines tell why none was made", n)
			}
			// A week later there may be more.
			if _, err := w.db.Exec(t.Context(), `UPDATE invites SET created_at = created_at - interval '7 days 1 minute', gives_up_at = now() WHERE kind = 'reconnect'`); err != nil {
				t.Fatal(err)
			}
			if _, err := w.db.Exec(t.Context(), `UPDATE connections SET reconnect_at = now()`); err != nil {
				t.Fatal(err)
			}
			if _, err := first.ReconnectUnhealthy(t.Context()); err != nil {
				t.Fatal(err)
			}
			if n := w.count(`SELECT count(*) FROM invites WHERE kind = 'reconnect' AND reconnect_of <> $1`, other); n != 2*most {
				t.Errorf("%d invites after a week, want %d", n, 2*most)
			}
		})
	}
}

// TestADeathBetweenLeavesOneInvite: the mark and the invite are one transaction.
func TestADeathBetweenLeavesOneInvite(t *testing.T) {
	t.Parallel()
	w := reconnecting(t)
	id := w.unhealthy(w.process(), ask("user-1"), "apn_1")
	dies := w.process(func(p *issue.Params) {
		p.Publish = func(context.Context, pgx.Tx, ...ledger.Applied) error { return errors.New("killed") } // after the insert
	})
	if _, err := dies.ReconnectUnhealthy(t.Context()); err == nil {
		t.Fatal("it did not die")
	}
	if n := len(w.again(id)); n != 0 {
		t.Fatalf("%d invites are left", n)
	}
	w.reconnect(w.process(), 1)
	w.reconnect(w.process(), 0)
	if n := len(w.again(id)); n != 1 {
		t.Errorf("%d invites", n)
	}
}

// TestARecoveryTakesThePlannedInviteBack: nothing is left to be reconnected.
func TestARecoveryTakesThePlannedInviteBack(t *testing.T) {
	t.Parallel()
	w := reconnecting(t)
	s := w.process()
	id := w.unhealthy(s, ask("user-1"), "apn_1")
	if _, err := w.db.Exec(t.Context(), `UPDATE connections SET status = 'healthy', reason = ''`); err != nil {
		t.Fatal(err)
	}
	w.reconnect(s, 0)
	if n := len(w.again(id)); n != 0 {
		t.Errorf("%d invites", n)
	}
}
