package structure_test

import (
	"fmt"
	"go/ast"
	"slices"
	"strings"
	"testing"
)

// crossing is an interface by which one use case calls another.
type crossing struct{ caller, name, callee, receiver string }

// crossings are all there are. One more is a decision: a chain of calls between
// use cases can end half-way, which an event in the same transaction cannot.
func crossings() []crossing {
	return []crossing{
		{"internal/visit", "Confirmer", "internal/track", "Tracker"},
		{"internal/visit", "Suppressions", "internal/suppress", "Service"},
		{"internal/warn", "Alerts", "internal/publish", "Outbox"},
		{"internal/firewall", "Alerts", "internal/publish", "Outbox"},
	}
}

func TestCallsBetweenUseCasesAreNamed(t *testing.T) {
	t.Parallel()
	all := product(sources(t))
	for _, c := range crossings() {
		wanted := interfaceMethods(all, c.caller, c.name)
		if len(wanted) == 0 {
			t.Errorf("%s declares no interface %s", c.caller, c.name)
		}
		for _, m := range wanted {
			if !hasMethod(all, c.callee, c.receiver, m) {
				t.Errorf("%s.%s has no method %s, which %s.%s wants", c.callee, c.receiver, m, c.caller, c.name)
			}
		}
	}
}

func crossingTable(all []source) string {
	table := []string{"| Caller | Interface | Filled with | Calls |", "|---|---|---|---|"}
	for _, c := range crossings() {
		calls := strings.Join(interfaceMethods(all, c.caller, c.name), "` `")
		table = append(table, fmt.Sprintf("| %s | %s | %s | %s |", code(short(c.caller)), code(c.name), code(short(c.callee)+"."+c.receiver), code(calls)))
	}
	return strings.Join(table, "\n")
}

// The wiring may give a use case what it itself has, and another use case only as
// one of the interfaces above: a method of a service as a function value is a call
// between use cases that nothing names.
func TestTheWiringHandsNoMethodOfAUseCaseToAnother(t *testing.T) {
	t.Parallel()
	all := product(sources(t))
	services := map[string]string{} // a field of App, and the use case whose service it is
	for _, s := range all {
		if s.pkg != "internal/app" {
			continue
		}
		ast.Inspect(s.syntax, func(n ast.Node) bool {
			if f, ok := n.(*ast.Field); ok && len(f.Names) > 0 {
				if pkg := useCase(f.Type); pkg != "" {
					for _, name := range f.Names {
						services[name.Name] = pkg
					}
				}
			}
			return true
		})
	}
	if services["track"] != "track" || services["suppress"] != "suppress" {
		t.Fatalf("the services of App are %v; this test looks for the wrong thing", services)
	}
	for _, s := range all {
		if s.pkg != "internal/app" {
			continue
		}
		ast.Inspect(s.syntax, func(n ast.Node) bool {
			lit, ok := n.(*ast.CompositeLit)
			if !ok || useCase(lit.Type) == "" {
				return true
			}
			for _, e := range lit.Elts {
				kv, ok := e.(*ast.KeyValueExpr)
				if !ok {
					continue
				}
				if method, ok := kv.Value.(*ast.SelectorExpr); ok {
					if field, ok := method.X.(*ast.SelectorExpr); ok && services[field.Sel.Name] != "" {
						t.Errorf("%s hands %s.%s to %s: declare an interface there, and name it in crossings", s.at(kv), field.Sel.Name, method.Sel.Name, useCase(lit.Type))
					}
				}
			}
			return true
		})
	}
}

// useCase is the use case that a type "pkg.Name" or "*pkg.Name" is of; empty when
// it is of none.
func useCase(typ ast.Expr) string {
	if star, ok := typ.(*ast.StarExpr); ok {
		typ = star.X
	}
	sel, ok := typ.(*ast.SelectorExpr)
	if !ok {
		return ""
	}
	pkg, ok := sel.X.(*ast.Ident)
	if !ok || !slices.Contains(rows()[useCases], pkg.Name) {
		return ""
	}
	return pkg.Name
}

// useCases is their row.
const useCases = 4

func interfaceMethods(all []source, pkg, name string) []string {
	var out []string
	for _, s := range all {
		if s.pkg != pkg {
			continue
		}
		ast.Inspect(s.syntax, func(n ast.Node) bool {
			spec, ok := n.(*ast.TypeSpec)
			if !ok || spec.Name.Name != name {
				return true
			}
			if face, ok := spec.Type.(*ast.InterfaceType); ok {
				for _, m := range face.Methods.List {
					for _, id := range m.Names {
						out = append(out, id.Name)
					}
				}
			}
			return false
		})
	}
	return out
}

func hasMethod(all []source, pkg, receiver, name string) bool {
	return slices.ContainsFunc(all, func(s source) bool {
		return s.pkg == pkg && slices.ContainsFunc(s.syntax.Decls, func(d ast.Decl) bool {
			f, ok := d.(*ast.FuncDecl)
			if !ok || f.Recv == nil || f.Name.Name != name {
				return false
			}
			typ := f.Recv.List[0].Type
			if star, ok := typ.(*ast.StarExpr); ok {
				typ = star.X
			}
			id, ok := typ.(*ast.Ident)
			return ok && id.Name == receiver
		})
	})
}
