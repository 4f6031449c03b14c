package visit_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/store/ledger"
	"github.com/connectlink/connectlink/internal/track/tracktest"
	"github.com/connectlink/connectlink/internal/visit"
)

func TestPressHandsOutTheHeldLinkAndADoubleTapGetsTheSame(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	m := w.Invite(tracktest.Options{})
	first := w.press(m.Code)
	if !strings.Contains(first.URL.Reveal(), m.Token.Reveal()) {
		t.Fatal("the press did not give the link that was held")
	}
	second := w.press(m.Code)
	if second.URL != first.URL {
		t.Error("a double tap got another link")
	}
	if n := w.Vendor.Mints(); n != 0 {
		t.Errorf("%d tokens minted for nothing", n)
	}
	if diff := cmp.Diff([]invite.EventType{"created", "link.continued"}, w.Types(m.ID)); diff != "" {
		t.Error(diff)
	}
	if n := w.Count(`SELECT count(*) FROM invites WHERE progress = 'continued' AND first_handed_out_at IS NOT NULL AND poll_at > now()`); n != 1 {
		t.Error("the hand-out is not recorded, so nobody looks for the account")
	}
}

func TestLaterPressesMintAfresh(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	m := w.Invite(tracktest.Options{})
	first := w.press(m.Code)
	w.ago(m, 5*time.Second)
	if again := w.press(m.Code); again.URL != first.URL {
		t.Error("5 seconds later it was another link")
	}
	w.ago(m, 6*time.Second)
	before := w.Get(m.ID).ExpiresAt
	fresh := w.press(m.Code)
	if fresh.URL == first.URL || fresh.URL.IsZero() {
		t.Fatal("11 seconds later it was the same link")
	}
	if !strings.Contains(fresh.URL.Reveal(), "&app=slack") {
		t.Error("the new link does not name the app")
	}
	if after := w.Get(m.ID).ExpiresAt; !after.Equal(*before) {
		t.Errorf("a press moved the invite's own end from %s to %s", before, after)
	}
	want := []invite.EventType{"created", "link.continued", "link.minted", "link.continued"}
	if diff := cmp.Diff(want, w.Types(m.ID)); diff != "" {
		t.Error(diff)
	}
}

// TestASpentLinkIsNotGivenAgain: Pipedream answers a used token with a dead end, so
// a person who comes back gets a new link however soon they press.
func TestASpentLinkIsNotGivenAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	m := w.Invite(tracktest.Options{})
	first := w.press(m.Code)
	if page, err := w.Done(t.Context(), m.Code, visit.Succeeded); err != nil || page.State != visit.Finishing {
		t.Fatalf("%s, %v", page.State, err)
	}
	second := w.press(m.Code)
	if second.URL.IsZero() || second.URL == first.URL {
		t.Error("after /done the spent link was given again")
	}
	if again := w.press(m.Code); again.URL != second.URL {
		t.Error("a double tap on the new link got another")
	}
	if err := ledger.SetSpent(t.Context(), w.Pool, m.ID, invite.LinkID{}); err != nil { // as a webhook does
		t.Fatal(err)
	}
	if third := w.press(m.Code); third.URL == second.URL {
		t.Error("after a webhook the spent link was given again")
	}
	unused := w.Invite(tracktest.Options{User: "user-2"})
	if _, err := w.Done(t.Context(), unused.Code, visit.Succeeded); err != nil {
		t.Fatal(err)
	}
	before := w.Vendor.Mints()
	if w.press(unused.Code).URL.IsZero() || w.Vendor.Mints() != before {
		t.Error("a link that nobody had is spent by a look at /done")
	}
}

