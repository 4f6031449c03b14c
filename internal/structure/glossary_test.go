package structure_test

import (
	"go/ast"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// The glossary names types, tables and schemas that exist.
func TestTheGlossaryNamesWhatExists(t *testing.T) {
	t.Parallel()
	types := map[string]bool{}
	for _, f := range sources(t) {
		ast.Inspect(f.syntax, func(n ast.Node) bool {
			if spec, ok := n.(*ast.TypeSpec); ok {
				types[f.syntax.Name.Name+"."+spec.Name.Name] = true
			}
			return true
		})
	}
	var schema strings.Builder
	migrations, err := filepath.Glob(filepath.Join(root, "migrations", "*.sql"))
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range migrations {
		text, err := os.ReadFile(m)
		if err != nil {
			t.Fatal(err)
		}
		schema.Write(text)
	}
	document := read(t, "internal/httpapi/openapi.yaml")
	rows := 0
	for line := range strings.Lines(read(t, "docs/glossary.md")) {
		cells := strings.Split(line, "|")
		if len(cells) != 7 || strings.Contains(line, "---") || strings.Contains(line, "| Term |") {
			continue
		}
		rows++
		name := func(i int) string { return strings.Trim(cells[i], " `") }
		if v := name(3); v != "" && !types[v] {
			t.Errorf("%s: there is no type %s", name(1), v)
		}
		if v := name(4); v != "" && !regexp.MustCompile(`CREATE TABLE `+v+`\b`).MatchString(schema.String()) {
			t.Errorf("%s: there is no table %s", name(1), v)
		}
		if v := name(5); v != "" && !strings.Contains(document, "\n    "+v+":") {
			t.Errorf("%s: there is no schema %s", name(1), v)
		}
	}
	if rows < 30 {
		t.Errorf("found %d rows", rows)
	}
}
