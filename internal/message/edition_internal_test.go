package message

import (
	"io/fs"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/connectlink/connectlink/internal/secret"
	"github.com/connectlink/connectlink/templates"
)

func copyTemplates(t *testing.T) fstest.MapFS {
	t.Helper()
	files := fstest.MapFS{}
	err := fs.WalkDir(templates.FS, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		src, err := fs.ReadFile(templates.FS, name)
		files[name] = &fstest.MapFile{Data: src}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func TestProjectsShareTheLanguagesWhoseFilesAreEqual(t *testing.T) {
	t.Parallel()
	builtIn, err := NewRenderer(templates.FS)
	if err != nil {
		t.Fatal(err)
	}
	for changed, file := range map[string]string{"de": "de/sms/stop.txt", "es": "es/email/first.subject.txt", "": "layout/email.txt"} {
		files := copyTemplates(t)
		files[file] = &fstest.MapFile{Data: append([]byte("{{/* mine */}}"), files[file].Data...)}
		own, err := NewRenderer(files, builtIn)
		if err != nil {
			t.Fatal(err)
		}
		for tag := range builtIn.byTag {
			if shared := own.byTag[tag] == builtIn.byTag[tag]; shared != (changed != "" && tag != changed) {
				t.Errorf("%s changed, %s: shared %v", file, tag, shared)
			}
		}
	}
	// The direction of the writing is a word, and decides how names are set apart.
	files := copyTemplates(t)
	words := strings.Replace(string(files["fr/words.txt"].Data), `{{define "dir"}}ltr`, `{{define "dir"}}rtl`, 1)
	files["fr/words.txt"] = &fstest.MapFile{Data: []byte(words)}
	own, err := NewRenderer(files, builtIn)
	if err != nil {
		t.Fatal(err)
	}
	if own.byTag["fr"] == builtIn.byTag["fr"] {
		t.Error("two directions of writing share their templates")
	}
}

// Templates are compiled when the first message of a language is rendered. Files
// that were changed since the start were not tried: they must not be read.
func TestMessagesAreRenderedAsTheyWereTriedAtTheStart(t *testing.T) {
	t.Parallel()
	files := copyTemplates(t)
	r, err := NewRenderer(files)
	if err != nil {
		t.Fatal(err)
	}
	for name := range files {
		files[name] = &fstest.MapFile{Data: []byte("{{.Broken")}
	}
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	mail, err := r.Email(Vars{Brand: "Acme", AppName: "Slack", URL: secret.New("https://example.com/c/x"), ExpiresAt: now.Add(time.Hour), Now: now, Locale: "fr"})
	if err != nil || !strings.Contains(mail.HTML.Reveal(), `<html lang="fr"`) {
		t.Errorf("%v: %s", err, mail.HTML.Reveal())
	}
}

// Texts of a project's own that are older than the reference take the layout's word; the
// languages' own count.
func TestTextsWithoutAWordForTheReferenceTakeTheLayouts(t *testing.T) {
	t.Parallel()
	files := copyTemplates(t)
	body := string(files["fr/email/body.txt"].Data)
	older := strings.Replace(body, `{{define "reference"}}Référence{{end}}`, "", 1)
	if older == body {
		t.Fatal("fr/email/body.txt defines no reference")
	}
	files["fr/email/body.txt"] = &fstest.MapFile{Data: []byte(older)}
	r, err := NewRenderer(files)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for locale, want := range map[string]string{"fr": "Reference : 7KQ4-XM2P", "de": "Referenz: 7KQ4-XM2P"} {
		mail, err := r.Email(Vars{
			Brand: "Acme", AppName: "Slack", URL: secret.New("https://example.com/c/x"), ExpiresAt: now.Add(time.Hour), Now: now, Locale: locale, Reference: "7KQ4-XM2P",
		})
		if err != nil || !strings.Contains(strings.ReplaceAll(mail.Text.Reveal(), "\u00a0", " "), want) {
			t.Errorf("%s: %v: %s", locale, err, mail.Text.Reveal())
		}
	}
}
