package page

import (
	"errors"
	"fmt"
	"html/template"
	"io/fs"
	"maps"
	"slices"
	"sync"

	"github.com/connectlink/connectlink/internal/markup"
	"github.com/connectlink/connectlink/internal/message"
)

const layoutFile = "layout/page.html"

// edition is one language's pages: their sources, and the templates of those
// that were shown.
type edition struct {
	shared   []source // of all pages, in the order of parsing
	own      map[State]source
	compiled map[State]func() (*template.Template, error)
}

type source struct{ file, text string }

// readEdition reads the pages of a language. A language of a project's own may be older
// than the page Sample, which only staff see, and has then that of builtIn.
func readEdition(l, builtIn *message.Language, layout string) (*edition, error) {
	e := &edition{
		shared: []source{{layoutFile, layout}}, own: map[State]source{},
		compiled: map[State]func() (*template.Template, error){},
	}
	for _, name := range []string{"pages/channel.html", "pages/common.html"} {
		file, src, err := l.ReadFile(name)
		// A language of a project's own may have the words of a channel in its pages.
		if name == "pages/channel.html" && errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		e.shared = append(e.shared, source{file, string(src)})
	}
	for _, s := range States() {
		name := "pages/" + string(s) + ".html"
		file, src, err := l.ReadFile(name)
		if s == Sample && errors.Is(err, fs.ErrNotExist) {
			file, src, err = builtIn.ReadFile(name)
		}
		if err != nil {
			return nil, err
		}
		e.own[s] = source{file, string(src)}
		e.compiled[s] = sync.OnceValues(func() (*template.Template, error) { return e.compile(s) })
	}
	return e, nil
}

// findEqual returns the edition of a language in others that has e's sources.
func findEqual(e *edition, tag string, others []*Pages) *edition {
	for _, o := range others {
		if same := o.editions[tag]; same != nil && slices.Equal(same.shared, e.shared) && maps.Equal(same.own, e.own) {
			return same
		}
	}
	return nil
}

// compile parses one page. Its template is called "page" and has what that page
// needs of the shared sources.
func (e *edition) compile(s State) (*template.Template, error) {
	all := template.New("")
	for _, src := range append(slices.Clip(e.shared), e.own[s]) {
		if _, err := all.New(src.file).Parse(src.text); err != nil {
			return nil, fmt.Errorf("page %s: %w", s, err)
		}
	}
	page, err := markup.HTML(template.New("page"), all, "page")
	if err != nil {
		return nil, fmt.Errorf("page %s: %w", s, err)
	}
	return page, nil
}
