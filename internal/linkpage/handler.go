package linkpage

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/labstack/echo/v4"

	"github.com/connectlink/connectlink/config"
	"github.com/connectlink/connectlink/internal/compose"
	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/limit"
	"github.com/connectlink/connectlink/internal/page"
	"github.com/connectlink/connectlink/internal/required"
	"github.com/connectlink/connectlink/internal/secret"
	"github.com/connectlink/connectlink/internal/visit"
	"github.com/connectlink/connectlink/internal/web"
)

const (
	// bodyLimit is far above the size of our forms; the longest text field has
	// 500 characters.
	bodyLimit = 16 << 10
	// fetchLogWithin bounds what happens after the page is out.
	fetchLogWithin = 2 * time.Second
)

// Params are what the pages need.
type Params struct {
	Visits *visit.Service
	Pages  *page.Pages
	// ProjectPages are those of projects that have texts of their own.
	ProjectPages map[string]*page.Pages
	Project      func(id string) (config.Project, bool)
	// OneWay reports whether people cannot reply to the text that a provider sent for
	// a project, so that the page takes an opt-out back.
	OneWay func(provider string, place invite.Place) bool
	// Logo returns the path of an app's logo on this host; empty while there is none.
	Logo func(source string) string
	// PublicURL is where people reach these pages, for handing one over to
	// another device; empty: where the request came in.
	PublicURL string
	// Guesses limits unknown codes per client address.
	Guesses limit.Budget
	Log     *slog.Logger
}

type handler struct{ Params }

// Register adds the recipients' routes. A missing collaborator is an error.
func Register(e *echo.Echo, p Params) error {
	err := required.Check("linkpage.Params", map[string]any{
		"Visits": p.Visits, "Pages": p.Pages, "Project": p.Project, "OneWay": p.OneWay, "Guesses": p.Guesses, "Logo": p.Logo,
	})
	if err != nil {
		return err
	}
	if p.Log == nil {
		p.Log = slog.New(slog.DiscardHandler)
	}
	h := &handler{p}
	e.Pre(canonicalPath)
	e.Use(web.FallbackPages(h.fault))
	with := []echo.MiddlewareFunc{setHeaders, web.BodyLimit(bodyLimit), web.ErrorPages(h.fault)}
	e.GET("/c/:code", h.page, with...)
	e.HEAD("/c/:code", h.page, with...)
	e.POST("/c/:code", h.press, with...)
	e.POST("/c/:code/seen", h.seen, with...)
	e.POST("/c/:code/renew", h.renew, with...)
	e.GET("/c/:code/renew", h.back, with...)
	e.GET("/c/:code/verify", h.verify, with...)
	e.POST("/c/:code/verify", h.enter, with...)
	e.POST("/c/:code/verify/again", h.again, with...)
	e.GET("/c/:code/verify/again", h.back, with...)
	e.GET("/c/:code/not-me", h.notMe, with...)
	e.POST("/c/:code/not-me", h.report, with...)
	e.POST("/c/:code/not-me/undo", h.withdraw, with...)
	e.GET("/c/:code/not-me/undo", h.back, with...)
	e.GET("/done/:code", h.done, with...)
	// Short, because it stands in text messages.
	e.GET("/s/:code", h.stopping, with...)
	e.HEAD("/s/:code", h.stopping, with...)
	e.POST("/s/:code", h.stop, with...)
	for _, method := range []string{http.MethodGet, http.MethodHead, http.MethodPost} {
		e.Add(method, "/c/"+compose.SampleCode, h.sample, with...)
	}
	e.GET("/", h.start, with...)
	e.HEAD("/", h.start, with...)
	for _, path := range []string{"/c/", "/s/", "/done/"} {
		e.GET(path, h.noCode, with...)
		e.HEAD(path, h.noCode, with...)
		e.POST(path, h.noCode, with...)
	}
	e.GET("/favicon.ico", noIcon, setHeaders)
	e.GET("/r/*", h.returned, with...)
	e.HEAD("/r/*", h.returned, with...)
	return nil
}

// setHeaders are on every answer here, redirects and failures too.
func setHeaders(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		h := c.Response().Header()
		h.Set("Cache-Control", "no-store, no-transform")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("X-Robots-Tag", "noindex, nofollow")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("X-Frame-Options", "DENY")
		h.Set("Vary", "Accept-Language")
		return next(c)
	}
}

