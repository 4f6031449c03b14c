package grant_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"github.com/connectlink/connectlink/internal/grant"
	"github.com/connectlink/connectlink/internal/secret"
)

// refusal is an audit entry about a sign-in that belongs to no account.
type refusal struct {
	Why, Count string
	Named      bool // it has the hash of the login
}

func (o office) refusals() []refusal {
	o.t.Helper()
	rows, err := o.db.Query(o.t.Context(), `SELECT why, coalesce(data ->> 'count', ''), target LIKE 'login:%' FROM audit
		WHERE act = $1 AND target NOT LIKE 'stf_%' ORDER BY id`, string(grant.ActSignInFailed))
	if err != nil {
		o.t.Fatal(err)
	}
	list, err := pgx.CollectRows(rows, pgx.RowToStructByPos[refusal])
	if err != nil {
		o.t.Fatal(err)
	}
	return list
}

func TestRefusedSignInsWithoutAnAccountAreAudited(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	unknown := secret.New("Nobody@northwind.example")
	refuse := func(login secret.Text, client string) {
		t.Helper()
		if _, err := o.CheckPassword(t.Context(), login, wrong, grant.Browser{Client: client}); !errors.Is(err, grant.ErrRefused) {
			t.Fatalf("refused with %v", err)
		}
		o.exec(`UPDATE sign_in_failures SET failures = 1, locked_until = NULL`)
	}
	for range 12 {
		refuse(unknown, "192.0.2.7")
	}
	refuse(secret.New(" nobody@northwind.EXAMPLE"), "192.0.2.7") // the same login
	if diff := cmp.Diff([]refusal{{"unknown_login", "1", true}, {"unknown_login", "10", true}}, o.refusals()); diff != "" {
		t.Error(diff)
	}
	o.exec(`UPDATE refused_sign_ins SET began_at = now() - interval '61 minutes'`)
	refuse(unknown, "192.0.2.7")
	stranger := grant.Identity{Issuer: "https://login.example", Subject: "7"}
	if _, err := o.SignInWithOIDC(t.Context(), stranger, grant.Browser{Client: "192.0.2.7"}); !errors.Is(err, grant.ErrNoRole) {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]refusal{{"unknown_login", "1", true}, {"no_role", "1", true}}, o.refusals()[2:]); diff != "" {
		t.Error(diff)
	}
	var leaks int
	if err := o.db.QueryRow(t.Context(), `SELECT count(*) FROM audit WHERE audit::text ILIKE '%northwind%' OR audit::text LIKE '%login.example%'`).Scan(&leaks); err != nil || leaks != 0 {
		t.Errorf("%d entries hold a login: %v", leaks, err)
	}
	// A known account's failures stand under its id, as before.
	if _, err := o.CheckPassword(t.Context(), login, wrong, grant.Browser{}); !errors.Is(err, grant.ErrRefused) {
		t.Fatal(err)
	}
	if got := o.audited(grant.ActSignInFailed); len(got) != 1 || len(o.refusals()) != 4 {
		t.Errorf("of the account %v, of none %v", got, o.refusals())
	}
}

// An outsider with many logins and many networks adds a bounded number of entries to the
// log, which is append-only.
func TestOutsidersCannotFloodTheAuditLog(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	stranger := func(subject, client string) {
		t.Helper()
		if _, err := o.SignInWithOIDC(t.Context(), grant.Identity{Issuer: "https://login.example", Subject: subject}, grant.Browser{Client: client}); !errors.Is(err, grant.ErrNoRole) {
			t.Fatal(err)
		}
	}
	for i := range 101 { // one network: 20 logins, and the hundredth
		stranger(fmt.Sprint(i), "192.0.2.7")
	}
	if list := o.refusals(); len(list) != 21 || list[20] != (refusal{"many_logins", "100", false}) {
		t.Errorf("of one network %d: %v", len(list), list)
	}
	for i := range 400 { // a network each: 200 in all, 20 of them above
		stranger("x", fmt.Sprint("network ", i))
	}
	if n := len(o.refusals()); n != 201 {
		t.Errorf("%d entries of many networks", n)
	}
}

