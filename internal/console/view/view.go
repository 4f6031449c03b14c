// Package view owns what staff see in a browser: the console's templates and
// their execution, the data of each page, the catalogues of words, and the
// style and script that go with them.
//
// It must not read a request, write a header, look anything up or decide who
// may see what: package console does, and hands in what may be seen. An address
// that reaches a page is masked already, unless the page's data says otherwise.
//
// # Words
//
// Pages are written in English. Every text is marked, {{t "Sign in"}} or
// {{tn "%d invite" "%d invites" .N}}, and the marked text is the key under
// which the catalogues of other languages (console/de/*.po) have theirs. Go code
// says Base.T and Base.TN. A test finds every marked text and fails when a
// catalogue lacks it. The catalogues are read by this package: gotext 1.7.2, the
// library for the format, reports no fault of a file. An unclosed quote, a message
// that stands there twice and a missing plural form leave other words on a page,
// and its %d without a number.
//
// # A page
//
// is one file in console/ that defines "main", and one type here or in package
// console that embeds *Base. Scripts add comfort only: everything works without.
package view

import (
	"bytes"
	"fmt"
	"html/template"
	"io"
	"io/fs"
	"slices"
	"strings"
	"sync"

	"golang.org/x/text/language"

	"github.com/connectlink/connectlink/internal/markup"
)

// Page is the data of one page: a type that embeds *Base.
type Page interface{ shell() *Base }

// Pages renders. It is safe for concurrent use.
type Pages struct {
	languages []*words
	matcher   language.Matcher
	pages     map[string]map[string]func() (*template.Template, error) // by language, by name
	assets    map[string]Asset                                         // by name
}

// folder is where the console's files stand.
const folder = "console"

// sharedFiles are the files that every page has.
func sharedFiles() []string { return []string{"layout.html", "parts.html"} }

// New parses every page once. A page is compiled for a language when it is first
// shown in it, because staff read a few pages in their own language.
func New(fsys fs.FS) (*Pages, error) {
	sub, err := fs.Sub(fsys, folder)
	if err != nil {
		return nil, fmt.Errorf("read the console's pages: %w", err)
	}
	p := &Pages{pages: map[string]map[string]func() (*template.Template, error){}}
	if p.assets, err = readAssets(sub); err != nil {
		return nil, err
	}
	if p.languages, err = readLanguages(sub); err != nil {
		return nil, err
	}
	names, err := pageNames(sub)
	if err != nil {
		return nil, err
	}
	tags := make([]language.Tag, len(p.languages))
	for i, l := range p.languages {
		tags[i] = l.tag
		pages := map[string]func() (*template.Template, error){}
		for _, name := range names {
			pages[name] = sync.OnceValues(func() (*template.Template, error) { return p.compile(sub, l, name) })
		}
		p.pages[l.tag.String()] = pages
	}
	p.matcher = language.NewMatcher(tags)
	// What the files call is the same in every language.
	if _, err = p.parse(sub, p.languages[0], "*.html"); err != nil {
		return nil, fmt.Errorf("the console's pages: %w", err)
	}
	return p, nil
}

// pageNames lists the pages by their files.
func pageNames(fsys fs.FS) ([]string, error) {
	files, err := fs.Glob(fsys, "*.html")
	if err != nil {
		return nil, err
	}
	var names []string
	for _, file := range files {
		if !slices.Contains(sharedFiles(), file) {
			names = append(names, strings.TrimSuffix(file, ".html"))
		}
	}
	return names, nil
}

func (p *Pages) parse(fsys fs.FS, l *words, files ...string) (*template.Template, error) {
	return template.New("").Funcs(p.funcs(l)).ParseFS(fsys, files...)
}

// compile parses one page. Its set has the layout, the templates of the page's
// own file, and what they need of the shared files.
func (p *Pages) compile(fsys fs.FS, l *words, name string) (*template.Template, error) {
	file := name + ".html"
	own, err := p.parse(fsys, l, file)
	if err != nil {
		return nil, err
	}
	entries := []string{"layout"}
	for _, t := range own.Templates() {
		entries = append(entries, t.Name())
	}
	all, err := p.parse(fsys, l, append(sharedFiles(), file)...)
	if err != nil {
		return nil, err
	}
	return markup.HTML(template.New("").Funcs(p.funcs(l)).Option("missingkey=error"), all, entries...)
}

// Language gives the tag a person is shown the console in: what they chose, or
// else what their browser prefers.
func (p *Pages) Language(chosen, acceptLanguage string) string {
	for _, l := range p.languages {
		if l.tag.String() == chosen {
			return chosen
		}
	}
	wanted, _, err := language.ParseAcceptLanguage(acceptLanguage)
	if err != nil {
		wanted = nil // an unreadable header states no preference
	}
	_, i, confidence := p.matcher.Match(wanted...)
	if confidence == language.No {
		i = 0
	}
	return p.languages[i].tag.String()
}

// Names lists the pages there are.
func (p *Pages) Names() []string {
	var names []string
	for name := range p.pages[language.English.String()] {
		names = append(names, name)
	}
	return names
}

// Render writes the page of this name. Nothing is written when it fails.
func (p *Pages) Render(w io.Writer, name string, data Page) error {
	return p.Part(w, name, "layout", data)
}

// Part renders one template of a page's file, for a part that a script inserts
// into an open page, such as a new row.
func (p *Pages) Part(w io.Writer, name, part string, data Page) error {
	compiled := p.pages[data.shell().Lang][name]
	if compiled == nil {
		return fmt.Errorf("no page %q in language %q", name, data.shell().Lang)
	}
	t, err := compiled()
	if err != nil {
		return fmt.Errorf("compile page %s: %w", name, err)
	}
	var out bytes.Buffer
	if err := t.ExecuteTemplate(&out, part, data); err != nil {
		return fmt.Errorf("render %s of page %s: %w", part, name, err)
	}
	_, err = w.Write(out.Bytes())
	return err
}
