package console

import (
	"errors"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/connectlink/connectlink/internal/access"
	"github.com/connectlink/connectlink/internal/console/view"
	"github.com/connectlink/connectlink/internal/grant"
	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/oidc"
	"github.com/connectlink/connectlink/internal/secret"
	"github.com/connectlink/connectlink/internal/store/account"
	"github.com/connectlink/connectlink/internal/web"
)

// Fault is one thing that is wrong with a form.
type Fault struct{ Field, Text string }

// signInPage is where people sign in.
type signInPage struct {
	*view.Base
	Note             string
	Back, Login      string
	Issuer, Password bool
	Faults           []Fault
}

func (s *console) door(c echo.Context, back string) signInPage {
	b := s.stranger(c)
	b.Title = b.T("Sign in")
	return signInPage{Base: b, Back: back, Issuer: s.Issuer != nil, Password: s.Passwords}
}

// signIn shows the form; a signed-in session is redirected.
func (s *console) signIn(c echo.Context) error {
	to := safeReturnPath(c.QueryParam("back"))
	signed, found, err := s.Staff.Session(c.Request().Context(), s.token(c))
	if err != nil {
		return err
	}
	if found && signed.Session.Ended == "" {
		return c.Redirect(http.StatusSeeOther, orStart(to))
	}
	d := s.door(c, to)
	d.Note = signOutReason(d.Base, c.QueryParam("why"))
	return s.render(c, http.StatusOK, "sign_in", d)
}

func orStart(to string) string {
	if to == "" {
		return "/console/"
	}
	return to
}

// signOutReason returns the reason for the sign-in page. The word comes from the
// address, so only known words are translated.
func signOutReason(b *view.Base, why string) string {
	switch account.Ended(why) {
	case account.EndedIdle:
		return b.T("You were signed out after 30 minutes of inactivity. Sign in again to continue where you were.")
	case account.EndedOld:
		return b.T("Sessions last 12 hours. Sign in again to continue where you were.")
	case account.EndedConfirm:
		return b.T("Single sign-on did not confirm that you are still signed in. Sign in again to continue where you were.")
	case account.EndedIssuer:
		return b.T("You were signed out at single sign-on.")
	case account.EndedSignedOut:
		return b.T("You are signed out.")
	case account.EndedRevoked:
		return b.T("Your session was ended, by you elsewhere or by an administrator.")
	case account.EndedReplaced:
		return b.T("You signed in again in this browser, so the earlier session ended.")
	case account.EndedDisabled:
		return b.T("This account is disabled. Ask an administrator.")
	}
	return ""
}

// signInByPassword takes an emergency account's password.
func (s *console) signInByPassword(c echo.Context) error {
	if !s.Passwords {
		return echo.ErrNotFound
	}
	if err := c.Request().ParseForm(); err != nil {
		return invite.Errorf(invite.CodeMalformed, "The form could not be read.")
	}
	form := c.Request().PostForm
	d := s.door(c, safeReturnPath(form.Get("back")))
	d.Login = form.Get("login")
	if len(d.Login) > 254 {
		d.Login = ""
	}
	if ok, after := s.Tries.Allow(web.ClientKey(c)); !ok {
		web.Note(c, "rate_limited")
		d.Faults = []Fault{{"password", d.T("Too many tries. Wait a minute.")}}
		c.Response().Header().Set("Retry-After", formatSeconds(after))
		return s.render(c, http.StatusTooManyRequests, "sign_in", d)
	}
	ticket, err := s.Staff.CheckPassword(c.Request().Context(), secret.New(d.Login), secret.New(form.Get("password")), s.browser(c))
	if fault, status := passwordFault(c, d.Base, err); fault != "" {
		d.Faults = []Fault{{"password", fault}}
		return s.render(c, status, "sign_in", d)
	}
	if err != nil {
		return err
	}
	s.setCookie(c, s.ticketCookie(), ticket.Token.Reveal(), 0)
	to := "/console/sign-in/code"
	if d.Back != "" {
		to += "?" + url.Values{"back": {d.Back}}.Encode()
	}
	return c.Redirect(http.StatusSeeOther, to)
}

// passwordFault is what a person is told about a password or a code that was not
// taken, with the status of the answer; "" when it was, or failed otherwise.
func passwordFault(c echo.Context, b *view.Base, err error) (text string, status int) {
	var locked *grant.LockedError
	switch {
	case errors.As(err, &locked):
		web.Note(c, "sign_in_refused")
		wait := max(locked.For, time.Second)
		c.Response().Header().Set("Retry-After", formatSeconds(wait))
		return b.TN("Too many failed attempts. Try again in %d minute.", "Too many failed attempts. Try again in %d minutes.", int((wait+time.Minute-1)/time.Minute)), http.StatusTooManyRequests
	case errors.Is(err, grant.ErrBusy):
		web.Note(c, "rate_limited")
		c.Response().Header().Set("Retry-After", "5")
		return b.T("Too many people are signing in. Wait a few seconds, then try again."), http.StatusServiceUnavailable
	}
	if text := refusalText(b, err); text != "" {
		web.Note(c, "sign_in_refused")
		return text, http.StatusUnauthorized
	}
	return "", 0
}

