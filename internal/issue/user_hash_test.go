package issue_test

import (
	"testing"

	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/issue"
	"github.com/connectlink/connectlink/internal/seal"
	"github.com/connectlink/connectlink/internal/store/userid"
)

// TestF09HashUsersFillsWhatEarlierVersionsStored: invites without a hash get
// one, more than one batch of them; an erased one that of its mark.
func TestF09HashUsersFillsWhatEarlierVersionsStored(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s := w.process()
	const user = "pat@customer.example"
	a, err := s.Create(t.Context(), w.key, ask(user), issue.Meta{})
	if err != nil {
		t.Fatal(err)
	}
	hash := userid.Hash(w.box, invite.Place{Project: "default"}, user)
	if n := w.count(`SELECT count(*) FROM invites WHERE id = $1 AND user_hash = $2`, a.Invite.ID, hash); n != 1 {
		t.Error("a new invite has no hash of its user")
	}
	exec := func(sql string) {
		t.Helper()
		if _, err := w.db.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
	exec(`INSERT INTO invites SELECT (jsonb_populate_record(i, jsonb_build_object('id', gen_random_uuid(), 'user_hash', NULL))).*
		FROM invites i, generate_series(1, 700)`)
	exec(`UPDATE invites SET erased_at = now(), external_user_id = 'erased:00', user_hash = NULL
		WHERE id IN (SELECT id FROM invites WHERE user_hash IS NULL LIMIT 1)`)
	if n, err := s.HashUsers(t.Context()); n != 700 || err != nil {
		t.Errorf("hashed %d, %v", n, err)
	}
	if n := w.count(`SELECT count(*) FROM invites WHERE user_hash = $1`, hash); n != 700 {
		t.Errorf("%d invites have the user's hash, want 700", n)
	}
	if n := w.count(`SELECT count(*) FROM invites WHERE user_hash = $1 AND erased_at IS NOT NULL`, userid.Hash(w.box, invite.Place{Project: "default"}, "erased:00")); n != 1 {
		t.Error("the erased invite has no hash of its mark")
	}
	if n, err := s.HashUsers(t.Context()); n != 0 || err != nil {
		t.Errorf("a second run hashed %d, %v", n, err)
	}
}

// TestF09HashUsersRenewsHashesAfterAKeyRotation: a user is found while both keys
// live, and under the new key alone once the job ran.
func TestF09HashUsersRenewsHashesAfterAKeyRotation(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	keys, err := seal.NewKeyset()
	if err != nil {
		t.Fatal(err)
	}
	use := func(change func() (*seal.Keyset, error)) *issue.Service {
		t.Helper()
		if keys, err = change(); err != nil {
			t.Fatal(err)
		}
		if w.box, err = seal.NewBox(keys); err != nil {
			t.Fatal(err)
		}
		return w.process()
	}
	again := ask("pat@customer.example")
	again.IfActive = "return"
	found := func(step string, s *issue.Service, id string) {
		t.Helper()
		a, err := s.Create(t.Context(), w.key, again, issue.Meta{})
		if err != nil || a.Invite.ID.String() != id {
			t.Errorf("%s: %v, %v; want %s", step, a.Invite.ID, err, id)
		}
	}
	first := use(func() (*seal.Keyset, error) { return keys, nil })
	a, err := first.Create(t.Context(), w.key, ask("pat@customer.example"), issue.Meta{})
	if err != nil {
		t.Fatal(err)
	}
	id := a.Invite.ID.String()
	found("introduced", use(func() (*seal.Keyset, error) { return keys.Introduce() }), id)
	promoted := use(func() (*seal.Keyset, error) { return keys.Promote() })
	found("promoted", promoted, id)
	if n, err := promoted.HashUsers(t.Context()); n != 1 || err != nil {
		t.Fatalf("hashed %d, %v", n, err)
	}
	found("hashed", promoted, id)
	if n := w.count(`SELECT count(*) FROM invites WHERE user_hash = $1`, userid.Hash(w.box, invite.Place{Project: "default"}, "pat@customer.example")); n != 1 {
		t.Error("the hash is not of the new key")
	}
	if n, err := promoted.HashUsers(t.Context()); n != 0 || err != nil {
		t.Errorf("a second run hashed %d, %v", n, err)
	}
}
