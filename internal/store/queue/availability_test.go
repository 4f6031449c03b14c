package queue_test

import (
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/postgrestest"
	"github.com/connectlink/connectlink/internal/store/queue"
)

const endpoint = "sendgrid/p/live"

// reports asks about an attempt that began a minute ago, of which no row exists.
func reports(t *testing.T, db *pgxpool.Pool) queue.Reports {
	t.Helper()
	r, err := queue.GetReports(t.Context(), db, invite.New[invite.AttemptID](), "x", endpoint, time.Now().Add(-time.Minute), time.Second, time.Second)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func register(t *testing.T, db *pgxpool.Pool) uuid.UUID {
	t.Helper()
	id := uuid.New()
	if err := queue.RegisterCallbackServer(t.Context(), db, id); err != nil {
		t.Fatal(err)
	}
	return id
}

// forget makes all gaps older than any attempt of these tests.
func forget(t *testing.T, db *pgxpool.Pool) {
	t.Helper()
	if _, err := db.Exec(t.Context(), `UPDATE callback_gaps SET ended_at = ended_at - interval '1 hour'`); err != nil {
		t.Fatal(err)
	}
}

func TestATimeWithoutCallbackServersIsAGap(t *testing.T) {
	t.Parallel()
	db := postgrestest.Pool(t)
	if r := reports(t, db); r.GapEnded.IsZero() {
		t.Error("nothing takes callbacks, and that is no gap")
	}
	first := register(t, db)
	if r := reports(t, db); r.GapEnded.IsZero() {
		t.Error("the time before the first server is no gap")
	}
	forget(t, db)
	second := register(t, db)
	if r := reports(t, db); !r.GapEnded.IsZero() {
		t.Errorf("a second server made a gap: %v", r.GapEnded)
	}
	// A server that leaves in order while another stays makes none.
	if err := queue.RemoveCallbackServer(t.Context(), db, first); err != nil {
		t.Fatal(err)
	}
	if renewed, err := queue.RenewCallbackServer(t.Context(), db, second); err != nil || !renewed {
		t.Fatalf("renewed %v, %v", renewed, err)
	}
	if r := reports(t, db); !r.GapEnded.IsZero() {
		t.Errorf("an orderly end made a gap: %v", r.GapEnded)
	}
	if err := queue.RemoveCallbackServer(t.Context(), db, second); err != nil {
		t.Fatal(err)
	}
	if r := reports(t, db); r.GapEnded.IsZero() {
		t.Error("the last one left, and that is no gap")
	}
}

func TestACallbackServerThatDiesIsAGapFromThenOn(t *testing.T) {
	t.Parallel()
	db := postgrestest.Pool(t)
	dead, alive := register(t, db), register(t, db)
	forget(t, db)
	if _, err := db.Exec(t.Context(), `UPDATE callback_servers SET seen_at = now() - interval '1 minute' WHERE id = $1`, dead); err != nil {
		t.Fatal(err)
	}
	if r := reports(t, db); r.GapEnded.IsZero() {
		t.Error("an overdue server is no gap before it was removed")
	}
	if renewed, err := queue.RenewCallbackServer(t.Context(), db, alive); err != nil || !renewed {
		t.Fatalf("renewed %v, %v", renewed, err)
	}
	if r := reports(t, db); r.GapEnded.IsZero() {
		t.Error("the death was forgotten when the row was removed")
	}
	// The thawed process learns that it was counted as lost.
	if renewed, err := queue.RenewCallbackServer(t.Context(), db, dead); err != nil || renewed {
		t.Errorf("a lost server renewed: %v, %v", renewed, err)
	}
}

func TestAGapConcernsItsOwnScopeOnly(t *testing.T) {
	t.Parallel()
	db := postgrestest.Pool(t)
	register(t, db)
	forget(t, db)
	if err := queue.SetGap(t.Context(), db, queue.GapScope("sendgrid", invite.Place{Project: "other", Live: true}), queue.GapRefused); err != nil {
		t.Fatal(err)
	}
	if r := reports(t, db); !r.GapEnded.IsZero() {
		t.Error("another project's refusal counts")
	}
	if err := queue.SetGap(t.Context(), db, queue.GapScope("sendgrid", invite.Place{Project: "p", Live: true}), queue.GapLateReport); err != nil {
		t.Fatal(err)
	}
	if r := reports(t, db); r.GapEnded.IsZero() {
		t.Error("the project's own late report does not count")
	}
}
