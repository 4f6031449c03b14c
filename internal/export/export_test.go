package export_test

import (
	"bytes"
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/connectlink/connectlink/internal/access"
	"github.com/connectlink/connectlink/internal/export"
	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/postgrestest"
	"github.com/connectlink/connectlink/internal/store/account"
)

// person exports lists with batches of 2 rows and files of 5.
type person struct {
	*export.Service

	t   *testing.T
	db  *pgxpool.Pool
	by  access.Principal
	now time.Time
}

func newPerson(t *testing.T, db *pgxpool.Pool) *person {
	t.Helper()
	p := &person{t: t, db: db, now: time.Now(), by: access.Staff(invite.New[invite.StaffID]().String(), access.RoleLead, invite.Place{Project: "default"})}
	var err error
	if p.Service, err = export.New(export.Params{DB: db, MaxRows: 5, BatchRows: 2, Now: func() time.Time { return p.now }}); err != nil {
		t.Fatal(err)
	}
	return p
}

// rows is a list of n rows.
func rows(n int, f export.Format) export.List {
	ids := make([]invite.ID, n)
	for i := range ids {
		ids[i] = invite.New[invite.ID]()
	}
	l := export.List{Name: "invites", Filters: []string{"status", "domain"}, Format: f, Still: func(context.Context) (bool, error) { return true, nil }}
	l.Read = func(_ context.Context, after invite.ID, limit int) (b export.Batch, err error) {
		from := 0
		for i, id := range ids {
			if id == after {
				from = i + 1
			}
		}
		to := min(from+limit, n)
		for i := from; i < to; i++ {
			b.Rows = append(b.Rows, export.Row{ID: fmt.Sprint(i), CreatedAt: "2026-11-12T10:00:00Z"})
		}
		if to < n {
			b.Next = ids[to-1]
		}
		return b, nil
	}
	return l
}

// acts are the entries in the audit log, oldest first, as "act target filters rows end".
func (p *person) acts() []string {
	p.t.Helper()
	entries, _, err := account.ListAudit(p.t.Context(), p.db, account.AuditFilter{Place: p.by.Place, Actor: p.by.Actor(), Limit: 10})
	if err != nil {
		p.t.Fatal(err)
	}
	out := []string{}
	for _, e := range entries {
		text := fmt.Sprintf("%s %s %s/%s", e.Act, e.Target, e.Data["format"], e.Data["filters"])
		if e.Data["end"] != "" {
			text += " " + e.Data["rows"] + " " + e.Data["end"]
		}
		out = append([]string{text}, out...)
	}
	return out
}

// watched notes the entries in the audit log before the first byte.
type watched struct {
	bytes.Buffer

	p      *person
	before []string
}

func (w *watched) Write(b []byte) (int, error) {
	if w.Len() == 0 {
		w.before = w.p.acts()
	}
	return w.Buffer.Write(b)
}

