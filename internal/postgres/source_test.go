package postgres_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// A NOTIFY inside a transaction makes all commits queue for one lock (see the
// package comment): only the Notifier sends, on a connection of its own.
func TestNobodyElseNotifies(t *testing.T) {
	t.Parallel()
	sends := regexp.MustCompile(`(?i)pg_notify\s*\(|["'` + "`" + `]\s*NOTIFY\s`)
	root := os.DirFS(filepath.Join("..", ".."))
	found := false
	err := fs.WalkDir(root, ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && path != "." && strings.HasPrefix(d.Name(), ".") {
			return fs.SkipDir
		}
		if d.IsDir() || strings.HasSuffix(path, "_test.go") || (filepath.Ext(path) != ".go" && filepath.Ext(path) != ".sql") {
			return nil
		}
		b, err := fs.ReadFile(root, path)
		if err != nil {
			return err
		}
		switch {
		case !sends.Match(b):
		case path == "internal/postgres/notifier.go":
			found = true
		default:
			t.Errorf("%s notifies by itself; use postgres.Notifier after the commit", path)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if !found {
		t.Error("the Notifier's own statement was not recognised: the search is broken")
	}
}
