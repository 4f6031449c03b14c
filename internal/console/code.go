package console

import (
	"errors"
	"net/http"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/connectlink/connectlink/internal/console/view"
	"github.com/connectlink/connectlink/internal/grant"
	"github.com/connectlink/connectlink/internal/invite"
	linkpages "github.com/connectlink/connectlink/internal/page"
	"github.com/connectlink/connectlink/internal/secret"
	"github.com/connectlink/connectlink/internal/web"
)

// codePage asks for the code that follows the password. At the first sign-in it
// shows what the authenticator app is set up with.
type codePage struct {
	*view.Base

	Back   string
	Setup  bool
	Secret string // in groups of four
	QR     linkpages.QR
	Faults []Fault
}

// recoveryPage shows recovery codes, this once.
type recoveryPage struct {
	*view.Base

	Codes []string
	Next  string
}

// code makes the page of a sign-in's second step. Errors: grant.ErrTicket.
func (s *console) code(c echo.Context, back string) (codePage, error) {
	b := s.stranger(c)
	d := codePage{Base: b, Back: back}
	setup, err := s.Staff.SetupOf(c.Request().Context(), s.cookie(c, s.ticketCookie()))
	b.Title = b.T("Enter your code")
	if setup != nil {
		b.Title = b.T("Set up your second factor")
		d.Setup, d.Secret, d.QR = true, groupOfFour(setup.Secret.Reveal()), linkpages.NewQR(setup.Address.Reveal())
	}
	return d, err
}

func groupOfFour(text string) string {
	var out []byte
	for i := range len(text) {
		if i > 0 && i%4 == 0 {
			out = append(out, ' ')
		}
		out = append(out, text[i])
	}
	return string(out)
}

func (s *console) codePage(c echo.Context) error {
	if !s.Passwords {
		return echo.ErrNotFound
	}
	d, err := s.code(c, safeReturnPath(c.QueryParam("back")))
	if errors.Is(err, grant.ErrTicket) {
		return c.Redirect(http.StatusSeeOther, "/console/sign-in")
	}
	if err != nil {
		return err
	}
	c.Response().Header().Set("Cache-Control", "no-store")
	return s.render(c, http.StatusOK, "code", d)
}

// knownLasts is how long a browser is remembered as one that signed in: its failures
// are then counted apart from those of strangers.
const knownLasts = 180 * 24 * time.Hour

// signInByCode is the second step of a sign-in by an emergency account.
func (s *console) signInByCode(c echo.Context) error {
	if !s.Passwords {
		return echo.ErrNotFound
	}
	if err := c.Request().ParseForm(); err != nil {
		return invite.Errorf(invite.CodeMalformed, "The form could not be read.")
	}
	form := c.Request().PostForm
	d, err := s.code(c, safeReturnPath(form.Get("back")))
	if err != nil && !errors.Is(err, grant.ErrTicket) { // Finish tells of the ticket
		return err
	}
	c.Response().Header().Set("Cache-Control", "no-store")
	if ok, after := s.Tries.Allow(web.ClientKey(c)); !ok {
		web.Note(c, "rate_limited")
		d.Faults = []Fault{{"code", d.T("Too many tries. Wait a minute.")}}
		c.Response().Header().Set("Retry-After", formatSeconds(after))
		return s.render(c, http.StatusTooManyRequests, "code", d)
	}
	in, err := s.Staff.Finish(c.Request().Context(), s.cookie(c, s.ticketCookie()), secret.New(form.Get("code")), s.browser(c))
	if errors.Is(err, grant.ErrTicket) {
		s.setCookie(c, s.ticketCookie(), "", -1)
		return s.refuse(c, d.Back, http.StatusUnauthorized, view.M("The sign-in took too long. Start again."))
	}
	if fault, status := passwordFault(c, d.Base, err); fault != "" {
		d.Faults = []Fault{{"code", fault}}
		return s.render(c, status, "code", d)
	}
	if err != nil {
		return err
	}
	s.setCookie(c, s.ticketCookie(), "", -1)
	s.setCookie(c, s.knownCookie(), in.Known.Reveal(), int(knownLasts/time.Second))
	if len(in.Recovery) == 0 {
		return s.enterWith(c, in.Token, d.Back)
	}
	s.setCookie(c, s.sessionCookie(), in.Token.Reveal(), 0)
	return s.showRecovery(c, d.Base, in.Recovery, orStart(d.Back))
}

// showRecovery shows recovery codes, this once.
func (s *console) showRecovery(c echo.Context, b *view.Base, codes []secret.Text, next string) error {
	b.Title = b.T("Keep your recovery codes")
	r := recoveryPage{Base: b, Next: next}
	for _, code := range codes {
		r.Codes = append(r.Codes, code.Reveal())
	}
	c.Response().Header().Set("Cache-Control", "no-store")
	return s.render(c, http.StatusOK, "recovery", r)
}

// newRecoveryCodes replaces the recovery codes of an emergency account.
func (s *console) newRecoveryCodes(p *page) error {
	codes, err := s.Staff.NewRecoveryCodes(p.ctx(), p.by, p.signed.Staff.ID)
	if errors.Is(err, grant.ErrNoFactor) {
		return p.missing()
	}
	if err != nil {
		return err
	}
	return s.showRecovery(p, p.base("", ""), codes, "/console/settings")
}
