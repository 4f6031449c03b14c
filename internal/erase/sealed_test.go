package erase_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/connectlink/connectlink/internal/track/tracktest"
)

// TestF09APersonIsErasedFromInvitesOfAllKinds: sealed, plain and of an earlier
// version: nothing holds the id afterwards, and the three stand under one mark.
func TestF09APersonIsErasedFromInvitesOfAllKinds(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const user = "pat.zebrafink@customer.example"
	made := []tracktest.Made{w.Invite(tracktest.Options{User: user, Sealed: true})}
	if got := w.holding(user); !got["invites.sealed_user_id"] || got["public.invites"] {
		t.Fatalf("the id stands in %v", got)
	}
	made = append(made, w.Invite(tracktest.Options{User: user, Hashed: true}), w.Invite(tracktest.Options{User: user}))
	other := w.Invite(tracktest.Options{User: "sam@customer.example", Sealed: true})
	// Someone whose id is the text of the placeholder is another person.
	odd := w.Invite(tracktest.Options{User: w.Get(made[0].ID).UserText, Hashed: true})

	export, err := w.Export(t.Context(), key(), user)
	if err != nil || export.Invites != 3 {
		t.Fatalf("exports %d invites, %v", export.Invites, err)
	}
	var out strings.Builder
	if err := export.Write(t.Context(), &out); err != nil {
		t.Fatal(err)
	}
	var document struct {
		Invites []struct {
			ExternalUserID string `json:"external_user_id"`
		}
	}
	if err := json.Unmarshal([]byte(out.String()), &document); err != nil || len(document.Invites) != 3 {
		t.Fatalf("%v: %s", err, out.String())
	}
	for _, inv := range document.Invites {
		if inv.ExternalUserID != user {
			t.Errorf("an exported invite is of %q", inv.ExternalUserID)
		}
	}
	if got := w.erase(user); got.Invites != 3 || got.Before != 0 {
		t.Errorf("%+v", got)
	}
	if got := w.holding(user); len(got) > 0 {
		t.Errorf("after the erasure the id stands in %v", got)
	}
	mark := w.Get(made[0].ID).UserText
	for _, m := range made {
		if got := w.Get(m.ID); got.UserText != mark || !strings.HasPrefix(mark, "erased:") || got.SealedUser != nil || got.ErasedAt == nil {
			t.Errorf("an invite stands under %q, sealed %t, erased at %v", got.UserText, got.SealedUser != nil, got.ErasedAt)
		}
	}
	for _, m := range []tracktest.Made{other, odd} {
		if got := w.Get(m.ID); got.ErasedAt != nil {
			t.Error("the invite of another person was erased")
		}
	}
	if got := w.erase(user); got.Invites != 0 || got.Before != 3 {
		t.Errorf("the second time: %+v", got)
	}
}

// TestF09WhatAnEarlierVersionLeftOfASealedUserIsErasedAgain: a process of a
// version without the column erases beside this one during an update.
func TestF09WhatAnEarlierVersionLeftOfASealedUserIsErasedAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const user = "pat.zebrafink@customer.example"
	m := w.Invite(tracktest.Options{User: user, Sealed: true})
	sealed := w.Get(m.ID).SealedUser
	w.erase(user)
	w.Exec(`UPDATE invites SET sealed_user_id = $2 WHERE id = $1`, m.ID, sealed)
	w.again()
	if got := w.holding(user); len(got) > 0 {
		t.Errorf("the id stands in %v", got)
	}
}
