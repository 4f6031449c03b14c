package account_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/connectlink/connectlink/internal/access"
	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/postgrestest"
	"github.com/connectlink/connectlink/internal/store/account"
)

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func agent() access.Principal {
	p := access.Staff(invite.New[invite.StaffID]().String(), access.RoleAgent, invite.Place{Project: "default"})
	p.Origin = access.Origin{SessionID: invite.New[invite.SessionID]().String(), RequestID: "req_1", AddressHash: []byte{1, 2}}
	return p
}

func TestNobodyChangesTheAuditLog(t *testing.T) {
	t.Parallel()
	tx := postgrestest.Tx(t)
	must(t, account.InsertAudit(t.Context(), tx, account.Entry{By: agent(), Act: access.ActUnmask, Target: "inv_1"}))
	// The tests may run as a superuser, whom only the trigger stops.
	for _, statement := range []string{
		`UPDATE audit SET act = 'nothing'`, `DELETE FROM audit`, `TRUNCATE audit`, `DELETE FROM audit WHERE false`,
		`INSERT INTO audit SELECT * FROM audit ON CONFLICT (id) DO UPDATE SET act = 'nothing'`,
	} {
		var refused *pgconn.PgError
		err := pgx.BeginFunc(t.Context(), tx, func(inner pgx.Tx) error {
			_, err := inner.Exec(t.Context(), statement)
			return err
		})
		if !errors.As(err, &refused) || refused.Code != "42501" {
			t.Errorf("%s: %v", statement, err)
		}
	}
	// The owner itself has no grant for it either.
	for _, privilege := range []string{"UPDATE", "DELETE", "TRUNCATE", "INSERT", "SELECT"} {
		var has bool
		must(t, tx.QueryRow(t.Context(), `
			SELECT EXISTS (SELECT FROM pg_class c CROSS JOIN LATERAL aclexplode(c.relacl) g
				WHERE c.relname = 'audit' AND g.grantee = c.relowner AND g.privilege_type = $1)`, privilege).Scan(&has))
		if want := privilege == "INSERT" || privilege == "SELECT"; has != want {
			t.Errorf("the owner's grant of %s = %t", privilege, has)
		}
	}
}

// One browser session can have been two people's, one after the other: an act
// counts for who did it, there, in that project and mode.
func TestAnActIsFoundOfItsOwnActorSessionProjectAndMode(t *testing.T) {
	t.Parallel()
	tx := postgrestest.Tx(t)
	own := agent()
	must(t, account.InsertAudit(t.Context(), tx, account.Entry{By: own, Act: access.ActUnmask, Target: "inv_1"}))
	with := func(change func(*access.Principal)) access.Principal {
		p := own
		change(&p)
		return p
	}
	for name, c := range map[string]struct {
		by     access.Principal
		act    access.Act
		target string
		want   bool
	}{
		"its own":                         {own, access.ActUnmask, "inv_1", true},
		"another member in the session":   {with(func(p *access.Principal) { p.ID = agent().ID }), access.ActUnmask, "inv_1", false},
		"another session of the same one": {with(func(p *access.Principal) { p.Origin = agent().Origin }), access.ActUnmask, "inv_1", false},
		"the other mode":                  {with(func(p *access.Principal) { p.Live = true }), access.ActUnmask, "inv_1", false},
		"another project":                 {with(func(p *access.Principal) { p.Project = "other" }), access.ActUnmask, "inv_1", false},
		"another act":                     {own, access.ActResend, "inv_1", false},
		"another target":                  {own, access.ActUnmask, "inv_2", false},
	} {
		if _, ok, err := account.FindAct(t.Context(), tx, c.by, c.act, c.target); err != nil || ok != c.want {
			t.Errorf("%s: found %t, %v", name, ok, err)
		}
	}
}

