package console

import (
	"errors"
	"net/http"
	"net/url"
	"strings"
	"unicode/utf8"

	"github.com/labstack/echo/v4"

	"github.com/connectlink/connectlink/internal/access"
	"github.com/connectlink/connectlink/internal/console/view"
	"github.com/connectlink/connectlink/internal/contact"
	"github.com/connectlink/connectlink/internal/grant"
	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/secret"
	"github.com/connectlink/connectlink/internal/web"
)

// readRole returns the role that a form names.
func readRole(form url.Values) (access.Role, bool) {
	r := access.Role(form.Get("role"))
	return r, r.AtLeast(access.RoleViewer)
}

// inviteColleague gives a colleague access to the project, and shows the link by which they
// set a password, this once.
func (s *console) inviteColleague(p *page) error {
	if !s.Passwords {
		return p.missing()
	}
	form, err := p.form()
	if err != nil {
		return err
	}
	c := grant.Colleague{Name: strings.TrimSpace(form.Get("name")), Project: p.by.Project}
	var faults []Fault
	if c.Email, err = contact.ParseEmail(strings.TrimSpace(form.Get("email"))); err != nil {
		faults = append(faults, Fault{"email", p.t("Enter the colleague's email address, like pat@example.com.")})
	}
	if fault := p.nameFault(c.Name); fault != "" {
		faults = append(faults, Fault{"name", fault})
	}
	var ok bool
	if c.Role, ok = readRole(form); !ok {
		faults = append(faults, Fault{"role", p.t("Choose a role.")})
	}
	var made grant.Invitation
	if len(faults) == 0 {
		switch made, err = s.Staff.Invite(p.ctx(), p.by, c); {
		case errors.Is(err, grant.ErrOwnAccount):
			faults = append(faults, Fault{"email", p.t("This is the account you are signed in with.")})
		case errors.Is(err, grant.ErrDisabled):
			faults = append(faults, Fault{"email", p.t("This account is disabled. Enable it first.")})
		case err != nil:
			return err
		}
	}
	if len(faults) > 0 {
		d, err := s.teamPage(p)
		if err != nil {
			return err
		}
		d.Email, d.PersonName, d.Roles, d.Faults = form.Get("email"), form.Get("name"), p.roleChoices(c.Role), faults
		return p.wrong("team", d)
	}
	if made.Link.IsZero() {
		return p.done(p.frame.URL("team"), "good", p.t("%s had an account and has the role now. They sign in as before.", c.Email))
	}
	return s.showPasswordLink(p, c.Name, made.Link)
}

// showPasswordLink shows a colleague's link, this once.
func (s *console) showPasswordLink(p *page, name string, link secret.Text) error {
	d, err := s.teamPage(p)
	if err != nil {
		return err
	}
	base := s.PublicURL
	if base == "" {
		base = p.Scheme() + "://" + p.Request().Host
	}
	d.Made = madeLink{For: name, Link: base + passwordPath(link.Reveal()), Ends: s.Now().Add(grant.PasswordLinkLasts)}
	p.Response().Header().Set("Cache-Control", "no-store")
	return p.render(p, http.StatusCreated, "team", d)
}

func passwordPath(token string) string { return "/console/sign-in/password/" + url.PathEscape(token) }

// localFault is what a person is told where the account of a colleague cannot be changed here.
func (p *page) localFault(err error) string {
	switch {
	case errors.Is(err, grant.ErrNotLocal):
		return p.t("This account is not administered here: its roles come from single sign-on, or from the command line.")
	case errors.Is(err, grant.ErrOwnAccount):
		return p.t("This is the account you are signed in with. Ask another administrator.")
	case errors.Is(err, grant.ErrDisabled):
		return p.t("This account is disabled. Enable it first.")
	}
	return ""
}

// newPasswordLink makes another link for a colleague who lost theirs or their password.
func (s *console) newPasswordLink(p *page, id invite.StaffID) error {
	if !s.Passwords {
		return p.missing()
	}
	link, err := s.Staff.NewPasswordLink(p.ctx(), p.by, id)
	if text := p.localFault(err); text != "" {
		return p.done(p.frame.URL("team"), "bad", text)
	}
	if err != nil {
		return err
	}
	return s.showPasswordLink(p, "", link)
}

// setColleagueRole changes the role of a colleague in the project, or takes it away.
func (s *console) setColleagueRole(p *page, id invite.StaffID) error {
	form, err := p.form()
	if err != nil {
		return err
	}
	role, ok := readRole(form)
	if !ok && form.Get("role") != "none" {
		return p.done(p.frame.URL("team"), "bad", p.t("Choose a role."))
	}
	if !ok {
		role = ""
	}
	err = s.Staff.SetRole(p.ctx(), p.by, id, p.by.Project, role)
	if text := p.localFault(err); text != "" {
		return p.done(p.frame.URL("team"), "bad", text)
	}
	switch {
	case err != nil:
		return err
	case role == "":
		return p.done(p.frame.URL("team"), "good", p.t("The account has no access to this project any more."))
	}
	return p.done(p.frame.URL("team"), "good", p.t("The role is changed. It holds from the next page on."))
}

