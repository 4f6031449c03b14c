package dispatch_test

import (
	"testing"

	"github.com/connectlink/connectlink/internal/chaos"
	"github.com/connectlink/connectlink/internal/invite"
)

// Text messages of live mode to people who have not visited are counted with their
// acceptance; emails, test mode and messages to people who have visited are not.
func TestTextMessagesOfLiveModeAreCounted(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	text := chaos.Load{Channel: invite.SMS, Content: func(c *invite.Content) { c.Recipient.Phone = "+447400123456" }}
	w.load(3, text)
	visited := w.load(2, text)
	w.load(2, chaos.Load{})
	exec := func(sql string, args ...any) {
		t.Helper()
		if _, err := w.db.Exec(t.Context(), sql, args...); err != nil {
			t.Fatal(err)
		}
	}
	exec(`UPDATE invites SET livemode = true`)
	exec(`UPDATE deliveries SET livemode = true`)
	exec(`UPDATE invites SET progress = 'visited' WHERE id = ANY($1)`, []invite.ID{visited[0].InviteID, visited[1].InviteID})
	w.load(1, text) // of test mode
	w.run(w.params())
	w.until("all are sent", w.all("accepted"))
	if n := w.count(`SELECT coalesce(sum(sent), 0) FROM text_traffic WHERE area = 'GB' AND country = 'GB' AND project_id = 'default'`); n != 3 {
		t.Errorf("%d messages are counted for the country", n)
	}
	if n := w.count(`SELECT coalesce(sum(sent), 0) FROM text_traffic WHERE area = '+4474001' AND country = 'GB'`); n != 3 {
		t.Errorf("%d messages are counted for the range", n)
	}
	if n := w.count(`SELECT count(*) FROM attempts a JOIN text_traffic x ON x.bucket <= a.started_at AND x.bucket > a.started_at - interval '5 minutes'`); n == 0 {
		t.Error("no bucket has the time of an attempt")
	}
}
