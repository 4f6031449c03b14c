package issue_test

import (
	"errors"
	"testing"

	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/issue"
	"github.com/connectlink/connectlink/internal/seal"
	"github.com/connectlink/connectlink/internal/store/ledger"
	"github.com/connectlink/connectlink/internal/store/userid"
)

// createAs makes an invite for a user, sealed or not.
func (w *world) createAs(s *issue.Service, req issue.CreateRequest, sealed bool) issue.Answer {
	w.t.Helper()
	w.project.SealExternalUserID = sealed
	a, err := s.Create(w.t.Context(), w.key, req, issue.Meta{})
	if err != nil {
		w.t.Fatal(err)
	}
	return a
}

// TestF09IfActiveSeesInvitesOfBothKinds: whichever way the setting was changed
// since, an open invite of the user and app is found.
func TestF09IfActiveSeesInvitesOfBothKinds(t *testing.T) {
	t.Parallel()
	for name, sealed := range map[string]bool{"sealed first": true, "plain first": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			s := w.process()
			const user = "pat@customer.example"
			first := w.createAs(s, ask(user), sealed)
			if id := first.Invite.ExternalUserID; id == nil || *id != user {
				t.Errorf("the answer names %v", id)
			}
			if n := w.count(`SELECT count(*) FROM invites WHERE (external_user_id = $1) = $2 AND (sealed_user_id IS NULL) = $2`, user, !sealed); n != 1 {
				t.Error("the invite is not stored as its project has it")
			}
			req := ask(user)
			req.IfActive = "return"
			if again := w.createAs(s, req, !sealed); again.Invite.ID != first.Invite.ID || *again.Invite.ExternalUserID != user {
				t.Errorf("return: %+v", again.Invite)
			}
			req.IfActive = "error"
			_, err := s.Create(t.Context(), w.key, req, issue.Meta{})
			var e *invite.Error
			if !errors.As(err, &e) || e.Code != invite.CodeActiveInviteExists || e.ExistingID != first.Invite.ID {
				t.Errorf("error: %v", err)
			}
			req.IfActive = "replace"
			second := w.createAs(s, req, !sealed)
			if n := w.count(`SELECT count(*) FROM invites WHERE id = $1 AND replaced_by = $2`, first.Invite.ID, second.Invite.ID); n != 1 {
				t.Error("the open invite was not replaced")
			}
			if n := w.count(`SELECT count(DISTINCT user_hash) FROM invites`); n != 1 {
				t.Errorf("%d hashes of one user", n)
			}
		})
	}
}

// TestF09AUserMayHaveTheTextOfAPlaceholder: such an id is stored and shown like
// any other, sealed or not, and is not the person's whose placeholder it is.
func TestF09AUserMayHaveTheTextOfAPlaceholder(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s := w.process()
	const user = "pat@customer.example"
	first := w.createAs(s, ask(user), true)
	placeholder := userid.Placeholder(userid.Hash(w.box, invite.Place{Project: "default"}, user))
	if n := w.count(`SELECT count(*) FROM invites WHERE external_user_id = $1`, placeholder); n != 1 {
		t.Fatal("the invite is not stored under its placeholder")
	}
	for _, sealed := range []bool{false, true} {
		req := ask(placeholder)
		req.IfActive = "replace"
		if a := w.createAs(s, req, sealed); *a.Invite.ExternalUserID != placeholder || a.Outcome != ledger.Created {
			t.Errorf("sealed %t: %s, of %q", sealed, a.Outcome, *a.Invite.ExternalUserID)
		}
	}
	if n := w.count(`SELECT count(*) FROM invites WHERE id = $1 AND replaced_by IS NULL`, first.Invite.ID); n != 1 {
		t.Error("the other person's invite was replaced")
	}
}

// TestF09HashUsersRenewsSealedUsersToo: after a key rotation, with the placeholder;
// one that no key opens stops nothing and is passed over.
func TestF09HashUsersRenewsSealedUsersToo(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	keys, err := seal.NewKeyset()
	if err != nil {
		t.Fatal(err)
	}
	use := func() *issue.Service {
		t.Helper()
		if w.box, err = seal.NewBox(keys); err != nil {
			t.Fatal(err)
		}
		return w.process()
	}
	const user = "pat@customer.example"
	first := use()
	w.createAs(first, ask(user), true)
	w.createAs(first, ask(user), false)
	broken := w.createAs(first, ask(user), true)
	if _, err := w.db.Exec(t.Context(), `UPDATE invites SET sealed_user_id = substr(sealed_user_id, 1, 20) WHERE id = $1`, broken.Invite.ID); err != nil {
		t.Fatal(err)
	}
	old := userid.Hash(w.box, invite.Place{Project: "default"}, user)
	if keys, err = keys.Introduce(); err != nil {
		t.Fatal(err)
	}
	if keys, err = keys.Promote(); err != nil {
		t.Fatal(err)
	}
	s := use()
	if n, err := s.HashUsers(t.Context()); n != 2 || err != nil {
		t.Errorf("hashed %d, %v; want 2", n, err)
	}
	hash := userid.Hash(w.box, invite.Place{Project: "default"}, user)
	if n := w.count(`SELECT count(*) FROM invites WHERE user_hash = $1 AND external_user_id = $2 AND sealed_user_id IS NOT NULL`, hash, userid.Placeholder(hash)); n != 1 {
		t.Error("the sealed invite has neither hash nor placeholder of the new key")
	}
	if n := w.count(`SELECT count(*) FROM invites WHERE user_hash = $1 AND external_user_id = $2 AND sealed_user_id IS NULL`, hash, user); n != 1 {
		t.Error("the plain invite has no hash of the new key, or another id")
	}
	if n := w.count(`SELECT count(*) FROM invites WHERE user_hash = $1 AND external_user_id = $2`, old, userid.Placeholder(old)); n != 1 {
		t.Error("the invite that cannot be opened was changed")
	}
	if n, err := s.HashUsers(t.Context()); n != 0 || err != nil {
		t.Errorf("a second run hashed %d, %v", n, err)
	}
}

// TestF06AResendOfAnInviteWhoseUserCannotBeOpenedSaysSo (reliability F6).
func TestF06AResendOfAnInviteWhoseUserCannotBeOpenedSaysSo(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s := w.process()
	a := w.createAs(s, ask("pat@customer.example"), true)
	if _, err := w.db.Exec(t.Context(), `UPDATE invites SET sealed_user_id = substr(sealed_user_id, 1, 20)`); err != nil {
		t.Fatal(err)
	}
	mints := w.mints.Load()
	_, err := s.Resend(t.Context(), w.key, a.Invite.ID, issue.ResendRequest{}, issue.Meta{})
	if invite.CodeOf(err) != invite.CodeNotResendable || w.mints.Load() != mints {
		t.Errorf("%v, after %d mints", err, w.mints.Load()-mints)
	}
}
