package guide

import (
	"slices"
	"strings"

	"github.com/yuin/goldmark/ast"
)

// Section is what a search finds: the text below one heading of a page.
type Section struct {
	Page    string // title of the page
	Heading string // empty for the text before the first heading below the title
	URL     string
	Text    string
}

// Hit is a section that was found, with the text around the first word.
type Hit struct {
	Section
	Excerpt string
}

// maxHits bounds an answer.
const maxHits = 30

// excerptLength is the length of an excerpt in bytes, about two lines.
const excerptLength = 180

// Add adds sections that are not part of a guide, such as those of the API
// reference.
func (s *Set) Add(sections ...Section) { s.index = append(s.index, sections...) }

// Search returns the sections that contain all words of a query, those with the
// words in their title or heading first. Case is ignored.
func (s *Set) Search(query string) []Hit {
	words := strings.Fields(strings.ToLower(query))
	if len(words) == 0 {
		return nil
	}
	type ranked struct {
		Hit
		rank int
	}
	var found []ranked
	for _, section := range s.index {
		rank, ok := rankOf(section, words)
		if ok {
			found = append(found, ranked{Hit{section, excerpt(section.Text, words)}, rank})
		}
	}
	slices.SortStableFunc(found, func(a, b ranked) int { return b.rank - a.rank })
	hits := make([]Hit, 0, min(len(found), maxHits))
	for _, f := range found[:min(len(found), maxHits)] {
		hits = append(hits, f.Hit)
	}
	return hits
}

// rankOf returns how many words stand in a section's title and heading; ok is false
// if one is missing in the whole section.
func rankOf(s Section, words []string) (rank int, ok bool) {
	title, heading, text := strings.ToLower(s.Page), strings.ToLower(s.Heading), strings.ToLower(s.Text)
	for _, w := range words {
		inTitle, inHeading := strings.Contains(title, w), strings.Contains(heading, w)
		switch {
		case inHeading:
			rank += 2
		case inTitle:
			rank++
		case !strings.Contains(text, w):
			return 0, false
		}
	}
	return rank, true
}

// excerpt cuts the text around the first word that it contains, at white space.
func excerpt(text string, words []string) string {
	lower := strings.ToLower(text)
	at := 0
	for _, w := range words {
		if i := strings.Index(lower, w); i >= 0 && i < len(text) {
			at = i
			break
		}
	}
	from := max(0, at-excerptLength/3)
	if i := strings.IndexByte(text[from:], ' '); from > 0 && i >= 0 {
		from += i + 1
	}
	to := min(len(text), from+excerptLength)
	if i := strings.LastIndexByte(text[from:to], ' '); to < len(text) && i > 0 {
		to = from + i
	}
	cut := strings.ToValidUTF8(text[from:to], "")
	if from > 0 {
		cut = "… " + cut
	}
	if to < len(text) {
		cut += " …"
	}
	return cut
}

// readSections reads a page's title, its headings' anchors, and the text below each
// heading.
func (p *page) readSections(doc ast.Node, source []byte) {
	current := Section{URL: Root + p.Slug}
	var b strings.Builder
	flush := func() {
		current.Text = strings.Join(strings.Fields(b.String()), " ")
		if current.Text != "" || current.Heading != "" {
			p.sections = append(p.sections, current)
		}
		b.Reset()
	}
	for n := doc.FirstChild(); n != nil; n = n.NextSibling() {
		heading, ok := n.(*ast.Heading)
		if !ok {
			writeText(&b, n, source)
			continue
		}
		var title strings.Builder
		writeText(&title, n, source)
		if heading.Level == 1 && p.Title == "" {
			p.Title = strings.TrimSpace(title.String())
			current.Page = p.Title
			continue
		}
		flush()
		anchor := ""
		if id, ok := n.AttributeString("id"); ok {
			anchor = string(id.([]byte))
		}
		p.anchors[anchor] = true
		current = Section{Page: p.Title, Heading: strings.TrimSpace(title.String()), URL: Root + p.Slug + "#" + anchor}
	}
	flush()
}

// writeText writes the text of a node, without markup.
func writeText(b *strings.Builder, n ast.Node, source []byte) {
	_ = ast.Walk(n, func(n ast.Node, entering bool) (ast.WalkStatus, error) {
		if !entering {
			if n.Type() == ast.TypeBlock {
				b.WriteByte(' ')
			}
			return ast.WalkContinue, nil
		}
		switch n := n.(type) {
		case *ast.Text:
			b.Write(n.Segment.Value(source))
			if n.SoftLineBreak() || n.HardLineBreak() {
				b.WriteByte(' ')
			}
		case *ast.FencedCodeBlock, *ast.CodeBlock:
			lines := n.Lines()
			for i := range lines.Len() {
				line := lines.At(i)
				b.Write(line.Value(source))
			}
		}
		return ast.WalkContinue, nil
	})
}
