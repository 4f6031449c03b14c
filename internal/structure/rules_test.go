package structure_test

import (
	"go/ast"
	"go/token"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// words calls f with every string literal of a file that is no import and no struct tag.
func words(s source, f func(lit *ast.BasicLit, text string)) {
	ast.Inspect(s.syntax, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.ImportSpec:
			return false
		case *ast.Field:
			return n.Tag == nil // a field's type holds no words
		case *ast.BasicLit:
			if n.Kind == token.STRING {
				if text, err := strconv.Unquote(n.Value); err == nil {
					f(n, text)
				}
			}
		}
		return true
	})
}

// A NOTIFY inside a transaction makes every commit queue behind one lock of the
// whole server, so only the notifier, on a connection of its own, issues one.
func TestOnlyPostgresNotifies(t *testing.T) {
	t.Parallel()
	notify := regexp.MustCompile(`(?i)\bpg_notify\b|(?:^|;)\s*NOTIFY\s`)
	found := false
	for _, s := range product(sources(t)) {
		words(s, func(lit *ast.BasicLit, text string) {
			if !notify.MatchString(text) {
				return
			}
			if s.pkg == "internal/postgres" {
				found = true
				return
			}
			t.Errorf("%s notifies: only package postgres may", s.at(lit))
		})
	}
	if !found {
		t.Error("package postgres notifies nobody; this test looks for the wrong thing")
	}
}

// Other modules import devpg alone.
func TestTheDevelopmentServerStandsAlone(t *testing.T) {
	t.Parallel()
	found := false
	for _, s := range product(sources(t)) {
		if s.pkg != "deploy/devpg" {
			continue
		}
		found = true
		for _, i := range s.imports {
			if strings.HasPrefix(i, "internal/") || slices.Contains([]string{"config", "migrations", "templates"}, i) {
				t.Errorf("%s imports %s: it is to be of use without this service", s.path, i)
			}
		}
	}
	if !found {
		t.Error("there is no package deploy/devpg; this test looks for the wrong thing")
	}
}

// vendorWords are packages in which a word that looks like one of our statuses
// is a vendor's, beside those of providers: they speak its protocol, or stand in for it.
func vendorWords() []string {
	return []string{"internal/pipedream", "internal/sandbox"}
}

func TestStatusesAreWrittenOnlyInInvite(t *testing.T) {
	t.Parallel()
	all := sources(t)
	statuses := map[string]bool{}
	for _, s := range all {
		if s.pkg != "internal/invite" || s.test {
			continue
		}
		for _, v := range constants(s, "Status", "DeliveryStatus") {
			statuses[v] = true
		}
	}
	if !statuses["connected"] || !statuses["undelivered"] || len(statuses) < 18 {
		t.Fatalf("found the statuses %v in package invite; this test looks for the wrong thing", statuses)
	}
	for _, s := range product(all) {
		if s.pkg == "internal/invite" || isVendor(s.pkg) || slices.ContainsFunc(vendorWords(), func(p string) bool { return within(s.pkg, p) }) {
			continue
		}
		typed := typedConstants(s)
		words(s, func(lit *ast.BasicLit, text string) {
			if statuses[text] && !slices.Contains(typed, ast.Expr(lit)) && !otherMeaning(s.path, text) {
				t.Errorf("%s writes %q: use the constant of package invite", s.at(lit), text)
			}
		})
	}
}

// typedConstants are the values of constants that have a type of their own: the
// compiler keeps those from being taken for a status.
func typedConstants(s source) []ast.Expr {
	var out []ast.Expr
	for _, d := range s.syntax.Decls {
		if g, ok := d.(*ast.GenDecl); ok && g.Tok == token.CONST {
			for _, spec := range g.Specs {
				if v := spec.(*ast.ValueSpec); v.Type != nil {
					out = append(out, v.Values...)
				}
			}
		}
	}
	return out
}

// constants are the string constants of a file that have one of these types.
func constants(s source, types ...string) []string {
	var out []string
	for _, d := range s.syntax.Decls {
		g, ok := d.(*ast.GenDecl)
		if !ok || g.Tok != token.CONST {
			continue
		}
		for _, spec := range g.Specs {
			v := spec.(*ast.ValueSpec)
			name, ok := v.Type.(*ast.Ident)
			if !ok || !slices.Contains(types, name.Name) {
				continue
			}
			for _, value := range v.Values {
				if lit, ok := value.(*ast.BasicLit); ok {
					if text, err := strconv.Unquote(lit.Value); err == nil {
						out = append(out, text)
					}
				}
			}
		}
	}
	return out
}

// Echo stays replaceable: its next version must be a change of the inbound
// edges, of web, and of the wiring.
func TestEchoStaysAtTheInboundEdge(t *testing.T) {
	t.Parallel()
	for _, s := range sources(t) {
		number, _, _ := row(s.pkg)
		for i, imported := range s.imports {
			if strings.HasPrefix(imported, "github.com/labstack/") && (isSupport(s.pkg) || number < 1 || number > 3) {
				t.Errorf("%s imports %s: only app, web and the inbound edges may", s.at(s.syntax.Imports[i]), imported)
			}
		}
	}
}

