package structure_test

import (
	"go/ast"
	"slices"
	"strings"
	"testing"
)

// filled names the types that package compose fills from an invite, and the packages
// that make values of them for their own rehearsals, or for pages without an invite.
func filled() map[string][]string {
	return map[string][]string{
		"message.Vars": {"internal/compose", "internal/message"},
		"page.Data":    {"internal/compose", "internal/page", "internal/linkpage"},
	}
}

// A second place that fills them shows people something else than the first.
func TestOnlyComposeFillsMessagesAndPages(t *testing.T) {
	t.Parallel()
	found := map[string]int{}
	for _, s := range product(sources(t)) {
		ast.Inspect(s.syntax, func(n ast.Node) bool {
			lit, ok := n.(*ast.CompositeLit)
			if !ok || len(lit.Elts) == 0 {
				return true
			}
			sel, ok := lit.Type.(*ast.SelectorExpr)
			if !ok {
				return true
			}
			pkg, _ := sel.X.(*ast.Ident)
			if pkg == nil {
				return true
			}
			allowed, ok := filled()[pkg.Name+"."+sel.Sel.Name]
			if !ok {
				return true
			}
			found[pkg.Name+"."+sel.Sel.Name]++
			if !slices.Contains(allowed, s.pkg) {
				t.Errorf("%s fills %s.%s: package compose does, so that a preview equals what is sent", s.at(lit), pkg.Name, sel.Sel.Name)
			}
			if s.pkg == "internal/linkpage" && strings.Contains(fieldsOf(lit), " Brand ") {
				t.Errorf("%s fills a page of an invite: package compose does", s.at(lit))
			}
			return true
		})
	}
	for name := range filled() {
		if found[name] == 0 {
			t.Errorf("nothing fills %s; this test looks for the wrong thing", name)
		}
	}
}

// fieldsOf lists the names of the fields that a literal sets.
func fieldsOf(lit *ast.CompositeLit) string {
	var out strings.Builder
	for _, e := range lit.Elts {
		if kv, ok := e.(*ast.KeyValueExpr); ok {
			if id, ok := kv.Key.(*ast.Ident); ok {
				out.WriteString(" " + id.Name + " ")
			}
		}
	}
	return out.String()
}
