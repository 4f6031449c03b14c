package dispatch_test

import (
	"fmt"
	"testing"

	"github.com/connectlink/connectlink/internal/chaos"
)

func TestACommitThatHangsHoldsUpItsOwnLaneOnly(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	made := w.load(64, chaos.Load{Project: "importer"})
	hung := made[len(made)-1]
	w.exec(`CREATE FUNCTION hang() RETURNS trigger LANGUAGE plpgsql AS $$
		BEGIN PERFORM pg_advisory_xact_lock(4711); RETURN NEW; END $$`)
	w.exec(`CREATE TRIGGER hang BEFORE INSERT ON attempts FOR EACH ROW WHEN (NEW.invite_id = '` + fmt.Sprintf("%x", hung.InviteID.UUID()) + `') EXECUTE FUNCTION hang()`)
	tx, err := w.db.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tx.Rollback(t.Context()) }()
	if _, err := tx.Exec(t.Context(), `SELECT pg_advisory_xact_lock(4711)`); err != nil {
		t.Fatal(err)
	}
	d, _ := w.run(w.params())
	var waiting string // the transaction that waits for the lock
	waits := func() string {
		var one string
		err := w.db.QueryRow(t.Context(), `SELECT coalesce(min(pid || ' ' || xact_start), '') FROM pg_stat_activity
			WHERE datname = current_database() AND wait_event_type = 'Lock'`).Scan(&one)
		if err != nil {
			t.Fatal(err)
		}
		return one
	}
	w.until("a commit waits for the lock", func() bool { waiting = waits(); return waiting != "" })

	other := w.load(1, chaos.Load{Project: "others"})[0]
	d.Wake()
	w.until("the other lane's message is taken", func() bool { return w.sink.Count()[other.Key] == 1 })
	if now := waits(); now != waiting {
		t.Errorf("only after the commit that hung had been given up: %q, then %q", waiting, now)
	}
	if w.sink.Count()[hung.Key] != 0 {
		t.Error("a message left whose attempt is not committed")
	}

	if err := tx.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.until("all are taken", w.all("accepted"))
	for key, n := range w.sink.Count() {
		if n != 1 {
			t.Errorf("%s was sent %d times", key, n)
		}
	}
}
