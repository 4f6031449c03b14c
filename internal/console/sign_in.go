package console

import (
	"encoding/json"
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
	"github.com/connectlink/connectlink/internal/seal"
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
		return b.T("Single sign-on is confirmed every hour. Sign in again to continue where you were.")
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
	token, err := s.Staff.SignInWithPassword(c.Request().Context(), secret.New(d.Login), secret.New(form.Get("password")), s.browser(c))
	if text := refusalText(d.Base, err); text != "" {
		web.Note(c, "sign_in_refused")
		d.Faults = []Fault{{"password", text}}
		return s.render(c, http.StatusUnauthorized, "sign_in", d)
	}
	if err != nil {
		return err
	}
	return s.enterWith(c, token, d.Back)
}

// refusalText is what a person is told about a sign-in that was refused; "" when
// it was not, or failed for another reason.
func refusalText(b *view.Base, err error) string {
	switch {
	case errors.Is(err, grant.ErrRefused), errors.Is(err, grant.ErrLocked):
		// One answer to both: only an account that there is can be locked.
		return b.T("Wrong email address or password. After several wrong passwords, an account is locked for a while.")
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
	return grant.Browser{Token: s.token(c), Device: deviceName(c.Request().UserAgent()), Origin: s.origin(c)}
}

// flow is the state that a browser keeps, sealed, during the sign-in at the
// issuer: a request without a session stores nothing at the server.
type flow struct {
	oidc.Flow
	Back string    `json:"back"`
	Ends time.Time `json:"ends"`
}

// flowLasts is how long signing in at the issuer may take.
const flowLasts = 10 * time.Minute

func flowPlace() seal.AD { return seal.AD{Column: "console.sign_in"} }

// toIssuer redirects to the issuer.
func (s *console) toIssuer(c echo.Context) error {
	if s.Issuer == nil {
		return echo.ErrNotFound
	}
	address, f, err := s.Issuer.Begin(c.Request().Context())
	if err != nil {
		return s.issuerFault(c, err)
	}
	plain, err := json.Marshal(flow{Flow: f, Back: safeReturnPath(c.QueryParam("back")), Ends: s.Now().Add(flowLasts)})
	if err != nil {
		return err
	}
	sealed, err := s.Box.Seal(plain, flowPlace())
	if err != nil {
		return err
	}
	s.setCookie(c, s.flowCookie(), encodeBase64(sealed), int(flowLasts/time.Second))
	return c.Redirect(http.StatusSeeOther, address)
}

// fromIssuer takes whom the issuer sends back.
func (s *console) fromIssuer(c echo.Context) error {
	if s.Issuer == nil {
		return echo.ErrNotFound
	}
	f, ok := s.flow(c)
	s.setCookie(c, s.flowCookie(), "", -1) // each serves once
	if !ok {
		d := s.door(c, "")
		web.Note(c, "sign_in_refused")
		d.Faults = []Fault{{"main", d.T("The sign-in took too long or was started in another browser. Start again.")}}
		return s.render(c, http.StatusBadRequest, "sign_in", d)
	}
	q := c.QueryParams()
	if q.Get("error") != "" {
		d := s.door(c, f.Back)
		web.Note(c, "sign_in_refused")
		d.Faults = []Fault{{"main", d.T("The sign-in service denied access.")}}
		return s.render(c, http.StatusUnauthorized, "sign_in", d)
	}
	who, err := s.Issuer.Finish(c.Request().Context(), f.Flow, q.Get("code"), q.Get("state"), q.Get("iss"))
	if err != nil {
		return s.issuerFault(c, err)
	}
	token, err := s.Staff.SignInWithOIDC(c.Request().Context(), grant.Identity{
		Issuer: who.Issuer, Subject: who.Subject, Person: grant.Person{Name: who.Name, Email: who.Email}, Roles: who.Roles,
	}, s.browser(c))
	d := s.door(c, f.Back)
	if text := refusalText(d.Base, err); text != "" {
		web.Note(c, "sign_in_refused")
		d.Faults = []Fault{{"main", text}}
		return s.render(c, http.StatusForbidden, "sign_in", d)
	}
	if err != nil {
		return err
	}
	return s.enterWith(c, token, f.Back)
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

func (s *console) flow(c echo.Context) (flow, bool) {
	var f flow
	cookie, err := c.Cookie(s.flowCookie())
	if err != nil {
		return f, false
	}
	sealed, err := decodeBase64(cookie.Value)
	if err != nil {
		return f, false
	}
	plain, err := s.Box.Open(sealed, flowPlace())
	if err != nil || json.Unmarshal(plain, &f) != nil || s.Now().After(f.Ends) {
		return flow{}, false
	}
	return f, true
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
