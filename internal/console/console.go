package console

import (
	"context"
	"log/slog"
	"net/http"
	"slices"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/connectlink/connectlink/config"
	"github.com/connectlink/connectlink/internal/attend"
	"github.com/connectlink/connectlink/internal/compose"
	"github.com/connectlink/connectlink/internal/console/view"
	"github.com/connectlink/connectlink/internal/erase"
	"github.com/connectlink/connectlink/internal/export"
	"github.com/connectlink/connectlink/internal/grant"
	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/issue"
	"github.com/connectlink/connectlink/internal/limit"
	"github.com/connectlink/connectlink/internal/oidc"
	"github.com/connectlink/connectlink/internal/pause"
	"github.com/connectlink/connectlink/internal/postgres"
	"github.com/connectlink/connectlink/internal/publish"
	"github.com/connectlink/connectlink/internal/required"
	"github.com/connectlink/connectlink/internal/reword"
	"github.com/connectlink/connectlink/internal/seal"
	"github.com/connectlink/connectlink/internal/suppress"
	"github.com/connectlink/connectlink/internal/testsend"
	"github.com/connectlink/connectlink/internal/unmask"
	"github.com/connectlink/connectlink/internal/watch"
	"github.com/connectlink/connectlink/internal/web"
)

// bodyLimit is far above what forms send.
const bodyLimit = 64 << 10

// Issuer vouches for people: single sign-on.
type Issuer interface {
	// Begin gives the address where the person signs in, and what must be
	// remembered until they come back.
	Begin(ctx context.Context, ask oidc.Ask) (address string, f oidc.Flow, err error)
	// Finish checks with what they came back.
	Finish(ctx context.Context, f oidc.Flow, code, state, issuer string) (oidc.Identity, error)
	// Logout checks the issuer's report of a logout.
	Logout(ctx context.Context, token string) (oidc.Logout, error)
}

// Params are what the console needs.
type Params struct {
	Staff *grant.Staff
	Keys  *grant.Service
	Pause *pause.Service
	// Endpoints are the product's webhook endpoints, Events what they receive.
	Endpoints *publish.Endpoints
	Events    *publish.Log
	DB        postgres.DB
	Lists     postgres.Lists // of lists and searches
	Box       *seal.Box
	Pages     *view.Pages
	Projects  []config.Project
	// System returns facts about the process; nil returns none.
	System func(ctx context.Context) (Facts, error)
	// AccountOf reports whether a provider account serves a project and mode; nil
	// says that all do.
	AccountOf func(place invite.Place, account string) bool
	// PaceOf is the most messages a second that a provider account is sent, 0 for
	// no limit; nil knows of none.
	PaceOf  func(account string) float64
	Invites *issue.Service
	Blocks  *suppress.Service
	// Attend keeps owners and notes of invites.
	Attend *attend.Service
	// Connections checks connected accounts; nil: they cannot be checked here.
	Connections Connections
	Unmask      *unmask.Service
	Erasing     *erase.Service
	Export      *export.Service
	// Reword changes the texts of messages.
	Reword *reword.Service
	// TestSends sends messages to the staff who ask for them.
	TestSends *testsend.Service
	// Composer renders messages as dispatch sends them.
	Composer *compose.Composer
	// Watch tells pages that are looked at that their invite moved; Streams
	// carries it to them.
	Watch   *watch.Registry
	Streams *web.Streams
	// OneWay reports whether people cannot reply to what a project's texts come from;
	// nil: they can.
	OneWay func(provider string, place invite.Place) bool
	// Logo returns the path of an app's logo on this host, empty while there is none;
	// nil: there are none.
	Logo func(source string) string
	// PublicURL is where people reach us; empty when they cannot.
	PublicURL string
	// Issuer is the single sign-on; nil: there is none.
	Issuer Issuer
	// Groups are the roles of the issuer's groups as configured; none: the issuer names
	// roles itself.
	Groups []GroupRole
	// Passwords reports whether emergency accounts are taken.
	Passwords bool
	// HTTPS reports whether browsers reach this by https: cookies are then bound to
	// host and scheme.
	HTTPS bool
	// Tries limits sign-ins per client address, Reports what comes as a report of
	// the issuer, Answers what browsers bring back from it.
	Tries, Reports, Answers limit.Budget
	Log                     *slog.Logger
	Now                     func() time.Time
}

type console struct {
	Params
	origins *http.CrossOriginProtection
}

// Register adds the console's routes. A missing collaborator is an error.
func Register(e *echo.Echo, p Params) error {
	err := required.Check("console.Params", map[string]any{
		"Staff": p.Staff, "Keys": p.Keys, "Pause": p.Pause, "Endpoints": p.Endpoints, "Events": p.Events, "DB": p.DB, "Lists": p.Lists, "Box": p.Box, "Pages": p.Pages, "Invites": p.Invites,
		"Blocks": p.Blocks, "Attend": p.Attend, "Unmask": p.Unmask, "Erasing": p.Erasing, "Export": p.Export, "Reword": p.Reword, "TestSends": p.TestSends, "Composer": p.Composer, "Watch": p.Watch, "Streams": p.Streams,
		"Tries": p.Tries, "Reports": p.Reports, "Answers": p.Answers,
	})
	if err != nil {
		return err
	}
	if p.Log == nil {
		p.Log = slog.New(slog.DiscardHandler)
	}
	if p.Now == nil {
		p.Now = time.Now
	}
	s := &console{Params: p, origins: http.NewCrossOriginProtection()}
	with := []echo.MiddlewareFunc{setHeaders, web.BodyLimit(bodyLimit), web.ErrorPages(s.fault), s.sameOrigin}
	e.GET("/console/static/*", s.static, setHeaders)
	for _, r := range s.doors() {
		e.Add(r.method, "/console"+r.path, r.do, with...)
	}
	for _, r := range s.own() {
		e.Add(r.method, "/console"+r.path, s.gate(r), with...)
	}
	for _, r := range s.routes() {
		e.Add(r.method, "/console/:project/:mode"+r.path, s.gateOf(r), append(slices.Clone(with), web.BodyLimit(r.body()))...)
	}
	e.GET("/console", func(c echo.Context) error { return c.Redirect(http.StatusSeeOther, "/console/") }, with...)
	e.GET("/console/*", s.nowhere, with...)
	return nil
}

// policy allows what comes from this origin and nothing else; no page of
// others may show one of ours in a frame.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; frame-src 'self'; " +
	"form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

// setHeaders are on every answer here, redirects and failures too.
func setHeaders(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		h := c.Response().Header()
		h.Set("Content-Security-Policy", policy)
		h.Set("Referrer-Policy", "same-origin")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Permissions-Policy", "camera=(), geolocation=(), microphone=()")
		return next(c)
	}
}

// sameOrigin refuses what another site makes a signed-in browser send.
func (s *console) sameOrigin(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		if err := s.origins.Check(c.Request()); err != nil {
			web.Note(c, "cross_origin")
			b := s.stranger(c)
			return s.tell(c, b, http.StatusForbidden, b.T("Request from another site"),
				b.T("Nothing was done. Open the console and try again there."), "")
		}
		return next(c)
	}
}

// static serves style and script. Their addresses change with their content.
func (s *console) static(c echo.Context) error {
	a, ok := s.Pages.Asset(c.Param("*"))
	if !ok {
		return echo.ErrNotFound
	}
	c.Response().Header().Set("Cache-Control", "public, max-age=31536000, immutable")
	return c.Blob(http.StatusOK, a.Type, a.Body)
}
