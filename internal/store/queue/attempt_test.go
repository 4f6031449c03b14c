package queue_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/postgrestest"
	"github.com/connectlink/connectlink/internal/store/queue"
)

// attempt begins one attempt of a fresh delivery and returns it and its lease.
func attempt(t *testing.T, db *pgxpool.Pool) (queue.Lease, invite.AttemptID) {
	t.Helper()
	insert(t, db, "p/sms/test", 1)
	j := claim(t, db, queue.Want{})[0]
	id := invite.New[invite.AttemptID]()
	begun, err := queue.Begin(t.Context(), db, []queue.NewAttempt{
		{Lease: j.Lease, ID: id, Version: j.Invite.Version, LinkID: j.Link.ID, Provider: "twilio", Account: "x", TemplateVersion: "1"},
	}, time.Hour)
	if err != nil || !begun[id].OK {
		t.Fatalf("%+v, %v", begun, err)
	}
	return j.Lease, id
}

func TestBeginExtendsTheLeaseAndRemembersTheLink(t *testing.T) {
	t.Parallel()
	db := postgrestest.Pool(t)
	l, id := attempt(t, db)
	j, ok, err := queue.FindJob(t.Context(), db, l)
	if err != nil || !ok || j.Last == nil || j.Last.ID != id || j.Last.Number != 1 || j.Last.Outcome != queue.Open || !j.Fresh() ||
		j.SentLink == nil || j.SentLink.ID != j.Link.ID {
		t.Fatalf("%+v, %v, %v", j.Last, ok, err)
	}
	if jobs := claim(t, db, queue.Want{Owner: 9}); len(jobs) != 0 {
		t.Error("it was claimed during the call")
	}
}

// What says more is not replaced by what says less.
func TestResultsOnlyGrow(t *testing.T) {
	t.Parallel()
	db := postgrestest.Pool(t)
	ctx := t.Context()
	for _, c := range []struct{ first, then, want string }{
		{queue.Unknown, queue.Accepted, queue.Accepted},
		{queue.Unknown, queue.NotSent, queue.NotSent},
		{queue.Accepted, queue.Unknown, queue.Accepted},
		{queue.Accepted, queue.NotSent, queue.Accepted},
		{queue.NotSent, queue.Unknown, queue.NotSent},
		{queue.NotSent, queue.Accepted, queue.Accepted},
		{queue.Refused, queue.Unknown, queue.Refused},
		{queue.Abandoned, queue.Unknown, queue.Abandoned},
		{queue.Abandoned, queue.Accepted, queue.Accepted},
	} {
		l, id := attempt(t, db)
		for i, outcome := range []string{c.first, c.then} {
			batch := &pgx.Batch{}
			queue.QueueResults(batch, []queue.Result{{
				InviteID: l.InviteID, AttemptID: id, Outcome: outcome, HTTPStatus: 200 + i, ProviderMessageID: fmt.Sprint("m", i),
			}})
			if err := db.SendBatch(ctx, batch).Close(); err != nil {
				t.Fatal(err)
			}
		}
		var got string
		if err := db.QueryRow(ctx, `SELECT outcome FROM attempts WHERE id = $1`, id).Scan(&got); err != nil || got != c.want {
			t.Errorf("%s, then %s: %s, %v", c.first, c.then, got, err)
		}
	}
}

func TestSetNextLeavesWhatWasSettled(t *testing.T) {
	t.Parallel()
	db := postgrestest.Pool(t)
	ctx := t.Context()
	insert(t, db, "p/sms/test", 2)
	jobs := claim(t, db, queue.Want{})
	if _, err := db.Exec(ctx, `UPDATE deliveries SET next_at = NULL, lease_owner = NULL WHERE id = $1`, jobs[0].DeliveryID); err != nil {
		t.Fatal(err)
	}
	batch := &pgx.Batch{}
	queue.QueueNext(batch, []queue.Lease{jobs[0].Lease, jobs[1].Lease}, []time.Duration{0, 0})
	if err := db.SendBatch(ctx, batch).Close(); err != nil {
		t.Fatal(err)
	}
	if again := claim(t, db, queue.Want{}); len(again) != 1 || again[0].Ref != jobs[1].Ref {
		t.Errorf("%d became due", len(again))
	}
}

func TestReceiptsProveThatReceiptsCome(t *testing.T) {
	t.Parallel()
	db := postgrestest.Pool(t)
	ctx := t.Context()
	l, id := attempt(t, db)
	if list, err := queue.ListAccounts(ctx, db); err != nil || len(list) != 0 {
		t.Fatalf("before any report: %+v, %v", list, err)
	}
	for range 2 { // copies are normal
		if err := queue.NoteReceipts(ctx, db, []queue.AttemptRef{{InviteID: l.InviteID, AttemptID: id}}); err != nil {
			t.Fatal(err)
		}
	}
	list, err := queue.ListAccounts(ctx, db)
	if err != nil || len(list) != 1 || list[0].ReportedAgo < 0 || list[0].ReportedAgo > time.Minute {
		t.Errorf("%+v, %v", list, err)
	}
}
