package structure_test

import (
	"flag"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// update rewrites the generated parts instead of comparing them.
var update = flag.Bool("update", false, "rewrite the generated parts of the documents")

const (
	root   = "../.."
	module = "github.com/connectlink/connectlink"
)

// source is one Go file of the module.
type source struct {
	path    string // from the root, with slashes
	pkg     string // its folder from the root
	test    bool
	lines   int
	set     *token.FileSet
	syntax  *ast.File
	imports []string // of this module, from the root; and others whole
}

// short is the name by which packages are ranked: without internal/.
func short(pkg string) string { return strings.TrimPrefix(pkg, "internal/") }

// at is a place in the file, for messages.
func (s source) at(n ast.Node) string {
	return s.path + ":" + strconv.Itoa(s.set.Position(n.Pos()).Line)
}

// parsed is every Go file of the module, read once for all tests.
var parsed = sync.OnceValues(parseAll)

// sources are all Go files of the module, under any build constraints.
func sources(t *testing.T) []source {
	t.Helper()
	all, err := parsed()
	if err != nil {
		t.Fatal(err)
	}
	if len(all) < 100 {
		t.Fatalf("found %d Go files; these tests look in the wrong place", len(all))
	}
	return all
}

func parseAll() ([]source, error) {
	var out []source
	err := filepath.WalkDir(root, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if name != root && (strings.HasPrefix(d.Name(), ".") || strings.HasPrefix(d.Name(), "_") || d.Name() == "testdata") {
				return fs.SkipDir
			}
			if _, err := os.Stat(filepath.Join(name, "go.mod")); err == nil && name != root {
				return fs.SkipDir // another module, such as client
			}
			return nil
		}
		if filepath.Ext(name) != ".go" {
			return nil
		}
		s, err := parse(name)
		out = append(out, s)
		return err
	})
	return out, err
}

func parse(name string) (source, error) {
	rel, err := filepath.Rel(root, name)
	if err != nil {
		return source{}, err
	}
	s := source{path: filepath.ToSlash(rel), set: token.NewFileSet(), test: strings.HasSuffix(name, "_test.go")}
	s.pkg = path.Dir(s.path)
	text, err := os.ReadFile(name)
	if err != nil {
		return source{}, err
	}
	s.lines = strings.Count(string(text), "\n")
	if s.syntax, err = parser.ParseFile(s.set, name, text, parser.ParseComments|parser.SkipObjectResolution); err != nil {
		return source{}, err
	}
	for _, i := range s.syntax.Imports {
		imported, err := strconv.Unquote(i.Path.Value)
		if err != nil {
			return source{}, err
		}
		s.imports = append(s.imports, strings.TrimPrefix(imported, module+"/"))
	}
	return s, nil
}

// product leaves out tests and what only tests use.
func product(all []source) []source {
	return slices.DeleteFunc(slices.Clone(all), func(s source) bool { return s.test || isSupport(s.pkg) })
}
