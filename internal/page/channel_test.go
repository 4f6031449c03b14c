package page_test

import (
	"io/fs"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/connectlink/connectlink/internal/page"
	"github.com/connectlink/connectlink/templates"
)

// Languages that projects added have all their words in their own pages: the file for
// the words of a channel is younger than those folders.
func TestALanguageNeedsNoFileForTheWordsOfAChannel(t *testing.T) {
	t.Parallel()
	all := withDutch(t)
	words := all["nl/pages/channel.html"].Data
	delete(all, "nl/pages/channel.html")
	if _, err := page.New(all); err == nil || !strings.Contains(err.Error(), "nl") {
		t.Fatalf("pages whose words are nowhere: %v", err)
	}
	common := all["nl/pages/common.html"].Data
	all["nl/pages/common.html"] = &fstest.MapFile{Data: append(append([]byte{}, common...), words...)}
	if _, err := page.New(all); err != nil {
		t.Errorf("pages with words of their own: %v", err)
	}
}

// So is the page of a link in a message that staff sent to themselves: theirs is in English.
func TestALanguageNeedsNoPageForSamples(t *testing.T) {
	t.Parallel()
	all := withDutch(t)
	delete(all, "nl/pages/sample.html")
	pages, err := page.New(all)
	if err != nil {
		t.Fatal(err)
	}
	if got := renderIn(t, pages, "nl", page.Sample, page.Data{}); !strings.Contains(got, "This is a sample of a message") {
		t.Error(got)
	}
	delete(all, "nl/pages/start.html")
	if _, err := page.New(all); err == nil || !strings.Contains(err.Error(), "nl") {
		t.Errorf("a language without another page: %v", err)
	}
}

// withDutch is the built-in templates with a language that a project added.
func withDutch(t *testing.T) fstest.MapFS {
	t.Helper()
	all := fstest.MapFS{}
	err := fs.WalkDir(templates.FS, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		src, err := fs.ReadFile(templates.FS, name)
		all[name] = &fstest.MapFile{Data: src}
		if rest, ok := strings.CutPrefix(name, "es/"); ok {
			all["nl/"+rest] = &fstest.MapFile{Data: src}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}
