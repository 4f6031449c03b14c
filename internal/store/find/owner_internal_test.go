package find

import (
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/postgrestest"
)

// The invites of an owner are found along the index of owners, in the order of the list,
// in a database without statistics.
func TestTheListOfAnOwnerIsReadAlongItsIndex(t *testing.T) {
	t.Parallel()
	db := postgrestest.Pool(t)
	for name, f := range map[string]Filter{"first page": {}, "older": {After: invite.New[invite.ID]()}, "newer": {Before: invite.New[invite.ID]()}} {
		f.Project, f.Owner, f.Limit = "default", invite.New[invite.StaffID](), 25
		l := listing{f: f}
		sql, _, _ := l.candidates()
		rows, _ := db.Query(t.Context(), "EXPLAIN "+sql, l.args...)
		lines, err := pgx.CollectRows(rows, pgx.RowTo[string])
		if err != nil {
			t.Fatal(err)
		}
		plan := strings.Join(lines, "\n")
		along := "Index Only Scan using invite_owners_staff"
		if name != "newer" {
			along = "Index Only Scan Backward using invite_owners_staff"
		}
		if !strings.Contains(plan, along) || strings.Contains(plan, "Seq Scan") || strings.Contains(plan, "Sort") {
			t.Errorf("%s: %s", name, plan)
		}
	}
}
