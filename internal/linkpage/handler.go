package linkpage

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/connectlink/connectlink/config"
	"github.com/connectlink/connectlink/internal/linkpage/view"
	"github.com/connectlink/connectlink/internal/secret"
	"github.com/connectlink/connectlink/internal/visit"
	"github.com/connectlink/connectlink/internal/web"
)

const (
	// bodyLimit is far above what the form and the beacon send: nothing.
	bodyLimit = 4 << 10
	// fetchLogWithin bounds what happens after the page is out.
	fetchLogWithin = 2 * time.Second
)

// Budget limits how often something happens per key.
type Budget interface {
	Allow(key string) (ok bool, retryAfter time.Duration)
}

// Params are what the pages need.
type Params struct {
	Visits  *visit.Service
	Pages   *view.Pages
	Project func(id string) (config.Project, bool)
	// Guesses limits unknown codes per client address; nil sets no limit.
	Guesses Budget
	Log     *slog.Logger
}

type handler struct{ Params }

// Register adds the recipients' routes.
func Register(e *echo.Echo, p Params) {
	if p.Log == nil {
		p.Log = slog.New(slog.DiscardHandler)
	}
	h := &handler{p}
	with := []echo.MiddlewareFunc{headers, web.BodyLimit(bodyLimit), web.ErrorPages(h.fault)}
	e.GET("/c/:code", h.page, with...)
	e.HEAD("/c/:code", h.page, with...)
	e.POST("/c/:code", h.press, with...)
	e.POST("/c/:code/seen", h.seen, with...)
	e.GET("/done/:code", h.done, with...)
}

// headers are on every answer here, redirects and failures too.
func headers(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		h := c.Response().Header()
		h.Set("Cache-Control", "no-store")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("X-Robots-Tag", "noindex, nofollow")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("X-Frame-Options", "DENY")
		h.Set("Vary", "Accept-Language")
		return next(c)
	}
}

func code(c echo.Context) secret.Text { return secret.New(c.Param("code")) }

func (h *handler) page(c echo.Context) error {
	page, err := h.Visits.Open(c.Request().Context(), code(c))
	if err != nil {
		return err
	}
	if err := h.show(c, page, extra{}); err != nil || page.State == visit.Unknown {
		return err
	}
	h.fetched(c)
	return nil
}

// fetched writes the fetch log, once the reader has the page: nobody waits for it.
func (h *handler) fetched(c echo.Context) {
	_ = http.NewResponseController(c.Response().Writer).Flush() // not every writer can; then they wait after all
	ctx, cancel := context.WithTimeout(context.WithoutCancel(c.Request().Context()), fetchLogWithin)
	defer cancel()
	if err := h.Visits.Fetched(ctx, code(c), evidence(c)); err != nil {
		h.Log.WarnContext(ctx, "log a fetch", "err", err)
	}
}

func (h *handler) press(c echo.Context) error {
	if err := drain(c); err != nil {
		return err
	}
	pressed, err := h.Visits.Continue(c.Request().Context(), code(c))
	if err != nil {
		return err
	}
	if pressed.URL.IsZero() {
		return h.show(c, pressed.Page, extra{})
	}
	return c.Redirect(http.StatusSeeOther, pressed.URL.Reveal())
}

// seen answers alike whatever comes of it: a beacon has no reader.
func (h *handler) seen(c echo.Context) error {
	if err := drain(c); err != nil {
		return err
	}
	if err := h.Visits.Seen(c.Request().Context(), code(c), evidence(c)); err != nil {
		return err
	}
	return c.NoContent(http.StatusNoContent)
}

// drain reads what nobody needs, so that too much of it is refused.
func drain(c echo.Context) error {
	if _, err := io.Copy(io.Discard, c.Request().Body); err != nil {
		return fmt.Errorf("read a body: %w", err)
	}
	return nil
}

func (h *handler) done(c echo.Context) error {
	hint := visit.Succeeded
	if c.QueryParam("outcome") == string(visit.Errored) {
		hint = visit.Errored
	}
	page, err := h.Visits.Done(c.Request().Context(), code(c), hint)
	if err != nil {
		return err
	}
	status := visit.ReturnConnected
	if page.State == visit.CouldNotConnect {
		status = visit.ReturnFailed
	}
	x := extra{done: true}
	switch page.State {
	case visit.Connected, visit.CouldNotConnect, visit.Finishing:
		target, custom := page.ReturnURL(status)
		if custom {
			// An app waits for this with a sheet over it; a page would only
			// be in its way.
			return c.Redirect(http.StatusFound, target)
		}
		x.returnURL = target
	}
	if page.State == visit.Finishing {
		try, _ := strconv.Atoi(c.QueryParam("try"))
		x.wait, x.waited = waiting(try)
		if x.wait > 0 {
			// The header rather than a meta element, because it can count.
			c.Response().Header().Set("Refresh", fmt.Sprintf("%d;url=/done/%s?outcome=%s&try=%d",
				x.wait, url.PathEscape(c.Param("code")), visit.Succeeded, max(try, 0)+1))
		}
	}
	return h.show(c, page, x)
}

// waiting says after how many seconds the page asks again, and whether it has
// been longer than usual: about half a minute. After some minutes it stops; a
// webhook or a poll goes on, and a reload shows it.
func waiting(try int) (seconds int, waited bool) {
	first := []int{1, 2, 3, 4, 5, 6, 8}
	switch {
	case try < 0:
		return first[0], false
	case try < len(first):
		return first[try], false
	case try < len(first)+30:
		return 10, true
	}
	return 0, true
}

func evidence(c echo.Context) visit.Evidence {
	h := c.Request().Header
	purpose := h.Get("Sec-Purpose")
	if purpose == "" {
		purpose = h.Get("Purpose")
	}
	return visit.Evidence{
		Method: c.Request().Method, UserAgent: h.Get("User-Agent"), AcceptLanguage: h.Get("Accept-Language"), Purpose: purpose,
	}
}

// guesser is the key by which guesses are counted. A network hands a whole /64
// to one household, or to one attacker.
func guesser(c echo.Context) string {
	ip := web.ClientIP(c)
	if ip.Is6() {
		if p, err := ip.Prefix(64); err == nil {
			ip = p.Addr()
		}
	}
	if ip == (netip.Addr{}) {
		return "unknown"
	}
	return ip.String()
}
