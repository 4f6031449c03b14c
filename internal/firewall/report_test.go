package firewall_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/connectlink/connectlink/internal/chaos"
	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/store/traffic"
)

// mailed makes live invites of one API key with the name of an inviter.
func (r *rig) mailed(key invite.KeyID, n int, inviter string) []chaos.Loaded {
	r.t.Helper()
	made, err := r.Insert(r.t.Context(), n, chaos.Load{Content: func(c *invite.Content) { c.Inviter = inviter }})
	if err != nil {
		r.t.Fatal(err)
	}
	for _, m := range made {
		r.exec(`UPDATE invites SET livemode = true, created_by = $2 WHERE id = $1`, m.InviteID, key)
	}
	return made
}

// key makes an API key that sent messages today.
func (r *rig) key(messages int) invite.KeyID {
	r.t.Helper()
	id := invite.New[invite.KeyID]()
	r.exec(`INSERT INTO api_keys (id, project_id, name, digest, hint, livemode, environment, scopes) VALUES ($1, 'default', 'k', $2, 'x', true, 'production', '{}')`, id, []byte(id.String()))
	r.exec(`INSERT INTO sending_uses (scope, subject, day, messages) VALUES ('key', $1, (now() AT TIME ZONE 'UTC')::date, $2)`, []byte("default/"+id.String()), messages)
	return id
}

func reported() invite.Event {
	return invite.Event{Type: invite.EventReported, Actor: invite.Actor{Kind: invite.ActorRecipient}, Data: invite.Data{Outcome: "scam", Source: "page"}}
}

func complained(m chaos.Loaded) invite.Event {
	return invite.Event{Type: invite.EventDeliveryComplained, Actor: invite.Actor{Kind: invite.ActorProvider}, DeliveryID: m.DeliveryID, At: time.Now(), Data: invite.Data{Reason: invite.MarkedSpam}}
}

func (r *rig) paused() []traffic.Pause {
	r.t.Helper()
	list, err := traffic.ListPauses(r.t.Context(), r.DB)
	if err != nil {
		r.t.Fatal(err)
	}
	return list
}

func TestKeyIsPausedByReportsAboveTheRate(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.p.Firewall.ReportsPercent, r.p.Firewall.LeastReports = 5, 4
	busy, leaked := r.key(1000), r.key(60)
	few := r.mailed(busy, 6, "")
	for _, m := range few { // 0.6 % of its messages
		r.happens(m.InviteID, reported())
	}
	bad := r.mailed(leaked, 5, "")
	for _, m := range bad[:3] {
		r.happens(m.InviteID, complained(m))
		r.happens(m.InviteID, complained(m))
		r.happens(m.InviteID, reported())
	}
	if list := r.paused(); len(list) != 0 {
		t.Fatalf("paused %+v", list)
	}
	r.happens(bad[3].InviteID, reported())
	list := r.paused()
	if len(list) != 1 {
		t.Fatalf("%d pauses", len(list))
	}
	p := list[0]
	if p.Scope != traffic.Key || p.Name != leaked.String() || p.Source != traffic.ByReports || p.Figures.Reports != 4 || p.Figures.Sent != 60 || len(p.Figures.Invites) != 4 || p.Figures.Inviter {
		t.Errorf("%+v", p)
	}
	if !p.Concerns(traffic.Message{Place: p.Place, Channel: invite.Email, By: leaked.String()}) || p.Concerns(traffic.Message{Place: p.Place, Channel: invite.Email, By: busy.String()}) {
		t.Error("the pause concerns other messages")
	}
	if n := r.count(`SELECT count(*) FROM public_events WHERE type = 'alert.raised'`); n != 1 {
		t.Errorf("%d alerts", n)
	}
	if n := r.count(`SELECT count(*) FROM audit WHERE act = 'country_paused' AND target = $1 AND why = 'reported'`, "key:"+leaked.String()); n != 1 {
		t.Errorf("%d entries in the audit log", n)
	}
	// After a person resumed it, earlier reports do not count.
	r.exec(`UPDATE sending_pauses SET resumed_at = now(), resumed_by = 'staff:stf_1'`)
	r.happens(bad[4].InviteID, reported())
	if list := r.paused(); len(list) != 0 {
		t.Errorf("paused again: %+v", list)
	}
}

func TestReportsOfOneInviterPauseTheKey(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.p.Firewall.ReportsPercent, r.p.Firewall.LeastReports = 10, 3
	key := r.key(200)
	r.mailed(key, 40, "Sam Rivera")
	cheat := r.mailed(key, 10, "Acme Fraud Desk")
	for i, m := range cheat[:3] {
		if len(r.paused()) != 0 {
			t.Fatalf("paused after %d reports", i)
		}
		r.happens(m.InviteID, reported())
	}
	// 3 of 200 are few for the key; 3 of about 40 with this name are 7.5 %.
	if len(r.paused()) != 0 {
		t.Fatal("paused below the rate")
	}
	r.happens(cheat[3].InviteID, reported())
	list := r.paused()
	if len(list) != 1 || !list[0].Figures.Inviter || list[0].Figures.Reports != 4 || list[0].Figures.Sent != 40 {
		t.Fatalf("%+v", list)
	}
}

func TestReportsOfOtherInvitesPauseNothing(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.p.Firewall.ReportsPercent, r.p.Firewall.LeastReports = 1, 2
	for _, m := range r.mailed(invite.New[invite.KeyID](), 4, "") { // by staff
		r.happens(m.InviteID, reported())
	}
	key := r.key(1)
	for _, m := range r.mailed(key, 3, "") {
		r.exec(`UPDATE invites SET livemode = false WHERE id = $1`, m.InviteID)
		r.happens(m.InviteID, reported())
	}
	r.p.Firewall.Off = true
	for _, m := range r.mailed(key, 3, "") {
		r.happens(m.InviteID, reported())
	}
	if list := r.paused(); len(list) != 0 {
		t.Errorf("%+v", list)
	}
	r.exec(`UPDATE key_reports SET reported_at = now() - interval '40 days'`)
	if err := r.wall.DeleteOld(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := r.count(`SELECT count(*) FROM key_reports`); n != 0 {
		t.Error(fmt.Sprint(n, " old reports are left"))
	}
}
