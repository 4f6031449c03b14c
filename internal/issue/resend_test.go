package issue_test

import (
	"errors"
	"testing"

	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/issue"
	"github.com/connectlink/connectlink/internal/resource"
	"github.com/connectlink/connectlink/internal/store/ledger"
)

// created makes an invite and lets its message leave.
func (w *world) created(s *issue.Service, req issue.CreateRequest) resource.Invite {
	w.t.Helper()
	a, err := s.Create(w.t.Context(), w.key, req, issue.Meta{})
	if err != nil {
		w.t.Fatal(err)
	}
	w.happens(a.Invite.ID, invite.Event{Type: invite.EventDeliverySending, DeliveryID: a.Invite.Delivery.ID})
	w.happens(a.Invite.ID, invite.Event{Type: invite.EventDeliveryAccepted, DeliveryID: a.Invite.Delivery.ID})
	return a.Invite
}

func (w *world) happens(id invite.ID, e invite.Event) {
	w.t.Helper()
	tx, err := w.db.Begin(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	if _, err := ledger.Append(w.t.Context(), tx, w.box, id, e); err != nil {
		w.t.Fatal(err)
	}
	if err := tx.Commit(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
}

func TestResendToTheSamePersonKeepsEarlierLinksWorking(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s := w.process()
	first := w.created(s, ask("user-1"))
	req := issue.ResendRequest{Channel: "sms", Recipient: &issue.RecipientRequest{Phone: "+12025550100"}, Note: "as you asked"}
	a, err := s.Resend(t.Context(), w.key, first.ID, req, issue.Meta{Route: "resend"})
	if err != nil {
		t.Fatal(err)
	}
	r := a.Invite
	if r.ResendCount != 1 || r.Channel != invite.SMS || r.Delivery.Channel != invite.SMS || r.Delivery.Status != invite.Queued {
		t.Errorf("resent: %d times, %s, delivery %+v", r.ResendCount, r.Channel, r.Delivery)
	}
	if !r.ExpiresAt.After(*first.ExpiresAt) || !r.ExpiresAt.Equal(*r.ConnectLinkExpiresAt) {
		t.Errorf("the end did not move: %s, %s", first.ExpiresAt, r.ExpiresAt)
	}
	if *r.ConnectLinkURL == *first.ConnectLinkURL {
		t.Error("without valid_for a new end needs a new token")
	}
	if n := w.count(`SELECT count(*) FROM codes WHERE invite_id = $1 AND retired_at IS NULL`, first.ID); n != 2 {
		t.Errorf("%d codes work, want both", n)
	}
	if r.Recipient.Email == "" || r.Recipient.Phone != "+12025550100" || *r.Note != "as you asked" {
		t.Error("what the request did not name was lost, or what it named was not taken over")
	}
}

func TestCorrectedAddressEndsTheOldLink(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s := w.process()
	first := w.created(s, ask("user-1"))
	w.happens(first.ID, invite.Event{
		Type: invite.EventDeliveryBounced, DeliveryID: first.Delivery.ID, Data: invite.Data{Reason: invite.AddressNotFound},
	})
	a, err := s.Resend(t.Context(), w.key, first.ID, issue.ResendRequest{
		Recipient: &issue.RecipientRequest{Email: "pat.doe@client.example"},
	}, issue.Meta{})
	if err != nil {
		t.Fatal(err)
	}
	if a.Invite.Status != invite.Active || *a.Invite.ConnectLinkURL == *first.ConnectLinkURL {
		t.Errorf("status %s; the link must be minted anew", a.Invite.Status)
	}
	if n := w.count(`SELECT count(*) FROM codes WHERE invite_id = $1 AND retired_at IS NOT NULL AND code IS NULL`, first.ID); n != 1 {
		t.Error("the old code is not retired")
	}
	if n := w.count(`SELECT count(*) FROM connect_links WHERE invite_id = $1 AND url IS NOT NULL`, first.ID); n != 1 {
		t.Errorf("%d connect links are held", n)
	}
	old := issue.AddressTerms(w.box, invite.Place{Project: "default"}, "pat.doe@customer.example")
	if n := w.count(`SELECT count(*) FROM search_terms WHERE hash = ANY($1)`, old); n != 0 {
		t.Error("the invite is still found by the wrong address")
	}
	renewed := issue.AddressTerms(w.box, invite.Place{Project: "default"}, "PAT.DOE@client.example")
	if n := w.count(`SELECT count(*) FROM search_terms WHERE hash = ANY($1)`, renewed); n != 1 {
		t.Error("the invite is not found by the right address")
	}
}

func TestCorrectingWhileTheMessageWaitsCancelsIt(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s := w.process()
	a, err := s.Create(t.Context(), w.key, ask("user-1"), issue.Meta{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Resend(t.Context(), w.key, a.Invite.ID, issue.ResendRequest{}, issue.Meta{}); invite.CodeOf(err) != invite.CodeResendTooSoon {
		t.Errorf("resending what has not left: %v", err)
	}
	_, err = s.Resend(t.Context(), w.key, a.Invite.ID, issue.ResendRequest{
		Recipient: &issue.RecipientRequest{Email: "right@client.example"},
	}, issue.Meta{})
	if err != nil {
		t.Fatal(err)
	}
	if n := w.count(`SELECT count(*) FROM deliveries WHERE status = 'canceled' AND next_at IS NULL`); n != 1 {
		t.Error("the message to the wrong address still waits")
	}
}

func TestResendIsRefusedAtLastingEnds(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s := w.process()
	for _, e := range []invite.Event{{Type: invite.EventRevoked}, {Type: invite.EventConnected, Data: invite.Data{AccountID: "apn_1"}}} {
		inv := w.created(s, ask("user-1"))
		w.happens(inv.ID, e)
		if _, err := s.Resend(t.Context(), w.key, inv.ID, issue.ResendRequest{}, issue.Meta{}); invite.CodeOf(err) != invite.CodeNotResendable {
			t.Errorf("after %s: %v", e.Type, err)
		}
	}
	expired := w.created(s, ask("user-2"))
	w.happens(expired.ID, invite.Event{Type: invite.EventExpired})
	a, err := s.Resend(t.Context(), w.key, expired.ID, issue.ResendRequest{}, issue.Meta{})
	if err != nil || a.Invite.Status != invite.Active || a.Invite.InviteLink == nil || a.Invite.ConnectLinkURL == nil {
		t.Errorf("an expired invite was not renewed: %v", err)
	}
}

func TestResendWithoutAMintWaitsForItsLink(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s := w.process()
	inv := w.created(s, ask("user-1"))
	w.happens(inv.ID, invite.Event{Type: invite.EventExpired})
	w.down.Store(true)
	a, err := s.Resend(t.Context(), w.key, inv.ID, issue.ResendRequest{}, issue.Meta{})
	if err != nil {
		t.Fatal(err)
	}
	if a.Invite.Status != invite.Pending || a.Invite.ExpiresAt != nil {
		t.Errorf("status %s, expires %v; want pending without an end", a.Invite.Status, a.Invite.ExpiresAt)
	}
	if n := w.count(`SELECT count(*) FROM invites WHERE id = $1 AND gives_up_at > now() + interval '3 hours'`, inv.ID); n != 1 {
		t.Error("the wait for a link is bounded by the old end")
	}
}

func TestResendOnceForAnIdempotencyKey(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s := w.process()
	inv := w.created(s, ask("user-1"))
	meta := issue.Meta{IdempotencyKey: "again", Route: "POST /v1/invites/x/resend"}
	for i := range 3 {
		a, err := s.Resend(t.Context(), w.key, inv.ID, issue.ResendRequest{}, meta)
		if err != nil || a.Replayed != (i > 0) {
			t.Errorf("try %d: replayed %t, %v", i, a.Replayed, err)
		}
	}
	if n := w.count(`SELECT count(*) FROM deliveries`); n != 2 {
		t.Errorf("%d deliveries, want the first and one more", n)
	}
}

func TestRevoke(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s := w.process()
	inv := w.created(s, ask("user-1"))
	for range 2 {
		r, err := s.Revoke(t.Context(), w.key, inv.ID, issue.RevokeRequest{Reason: "left the company"}, issue.Meta{})
		if err != nil || r.Status != invite.Revoked || r.ConnectLinkURL != nil || r.InviteLink != nil {
			t.Fatalf("revoked: %s, %v", r.Status, err)
		}
	}
	if n := w.count(`SELECT count(*) FROM events WHERE type = 'revoked'`); n != 1 {
		t.Errorf("%d events for one revocation", n)
	}
	done := w.created(s, ask("user-2"))
	w.happens(done.ID, invite.Event{Type: invite.EventConnected, Data: invite.Data{AccountID: "apn_1"}})
	if _, err := s.Revoke(t.Context(), w.key, done.ID, issue.RevokeRequest{}, issue.Meta{}); invite.CodeOf(err) != invite.CodeNotRevocable {
		t.Errorf("revoking what is connected: %v", err)
	}
	other := w.key
	other.Project = "other"
	_, err := s.Revoke(t.Context(), other, inv.ID, issue.RevokeRequest{}, issue.Meta{})
	var e *invite.Error
	if !errors.As(err, &e) || e.Code != invite.CodeInviteNotFound {
		t.Errorf("another project's invite: %v", err)
	}
}