func TestExportsEndAndAreRecorded(t *testing.T) {
	t.Parallel()
	db := postgrestest.Pool(t)
	gone := errors.New("the client left")
	const started, whole = "export_started invites csv/status domain", "export invites csv/status domain "
	for name, c := range map[string]struct {
		n            int
		change       func(*person, *export.List)
		rows         []string
		last         string // of the file, where it is not the whole list
		fails        bool
		before, acts []string
	}{
		"empty":                      {n: 0, before: []string{whole + "0 complete"}, acts: []string{whole + "0 complete"}},
		"one batch":                  {n: 2, rows: []string{"0", "1"}, before: []string{whole + "2 complete"}, acts: []string{whole + "2 complete"}},
		"several batches":            {n: 3, rows: []string{"0", "1", "2"}, before: []string{started}, acts: []string{started, whole + "3 complete"}},
		"as many as a file can have": {n: 5, rows: []string{"0", "1", "2", "3", "4"}, before: []string{started}, acts: []string{started, whole + "5 complete"}},
		"one more": {
			n: 6, rows: []string{"0", "1", "2", "3", "4"}, before: []string{started}, acts: []string{started, whole + "5 row_limit"},
			last: `# Not the whole list (row_limit): the file ends after 5 rows. Export older invites with the filter "Created until", from the day of 2026-11-12T10:00:00Z.`,
		},
		"time is up": {
			n: 5, rows: []string{"0", "1"}, acts: []string{whole + "2 time_limit"}, before: []string{whole + "2 time_limit"},
			last: `# Not the whole list (time_limit): the file ends after 2 rows. Export older invites with the filter "Created until", from the day of 2026-11-12T10:00:00Z.`,
			change: func(p *person, l *export.List) {
				read := l.Read
				l.Read = func(ctx context.Context, after invite.ID, limit int) (export.Batch, error) {
					p.now = p.now.Add(export.MaxDuration)
					return read(ctx, after, limit)
				}
			},
		},
		"matches that are not listed": {
			n: 1, rows: []string{"0"}, before: []string{whole + "1 search_limit"}, acts: []string{whole + "1 search_limit"},
			last: `# Not the whole list (search_limit): the file ends after 1 rows.`,
			change: func(_ *person, l *export.List) {
				read := l.Read
				l.Read = func(ctx context.Context, after invite.ID, limit int) (export.Batch, error) {
					b, err := read(ctx, after, limit)
					b.Cut = true
					return b, err
				}
			},
		},
		"the role ended": {
			n: 5, rows: []string{"0", "1"}, fails: true, before: []string{started}, acts: []string{started, whole + "2 interrupted"},
			change: func(_ *person, l *export.List) { l.Still = func(context.Context) (bool, error) { return false, nil } },
		},
		"reading fails": {
			n: 5, fails: true, acts: []string{},
			change: func(_ *person, l *export.List) {
				l.Read = func(context.Context, invite.ID, int) (export.Batch, error) { return export.Batch{}, gone }
			},
		},
		"reading fails later": {
			n: 5, rows: []string{"0", "1"}, fails: true, before: []string{started}, acts: []string{started, whole + "2 interrupted"},
			change: func(_ *person, l *export.List) {
				read := l.Read
				l.Read = func(ctx context.Context, after invite.ID, limit int) (export.Batch, error) {
					if !after.IsZero() {
						return export.Batch{}, gone
					}
					return read(ctx, after, limit)
				}
			},
		},
		"an agent": {
			n: 5, fails: true, acts: []string{},
			change: func(p *person, _ *export.List) { p.by.Role = access.RoleAgent },
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPerson(t, db)
			l := rows(c.n, export.CSV)
			if c.change != nil {
				c.change(p, &l)
			}
			out := &watched{p: p}
			if err := p.Write(t.Context(), p.by, l, out); (err != nil) != c.fails {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.acts, p.acts()); diff != "" {
				t.Errorf("the audit log: %s", diff)
			}
			if diff := cmp.Diff(c.before, out.before); diff != "" {
				t.Errorf("the audit log before the first byte: %s", diff)
			}
			lines, err := csv.NewReader(&out.Buffer).ReadAll()
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for i, l := range lines {
				if i > 0 {
					got = append(got, l[0])
				}
			}
			want := c.rows
			if c.last != "" {
				want = append(want, c.last)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("the file: %s", diff)
			}
		})
	}
}

func TestAPersonRunsOneExportAtATime(t *testing.T) {
	t.Parallel()
	db := postgrestest.Pool(t)
	p := newPerson(t, db)
	reading, goOn := make(chan struct{}), make(chan struct{})
	slow := rows(1, export.CSV)
	slow.Read = func(context.Context, invite.ID, int) (export.Batch, error) {
		close(reading)
		<-goOn
		return export.Batch{}, nil
	}
	ended := make(chan error)
	go func() { ended <- p.Write(t.Context(), p.by, slow, io.Discard) }()
	<-reading
	if err := p.Write(t.Context(), p.by, rows(1, export.CSV), io.Discard); !errors.Is(err, export.ErrBusy) {
		t.Errorf("beside their own: %v", err)
	}
	colleague := access.Staff(invite.New[invite.StaffID]().String(), access.RoleAdmin, p.by.Place)
	if err := p.Write(t.Context(), colleague, rows(1, export.CSV), io.Discard); err != nil {
		t.Errorf("beside a colleague's: %v", err)
	}
	close(goOn)
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	if err := p.Write(t.Context(), p.by, rows(1, export.CSV), io.Discard); err != nil {
		t.Errorf("after their own: %v", err)
	}
}

