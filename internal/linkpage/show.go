package linkpage

import (
	"bytes"
	"crypto/rand"
	"math"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/connectlink/connectlink/internal/compose"
	"github.com/connectlink/connectlink/internal/contact"
	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/page"
	"github.com/connectlink/connectlink/internal/visit"
	"github.com/connectlink/connectlink/internal/web"
)

// extra is what only some pages have.
type extra struct {
	done      bool
	returnURL string
	toApp     bool // returnURL opens an app
	wait      int
	waited    bool
	inApp     *inApp // shown instead of a page that is ready
	stay      bool   // they know, and want it here
	unchosen  bool   // a report without a reason
	words     string // what it said
	try       int    // the number of the next try that the page makes by itself
	retryIn   int    // and after how many seconds; 0: none
}

// returnAfter is how many seconds the success is shown before the page goes
// back to the product: long enough to be read.
const returnAfter = 3

// openAppAfter is shorter: an app waits with a sheet over it.
const openAppAfter = 1

// show writes a page. An unknown code counts as a guess, and too many guesses
// get another page.
func (h *handler) show(c echo.Context, p visit.Page, x extra) error {
	if p.State == visit.Unknown {
		return h.unknown(c)
	}
	if p.State == visit.Busy {
		setRetryAfter(c, p.RetryAfter)
	}
	state := page.State(p.State)
	if x.inApp != nil {
		state = page.InApp
	}
	status := state.Status()
	if x.unchosen || p.State == visit.Verify && p.Verification.Said != visit.SaidNothing {
		status = http.StatusUnprocessableEntity
	}
	pages := h.Pages
	if own := h.ProjectPages[p.Project]; own != nil {
		pages = own
	}
	return writeAs(c, pages, status, state, p.Content.Recipient.Locale, h.data(c, p, x))
}

func (h *handler) unknown(c echo.Context) error {
	state := page.Unknown
	if ok, after := h.Guesses.Allow(web.ClientKey(c)); !ok {
		state = page.TooMany
		setRetryAfter(c, after)
	}
	return writeAs(c, h.Pages, state.Status(), state, "", page.Data{Missing: missingLetters(c.Param("code"))})
}

// fault shows a failure of ours, or of the request, as a page.
func (h *handler) fault(c echo.Context, p web.Problem) error {
	state := page.Unknown
	switch {
	case p.Status >= http.StatusInternalServerError:
		state = page.Busy
	case p.Status == http.StatusTooManyRequests:
		state = page.TooMany
	}
	d := page.Data{Reference: p.RequestID}
	if state == page.Busy {
		d.CodePath = "/c/" + url.PathEscape(c.Param("code"))
		setRefresh(c)
	}
	return writeAs(c, h.Pages, p.Status, state, "", d)
}

func writeAs(c echo.Context, pages *page.Pages, status int, s page.State, locale string, d page.Data) error {
	lang := chooseLanguage(c, pages, locale)
	d.Nonce, d.Chosen, d.Query = rand.Text(), pages.Chosen(c.QueryParam("lang")), chosenLanguage(c)
	var b bytes.Buffer
	if err := pages.Render(&b, s, lang, d); err != nil {
		return err
	}
	head := c.Response().Header()
	head.Set("Content-Security-Policy", pages.CSP(d.Nonce, d))
	head.Set("Content-Language", lang)
	head.Set("Content-Length", strconv.Itoa(b.Len()))
	return c.HTMLBlob(status, b.Bytes())
}

// chooseLanguage is what the reader chose on the page, else what the invite says,
// else what their browser prefers.
func chooseLanguage(c echo.Context, pages *page.Pages, locale string) string {
	if chosen := pages.Chosen(c.QueryParam("lang")); chosen != "" {
		return chosen
	}
	return pages.Language(locale, c.Request().Header.Get("Accept-Language"))
}

// chosenLanguage is what a page's address keeps when its language is changed.
func chosenLanguage(c echo.Context) string {
	switch {
	case c.QueryParam("stay") != "":
		return "stay=1"
	case c.QueryParam("inside") != "" && slices.Contains(inAppMarks(), c.QueryParam("inside")):
		return "inside=" + c.QueryParam("inside")
	case c.QueryParam("outcome") == string(visit.Errored):
		return "outcome=" + string(visit.Errored)
	}
	return ""
}

// composed is a page in the form that package compose fills its data from.
func (h *handler) composed(c echo.Context, p visit.Page) compose.Page {
	project, _ := h.Project(p.Project) // a project that was taken out of the configuration has no brand left
	return compose.Page{
		Invite: compose.Invite{
			Project: project, Livemode: p.Live, App: p.App, InitiatedBy: p.InitiatedBy, IsReconnect: p.Kind == invite.PurposeReconnect, Content: p.Content,
			Code: codeOf(c), ExpiresAt: p.ExpiresAt, Now: p.Now, Reference: invite.ReferenceOf(p.InviteID),
		},
		State: page.State(p.State), Via: p.Via, OneWay: h.OneWay(p.Provider, p.Place), BaseURL: h.baseURL(c), AppLogo: h.Logo(p.App.LogoURL),
		Failure: p.Failure, FailedBefore: p.FailedBefore, MintFailures: p.MintFailures, ReplacedAt: p.ReplacedAt, AccountName: p.AccountName,
		Held: p.Held, CanRenew: p.CanRenew, CanReport: p.CanReport, CanUndo: p.CanUndo,
		AsksCode: p.AsksCode, VerifyVia: p.Verification.Channel, Verification: verification(p.Verification),
	}
}

func verification(v visit.Verification) page.Verification {
	return page.Verification{
		Said: string(v.Said), Left: v.Left, Ended: v.Ended, Undelivered: v.Undelivered, CanSend: v.CanSend, Wait: v.Wait, Lasts: v.Lasts,
	}
}

// data is what the page shows of an invite, and of this request.
func (h *handler) data(c echo.Context, p visit.Page, x extra) page.Data {
	composed := h.composed(c, p)
	if x.inApp != nil {
		composed.State = page.InApp
	}
	d := composed.Data()
	d.ReturnURL, d.ReturnsToApp, d.Waited = x.returnURL, x.toApp, x.waited
	d.Unchosen, d.Words, d.Stay = x.unchosen, contact.Clean(x.words, 500), x.stay
	d.Try, d.RetryIn = x.try, x.retryIn
	if x.inApp != nil {
		d.InApp.Name, d.InApp.Android, d.InApp.IOS = x.inApp.name, x.inApp.android, x.inApp.ios
	}
	if p.State == visit.Connected {
		switch {
		case !x.done:
			d.ReturnURL, d.ReturnsToApp = p.ReturnURL(visit.ReturnConnected)
		case x.toApp:
			d.ReturnAfter = openAppAfter
		case x.returnURL != "":
			d.ReturnAfter = returnAfter
		}
	}
	return d
}

// baseURL is where the link can be opened in another browser or on another device.
func (h *handler) baseURL(c echo.Context) string {
	if h.PublicURL != "" {
		return h.PublicURL
	}
	if !hostName.MatchString(c.Request().Host) {
		return ""
	}
	return c.Scheme() + "://" + c.Request().Host
}

var hostName = regexp.MustCompile(`^(?:[A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]+)?$`)

func setRetryAfter(c echo.Context, d time.Duration) {
	seconds := max(1, int(math.Ceil(d.Seconds())))
	c.Response().Header().Set("Retry-After", strconv.Itoa(min(seconds, 3600)))
}
