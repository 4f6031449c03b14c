package ledger_test

import (
	"slices"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/store/ledger"
	"github.com/connectlink/connectlink/internal/track/tracktest"
)

// places are the tracktest kit's own, and those whose statements must not reach it.
func places() map[string]invite.Place {
	return map[string]invite.Place{
		"its own": {Project: "default"}, "the other mode": {Project: "default", Live: true},
		"another project": {Project: "other"}, "neither is its": {Project: "other", Live: true},
	}
}

// A callback that is rightly signed by one project's account reaches no attempt of
// another project or mode.
func TestACallbackFindsAttemptsOfItsOwnProjectModeAndProvider(t *testing.T) {
	t.Parallel()
	k := tracktest.New(t)
	m := k.Invite(tracktest.Options{})
	attempt := k.Attempt(m, "sendgrid", "accepted")
	k.Exec(`UPDATE attempts SET provider_message_id = 'msg-1' WHERE id = $1`, attempt)
	for name, place := range places() {
		for _, provider := range []string{"sendgrid", "twilio"} {
			want := 0
			if name == "its own" && provider == "sendgrid" {
				want = 1
			}
			byID, err := ledger.FindAttempts(t.Context(), k.Pool, place, provider, []invite.ID{m.ID}, []invite.AttemptID{attempt}, nil)
			if err != nil || len(byID) != want {
				t.Errorf("%s, %s, by its ids: %d, %v; want %d", name, provider, len(byID), err, want)
			}
			byMessage, err := ledger.FindAttempts(t.Context(), k.Pool, place, provider, nil, nil, []string{"msg-1"})
			if err != nil || len(byMessage) != want {
				t.Errorf("%s, %s, by the provider's message id: %d, %v; want %d", name, provider, len(byMessage), err, want)
			}
		}
	}
	other := k.Invite(tracktest.Options{})
	if list, err := ledger.FindAttempts(t.Context(), k.Pool, places()["its own"], "sendgrid", []invite.ID{other.ID}, []invite.AttemptID{attempt}, nil); err != nil || len(list) != 0 {
		t.Errorf("another invite's attempt: %v, %v", list, err)
	}
}

func TestErasedInvitesAreListedOfTheirOwnProjectAndMode(t *testing.T) {
	t.Parallel()
	k := tracktest.New(t)
	m := k.Invite(tracktest.Options{})
	k.InTx(func(tx pgx.Tx) error { return ledger.SetErased(t.Context(), tx, []invite.ID{m.ID}, "erased-1", nil) })
	for name, place := range places() {
		ids, err := ledger.ListErased(t.Context(), k.Pool, place, []string{"erased-1"}, 10)
		if err != nil || slices.Contains(ids, m.ID) != (name == "its own") {
			t.Errorf("%s: %v, %v", name, ids, err)
		}
	}
}

// An account can belong to the invites of one user, app, project, mode and
// environment of Pipedream; one that differs in any of them is no rival.
func TestRivalsAreOfOneUserAppProjectModeAndEnvironment(t *testing.T) {
	t.Parallel()
	for name, hashed := range map[string]bool{"with the user's hash": true, "as an earlier version stored it": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			k := tracktest.New(t)
			made := func(o tracktest.Options) tracktest.Made {
				o.Hashed = hashed
				m := k.Invite(o)
				k.HandOut(m)
				return m
			}
			one, rival := made(tracktest.Options{}), made(tracktest.Options{})
			made(tracktest.Options{User: "user-2"})
			made(tracktest.Options{App: "hubspot"})
			for _, change := range []string{`environment = 'development'`, `livemode = true`, `project_id = 'other'`} {
				k.Exec(`UPDATE invites SET `+change+` WHERE id = $1`, made(tracktest.Options{}).ID)
			}
			c, err := ledger.GetCandidate(t.Context(), k.Pool, one.ID)
			if err != nil {
				t.Fatal(err)
			}
			var got []invite.ID
			k.InTx(func(tx pgx.Tx) error {
				list, err := ledger.LockRivals(t.Context(), tx, k.Box, c, "apn_1")
				for _, r := range list {
					got = append(got, r.ID)
				}
				return err
			})
			if !slices.Equal(got, []invite.ID{one.ID, rival.ID}) {
				t.Errorf("locked %v, want %v and %v", got, one.ID, rival.ID)
			}
		})
	}
}
