package issue_test

import (
	"errors"
	"testing"
	"time"

	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/issue"
	"github.com/connectlink/connectlink/internal/store/ledger"
)

func TestSendAtWaitsWithTheMint(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s := w.process()
	at := time.Now().Add(48 * time.Hour).UTC().Truncate(time.Microsecond)
	week := 7 * 24 * 3600
	for name, c := range map[string]struct {
		validFor *int
		ends     *time.Time
	}{
		"with valid_for":    {&week, new(at.Add(7 * 24 * time.Hour))},
		"without valid_for": {nil, nil},
	} {
		t.Run(name, func(t *testing.T) {
			r := ask("user-" + name)
			r.SendAt, r.ValidFor = &at, c.validFor
			meta := issue.Meta{IdempotencyKey: name, Route: "POST /v1/invites"}
			a, err := s.Create(t.Context(), w.key, r, meta)
			if err != nil {
				t.Fatal(err)
			}
			inv := a.Invite
			if a.Outcome != ledger.Created || inv.Status != invite.Scheduled || inv.SendAt == nil || !inv.SendAt.Equal(at) {
				t.Fatalf("%s %s, to be sent %v", a.Outcome, inv.Status, inv.SendAt)
			}
			if inv.ConnectLinkURL != nil || inv.ConnectLinkExpiresAt != nil || inv.InviteLink != nil {
				t.Error("there is a link to open before it is sent")
			}
			if (inv.ExpiresAt == nil) != (c.ends == nil) || c.ends != nil && !inv.ExpiresAt.Equal(*c.ends) {
				t.Errorf("ends %v, want %v", inv.ExpiresAt, c.ends)
			}
			if n := w.count(`SELECT count(*) FROM deliveries WHERE invite_id = $1 AND next_at = $2 AND status = 'queued'`, inv.ID, at); n != 1 {
				t.Error("its message is not planned for then")
			}
			stored, err := s.Create(t.Context(), w.key, r, meta)
			if err != nil || !stored.Replayed || stored.Invite.Status != invite.Scheduled || !stored.Invite.SendAt.Equal(at) ||
				(stored.Invite.ExpiresAt == nil) != (c.ends == nil) {
				t.Errorf("a repeat is answered %+v, %v", stored.Invite, err)
			}
			if n := w.count(`SELECT count(*) FROM invites WHERE id = $1 AND gives_up_at > $2`, inv.ID, at.Add(3*time.Hour)); n != 1 {
				t.Error("it would end before it is sent")
			}
		})
	}
	if n := w.mints.Load(); n != 0 {
		t.Errorf("%d tokens were minted two days early", n)
	}
	select {
	case lane := <-w.woken:
		t.Errorf("woke %s for nothing", lane)
	default:
	}
}

func TestRevokedBeforeItWasSent(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s := w.process()
	at := time.Now().Add(time.Hour)
	r := ask("user-1")
	r.SendAt = &at
	id := w.create(s, r)
	inv, err := s.Revoke(t.Context(), w.key, id, issue.RevokeRequest{}, issue.Meta{})
	if err != nil || inv.Status != invite.Revoked || inv.Delivery.Status != invite.Canceled {
		t.Fatalf("%+v, %v", inv, err)
	}
	if n := w.count(`SELECT count(*) FROM deliveries WHERE next_at IS NOT NULL`); n != 0 {
		t.Error("its message is still to be sent")
	}
}

func TestTimesThatCannotBePlanned(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s := w.process()
	now := time.Now()
	for name, c := range map[string]struct {
		at      time.Time
		channel string
	}{
		"the past": {now.Add(-time.Minute), "email"}, "beyond thirty days": {now.Add(30*24*time.Hour + time.Minute), "email"},
		"nothing is sent": {now.Add(time.Hour), "link"},
	} {
		r := ask("user-1")
		r.SendAt, r.Channel = &c.at, c.channel
		_, err := s.Create(t.Context(), w.key, r, issue.Meta{})
		var e *invite.Error
		if !errors.As(err, &e) || len(e.Faults) != 1 || e.Faults[0].Pointer != "/send_at" {
			t.Errorf("%s: %v", name, err)
		}
	}
}