func codeOf(c echo.Context) secret.Text { return secret.New(c.Param("code")) }

func (h *handler) page(c echo.Context) error {
	page, err := h.Visits.Open(c.Request().Context(), codeOf(c))
	if err != nil {
		return err
	}
	x := extra{}
	// A failed attempt may have failed because of the app's browser: there too the
	// way out comes first.
	if (page.State == visit.Ready || page.State == visit.CouldNotConnect) && c.QueryParam("stay") == "" {
		// A query of our own page's, so the way through needs no memory.
		if app, ok := inAppBrowser(c.Request().UserAgent()); ok {
			x.inApp = &app
		} else if app, ok := toldInside(c.QueryParam("inside"), c.Request().UserAgent()); ok {
			x.inApp = &app
		}
	}
	x.stay = c.QueryParam("stay") != ""
	if err := h.show(c, page, x); err != nil || page.State == visit.Unknown {
		return err
	}
	h.fetched(c)
	return nil
}

// fetched writes the fetch log after the page is sent, so that the reader does not
// wait for it.
func (h *handler) fetched(c echo.Context) {
	_ = http.NewResponseController(c.Response().Writer).Flush() // not every writer can; then they wait after all
	ctx, cancel := context.WithTimeout(context.WithoutCancel(c.Request().Context()), fetchLogWithin)
	defer cancel()
	if err := h.Visits.Fetched(ctx, codeOf(c), requestEvidence(c)); err != nil {
		h.Log.WarnContext(ctx, "log a fetch", "err", err)
	}
}

func (h *handler) press(c echo.Context) error {
	form, err := readForm(c)
	if err != nil {
		return err
	}
	pressed, err := h.Visits.Continue(c.Request().Context(), codeOf(c), formEvidence(c, form))
	if err != nil {
		return err
	}
	if pressed.URL.IsZero() {
		return h.asked(c, pressed.Page, h.retry(c, pressed.Page, form))
	}
	return c.Redirect(http.StatusSeeOther, pressed.URL.Reveal())
}

// seen sends the same answer for every outcome: a beacon has no reader.
func (h *handler) seen(c echo.Context) error {
	form, err := readForm(c)
	if err != nil {
		return err
	}
	if err := h.Visits.Seen(c.Request().Context(), codeOf(c), formEvidence(c, form)); err != nil {
		return err
	}
	return c.NoContent(http.StatusNoContent)
}

func (h *handler) renew(c echo.Context) error {
	if _, err := readForm(c); err != nil {
		return err
	}
	page, err := h.Visits.Renew(c.Request().Context(), codeOf(c))
	if err != nil {
		return err
	}
	return h.show(c, page, extra{})
}

// back leads from an address that only takes a POST to the page it is of.
func (h *handler) back(c echo.Context) error {
	return c.Redirect(http.StatusSeeOther, "/c/"+url.PathEscape(c.Param("code"))+h.andLanguage(c, "?"))
}

func (h *handler) notMe(c echo.Context) error {
	page, err := h.Visits.Reporting(c.Request().Context(), codeOf(c))
	if err != nil {
		return err
	}
	return h.show(c, page, extra{})
}

func (h *handler) report(c echo.Context) error {
	form, err := readForm(c)
	if err != nil {
		return err
	}
	said := visit.Report{Why: form.Get("why"), Words: form.Get("words"), Suppress: form.Get("suppress") != ""}
	page, err := h.Visits.Report(c.Request().Context(), codeOf(c), said, formEvidence(c, form))
	if err != nil {
		return err
	}
	// Here again: no reason was chosen.
	return h.show(c, page, extra{unchosen: page.State == visit.NotMe, words: said.Words})
}

// withdraw takes a report back that was a mistake.
func (h *handler) withdraw(c echo.Context) error {
	form, err := readForm(c)
	if err != nil {
		return err
	}
	page, err := h.Visits.Withdraw(c.Request().Context(), codeOf(c), formEvidence(c, form))
	if err != nil {
		return err
	}
	return h.show(c, page, extra{})
}

func (h *handler) stopping(c echo.Context) error {
	page, err := h.Visits.Stopping(c.Request().Context(), codeOf(c))
	if err != nil {
		return err
	}
	return h.show(c, page, extra{})
}

