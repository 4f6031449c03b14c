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
