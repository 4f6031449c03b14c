package visit_test

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/track/tracktest"
	"github.com/connectlink/connectlink/internal/visit"
)

func TestAReportTakenBackGivesTheLinkBack(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var lifted [][]visit.Address
	s := w.process(func(p *visit.Params) {
		p.Suppressions = suppressions{lifted: func(of []visit.Address) { lifted = append(lifted, of) }}
	})
	for _, suppress := range []bool{false, true} {
		m := w.Invite(tracktest.Options{})
		page, err := s.Report(t.Context(), m.Code, visit.Report{Why: "scam", Suppress: suppress}, tap)
		if err != nil || page.State != visit.Thanks || !page.CanUndo {
			t.Fatalf("page %s, offers the way back: %t, %v", page.State, page.CanUndo, err)
		}
		// The page may be closed by then: the link offers it too.
		if page = w.open(m.Code); page.State != visit.Revoked || !page.CanUndo {
			t.Errorf("the link's page %s offers the way back: %t", page.State, page.CanUndo)
		}
		for range 2 { // the second time changes nothing
			if page, err = s.Withdraw(t.Context(), m.Code, tap); err != nil || page.State != visit.Ready {
				t.Fatalf("page %s, %v", page.State, err)
			}
		}
		if diff := cmp.Diff([]invite.EventType{"created", "reported", "report_withdrawn"}, w.Types(m.ID)); diff != "" {
			t.Error(diff)
		}
		if got := w.Get(m.ID); got.Status != invite.Pending {
			t.Errorf("invite is %s", got.Status)
		}
		if w.press(m.Code).URL.IsZero() || w.Get(m.ID).Status != invite.Active {
			t.Error("the link leads nowhere")
		}
	}
	// A report suppresses where it is published too, so both are lifted, of both addresses.
	if len(lifted) != 2 || len(lifted[0]) != 2 || lifted[0][0].To.IsZero() {
		t.Errorf("%d suppressions were lifted", len(lifted))
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if !slices.Contains(w.effects, invite.EffectPublishReportWithdrawn) {
		t.Errorf("effects %v", w.effects)
	}
}

// TestAReportStaysWhereItsTimeOrTheInviteIsOver: what ended the invite since the report,
// and the end of ten minutes, are final.
func TestAReportStaysWhereItsTimeOrTheInviteIsOver(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for name, c := range map[string]struct {
		since func(id invite.ID)
		want  visit.State
	}{
		"ten minutes": {func(id invite.ID) {
			w.Exec(`UPDATE events SET created_at = created_at - interval '10 minutes 1 second' WHERE invite_id = $1`, id)
		}, visit.Revoked},
		"revoked":   {func(id invite.ID) { w.Append(id, invite.Event{Type: invite.EventRevoked}) }, visit.Revoked},
		"connected": {func(id invite.ID) { w.Append(id, invite.Event{Type: invite.EventConnectedLate}) }, visit.Revoked},
		"erased":    {func(id invite.ID) { w.Append(id, invite.Event{Type: invite.EventErased}) }, visit.Revoked},
		"reported for the fourth time": {func(id invite.ID) {
			for range 3 {
				w.Append(id, invite.Event{Type: invite.EventReportWithdrawn}, invite.Event{Type: invite.EventReported})
			}
		}, visit.Revoked},
		"overdue": {func(id invite.ID) {
			w.Exec(`UPDATE invites SET gives_up_at = now() - interval '1 second' WHERE id = $1`, id)
		}, visit.Expired},
	} {
		m := w.Invite(tracktest.Options{})
		if page, err := w.Report(t.Context(), m.Code, visit.Report{Why: "scam"}, tap); err != nil || page.State != visit.Thanks {
			t.Fatalf("page %s, %v", page.State, err)
		}
		c.since(m.ID)
		if page := w.open(m.Code); page.CanUndo {
			t.Errorf("%s: page %s offers the way back", name, page.State)
		}
		if page, err := w.Withdraw(t.Context(), m.Code, tap); err != nil || page.State != c.want {
			t.Errorf("%s: page %s, %v", name, page.State, err)
		}
	}
}

// TestBotsTakeNoReportBack: a declared one never, one that looks like one not with its
// first press.
func TestBotsTakeNoReportBack(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	m := w.Invite(tracktest.Options{})
	if _, err := w.Report(t.Context(), m.Code, visit.Report{Why: "scam"}, tap); err != nil {
		t.Fatal(err)
	}
	machine, odd := tap, tap
	machine.UserAgent = "Mozilla/5.0 (compatible; Barracuda Sentinel)"
	machine.Again = true
	odd.FromPage = false
	for name, e := range map[string]visit.Evidence{"declared": machine, "odd": odd} {
		page, err := w.Withdraw(t.Context(), m.Code, e)
		if err != nil || page.State != visit.Thanks || !page.CanUndo || page.Held != (name == "odd") || w.Get(m.ID).Status != invite.Revoked {
			t.Errorf("%s: page %s, asks again %t, %v", name, page.State, page.Held, err)
		}
	}
	odd.Again = true
	if page, err := w.Withdraw(t.Context(), m.Code, odd); err != nil || page.State != visit.Ready {
		t.Errorf("a person whose browser looks odd: page %s, %v", page.State, err)
	}
}
