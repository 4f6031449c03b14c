//go:build unix

package devpg_test

import (
	"archive/tar"
	"compress/gzip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/connectlink/connectlink/deploy/devpg"
)

func archive(t *testing.T, files map[string]string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "a.tgz")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	gz := gzip.NewWriter(f)
	w := tar.NewWriter(gz)
	for name, content := range files {
		if err := w.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: int64(len(content))}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(content)); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []interface{ Close() error }{w, gz, f} {
		if err := c.Close(); err != nil {
			t.Fatal(err)
		}
	}
	return path
}

func TestUnpack(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "out")
	err := devpg.Unpack(archive(t, map[string]string{
		"package/native/bin/postgres":      "program",
		"package/native/lib/libpq.so.5.18": "library",
		"package/scripts/postinstall.js":   "never run, never written",
		"package/native/pg-symlinks.json":  `[{"source":"native/lib/libpq.so.5.18","target":"native/lib/libpq.so.5"}]`,
	}), dir)
	if err != nil {
		t.Fatal(err)
	}
	if st, err := os.Stat(filepath.Join(dir, "native/bin/postgres")); err != nil || st.Mode().Perm()&0o100 == 0 {
		t.Errorf("the program cannot be run: %v, %v", st, err)
	}
	if b, err := os.ReadFile(filepath.Join(dir, "native/lib/libpq.so.5")); err != nil || string(b) != "library" {
		t.Errorf("the link gives %q, %v", b, err)
	}
	if _, err := os.Stat(filepath.Join(dir, "scripts")); err == nil {
		t.Error("more than the server was unpacked")
	}
}

func TestUnpackStaysInItsFolder(t *testing.T) {
	t.Parallel()
	for name, files := range map[string]map[string]string{
		"a path that climbs": {"package/native/../../../escaped": "x"},
		"a link that climbs": {"package/native/pg-symlinks.json": `[{"source":"x","target":"../../escaped"}]`},
	} {
		base := t.TempDir()
		if err := devpg.Unpack(archive(t, files), filepath.Join(base, "a", "b")); err == nil {
			t.Errorf("%s: no error", name)
		}
		_ = filepath.WalkDir(base, func(path string, _ os.DirEntry, _ error) error {
			if strings.Contains(path, "escaped") {
				t.Errorf("%s: wrote %s", name, path)
			}
			return nil
		})
	}
}

func TestVerifyRefusesAnotherArchive(t *testing.T) {
	t.Parallel()
	path := archive(t, map[string]string{"a": "b"})
	if err := devpg.Verify(path, "sha512-AAAA"); err == nil || !strings.Contains(err.Error(), "sha512-AAAA") {
		t.Errorf("got %v", err)
	}
}