func TestTheAuditLogIsReadByWhoWhatWhichAndInPages(t *testing.T) {
	t.Parallel()
	tx := postgrestest.Tx(t)
	by, other := agent(), agent()
	id := invite.New[invite.ID]()
	live := by
	live.Live = true
	for _, e := range []account.Entry{
		{By: by, Act: access.ActUnmask, Target: id.String(), Invite: id},
		{By: by, Act: access.ActResend, Target: id.String(), Invite: id, Why: "asked", Data: map[string]string{"channel": "sms"}},
		{By: other, Act: access.ActUnmask, Target: "inv_2"},
		{By: live, Act: access.ActUnmask, Target: "inv_3"},
		{By: access.Principal{Kind: access.KindSystem}, Act: "staff_created", Target: "stf_1"},
	} {
		must(t, account.InsertAudit(t.Context(), tx, e))
	}
	for name, c := range map[string]struct {
		filter account.AuditFilter
		want   []access.Act
	}{
		"a project and mode":      {account.AuditFilter{}, []access.Act{access.ActUnmask, access.ActResend, access.ActUnmask}},
		"and what concerns all":   {account.AuditFilter{All: true}, []access.Act{"staff_created", access.ActUnmask, access.ActResend, access.ActUnmask}},
		"who":                     {account.AuditFilter{Actor: by.Actor()}, []access.Act{access.ActResend, access.ActUnmask}},
		"what":                    {account.AuditFilter{Act: access.ActUnmask}, []access.Act{access.ActUnmask, access.ActUnmask}},
		"which":                   {account.AuditFilter{Target: "inv_2"}, []access.Act{access.ActUnmask}},
		"an invite":               {account.AuditFilter{InviteID: id}, []access.Act{access.ActResend, access.ActUnmask}},
		"the other mode":          {account.AuditFilter{Place: invite.Place{Live: true}}, []access.Act{access.ActUnmask}},
		"nothing of anybody else": {account.AuditFilter{Actor: other.Actor(), InviteID: id}, []access.Act{}},
	} {
		c.filter.Project = "default"
		got, err := pages(t, tx, c.filter)
		must(t, err)
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
	one, _, err := account.ListAudit(t.Context(), tx, account.AuditFilter{Place: invite.Place{Project: "default"}, Act: access.ActResend, Limit: 1})
	must(t, err)
	e := one[0]
	if e.Actor != by.Actor() || e.Why != "asked" || e.Data["channel"] != "sms" || e.SessionID.String() != by.Origin.SessionID ||
		e.RequestID != "req_1" || !slices.Equal(e.AddressHash, by.Origin.AddressHash) || e.InviteID != id || e.At.IsZero() {
		t.Errorf("read back: %+v", e)
	}
}

// pages reads all there is, one entry at a time.
func pages(t *testing.T, tx pgx.Tx, f account.AuditFilter) ([]access.Act, error) {
	f.Limit = 1
	acts := []access.Act{}
	for {
		page, next, err := account.ListAudit(t.Context(), tx, f)
		if err != nil {
			return nil, err
		}
		for _, e := range page {
			acts = append(acts, e.Act)
		}
		if next.IsZero() {
			return acts, nil
		}
		f.After = next
	}
}

func TestPagesOfTheAuditLogGoOlderAndBackToNewer(t *testing.T) {
	t.Parallel()
	tx := postgrestest.Tx(t)
	by := agent()
	var all []string // newest first
	for i := range 7 {
		p := by
		if i%2 == 1 {
			p = access.Principal{Kind: access.KindSystem} // concerns all projects
		}
		target := fmt.Sprintf("target %d", i)
		must(t, account.InsertAudit(t.Context(), tx, account.Entry{By: p, Act: access.ActUnmask, Target: target}))
		all = append([]string{target}, all...)
	}
	page := func(f account.AuditFilter) (targets []string, first, last, next invite.AuditID) {
		t.Helper()
		f.Project, f.All, f.Limit = "default", true, 3
		list, next, err := account.ListAudit(t.Context(), tx, f)
		must(t, err)
		for _, e := range list {
			targets = append(targets, e.Target)
		}
		return targets, list[0].ID, list[len(list)-1].ID, next
	}
	first, _, _, next := page(account.AuditFilter{})
	second, top, _, next2 := page(account.AuditFilter{After: next})
	third, oldest, _, end := page(account.AuditFilter{After: next2})
	if diff := cmp.Diff(all, slices.Concat(first, second, third)); diff != "" || !end.IsZero() {
		t.Errorf("going older, ending at %q: %s", end, diff)
	}
	back, _, _, more := page(account.AuditFilter{Before: oldest})
	if diff := cmp.Diff(second, back); diff != "" || more.IsZero() {
		t.Errorf("one page newer, more %q: %s", more, diff)
	}
	back, _, _, more = page(account.AuditFilter{Before: top})
	if diff := cmp.Diff(first, back); diff != "" || !more.IsZero() {
		t.Errorf("the newest page again, more %q: %s", more, diff)
	}
}
