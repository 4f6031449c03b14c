package audit_test

import (
	"bytes"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/connectlink/connectlink/internal/access"
	"github.com/connectlink/connectlink/internal/audit"
	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/postgres"
	"github.com/connectlink/connectlink/internal/postgrestest"
	"github.com/connectlink/connectlink/internal/store/account"
)

type world struct {
	*audit.Service

	t   *testing.T
	db  *pgxpool.Pool
	log *bytes.Buffer
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, db: postgrestest.Pool(t), log: &bytes.Buffer{}}
	var err error
	if w.Service, err = audit.New(w.db, slog.New(slog.NewTextHandler(w.log, nil))); err != nil {
		t.Fatal(err)
	}
	return w
}

// act writes n entries, each in a transaction of its own.
func (w *world) act(n int) {
	w.t.Helper()
	by := access.Staff(invite.New[invite.StaffID]().String(), access.RoleAgent, invite.Place{Project: "default", Live: true})
	by.Origin = access.Origin{SessionID: invite.New[invite.SessionID]().String(), RequestID: "req_1", AddressHash: []byte{1, 2}}
	for i := range n {
		err := postgres.InTx(w.t.Context(), w.db, func(tx pgx.Tx) error {
			return account.InsertAudit(w.t.Context(), tx, account.Entry{
				By: by, Act: access.ActResend, Target: fmt.Sprint(i), Invite: invite.New[invite.ID](), Why: "a <b> & c", Data: map[string]string{"z": "1", "a": "2"},
			})
		})
		if err != nil {
			w.t.Fatal(err)
		}
	}
}

func (w *world) extend(want int) {
	w.t.Helper()
	if n, err := w.Extend(w.t.Context()); err != nil || n != want {
		w.t.Fatalf("chained %d, want %d: %v", n, want, err)
	}
}

func (w *world) verify(kept ...account.Head) audit.Report {
	w.t.Helper()
	r, err := w.Verify(w.t.Context(), kept)
	if err != nil {
		w.t.Fatal(err)
	}
	return r
}

// force runs statements as an intruder with all rights on the tables does.
func (w *world) force(statements ...string) {
	w.t.Helper()
	err := postgres.InTx(w.t.Context(), w.db, func(tx pgx.Tx) error {
		for _, table := range []string{"audit", "audit_chain", "audit_heads"} {
			if _, err := tx.Exec(w.t.Context(), "ALTER TABLE "+table+" DISABLE TRIGGER "+table+"_append_only"); err != nil {
				return err
			}
		}
		for _, s := range statements {
			if _, err := tx.Exec(w.t.Context(), s); err != nil {
				return fmt.Errorf("%s: %w", s, err)
			}
		}
		return nil
	})
	if err != nil {
		w.t.Fatal(err)
	}
}

func TestTheChainHoldsEveryEntryOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.extend(0)
	w.act(7)
	if r := w.verify(); r.Entries != 0 || r.Pending != 7 || r.Faults != 0 {
		t.Errorf("before the chain: %+v", r)
	}
	w.extend(7)
	w.act(1200) // more than one round
	// Two processes at once.
	var group sync.WaitGroup
	var mu sync.Mutex
	total := 0
	for range 2 {
		group.Go(func() {
			n, err := w.Extend(t.Context())
			if err != nil {
				t.Error(err)
			}
			mu.Lock()
			defer mu.Unlock()
			total += n
		})
	}
	group.Wait()
	if total != 1200 {
		t.Errorf("chained %d by two processes", total)
	}
	w.extend(0)
	if r := w.verify(); r.Entries != 1207 || r.Pending != 0 || r.Faults != 0 || r.Head.Number != 1207 {
		t.Errorf("after: %+v", r)
	}
}

// TestAnEntryThatCommitsLateIsChained: its id is older than those of entries that are
// chained already.
func TestAnEntryThatCommitsLateIsChained(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	late, err := w.db.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := account.InsertAudit(t.Context(), late, account.Entry{By: access.Principal{Kind: access.KindSystem}, Act: "late"}); err != nil {
		t.Fatal(err)
	}
	w.act(2)
	w.extend(2)
	if err := late.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.extend(1)
	if r := w.verify(); r.Entries != 3 || r.Faults != 0 {
		t.Errorf("%+v", r)
	}
}

func TestVerifyFindsEveryChange(t *testing.T) {
	t.Parallel()
	const third = `(SELECT entry_id FROM audit_chain WHERE number = 3)`
	for name, c := range map[string]struct {
		statements []string
		want       string
	}{
		"a changed act":      {[]string{`UPDATE audit SET act = 'unmask' WHERE id = ` + third}, "3: the entry"},
		"a changed time":     {[]string{`UPDATE audit SET at = at + interval '1 microsecond' WHERE id = ` + third}, "3: the entry"},
		"a changed actor":    {[]string{`UPDATE audit SET actor = 'staff:stf_other' WHERE id = ` + third}, "3: the entry"},
		"changed data":       {[]string{`UPDATE audit SET data = '{}' WHERE id = ` + third}, "3: the entry"},
		"a changed address":  {[]string{`UPDATE audit SET place = NULL WHERE id = ` + third}, "3: the entry"},
		"a removed entry":    {[]string{`DELETE FROM audit WHERE id = ` + third}, "is missing"},
		"a removed link too": {[]string{`DELETE FROM audit WHERE id = ` + third, `DELETE FROM audit_chain WHERE number = 3`}, "the entries from 3 on are missing"},
		"a renumbered chain": {[]string{
			`DELETE FROM audit WHERE id = ` + third, `DELETE FROM audit_chain WHERE number = 3`, `UPDATE audit_chain SET number = 3 WHERE number = 4`,
			`UPDATE audit_chain SET number = 4 WHERE number = 5`,
		}, "3: the entry"},
		"an entry past the chain": {[]string{
			`ALTER TABLE audit DISABLE TRIGGER audit_pending_add`,
			`INSERT INTO audit SELECT gen_random_uuid(), at, project_id, livemode, actor, act, target, invite_id, why, data FROM audit LIMIT 1`,
		}, "written past the chain"},
		"a pending entry that was removed": {[]string{`INSERT INTO audit_pending VALUES (gen_random_uuid())`}, "1 entries are missing"},
		"a changed hash":                   {[]string{`UPDATE audit_chain SET hash = sha256('x') WHERE number = 3`}, "3: the entry"},
		"a cut end": {[]string{
			`INSERT INTO audit_heads SELECT current_date - 1, number, hash FROM audit_chain WHERE number = 5`,
			`DELETE FROM audit WHERE id = (SELECT entry_id FROM audit_chain WHERE number = 5)`, `DELETE FROM audit_chain WHERE number = 5`,
		}, "the chain ends before the head of"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.act(5)
			w.extend(5)
			w.force(c.statements...)
			r := w.verify()
			if r.Faults == 0 || !strings.Contains(strings.Join(r.Listed, "\n"), c.want) {
				t.Errorf("%d faults: %+v", r.Faults, r)
			}
		})
	}
}

