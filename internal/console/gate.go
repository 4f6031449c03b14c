package console

import (
	"cmp"
	"context"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/labstack/echo/v4"

	"github.com/connectlink/connectlink/config"
	"github.com/connectlink/connectlink/internal/access"
	"github.com/connectlink/connectlink/internal/console/view"
	"github.com/connectlink/connectlink/internal/grant"
	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/secret"
	"github.com/connectlink/connectlink/internal/store/account"
	"github.com/connectlink/connectlink/internal/web"
)

// page is one request of a signed-in member of staff.
type page struct {
	echo.Context
	*console
	by      access.Principal
	signed  grant.Signed
	project config.Project // of routes of a project
	frame   *view.Base     // without title
}

// ctx is the request's context.
func (p *page) ctx() context.Context { return p.Request().Context() }

// base is the frame of this request's page. title is translated already;
// section is the entry of the menu.
func (p *page) base(title, section string) *view.Base {
	p.frame.Title, p.frame.Section = title, section
	return p.frame
}

// t is a text in the page's language.
func (p *page) t(text string, args ...any) string { return p.frame.T(text, args...) }

// show answers with a page.
func (p *page) show(name string, data view.Page) error { return p.render(p, http.StatusOK, name, data) }

// wrong answers with the form and its faults.
func (p *page) wrong(name string, data view.Page) error {
	return p.render(p, http.StatusUnprocessableEntity, name, data)
}

// done goes on to another page, which says text once. Kind is "good", "bad" or
// "note".
func (p *page) done(to, kind, text string) error {
	if err := p.Staff.SetFlash(p.ctx(), p.signed.Session.ID, kind+":"+text); err != nil {
		return err
	}
	return p.Redirect(http.StatusSeeOther, to)
}

// missing answers 404. Objects of another project or mode get the same
// answer, so that their existence is not disclosed.
func (p *page) missing() error {
	web.Note(p, "not_found")
	return p.tell(p, p.base("", ""), http.StatusNotFound, p.t("Page not found"),
		p.t("The address may be mistyped, or it belongs to another project or mode."), "")
}

// form returns the posted form. Errors: malformed.
func (p *page) form() (url.Values, error) {
	r := p.Request()
	if err := r.ParseForm(); err != nil {
		return nil, invite.Errorf(invite.CodeMalformed, "The form could not be read.")
	}
	return r.PostForm, nil
}

// gate lets signed-in staff through to a route of no project.
func (s *console) gate(r route) echo.HandlerFunc {
	return func(c echo.Context) error {
		p, ok, err := s.enter(c)
		if err != nil || !ok {
			return err
		}
		return r.do(p)
	}
}

// gateOf lets those through whose role in the project allows the route's act.
func (s *console) gateOf(r route) echo.HandlerFunc {
	return func(c echo.Context) error {
		p, ok, err := s.enter(c)
		if err != nil || !ok {
			return err
		}
		i := slices.IndexFunc(s.Projects, func(pr config.Project) bool { return pr.ID == c.Param("project") })
		live := c.Param("mode") == "live"
		if i < 0 || !live && c.Param("mode") != "test" {
			return p.missing()
		}
		p.project = s.Projects[i]
		origin := p.by.Origin
		p.by = access.Staff(p.signed.Staff.ID.String(), p.signed.Role(p.project.ID), invite.Place{Project: p.project.ID, Live: live})
		p.by.Environment, p.by.Origin = environmentOf(p.project, live), origin
		if p.by.Role == "" {
			return p.missing()
		}
		p.at(live)
		web.SetPrincipal(c, p.by)
		if !p.by.May(r.act) {
			web.Note(c, "insufficient_role")
			return s.tell(c, p.base("", ""), http.StatusForbidden, p.t("Your role does not allow this"),
				p.t("You are %s here; this needs %s. Nothing was done.", p.t(view.RoleName(p.by.Role)), p.t(view.RoleName(access.Least(r.act)))), "")
		}
		if p.frame.Held, err = s.held(p.ctx(), p); err != nil {
			return err
		}
		return r.do(p)
	}
}

