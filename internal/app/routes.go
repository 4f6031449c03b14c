package app

import (
	"fmt"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/connectlink/connectlink/internal/httpapi"
	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/limit"
	"github.com/connectlink/connectlink/internal/linkpage"
	"github.com/connectlink/connectlink/internal/logo"
	"github.com/connectlink/connectlink/internal/provider"
	"github.com/connectlink/connectlink/internal/publish"
	"github.com/connectlink/connectlink/internal/web"
)

// guessesPerMinute bounds how many unknown codes one address may try; a
// person who mistypes needs a few.
const guessesPerMinute = 30

func (a *App) openRoutes() error {
	e := web.New(web.Params{
		Log: a.log, Tracer: a.opt.Tracer, Metrics: a.registry, PublicURL: a.cfg.PublicURL, TrustedProxies: a.cfg.TrustedProxies, HSTSSubdomains: a.cfg.HSTSSubdomains, Now: a.opt.Now,
	})
	params := httpapi.Params{
		Invites: a.Issue, Previews: a.Issue, Suppressions: a.suppress, Privacy: a.Erase, Pauses: a.pause, EventLog: publish.NewLog(a.api, a.box), Endpoints: a.endpoints, Callbacks: a.track, Authenticate: a.Grants.Authenticate, DB: a.api, Lists: a.lists(a.cfg.DatabaseReadStaleness), Box: a.box, PublicURL: a.public,
		Check: a.Issue.Check, Advance: a.advance, Connections: a.track, Ready: a.ready, SecurityContact: a.cfg.SecurityContact,
	}
	params.InApp, params.AppLinks = a.inApp(), appLinks(a.cfg)
	if a.standins != nil {
		params.Inbox, params.Faults = a.standins.sandbox, a.standins.sandbox
	}
	if err := httpapi.Mount(e, params); err != nil {
		return fmt.Errorf("mount the API: %w", err)
	}
	err := linkpage.Register(e, linkpage.Params{
		Visits: a.visit, Pages: a.texts.pages, ProjectPages: a.ownPages(), Project: a.cfg.Project, OneWay: a.sentOneWay, PublicURL: a.public, Log: a.log, Logo: a.logos.PathOf,
		Guesses: limit.New(limit.Per(guessesPerMinute, time.Minute), guessesPerMinute, a.opt.Now),
	})
	if err != nil {
		return err
	}
	picture := web.Picture(a.logos.Get, logo.ErrNotFound)
	e.GET(logo.Path+":name", picture)
	e.HEAD(logo.Path+":name", picture)
	if err := a.mountConsole(e); err != nil {
		return err
	}
	if a.health == nil {
		e.GET("/metrics", a.metrics())
	}
	if a.standins != nil {
		a.mountSandbox(e)
	}
	a.handler = e
	return nil
}

// metrics are for scrapers beside us; from outside they do not exist. A request
// that came through a proxy is from outside, however near the proxy is. With a
// listener for metrics they are served there alone.
func (a *App) metrics() echo.HandlerFunc {
	h := echo.WrapHandler(web.MetricsHandler(a.registry))
	return func(c echo.Context) error {
		ip := web.ClientIP(c)
		if web.IsForwarded(c.Request()) || !ip.IsLoopback() && !ip.IsPrivate() {
			return echo.ErrNotFound
		}
		return h(c)
	}
}

// mountSandbox adds test mode's pages. Pipedream's stand-in must be reachable
// by anyone who follows a test link; the inbox shows messages, so without a key
// it is for one's own machine only.
func (a *App) mountSandbox(e *echo.Echo) {
	h := echo.WrapHandler(http.StripPrefix("/sandbox", a.standins.sandbox.Pages()))
	e.Any("/sandbox/*", func(c echo.Context) error {
		if strings.HasPrefix(c.Request().URL.Path, "/sandbox/inbox") && !(a.opt.Laptop && isLocal(c)) {
			return echo.ErrNotFound
		}
		return h(c)
	})
}

// isLocal reports whether a request was made on this machine, for this machine: a
// page elsewhere that points a name at loopback is not.
func isLocal(c echo.Context) bool {
	host := c.Request().Host
	if ap, err := netip.ParseAddrPort(host); err == nil {
		return ap.Addr().IsLoopback()
	}
	name, _, _ := strings.Cut(host, ":")
	return name == "localhost"
}

// ReceiptSummary says for each project whether vendors report deliveries, in
// one line for the log at start.
func (a *App) ReceiptSummary() string {
	var parts []string
	for _, p := range a.cfg.Projects {
		v := a.vendors[invite.Place{Project: p.ID, Live: true}]
		var channels []string
		for _, ch := range invite.Channels() {
			channels = append(channels, fmt.Sprintf("%s %s", ch, a.reported(v, ch)))
		}
		parts = append(parts, p.ID+": "+strings.Join(channels, ", "))
	}
	return strings.Join(parts, "; ")
}

// reported is "on" where a provider that sends by the channel reports deliveries.
func (a *App) reported(v *vendors, c invite.Channel) string {
	reports := func(p *provider.Provider) bool { return p.Callbacks != nil }
	if a.public == "" && v.callbackURL == "" || !slices.ContainsFunc(v.of(c), reports) {
		return "off"
	}
	return "on"
}
