package unmask_test

import (
	"testing"

	"github.com/connectlink/connectlink/internal/access"
	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/secret"
	"github.com/connectlink/connectlink/internal/store/suppression"
	"github.com/connectlink/connectlink/internal/track/tracktest"
	"github.com/connectlink/connectlink/internal/unmask"
)

// An unmasked value can be seen again for a minute, by the session that
// unmasked it and by no other, without another entry in the audit log.
func TestASessionMayLookAgainForAMinute(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	made, other := d.Invite(tracktest.Options{}), d.Invite(tracktest.Options{})
	block, _, err := suppression.Insert(t.Context(), d.Pool, d.Box, suppression.Scope{Place: invite.Place{Project: "default"}}, suppression.New{
		Channel: invite.Email, Kind: invite.ByHand, Address: secret.New("pat@customer.example"), Source: suppression.FromAPI,
	})
	if err != nil {
		t.Fatal(err)
	}
	at := func(role access.Role, place invite.Place) access.Principal {
		p := staff(role, place)
		p.Origin.SessionID = invite.New[invite.SessionID]().String()
		return p
	}
	agent := at(access.RoleAgent, invite.Place{Project: "default"})
	may := func(by access.Principal, id invite.ID) bool {
		t.Helper()
		r, left, ok, err := d.unmask.RecipientAgain(t.Context(), by, id)
		if err != nil {
			t.Fatal(err)
		}
		if ok != (r.Email != "") || ok && (left <= 0 || left > unmask.ShownFor) {
			t.Errorf("ok %t, %v left, %q", ok, left, r.Email)
		}
		_, _, blocked, err := d.unmask.BlockedAgain(t.Context(), by, block)
		if err != nil {
			t.Fatal(err)
		}
		if id == made.ID && blocked != ok {
			t.Errorf("the block is shown: %t, the invite: %t", blocked, ok)
		}
		return ok
	}
	if may(agent, made.ID) {
		t.Error("shown before it was asked for")
	}
	if _, err := d.unmask.Recipient(t.Context(), agent, made.ID); err != nil {
		t.Fatal(err)
	}
	if _, err := d.unmask.Blocked(t.Context(), agent, block); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if !may(agent, made.ID) {
			t.Error("not shown again")
		}
	}
	if n := len(d.log(t)); n != 2 {
		t.Errorf("%d entries in the log", n)
	}
	elsewhere := agent // the same person, at another browser
	elsewhere.Origin.SessionID = invite.New[invite.SessionID]().String()
	demoted := agent
	demoted.Role = access.RoleViewer
	live := agent
	live.Live = true
	for name, by := range map[string]access.Principal{
		"another browser": elsewhere, "somebody else": at(access.RoleAdmin, invite.Place{Project: "default"}), "a role that was taken away": demoted, "the other mode": live,
	} {
		if may(by, made.ID) {
			t.Errorf("shown to %s", name)
		}
	}
	if may(agent, other.ID) {
		t.Error("another invite is shown")
	}
	// The log cannot be changed, not even here; the minute is let go by instead.
	d.Exec(`ALTER TABLE audit DISABLE TRIGGER USER`)
	d.Exec(`UPDATE audit SET at = at - interval '61 seconds'`)
	if may(agent, made.ID) {
		t.Error("shown after a minute")
	}
}
