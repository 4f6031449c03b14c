package console

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/connectlink/connectlink/internal/access"
	"github.com/connectlink/connectlink/internal/console/view"
	"github.com/connectlink/connectlink/internal/grant"
	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/oidc"
	"github.com/connectlink/connectlink/internal/seal"
	"github.com/connectlink/connectlink/internal/store/account"
	"github.com/connectlink/connectlink/internal/web"
)

// flow is the state that a browser keeps, sealed, during the sign-in at the
// issuer: a request without a session stores nothing at the server.
type flow struct {
	oidc.Flow

	Back string    `json:"back"`
	Ends time.Time `json:"ends"`
	// Session is the one that the issuer is asked about; empty at a sign-in.
	Session string `json:"session,omitempty"`
}

// flowLasts is how long signing in at the issuer may take.
const flowLasts = 10 * time.Minute

func flowPlace() seal.AD { return seal.AD{Column: "console.sign_in"} }

// toIssuer redirects to the issuer: to sign in, or, with "check", to have it vouch
// for the session's person without a page.
func (s *console) toIssuer(c echo.Context) error {
	if s.Issuer == nil {
		return echo.ErrNotFound
	}
	back := safeReturnPath(c.QueryParam("back"))
	if c.QueryParam("check") == "" {
		return s.begin(c, oidc.AskSignIn, back, "")
	}
	signed, found, err := s.Staff.Session(c.Request().Context(), s.token(c))
	switch {
	case err != nil:
		return err
	case !found || !mayContinue(signed.Session) || signed.Session.Method != "oidc":
		return s.toSignIn(c, signed.Session.Ended)
	}
	return s.begin(c, oidc.AskSilent, back, signed.Session.ID.String())
}

// mayContinue reports whether a session is not over, or goes on once the issuer
// vouches for its person.
func mayContinue(x account.Session) bool {
	return x.Ended == "" || x.Ended == account.EndedConfirm && !x.Stored
}

// begin redirects to the issuer.
func (s *console) begin(c echo.Context, ask oidc.Ask, back, session string) error {
	address, f, err := s.Issuer.Begin(c.Request().Context(), ask)
	if err != nil {
		return s.issuerFault(c, err)
	}
	plain, err := json.Marshal(flow{Flow: f, Back: back, Ends: s.Now().Add(flowLasts), Session: session})
	if err != nil {
		return err
	}
	sealed, err := s.Box.Seal(plain, flowPlace())
	if err != nil {
		return err
	}
	s.setCookie(c, s.flowCookie(), base64.RawURLEncoding.EncodeToString(sealed), int(flowLasts/time.Second))
	return c.Redirect(http.StatusSeeOther, address)
}

