package web_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/web"
)

// declaredCodes reads the Code… constants of package invite from its source.
func declaredCodes(t *testing.T) []invite.Code {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), "../invite/error.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	var codes []invite.Code
	ast.Inspect(file, func(n ast.Node) bool {
		v, ok := n.(*ast.ValueSpec)
		if !ok || len(v.Values) != 1 || !strings.HasPrefix(v.Names[0].Name, "Code") {
			return true
		}
		if lit, ok := v.Values[0].(*ast.BasicLit); ok {
			s, err := strconv.Unquote(lit.Value)
			if err != nil {
				t.Fatal(err)
			}
			codes = append(codes, invite.Code(s))
		}
		return true
	})
	if len(codes) < 30 {
		t.Fatalf("only %d codes found: has the file moved?", len(codes))
	}
	return codes
}

func TestEveryCodeHasOneStatus(t *testing.T) {
	t.Parallel()
	var listed []invite.Code
	for _, k := range web.Kinds() {
		if slices.Contains(listed, k.Code) {
			t.Errorf("%s is listed twice", k.Code)
		}
		listed = append(listed, k.Code)
		if k.Status < 400 || k.Status > 599 || k.Title == "" || strings.HasSuffix(k.Title, ".") {
			t.Errorf("%s: status %d, title %q", k.Code, k.Status, k.Title)
		}
	}
	for _, code := range declaredCodes(t) {
		if !slices.Contains(listed, code) {
			t.Errorf("%s has no status", code)
		}
	}
	for _, code := range listed {
		if !slices.Contains(declaredCodes(t), code) {
			t.Errorf("%s is no code of package invite", code)
		}
	}
}