func TestAProcessRunsABoundedNumberOfExports(t *testing.T) {
	t.Parallel()
	p := newPerson(t, postgrestest.Pool(t))
	reading, goOn, ended := make(chan struct{}), make(chan struct{}), make(chan error)
	const most = 4
	for range most {
		slow := rows(1, export.CSV)
		slow.Read = func(context.Context, invite.ID, int) (export.Batch, error) {
			reading <- struct{}{}
			<-goOn
			return export.Batch{}, nil
		}
		by := access.Staff(invite.New[invite.StaffID]().String(), access.RoleLead, p.by.Place)
		go func() { ended <- p.Write(t.Context(), by, slow, io.Discard) }()
		<-reading
	}
	if err := p.Write(t.Context(), p.by, rows(1, export.CSV), io.Discard); invite.CodeOf(err) != invite.CodeUnavailable {
		t.Errorf("one more: %v", err)
	}
	close(goOn)
	for range most {
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
}

// https://owasp.org/www-community/attacks/CSV_Injection
func TestNoCellIsAFormula(t *testing.T) {
	t.Parallel()
	p := newPerson(t, postgrestest.Pool(t))
	values := map[string]string{ // by the value in the file
		"=cmd|' /C calc'!A0": "'=cmd|' /C calc'!A0", "+1 ••• 47": "'+1 ••• 47", "-2+3": "'-2+3", "@SUM(A1)": "'@SUM(A1)", "\t=1": "'\t=1", "\r=1": "'=1",
		" =1": "' =1", "\u200b=1": "'\u200b=1", "＝1+1": "'＝1+1", "\n=1": "'\n=1",
		`";=1`: `";=1`, "b••@c•••.example": "b••@c•••.example", "a,b\nc": "a,b\nc", "user-8812": "user-8812", "": "",
	}
	for value, want := range values {
		l := rows(1, export.CSV)
		l.Read = func(context.Context, invite.ID, int) (export.Batch, error) {
			return export.Batch{Rows: []export.Row{{ID: "1", ExternalUserID: value, ConnectedAt: "2026-11-12T10:00:00Z"}}}, nil
		}
		var file bytes.Buffer
		if err := p.Write(t.Context(), p.by, l, &file); err != nil {
			t.Fatal(err)
		}
		if !strings.HasPrefix(file.String(), "id,reference,created_at,status,progress,delivery_status,reason,app,channel,recipient,external_user_id,inviter,opened_at,connected_at,owner\r\n1,") {
			t.Fatalf("the file begins with %.200q", file.String())
		}
		// encoding/csv leaves out a \r that stands alone.
		lines, err := csv.NewReader(&file).ReadAll()
		if err != nil || len(lines) != 2 || lines[1][10] != want || lines[1][13] != "2026-11-12T10:00:00Z" {
			t.Errorf("%q is read as %q %v, want %q", value, lines, err, want)
		}
	}
}

func TestJSONLinesEndWithWhetherTheListIsComplete(t *testing.T) {
	t.Parallel()
	p := newPerson(t, postgrestest.Pool(t))
	for n, want := range map[int]string{
		0: `{"object":"export","rows":0,"complete":true,"end":"complete"}`,
		3: `{"object":"export","rows":3,"complete":true,"end":"complete"}`,
		6: `{"object":"export","rows":5,"complete":false,"end":"row_limit"}`,
	} {
		var file bytes.Buffer
		if err := p.Write(t.Context(), p.by, rows(n, export.JSONLines), &file); err != nil {
			t.Fatal(err)
		}
		lines := strings.Split(strings.TrimSuffix(file.String(), "\n"), "\n")
		if len(lines) != min(n, 5)+1 || lines[len(lines)-1] != want {
			t.Errorf("%d rows: %d lines, the last %s", n, len(lines), lines[len(lines)-1])
		}
		for i, line := range lines[:len(lines)-1] {
			var row map[string]any
			if err := json.Unmarshal([]byte(line), &row); err != nil || row["object"] != "invite" || row["id"] != fmt.Sprint(i) || row["opened_at"] != nil || len(row) != 16 {
				t.Errorf("line %d: %v %v", i, row, err)
			}
		}
	}
}
