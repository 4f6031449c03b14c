// Package guide renders the guides of folder docs and searches them. It serves
// nothing: httpapi shows what it makes at /docs/guides.
package guide

import (
	"bytes"
	"errors"
	"fmt"
	"html/template"
	"io/fs"
	"path"
	"strings"

	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/extension"
	"github.com/yuin/goldmark/parser"
	"github.com/yuin/goldmark/text"
)

// Root is the path below which guides are served.
const Root = "/docs/guides/"

// Guide is one page.
type Guide struct {
	Slug  string // its file's path without .md, with - for /
	Title string
	HTML  template.HTML
}

// URL is the path of the guide's page.
func (g Guide) URL() string { return Root + g.Slug }

// Group is a heading of the list of guides.
type Group struct {
	Name   string
	Guides []Guide
}

// Set holds all guides.
type Set struct {
	Groups []Group
	bySlug map[string]Guide
	index  []Section
}

// contents is the list of guides in the order in which it is shown.
func contents() []struct {
	name  string
	files []string
} {
	return []struct {
		name  string
		files []string
	}{
		{"Start", []string{"quickstart", "concepts", "test-recipients", "command-line"}},
		{"Build", []string{
			"send-and-track", "reconnect", "api", "limits", "webhooks", "verify-webhooks", "mobile/ios", "mobile/android", "mobile/react-native", "mobile/flutter", "mobile/hybrid",
		}},
		{"Go live", []string{"going-live", "deploying", "configuration", "spend-firewall", "delivery-guarantees", "limitations"}},
		{"Run", []string{"operations", "scaling", "security", "console", "reasons", "verdicts", "performance"}},
		{"Runbooks", []string{
			"runbooks/deliveries-overdue", "runbooks/workers-missing", "runbooks/requests-failing", "runbooks/mint-failing", "runbooks/provider-failing", "runbooks/jobs-overdue", "runbooks/keys-missing", "runbooks/sending-paused",
			"runbooks/message-parked", "runbooks/deliveries-failing", "runbooks/answers-lost", "runbooks/webhooks-overdue", "runbooks/database-pool", "runbooks/leases-lost", "runbooks/callbacks-refused", "runbooks/replica-unused",
		}},
		{"Understand the code", []string{"architecture", "glossary"}},
	}
}

// Load renders the guides in files. A guide that is missing or is not listed, and
// a link to a guide or a heading that does not exist, are errors.
func Load(files fs.FS) (*Set, error) {
	s := &Set{bySlug: make(map[string]Guide)}
	headings := make(map[string]map[string]bool)
	var links []link
	var faults []error
	for _, c := range contents() {
		group := Group{Name: c.name}
		for _, name := range c.files {
			p, err := readPage(files, name)
			if err != nil {
				faults = append(faults, fmt.Errorf("guide %s: %w", name, err))
				continue
			}
			group.Guides = append(group.Guides, p.Guide)
			s.bySlug[p.Slug] = p.Guide
			s.index = append(s.index, p.sections...)
			links = append(links, p.links...)
			headings[p.Slug] = p.anchors
		}
		s.Groups = append(s.Groups, group)
	}
	faults = append(faults, checkListed(files, s.bySlug)...)
	for _, l := range links {
		if anchors, ok := headings[l.slug]; !ok || l.anchor != "" && !anchors[l.anchor] {
			faults = append(faults, fmt.Errorf("guide %s links to %s#%s, which does not exist", l.from, l.slug, l.anchor))
		}
	}
	return s, errors.Join(faults...)
}

// checkListed returns an error for each file that is not listed.
func checkListed(files fs.FS, listed map[string]Guide) (faults []error) {
	err := fs.WalkDir(files, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || path.Ext(name) != ".md" {
			return err
		}
		if _, ok := listed[slugOf(strings.TrimSuffix(name, ".md"))]; !ok {
			faults = append(faults, fmt.Errorf("%s is in no group of guides", name))
		}
		return nil
	})
	if err != nil {
		faults = append(faults, err)
	}
	return faults
}

// Find returns the guide with a slug.
func (s *Set) Find(slug string) (Guide, bool) {
	g, ok := s.bySlug[slug]
	return g, ok
}

// link is a link from one guide to another.
type link struct{ from, slug, anchor string }

// page is a rendered guide with all that Load compares and searches.
type page struct {
	Guide
	folder   string
	sections []Section
	links    []link
	anchors  map[string]bool
}

// slugOf is the slug of a file that is named without .md.
func slugOf(name string) string { return strings.ReplaceAll(name, "/", "-") }

// readPage renders the guide in a file that is named without .md.
func readPage(files fs.FS, name string) (page, error) {
	source, err := fs.ReadFile(files, name+".md")
	if err != nil {
		return page{}, err
	}
	md := goldmark.New(goldmark.WithExtensions(extension.Table), goldmark.WithParserOptions(parser.WithAutoHeadingID()))
	doc := md.Parser().Parse(text.NewReader(source))
	p := page{Guide: Guide{Slug: slugOf(name)}, folder: path.Dir(name), anchors: make(map[string]bool)}
	if err := p.rewriteLinks(doc); err != nil {
		return page{}, err
	}
	p.readSections(doc, source)
	if p.Title == "" {
		return page{}, errors.New("it has no first heading")
	}
	var b bytes.Buffer
	if err := md.Renderer().Render(&b, source, doc); err != nil {
		return page{}, err
	}
	// goldmark escapes all text and leaves raw HTML out.
	p.HTML = template.HTML(b.String()) //nolint:gosec // see above
	return p, nil
}

// rewriteLinks makes links between guides lead to their pages. Of a link to
// another file of the repository, which is not served, the text is left.
func (p *page) rewriteLinks(doc ast.Node) error {
	var outside []*ast.Link
	err := ast.Walk(doc, func(n ast.Node, entering bool) (ast.WalkStatus, error) {
		l, ok := n.(*ast.Link)
		if !ok || !entering {
			return ast.WalkContinue, nil
		}
		to := string(l.Destination)
		if strings.HasPrefix(to, "https://") || strings.HasPrefix(to, "http://") {
			l.SetAttributeString("rel", []byte("noreferrer"))
			return ast.WalkContinue, nil
		}
		file, anchor, _ := strings.Cut(to, "#")
		if file == "" {
			p.links = append(p.links, link{p.Slug, p.Slug, anchor})
			return ast.WalkContinue, nil
		}
		file = path.Join(p.folder, file)
		if strings.HasPrefix(file, "../") || path.Ext(file) != ".md" {
			outside = append(outside, l)
			return ast.WalkContinue, nil
		}
		slug := slugOf(strings.TrimSuffix(file, ".md"))
		p.links = append(p.links, link{p.Slug, slug, anchor})
		to = Root + slug
		if anchor != "" {
			to += "#" + anchor
		}
		l.Destination = []byte(to)
		return ast.WalkContinue, nil
	})
	for _, l := range outside {
		for child := l.FirstChild(); child != nil; child = l.FirstChild() {
			l.Parent().InsertBefore(l.Parent(), l, child)
		}
		l.Parent().RemoveChild(l.Parent(), l)
	}
	return err
}
