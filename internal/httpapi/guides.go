package httpapi

import (
	"fmt"
	"net/http"
	"strings"
	"sync"

	"github.com/labstack/echo/v4"

	guides "github.com/connectlink/connectlink/docs"
	"github.com/connectlink/connectlink/internal/guide"
	"github.com/connectlink/connectlink/internal/invite"
)

// guideSet renders the guides at the first request for one: few processes are
// asked, and rendering takes memory.
func (d *docs) guideSet() func() (*guide.Set, error) {
	return sync.OnceValues(func() (*guide.Set, error) {
		set, err := guide.Load(guides.FS)
		if err != nil {
			return nil, fmt.Errorf("render the guides: %w", err)
		}
		set.Add(d.sections()...)
		return set, nil
	})
}

// sections are the parts of the reference that a search finds.
func (d *docs) sections() []guide.Section {
	var out []guide.Section
	for _, g := range d.model.Groups {
		for _, o := range g.Operations {
			out = append(out, guide.Section{
				Page: "API reference", Heading: strings.TrimSpace(o.Method + " " + o.Path), URL: "/docs#" + o.ID, Text: o.Summary + ". " + o.Description,
			})
		}
	}
	for _, f := range d.model.Errors {
		out = append(out, guide.Section{Page: "Errors", Heading: f.Code, URL: "/docs/errors/" + f.Code, Text: f.Title + ". " + f.Means + " " + f.Do})
	}
	for _, e := range invite.Explanations() {
		out = append(out, guide.Section{Page: "Why messages fail", Heading: string(e.Code), URL: "/docs/reasons#" + string(e.Code), Text: e.Title + ". " + e.Advice})
	}
	return out
}

// guidesView is what the list of guides and a guide show.
type guidesView struct {
	Groups []guide.Group
	Guide  guide.Guide
}

// guideIndex lists the guides.
func (d *docs) guideIndex(c echo.Context) error {
	set, err := d.guides()
	if err != nil {
		return err
	}
	return d.page(c, "guides.html", guidesView{Groups: set.Groups})
}

// guide shows one guide.
func (d *docs) guide(c echo.Context) error {
	set, err := d.guides()
	if err != nil {
		return err
	}
	g, ok := set.Find(c.Param("guide"))
	if !ok {
		c.Response().Header().Set("Cache-Control", "no-store")
		return invite.Errorf(invite.CodeNotFound, "There is no such guide; /docs/guides lists them all.")
	}
	return d.page(c, "guide.html", guidesView{Groups: set.Groups, Guide: g})
}

// maxQuery bounds the length of a search in bytes.
const maxQuery = 200

// searchView is what a search shows.
type searchView struct {
	Query string
	Hits  []guide.Hit
}

// search searches guides, reference, errors and reasons.
func (d *docs) search(c echo.Context) error {
	set, err := d.guides()
	if err != nil {
		return err
	}
	query := strings.TrimSpace(strings.ToValidUTF8(c.QueryParam("q"), ""))
	if len(query) > maxQuery {
		return invite.Errorf(invite.CodeInvalidRequest, "A search has at most %d characters.", maxQuery)
	}
	return d.page(c, "search.html", searchView{Query: query, Hits: set.Search(query)})
}

// script adds the copy buttons; the pages work without it.
func (d *docs) script(c echo.Context) error {
	js, err := pages.ReadFile("pages/docs.js")
	if err != nil {
		return fmt.Errorf("read the documentation's script: %w", err)
	}
	return c.Blob(http.StatusOK, "text/javascript; charset=utf-8", js)
}
