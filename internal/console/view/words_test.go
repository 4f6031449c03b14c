package view_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"text/template/parse"

	"github.com/connectlink/connectlink/internal/console/view"
	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/templates"
)

// marked are the texts that pages and code show, with their plural forms; ""
// where there is none.
func marked(t *testing.T) map[string]string {
	t.Helper()
	found := map[string]string{}
	pages, err := fs.Glob(templates.Console, "console/*.html")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range pages {
		src, err := fs.ReadFile(templates.Console, name)
		if err != nil {
			t.Fatal(err)
		}
		tree := parse.New(name)
		tree.Mode = parse.SkipFuncCheck
		set := map[string]*parse.Tree{}
		if _, err := tree.Parse(string(src), "", "", set); err != nil {
			t.Fatal(err)
		}
		for _, part := range set {
			inTemplate(t, name, part.Root, found)
		}
	}
	for _, dir := range []string{".", ".."} {
		for _, file := range sourcesBelow(t, dir) {
			inGo(t, file, found)
		}
	}
	for _, e := range slices.Concat(invite.Explanations(), invite.ExplanationsWhileTrying()) {
		put(found, e.Title, "")
		put(found, e.Advice, "")
	}
	return found
}

func sourcesBelow(t *testing.T, dir string) []string {
	t.Helper()
	var out []string
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() && strings.HasSuffix(path, ".go") && !strings.HasSuffix(path, "_test.go") && !slices.Contains(out, path) {
			out = append(out, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// inTemplate finds {{t "…"}} and {{tn "…" "…" n}}, wherever they stand.
func inTemplate(t *testing.T, file string, n parse.Node, found map[string]string) {
	switch n := n.(type) {
	case *parse.ListNode:
		if n == nil {
			return
		}
		for _, c := range n.Nodes {
			inTemplate(t, file, c, found)
		}
	case *parse.ActionNode:
		inTemplate(t, file, n.Pipe, found)
	case *parse.TemplateNode:
		inTemplate(t, file, n.Pipe, found)
	case *parse.IfNode:
		inBranch(t, file, &n.BranchNode, found)
	case *parse.RangeNode:
		inBranch(t, file, &n.BranchNode, found)
	case *parse.WithNode:
		inBranch(t, file, &n.BranchNode, found)
	case *parse.PipeNode:
		if n == nil {
			return
		}
		for _, c := range n.Cmds {
			inTemplate(t, file, c, found)
		}
	case *parse.CommandNode:
		if f, ok := n.Args[0].(*parse.IdentifierNode); ok && (f.Ident == "t" || f.Ident == "tn") {
			var texts []string
			for _, a := range n.Args[1:] {
				if s, ok := a.(*parse.StringNode); ok {
					texts = append(texts, s.Text)
				} else {
					break
				}
			}
			switch {
			case f.Ident == "t" && len(texts) > 0:
				put(found, texts[0], "")
			case f.Ident == "tn" && len(texts) > 1:
				put(found, texts[0], texts[1])
			default:
				t.Errorf("%s: %s is not a text that can be found; write it out, or use tv", file, n)
			}
		}
		for _, a := range n.Args {
			inTemplate(t, file, a, found)
		}
	}
}

func inBranch(t *testing.T, file string, n *parse.BranchNode, found map[string]string) {
	inTemplate(t, file, n.Pipe, found)
	inTemplate(t, file, n.List, found)
	inTemplate(t, file, n.ElseList, found)
}

func put(found map[string]string, one, many string) {
	if found[one] == "" {
		found[one] = many
	}
}

// inGo finds T("…"), t("…"), TN("…", "…"), text("…"), number("…", "…") and M("…").
func inGo(t *testing.T, file string, found map[string]string) {
	t.Helper()
	src, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	syntax, err := parser.ParseFile(token.NewFileSet(), file, src, 0)
	if err != nil {
		t.Fatal(err)
	}
	ast.Inspect(syntax, func(n ast.Node) bool {
		call, ok := n.(*ast.CallExpr)
		if !ok || len(call.Args) == 0 {
			return true
		}
		name := ""
		switch f := call.Fun.(type) {
		case *ast.SelectorExpr:
			name = f.Sel.Name
		case *ast.Ident:
			name = f.Name
		}
		literal := func(i int) (string, bool) {
			if i >= len(call.Args) {
				return "", false
			}
			lit, ok := call.Args[i].(*ast.BasicLit)
			if !ok || lit.Kind != token.STRING {
				return "", false
			}
			s, err := strconv.Unquote(lit.Value)
			return s, err == nil
		}
		one, ok := literal(0)
		if !ok {
			return true
		}
		many, plural := literal(1)
		switch {
		case slices.Contains([]string{"T", "t", "text", "M"}, name):
			put(found, one, "")
		case slices.Contains([]string{"TN", "tn", "number"}, name) && plural:
			put(found, one, many)
		}
		return true
	})
}

// A page in Arabic with a sentence in English looks broken, so a text without a
// translation is a fault, and so is a translation of nothing. The report is in
// the form of a catalogue, ready to be filled in.
func TestEveryTextIsTranslated(t *testing.T) {
	t.Parallel()
	texts := marked(t)
	if len(texts) < 100 || texts["%d message"] != "%d messages" || texts["%d minute ago"] == "" {
		t.Fatalf("found %d texts; this test looks for the wrong thing", len(texts))
	}
	pages, err := view.New(templates.Console)
	if err != nil {
		t.Fatal(err)
	}
	for _, lang := range []string{"de", "ar", "es", "fr"} {
		if pages.Language(lang, "") != lang {
			t.Errorf("there is no %s", lang)
		}
		known := pages.Texts(lang)
		var missing strings.Builder
		for _, text := range slices.Sorted(maps.Keys(texts)) {
			if _, ok := known[text]; !ok {
				missing.WriteString("msgid " + strconv.Quote(text) + "\n")
				if many := texts[text]; many != "" {
					missing.WriteString("msgid_plural " + strconv.Quote(many) + "\n")
				}
			}
			delete(known, text)
		}
		if missing.Len() > 0 {
			t.Errorf("%s lacks:\n%s", lang, missing.String())
		}
		for text := range known {
			t.Errorf("%s translates %q, which no page shows", lang, text)
		}
	}
}