func TestPressMintsWhereTooLittleIsLeft(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	m := w.Invite(tracktest.Options{ValidFor: 24 * time.Hour})
	w.Exec(`UPDATE connect_links SET expires_at = now() + interval '14 minutes' WHERE invite_id = $1`, m.ID)
	got := w.press(m.Code)
	if got.URL.IsZero() || strings.Contains(got.URL.Reveal(), m.Token.Reveal()) {
		t.Error("a link with 14 minutes left was handed out")
	}
	if n := w.Vendor.Mints(); n != 1 {
		t.Errorf("%d tokens minted", n)
	}
}

func TestTryAgainAfterAFailureMintsEvenWithinAMinute(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	m := w.Invite(tracktest.Options{})
	first := w.press(m.Code)
	page, err := w.Done(t.Context(), m.Code, visit.Errored)
	if err != nil || page.State != visit.CouldNotConnect {
		t.Fatalf("back with an error: page %s, %v", page.State, err)
	}
	fresh := w.press(m.Code)
	if fresh.URL.IsZero() || fresh.URL == first.URL {
		t.Error("trying again gave the spent link")
	}
	if again := w.press(m.Code); again.URL != fresh.URL {
		t.Error("a double tap on it minted twice")
	}
}

func TestTryAgainAfterTheAPIsOwnLinkFailedMints(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	m := w.Invite(tracktest.Options{Channel: invite.LinkOnly}) // an app opened the link that the API answered with
	if page, err := w.Done(t.Context(), m.Code, visit.Errored); err != nil || page.State != visit.CouldNotConnect {
		t.Fatalf("page %s, %v", page.State, err)
	}
	if got := w.press(m.Code); got.URL.IsZero() || strings.Contains(got.URL.Reveal(), m.Token.Reveal()) {
		t.Error("trying again gave the link that had failed")
	}
}

func TestPendingInviteBecomesActiveByAPress(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	m := w.Invite(tracktest.Options{NoLink: true})
	if got := w.Get(m.ID); got.Status != invite.Pending || got.ExpiresAt != nil {
		t.Fatalf("fixture: %s, %v", got.Status, got.ExpiresAt)
	}
	if p := w.open(m.Code); p.State != visit.Ready || !p.ExpiresAt.IsZero() {
		t.Errorf("page %s until %v", p.State, p.ExpiresAt)
	}
	if w.press(m.Code).URL.IsZero() {
		t.Fatal("no link")
	}
	got := w.Get(m.ID)
	if got.Status != invite.Active || got.ExpiresAt == nil || !got.ExpiresAt.Equal(*got.LinkExpiresAt) {
		t.Errorf("invite is %s until %v, its link until %v", got.Status, got.ExpiresAt, got.LinkExpiresAt)
	}
	if left := got.ExpiresAt.Sub(got.Now); left > 4*time.Hour || left < 4*time.Hour-time.Minute {
		t.Errorf("%s left", left)
	}
}

func TestManyPressesAtOnceMintOncePerProcess(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	m := w.Invite(tracktest.Options{NoLink: true})
	processes := []*visit.Service{w.Service, w.process(), w.process()}
	const each = 8
	var begun sync.WaitGroup
	begun.Add(len(processes))
	// Every process's mint waits for the others', so that all of them race.
	w.Vendor.OnMint(func() {
		begun.Done()
		waitFor(&begun)
	})
	urls := make(chan string, len(processes)*each)
	var all sync.WaitGroup
	for _, p := range processes {
		for range each {
			all.Go(func() {
				got, err := p.Continue(t.Context(), m.Code, tap)
				if err != nil {
					t.Error(err)
				}
				urls <- got.URL.Reveal()
			})
		}
	}
	all.Wait()
	close(urls)
	distinct := map[string]int{}
	for u := range urls {
		distinct[u]++
	}
	if len(distinct) != 1 || distinct[""] != 0 {
		t.Errorf("presses got %d different links", len(distinct))
	}
	if n := w.Vendor.Mints(); n > len(processes) {
		t.Errorf("%d tokens minted by %d processes", n, len(processes))
	}
	if n := w.Count(`SELECT count(*) FROM connect_links WHERE invite_id = $1`, m.ID); n != 1 {
		t.Errorf("%d links stored", n)
	}
	if diff := cmp.Diff([]invite.EventType{"created", "link.minted", "link.continued"}, w.Types(m.ID)); diff != "" {
		t.Error(diff)
	}
}

