package issue_test

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/connectlink/connectlink/internal/access"
	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/issue"
	"github.com/connectlink/connectlink/internal/store/account"
	"github.com/connectlink/connectlink/internal/store/find"
	"github.com/connectlink/connectlink/internal/store/queue"
)

func agent() access.Principal {
	return access.Staff(invite.New[invite.StaffID]().String(), access.RoleAgent, invite.Place{Project: "default"})
}

func (w *world) audited(id invite.ID) []string {
	w.t.Helper()
	page, _, err := account.ListAudit(w.t.Context(), w.db, account.AuditFilter{Place: invite.Place{Project: "default"}, InviteID: id, Limit: 100})
	if err != nil {
		w.t.Fatal(err)
	}
	var out []string
	for _, e := range page {
		out = append([]string{e.Actor + " " + string(e.Act)}, out...)
	}
	return out
}

func TestWhatStaffDoIsAuditedInTheSameCommit(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s, p := w.process(), agent()
	made, err := s.Create(t.Context(), p, ask("user-1"), issue.Meta{IdempotencyKey: "form-1", Route: "console", Body: []byte("x")})
	if err != nil {
		t.Fatal(err)
	}
	if again, err := s.Create(t.Context(), p, ask("user-1"), issue.Meta{IdempotencyKey: "form-1", Route: "console", Body: []byte("x")}); err != nil || again.Invite.ID != made.Invite.ID {
		t.Fatalf("the form sent twice makes %s, %v", again.Invite.ID, err)
	}
	id := made.Invite.ID
	if _, err := s.Resend(t.Context(), p, id, issue.ResendRequest{Recipient: &issue.RecipientRequest{Email: "pat@client.example"}}, issue.Meta{}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Revoke(t.Context(), p, id, issue.RevokeRequest{Reason: "asked to"}, issue.Meta{}); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{p.Actor() + " create", p.Actor() + " correct", p.Actor() + " revoke"}, w.audited(id)); diff != "" {
		t.Error(diff)
	}
	events, err := find.Events(t.Context(), w.db, id)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range events {
		if e.Actor != invite.ActorSystem && (e.Actor != invite.ActorStaff || e.ActorID != p.ID) {
			t.Errorf("%s was done by %s %s", e.Type, e.Actor, e.ActorID)
		}
	}
	if made.Invite.ConnectLinkURL != nil || made.Invite.InviteLink != nil {
		t.Error("staff are answered with links")
	}
}

