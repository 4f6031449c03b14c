package dispatch_test

import (
	"log/slog"
	"net/http"
	"strings"
	"testing"

	"github.com/connectlink/connectlink/internal/chaos"
	"github.com/connectlink/connectlink/internal/chaos/sink"
)

func TestPipedreamIsDownForAWhile(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	loaded := w.load(2, chaos.Load{Pending: true})
	w.sink.SetFault(sink.Fault{Mint: http.StatusBadGateway})
	w.run(w.params())
	w.until("tried more than once", func() bool { return w.count(`SELECT min(lease_token) FROM deliveries`) > 2 })
	if w.sink.Calls() != 0 {
		t.Error("a message went out without a link behind it")
	}
	w.sink.SetFault(sink.Fault{})
	w.until("accepted", w.all("accepted"))
	w.once(loaded)
	if n := w.count(`SELECT count(*) FROM events WHERE type = 'link.mint_failed'`); n != 2 {
		t.Errorf("%d times on the timelines, want once each", n)
	}
}

func TestPipedreamRefusesTheRequestForGood(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.load(1, chaos.Load{Pending: true})
	w.sink.SetFault(sink.Fault{Mint: http.StatusBadRequest})
	w.run(w.params())
	w.until("rejected", w.all("rejected"))
	if got := w.text(`SELECT reason FROM deliveries`); got != "link_unavailable" {
		t.Errorf("reason is %q", got)
	}
}

// TestVendors1ARefusedPipedreamAccountLosesNoInvite: a rotation of the client
// secret, a project that moved, a base URL that redirects.
func TestVendors1ARefusedPipedreamAccountLosesNoInvite(t *testing.T) {
	t.Parallel()
	for _, status := range []int{http.StatusUnauthorized, http.StatusForbidden, http.StatusNotFound, http.StatusFound, http.StatusPaymentRequired} {
		t.Run(http.StatusText(status), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			loaded := w.load(2, chaos.Load{Pending: true})
			w.sink.SetFault(sink.Fault{Mint: http.StatusServiceUnavailable})
			w.run(w.params())
			w.until("waiting for Pipedream", func() bool {
				return w.count(`SELECT count(*) FROM deliveries WHERE status = 'queued' AND reason = 'link_unavailable'`) == 2
			})
			w.sink.SetFault(sink.Fault{Mint: status})
			w.until("waiting for an operator", func() bool {
				return w.count(`SELECT count(*) FROM deliveries WHERE status = 'queued' AND reason = 'provider_account' AND lease_token > 4`) == 2
			})
			if n := w.count(`SELECT count(*) FROM invites WHERE status <> 'pending'`); n != 0 {
				t.Errorf("%d invites ended", n)
			}
			w.sink.SetFault(sink.Fault{})
			w.until("accepted", w.all("accepted"))
			w.once(loaded)
			if n := w.count(`SELECT count(*) FROM deliveries WHERE reason <> ''`); n != 0 {
				t.Errorf("%d deliveries keep a reason that is over", n)
			}
		})
	}
}

// TestARefusedPipedreamAccountIsTheReasonAtTheEnd: the more telling reason stays.
func TestARefusedPipedreamAccountIsTheReasonAtTheEnd(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.load(1, chaos.Load{Pending: true})
	w.sink.SetFault(sink.Fault{Mint: http.StatusUnauthorized})
	w.run(w.params())
	w.until("waiting", func() bool { return w.count(`SELECT count(*) FROM deliveries WHERE reason = 'provider_account'`) == 1 })
	w.exec(`UPDATE invites SET gives_up_at = now()`)
	w.until("rejected", w.all("rejected"))
	if got := w.text(`SELECT d.reason || ' ' || i.status FROM deliveries d JOIN invites i ON i.id = d.invite_id`); got != "provider_account failed" {
		t.Errorf("got %q", got)
	}
}

// TestConsoleFTheAppsNameIsLookedUpAgain: while Pipedream is away the invite is
// created with a name made of the slug; the message does not go out with it.
func TestConsoleFTheAppsNameIsLookedUpAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	loaded := w.load(1, chaos.Load{Pending: true})
	w.exec(`UPDATE invites SET app_slug = 'google_drive', app_name = 'Drive by slug', app_auth_type = ''`)
	w.run(w.params())
	w.until("accepted", w.all("accepted"))
	w.once(loaded)
	if got := w.text(`SELECT app_name || ' ' || app_auth_type FROM invites`); got != "Google_drive oauth" { // as the sink names it
		t.Errorf("the app is %q", got)
	}
}

// TestVendors7TheLogNamesWhatIsWrongWithTheConnection: and so does the timeline.
func TestVendors7TheLogNamesWhatIsWrongWithTheConnection(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var out lockedBuffer
	w.rig.Log = slog.New(slog.NewJSONHandler(&out, nil))
	w.rig.SinkURL = "http://127.0.0.1:1"
	w.load(1, chaos.Load{})
	w.run(w.params())
	w.until("an attempt is in the log", func() bool { return strings.Contains(out.String(), `"msg":"attempt"`) })
	if log := out.String(); !strings.Contains(log, `"cause":"connection_refused"`) || strings.Contains(log, "127.0.0.1:1") {
		t.Errorf("the log says %s", log)
	}
	w.until("it stands on the timeline", func() bool {
		return w.count(`SELECT count(*) FROM events WHERE type = 'delivery.retry' AND data->>'cause' = 'connection_refused'`) > 0
	})
}
