package issue_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"github.com/connectlink/connectlink/internal/access"
	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/issue"
	"github.com/connectlink/connectlink/internal/quota"
	"github.com/connectlink/connectlink/internal/store/bulk"
	"github.com/connectlink/connectlink/internal/store/find"
	"github.com/connectlink/connectlink/internal/store/ledger"
)

// employed is a member of staff with an account.
func (w *world) employed(role access.Role) access.Principal {
	w.t.Helper()
	id := invite.New[invite.StaffID]()
	if _, err := w.db.Exec(w.t.Context(), `WITH s AS (INSERT INTO staff (id, kind, login_hash, profile) VALUES ($1, 'link', uuid_send($1), '') RETURNING id)
		INSERT INTO staff_roles (staff_id, project_id, role) SELECT id, 'default', $2 FROM s`, id, string(role)); err != nil {
		w.t.Fatal(err)
	}
	return access.Staff(id.String(), role, invite.Place{Project: "default"})
}

// undelivered makes n invites whose message bounced, of user-0 and so on.
func (w *world) undelivered(s *issue.Service, n int) []invite.ID {
	w.t.Helper()
	ids := make([]invite.ID, n)
	for i := range ids {
		req := ask(fmt.Sprintf("user-%d", i))
		req.Recipient.Email = fmt.Sprintf("delivered+%d@connectlink.test", i)
		made, err := s.Create(w.t.Context(), w.key, req, issue.Meta{})
		if err != nil {
			w.t.Fatal(err)
		}
		ids[i] = made.Invite.ID
	}
	w.bounce(ids)
	return ids
}

func (w *world) bounce(ids []invite.ID) {
	w.t.Helper()
	if _, err := w.db.Exec(w.t.Context(), `UPDATE deliveries SET status = 'bounced', reason = 'address_not_found', next_at = NULL WHERE invite_id = ANY($1)`, ids); err != nil {
		w.t.Fatal(err)
	}
}

func targets(ids []invite.ID) []issue.BulkTarget {
	out := make([]issue.BulkTarget, len(ids))
	for i, id := range ids {
		out[i].Invite = id
	}
	return out
}

// outcome is the state of an act and its items, by state and reason.
func (w *world) outcome(id invite.BulkID) (bulk.State, map[string]int) {
	w.t.Helper()
	place := invite.Place{Project: "default"}
	act, err := bulk.Get(w.t.Context(), w.db, place, id)
	if err != nil {
		w.t.Fatal(err)
	}
	counts, err := bulk.CountItems(w.t.Context(), w.db, place, id)
	if err != nil {
		w.t.Fatal(err)
	}
	out := map[string]int{}
	for _, c := range counts {
		out[strings.TrimSuffix(string(c.State)+" "+c.Reason, " ")] += c.Items
	}
	return act.State, out
}

func (w *world) plan(s *issue.Service, p access.Principal, req issue.BulkRequest) invite.BulkID {
	w.t.Helper()
	id, err := s.PlanBulk(w.t.Context(), p, req)
	if err != nil {
		w.t.Fatal(err)
	}
	return id
}