// TestWhatKeysDoIsAudited but for creates, which each invite names.
func TestWhatKeysDoIsAudited(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s := w.process()
	by := w.key
	by.Origin.RequestID = "req_7"
	var ids []invite.ID
	for range 3 {
		made, err := s.Create(t.Context(), by, ask("user-1"), issue.Meta{})
		if err != nil {
			t.Fatal(err)
		}
		id := made.Invite.ID
		ids = append(ids, id)
		if _, err := s.Resend(t.Context(), by, id, issue.ResendRequest{Recipient: &issue.RecipientRequest{Email: "pat@client.example"}}, issue.Meta{}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.Revoke(t.Context(), by, ids[0], issue.RevokeRequest{}, issue.Meta{}); err != nil {
		t.Fatal(err)
	}
	if n, _, err := s.RevokeUser(t.Context(), by, issue.RevokeUserRequest{ExternalUserID: "user-1"}); err != nil || n != 2 {
		t.Fatalf("revoked %d, %v", n, err)
	}
	for _, id := range ids {
		if diff := cmp.Diff([]string{by.Actor() + " correct", by.Actor() + " revoke"}, w.audited(id)); diff != "" {
			t.Error(diff)
		}
	}
	page, _, err := account.ListAudit(t.Context(), w.db, account.AuditFilter{Place: by.Place, Actor: by.Actor(), Limit: 1})
	if err != nil || len(page) != 1 || page[0].RequestID != "req_7" {
		t.Errorf("the newest entry: %+v, %v", page, err)
	}
}

func TestStaffSendTheSameAgainOnlyAfterAWhile(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s, p := w.process(), agent()
	made, err := s.Create(t.Context(), w.key, ask("user-1"), issue.Meta{})
	if err != nil {
		t.Fatal(err)
	}
	id := made.Invite.ID
	if _, err := w.db.Exec(t.Context(), `UPDATE deliveries SET status = 'delivered' WHERE invite_id = $1`, id); err != nil {
		t.Fatal(err)
	}
	_, err = s.Resend(t.Context(), p, id, issue.ResendRequest{}, issue.Meta{})
	var e *invite.Error
	if !errors.As(err, &e) || e.Code != invite.CodeResendTooSoon || e.RetryAfterS < 1 || e.RetryAfterS > 121 {
		t.Fatalf("within two minutes: %v", err)
	}
	if _, err := w.db.Exec(t.Context(), `UPDATE deliveries SET created_at = created_at - interval '2 minutes' WHERE invite_id = $1`, id); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Resend(t.Context(), p, id, issue.ResendRequest{}, issue.Meta{}); err != nil {
		t.Errorf("after two minutes: %v", err)
	}
	// A key decides for itself, and so does a corrected address.
	if _, err := w.db.Exec(t.Context(), `UPDATE deliveries SET status = 'delivered' WHERE invite_id = $1`, id); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Resend(t.Context(), w.key, id, issue.ResendRequest{}, issue.Meta{}); err != nil {
		t.Errorf("a key within two minutes: %v", err)
	}
	if _, err := s.Resend(t.Context(), p, id, issue.ResendRequest{Recipient: &issue.RecipientRequest{Email: "other@customer.example"}}, issue.Meta{}); err != nil {
		t.Errorf("a corrected address within two minutes: %v", err)
	}
}

// Beginning to send is no event, and a resend meanwhile would be a second message.
func TestAResendWhileTheMessageIsBeingSentIsRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s, p := w.process(), agent()
	made, err := s.Create(t.Context(), w.key, ask("user-1"), issue.Meta{})
	if err != nil {
		t.Fatal(err)
	}
	id, seen := made.Invite.ID, made.Invite.Version
	jobs, err := queue.Claim(t.Context(), w.db, queue.Want{Owner: 1, Lease: time.Hour, Batch: 1, PerLane: 1})
	if err != nil || len(jobs) != 1 {
		t.Fatalf("%d jobs, %v", len(jobs), err)
	}
	attempt := invite.New[invite.AttemptID]()
	begun, err := queue.Begin(t.Context(), w.db, []queue.NewAttempt{{
		Lease: jobs[0].Lease, ID: attempt, Version: jobs[0].Invite.Version, Provider: "sendgrid", Account: "x", TemplateVersion: "1",
	}}, time.Hour)
	if err != nil || !begun[attempt].OK {
		t.Fatalf("%+v, %v", begun, err)
	}
	corrected := issue.ResendRequest{Recipient: &issue.RecipientRequest{Email: "pat@client.example"}}
	if _, err := s.Resend(t.Context(), p, id, corrected, issue.Meta{Seen: seen}); !errors.Is(err, issue.ErrChanged) {
		t.Errorf("a resend during the call: %v", err)
	}
	if _, err := w.db.Exec(t.Context(), `UPDATE attempts SET started_at = now() - interval '1 minute'`); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Resend(t.Context(), p, id, corrected, issue.Meta{Seen: seen}); err != nil {
		t.Errorf("a resend beside a call whose answer was lost: %v", err)
	}
}

func TestActingOnWhatHasChangedIsRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s, p := w.process(), agent()
	made, err := s.Create(t.Context(), w.key, ask("user-1"), issue.Meta{})
	if err != nil {
		t.Fatal(err)
	}
	id, seen := made.Invite.ID, made.Invite.Version
	corrected := issue.ResendRequest{Recipient: &issue.RecipientRequest{Email: "pat@client.example"}}
	if _, err := s.Resend(t.Context(), p, id, corrected, issue.Meta{Seen: seen}); err != nil {
		t.Fatalf("what was seen: %v", err)
	}
	if _, err := s.Resend(t.Context(), p, id, corrected, issue.Meta{Seen: seen}); !errors.Is(err, issue.ErrChanged) {
		t.Errorf("a resend of what has changed: %v", err)
	}
	if _, err := s.Revoke(t.Context(), p, id, issue.RevokeRequest{}, issue.Meta{Seen: seen}); !errors.Is(err, issue.ErrChanged) {
		t.Errorf("a revoke of what has changed: %v", err)
	}
	if diff := cmp.Diff([]string{p.Actor() + " correct"}, w.audited(id)); diff != "" {
		t.Error(diff)
	}
}
