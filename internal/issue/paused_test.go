package issue_test

import (
	"errors"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/connectlink/connectlink/internal/access"
	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/issue"
	"github.com/connectlink/connectlink/internal/postgres"
	"github.com/connectlink/connectlink/internal/store/traffic"
)

// TestAnInviteOfAPausedKeyIsNotResent by staff or by another key: dispatch counts its
// messages to the key that made it, so they would wait for the end of the pause.
func TestAnInviteOfAPausedKeyIsNotResent(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s := w.process()
	reported, other := w.newKey(), w.newKey()
	ofReported, err := s.Create(t.Context(), reported, ask("user-1"), issue.Meta{})
	if err != nil {
		t.Fatal(err)
	}
	ofOther, err := s.Create(t.Context(), other, ask("user-2"), issue.Meta{})
	if err != nil {
		t.Fatal(err)
	}
	err = postgres.InTx(t.Context(), w.db, func(tx pgx.Tx) error {
		_, err := traffic.InsertPause(t.Context(), tx, traffic.NewPause{
			Subject: traffic.Subject{Place: reported.Place, Scope: traffic.Key, Name: reported.ID}, Source: traffic.ByReports, Why: traffic.WhyReported, By: "system",
		})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	s = w.process() // with the pauses as they are now
	corrected := issue.ResendRequest{Recipient: &issue.RecipientRequest{Email: "kim@client.example"}}
	for _, c := range []struct {
		name   string
		by     access.Principal
		id     invite.ID
		paused bool
	}{
		{"staff, its invite", agent(), ofReported.Invite.ID, true},
		{"another key, its invite", other, ofReported.Invite.ID, true},
		{"the key, an invite of another", reported, ofOther.Invite.ID, true},
		{"staff, an invite of another key", agent(), ofOther.Invite.ID, false}, // last: its message is queued then
	} {
		var refused *invite.Error
		_, err := s.Resend(t.Context(), c.by, c.id, corrected, issue.Meta{})
		if c.paused != (errors.As(err, &refused) && refused.Code == invite.CodeKeyPaused) || !c.paused && err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
	}
	if n := w.count(`SELECT count(*) FROM deliveries WHERE invite_id = $1`, ofReported.Invite.ID); n != 1 {
		t.Errorf("the invite of the paused key has %d messages", n)
	}
}
