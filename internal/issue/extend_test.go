package issue_test

import (
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/issue"
	"github.com/connectlink/connectlink/internal/store/ledger"
)

const week = 7 * 24 * 3600

func extension(seconds int) issue.ExtendRequest { return issue.ExtendRequest{ValidFor: &seconds} }

func TestExtendMovesTheEndAndSendsNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s := w.process()
	inv := w.created(s, ask("user-1"))
	mints := w.mints.Load()
	a, err := s.Extend(t.Context(), w.key, inv.ID, extension(week), issue.Meta{RequestID: "req_9"})
	if err != nil {
		t.Fatal(err)
	}
	got := w.get(inv.ID)
	if want := got.UpdatedAt.Add(week * time.Second); !got.GivesUpAt.Equal(want) || !got.ExpiresAt.Equal(want) || !a.Invite.ExpiresAt.Equal(want) {
		t.Errorf("ends at %s, %s and %s, want %s", got.GivesUpAt, got.ExpiresAt, a.Invite.ExpiresAt, want)
	}
	if a.Invite.Status != invite.Active || a.Invite.ResendCount != 0 || a.Invite.Version != inv.Version+3 {
		t.Errorf("after the extension: %+v", a.Invite)
	}
	if deliveries, codes := w.count(`SELECT count(*) FROM deliveries`), w.count(`SELECT count(*) FROM codes WHERE code IS NOT NULL`); deliveries != 1 || codes != 1 || w.mints.Load() != mints {
		t.Errorf("%d messages, %d codes, %d mints more", deliveries, codes, w.mints.Load()-mints)
	}
	if n := w.count(`SELECT count(*) FROM events WHERE type = 'extended' AND actor = 'key' AND data->>'request_id' = 'req_9' AND (data->>'expires_at')::timestamptz = $1`, got.GivesUpAt); n != 1 {
		t.Errorf("%d events with the new end", n)
	}
	if diff := cmp.Diff([]string{w.key.Actor() + " extend"}, w.audited(inv.ID)); diff != "" {
		t.Error(diff)
	}
}

func TestExtendIsRefusedWithItsCause(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s := w.process()
	sent := func(change func(*issue.CreateRequest)) func() invite.ID {
		return func() invite.ID {
			req := ask("user-1")
			if change != nil {
				change(&req)
			}
			a, err := s.Create(t.Context(), w.key, req, issue.Meta{})
			if err != nil {
				t.Fatal(err)
			}
			return a.Invite.ID
		}
	}
	after := func(e invite.Event) func() invite.ID {
		return func() invite.ID {
			id := sent(nil)()
			w.happens(id, e)
			return id
		}
	}
	other := invite.New[invite.ID]()
	for name, c := range map[string]struct {
		make func() invite.ID
		req  issue.ExtendRequest
		code invite.Code
		says string // a fault's pointer and code, or a part of the message
	}{
		"revoked":              {after(invite.Event{Type: invite.EventRevoked}), extension(week), invite.CodeNotExtendable, "is revoked (status)"},
		"reported":             {after(invite.Event{Type: invite.EventReported}), extension(week), invite.CodeNotExtendable, "is revoked (status)"},
		"connected":            {after(invite.Event{Type: invite.EventConnected, Data: invite.Data{AccountID: "apn_1"}}), extension(week), invite.CodeNotExtendable, "is connected (status)"},
		"replaced":             {after(invite.Event{Type: invite.EventReplaced, Data: invite.Data{ReplacedBy: other.String()}}), extension(week), invite.CodeNotExtendable, "replaced by " + other.String()},
		"expired":              {after(invite.Event{Type: invite.EventExpired}), extension(week), invite.CodeNotExtendable, "Resend it"},
		"scheduled":            {sent(func(r *issue.CreateRequest) { at := time.Now().Add(time.Hour); r.SendAt = &at }), extension(week), invite.CodeNotExtendable, "is scheduled (status)"},
		"Pipedream's own link": {sent(func(r *issue.CreateRequest) { r.LinkType = "connect" }), extension(week), invite.CodeNotExtendable, "link_type connect"},
		"no invite":            {func() invite.ID { return other }, extension(week), invite.CodeInviteNotFound, other.String()},
		"past its end and not swept up": {func() invite.ID {
			id := sent(nil)()
			w.exec(`UPDATE invites SET gives_up_at = now(), expires_at = now() WHERE id = $1`, id)
			return id
		}, extension(week), invite.CodeNotExtendable, "Resend it"},
		"erased": {func() invite.ID {
			id := sent(nil)()
			w.exec(`UPDATE invites SET erased_at = now() WHERE id = $1`, id)
			return id
		}, extension(week), invite.CodeNotExtendable, "erased_at"},
		"without a time":     {sent(nil), issue.ExtendRequest{}, invite.CodeInvalidRequest, "/valid_for required"},
		"for too short":      {sent(nil), extension(59), invite.CodeInvalidRequest, "/valid_for out_of_range"},
		"for too long":       {sent(nil), extension(30*24*3600 + 1), invite.CodeInvalidRequest, "/valid_for out_of_range"},
		"for an age":         {sent(nil), extension(1 << 40), invite.CodeInvalidRequest, "/valid_for out_of_range"},
		"to an earlier time": {sent(func(r *issue.CreateRequest) { long := week; r.ValidFor = &long }), extension(3600), invite.CodeInvalidRequest, "/valid_for out_of_range"},
	} {
		id := c.make()
		before := w.count(`SELECT count(*) FROM events WHERE type = 'extended'`)
		_, err := s.Extend(t.Context(), w.key, id, c.req, issue.Meta{})
		var e *invite.Error
		if !errors.As(err, &e) || e.Code != c.code {
			t.Errorf("%s: %v, want %s", name, err, c.code)
			continue
		}
		says := e.Message
		for _, f := range e.Faults {
			says += " " + f.Pointer + " " + string(f.Code) + " " + f.Detail
		}
		if !strings.Contains(says, c.says) {
			t.Errorf("%s: %q, want %q", name, says, c.says)
		}
		if n := w.count(`SELECT count(*) FROM events WHERE type = 'extended'`); n != before {
			t.Errorf("%s: an event was recorded", name)
		}
	}
	elsewhere := w.key
	elsewhere.Project = "other"
	if _, err := s.Extend(t.Context(), elsewhere, sent(nil)(), extension(week), issue.Meta{}); invite.CodeOf(err) != invite.CodeInviteNotFound {
		t.Errorf("another project's invite: %v", err)
	}
}