// refusalText is what a person is told about a sign-in that was refused; "" when
// it was not, or failed for another reason.
func refusalText(b *view.Base, err error) string {
	switch {
	case errors.Is(err, grant.ErrRefused):
		return b.T("Wrong email address or password.")
	case errors.Is(err, grant.ErrCode):
		return b.T("The code is wrong or was used before. Wait for the next one.")
	case errors.Is(err, grant.ErrTicket):
		return b.T("The sign-in took too long. Start again.")
	case errors.Is(err, grant.ErrOtherPerson):
		return b.T("Single sign-on signed in another person. Sign in there as yourself.")
	case errors.Is(err, grant.ErrDisabled):
		return b.T("This account is disabled. Ask an administrator.")
	case errors.Is(err, grant.ErrNoRole):
		return b.T("Your account has no role here. Ask an administrator for one.")
	case errors.Is(err, grant.ErrLinkUsed):
		return b.T("This link was already used or has expired. Create a new one.")
	}
	return ""
}

// enterWith gives the browser its session.
func (s *console) enterWith(c echo.Context, token secret.Text, to string) error {
	s.setCookie(c, s.sessionCookie(), token.Reveal(), 0) // until the browser closes; the database ends it earlier
	return c.Redirect(http.StatusSeeOther, orStart(to))
}

func (s *console) browser(c echo.Context) grant.Browser {
	return grant.Browser{Token: s.token(c), Known: s.cookie(c, s.knownCookie()), Client: web.ClientKey(c), Device: deviceName(c.Request().UserAgent()), Origin: s.origin(c)}
}

// issuerFault tells a failing issuer from an answer that is not to be believed.
func (s *console) issuerFault(c echo.Context, err error) error {
	d := s.door(c, "")
	status, text := http.StatusBadGateway, d.T("The sign-in service cannot be reached. Try again, or use an emergency account.")
	if errors.Is(err, oidc.ErrRefused) {
		status, text = http.StatusUnauthorized, d.T("Sign-in failed. Start again.")
	}
	s.Log.WarnContext(c.Request().Context(), "sign-in by issuer", "error", err, "request_id", web.RequestID(c.Request().Context()))
	web.Note(c, "sign_in_refused")
	d.Faults = []Fault{{"main", text}}
	return s.render(c, status, "sign_in", d)
}

// linkPage asks for a press before a link is used up: mail scanners and
// previews open links too.
type linkPage struct {
	*view.Base
	Action string
}

func (s *console) signInLink(c echo.Context) error {
	b := s.stranger(c)
	b.Title = b.T("Sign in")
	if !access.ValidSessionToken(c.Param("token")) {
		return echo.ErrNotFound
	}
	return s.render(c, http.StatusOK, "sign_in_link", linkPage{b, "/console/sign-in/link/" + url.PathEscape(c.Param("token"))})
}

func (s *console) signInByLink(c echo.Context) error {
	if !access.ValidSessionToken(c.Param("token")) {
		return echo.ErrNotFound
	}
	token, err := s.Staff.UseLink(c.Request().Context(), secret.New(c.Param("token")), s.browser(c))
	d := s.door(c, "")
	if text := refusalText(d.Base, err); text != "" {
		web.Note(c, "sign_in_refused")
		d.Faults = []Fault{{"main", text}}
		return s.render(c, http.StatusUnauthorized, "sign_in", d)
	}
	if err != nil {
		return err
	}
	return s.enterWith(c, token, "")
}

// signOut ends the session, if there is one.
func (s *console) signOut(c echo.Context) error {
	ctx := c.Request().Context()
	signed, found, err := s.Staff.Session(ctx, s.token(c))
	if err != nil {
		return err
	}
	if found {
		by := access.Staff(signed.Staff.ID.String(), "", invite.Place{})
		by.Origin = s.origin(c)
		by.Origin.SessionID = signed.Session.ID.String()
		if err := s.Staff.SignOut(ctx, by, signed.Session.ID); err != nil {
			return err
		}
	}
	s.setCookie(c, s.sessionCookie(), "", -1)
	return c.Redirect(http.StatusSeeOther, "/console/sign-in?why="+string(account.EndedSignedOut))
}

// deviceName is what a person recognises a browser by, and no more: the user agent
// itself is not kept.
func deviceName(agent string) string {
	find := func(pairs ...string) string {
		for i := 0; i < len(pairs); i += 2 {
			if strings.Contains(agent, pairs[i]) {
				return pairs[i+1]
			}
		}
		return ""
	}
	browser := find("Edg/", "Edge", "OPR/", "Opera", "Firefox/", "Firefox", "SamsungBrowser/", "Samsung Internet", "Chrome/", "Chrome", "Safari/", "Safari")
	system := find("Android", "Android", "iPhone", "iPhone", "iPad", "iPad", "Windows", "Windows", "Mac OS X", "macOS", "CrOS", "ChromeOS", "Linux", "Linux")
	switch {
	case browser == "" && system == "":
		return "?"
	case browser == "":
		return system
	case system == "":
		return browser
	}
	return browser + ", " + system
}
