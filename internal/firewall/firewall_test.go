package firewall_test

import (
	"log/slog"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/connectlink/connectlink/config"
	"github.com/connectlink/connectlink/internal/access"
	"github.com/connectlink/connectlink/internal/chaos"
	"github.com/connectlink/connectlink/internal/firewall"
	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/pause"
	"github.com/connectlink/connectlink/internal/postgres"
	"github.com/connectlink/connectlink/internal/postgrestest"
	"github.com/connectlink/connectlink/internal/publish"
	"github.com/connectlink/connectlink/internal/seal"
	"github.com/connectlink/connectlink/internal/store/ledger"
	"github.com/connectlink/connectlink/internal/store/traffic"
)

// rig is a database with invites, and a firewall on it by the database's clock.
type rig struct {
	chaos.Rig

	t    *testing.T
	wall *firewall.Service
	p    config.Project
}

func newRig(t *testing.T) *rig {
	t.Helper()
	keyset, err := seal.NewKeyset()
	if err != nil {
		t.Fatal(err)
	}
	box, err := seal.NewBox(keyset)
	if err != nil {
		t.Fatal(err)
	}
	r := &rig{t: t, Rig: chaos.Rig{DB: postgrestest.Pool(t), Box: box, Log: slog.New(slog.DiscardHandler)}, p: config.Project{ID: "default", Firewall: defaults()}}
	r.wall, err = firewall.New(firewall.Params{
		DB: r.DB, Box: box, Alerts: publish.NewOutbox(box), Log: r.Log, Project: func(id string) (config.Project, bool) { return r.p, id == "default" },
	})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func (r *rig) exec(sql string, args ...any) {
	r.t.Helper()
	if _, err := r.DB.Exec(r.t.Context(), sql, args...); err != nil {
		r.t.Fatal(err)
	}
}

func (r *rig) count(sql string, args ...any) (n int) {
	r.t.Helper()
	if err := r.DB.QueryRow(r.t.Context(), sql, args...).Scan(&n); err != nil {
		r.t.Fatal(err)
	}
	return n
}

// sent makes live invites to a British number whose text messages left ago.
func (r *rig) sent(n int, ago time.Duration) []chaos.Loaded {
	r.t.Helper()
	made, err := r.Insert(r.t.Context(), n, chaos.Load{Channel: invite.SMS, Content: func(c *invite.Content) { c.Recipient.Phone = "+447400123456" }})
	if err != nil {
		r.t.Fatal(err)
	}
	r.exec(`UPDATE invites SET livemode = true`)
	r.exec(`UPDATE deliveries SET livemode = true, status = 'accepted', next_at = NULL, lease_owner = NULL`)
	var list []traffic.Sent
	for _, m := range made {
		at := time.Now().Add(-ago)
		r.exec(`INSERT INTO attempts (invite_id, delivery_id, id, number, provider, account, template_version, lease_token, after_seq, started_at, outcome, finished_at)
			VALUES ($1, $2, $3, 1, 'twilio', 'x', '1', 1, 1, $4, 'accepted', $4)`, m.InviteID, m.DeliveryID, invite.New[invite.AttemptID](), at)
		list = append(list, traffic.Sent{Project: "default", To: "+447400123456", At: at})
	}
	batch := &pgx.Batch{}
	traffic.QueueSent(batch, list)
	if err := r.DB.SendBatch(r.t.Context(), batch).Close(); err != nil {
		r.t.Fatal(err)
	}
	return made
}

// happens records an event as a use case does.
func (r *rig) happens(id invite.ID, e invite.Event) {
	r.t.Helper()
	err := postgres.InTx(r.t.Context(), r.DB, func(tx pgx.Tx) error {
		applied, err := ledger.Append(r.t.Context(), tx, r.Box, id, e)
		if err != nil {
			return err
		}
		return r.wall.Note(r.t.Context(), tx, applied)
	})
	if err != nil {
		r.t.Fatal(err)
	}
}

func visitedBy(looksLike string) invite.Event {
	return invite.Event{Type: invite.EventContinued, Actor: invite.Actor{Kind: invite.ActorRecipient}, Data: invite.Data{LooksLike: looksLike}}
}

func TestFirstVisitOfAPersonCountsOnce(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	made := r.sent(3, 10*time.Minute)
	r.happens(made[0].InviteID, visitedBy(invite.LooksLikeScanner))
	r.happens(made[1].InviteID, visitedBy(invite.LooksLikePerson))
	r.happens(made[1].InviteID, visitedBy(invite.LooksLikePerson))
	r.happens(made[2].InviteID, invite.Event{Type: invite.EventFetched, Actor: invite.Actor{Kind: invite.ActorRecipient}})
	for _, area := range []string{"GB", "+4474001"} {
		if n := r.count(`SELECT visits[3] FROM text_traffic WHERE area = $1`, area); n != 1 {
			t.Errorf("%s: %d visits within 15 minutes", area, n)
		}
		if n := r.count(`SELECT sum(n) FROM text_traffic, unnest(visits) n WHERE area = $1`, area); n != 1 {
			t.Errorf("%s: %d visits", area, n)
		}
	}
}

func TestVisitOfAnUnreadableInviteIsRecorded(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	made := r.sent(1, 10*time.Minute)
	r.exec(`UPDATE invites SET content = 'damaged'`)
	r.happens(made[0].InviteID, visitedBy(invite.LooksLikePerson))
	if n := r.count(`SELECT count(*) FROM events WHERE invite_id = $1 AND type = $2`, made[0].InviteID, string(invite.EventContinued)); n != 1 {
		t.Errorf("%d visits are recorded", n)
	}
}

func TestPauseTellsWithItsFigures(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.sent(600, 23*time.Hour)
	r.sent(1, time.Minute)
	r.p.Firewall.Off = true
	if n, err := r.wall.Judge(t.Context()); err != nil || n != 0 {
		t.Fatalf("switched off: %d pauses, %v", n, err)
	}
	r.p.Firewall.Off = false
	if n, err := r.wall.Judge(t.Context()); err != nil || n != 1 {
		t.Fatalf("%d pauses, %v", n, err)
	}
	list, err := traffic.ListPauses(t.Context(), r.DB)
	if err != nil || len(list) != 1 {
		t.Fatalf("%+v, %v", list, err)
	}
	if p := list[0]; p.Scope != traffic.Prefix || p.Name != "+4474001" || !p.Live || p.Source != traffic.ByFirewall || p.Figures.Sent < 600 || p.Figures.Visited != 0 || p.Figures.Expected < 9 || p.Figures.WindowS == 0 {
		t.Errorf("%+v", p)
	}
	if n := r.count(`SELECT count(*) FROM audit WHERE act = 'country_paused' AND actor = 'system' AND target = 'sms_prefix:+4474001'`); n != 1 {
		t.Errorf("%d entries in the audit log", n)
	}
	if n := r.count(`SELECT count(*) FROM public_events WHERE type = 'alert.raised'`); n != 1 {
		t.Errorf("%d events", n)
	}
	if n := r.count(`SELECT count(*) FROM text_traffic WHERE sent > 0`); n != 0 {
		t.Errorf("%d rows are still counted", n)
	}
	if n, err := r.wall.Judge(t.Context()); err != nil || n != 0 {
		t.Errorf("judged again: %d pauses, %v", n, err)
	}
	if err := r.wall.DeleteOld(t.Context()); err != nil {
		t.Error(err)
	}
}

// A key with the scope admin cannot keep the firewall's finding off the country that
// it pumps by pausing and resuming it by hand.
func TestHandPauseDoesNotHideTheFirewallsFinding(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.sent(600, 23*time.Hour)
	r.sent(1, time.Minute)
	board, err := pause.NewBoard(r.DB, r.Log)
	if err != nil {
		t.Fatal(err)
	}
	pauses, err := pause.New(r.DB, func(invite.Lane) {}, board)
	if err != nil {
		t.Fatal(err)
	}
	place := invite.Place{Project: "default", Live: true}
	key := access.Principal{Kind: access.KindKey, ID: invite.New[invite.KeyID]().String(), Place: place, Scopes: access.Scopes()}
	pumped := traffic.Subject{Place: place, Scope: traffic.Prefix, Name: "+4474001"}
	if changed, err := pauses.StopSubject(t.Context(), key, pumped, pause.Maintenance); err != nil || !changed {
		t.Fatalf("paused by hand: %v, %v", changed, err)
	}
	if n, err := r.wall.Judge(t.Context()); err != nil || n != 1 {
		t.Fatalf("%d pauses, %v", n, err)
	}
	if list := r.paused(); len(list) != 1 || list[0].Source != traffic.ByFirewall || list[0].PausedBy != "system" || list[0].Figures.Sent < 600 {
		t.Fatalf("%+v", list)
	}
	if n := r.count(`SELECT count(*) FROM public_events WHERE type = 'alert.raised'`); n != 1 {
		t.Errorf("%d alerts", n)
	}
	if n := r.count(`SELECT count(*) FROM audit WHERE act = 'country_paused' AND actor = 'system' AND target = 'sms_prefix:+4474001'`); n != 1 {
		t.Errorf("%d entries in the audit log", n)
	}
	if _, err := pauses.ResumeSubject(t.Context(), key, pumped); invite.CodeOf(err) != invite.CodeInsufficientScope {
		t.Errorf("the key resumed it: %v", err)
	}
	lead := access.Staff(invite.New[invite.StaffID]().String(), access.RoleLead, place)
	if changed, err := pauses.ResumeSubject(t.Context(), lead, pumped); err != nil || !changed {
		t.Errorf("a lead: %v, %v", changed, err)
	}
}

// A few messages are never enough, however old.
func TestFewMessagesAreNotJudged(t *testing.T) {
	t.Parallel()
	now := time.Now()
	var times []time.Time
	for len(times) < 39 {
		times = append(times, now.Add(-20*time.Hour))
	}
	b := traffic.Baseline{Country: "GB"}
	for slot := range traffic.Slots { // everyone visits at once
		b.Sent[slot], b.Visits[slot] = 1000, []float64{1000, 0, 0, 0, 0, 0, 0}
	}
	p := config.Project{Firewall: defaults()}
	if firewall.IsEnough(times, 0, "GB", b, p, now) {
		t.Error("39 messages are judged")
	}
	times = append(times, times[0])
	if !firewall.IsEnough(times, 0, "GB", b, p, now) {
		t.Error("40 messages that all should have been visited are not")
	}
	if firewall.IsEnough(times, 4, "GB", b, p, now) {
		t.Error("a tenth of visits, where chance explains it, is paused")
	}
}
