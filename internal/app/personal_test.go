package app_test

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/connectlink/connectlink/deploy/devpg"
	"github.com/connectlink/connectlink/internal/access"
	"github.com/connectlink/connectlink/internal/postgrestest"
	"github.com/connectlink/connectlink/internal/seal"
	"github.com/connectlink/connectlink/internal/secret"
)

// TestEveryColumnIsDeclaredForPrivacy: see declaration.
func TestEveryColumnIsDeclaredForPrivacy(t *testing.T) {
	t.Parallel()
	rows, _ := postgrestest.Tx(t).Query(t.Context(), `
		SELECT n.nspname || '.' || c.relname || '.' || a.attname FROM pg_attribute a
		JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
		WHERE a.attnum > 0 AND NOT a.attisdropped AND c.relkind IN ('r', 'p') AND n.nspname NOT IN ('pg_catalog', 'information_schema')`)
	schema, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		t.Fatal(err)
	}
	if len(schema) < 300 {
		t.Fatalf("the schema has %d columns: the query does not see them", len(schema))
	}
	columns := declared(t)
	for _, c := range schema {
		if _, ok := columns[c]; !ok {
			t.Errorf("column %s is not declared: can it hold data of a recipient, of staff, or nothing of a person?", c)
		}
		delete(columns, c)
	}
	for c := range columns {
		t.Errorf("column %s is declared and not in the schema", c)
	}
	for _, list := range []map[string]string{kept(), notExported(), transient()} {
		for c := range list {
			if kind := declared(t)[c]; kind == "" || kind == nothing || kind == ofStaff {
				t.Errorf("%s is excepted, and declared as %q", c, kind)
			}
		}
	}
}

// transient are columns that are emptied within seconds, so that a dump before the
// erasure need not show them.
func transient() map[string]string {
	return map[string]string{
		"sandbox.events.payload":   "emptied when the webhook was posted",
		"sandbox.journeys.state":   "of a person of test mode who is at a page",
		"sandbox.scripts.key_hash": "only of scripted answers to mints",
	}
}

// The words by which a person is found in a dump.
const zebra = "zebrafink"

func zebras() []string {
	return []string{zebra, "2025550110", "2025550100", "5005550001"}
}

// value is one value of a dump: as text, and what the keys open of it.
type value struct {
	column, text, opened string
}

// names reports which word of a person stands in a value.
func (v value) names() (string, bool) {
	for _, w := range zebras() {
		if strings.Contains(strings.ToLower(v.text), w) || strings.Contains(strings.ToLower(v.opened), w) {
			return w, true
		}
		// Bytes that are no sealed value may hold text all the same.
		if strings.Contains(v.text, hex.EncodeToString([]byte(w))) {
			return w, true
		}
	}
	return "", false
}

// pgDump dumps a database with the real pg_dump, and opens each sealed value with the keyset.
func (p *product) pgDump() []value {
	p.t.Helper()
	found, err := devpg.Find(p.t.Context(), os.LookupEnv, "", 0)
	if err != nil {
		p.t.Fatal(err)
	}
	var errors bytes.Buffer
	cmd := exec.CommandContext(p.t.Context(), filepath.Join(found.Dir, "pg_dump"), "--data-only", "--dbname="+p.db)
	cmd.Stderr = &errors
	raw, err := cmd.Output()
	if err != nil {
		p.t.Fatalf("pg_dump: %v\n%s", err, errors.String())
	}
	keyset, err := seal.ParseKeyset(secret.New(p.seal))
	if err != nil {
		p.t.Fatal(err)
	}
	box, err := seal.NewBox(keyset)
	if err != nil {
		p.t.Fatal(err)
	}
	head := regexp.MustCompile(`^COPY (\S+)\.(\S+) \((.*)\) FROM stdin;$`)
	unescape := strings.NewReplacer(`\\`, `\`, `\t`, "\t", `\n`, "\n", `\r`, "\r")
	var out []value
	var schema, table string
	var columns []string
	for line := range strings.SplitSeq(string(raw), "\n") {
		if m := head.FindStringSubmatch(line); m != nil {
			schema, table, columns = m[1], m[2], strings.Split(strings.ReplaceAll(m[3], `"`, ""), ", ")
			continue
		}
		if line == `\.` {
			columns = nil
		}
		if columns == nil {
			continue
		}
		fields := strings.Split(line, "\t")
		if len(fields) != len(columns) {
			p.t.Fatalf("a row of %s.%s has %d fields, want %d", schema, table, len(fields), len(columns))
		}
		var ids []uuid.UUID
		for _, f := range fields {
			if id, err := uuid.Parse(f); err == nil && len(f) == 36 {
				ids = append(ids, id)
			}
		}
		for i, f := range fields {
			if f == `\N` {
				continue
			}
			v := value{column: schema + "." + table + "." + columns[i], text: unescape.Replace(f)}
			if bytes, ok := strings.CutPrefix(v.text, `\x`); ok {
				if b, err := hex.DecodeString(bytes); err == nil {
					v.opened = openAny(box, b, ids, table+"."+columns[i], v.column)
				}
			}
			out = append(out, v)
		}
	}
	return out
}

func openAny(box *seal.Box, b []byte, ids []uuid.UUID, places ...string) string {
	for _, id := range ids {
		for _, place := range places {
			if plain, err := box.Open(b, seal.AD{Column: place, ID: id}); err == nil {
				return string(plain)
			}
		}
	}
	return ""
}

