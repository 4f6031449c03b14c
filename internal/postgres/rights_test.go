package postgres_test

import (
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/connectlink/connectlink/internal/postgres"
	"github.com/connectlink/connectlink/internal/postgrestest"
)

func TestItem10DatabasesWithoutTLSAreNamed(t *testing.T) {
	t.Parallel()
	for dsn, want := range map[string][]string{
		"postgres://u:p@db.acme.example/x":                                   {"db.acme.example"},
		"postgres://u:p@db.acme.example/x?sslmode=prefer":                    {"db.acme.example"},
		"postgres://u:p@db.acme.example/x?sslmode=allow":                     {"db.acme.example"},
		"postgres://u:p@db.acme.example/x?sslmode=disable":                   {"db.acme.example"},
		"postgres://u:p@10.0.0.7:6432/x":                                     {"10.0.0.7"},
		"host=db user=u password=p dbname=x":                                 {"db"},
		"postgres://u:p@a.example,b.example/x":                               {"a.example", "b.example"},
		"postgres://u:p@localhost,b.example/x":                               {"b.example"},
		"postgres://u:p@db.acme.example/x?sslmode=require":                   nil,
		"postgres://u:p@db.acme.example/x?sslmode=verify-full":               nil,
		"postgres://u:p@127.0.0.1/x":                                         nil,
		"postgres://u:p@[::1]/x?sslmode=disable":                             nil,
		"postgres://u:p@localhost:5433/x":                                    nil,
		"host=/var/run/postgresql user=u dbname=x":                           nil,
		"postgres:///x?host=/var/run/postgresql":                             nil,
		"host=db user=u password='sslmode=disable' dbname=x sslmode=require": nil,
	} {
		if got := postgres.InClear(dsn); !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", dsn, got, want)
		}
	}
}

func TestItem10MissingRightsAreNamed(t *testing.T) {
	t.Parallel()
	dsn := postgrestest.New(t)
	admin, err := pgx.Connect(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = admin.Close(t.Context()) })
	role := "rights_" + strings.ToLower(strings.ReplaceAll(admin.Config().Database, "-", "_"))
	name := pgx.Identifier{role}.Sanitize()
	do := func(sql string) {
		t.Helper()
		if _, err := admin.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
	do("CREATE ROLE " + name + " LOGIN")
	t.Cleanup(func() {
		// The role outlives the test's context otherwise: roles are the cluster's.
		_, _ = admin.Exec(t.Context(), "DROP OWNED BY "+name)
	})
	u, err := url.Parse(dsn)
	if err != nil {
		t.Fatal(err)
	}
	u.User = url.User(role)
	limited := u.String()
	database := pgx.Identifier{admin.Config().Database}.Sanitize()

	says := func(step string, migrate bool, want string) {
		t.Helper()
		err := postgres.SchemaRights(t.Context(), limited, migrate)
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: %v, want %q", step, err, want)
		}
	}
	if err := postgres.SchemaRights(t.Context(), dsn, true); err != nil {
		t.Errorf("the owner: %v", err)
	}
	if err := postgres.SchemaRights(t.Context(), dsn, false); err != nil {
		t.Errorf("the owner: %v", err)
	}
	do("REVOKE ALL ON SCHEMA public FROM PUBLIC")
	says("no usage", true, "permission denied for schema public: the role "+role+" has no USAGE")
	do("GRANT USAGE ON SCHEMA public TO " + name)
	says("no create", true, "permission denied for schema public: the role "+role+" has no CREATE")
	do("GRANT CREATE ON SCHEMA public TO " + name)
	says("no schemas", true, "permission denied for database")
	do("GRANT CREATE ON DATABASE " + database + " TO " + name)
	says("enough to migrate", true, "")
	says("tables of another owner", false, "permission denied for table ")
	do("GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO " + name)
	says("enough to serve", false, "")
}