// still reports whether the session and the role that the request began with still
// hold. A long answer checks it before each part.
func (p *page) still(ctx context.Context) (bool, error) {
	signed, found, err := p.Staff.Session(ctx, p.token(p))
	return found && signed.Session.Ended == "" && signed.Role(p.project.ID) == p.by.Role, err
}

// environmentOf is Pipedream's for acts in this mode.
func environmentOf(p config.Project, live bool) string {
	if live {
		return p.Pipedream.Environment
	}
	return config.Development
}

// at puts the place into the frame.
func (p *page) at(live bool) {
	b := p.frame
	b.ProjectID, b.Project, b.Live, b.Role = p.project.ID, p.project.Brand.Name, live, p.by.Role
	b.Places = p.places(p.signed, invite.Place{Project: p.project.ID, Live: live})
}

// places lists the projects and modes that the session may open.
func (s *console) places(signed grant.Signed, place invite.Place) []view.Place {
	var out []view.Place
	for _, pr := range s.Projects {
		if signed.Role(pr.ID) == "" {
			continue
		}
		for _, l := range []bool{true, false} {
			out = append(out, view.Place{ProjectID: pr.ID, Project: pr.Brand.Name, Live: l, Current: pr.ID == place.Project && l == place.Live})
		}
	}
	return out
}

// enter authenticates a request. ok is false if the answer is written: a
// request without a session is redirected to the sign-in page and returns to
// the requested page afterwards.
func (s *console) enter(c echo.Context) (p *page, ok bool, err error) {
	ctx := c.Request().Context()
	signed, found, err := s.Staff.Session(ctx, s.token(c))
	if err != nil {
		return nil, false, err
	}
	listens := web.WantsEvents(c)
	switch {
	case found && signed.Session.Ended == "" && signed.Session.Due && s.Issuer != nil && !listens && isNavigation(c):
		return nil, false, s.toCheck(c) // before it is over, so that no form has to wait
	case found && signed.Session.Ended == "":
	case listens || found && isPart(c):
		// No page is shown for it, and why the session ended is for the person.
		web.Note(c, "not_signed_in")
		return nil, false, c.NoContent(http.StatusUnauthorized)
	case found && signed.Session.Ended == account.EndedConfirm && !signed.Session.Stored && s.Issuer != nil:
		if c.Request().Method == http.MethodGet {
			return nil, false, s.toCheck(c)
		}
		return nil, false, s.holdForCheck(c, signed)
	default:
		return nil, false, s.toSignIn(c, signed.Session.Ended)
	}
	p = &page{Context: c, console: s, signed: signed, frame: s.stranger(c)}
	p.by = access.Staff(signed.Staff.ID.String(), "", invite.Place{})
	p.by.Origin = s.origin(c)
	p.by.Origin.SessionID = signed.Session.ID.String()
	p.frame.Me = cmp.Or(signed.Person.Name, signed.Person.Email, p.by.ID) // issuers need tell neither
	web.SetPrincipal(c, p.by)
	if listens {
		return p, true, nil // the browser sends this request automatically, even if the person is away
	}
	safe := c.Request().Method == http.MethodGet
	if !safe && signed.Session.Held {
		if err := s.Staff.DropForm(ctx, signed.Session.ID); err != nil { // it is this one, or given up
			return nil, false, err
		}
	}
	if kind, text, found := strings.Cut(signed.Session.Flash, ":"); found && safe {
		p.frame.Flash = view.Flash{Kind: kind, Text: text}
	}
	return p, true, s.Staff.TouchSession(ctx, signed.Session.ID, p.frame.Flash.Text != "")
}

// isNavigation reports whether a request opens a page in a tab.
func isNavigation(c echo.Context) bool {
	r := c.Request()
	return r.Method == http.MethodGet && !isPart(c)
}