// stop ends messages. It is also what mail programs post to for their readers
// (RFC 8058). Only where a sender cannot be replied to does the
// page take that back: elsewhere the provider keeps its own list, which only the
// reply START undoes.
func (h *handler) stop(c echo.Context) error {
	form, err := readForm(c)
	if err != nil {
		return err
	}
	page, err := h.Visits.Stopping(c.Request().Context(), codeOf(c))
	if err != nil {
		return err
	}
	resume := form.Get("resume") != ""
	if resume && !h.composed(c, page).IsResumable() {
		return h.show(c, page, extra{})
	}
	if page, err = h.Visits.Stop(c.Request().Context(), codeOf(c), resume, formEvidence(c, form)); err != nil {
		return err
	}
	return h.show(c, page, extra{})
}

// readForm reads a form. A malformed body has no fields: the page and its
// script send small forms, and a bot's body needs no error message.
func readForm(c echo.Context) (url.Values, error) {
	raw, err := io.ReadAll(c.Request().Body)
	if err != nil {
		return nil, fmt.Errorf("read a body: %w", err)
	}
	form, err := url.ParseQuery(string(raw))
	if err != nil || !utf8.Valid(raw) {
		return url.Values{}, nil //nolint:nilerr // as said above
	}
	return form, nil
}

func (h *handler) done(c echo.Context) error {
	hint := visit.Succeeded
	if c.QueryParam("outcome") == string(visit.Errored) {
		hint = visit.Errored
	}
	page, err := h.Visits.Done(c.Request().Context(), codeOf(c), hint)
	if err != nil {
		return err
	}
	x := extra{done: true}
	switch page.State {
	case visit.Connected:
		x.returnURL, x.toApp = page.ReturnURL(visit.ReturnConnected)
	case visit.CouldNotConnect:
		x.returnURL, x.toApp = page.ReturnURL(visit.ReturnFailed)
	case visit.Finishing:
		// Not confirmed yet: an app is not opened, and nothing is said of the outcome.
		if target, toApp := page.ReturnURL(visit.ReturnPending); !toApp {
			x.returnURL = target
		}
	}
	if page.State == visit.Finishing {
		try, _ := strconv.Atoi(c.QueryParam("try"))
		x.wait, x.waited = nextWait(try)
		if x.wait > 0 {
			// The header rather than a meta element, because it can count.
			c.Response().Header().Set("Refresh", fmt.Sprintf("%d;url=/done/%s?outcome=%s&try=%d%s",
				x.wait, url.PathEscape(c.Param("code")), visit.Succeeded, max(try, 0)+1, h.andLanguage(c, "&")))
		}
	}
	return h.show(c, page, x)
}

// andLanguage hands a language that was chosen on to our next page.
func (h *handler) andLanguage(c echo.Context, sep string) string {
	if chosen := h.Pages.Chosen(c.QueryParam("lang")); chosen != "" {
		return sep + "lang=" + url.QueryEscape(chosen)
	}
	return ""
}

// nextWait says after how many seconds the page asks again, and whether it has
// been longer than usual: about half a minute. After some minutes it stops; a
// webhook or a poll goes on, and a reload shows it.
func nextWait(try int) (seconds int, waited bool) {
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

func requestEvidence(c echo.Context) visit.Evidence {
	h := c.Request().Header
	purpose := h.Get("Sec-Purpose")
	if purpose == "" {
		purpose = h.Get("Purpose")
	}
	return visit.Evidence{
		Method: c.Request().Method, UserAgent: h.Get("User-Agent"), AcceptLanguage: h.Get("Accept-Language"), Purpose: purpose,
		FetchMode: h.Get("Sec-Fetch-Mode"), FetchUser: h.Get("Sec-Fetch-User"),
	}
}

// formEvidence is evidence with what the page's form and script added.
func formEvidence(c echo.Context, form url.Values) visit.Evidence {
	e := requestEvidence(c)
	e.FromPage = form.Get("from") != ""
	e.Scripts, e.Gesture, e.Automated = form.Get("js") != "", form.Get("g") != "", form.Get("auto") != ""
	e.Again, e.Retry, e.OneClick = form.Get("again") != "", form.Get("retry") != "", form.Get("List-Unsubscribe") == "One-Click"
	return e
}
