package page

import (
	"bytes"
	"io/fs"
	"strings"
	"testing"
	"testing/fstest"

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
	builtIn, err := New(templates.FS)
	if err != nil {
		t.Fatal(err)
	}
	files := copyTemplates(t)
	files["de/pages/thanks.html"] = &fstest.MapFile{Data: []byte(`{{define "title"}}x{{end}}{{define "main"}}Eigene Worte{{end}}`)}
	own, err := New(files, builtIn)
	if err != nil {
		t.Fatal(err)
	}
	second, err := New(files, builtIn, own)
	if err != nil {
		t.Fatal(err)
	}
	for tag := range builtIn.editions {
		if shared := own.editions[tag] == builtIn.editions[tag]; shared != (tag != "de") {
			t.Errorf("%s: shared %v", tag, shared)
		}
		if second.editions[tag] != own.editions[tag] {
			t.Errorf("%s is not shared by two projects with the same files", tag)
		}
	}
	files["layout/page.html"].Data = append([]byte("{{/* mine */}}"), files["layout/page.html"].Data...)
	third, err := New(files, builtIn, own)
	if err != nil {
		t.Fatal(err)
	}
	if third.editions["fr"] == own.editions["fr"] {
		t.Error("a layout of its own is not used")
	}
}

// A page is compiled when it is first shown. A file that was changed since the
// start was not tried: it must not be read.
func TestAPageIsShownAsItWasTriedAtTheStart(t *testing.T) {
	t.Parallel()
	files := copyTemplates(t)
	p, err := New(files)
	if err != nil {
		t.Fatal(err)
	}
	for name := range files {
		files[name] = &fstest.MapFile{Data: []byte("{{.Broken")}
	}
	var b bytes.Buffer
	if err := p.Render(&b, Thanks, "fr", Data{}); err != nil || !strings.Contains(b.String(), `<html lang="fr"`) {
		t.Errorf("%v: %s", err, &b)
	}
}
