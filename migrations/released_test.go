package migrations

import (
	"crypto/sha256"
	"encoding/hex"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "add new migrations to the released ones")

// TestReleasedMigrationsAreNeverEdited: a database that has run a migration does
// not run it again, so an edit would reach new databases only. A new file is added
// to the list by -update; no line of the list is ever changed.
func TestReleasedMigrationsAreNeverEdited(t *testing.T) {
	t.Parallel()
	list := filepath.Join("testdata", "released.txt")
	text, err := os.ReadFile(list)
	if err != nil {
		t.Fatal(err)
	}
	released, newest := map[string]string{}, ""
	for line := range strings.Lines(string(text)) {
		name, sum, ok := strings.Cut(strings.TrimSpace(line), " ")
		if !ok || name <= newest {
			t.Fatalf("%s: %q is no name and hash, or not in order", list, line)
		}
		released[name], newest = sum, name
	}
	now := hashes(t)
	for name, sum := range released {
		switch got, ok := now[name]; {
		case !ok:
			t.Errorf("%s was released and is gone", name)
		case got != sum:
			t.Errorf("%s was released and is edited: put it back, and let a new migration follow", name)
		}
	}
	var added strings.Builder
	for _, name := range sorted(t) {
		switch _, ok := released[name]; {
		case ok:
		case name <= newest:
			t.Errorf("%s has a lower number than %s, which was released: databases that have that one would refuse it", name, newest)
		case *update:
			fmt.Fprintf(&added, "%s %s\n", name, now[name])
		default:
			t.Errorf("%s is not in the list; go test ./migrations -update", name)
		}
	}
	if added.Len() > 0 && !t.Failed() {
		if err := os.WriteFile(list, append(text, added.String()...), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// sorted are the names of all migrations, in their order.
func sorted(t *testing.T) []string {
	t.Helper()
	names, err := filepath.Glob("[0-9]*")
	if err != nil || len(names) == 0 {
		t.Fatalf("%d migrations, %v", len(names), err)
	}
	return names // by name, as Glob sorts them
}

// hashes are what the migrations do, by name: the hash of an SQL file, and for one
// in Go the version it leads to, because its code may be tidied.
func hashes(t *testing.T) map[string]string {
	t.Helper()
	out := map[string]string{}
	for _, name := range sorted(t) {
		if name == river().Source {
			out[name] = fmt.Sprintf("%s-%d", RiverSchema, riverVersion)
			continue
		}
		src, err := fs.ReadFile(FS, name)
		if err != nil {
			t.Fatalf("%s is a file that no migration is read from: %v", name, err)
		}
		sum := sha256.Sum256(src)
		out[name] = hex.EncodeToString(sum[:])
	}
	return out
}
