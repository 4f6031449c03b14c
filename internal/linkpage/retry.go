package linkpage

import (
	"fmt"
	"math"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/labstack/echo/v4"

	"github.com/connectlink/connectlink/internal/visit"
)

// retryDelays are the seconds before a busy page tries again by itself. After the
// last one only the person does.
func retryDelays() []int { return []int{10, 20, 40, 60, 60, 60} }

// retryDelay is the delay before the next try, after so many; ok is false when
// there is none.
func retryDelay(tries string) (n, seconds int, ok bool) {
	n, err := strconv.Atoi(tries)
	if err != nil || n < 0 {
		n = 0
	}
	delays := retryDelays()
	if n >= len(delays) {
		return n, 0, false
	}
	return n, delays[n], true
}

// retry makes a busy page press again for a person, by its script. A press that
// looks like a bot's is not repeated, nor one that would send another code.
func (h *handler) retry(c echo.Context, p visit.Page, form url.Values) extra {
	e := formEvidence(c, form)
	e.Automated = e.Automated && p.Live // in test mode programs press for their product's tests
	if p.State != visit.Busy || p.AsksCode || e.LooksLike() != visit.Person {
		return extra{}
	}
	tries := ""
	if e.Retry { // a person's own press begins the count again
		tries = form.Get("try")
	}
	n, seconds, ok := retryDelay(tries)
	if !ok {
		return extra{}
	}
	return extra{try: n + 1, retryIn: max(seconds, int(math.Ceil(p.RetryAfter.Seconds())))}
}

// setRefresh makes a page that could not be shown ask for itself again, with or
// without scripts. Only a GET that changes nothing does.
func setRefresh(c echo.Context) {
	path := c.Request().URL.EscapedPath()
	if c.Request().Method != http.MethodGet || !strings.HasPrefix(path, "/c/") && !strings.HasPrefix(path, "/s/") {
		return
	}
	n, seconds, ok := retryDelay(c.QueryParam("try"))
	if !ok {
		return
	}
	q := url.Values{"try": {strconv.Itoa(n + 1)}}
	for _, name := range []string{"lang", "stay", "inside"} {
		if v := c.QueryParam(name); v != "" {
			q.Set(name, v)
		}
	}
	c.Response().Header().Set("Refresh", fmt.Sprintf("%d;url=%s?%s", seconds, path, q.Encode()))
}
