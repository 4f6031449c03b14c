package console

import (
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/connectlink/connectlink/internal/console/view"
	"github.com/connectlink/connectlink/internal/grant"
	"github.com/connectlink/connectlink/internal/oidc"
	"github.com/connectlink/connectlink/internal/seal"
	"github.com/connectlink/connectlink/internal/secret"
	"github.com/connectlink/connectlink/internal/web"
)

// Fields of the form that confirms who a person is; all others are the form's that
// waits for it.
const (
	confirmPassword = "confirm_password"
	confirmCode     = "confirm_code"
)

// heldPath is the page of a form that waited.
const heldPath = "/console/confirm"

// confirmPage asks a person to prove who they are. Fields keep the form that they
// sent.
type confirmPage struct {
	*view.Base

	Action   string
	Fields   []heldField
	Password bool   // by password and code; else at the issuer
	To       string // where single sign-on begins
	Lead     string
	Faults   []Fault
}

type heldField struct{ Name, Value string }

// heldForm is a form that waits, sealed in its session's row.
type heldForm struct {
	Action string     `json:"action"`
	Fields url.Values `json:"fields"`
	Ends   time.Time  `json:"ends"`
}

// heldLasts is how long a form waits for its person.
const heldLasts = 30 * time.Minute

func heldPlace(signed grant.Signed) seal.AD {
	return seal.AD{Column: "staff_sessions.held_form", ID: signed.Session.ID.UUID()}
}

func fieldsOf(form url.Values) []heldField {
	var out []heldField
	for name, values := range form {
		for _, v := range values {
			if name != confirmPassword && name != confirmCode {
				out = append(out, heldField{name, v})
			}
		}
	}
	slices.SortStableFunc(out, func(a, b heldField) int { return strings.Compare(a.Name, b.Name) })
	return out
}

// proved does what only a person who proved who they are lately may do.
func (s *console) proved(do func(*page) error) func(*page) error {
	return func(p *page) error {
		if ok, err := s.confirm(p); err != nil || !ok {
			return err
		}
		return do(p)
	}
}

// provedInBulk does so once a session unmasked many addresses.
func (s *console) provedInBulk(do func(*page) error) func(*page) error {
	return func(p *page) error {
		bulk, err := s.Unmask.IsBulk(p.ctx(), p.by)
		switch {
		case err != nil:
			return err
		case bulk:
			return s.proved(do)(p)
		}
		return do(p)
	}
}

// confirm reports whether a person proved who they are lately; if not, it asks, and
// the answer is written. The form that they sent comes back with the proof.
//
// Printed links are exempt: dev makes them, for the operator of its loopback
// service, and they have nothing to prove with.
func (s *console) confirm(p *page) (ok bool, err error) {
	x := p.signed.Session
	if x.Fresh || x.Method == "link" {
		return true, nil
	}
	form, err := p.form()
	if err != nil {
		return false, err
	}
	p.Response().Header().Set("Cache-Control", "no-store")
	d := confirmPage{Base: p.base(p.t("Confirm that it is you"), ""), Action: p.Request().URL.RequestURI(), Fields: fieldsOf(form), Password: x.Method == "password"}
	d.Lead = p.t("This needs a confirmation that is not older than 5 minutes. What you entered is kept.")
	if !d.Password {
		if s.Issuer == nil {
			return false, p.missing() // single sign-on was configured away
		}
		d.To = "/console/confirm/issuer"
		web.Note(p, "confirmation_needed")
		return false, s.hold(p, p.signed, form, d)
	}
	if form.Get(confirmPassword) == "" && form.Get(confirmCode) == "" {
		web.Note(p, "confirmation_needed")
		return false, p.render(p, http.StatusUnauthorized, "confirm", d)
	}
	if ok, after := s.Tries.Allow(web.ClientKey(p)); !ok {
		web.Note(p, "rate_limited")
		d.Faults = []Fault{{confirmPassword, p.t("Too many tries. Wait a minute.")}}
		p.Response().Header().Set("Retry-After", formatSeconds(after))
		return false, p.render(p, http.StatusTooManyRequests, "confirm", d)
	}
	err = s.Staff.Confirm(p.ctx(), p.signed, secret.New(form.Get(confirmPassword)), secret.New(form.Get(confirmCode)), s.browser(p))
	if fault, status := passwordFault(p, p.frame, err); fault != "" {
		d.Faults = []Fault{{confirmPassword, fault}}
		return false, p.render(p, status, "confirm", d)
	}
	return err == nil, err
}

// hold keeps a form with its session during a detour to the issuer, and answers
// with the page that leads there. It is a link: browsers let no form lead to
// another host under our policy.
func (s *console) hold(c echo.Context, signed grant.Signed, form url.Values, d confirmPage) error {
	plain, err := json.Marshal(heldForm{Action: c.Request().URL.RequestURI(), Fields: form, Ends: s.Now().Add(heldLasts)})
	if err != nil {
		return err
	}
	sealed, err := s.Box.Seal(plain, heldPlace(signed))
	if err != nil {
		return err
	}
	if err := s.Staff.HoldForm(c.Request().Context(), signed.Session.ID, sealed); err != nil {
		return err
	}
	return s.render(c, http.StatusUnauthorized, "confirm", d)
}

// holdForCheck keeps a form of a session that the issuer has to vouch for again.
func (s *console) holdForCheck(c echo.Context, signed grant.Signed) error {
	form, err := postedForm(c.Request())
	if err != nil {
		return s.toSignIn(c, signed.Session.Ended)
	}
	b := s.stranger(c)
	b.Title = b.T("Confirm that it is you")
	web.Note(c, "confirmation_needed")
	return s.hold(c, signed, form, confirmPage{
		Base: b, Lead: b.T("Single sign-on confirms every 5 minutes that you still have access. What you entered is kept."),
		To: "/console/sign-in/issuer?" + url.Values{"check": {"1"}, "back": {heldPath}}.Encode(),
	})
}

// confirmByIssuer sends a person to the issuer to prove who they are.
func (s *console) confirmByIssuer(p *page) error {
	if s.Issuer == nil || p.signed.Session.Method != "oidc" {
		return p.missing()
	}
	return s.begin(p, oidc.AskAgain, heldPath, p.signed.Session.ID.String())
}

// heldPage shows that a form waits, and sends it with a press: a GET does nothing.
func (s *console) heldPage(p *page) error {
	sealed, ok, err := s.Staff.HeldForm(p.ctx(), p.signed.Session.ID)
	if err != nil {
		return err
	}
	var f heldForm
	if ok {
		plain, err := s.Box.Open(sealed, heldPlace(p.signed))
		ok = err == nil && json.Unmarshal(plain, &f) == nil && s.Now().Before(f.Ends) && safeReturnPath(f.Action) != ""
	}
	if !ok {
		return p.Redirect(http.StatusSeeOther, "/console/")
	}
	p.Response().Header().Set("Cache-Control", "no-store")
	return p.show("confirm", confirmPage{
		Base: p.base(p.t("Confirmed"), ""), Action: f.Action, Fields: fieldsOf(f.Fields),
		Lead: p.t("Thank you. Nothing was done yet: continue with what you entered."),
	})
}