// isPart reports whether a request is for a part of an open page, a frame or a
// script's own: these follow no redirect to another host.
func isPart(c echo.Context) bool {
	dest := c.Request().Header.Get("Sec-Fetch-Dest")
	return dest != "" && dest != "document"
}

// toSignIn redirects to the sign-in page, with the page to return to.
func (s *console) toSignIn(c echo.Context, why account.Ended) error {
	q := url.Values{}
	if back := s.returnPath(c); back != "" {
		q.Set("back", back)
	}
	if why != "" {
		q.Set("why", string(why))
		s.setCookie(c, s.sessionCookie(), "", -1)
	}
	web.Note(c, "not_signed_in")
	address := "/console/sign-in"
	if len(q) > 0 {
		address += "?" + q.Encode()
	}
	return c.Redirect(http.StatusSeeOther, address)
}

// returnPath returns the page to open after sign-in: the requested page, or for a POST the page with the form.
func (s *console) returnPath(c echo.Context) string {
	r := c.Request()
	if r.Method == http.MethodGet {
		return safeReturnPath(r.URL.RequestURI())
	}
	from, err := url.Parse(r.Referer())
	if err != nil || from.Host != r.Host {
		return ""
	}
	return safeReturnPath(from.RequestURI())
}

// safeReturnPath is an address of this console to go back to; "" for anything else.
func safeReturnPath(address string) string {
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "" || u.Host != "" || u.User != nil || len(address) > 2000 ||
		!strings.HasPrefix(u.Path, "/console/") || strings.ContainsAny(address, "\\\r\n") || strings.HasPrefix(address, "//") ||
		strings.HasPrefix(u.Path, "/console/sign-") || u.Path == "/console/" || strings.Contains(u.Path, "..") {
		return ""
	}
	return u.RequestURI()
}

// origin returns the hashed origin of a request, for the audit log.
func (s *console) origin(c echo.Context) access.Origin {
	o := access.Origin{RequestID: web.RequestID(c.Request().Context())}
	if ip := web.ClientIP(c); ip.IsValid() {
		o.AddressHash = s.Box.Hash("staff_place", ip.String())
	}
	return o
}

// stranger returns the frame of a page that also serves people who are not
// signed in.
func (s *console) stranger(c echo.Context) *view.Base {
	r := c.Request()
	var prefs view.Prefs
	if cookie, err := c.Cookie(prefsCookie); err == nil {
		if v, err := url.QueryUnescape(cookie.Value); err == nil {
			prefs = s.Pages.ParsePrefs(v)
		}
	}
	b := s.Pages.Base(s.Pages.Language(prefs.Lang, r.Header.Get("Accept-Language")), prefs, s.Now().UTC())
	b.Here = safeReturnPath(r.URL.RequestURI())
	return b
}

const prefsCookie = "connectlink_console"

// Names of cookies. The prefix __Host- binds one to host and https.
func (s *console) sessionCookie() string { return s.named("connectlink_staff") }
func (s *console) flowCookie() string    { return s.named("connectlink_sign_in") }
func (s *console) ticketCookie() string  { return s.named("connectlink_code") }
func (s *console) knownCookie() string   { return s.named("connectlink_device") }

func (s *console) named(name string) string {
	if s.HTTPS {
		return "__Host-" + name
	}
	return name
}

// token is the session's, from its cookie.
func (s *console) token(c echo.Context) secret.Text { return s.cookie(c, s.sessionCookie()) }

// cookie is the value of a cookie; empty: there is none.
func (s *console) cookie(c echo.Context, name string) secret.Text {
	cookie, err := c.Cookie(name)
	if err != nil {
		return secret.Text{}
	}
	return secret.New(cookie.Value)
}

// setCookie sets a cookie; a negative age takes it away.
func (s *console) setCookie(c echo.Context, name, value string, age int) {
	c.SetCookie(&http.Cookie{ //nolint:gosec // Secure wherever there is https; on a laptop's loopback there is none
		Name: name, Value: value, Path: "/", MaxAge: age, HttpOnly: true, Secure: s.HTTPS, SameSite: http.SameSiteLaxMode,
	})
}