// A process that ends in the middle of an act has done some items; another one does the
// others, and none is done twice. Each item ends in the transaction of its invite, so a
// kill between the two does not exist.
func TestBulkActOfAKilledProcessIsFinishedByAnother(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s, p := w.process(), w.employed(access.RoleAgent)
	const n = 25
	ids := w.undelivered(s, n)
	id := w.plan(s, p, issue.BulkRequest{Kind: bulk.Resend, Selection: "all", Targets: targets(ids)})
	if got := w.count(`SELECT count(*) FROM events WHERE type = 'resent'`); got != 0 {
		t.Fatalf("a dry run resent %d invites", got)
	}
	if err := s.ConfirmBulk(t.Context(), p, id); err != nil {
		t.Fatal(err)
	}
	dying, kill := context.WithCancel(t.Context())
	minted := w.mints.Load()
	die := func() {
		if w.mints.Load() >= minted+7 {
			kill()
		}
	}
	w.onMint.Store(&die)
	if _, err := s.RunBulk(dying); !errors.Is(err, context.Canceled) {
		t.Fatalf("the killed run returned %v", err)
	}
	state, items := w.outcome(id)
	if state != bulk.Running || items["done"] == 0 || items["waiting"] == 0 || items["done"]+items["waiting"] != n {
		t.Fatalf("after the kill: %s %v", state, items)
	}
	w.onMint.Store(nil)
	// A killed process gives nothing back: its lease ends.
	if _, err := w.db.Exec(t.Context(), `UPDATE bulk_acts SET lease_until = now() + interval '1 minute'`); err != nil {
		t.Fatal(err)
	}
	if got, err := w.process().RunBulk(t.Context()); err != nil || got != 0 {
		t.Fatalf("with a lease of another process: %d, %v", got, err)
	}
	if _, err := w.db.Exec(t.Context(), `UPDATE bulk_acts SET lease_until = now() - interval '1 second'`); err != nil {
		t.Fatal(err)
	}
	if got, err := w.process().RunBulk(t.Context()); err != nil || got != items["waiting"] {
		t.Fatalf("the other process did %d, %v", got, err)
	}
	state, items = w.outcome(id)
	if diff := cmp.Diff(map[string]int{"done": n}, items); diff != "" || state != bulk.Finished {
		t.Errorf("%s: %s", state, diff)
	}
	if got := w.count(`SELECT count(*) FROM (SELECT invite_id FROM events WHERE type = 'resent' GROUP BY invite_id HAVING count(*) = 1) e`); got != n {
		t.Errorf("%d of %d invites were resent once", got, n)
	}
	if got := w.count(`SELECT count(*) FROM deliveries WHERE kind = 'resend'`); got != n {
		t.Errorf("%d messages for %d invites", got, n)
	}
}

// As above, with an act that asks no vendor: a retried item extends its invite once.
func TestBulkExtensionOfAKilledProcessExtendsEachInviteOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s, p := w.process(), w.employed(access.RoleAgent)
	const n = 30
	ids := w.undelivered(s, n)
	id := w.plan(s, p, issue.BulkRequest{Kind: bulk.Extend, Extend: extension(week), Selection: "all", Targets: targets(ids)})
	if err := s.ConfirmBulk(t.Context(), p, id); err != nil {
		t.Fatal(err)
	}
	dying, kill := context.WithCancel(t.Context())
	var extended atomic.Int64
	killed := w.process(func(p *issue.Params) {
		p.Publish = func(context.Context, pgx.Tx, ...ledger.Applied) error {
			if extended.Add(1) == 7 {
				kill() // before the commit of this one
			}
			return nil
		}
	})
	if _, err := killed.RunBulk(dying); !errors.Is(err, context.Canceled) {
		t.Fatalf("the killed run returned %v", err)
	}
	_, items := w.outcome(id)
	if items["done"] == 0 || items["waiting"] == 0 || items["done"] != w.count(`SELECT count(*) FROM events WHERE type = 'extended'`) {
		t.Fatalf("after the kill: %v", items)
	}
	w.exec(`UPDATE bulk_acts SET lease_until = now() - interval '1 second', due_at = now()`)
	if got, err := s.RunBulk(t.Context()); err != nil || got != items["waiting"] {
		t.Fatalf("the other process did %d of %d, %v", got, items["waiting"], err)
	}
	state, items := w.outcome(id)
	if diff := cmp.Diff(map[string]int{"done": n}, items); diff != "" || state != bulk.Finished {
		t.Errorf("%s: %s", state, diff)
	}
	if got := w.count(`SELECT count(*) FROM (SELECT invite_id FROM events WHERE type = 'extended' AND data->>'bulk' = $1 GROUP BY invite_id HAVING count(*) = 1) e`, id.String()); got != n {
		t.Errorf("%d of %d invites were extended once", got, n)
	}
	if got := w.count(`SELECT count(*) FROM invites WHERE gives_up_at BETWEEN now() + interval '6 days 23 hours' AND now() + interval '7 days'`); got != n {
		t.Errorf("%d of %d invites end in a week", got, n)
	}
	if got := w.count(`SELECT count(*) FROM deliveries WHERE kind <> 'first'`); got != 0 {
		t.Errorf("%d messages", got)
	}
	if got := w.count(`SELECT count(*) FROM audit WHERE act = 'extend'`); got != 0 {
		t.Errorf("%d entries of single acts in the audit log", got)
	}
	if got := w.count(`SELECT count(*) FROM audit WHERE act = 'bulk' AND target = $1 AND data->>'act' = 'extend' AND data->>'valid_for' = '604800'`, id.String()); got != 1 {
		t.Errorf("%d entries of the act", got)
	}
}

