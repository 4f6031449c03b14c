package dispatch_test

import (
	"testing"

	"github.com/connectlink/connectlink/internal/chaos"
)

// TestF06AMessageWhoseUserCannotBeOpenedIsParked (reliability F6): no link is
// made for the placeholder, and the messages beside it go out.
func TestF06AMessageWhoseUserCannotBeOpenedIsParked(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	broken := w.load(1, chaos.Load{Pending: true})[0]
	w.exec(`UPDATE invites SET external_user_id = 'sealed:x', user_hash = '\x01', sealed_user_id = '\x01'`)
	w.load(1, chaos.Load{Pending: true})
	w.run(w.params())
	w.until("parked", func() bool {
		return w.count(`SELECT count(*) FROM deliveries WHERE invite_id = $1 AND status = 'rejected' AND reason = 'message_broken'`, broken.InviteID) == 1
	})
	w.until("accepted", func() bool { return w.count(`SELECT count(*) FROM deliveries WHERE status = 'accepted'`) == 1 })
	if n := w.sink.Mints(); n != 1 {
		t.Errorf("%d links were made, want the good invite's", n)
	}
}