// TestNothingOfAnErasedPersonIsLeftInADump fills each declared column through the product,
// exports, erases, and looks through a real dump, with the keys.
func TestNothingOfAnErasedPersonIsLeftInADump(t *testing.T) {
	t.Parallel()
	echo := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(w, r.Body) // an endpoint that answers with what it was sent
	}))
	t.Cleanup(echo.Close)
	p := start(t, boot{})
	if status, _, out := p.scoped(access.Webhooks).call(http.MethodPost, "/v1/webhook_endpoints", object{"url": echo.URL}); status != http.StatusCreated {
		t.Fatalf("endpoint: %d %v", status, out)
	}
	// Another person, of whom all must be left.
	other := p.invite(http.StatusCreated, to("delivered+visit+quetzal@connectlink.test")).text("id")
	p.until(other, "visited", func(inv object) bool { return inv.text("progress") == "visited" })
	others := map[string]bool{} // texts of values that are not the person's
	for _, v := range p.pgDump() {
		others[v.text] = true
	}
	p.zebraFills()
	sealing := start(t, boot{db: p.db, keyset: p.seal, env: map[string]string{"CONNECTLINK_SEAL_EXTERNAL_USER_ID": "true"}})
	sealing.invite(http.StatusCreated, object{"external_user_id": "user-" + zebra, "app": "slack", "channel": "link"})
	p.eventually("events are posted", func() bool {
		return p.count(`SELECT count(*) FROM webhook_deliveries WHERE delivered_at IS NULL`) == 0 && p.count(`SELECT count(*) FROM sandbox.events WHERE due_at IS NOT NULL`) == 0
	})

	columns := declared(t)
	before := p.pgDump()
	shown := map[string][]string{} // column to what of the person it holds
	marks := map[string]string{}   // hashes and credentials of the person, to their column
	for _, v := range before {
		switch kind := columns[v.column]; kind {
		case keyedHash, credential:
			if !others[v.text] {
				marks[strings.TrimPrefix(v.text, `\x`)] = v.column
				shown[v.column] = append(shown[v.column], v.opened)
				if v.opened != "" && kind == credential {
					marks[v.opened] = v.column
				}
			}
		case ofRecipient:
			if _, ok := v.names(); ok {
				held := v.opened
				if held == "" {
					held = v.text
				}
				shown[v.column] = append(shown[v.column], held)
			}
		default:
			if word, ok := v.names(); ok {
				t.Errorf("%s is declared to hold %s, and holds %q", v.column, kind, word)
			}
		}
	}
	for c, kind := range columns {
		_, stays := kept()[c]
		_, short := transient()[c]
		if (kind == ofRecipient || kind == keyedHash || kind == credential) && len(shown[c]) == 0 && !stays && !short {
			t.Errorf("%s (%s) holds nothing of the person: this test does not show that it is erased", c, kind)
		}
	}

	admin := p.scoped(access.Admin)
	checkExport(t, admin, shown, columns, marks)
	if status, _, out := admin.call(http.MethodPost, "/v1/privacy/erase", object{"external_user_id": "user-" + zebra}); status != http.StatusOK || out["invites"] != 6.0 {
		t.Fatalf("erase: %d %v", status, out)
	}
	p.sql(`UPDATE river.river_job SET scheduled_at = now(), state = 'available' WHERE kind = 'erase_again' AND state = 'scheduled'`)
	p.eventually("swept again", func() bool {
		return p.count(`SELECT count(*) FROM river.river_job WHERE kind = 'erase_again' AND state <> 'completed'`) == 0
	})

	left, quetzal := map[string]string{}, 0
	for _, v := range p.pgDump() {
		if strings.Contains(v.opened, "quetzal") {
			quetzal++
		}
		if _, stays := kept()[v.column]; stays {
			continue
		}
		if word, ok := v.names(); ok {
			left[v.column] = fmt.Sprintf("%q", word)
		}
		for mark, of := range marks {
			if strings.Contains(v.text, mark) || strings.Contains(v.opened, mark) {
				left[v.column] = "a hash or credential of " + of
			}
		}
	}
	for _, c := range slices.Sorted(maps.Keys(left)) {
		t.Errorf("after the erasure %s holds %s", c, left[c])
	}
	if quetzal < 5 {
		t.Errorf("%d values of the other person are left", quetzal)
	}
}

// checkExport demands that all that the columns hold of the person is in the export, and
// no credential.
func checkExport(t *testing.T, admin *product, shown map[string][]string, columns map[string]holds, marks map[string]string) {
	t.Helper()
	status, _, out := admin.call(http.MethodPost, "/v1/privacy/export", object{"external_user_id": "user-" + zebra})
	if status != http.StatusOK {
		t.Fatalf("export: %d %v", status, out)
	}
	exported := strings.Join(leaves(map[string]any(out)), "\x00")
	for c, held := range shown {
		if _, reason := notExported()[c]; reason || columns[c] != ofRecipient {
			continue
		}
		for _, h := range held {
			var document any
			parts := []string{h}
			if json.Unmarshal([]byte(h), &document) == nil && c == "public.invites.content" {
				parts = leaves(document)
			}
			for _, part := range parts {
				if _, ok := (value{text: part}).names(); ok && !strings.Contains(exported, part) {
					t.Errorf("the export lacks %q of %s", part, c)
				}
			}
		}
	}
	for mark, c := range marks {
		if columns[c] == credential && strings.Contains(exported, mark) {
			t.Errorf("the export has a credential of %s", c)
		}
	}
}

// leaves are the texts of a JSON document, names of members among them.
func leaves(v any) []string {
	switch v := v.(type) {
	case string:
		return []string{v}
	case map[string]any:
		var out []string
		for name, one := range v {
			out = append(append(out, name), leaves(one)...)
		}
		return out
	case []any:
		var out []string
		for _, one := range v {
			out = append(out, leaves(one)...)
		}
		return out
	}
	return nil
}