// The message did not arrive, but the link works for who receives it in another way.
func TestExtendOfAFailedInvite(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s := w.process()
	inv := w.created(s, ask("user-1"))
	w.happens(inv.ID, invite.Event{Type: invite.EventDeliveryBounced, DeliveryID: inv.Delivery.ID, Data: invite.Data{Reason: invite.AddressNotFound}})
	a, err := s.Extend(t.Context(), w.key, inv.ID, extension(week), issue.Meta{})
	if err != nil || a.Invite.Status != invite.Failed || a.Invite.InviteLink == nil {
		t.Errorf("%s, %v", a.Invite.Status, err)
	}
}

func TestExtendOnceForAnIdempotencyKeyInAnyProcess(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	one, two := w.process(), w.process()
	inv := w.created(one, ask("user-1"))
	meta := issue.Meta{IdempotencyKey: "more-time", Route: "POST /v1/invites/x/extend"}
	var wait sync.WaitGroup
	for i := range 8 {
		wait.Go(func() {
			s := one
			if i%2 == 1 {
				s = two
			}
			if _, err := s.Extend(t.Context(), w.key, inv.ID, extension(week), meta); err != nil && invite.CodeOf(err) != invite.CodeIdempotencyInProgress {
				t.Error(err)
			}
		})
	}
	wait.Wait()
	a, err := one.Extend(t.Context(), w.key, inv.ID, extension(week), meta)
	if err != nil || !a.Replayed || !a.Invite.ExpiresAt.Equal(*w.get(inv.ID).ExpiresAt) {
		t.Errorf("a repetition: %+v, %v", a, err)
	}
	if n := w.count(`SELECT count(*) FROM events WHERE type = 'extended'`); n != 1 {
		t.Errorf("extended %d times", n)
	}
	if _, err := one.Extend(t.Context(), w.key, inv.ID, extension(2*week), meta); invite.CodeOf(err) != invite.CodeIdempotencyReused {
		t.Errorf("another time with the same key: %v", err)
	}
}

