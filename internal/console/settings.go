package console

import (
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/connectlink/connectlink/internal/console/view"
	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/store/account"
)

// start goes to where one has work to do: the first project's live mode.
func (s *console) start(p *page) error {
	places := s.places(p.signed, invite.Place{Live: true})
	if len(places) == 0 {
		return s.tell(p, p.base("", ""), http.StatusForbidden, p.t("You have no role here"),
			p.t("Ask an administrator for a role in a project."), "")
	}
	at := slices.IndexFunc(places, func(l view.Place) bool { return l.Live == s.live(l.ProjectID) })
	return p.Redirect(http.StatusSeeOther, places[max(at, 0)].URL())
}

// live reports whether a project works with real people yet.
func (s *console) live(project string) bool {
	for _, p := range s.Projects {
		if p.ID == project {
			return p.Pipedream.Configured()
		}
	}
	return false
}

// toHome goes from a place's address to its first page.
func (s *console) toHome(p *page) error { return p.Redirect(http.StatusSeeOther, p.frame.URL("home")) }

type plainPage struct{ *view.Base }

// help says in a few words how to work here.
func (s *console) help(p *page) error { return p.show("help", plainPage{p.base(p.t("Help"), "")}) }

type settingsPage struct {
	*view.Base
	Back                       string
	Themes, Densities, Choices []view.Choice
	Sessions                   []sessionRow
	Recovery                   string // how many codes are left; empty: the account has none
}

type sessionRow struct {
	ID, Device  string
	Since, Seen time.Time
	Current     bool
}

// settings shows how this browser wants the console, and where one is signed in.
func (s *console) settings(p *page) error {
	b := p.base(p.t("Settings"), "")
	from := ""
	if u, err := url.Parse(p.Request().Referer()); err == nil && u.Host == p.Request().Host {
		from = safeReturnPath(u.RequestURI())
	}
	d := settingsPage{
		Base: b, Back: from, Choices: b.Languages(),
		Themes: []view.Choice{
			{Value: "", Text: b.T("Same as system"), Chosen: b.Prefs.Theme == ""},
			{Value: "light", Text: b.T("Light"), Chosen: b.Prefs.Theme == "light"}, {Value: "dark", Text: b.T("Dark"), Chosen: b.Prefs.Theme == "dark"},
		},
		Densities: []view.Choice{
			{Value: "", Text: b.T("Comfortable"), Chosen: b.Prefs.Density == ""}, {Value: "compact", Text: b.T("Compact"), Chosen: b.Prefs.Density == "compact"},
		},
	}
	if p.signed.Session.Method == "password" {
		left, err := s.Staff.RecoveryLeft(p.ctx(), p.signed.Staff.ID)
		if err != nil {
			return err
		}
		d.Recovery = p.frame.TN("You have %d recovery code left. New ones replace it.", "You have %d recovery codes left. New ones replace them.", left)
	}
	sessions, err := s.Staff.Sessions(p.ctx(), p.signed.Staff.ID)
	if err != nil {
		return err
	}
	for _, x := range sessions {
		d.Sessions = append(d.Sessions, sessionRow{x.ID.String(), x.Device, x.CreatedAt, x.SeenAt, x.ID == p.signed.Session.ID})
	}
	return p.show("settings", d)
}

// prefsLast is a year, the most that browsers keep a cookie.
const prefsLast = 365 * 24 * time.Hour

func (s *console) setSettings(p *page) error {
	form, err := p.form()
	if err != nil {
		return err
	}
	keys := "off"
	if form.Get("keys") == "on" {
		keys = ""
	}
	prefs := s.Pages.ParsePrefs(view.Prefs{
		Theme: form.Get("theme"), Density: form.Get("density"), Lang: form.Get("lang"), Shortcuts: keys,
	}.String())
	s.setCookie(p, prefsCookie, url.QueryEscape(prefs.String()), int(prefsLast/time.Second))
	to := safeReturnPath(form.Get("back"))
	if to == "" {
		to = "/console/settings"
	}
	p.frame = s.Pages.Base(s.Pages.Language(prefs.Lang, p.Request().Header.Get("Accept-Language")), prefs, p.frame.Now)
	return p.done(to, "good", p.t("Saved for this browser."))
}

// endOwnSession signs one out somewhere else.
func (s *console) endOwnSession(p *page) error {
	id, err := invite.Parse[invite.SessionID](p.Param("id"))
	if err != nil {
		return p.missing()
	}
	mine, err := s.Staff.Sessions(p.ctx(), p.signed.Staff.ID)
	if err != nil {
		return err
	}
	if !slices.ContainsFunc(mine, func(x account.Session) bool { return x.ID == id }) {
		return p.missing()
	}
	if _, err := s.Staff.EndSession(p.ctx(), p.by, id); err != nil {
		return err
	}
	return p.done("/console/settings", "good", p.t("That browser is signed out."))
}