func TestBulkExtensionLeavesOutWhatTheSingleActRefuses(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s, p := w.process(), w.employed(access.RoleAgent)
	ids := w.undelivered(s, 12)
	for i, sql := range []string{
		1: `UPDATE invites SET status = 'connected' WHERE id = $1`,
		2: `UPDATE invites SET status = 'revoked' WHERE id = $1`,
		3: `UPDATE invites SET status = 'revoked', replaced_by = gen_random_uuid() WHERE id = $1`,
		4: `UPDATE invites SET status = 'scheduled' WHERE id = $1`,
		5: `UPDATE invites SET link_type = 'connect' WHERE id = $1`,
		6: `UPDATE invites SET status = 'expired' WHERE id = $1`,
		7: `UPDATE invites SET gives_up_at = now() WHERE id = $1`,
		8: `UPDATE invites SET gives_up_at = now() + interval '8 days' WHERE id = $1`,
		9: `UPDATE invites SET erased_at = now() WHERE id = $1`,
	} {
		if sql != "" {
			w.exec(sql, ids[i])
		}
	}
	id := w.plan(s, p, issue.BulkRequest{Kind: bulk.Extend, Extend: extension(week), Selection: "all", Targets: targets(ids)})
	act, err := bulk.Get(t.Context(), w.db, p.Place, id)
	if err != nil || act.Emails != 0 || act.Texts != 0 || act.ValidForS != week {
		t.Errorf("%+v, %v", act, err)
	}
	_, items := w.outcome(id)
	want := map[string]int{
		"waiting": 3, "left_out connected": 1, "left_out revoked": 1, "left_out replaced": 1, "left_out scheduled": 1, "left_out connect_link": 1,
		"left_out expired": 2, "left_out later": 1, "left_out gone": 1,
	}
	if diff := cmp.Diff(want, items); diff != "" {
		t.Error(diff)
	}
	// Meanwhile one expires, and a colleague extends another one further.
	w.happens(ids[0], invite.Event{Type: invite.EventResent})
	w.happens(ids[0], invite.Event{Type: invite.EventExpired})
	if _, err := s.Extend(t.Context(), w.key, ids[10], extension(2*week), issue.Meta{}); err != nil {
		t.Fatal(err)
	}
	if err := s.ConfirmBulk(t.Context(), p, id); err != nil {
		t.Fatal(err)
	}
	if _, err := s.RunBulk(t.Context()); err != nil {
		t.Fatal(err)
	}
	state, items := w.outcome(id)
	delete(want, "waiting")
	want["done"], want["left_out expired"], want["left_out later"] = 1, 3, 2
	if diff := cmp.Diff(want, items); diff != "" || state != bulk.Finished {
		t.Errorf("%s: %s", state, diff)
	}
	for _, wrong := range []issue.ExtendRequest{{}, extension(30*24*3600 + 1)} {
		if _, err := s.PlanBulk(t.Context(), p, issue.BulkRequest{Kind: bulk.Extend, Extend: wrong, Selection: "all", Targets: targets(ids)}); invite.CodeOf(err) != invite.CodeInvalidRequest {
			t.Errorf("%v: %v", wrong.ValidFor, err)
		}
	}
	if _, err := s.PlanBulk(t.Context(), w.employed(access.RoleViewer), issue.BulkRequest{Kind: bulk.Extend, Extend: extension(week), Selection: "all", Targets: targets(ids)}); !errors.Is(err, issue.ErrBulkForbidden) {
		t.Errorf("a viewer: %v", err)
	}
}

