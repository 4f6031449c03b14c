package erase_test

import (
	"testing"
	"time"

	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/store/ledger"
	"github.com/connectlink/connectlink/internal/track/tracktest"
)

func TestEndedInvitesAreDeletedWholeInTheirTime(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	old, young := w.fill("user-1"), w.Invite(tracktest.Options{User: "user-2"})
	open := w.Invite(tracktest.Options{User: "user-3"})
	elsewhere := w.Invite(tracktest.Options{User: "user-4"})
	for _, m := range []tracktest.Made{old, young, elsewhere} {
		w.Append(m.ID, invite.Event{Type: invite.EventRevoked})
	}
	w.Exec(`UPDATE invites SET wiped_at = now() - interval '91 days' WHERE id = ANY($1)`, []invite.ID{old.ID, elsewhere.ID})
	w.Exec(`UPDATE invites SET wiped_at = now() - interval '89 days' WHERE id = $1`, young.ID)
	w.Exec(`UPDATE invites SET created_at = now() - interval '200 days' WHERE id = $1`, open.ID)
	w.Exec(`UPDATE invites SET project_id = 'gone' WHERE id = $1`, elsewhere.ID) // no longer configured
	blocks := w.Count(`SELECT count(*) FROM suppressions`)
	if n, err := w.Retire(t.Context()); err != nil || n != 2 {
		t.Fatalf("%d retired, %v", n, err)
	}
	for _, table := range []string{"connect_links", "deliveries", "attempts", "codes", "events", "search_terms", "callbacks", "client_tokens"} {
		if n := w.Count(`SELECT count(*) FROM `+table+` WHERE invite_id = ANY($1)`, []invite.ID{old.ID, elsewhere.ID}); n != 0 {
			t.Errorf("%d rows stay in %s", n, table)
		}
	}
	if n := w.Count(`SELECT count(*) FROM invites WHERE id = ANY($1)`, []invite.ID{young.ID, open.ID}); n != 2 {
		t.Errorf("%d of the others stay, want both", n)
	}
	if n := w.Count(`SELECT count(*) FROM suppressions`); n != blocks {
		t.Errorf("%d blocks stay of %d", n, blocks)
	}
	if n, err := w.Retire(t.Context()); err != nil || n != 0 {
		t.Errorf("again: %d, %v", n, err)
	}
}

func TestAnInviteThatSomebodyWorksOnIsRetiredLater(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	m := w.Invite(tracktest.Options{})
	w.Append(m.ID, invite.Event{Type: invite.EventRevoked})
	w.Exec(`UPDATE invites SET wiped_at = now() - interval '91 days'`)
	tx, err := w.Pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := ledger.Lock(t.Context(), tx, m.ID); err != nil {
		t.Fatal(err)
	}
	if n, err := w.Retire(t.Context()); err != nil || n != 0 {
		t.Errorf("%d retired under another's lock, %v", n, err)
	}
	if err := tx.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n, err := w.Retire(t.Context()); err != nil || n != 1 {
		t.Errorf("%d retired afterwards, %v", n, err)
	}
}

func TestOldRedactionsAreForgottenAndUnfinishedOnesKept(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	insert := func(age, rest string) {
		t.Helper()
		w.Exec(`INSERT INTO redactions (invite_id, attempt_id, project_id, livemode, created_at, next_at, redacted_at, gave_up_at)
			VALUES (gen_random_uuid(), gen_random_uuid(), 'default', true, now() - $1::interval, `+rest+`)`, age)
	}
	insert("31 days", "NULL, now(), NULL") // done
	insert("29 days", "NULL, now(), NULL")
	insert("300 days", "NULL, NULL, now()") // given up
	insert("401 days", "NULL, NULL, now()")
	insert("500 days", "now(), NULL, NULL") // still to be done
	kept := ledger.Kept{Callbacks: 30 * 24 * time.Hour, Seen: time.Hour, Idempotency: time.Hour}
	if _, err := ledger.DeleteOld(t.Context(), w.Pool, kept, 100); err != nil {
		t.Fatal(err)
	}
	if n := w.Count(`SELECT count(*) FROM redactions`); n != 3 {
		t.Errorf("%d are kept, want 3", n)
	}
}
