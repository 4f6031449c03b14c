package visit_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/seal"
	"github.com/connectlink/connectlink/internal/track/tracktest"
	"github.com/connectlink/connectlink/internal/visit"
)

func TestAReportEndsTheLinkAndTellsTheProduct(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	m := w.Invite(tracktest.Options{})
	page, err := w.Reporting(t.Context(), m.Code)
	if err != nil || page.State != visit.NotMe {
		t.Fatalf("page %s, %v", page.State, err)
	}
	said := visit.Report{Why: "wrong_person", Words: "I am not Pat \u202e http://evil.example"}
	for range 2 {
		page, err = w.Report(t.Context(), m.Code, said, tap)
		if err != nil {
			t.Fatal(err)
		}
	}
	if page.State != visit.Revoked {
		t.Errorf("reported twice: page %s", page.State)
	}
	got := w.Get(m.ID)
	if got.Status != invite.Revoked || w.open(m.Code).State != visit.Revoked || !w.press(m.Code).URL.IsZero() {
		t.Errorf("invite is %s", got.Status)
	}
	if diff := cmp.Diff([]invite.EventType{"created", "reported"}, w.Types(m.ID)); diff != "" {
		t.Error(diff)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if !slices.Contains(w.effects, invite.EffectPublishReported) {
		t.Errorf("effects %v", w.effects)
	}
	e := w.Events(m.ID)[1]
	words, err := w.Box.Open(e.Detail, seal.AD{Column: "events.detail", ID: e.ID.UUID()})
	if err != nil || e.Data.Outcome != "wrong_person" || !strings.HasPrefix(string(words), "I am not Pat") || strings.ContainsAny(string(words), "\u202e") || strings.Contains(string(words), "evil") {
		t.Errorf("recorded %+v, words %q, %v", e.Data, words, err)
	}
}

func TestAReportNeedsAReasonAndAPerson(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	m := w.Invite(tracktest.Options{})
	for _, why := range []string{"", "because", "scam "} {
		if page, err := w.Report(t.Context(), m.Code, visit.Report{Why: why}, tap); err != nil || page.State != visit.NotMe {
			t.Errorf("%q: page %s, %v", why, page.State, err)
		}
	}
	machine := tap
	machine.UserAgent = "Mozilla/5.0 (compatible; Barracuda Sentinel)"
	if page, err := w.Report(t.Context(), m.Code, visit.Report{Why: "scam"}, machine); err != nil || page.State != visit.Thanks {
		t.Errorf("a robot: page %s, %v", page.State, err)
	}
	if got := w.Get(m.ID).Status; got != invite.Active {
		t.Errorf("invite is %s", got)
	}
}

func TestAReportSuppressesOnRequest(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var suppressed []visit.Address
	s := w.process(func(p *visit.Params) {
		p.Suppressions = suppressions{added: func(a visit.Address) { suppressed = append(suppressed, a) }}
	})
	for _, ask := range []bool{false, true} {
		m := w.Invite(tracktest.Options{Channel: invite.SMS})
		if page, err := s.Report(t.Context(), m.Code, visit.Report{Why: "not_expected", Suppress: ask}, tap); err != nil || page.State != visit.Thanks {
			t.Fatalf("page %s, %v", page.State, err)
		}
	}
	if len(suppressed) != 1 || suppressed[0].To.Reveal() != "+12025550100" || suppressed[0].Channel != invite.SMS {
		t.Errorf("%d addresses suppressed", len(suppressed))
	}
}

func TestThereIsNothingToReportWhereNothingIsOpen(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for name, event := range map[visit.State]invite.Event{
		visit.Revoked:   {Type: invite.EventRevoked},
		visit.Connected: {Type: invite.EventConnected, Data: invite.Data{AccountID: "apn_1"}},
	} {
		m := w.Invite(tracktest.Options{})
		w.Append(m.ID, event)
		before := len(w.Events(m.ID))
		page, err := w.Report(t.Context(), m.Code, visit.Report{Why: "scam"}, tap)
		if err != nil || page.State != name || len(w.Events(m.ID)) != before {
			t.Errorf("%s: page %s, %v", name, page.State, err)
		}
	}
	m := w.Invite(tracktest.Options{})
	w.expire(m)
	if page, err := w.Report(t.Context(), m.Code, visit.Report{Why: "scam"}, tap); err != nil || page.State != visit.Thanks || w.Get(m.ID).Status != invite.Revoked {
		t.Errorf("expired: page %s, %v", page.State, err)
	}
}
