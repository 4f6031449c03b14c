package templates_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/connectlink/connectlink/templates"
)

func folder(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		name = filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestOwnFilesLieOverTheBuiltInOnes(t *testing.T) {
	t.Parallel()
	fsys, err := templates.Over(folder(t, map[string]string{
		"en/sms/resend.txt": "mine", "pt/words.txt": "new", ".git/config": "x", "en/.swp": "x",
	}))
	if err != nil {
		t.Fatal(err)
	}
	read := func(name string) string {
		t.Helper()
		src, err := fs.ReadFile(fsys, name)
		if err != nil {
			t.Fatal(err)
		}
		return string(src)
	}
	if read("en/sms/resend.txt") != "mine" || read("pt/words.txt") != "new" || !strings.Contains(read("en/sms/first.txt"), "Link works for") {
		t.Error("the layers are mixed up")
	}
	var seen []string
	err = fs.WalkDir(fsys, ".", func(name string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			seen = append(seen, name)
		}
		return err
	})
	if err != nil || len(seen) != len(templates.Names())+1 {
		t.Errorf("%d files of both, want %d: %v", len(seen), len(templates.Names())+1, err)
	}
}

func TestAFolderHoldsTextsOnly(t *testing.T) {
	t.Parallel()
	outside := filepath.Join(folder(t, map[string]string{"secret": "canary"}), "secret")
	for name, tt := range map[string]struct{ file, want string }{
		"a name that nothing reads":      {"en/sms/frist.txt", "en/sms/frist.txt: nothing reads"},
		"a layout there is none of":      {"layout/email.mjml", "layout/email.mjml: nothing reads"},
		"a script":                       {"layout/page.js", "scripts are not replaced"},
		"the console, which is not ours": {"console/home.html", "console/home.html: nothing reads"},
		"a file that is too long":        {"en/sms/first.txt", "at most 128 KB"},
	} {
		text := "x"
		if strings.Contains(tt.want, "KB") {
			text = strings.Repeat("x", 129<<10)
		}
		if _, err := templates.Over(folder(t, map[string]string{tt.file: text})); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	linked := folder(t, map[string]string{"en/sms/resend.txt": "x"})
	if err := os.Symlink(outside, filepath.Join(linked, "en/sms/first.txt")); err != nil {
		t.Fatal(err)
	}
	if _, err := templates.Over(linked); err == nil || !strings.Contains(err.Error(), "first.txt: want a file, not a link") {
		t.Errorf("a link that leads outside: %v", err)
	}
	if _, err := templates.Over(t.TempDir()); err == nil || !strings.Contains(err.Error(), "holds no file") {
		t.Errorf("an empty folder: %v", err)
	}
	if _, err := templates.Over(filepath.Join(t.TempDir(), "gone")); err == nil {
		t.Error("no folder at all was taken")
	}
	all := folder(t, map[string]string{"en/a.txt": "", "en/b.txt": ""})
	if _, err := templates.Over(all); err == nil || !strings.Contains(err.Error(), "a.txt") || !strings.Contains(err.Error(), "b.txt") {
		t.Errorf("not all faults at once: %v", err)
	}
}