// resetColleagueFactor removes the second factor of a colleague who lost it.
func (s *console) resetColleagueFactor(p *page, id invite.StaffID) error {
	_, err := s.Staff.ResetFactorOf(p.ctx(), p.by, id)
	if text := p.localFault(err); text != "" {
		return p.done(p.frame.URL("team"), "bad", text)
	}
	if err != nil {
		return err
	}
	return p.done(p.frame.URL("team"), "good", p.t("The second factor is removed. The next sign-in sets up another."))
}

// maxName is what fits into a list.
const maxName = 80

// nameFault is the fault of a name that a form gives to a key or a colleague; "" if it has none.
func (p *page) nameFault(name string) string {
	switch n := utf8.RuneCountInString(name); {
	case n == 0:
		return p.t("Enter a name.")
	case n > maxName || !utf8.ValidString(name) || strings.ContainsFunc(name, func(r rune) bool { return r < ' ' }):
		return p.t("Enter a name on one line, with at most %d characters.", maxName)
	}
	return ""
}

// passwordPage asks the owner of an account for a new password.
type passwordPage struct {
	*view.Base
	Action, Name, Login string
	Project             string // of the first role
	Role                access.Role
	Min                 int
	Faults              []Fault
}

// passwordPageOf makes the page of a link. An unusable link is refused on the sign-in page, and
// ok is false.
func (s *console) passwordPageOf(c echo.Context, token string) (d passwordPage, ok bool, err error) {
	if !s.Passwords || !access.ValidSessionToken(token) {
		return d, false, echo.ErrNotFound
	}
	c.Response().Header().Set("Cache-Control", "no-store")
	owner, err := s.Staff.PasswordLinkOwner(c.Request().Context(), secret.New(token))
	if err != nil {
		return d, false, s.refusedLink(c, err)
	}
	b := s.stranger(c)
	b.Title = b.T("Set your password")
	d = passwordPage{Base: b, Action: passwordPath(token), Name: owner.Person.Name, Login: owner.Person.Email, Min: grant.MinPassword}
	for _, pr := range s.Projects {
		if r := owner.Role(pr.ID); r != "" {
			d.Project, d.Role = pr.Brand.Name, r
			break
		}
	}
	return d, true, nil
}

// refusedLink shows why a link for a password is not taken.
func (s *console) refusedLink(c echo.Context, err error) error {
	d := s.door(c, "")
	var text string
	switch {
	case errors.Is(err, grant.ErrLinkUsed):
		text = d.T("This link was used, replaced or has expired. Ask an administrator for a new one.")
	case errors.Is(err, grant.ErrDisabled):
		text = d.T("This account is disabled. Ask an administrator.")
	default:
		return err
	}
	web.Note(c, "sign_in_refused")
	d.Faults = []Fault{{"main", text}}
	return s.render(c, http.StatusGone, "sign_in", d)
}

// passwordForm shows who the link is for. A GET uses nothing up: mail scanners and previews open
// links too.
func (s *console) passwordForm(c echo.Context) error {
	d, ok, err := s.passwordPageOf(c, c.Param("token"))
	if err != nil || !ok {
		return err
	}
	return s.render(c, http.StatusOK, "password", d)
}

// setPasswordByLink sets the password and goes on with the second factor.
func (s *console) setPasswordByLink(c echo.Context) error {
	if err := c.Request().ParseForm(); err != nil {
		return invite.Errorf(invite.CodeMalformed, "The form could not be read.")
	}
	token := c.Param("token")
	d, ok, err := s.passwordPageOf(c, token)
	if err != nil || !ok {
		return err
	}
	fail := func(status int, text string) error {
		d.Faults = []Fault{{"password", text}}
		return s.render(c, status, "password", d)
	}
	if ok, after := s.Tries.Allow(web.ClientKey(c)); !ok {
		web.Note(c, "rate_limited")
		c.Response().Header().Set("Retry-After", formatSeconds(after))
		return fail(http.StatusTooManyRequests, d.T("Too many tries. Wait a minute."))
	}
	ticket, err := s.Staff.SetPasswordByLink(c.Request().Context(), secret.New(token), secret.New(c.Request().PostForm.Get("password")), s.browser(c))
	switch {
	case errors.Is(err, grant.ErrPasswordLength):
		return fail(http.StatusUnprocessableEntity, d.T("The password must have at least %d characters.", grant.MinPassword))
	case errors.Is(err, grant.ErrPasswordCommon):
		return fail(http.StatusUnprocessableEntity, d.T("This password is easy to guess. Use four or more unrelated words, or a password manager."))
	case errors.Is(err, grant.ErrBusy):
		c.Response().Header().Set("Retry-After", "5")
		return fail(http.StatusServiceUnavailable, d.T("Too many people are signing in. Wait a few seconds, then try again."))
	case err != nil:
		return s.refusedLink(c, err)
	}
	s.setCookie(c, s.ticketCookie(), ticket.Token.Reveal(), 0)
	return c.Redirect(http.StatusSeeOther, "/console/sign-in/code")
}

// faultOf is the text of a field's fault; "" if it has none.
func faultOf(faults []Fault, field string) string {
	for _, f := range faults {
		if f.Field == field {
			return f.Text
		}
	}
	return ""
}
