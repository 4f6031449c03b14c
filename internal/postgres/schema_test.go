package postgres_test

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"github.com/connectlink/connectlink/internal/postgrestest"
)

var update = flag.Bool("update", false, "rewrite the list of the database's rules")

// rules are what the migrated database holds by itself: constraints and indexes but
// for those that carry a constraint's name, and triggers with when they fire.
// Postgres 18 lists NOT NULL as constraints too, which the others do not.
const rules = `
	SELECT rule FROM (WITH tables AS (
		SELECT c.oid, n.nspname || '.' || c.relname AS name FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
		WHERE n.nspname IN ('public', 'sandbox') AND c.relkind IN ('r', 'p') AND c.relname !~ '^goose_')
	SELECT t.name || ': constraint ' || conname || ' ' || pg_get_constraintdef(o.oid)
	FROM pg_constraint o JOIN tables t ON t.oid = o.conrelid WHERE contype IN ('c', 'f', 'p', 'u', 'x')
	UNION ALL
	SELECT t.name || ': index ' || pg_get_indexdef(i.indexrelid) || CASE WHEN i.indisvalid THEN '' ELSE ' INVALID' END
	FROM pg_index i JOIN tables t ON t.oid = i.indrelid
	WHERE NOT EXISTS (SELECT FROM pg_constraint o WHERE o.conindid = i.indexrelid AND o.conrelid = i.indrelid)
	UNION ALL
	SELECT t.name || ': trigger ' || pg_get_triggerdef(g.oid) || ' ' || CASE tgenabled WHEN 'A' THEN 'ALWAYS' WHEN 'O' THEN 'ORIGIN' WHEN 'R' THEN 'REPLICA' ELSE 'DISABLED' END
	FROM pg_trigger g JOIN tables t ON t.oid = g.tgrelid WHERE NOT tgisinternal) x(rule)
	ORDER BY rule COLLATE "C"`

// required are the rules that the service's promises rest on; no change of the
// schema may drop them from the list.
func required() []string {
	return []string{
		"public.connect_links: index CREATE UNIQUE INDEX connect_links_token ON public.connect_links USING btree (token_digest)",
		"public.connect_links: index CREATE UNIQUE INDEX connect_links_webhook ON public.connect_links USING btree (webhook_digest)",
		"public.codes: index CREATE UNIQUE INDEX codes_digest ON public.codes USING btree (digest)",
		"public.api_keys: constraint api_keys_digest_key UNIQUE (digest)",
		"public.staff: constraint staff_login_hash_key UNIQUE (login_hash)",
		"public.staff_sessions: constraint staff_sessions_digest_key UNIQUE (digest)",
		"public.staff_links: constraint staff_links_pkey PRIMARY KEY (digest)",
		"public.client_tokens: constraint client_tokens_pkey PRIMARY KEY (digest)",
		"public.suppressions: index CREATE UNIQUE INDEX suppressions_standing ON public.suppressions USING btree (hash) WHERE (lifted_at IS NULL)",
		"public.idempotency: constraint idempotency_pkey PRIMARY KEY (key_id, route, key_hash)",
		"public.invites: constraint invites_expires_in_s_check CHECK (((expires_in_s >= 1) AND (expires_in_s <= 14400)))",
		"public.audit: trigger CREATE TRIGGER audit_append_only BEFORE DELETE OR UPDATE OR TRUNCATE ON public.audit FOR EACH STATEMENT EXECUTE FUNCTION audit_is_append_only() ALWAYS",
	}
}

func TestTheDatabaseKeepsItsRules(t *testing.T) {
	t.Parallel()
	rows, _ := connect(t, postgrestest.New(t)).Query(t.Context(), rules)
	got, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		t.Fatal(err)
	}
	has := map[string]bool{}
	for _, rule := range got {
		has[rule] = true
	}
	for _, rule := range required() {
		if !has[rule] {
			t.Errorf("the migrated database lacks %s", rule)
		}
	}
	file := filepath.Join("testdata", "rules.txt")
	if *update {
		if err := os.WriteFile(file, []byte(strings.Join(got, "\n")+"\n"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(strings.Split(strings.TrimSpace(string(want)), "\n"), got); diff != "" {
		t.Errorf("constraints, indexes and triggers (-want +got); if meant, run with -update:\n%s", diff)
	}
}