func TestStaffExtendWhatTheySaw(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s, p := w.process(), agent()
	inv := w.created(s, ask("user-1"))
	seen := w.get(inv.ID).Version
	if _, err := s.Extend(t.Context(), p, inv.ID, extension(week), issue.Meta{Seen: seen}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Extend(t.Context(), p, inv.ID, extension(2*week), issue.Meta{Seen: seen}); !errors.Is(err, issue.ErrChanged) {
		t.Errorf("of an invite that a colleague extended: %v", err)
	}
	if diff := cmp.Diff([]string{p.Actor() + " extend"}, w.audited(inv.ID)); diff != "" {
		t.Error(diff)
	}
	if n := w.count(`SELECT count(*) FROM audit WHERE act = 'extend' AND data->>'expires_at' <> ''`); n != 1 {
		t.Error("the audit log lacks the new end")
	}
}

// A resend gives the time of a new invite; people who were told a later end keep it.
func TestResendKeepsAnExtendedEnd(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s := w.process()
	for name, prepare := range map[string]func(){"with a link": func() {}, "while Pipedream is down": func() { w.down.Store(true) }} {
		inv := w.created(s, ask("user-"+name[:4]))
		a, err := s.Extend(t.Context(), w.key, inv.ID, extension(week), issue.Meta{})
		if err != nil {
			t.Fatal(err)
		}
		prepare()
		again, err := s.Resend(t.Context(), w.key, inv.ID, issue.ResendRequest{Recipient: &issue.RecipientRequest{Email: "right@client.example"}}, issue.Meta{})
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if again.Invite.ExpiresAt == nil || !again.Invite.ExpiresAt.Equal(*a.Invite.ExpiresAt) || !w.get(inv.ID).GivesUpAt.Equal(*a.Invite.ExpiresAt) {
			t.Errorf("%s: ends at %v, want %s", name, again.Invite.ExpiresAt, a.Invite.ExpiresAt)
		}
		w.down.Store(false)
	}
}

// What runs at the end of an invite runs at the new one.
func TestExpiryFollowsTheExtendedEnd(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s := w.process()
	inv := w.created(s, ask("user-1"))
	w.exec(`UPDATE invites SET expires_at = now() + interval '1 minute', gives_up_at = now() + interval '1 minute'`)
	if _, err := s.Extend(t.Context(), w.key, inv.ID, extension(week), issue.Meta{}); err != nil {
		t.Fatal(err)
	}
	overdue := func() int {
		var n int
		err := pgx.BeginFunc(t.Context(), w.db, func(tx pgx.Tx) error {
			list, err := ledger.LockOverdue(t.Context(), tx, 10)
			n = len(list)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	w.exec(`UPDATE invites SET expires_at = expires_at - interval '2 days', gives_up_at = gives_up_at - interval '2 days'`)
	if n := overdue(); n != 0 {
		t.Error("the invite is swept up at its old end")
	}
	w.exec(`UPDATE invites SET expires_at = expires_at - interval '5 days', gives_up_at = gives_up_at - interval '5 days'`)
	if n := overdue(); n != 1 {
		t.Error("the invite is not swept up at its new end")
	}
}

// A reminder that is due after the old end is sent, and the next ones spread over the new time.
func TestRemindersFollowTheExtendedEnd(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s := w.process()
	req, three := ask("user-1"), 3
	req.Recipient.Email = "delivered@connectlink.test"
	req.Reminders = &issue.RemindersRequest{Count: &three}
	inv := w.created(s, req)
	if _, err := s.Extend(t.Context(), w.key, inv.ID, extension(week), issue.Meta{}); err != nil {
		t.Fatal(err)
	}
	w.exec(`UPDATE invites SET remind_at = now(), expires_at = expires_at - interval '1 day', gives_up_at = gives_up_at - interval '1 day'`)
	if n, err := s.Remind(t.Context()); n != 1 || err != nil {
		t.Fatalf("%d reminders, %v", n, err)
	}
	if n := w.count(`SELECT count(*) FROM invites WHERE reminded = 1 AND remind_at BETWEEN now() + interval '47 hours' AND now() + interval '48 hours'`); n != 1 {
		t.Error("the next reminder is not planned in the new time")
	}
}

func (w *world) exec(sql string, args ...any) {
	w.t.Helper()
	if _, err := w.db.Exec(w.t.Context(), sql, args...); err != nil {
		w.t.Fatal(err)
	}
}