// Two processes that hold the same item change its invite once.
func TestBulkItemOfTwoProcessesIsDoneOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s, p := w.process(), w.employed(access.RoleAgent)
	ids := w.undelivered(s, 1)
	id := w.plan(s, p, issue.BulkRequest{Kind: bulk.Resend, Selection: "ticked", Targets: targets(ids)})
	if err := s.ConfirmBulk(t.Context(), p, id); err != nil {
		t.Fatal(err)
	}
	// While one waits for Pipedream its lease ends, and another one does the item.
	other := w.process()
	first := true
	meanwhile := func() {
		if !first {
			return
		}
		first = false
		if _, err := w.db.Exec(t.Context(), `UPDATE bulk_acts SET lease_until = now() - interval '1 second'`); err != nil {
			t.Error(err)
		}
		if n, err := other.RunBulk(t.Context()); n != 1 || err != nil {
			t.Errorf("the other process: %d, %v", n, err)
		}
	}
	w.onMint.Store(&meanwhile)
	if n, err := s.RunBulk(t.Context()); n != 0 || err != nil {
		t.Errorf("the late process: %d, %v", n, err)
	}
	if got := w.count(`SELECT count(*) FROM events WHERE type = 'resent'`); got != 1 {
		t.Errorf("resent %d times", got)
	}
}

func TestBulkActLeavesOutWhatTheSingleActRefuses(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.project.Limits.ResendsPerInvite = 5
	s, p := w.process(), w.employed(access.RoleAgent)
	ids := w.undelivered(s, 6)
	if _, err := s.Revoke(t.Context(), w.key, ids[0], issue.RevokeRequest{}, issue.Meta{}); err != nil {
		t.Fatal(err)
	}
	for i, sql := range []string{
		1: `UPDATE invites SET status = 'connected' WHERE id = $1`,
		2: `UPDATE invites SET status = 'scheduled' WHERE id = $1`,
		3: `UPDATE deliveries SET status = 'delivered' WHERE invite_id = $1`,
	} {
		if sql != "" {
			if _, err := w.db.Exec(t.Context(), sql, ids[i]); err != nil {
				t.Fatal(err)
			}
		}
	}
	id := w.plan(s, p, issue.BulkRequest{Kind: bulk.Resend, Selection: "all", Targets: append(targets(ids), targets(ids)...)})
	_, items := w.outcome(id)
	want := map[string]int{"waiting": 2, "left_out revoked": 1, "left_out connected": 1, "left_out scheduled": 1, "left_out too_soon": 1}
	if diff := cmp.Diff(want, items); diff != "" {
		t.Error(diff)
	}
	if _, err := s.Revoke(t.Context(), w.key, ids[4], issue.RevokeRequest{}, issue.Meta{}); err != nil {
		t.Fatal(err)
	}
	if err := s.ConfirmBulk(t.Context(), p, id); err != nil {
		t.Fatal(err)
	}
	if _, err := s.RunBulk(t.Context()); err != nil {
		t.Fatal(err)
	}
	state, items := w.outcome(id)
	delete(want, "waiting")
	want["done"], want["left_out revoked"] = 1, 2
	if diff := cmp.Diff(want, items); diff != "" || state != bulk.Finished {
		t.Errorf("%s: %s", state, diff)
	}
	// The audit log has the act once, and no single acts.
	if got := w.count(`SELECT count(*) FROM audit WHERE act = 'bulk' AND target = $1 AND data->>'invites' = '2'`, id.String()); got != 1 {
		t.Errorf("%d entries in the audit log", got)
	}
	if got := w.count(`SELECT count(*) FROM audit WHERE act = 'resend'`); got != 0 {
		t.Errorf("%d entries of single acts", got)
	}
	if got := w.count(`SELECT count(*) FROM events WHERE type = 'resent' AND data->>'bulk' = $1`, id.String()); got != 1 {
		t.Errorf("%d timelines name the act", got)
	}
}