// waitFor waits, but not for ever: a process that lost may never mint.
func waitFor(wg *sync.WaitGroup) {
	done := make(chan struct{})
	go func() { wg.Wait(); close(done) }()
	select {
	case <-done:
	case <-time.After(2 * time.Second):
	}
}

func TestNothingIsHandedOutForAnInviteThatEndsDuringTheMint(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(w *world, m tracktest.Made){
		"revoked": func(w *world, m tracktest.Made) { w.Append(m.ID, invite.Event{Type: invite.EventRevoked}) },
		"address corrected": func(w *world, m tracktest.Made) {
			w.InTx(func(tx pgx.Tx) error { return ledger.RetireCodes(context.Background(), tx, m.ID) })
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			m := w.Invite(tracktest.Options{NoLink: true})
			w.Vendor.OnMint(func() { end(w, m) })
			got := w.press(m.Code)
			if !got.URL.IsZero() || got.Page.State != visit.Revoked {
				t.Errorf("page %s, link %t", got.Page.State, !got.URL.IsZero())
			}
			if n := w.Count(`SELECT count(*) FROM connect_links`); n != 0 {
				t.Error("the link was stored")
			}
		})
	}
}

func TestNoTransactionIsOpenDuringTheMint(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	m := w.Invite(tracktest.Options{NoLink: true})
	open := -1
	w.Vendor.OnMint(func() {
		open = w.Count(`SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid() AND state LIKE 'idle in%'`)
		if n := w.Pool.Stat().AcquiredConns(); n != 0 {
			t.Errorf("%d connections held during the mint", n)
		}
	})
	w.press(m.Code)
	if open != 0 {
		t.Errorf("%d transactions open during the mint", open)
	}
}

func TestBusyWhenPipedreamGivesNoLink(t *testing.T) {
	t.Parallel()
	for status, outcome := range map[int]string{http.StatusServiceUnavailable: "passing", http.StatusTooManyRequests: "passing", http.StatusForbidden: "refused"} {
		t.Run(fmt.Sprint(status), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			m := w.Invite(tracktest.Options{NoLink: true})
			w.Vendor.Answer(status, "")
			for i := range 3 {
				got := w.press(m.Code)
				if got.Page.State != visit.Busy || !got.URL.IsZero() || got.Page.RetryAfter <= 0 {
					t.Fatalf("page %s, retry after %s", got.Page.State, got.Page.RetryAfter)
				}
				if got.Page.MintFailures != i+1 {
					t.Errorf("press %d: %d failures in a row", i+1, got.Page.MintFailures)
				}
			}
			events := w.Events(m.ID)
			if last := events[len(events)-1]; last.Type != invite.EventMintFailed || last.Data.Outcome != outcome {
				t.Errorf("last event %s, %q", last.Type, last.Data.Outcome)
			}
			if got := w.Get(m.ID); got.Status != invite.Pending {
				t.Errorf("invite is %s", got.Status)
			}
			w.Vendor.Answer(0, "")
			if w.press(m.Code).URL.IsZero() {
				t.Error("no link when Pipedream was back")
			}
			if p := w.open(m.Code); p.MintFailures != 0 {
				t.Errorf("still %d failures after a success", p.MintFailures)
			}
		})
	}
}

func TestRobotsThatPressUseUpNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	m := w.Invite(tracktest.Options{ValidFor: 24 * time.Hour})
	for range 5 {
		w.press(m.Code)
		w.ago(m, 2*time.Minute)
	}
	if p := w.open(m.Code); p.State != visit.Ready {
		t.Errorf("page %s", p.State)
	}
	if w.press(m.Code).URL.IsZero() {
		t.Error("the person got no link")
	}
}
