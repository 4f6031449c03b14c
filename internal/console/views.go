package console

import (
	"errors"
	"strings"

	"github.com/connectlink/connectlink/internal/access"
	"github.com/connectlink/connectlink/internal/console/view"
	"github.com/connectlink/connectlink/internal/grant"
	"github.com/connectlink/connectlink/internal/invite"
)

// viewForm saves the filters of the list as a view.
type viewForm struct {
	Action  string // its address, with the filters
	Max     int    // letters of a name
	CanTeam bool
}

// viewsPage lists the saved views, to rename and delete them.
type viewsPage struct {
	*view.Base
	Views []savedView
	Max   int
}

// savedView is a saved view as its person or a lead changes it.
type savedView struct {
	ID, Name, URL, Home string
	Team, CanChange     bool
}

// query is the query of an address with these filters.
func (f filters) query() string {
	_, query, _ := strings.Cut(withQuery("", f.members()...), "?")
	return query
}

// savedTabs are the saved views as tabs of the list. Their addresses are read as any
// address of the list.
func (s *console) savedTabs(p *page, narrowed filters) ([]tab, error) {
	views, err := s.Staff.Views(p.ctx(), p.by)
	if err != nil {
		return nil, err
	}
	now, out := narrowed.query(), make([]tab, 0, len(views))
	for _, v := range views {
		out = append(out, tab{p.frame.URL("invites") + "?" + v.Query, v.Name, v.Query == now})
	}
	return out, nil
}

// viewForm is the form for the filters of the list; nil where there is nothing to save.
func (p *page) viewForm(narrowed filters, saved []tab) *viewForm {
	for _, t := range saved {
		if t.Current {
			return nil
		}
	}
	if narrowed == (filters{}) {
		return nil
	}
	return &viewForm{Action: withQuery(p.frame.URL("views"), narrowed.members()...), Max: grant.MaxViewName, CanTeam: p.by.May(access.ActTeamView)}
}

// views lists the saved views.
func (s *console) views(p *page) error {
	list, err := s.Staff.Views(p.ctx(), p.by)
	if err != nil {
		return err
	}
	b := p.base(p.t("Saved views"), "invites")
	d := viewsPage{Base: b, Max: grant.MaxViewName}
	for _, v := range list {
		d.Views = append(d.Views, savedView{
			v.ID.String(), v.Name, b.URL("invites") + "?" + v.Query, b.URL("views", v.ID.String()), v.Team, !v.Team || p.by.May(access.ActTeamView),
		})
	}
	return p.show("views", d)
}

// saveView saves the filters in the address.
func (s *console) saveView(p *page) error {
	form, err := p.form()
	if err != nil {
		return err
	}
	narrowed := filtersOf(p)
	back := withQuery(p.frame.URL("invites"), narrowed.members()...)
	if narrowed == (filters{}) {
		return p.done(back, "bad", p.t("Nothing was saved. Choose a filter first."))
	}
	err = s.Staff.SaveView(p.ctx(), p.by, form.Get("name"), narrowed.query(), form.Get("team") != "")
	return p.viewDone(err, back, p.t("Saved. The view is above the list."))
}

// changeView renames or deletes a saved view.
func (s *console) changeView(p *page) error {
	form, err := p.form()
	if err != nil {
		return err
	}
	id, err := invite.Parse[invite.ViewID](p.Param("id"))
	if err != nil {
		return p.missing()
	}
	home := p.frame.URL("views")
	if form.Get("do") == "delete" {
		return p.viewDone(s.Staff.DeleteView(p.ctx(), p.by, id), home, p.t("The view was deleted."))
	}
	return p.viewDone(s.Staff.RenameView(p.ctx(), p.by, id, form.Get("name")), home, p.t("The view was renamed."))
}

// viewDone goes on to a page that tells what became of a view.
func (p *page) viewDone(err error, to, done string) error {
	switch {
	case err == nil:
		return p.done(to, "good", done)
	case errors.Is(err, grant.ErrNoView):
		return p.missing()
	case errors.Is(err, grant.ErrViewName):
		return p.done(to, "bad", p.t("Nothing was saved. A name has 1 to %d characters.", grant.MaxViewName))
	case errors.Is(err, grant.ErrManyViews):
		return p.done(to, "bad", p.t("Nothing was saved. There are %d views already; delete one first.", grant.MaxViews))
	case errors.Is(err, grant.ErrViewForbidden):
		return p.done(to, "bad", p.t("Nothing was changed. Views of the team are changed by leads."))
	}
	return err
}
