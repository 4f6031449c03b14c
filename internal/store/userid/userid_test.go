package userid_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/seal"
	"github.com/connectlink/connectlink/internal/store/userid"
)

func newBox(t *testing.T) *seal.Box {
	t.Helper()
	keys, err := seal.NewKeyset()
	if err != nil {
		t.Fatal(err)
	}
	box, err := seal.NewBox(keys)
	if err != nil {
		t.Fatal(err)
	}
	return box
}

// TestF09ASealedUserOpensInItsRowOnly: not in another row, not with other keys,
// and not once it is cut off.
func TestF09ASealedUserOpensInItsRowOnly(t *testing.T) {
	t.Parallel()
	box, id := newBox(t), invite.New[invite.ID]()
	for _, user := range []string{"pat@customer.example", "+1 415 555 0188", " 用户 42", "sealed:aaaa", "erased:00"} {
		c, err := userid.Seal(box, id, user, userid.Hash(box, invite.Place{Project: "default"}, user))
		if err != nil {
			t.Fatal(err)
		}
		if got, err := c.OpenUser(box, id); err != nil || got != user {
			t.Errorf("opened %q, %v; want %q", got, err, user)
		}
		if strings.Contains(c.UserText, user) || bytes.Contains(c.SealedUser, []byte(user)) {
			t.Errorf("%q stands in its row: %+v", user, c)
		}
		cut := c
		cut.SealedUser = c.SealedUser[:9]
		empty := c
		empty.SealedUser = []byte{}
		for what, open := range map[string]func() (string, error){
			"in another row":  func() (string, error) { return c.OpenUser(box, invite.New[invite.ID]()) },
			"with other keys": func() (string, error) { return c.OpenUser(newBox(t), id) },
			"cut off":         func() (string, error) { return cut.OpenUser(box, id) },
			"empty":           func() (string, error) { return empty.OpenUser(box, id) },
		} {
			if got, err := open(); err == nil || got != "" {
				t.Errorf("%q %s: opened %q, %v", user, what, got, err)
			}
		}
	}
}

// TestF09APlainUserIsReadAsItIs: also one whose id looks like a placeholder.
func TestF09APlainUserIsReadAsItIs(t *testing.T) {
	t.Parallel()
	box := newBox(t)
	for _, user := range []string{"user-1", userid.Placeholder(userid.Hash(box, invite.Place{Project: "default"}, "pat@customer.example")), "erased:00"} {
		if got, err := (userid.Columns{UserText: user}).OpenUser(box, invite.New[invite.ID]()); err != nil || got != user {
			t.Errorf("opened %q, %v; want %q", got, err, user)
		}
	}
}

// TestF09APlaceholderGroupsThePeopleOfOneProject, and of one mode.
func TestF09APlaceholderGroupsThePeopleOfOneProject(t *testing.T) {
	t.Parallel()
	box := newBox(t)
	of := func(place invite.Place, user string) string {
		return userid.Placeholder(userid.Hash(box, place, user))
	}
	one := of(invite.Place{Project: "default"}, "pat@customer.example")
	if one != of(invite.Place{Project: "default"}, "pat@customer.example") || !strings.HasPrefix(one, "sealed:") {
		t.Errorf("the same user has %q and another", one)
	}
	for _, other := range []string{of(invite.Place{Project: "default"}, "sam@customer.example"), of(invite.Place{Project: "default", Live: true}, "pat@customer.example"), of(invite.Place{Project: "beta"}, "pat@customer.example"), of(invite.Place{Project: "default"}, one)} {
		if other == one {
			t.Errorf("another user has the same placeholder %q", one)
		}
	}
}
