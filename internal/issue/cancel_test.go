package issue_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/connectlink/connectlink/internal/invite"
)

// TestF05CancelUnsentRevokesWhatTheKeyHasNotSent: sent invites stay, and so
// do all invites of another key.
func TestF05CancelUnsentRevokesWhatTheKeyHasNotSent(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s := w.process()
	key, err := invite.Parse[invite.KeyID](w.key.ID)
	if err != nil {
		t.Fatal(err)
	}
	later := time.Now().Add(time.Hour)
	scheduled, queued, sent, foreign := ask("scheduled"), ask("queued"), ask("sent"), ask("foreign")
	scheduled.SendAt, foreign.SendAt = &later, &later
	ids := map[string]invite.ID{"scheduled": w.create(s, scheduled), "queued": w.create(s, queued), "sent": w.create(s, sent)}
	w.down.Store(true) // no link can be made now: the invite is pending
	ids["pending"] = w.create(s, ask("pending"))
	w.down.Store(false)
	if _, err := w.db.Exec(t.Context(), `UPDATE deliveries SET status = 'accepted', next_at = NULL WHERE invite_id = $1`, ids["sent"]); err != nil {
		t.Fatal(err)
	}
	mine := w.key
	w.key = w.newKey()
	ids["foreign"] = w.create(s, foreign)

	if n, err := s.CountUnsent(t.Context(), mine, key); err != nil || n != 3 {
		t.Fatalf("%d are to be cancelled (%v), want 3", n, err)
	}
	if n, err := s.CancelUnsent(t.Context(), mine, key); err != nil || n != 3 {
		t.Fatalf("%d were cancelled (%v), want 3", n, err)
	}
	for name, id := range ids {
		want := 1
		if name == "sent" || name == "foreign" {
			want = 0
		}
		if n := w.count(`SELECT count(*) FROM invites WHERE id = $1 AND status = 'revoked'`, id); n != want {
			t.Errorf("%s: revoked %d times, want %d", name, n, want)
		}
		if n := w.count(`SELECT count(*) FROM deliveries WHERE invite_id = $1 AND next_at IS NOT NULL`, id); want == 1 && n != 0 {
			t.Errorf("%s: its message is still to be sent", name)
		}
	}
	if n, err := s.CancelUnsent(t.Context(), mine, key); err != nil || n != 0 {
		t.Errorf("again: %d, %v", n, err)
	}
}

// More than one transaction's worth.
func TestF05CancelUnsentGoesOnPastOneGroup(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s := w.process()
	later := time.Now().Add(time.Hour)
	key, err := invite.Parse[invite.KeyID](w.key.ID)
	if err != nil {
		t.Fatal(err)
	}
	const many = 101
	for n := range many {
		r := ask(fmt.Sprint("user-", n))
		r.SendAt = &later
		w.create(s, r)
	}
	if n, err := s.CancelUnsent(t.Context(), w.key, key); err != nil || n != many {
		t.Errorf("%d were cancelled (%v), want %d", n, err, many)
	}
}
