package console_test

import (
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/connectlink/connectlink/internal/access"
	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/postgres"
	"github.com/connectlink/connectlink/internal/store/ledger"
)

func TestHomeAndSystemNameLimitsOfTheirProjectInLiveMode(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	count := func(n int, uses ...ledger.Use) {
		t.Helper()
		for range n {
			err := postgres.InTx(t.Context(), s.db, func(tx pgx.Tx) error {
				return ledger.CountUses(t.Context(), tx, invite.New[invite.ID](), uses)
			})
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	count(5, ledger.Use{Scope: ledger.UseKey, Subject: []byte("default/k1"), PerDay: 5})
	count(4, ledger.Use{Scope: ledger.UseCountry, Subject: []byte("default/DE"), PerDay: 5})
	count(5, ledger.Use{Scope: ledger.UseCountry, Subject: []byte("other/FR"), PerDay: 5})
	robin := s.signedIn("Robin", map[string]access.Role{"default": access.RoleAdmin})
	for _, page := range []string{"home", "system"} {
		live := robin.get("/console/default/live/" + page).body
		for text, want := range map[string]bool{
			"key_per_day (k1): all 5 used.": true, "key_per_day (k1): 4 of 5": false, "sms_country_per_day (DE): 4 of 5 used.": true, "FR": false,
		} {
			if strings.Contains(live, text) != want {
				t.Errorf("%s shows %q: %v, want %v", page, text, !want, want)
			}
		}
		if test := robin.get("/console/default/test/" + page).body; strings.Contains(test, "key_per_day") {
			t.Errorf("%s of test mode shows limits", page)
		}
	}
}
