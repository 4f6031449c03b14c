package access_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/connectlink/connectlink/internal/access"
	"github.com/connectlink/connectlink/internal/invite"
)

func TestEveryRoleMayWhatTheTableSays(t *testing.T) {
	t.Parallel()
	want := map[access.Role]int{access.RoleViewer: 1, access.RoleAgent: 14, access.RoleLead: 24, access.RoleAdmin: 30}
	for role, n := range want {
		var may []access.Act
		for _, a := range access.Acts() {
			if role.May(a) {
				may = append(may, a)
			}
			if role.May(a) != role.AtLeast(access.Least(a)) {
				t.Errorf("%s and %s: whom to ask and who may differ", role, a)
			}
		}
		if diff := cmp.Diff(access.Acts()[:n], may); diff != "" {
			t.Errorf("%s: %s", role, diff)
		}
	}
	if access.RoleAdmin.May("everything") || access.Role("root").May(access.ActRead) || access.Role("").May(access.ActRead) {
		t.Error("an unknown act or role counts")
	}
}

func TestOnlyStaffActByRole(t *testing.T) {
	t.Parallel()
	if p := access.Staff("stf_1", access.RoleAgent, invite.Place{Project: "default", Live: true}); !p.May(access.ActResend) || p.May(access.ActErase) || p.Actor() != "staff:stf_1" {
		t.Errorf("staff: %+v", p)
	}
	key := access.Principal{Kind: access.KindKey, ID: "key_1", Role: access.RoleAdmin, Scopes: access.Scopes()}
	if key.May(access.ActRead) {
		t.Error("a key passes for staff")
	}
}