// TestAKeptHeadShowsAChainThatWasWrittenAgain: whole in itself, it is another one.
func TestAKeptHeadShowsAChainThatWasWrittenAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.act(5)
	w.extend(5)
	kept := w.verify().Head
	if r := w.verify(kept); r.Faults != 0 {
		t.Fatalf("%q", r.Listed)
	}
	w.force(`UPDATE audit SET act = 'unmask' WHERE target = '2'`, `INSERT INTO audit_pending SELECT entry_id FROM audit_chain`, `DELETE FROM audit_chain`)
	w.extend(5)
	if r := w.verify(); r.Faults != 0 {
		t.Fatalf("the new chain is not whole: %q", r.Listed)
	}
	if r := w.verify(kept); r.Faults != 1 || !strings.Contains(r.Listed[0], "differs from the head that was given") {
		t.Errorf("%q", r.Listed)
	}
}

// TestTheHeadOfADayIsKeptAndLoggedOnce when the first entry of another day is chained.
func TestTheHeadOfADayIsKeptAndLoggedOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.act(3)
	w.extend(3)
	w.force(`UPDATE audit_chain SET chained_at = chained_at - interval '1 day'`)
	w.act(2)
	w.extend(2)
	w.extend(0)
	heads, err := w.Heads(t.Context())
	if err != nil || len(heads) != 1 || heads[0].Number != 3 {
		t.Fatalf("heads %+v, %v", heads, err)
	}
	if n := strings.Count(w.log.String(), "head of the audit log"); n != 1 || !strings.Contains(w.log.String(), fmt.Sprintf("hash=%x", heads[0].Hash)) {
		t.Errorf("logged %d times: %s", n, w.log)
	}
	if r := w.verify(); r.Faults != 0 {
		t.Errorf("%q", r.Listed)
	}
	w.force(`UPDATE audit_heads SET hash = sha256('x')`)
	if r := w.verify(); r.Faults != 1 {
		t.Errorf("a changed head: %q", r.Listed)
	}
}

func TestAnExportIsVerifiedWithoutTheDatabase(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.act(1100)
	w.extend(1100)
	by := access.Principal{Kind: access.KindSystem}
	var whole bytes.Buffer
	head, err := w.Export(t.Context(), by, 0, &whole)
	if err != nil || head.Number != 1100 {
		t.Fatalf("exported up to %d: %v", head.Number, err)
	}
	earlier := head
	w.extend(1) // the export itself
	var rest bytes.Buffer
	if head, err = w.Export(t.Context(), by, 1100, &rest); err != nil || head.Number != 1101 || !strings.Contains(rest.String(), string(audit.ActExported)) {
		t.Fatalf("the rest up to %d: %v %s", head.Number, err, rest.String())
	}
	check := func(name, text string, faults int64, kept ...account.Head) {
		t.Helper()
		r, err := audit.VerifyExport(strings.NewReader(text), kept)
		if err != nil || r.Faults != faults {
			t.Errorf("%s: %d faults, want %d: %q %v", name, r.Faults, faults, r.Listed, err)
		}
	}
	check("the whole", whole.String(), 0)
	check("both parts", whole.String()+rest.String(), 0, head)
	check("a part", rest.String(), 0, head)
	check("a part that goes on where another ended", rest.String(), 0, earlier)
	check("a part that goes on from elsewhere", rest.String(), 1, account.Head{Number: 1100, Hash: []byte("another")})
	check("the first part lacks the head", whole.String(), 1, head)
	lines := strings.SplitAfter(strings.TrimSuffix(whole.String(), "\n"), "\n")
	check("a line fewer", strings.Join(slices.Delete(slices.Clone(lines), 4, 5), ""), 1)
	check("a changed line", strings.Replace(whole.String(), `"act":"resend"`, `"act":"unmask"`, 1), 1)
	for _, bad := range []string{"no JSON\n", `{"number":1,"previous":"","hash":"zz","entry":{}}` + "\n"} {
		if _, err := audit.VerifyExport(strings.NewReader(bad), nil); err == nil || !strings.Contains(err.Error(), "line 1") {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

func TestAServiceNeedsItsCollaborators(t *testing.T) {
	t.Parallel()
	if _, err := audit.New(nil, nil); err == nil || !strings.Contains(err.Error(), "DB, Log") {
		t.Errorf("%v", err)
	}
}
