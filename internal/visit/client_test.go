package visit_test

import (
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/track/tracktest"
	"github.com/connectlink/connectlink/internal/visit"
)

func (w *world) inApp(id invite.ID) visit.Pressed {
	w.t.Helper()
	p, err := w.ContinueInApp(w.t.Context(), id)
	if err != nil {
		w.t.Fatal(err)
	}
	return p
}

func TestAnAppIsGivenALinkByTheRulesOfThePage(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	m := w.Invite(tracktest.Options{})
	first := w.inApp(m.ID)
	if !strings.Contains(first.URL.Reveal(), m.Token.Reveal()) {
		t.Fatal("the app did not get the link that was held")
	}
	if again := w.inApp(m.ID); again.URL != first.URL {
		t.Error("asking twice at once gave another link")
	}
	if page := w.press(m.Code); page.URL != first.URL {
		t.Error("the page gave another link within the minute")
	}
	events := w.Events(m.ID)
	last := events[len(events)-1]
	if last.Type != invite.EventContinued || last.Actor != invite.ActorRecipient || last.ActorID != "client" {
		t.Errorf("recorded as %s by %s %q", last.Type, last.Actor, last.ActorID)
	}
	w.ago(m, 61*time.Second)
	fresh := w.inApp(m.ID)
	if fresh.URL.IsZero() || fresh.URL == first.URL {
		t.Error("61 seconds later it was the same link")
	}
	if n := w.Count(`SELECT count(*) FROM invites WHERE progress = 'continued' AND poll_at > now()`); n != 1 {
		t.Error("nobody looks for the account")
	}
}

func TestAnAppAndAPageAtOnceMintOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	m := w.Invite(tracktest.Options{NoLink: true})
	urls := make(chan string, 16)
	var all sync.WaitGroup
	for i := range 16 {
		all.Go(func() {
			if i%2 == 0 {
				urls <- w.press(m.Code).URL.Reveal()
				return
			}
			urls <- w.inApp(m.ID).URL.Reveal()
		})
	}
	all.Wait()
	close(urls)
	distinct := map[string]bool{}
	for u := range urls {
		distinct[u] = true
	}
	if len(distinct) != 1 || distinct[""] || w.Vendor.Mints() != 1 {
		t.Errorf("%d links, %d mints", len(distinct), w.Vendor.Mints())
	}
}

func TestAnAppIsGivenNothingOnceTheInviteIsOver(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for name, c := range map[string]struct {
		change func(m tracktest.Made)
		want   visit.State
	}{
		"connected": {func(m tracktest.Made) {
			w.Append(m.ID, invite.Event{Type: invite.EventConnected, Data: invite.Data{AccountID: "apn_1"}})
		}, visit.Connected},
		"expired": {func(m tracktest.Made) { w.Append(m.ID, invite.Event{Type: invite.EventExpired}) }, visit.Expired},
		"over, not swept yet": {func(m tracktest.Made) {
			w.Exec(`UPDATE invites SET gives_up_at = now() - interval '1 second' WHERE id = $1`, m.ID)
		}, visit.Expired},
		"wiped": {func(m tracktest.Made) {
			w.Append(m.ID, invite.Event{Type: invite.EventExpired})
			w.Exec(`UPDATE codes SET code = NULL WHERE invite_id = $1`, m.ID)
		}, visit.Expired},
		"revoked": {func(m tracktest.Made) { w.Append(m.ID, invite.Event{Type: invite.EventRevoked}) }, visit.Revoked},
		"replaced": {func(m tracktest.Made) {
			n := w.Invite(tracktest.Options{})
			w.Append(m.ID, invite.Event{Type: invite.EventReplaced, Data: invite.Data{ReplacedBy: n.ID.String()}})
		}, visit.Replaced},
		"erased":  {func(m tracktest.Made) { w.Exec(`UPDATE invites SET content = NULL WHERE id = $1`, m.ID) }, visit.Unknown},
		"deleted": {func(m tracktest.Made) { w.Exec(`DELETE FROM invites WHERE id = $1`, m.ID) }, visit.Unknown},
	} {
		m := w.Invite(tracktest.Options{})
		c.change(m)
		got := w.inApp(m.ID)
		if got.Page.State != c.want || !got.URL.IsZero() {
			t.Errorf("%s: page %s, link %t", name, got.Page.State, !got.URL.IsZero())
		}
	}
	if n := w.Vendor.Mints(); n != 0 {
		t.Errorf("%d tokens minted", n)
	}
}
