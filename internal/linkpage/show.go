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
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/connectlink/connectlink/internal/contact"
	"github.com/connectlink/connectlink/internal/invite"
	"github.com/connectlink/connectlink/internal/linkpage/view"
	"github.com/connectlink/connectlink/internal/message"
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

// offerHelpAfter failed mints in a row, the busy page names a contact.
const offerHelpAfter = 3

// show writes a page. An unknown code counts as a guess, and too many guesses
// get another page.
func (h *handler) show(c echo.Context, p visit.Page, x extra) error {
	if p.State == visit.Unknown {
		return h.unknown(c)
	}
	if p.State == visit.Busy {
		setRetryAfter(c, p.RetryAfter)
	}
	state := view.State(p.State)
	if x.inApp != nil {
		state = view.InApp
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
	state := view.Unknown
	if ok, after := h.Guesses.Allow(web.ClientKey(c)); !ok {
		state = view.TooMany
		setRetryAfter(c, after)
	}
	return writeAs(c, h.Pages, state.Status(), state, "", view.Data{Missing: missingLetters(c.Param("code"))})
}

// fault shows a failure of ours, or of the request, as a page.
func (h *handler) fault(c echo.Context, p web.Problem) error {
	state := view.Unknown
	switch {
	case p.Status >= http.StatusInternalServerError:
		state = view.Busy
	case p.Status == http.StatusTooManyRequests:
		state = view.TooMany
	}
	d := view.Data{Reference: p.RequestID}
	if state == view.Busy {
		d.CodePath = "/c/" + url.PathEscape(c.Param("code"))
		setRefresh(c)
	}
	return writeAs(c, h.Pages, p.Status, state, "", d)
}

func writeAs(c echo.Context, pages *view.Pages, status int, s view.State, locale string, d view.Data) error {
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
func chooseLanguage(c echo.Context, pages *view.Pages, locale string) string {
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

// data is what the page may show of an invite.
func (h *handler) data(c echo.Context, p visit.Page, x extra) view.Data {
	project, _ := h.Project(p.Project) // a project that was taken out of the configuration has no brand left
	brand := project.Brand
	d := view.Data{
		Brand: brand.Name, Colour: brand.Colour, LogoURL: brand.LogoURL, SupportEmail: brand.SupportEmail,
		LegalLine: brand.LegalLine, PrivacyURL: brand.PrivacyURL, TestMode: !p.Live,
		// The app's logo is on a third party's host, which must not learn of
		// visitors who only opened a page.
		App:         view.App{Name: p.App.Name, AuthType: p.App.AuthType},
		Inviter:     contact.Clean(p.Content.Inviter, 80),
		Reason:      contact.Clean(p.Content.Reason, 200),
		Note:        contact.CleanPublic(p.Content.Note, 200),
		InitiatedBy: message.Initiator(p.InitiatedBy), RecipientMasked: maskedRecipient(p),
		ExpiresAt: p.ExpiresAt, Now: p.Now, Reference: p.InviteID.String(),
		CodePath: "/c/" + url.PathEscape(c.Param("code")),
		Failure:  p.Failure, FailedBefore: p.FailedBefore, CanRetry: p.State == visit.CouldNotConnect,
		Persistent: p.MintFailures >= offerHelpAfter, ReplacedAt: p.ReplacedAt,
		AccountName: p.AccountName, ReturnURL: x.returnURL, ReturnsToApp: x.toApp, Waited: x.waited,
	}
	d.CanRenew, d.RenewChannel, d.CanReport, d.Held = p.CanRenew, string(p.Via), p.CanReport, p.Held
	d.Unchosen, d.Words, d.CanSuppress = x.unchosen, contact.Clean(x.words, 500), p.Via != ""
	d.StopPath, d.CanResume = "/s/"+url.PathEscape(c.Param("code")), h.resumable(p)
	d.PageURL, d.Stay = h.pageURL(c), x.stay
	d.Try, d.RetryIn = x.try, x.retryIn
	if p.AsksCode {
		d.VerifyBy = string(p.Via)
	}
	if v := p.Verification; p.State == visit.Verify {
		d.VerifyBy = string(v.Channel)
		d.Verify = view.Verification{
			Said: string(v.Said), Left: v.Left, Ended: v.Ended, Undelivered: v.Undelivered, CanSend: v.CanSend, Wait: v.Wait, Lasts: v.Lasts,
		}
	}
	if x.inApp != nil {
		d.InApp = view.InAppBrowser{Name: x.inApp.name, Android: x.inApp.android, IOS: x.inApp.ios, Refused: googleFamily(p.App.Slug)}
	}
	if len(project.Pipedream.LinkHosts) > 0 {
		d.ConnectHost = project.Pipedream.LinkHosts[0]
	}
	if zone, err := contact.ParseTimeZone(p.Content.Recipient.TimeZone); err == nil && p.Content.Recipient.TimeZone != "" {
		d.Zone, d.ZoneIsRecipients = zone, true
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

// pageURL is the link's whole address, for another browser or device.
func (h *handler) pageURL(c echo.Context) string {
	base := h.PublicURL
	if base == "" {
		if !hostName.MatchString(c.Request().Host) {
			return ""
		}
		base = c.Scheme() + "://" + c.Request().Host
	}
	return strings.TrimSuffix(base, "/") + "/c/" + url.PathEscape(c.Param("code"))
}

var hostName = regexp.MustCompile(`^(?:[A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]+)?$`)

// maskedRecipient is the address that the opened link went to, as its owner would
// recognise it. A link that the product showed itself is told apart by any.
func maskedRecipient(p visit.Page) string {
	r, via := p.Content.Recipient, p.Via
	if p.State == visit.Verify && p.Verification.Channel != "" {
		via = p.Verification.Channel // to which digits went
	}
	switch {
	case via == invite.SMS || r.Email == "" && r.Phone != "":
		return contact.MaskPhone(r.Phone)
	case r.Email != "":
		return contact.MaskEmail(r.Email)
	}
	return ""
}

func setRetryAfter(c echo.Context, d time.Duration) {
	seconds := max(1, int(math.Ceil(d.Seconds())))
	c.Response().Header().Set("Retry-After", strconv.Itoa(min(seconds, 3600)))
}
