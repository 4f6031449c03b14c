package reseal_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/connectlink/connectlink/internal/postgrestest"
	"github.com/connectlink/connectlink/internal/reseal"
)

// TestEveryColumnOfBytesIsNamed: a new column of bytes is sealed, a keyed hash, or
// neither with a reason. One that is forgotten would be lost with its key.
func TestEveryColumnOfBytesIsNamed(t *testing.T) {
	t.Parallel()
	rows, _ := postgrestest.Tx(t).Query(t.Context(), `
		SELECT n.nspname || '.' || c.relname || '.' || a.attname FROM pg_attribute a
		JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
		WHERE a.atttypid IN ('bytea'::regtype, 'bytea[]'::regtype) AND a.attnum > 0 AND NOT a.attisdropped AND c.relkind IN ('r', 'p')
		AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'river')`)
	schema, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		t.Fatal(err)
	}
	if len(schema) < 30 {
		t.Fatalf("the schema has %d columns of bytes: the query does not see them", len(schema))
	}
	named := reseal.Columns()
	for _, c := range schema {
		if _, ok := named[c]; !ok {
			t.Errorf("column %s is not in the list of package reseal: is it sealed, a keyed hash, or neither?", c)
		}
		delete(named, c)
	}
	for c := range named {
		t.Errorf("column %s is in the list of package reseal and not in the schema", c)
	}
	for c, is := range reseal.Columns() {
		if is.Kind == "plain" && is.Reason == "" {
			t.Errorf("column %s depends on no key without a reason", c)
		}
	}
}

// placeText matches a place of sealed values in the source: the text of a constant or argument
// in the form table.column.
var placeText = regexp.MustCompile(`(?:AD\{Column: |\bad\(|olumn\w* += |suppression\.Open\([^"]*|sealValue\([^"]*|s\.open\w*\([^"]*)"([a-z_]+\.[a-z_]+)"`)

// TestEveryPlaceOfASealedValueIsInTheList: the place is a part of what is sealed, so a
// value that is read under another place than the list's does not open.
func TestEveryPlaceOfASealedValueIsInTheList(t *testing.T) {
	t.Parallel()
	places := map[string]bool{
		// Values that live for minutes, in a browser or a job of an earlier version.
		"river_job.publish": true, "console.draft": true, "console.sign_in": true, "staff.ticket": true,
		// A browser whose cookie does not open counts as one that never signed in.
		"staff.known_device": true,
	}
	for _, c := range reseal.Columns() {
		if c.Place != "" {
			places[c.Place] = true
		}
	}
	found := map[string]bool{}
	err := filepath.WalkDir("..", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for _, m := range placeText.FindAllStringSubmatch(string(text), -1) {
			name := m[1]
			if strings.HasPrefix(path, "../sandbox/") {
				name = "sandbox." + name
			}
			found[name] = true
			if !places[name] {
				t.Errorf("%s: values are sealed for %s, which package reseal does not list", path, name)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for name := range places {
		if !found[name] {
			t.Errorf("package reseal lists %s, which the source seals nothing for", name)
		}
	}
}