// A limit leaves out of the dry run those beyond it; one that is reached later puts items off, and
// after an hour they failed.
func TestBulkActRespectsSendingLimits(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	limited := func(p *issue.Params) {
		p.Uses = func(m quota.Message) []ledger.Use {
			return []ledger.Use{
				{Scope: ledger.UseProject, Subject: []byte(m.Project), PerDay: 5, Cost: 1000},
				{Scope: ledger.UseRecipient, Subject: []byte(m.Address), PerHour: 1},
			}
		}
	}
	test, p := w.process(), w.employed(access.RoleAgent)
	ids := w.undelivered(test, 8)
	if _, err := w.db.Exec(t.Context(), `UPDATE invites SET livemode = true, environment = 'production'; UPDATE deliveries SET livemode = true`); err != nil {
		t.Fatal(err)
	}
	p.Live = true
	s := w.process(limited)
	id, err := s.PlanBulk(t.Context(), p, issue.BulkRequest{Kind: bulk.Resend, Selection: "all", Targets: targets(ids)})
	if err != nil {
		t.Fatal(err)
	}
	counts, err := bulk.CountItems(t.Context(), w.db, p.Place, id)
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]int{}
	for _, c := range counts {
		got[string(c.State)+" "+c.Reason] = c.Items
	}
	if diff := cmp.Diff(map[string]int{"waiting ": 5, "left_out limit:project_per_day": 3}, got); diff != "" {
		t.Error(diff)
	}
	act, err := bulk.Get(t.Context(), w.db, p.Place, id)
	if err != nil || act.Emails != 5 || act.Texts != 0 || act.Cost != 5000 {
		t.Errorf("%+v, %v", act, err)
	}
	if err := s.ConfirmBulk(t.Context(), p, id); err != nil {
		t.Fatal(err)
	}
	// Four of the five are used by others in the meantime.
	for range 4 {
		if err := ledger.CountUses(t.Context(), w.db, ids[0], []ledger.Use{{Scope: ledger.UseProject, Subject: []byte("default")}}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.RunBulk(t.Context()); err != nil {
		t.Fatal(err)
	}
	// Midnight is more than an hour away, or is not: both ends are right.
	if done, waits := w.count(`SELECT count(*) FROM bulk_items WHERE state = 'done'`), w.count(`SELECT count(*) FROM bulk_items
		WHERE reason = 'limit:project_per_day' AND (state = 'failed' OR state = 'waiting' AND next_at > now())`); done != 1 || waits != 4 {
		t.Errorf("%d done, %d refused", done, waits)
	}
	if _, err := w.db.Exec(t.Context(), `UPDATE bulk_acts SET confirmed_at = now() - interval '2 hours', state = 'running', due_at = now();
		UPDATE bulk_items SET next_at = now() WHERE state = 'waiting'`); err != nil {
		t.Fatal(err)
	}
	if _, err := s.RunBulk(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := w.count(`SELECT count(*) FROM bulk_items WHERE state = 'failed' AND reason = 'limit:project_per_day'`); n != 4 {
		t.Errorf("%d failed", n)
	}
}

func TestStoppedBulkActBeginsNothingMore(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s, p := w.process(), w.employed(access.RoleAgent)
	ids := w.undelivered(s, 6)
	id := w.plan(s, p, issue.BulkRequest{Kind: bulk.Resend, Selection: "all", Targets: targets(ids)})
	if err := s.StopBulk(t.Context(), p, id); !errors.Is(err, issue.ErrBulkOver) {
		t.Errorf("stopping a dry run: %v", err)
	}
	if err := s.ConfirmBulk(t.Context(), p, id); err != nil {
		t.Fatal(err)
	}
	stop := func() {
		if err := s.StopBulk(t.Context(), p, id); err != nil && !errors.Is(err, issue.ErrBulkOver) {
			t.Error(err)
		}
	}
	w.onMint.Store(&stop)
	if n, err := s.RunBulk(t.Context()); n != 0 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
	state, items := w.outcome(id)
	if diff := cmp.Diff(map[string]int{"stopped": 6}, items); diff != "" || state != bulk.Stopped {
		t.Errorf("%s: %s", state, diff)
	}
	if n := w.count(`SELECT count(*) FROM events WHERE type = 'resent'`); n != 0 {
		t.Errorf("%d were resent", n)
	}
	if n := w.count(`SELECT count(*) FROM audit WHERE act = 'bulk_stopped' AND target = $1`, id.String()); n != 1 {
		t.Errorf("%d entries in the audit log", n)
	}
	w.onMint.Store(nil)
	// One whose person may act no longer stops by itself.
	again := w.plan(s, p, issue.BulkRequest{Kind: bulk.Revoke, Selection: "all", Targets: targets(ids)})
	if err := s.ConfirmBulk(t.Context(), p, again); err != nil {
		t.Fatal(err)
	}
	if _, err := w.db.Exec(t.Context(), `UPDATE staff SET disabled_at = now()`); err != nil {
		t.Fatal(err)
	}
	if n, err := s.RunBulk(t.Context()); n != 0 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
	if state, _ := w.outcome(again); state != bulk.Stopped {
		t.Errorf("the act of a disabled account is %s", state)
	}
}

func TestBulkActsHaveBoundsByRole(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s := w.process()
	ids := w.undelivered(s, 1)
	many := make([]invite.ID, issue.MaxBulkAgent)
	for i := range many {
		many[i] = invite.New[invite.ID]()
	}
	many = append(many, ids[0])
	var size *issue.BulkSizeError
	req := issue.BulkRequest{Kind: bulk.Revoke, Selection: "all", Targets: targets(many)}
	if _, err := s.PlanBulk(t.Context(), w.employed(access.RoleAgent), req); !errors.As(err, &size) || size.Most != issue.MaxBulkAgent {
		t.Errorf("an agent: %v", err)
	}
	if _, err := s.PlanBulk(t.Context(), w.employed(access.RoleViewer), req); !errors.Is(err, issue.ErrBulkForbidden) {
		t.Errorf("a viewer: %v", err)
	}
	lead := w.employed(access.RoleLead)
	id := w.plan(s, lead, req)
	if _, items := w.outcome(id); items["waiting"] != 1 || len(items) != 1 {
		t.Errorf("ids of nothing are items: %v", items)
	}
	if err := s.ConfirmBulk(t.Context(), w.employed(access.RoleLead), id); !errors.Is(err, issue.ErrBulkForbidden) {
		t.Errorf("another person confirms: %v", err)
	}
	elsewhere := lead
	elsewhere.Project = "other"
	for name, err := range map[string]error{"confirm": s.ConfirmBulk(t.Context(), elsewhere, id), "stop": s.StopBulk(t.Context(), elsewhere, id)} {
		if !errors.Is(err, issue.ErrNoBulk) {
			t.Errorf("%s in another project: %v", name, err)
		}
	}
	if _, err := s.PlanBulk(t.Context(), elsewhere, issue.BulkRequest{Kind: bulk.Revoke, Selection: "all", Targets: targets(ids)}); !errors.Is(err, issue.ErrBulkEmpty) {
		t.Errorf("an invite of another project: %v", err)
	}
	// Dry runs that are not confirmed do not pile up.
	for range 12 {
		w.plan(s, lead, issue.BulkRequest{Kind: bulk.Revoke, Selection: "ticked", Targets: targets(ids)})
	}
	if n := w.count(`SELECT count(*) FROM bulk_acts`); n != 10 {
		t.Errorf("%d dry runs are kept", n)
	}
	id = w.plan(s, lead, issue.BulkRequest{Kind: bulk.Revoke, Selection: "ticked", Targets: targets(ids)})
	if _, err := w.db.Exec(t.Context(), `UPDATE bulk_acts SET created_at = now() - interval '2 hours'`); err != nil {
		t.Fatal(err)
	}
	if err := s.ConfirmBulk(t.Context(), lead, id); !errors.Is(err, issue.ErrBulkOver) {
		t.Errorf("an old dry run: %v", err)
	}
	if err := s.DeleteOldBulk(t.Context()); err != nil || w.count(`SELECT count(*) FROM bulk_items`) != 0 {
		t.Errorf("the old dry run remains, %v", err)
	}
}

func TestCorrectionsAreReadWithAllTheirFaults(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s, p := w.process(), w.employed(access.RoleAgent)
	ids := w.undelivered(s, 4)
	if _, err := w.db.Exec(t.Context(), `UPDATE deliveries SET status = 'delivered' WHERE invite_id = $1`, ids[3]); err != nil {
		t.Fatal(err)
	}
	file := "\ufeffuser id;new address\r\n" +
		ids[0].String() + ";delivered+a@connectlink.test\r\n" +
		"user-1;not an address\r\n" +
		"\r\n" +
		"user-9;delivered+b@connectlink.test\r\n" +
		"user-3;delivered+b@connectlink.test\r\n" +
		"user-0;delivered+c@connectlink.test\r\n" +
		"=HYPERLINK(\"x\");=1+1\r\n" +
		"user-2\r\n" +
		"\"user-2;x\r\n" +
		"user-2;a@connectlink.test;b@connectlink.test"
	targets, faults, err := s.ReadCorrections(t.Context(), p, file)
	want := []issue.LineFault{
		{Line: 3, Code: issue.LineAddress}, {Line: 5, Code: issue.LineUnknown}, {Line: 6, Code: issue.LineArrived}, {Line: 7, Code: issue.LineTwice, Other: 2},
		{Line: 8, Code: issue.LineUnreadable}, {Line: 9, Code: issue.LineCells}, {Line: 10, Code: issue.LineUnreadable}, {Line: 11, Code: issue.LineCells},
	}
	if diff := cmp.Diff(want, faults); diff != "" || targets != nil || err != nil {
		t.Errorf("%v %v: %s", targets, err, diff)
	}
	targets, faults, err = s.ReadCorrections(t.Context(), p, "user-0, \"delivered+new0@connectlink.test\",\n"+ids[1].String()+"\t'+12025550100\ndelivered+2@connectlink.test,Delivered+2@connectlink.test\n")
	if err != nil || faults != nil || len(targets) != 3 {
		t.Fatalf("%v %v %v", targets, faults, err)
	}
	id := w.plan(s, p, issue.BulkRequest{Kind: bulk.Correct, Selection: "file", Targets: targets})
	if _, items := w.outcome(id); items["waiting"] != 2 || items["left_out same_address"] != 1 {
		t.Errorf("%v", items)
	}
	if err := s.ConfirmBulk(t.Context(), p, id); err != nil {
		t.Fatal(err)
	}
	if n := w.count(`SELECT count(*) FROM bulk_items WHERE address IS NOT NULL`); n != 2 {
		t.Errorf("%d sealed addresses", n)
	}
	if _, err := s.RunBulk(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, items := w.outcome(id); items["done"] != 2 {
		t.Errorf("%v", items)
	}
	if n := w.count(`SELECT count(*) FROM bulk_items WHERE address IS NOT NULL`); n != 0 {
		t.Errorf("%d addresses are kept", n)
	}
	for i, to := range []string{"delivered+new0@connectlink.test", "+12025550100"} {
		c, err := find.Open(w.box, ids[i], w.get(ids[i]).Content)
		if err != nil || c.Recipient.Email != to && c.Recipient.Phone != to {
			t.Errorf("invite %d goes to %+v, %v", i, c.Recipient, err)
		}
	}
	if n := w.count(`SELECT count(*) FROM events WHERE type = 'address_corrected' AND data->>'bulk' = $1`, id.String()); n != 1 {
		t.Errorf("%d timelines name the correction", n)
	}
	long := strings.Repeat("user-0,delivered@connectlink.test\n", issue.MaxBulkAgent+1)
	var size *issue.BulkSizeError
	if _, _, err := s.ReadCorrections(t.Context(), p, long); !errors.As(err, &size) {
		t.Errorf("a long file: %v", err)
	}
}