// fromIssuer takes whom the issuer sends back.
func (s *console) fromIssuer(c echo.Context) error {
	if s.Issuer == nil {
		return echo.ErrNotFound
	}
	ctx := c.Request().Context()
	// Each answer costs a row and a call to the issuer, and needs no session.
	if ok, after := s.Answers.Allow(web.ClientKey(c)); !ok {
		web.Note(c, "rate_limited")
		c.Response().Header().Set("Retry-After", formatSeconds(after))
		return s.refuse(c, "", http.StatusTooManyRequests, view.M("Too many tries. Wait a minute."))
	}
	f, ok := s.flow(c)
	s.setCookie(c, s.flowCookie(), "", -1)
	if ok { // a copy of the cookie serves no second time either
		var err error
		if ok, err = s.Staff.UseFlow(ctx, f.State, flowLasts); err != nil {
			return err
		}
	}
	if !ok {
		return s.refuse(c, "", http.StatusBadRequest, view.M("The sign-in took too long or was started in another browser. Start again."))
	}
	q := c.QueryParams()
	if q.Get("error") != "" {
		if f.Ask == oidc.AskSilent {
			return s.unconfirmed(c, f)
		}
		return s.refuse(c, f.Back, http.StatusUnauthorized, view.M("The sign-in service denied access."))
	}
	who, err := s.Issuer.Finish(ctx, f.Flow, q.Get("code"), q.Get("state"), q.Get("iss"))
	if err != nil {
		return s.issuerFault(c, err)
	}
	person := grant.Identity{
		Issuer: who.Issuer, Subject: who.Subject, Session: who.Session, Person: grant.Person{Name: who.Name, Email: who.Email, EmailVerified: who.EmailVerified}, Roles: who.Roles,
		AuthenticatedAt: who.AuthenticatedAt,
	}
	if f.Session != "" {
		return s.vouched(c, f, person)
	}
	token, err := s.Staff.SignInWithOIDC(ctx, person, s.browser(c))
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

// refuse answers with the sign-in page and a sentence.
func (s *console) refuse(c echo.Context, back string, status int, text string) error {
	d := s.door(c, back)
	web.Note(c, "sign_in_refused")
	d.Faults = []Fault{{"main", d.T(text)}}
	return s.render(c, status, "sign_in", d)
}

// asked returns the session that the issuer was asked about, if this browser
// still has it.
func (s *console) asked(ctx context.Context, c echo.Context, f flow) (grant.Signed, bool, error) {
	signed, found, err := s.Staff.Session(ctx, s.token(c))
	return signed, found && mayContinue(signed.Session) && signed.Session.ID.String() == f.Session, err
}

// unconfirmed ends a session for whose person the issuer does not vouch any more.
func (s *console) unconfirmed(c echo.Context, f flow) error {
	ctx := c.Request().Context()
	signed, ok, err := s.asked(ctx, c, f)
	if err != nil {
		return err
	}
	if ok {
		if err := s.Staff.EndUnconfirmed(ctx, signed.Session.ID, s.browser(c)); err != nil {
			return err
		}
	}
	s.setCookie(c, s.sessionCookie(), "", -1)
	q := url.Values{"why": {string(account.EndedConfirm)}}
	if f.Back != "" && f.Back != heldPath {
		q.Set("back", f.Back)
	}
	return c.Redirect(http.StatusSeeOther, "/console/sign-in?"+q.Encode())
}

// vouched goes on with a session whose person the issuer vouches for.
func (s *console) vouched(c echo.Context, f flow, who grant.Identity) error {
	ctx := c.Request().Context()
	signed, ok, err := s.asked(ctx, c, f)
	switch {
	case err != nil:
		return err
	case !ok:
		return s.toSignIn(c, signed.Session.Ended)
	}
	if f.Ask == oidc.AskAgain {
		err = s.Staff.ConfirmByIssuer(ctx, signed, who, s.browser(c))
	} else {
		err = s.Staff.Vouch(ctx, signed, who, s.browser(c))
	}
	if errors.Is(err, grant.ErrOtherPerson) && f.Ask == oidc.AskSilent {
		return s.unconfirmed(c, f)
	}
	d := s.door(c, f.Back)
	if text := refusalText(d.Base, err); text != "" {
		web.Note(c, "sign_in_refused")
		d.Faults = []Fault{{"main", text}}
		return s.render(c, http.StatusForbidden, "sign_in", d)
	}
	if err != nil {
		return err
	}
	return c.Redirect(http.StatusSeeOther, orStart(f.Back))
}

func (s *console) flow(c echo.Context) (flow, bool) {
	var f flow
	sealed, err := base64.RawURLEncoding.DecodeString(s.cookie(c, s.flowCookie()).Reveal())
	if err != nil || len(sealed) == 0 {
		return f, false
	}
	plain, err := s.Box.Open(sealed, flowPlace())
	if err != nil || json.Unmarshal(plain, &f) != nil || s.Now().After(f.Ends) {
		return flow{}, false
	}
	return f, true
}

// toCheck sends a browser to the issuer, which vouches for the person without a
// page where it still knows them.
func (s *console) toCheck(c echo.Context) error {
	q := url.Values{"check": {"1"}}
	if back := s.returnPath(c); back != "" {
		q.Set("back", back)
	}
	return c.Redirect(http.StatusSeeOther, "/console/sign-in/issuer?"+q.Encode())
}

// endByIssuer takes an issuer's report that a person, or one of its sessions, ended
// (OpenID Connect Back-Channel Logout 1.0, sections 2.5 to 2.8).
func (s *console) endByIssuer(c echo.Context) error {
	if s.Issuer == nil {
		return echo.ErrNotFound
	}
	h := c.Response().Header()
	h.Set("Cache-Control", "no-store")
	if ok, after := s.Reports.Allow(web.ClientKey(c)); !ok {
		web.Note(c, "rate_limited")
		h.Set("Retry-After", formatSeconds(after))
		return c.NoContent(http.StatusTooManyRequests)
	}
	if err := c.Request().ParseForm(); err != nil {
		return invite.Errorf(invite.CodeMalformed, "The form could not be read.")
	}
	ctx := c.Request().Context()
	l, err := s.Issuer.Logout(ctx, c.Request().PostForm.Get("logout_token"))
	if errors.Is(err, oidc.ErrRefused) {
		return s.refuseReport(c, err)
	}
	if err != nil {
		s.Log.WarnContext(ctx, "logout by issuer", "error", err, "request_id", web.RequestID(ctx))
		return c.NoContent(http.StatusServiceUnavailable)
	}
	_, first, err := s.Staff.EndByIssuer(ctx, grant.Logout{
		Issuer: l.Issuer, ID: l.ID, Subject: l.Subject, Session: l.Session, Ends: l.Ends,
	}, access.Origin{RequestID: web.RequestID(ctx)})
	if err != nil {
		return err
	}
	if !first {
		return s.refuseReport(c, errReportedBefore)
	}
	return c.NoContent(http.StatusOK)
}

var errReportedBefore = errors.New("the logout token was used before")

func (s *console) refuseReport(c echo.Context, err error) error {
	ctx := c.Request().Context()
	s.Log.WarnContext(ctx, "logout by issuer", "error", err, "request_id", web.RequestID(ctx))
	web.Note(c, "logout_refused")
	return c.JSON(http.StatusBadRequest, map[string]string{"error": "invalid_request"})
}
