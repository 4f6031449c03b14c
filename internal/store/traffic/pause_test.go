package traffic_test

import (
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/postgrestest"
	"github.com/connectlink/connectlink/internal/store/traffic"
)

var live = invite.Place{Project: "default", Live: true}

func insert(t *testing.T, tx pgx.Tx, s traffic.Subject, at time.Time) bool {
	t.Helper()
	ok, err := traffic.InsertPause(t.Context(), tx, traffic.NewPause{
		Subject: s, Source: traffic.ByFirewall, Why: "not_visited", By: "system", At: at, Figures: traffic.Figures{Sent: 9, Invites: []string{"inv_1"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	return ok
}

func TestSubjectIsPausedOnceAtATime(t *testing.T) {
	t.Parallel()
	tx := postgrestest.Tx(t)
	s := traffic.Subject{Place: live, Scope: traffic.Prefix, Name: "+4474001"}
	if !insert(t, tx, s, time.Time{}) || insert(t, tx, s, time.Time{}) {
		t.Fatal("not paused once")
	}
	test := s
	test.Live = false
	if !insert(t, tx, test, time.Time{}) {
		t.Error("the other mode is paused too")
	}
	p, ok, err := traffic.FindPaused(t.Context(), tx, s)
	if err != nil || !ok || p.Subject != s || p.Figures.Sent != 9 || len(p.Figures.Invites) != 1 || p.Source != traffic.ByFirewall {
		t.Fatalf("%+v, %v, %v", p, ok, err)
	}
	for i, want := range []bool{true, false} {
		if changed, err := traffic.SetResumed(t.Context(), tx, p.ID, "staff:stf_1"); err != nil || changed != want {
			t.Errorf("resumed %d: %v, %v", i+1, changed, err)
		}
	}
	if _, ok, err := traffic.FindPaused(t.Context(), tx, s); err != nil || ok {
		t.Errorf("found after its end: %v, %v", ok, err)
	}
	if !insert(t, tx, s, time.Time{}) {
		t.Error("not paused again")
	}
	all, err := traffic.ListPauses(t.Context(), tx)
	if err != nil || len(all) != 2 {
		t.Errorf("%d current pauses, %v", len(all), err)
	}
	for ended, want := range map[int]int{0: 1, 5: 2} {
		if list, err := traffic.ListPausesOf(t.Context(), tx, live, ended); err != nil || len(list) != want || list[0].ResumedAt != nil {
			t.Errorf("listed %d with %d ended, %v", len(list), ended, err)
		}
	}
	if _, err := tx.Exec(t.Context(), `UPDATE sending_pauses SET resumed_at = now() - interval '2 years' WHERE resumed_at IS NOT NULL`); err != nil {
		t.Fatal(err)
	}
	if err := traffic.DeleteOldPauses(t.Context(), tx); err != nil {
		t.Fatal(err)
	}
	if list, err := traffic.ListPausesOf(t.Context(), tx, live, 5); err != nil || len(list) != 1 {
		t.Errorf("%d left, %v", len(list), err)
	}
}

func TestServicePauseReplacesAPersonsPause(t *testing.T) {
	t.Parallel()
	tx := postgrestest.Tx(t)
	s := traffic.Subject{Place: live, Scope: traffic.Country, Name: "GB"}
	byHand := traffic.NewPause{Subject: s, Source: traffic.ByPerson, Why: "maintenance", By: "key:key_1"}
	if ok, err := traffic.InsertPause(t.Context(), tx, byHand); err != nil || !ok {
		t.Fatal(ok, err)
	}
	if !insert(t, tx, s, time.Time{}) || insert(t, tx, s, time.Time{}) {
		t.Fatal("the service's pause is not recorded once")
	}
	if ok, err := traffic.InsertPause(t.Context(), tx, byHand); err != nil || ok {
		t.Errorf("a person's pause replaced the service's: %v, %v", ok, err)
	}
	p, ok, err := traffic.FindPaused(t.Context(), tx, s)
	if err != nil || !ok || p.Source != traffic.ByFirewall || p.Why != "not_visited" || p.PausedBy != "system" || p.Figures.Sent != 9 {
		t.Errorf("%+v, %v, %v", p, ok, err)
	}
}

func TestPrefixLeavesTheLastDigitsOut(t *testing.T) {
	t.Parallel()
	for number, want := range map[string]string{"+447400123456": "+4474001", "+12025550123": "+120255", "+6834123": "", "+29051234": "", "+1234": "", "": ""} {
		if got := traffic.PrefixOf(number); got != want {
			t.Errorf("%q: %q, want %q", number, got, want)
		}
	}
}