// A sign-in that began to set up a second factor before an operator reset it sets up none.
func TestAResetVoidsSetUpsThatBeganBefore(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	early, err := o.CheckPassword(t.Context(), login, password, grant.Browser{})
	if err != nil || early.Setup == nil {
		t.Fatal(err)
	}
	if setup, err := o.SetupOf(t.Context(), early.Token); err != nil || setup == nil || *setup != *early.Setup {
		t.Errorf("the set-up of a ticket: %v", err)
	}
	o.signIn(password)
	if _, err := o.SetupOf(t.Context(), early.Token); !errors.Is(err, grant.ErrTicket) {
		t.Errorf("a set-up after another: %v", err)
	}
	if _, _, err := o.ResetFactor(t.Context(), operating, login); err != nil {
		t.Fatal(err)
	}
	*o.app = early.Setup.Secret.Reveal()
	if _, err := o.Finish(t.Context(), early.Token, o.code(0), grant.Browser{}); !errors.Is(err, grant.ErrTicket) {
		t.Errorf("a ticket from before the reset: %v", err)
	}
	if _, err := o.SetupOf(t.Context(), early.Token); !errors.Is(err, grant.ErrTicket) {
		t.Errorf("its set-up: %v", err)
	}
	// Without a factor to reset, too.
	again, err := o.CheckPassword(t.Context(), login, password, grant.Browser{})
	if err != nil {
		t.Fatal(err)
	}
	if found, had, err := o.ResetFactor(t.Context(), operating, login); !found || had || err != nil {
		t.Fatalf("%t %t %v", found, had, err)
	}
	*o.app = again.Setup.Secret.Reveal()
	if _, err := o.Finish(t.Context(), again.Token, o.code(0), grant.Browser{}); !errors.Is(err, grant.ErrTicket) {
		t.Errorf("a set-up that a reset overtook: %v", err)
	}
	o.signIn(password)
	if _, err := o.SetupOf(t.Context(), secret.New("no ticket")); !errors.Is(err, grant.ErrTicket) {
		t.Errorf("no ticket: %v", err)
	}
	list, err := o.List(t.Context())
	if err != nil || len(list) != 1 || list[0].FactorSetAt == nil || list[0].FactorResetAt == nil || !list[0].FactorSetAt.After(*list[0].FactorResetAt) {
		t.Errorf("the account stands as %+v, %v", list, err)
	}
}

// A form that waits for a confirmation goes after an hour, also one that a process of an
// earlier version keeps.
func TestHeldFormsGoAfterAnHour(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	id := o.session(o.signIn(password)).Session.ID
	held := func() bool {
		t.Helper()
		if err := o.DropOld(t.Context()); err != nil {
			t.Fatal(err)
		}
		_, ok, err := o.HeldForm(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		return ok
	}
	if err := o.HoldForm(t.Context(), id, []byte("sealed")); err != nil {
		t.Fatal(err)
	}
	o.exec(`UPDATE staff_sessions SET held_at = held_at - interval '59 minutes'`)
	if !held() {
		t.Error("gone after 59 minutes")
	}
	o.exec(`UPDATE staff_sessions SET held_at = held_at - interval '2 minutes'`)
	if held() {
		t.Error("kept after 61 minutes")
	}
	o.exec(`UPDATE staff_sessions SET held_form = 'sealed'`) // as an earlier version does
	if !held() {
		t.Error("gone at once")
	}
	o.exec(`UPDATE staff_sessions SET held_at = held_at - interval '61 minutes'`)
	if held() {
		t.Error("that of an earlier version stays")
	}
}

// The text of a search goes after half an hour, also where nobody searches any more.
func TestSearchesGoAfterHalfAnHour(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	id := o.session(o.signIn(password)).Session.ID
	if _, err := o.KeepSearch(t.Context(), id, "pat@customer.example"); err != nil {
		t.Fatal(err)
	}
	kept := func() bool {
		t.Helper()
		if err := o.DropOld(t.Context()); err != nil {
			t.Fatal(err)
		}
		var n int
		if err := o.db.QueryRow(t.Context(), `SELECT count(*) FROM staff_searches`).Scan(&n); err != nil {
			t.Fatal(err)
		}
		return n > 0
	}
	o.exec(`UPDATE staff_searches SET created_at = created_at - interval '29 minutes'`)
	if !kept() {
		t.Error("gone after 29 minutes")
	}
	o.exec(`UPDATE staff_searches SET created_at = created_at - interval '2 minutes'`)
	if kept() {
		t.Error("kept after 31 minutes")
	}
}