// What a request comes to is a word; the status that says so is chosen at the
// inbound edge, so that another edge can answer in its own way.
func TestUseCasesAndStoresKnowNoStatusOfHTTP(t *testing.T) {
	t.Parallel()
	free := []string{
		"internal/issue", "internal/store", "internal/dispatch", "internal/grant", "internal/suppress", "internal/unmask", "internal/attend",
		"internal/erase", "internal/pause", "internal/compose", "internal/invite", "internal/resource", "internal/message",
	}
	found := map[string]bool{}
	for _, s := range product(sources(t)) {
		at := slices.IndexFunc(free, func(p string) bool { return within(s.pkg, p) })
		if at < 0 {
			continue
		}
		found[free[at]] = true
		for i, imported := range s.imports {
			if imported == "net/http" {
				t.Errorf("%s imports %s: name an outcome, and let httpapi choose the status", s.at(s.syntax.Imports[i]), imported)
			}
		}
	}
	if len(found) != len(free) {
		t.Errorf("found %d of %d packages; this test looks for the wrong thing", len(found), len(free))
	}
}

func TestNothingHappensBeforeMain(t *testing.T) {
	t.Parallel()
	for _, s := range sources(t) {
		for _, d := range s.syntax.Decls {
			if f, ok := d.(*ast.FuncDecl); ok && f.Recv == nil && f.Name.Name == "init" {
				t.Errorf("%s is an init function: whoever imports a package must not thereby run it", s.at(f))
			}
		}
	}
}

// A package-level variable is state that no caller handed in. Allowed are
// values that nothing changes: errors, compiled patterns, embedded files, and
// assertions that a type satisfies an interface.
func TestNoPackageLevelState(t *testing.T) {
	t.Parallel()
	for _, s := range product(sources(t)) {
		for _, d := range s.syntax.Decls {
			g, ok := d.(*ast.GenDecl)
			if !ok || g.Tok != token.VAR {
				continue
			}
			for _, spec := range g.Specs {
				v := spec.(*ast.ValueSpec)
				for i, name := range v.Names {
					if !constant(g, v, i) && !settled(s.path, name.Name) {
						t.Errorf("%s: package-level variable %s can change under its users' feet", s.at(name), name.Name)
					}
				}
			}
		}
	}
}

// constant reports whether a variable's value is one that cannot be changed in place.
func constant(g *ast.GenDecl, v *ast.ValueSpec, i int) bool {
	if v.Names[i].Name == "_" {
		return true
	}
	for _, doc := range []*ast.CommentGroup{g.Doc, v.Doc} {
		if doc != nil && slices.ContainsFunc(doc.List, func(c *ast.Comment) bool { return strings.HasPrefix(c.Text, "//go:embed") }) {
			return true
		}
	}
	if i >= len(v.Values) {
		return false
	}
	call, ok := v.Values[i].(*ast.CallExpr)
	if !ok {
		return false
	}
	f, ok := call.Fun.(*ast.SelectorExpr)
	if !ok {
		return false
	}
	if f.Sel.Name == "WithPadding" {
		return true // of an encoding, which has no method that changes it
	}
	pkg, ok := f.X.(*ast.Ident)
	return ok && slices.Contains([]string{"errors.New", "fmt.Errorf", "regexp.MustCompile", "strings.NewReplacer"}, pkg.Name+"."+f.Sel.Name)
}

func TestFilesStayReadable(t *testing.T) {
	t.Parallel()
	const most = 500
	for _, s := range sources(t) {
		if !s.test && s.lines > most {
			t.Errorf("%s has %d lines; more than %d are two files", s.path, s.lines, most)
		}
	}
}

func TestEveryPackageSaysWhatItOwns(t *testing.T) {
	t.Parallel()
	comments := map[string]int{}
	for _, s := range sources(t) {
		if s.test {
			continue
		}
		comments[s.pkg] += 0
		if s.syntax.Doc != nil && len(s.syntax.Doc.Text()) > 40 {
			comments[s.pkg]++
		}
	}
	for pkg, n := range comments {
		if n != 1 {
			t.Errorf("package %s has %d package comments; it needs one that says what it owns", pkg, n)
		}
	}
}

// Processes of package chaos die at places that dispatch reports. The program
// must not set that hook, under any configuration.
func TestTheProgramHasNoHookToDieBy(t *testing.T) {
	t.Parallel()
	declared := 0
	for _, s := range product(sources(t)) {
		if s.pkg == "internal/dispatch" {
			declared += strings.Count(fields(s.syntax), " Passing ")
			continue
		}
		ast.Inspect(s.syntax, func(n ast.Node) bool {
			var set []ast.Expr
			switch n := n.(type) {
			case *ast.KeyValueExpr:
				set = []ast.Expr{n.Key}
			case *ast.AssignStmt:
				for _, to := range n.Lhs {
					if sel, ok := to.(*ast.SelectorExpr); ok {
						set = append(set, sel.Sel)
					}
				}
			}
			for _, e := range set {
				if id, ok := e.(*ast.Ident); ok && id.Name == "Passing" {
					t.Errorf("%s sets the hook at which processes are killed in tests", s.at(id))
				}
			}
			return true
		})
	}
	if declared != 1 {
		t.Error("dispatch has no such hook any more; this test looks in the wrong place")
	}
}

// fields lists the names of a file's struct fields.
func fields(f *ast.File) string {
	var out strings.Builder
	ast.Inspect(f, func(n ast.Node) bool {
		if field, ok := n.(*ast.Field); ok {
			for _, name := range field.Names {
				out.WriteString(" " + name.Name + " ")
			}
		}
		return true
	})
	return out.String()
}
