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
	"path"
	"strings"

	"golang.org/x/text/language"
)

// Page is the data of one page: a type that embeds *Base.
type Page interface{ shell() *Base }

// Pages renders. It is safe for concurrent use.
type Pages struct {
	languages []*words
	matcher   language.Matcher
	pages     map[string]map[string]*template.Template // by language, by name
	assets    map[string]Asset                         // by name
}

// folder is where the console's files stand.
const folder = "console"

// sharedFiles are the files that every page has.
func sharedFiles() []string { return []string{"layout.html", "parts.html"} }

// New parses every page in every language.
func New(fsys fs.FS) (*Pages, error) {
	sub, err := fs.Sub(fsys, folder)
	if err != nil {
		return nil, fmt.Errorf("read the console's pages: %w", err)
	}
	p := &Pages{pages: map[string]map[string]*template.Template{}}
	if p.assets, err = readAssets(sub); err != nil {
		return nil, err
	}
	if p.languages, err = readLanguages(sub); err != nil {
		return nil, err
	}
	tags := make([]language.Tag, len(p.languages))
	for i, l := range p.languages {
		tags[i] = l.tag
		if p.pages[l.tag.String()], err = p.parse(sub, l); err != nil {
			return nil, fmt.Errorf("console in %s: %w", l.tag, err)
		}
	}
	p.matcher = language.NewMatcher(tags)
	return p, nil
}

func (p *Pages) parse(fsys fs.FS, l *words) (map[string]*template.Template, error) {
	base, err := template.New("").Funcs(p.funcs(l)).Option("missingkey=error").ParseFS(fsys, sharedFiles()...)
	if err != nil {
		return nil, err
	}
	files, err := fs.Glob(fsys, "*.html")
	if err != nil {
		return nil, err
	}
	out := map[string]*template.Template{}
	for _, file := range files {
		name := strings.TrimSuffix(path.Base(file), ".html")
		if name == "layout" || name == "parts" {
			continue
		}
		page, err := base.Clone()
		if err != nil {
			return nil, err
		}
		if out[name], err = page.ParseFS(fsys, file); err != nil {
			return nil, err
		}
	}
	return out, nil
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
	b := data.shell()
	t := p.pages[b.Lang][name]
	if t == nil {
		return fmt.Errorf("no page %q in language %q", name, b.Lang)
	}
	var out bytes.Buffer
	if err := t.ExecuteTemplate(&out, "layout", data); err != nil {
		return fmt.Errorf("render page %s: %w", name, err)
	}
	_, err := w.Write(out.Bytes())
	return err
}

// Part renders one template of a page's file, for a part that a script inserts
// into an open page, such as a new row.
func (p *Pages) Part(w io.Writer, name, part string, data Page) error {
	t := p.pages[data.shell().Lang][name]
	if t == nil {
		return fmt.Errorf("no page %q in language %q", name, data.shell().Lang)
	}
	var out bytes.Buffer
	if err := t.ExecuteTemplate(&out, part, data); err != nil {
		return fmt.Errorf("render %s of page %s: %w", part, name, err)
	}
	_, err := w.Write(out.Bytes())
	return err
}
