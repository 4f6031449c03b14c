package linkpage

import (
	"net/http"
	"strings"
	"unicode/utf8"

	"github.com/labstack/echo/v4"

	"github.com/connectlink/connectlink/internal/access"
	"github.com/connectlink/connectlink/internal/compose"
	"github.com/connectlink/connectlink/internal/page"
)

// People copy links by hand: with the full stop behind them, a bracket around
// them, a line break inside, or a mail program's invisible marks. A code is
// CodeLength letters and digits, so what else is there is no part of it.

// codePages are the pages with a code in their path, and the paths below each.
func codePages() map[string][]string {
	return map[string][]string{
		"c": {"seen", "renew", "verify", "verify/again", "not-me", "not-me/undo"}, "s": nil, "done": nil,
	}
}

// canonicalPath rewrites the path of a code's page before it is routed: the first
// CodeLength letters and digits are the code, doubled slashes and case before it
// do not count. Guessing becomes no easier: a path names one code as before.
func canonicalPath(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		u := c.Request().URL
		if path, ok := readPath(u.Path); ok && path != u.Path {
			u.Path, u.RawPath = path, ""
		}
		return next(c)
	}
}

// readPath returns the canonical path of a code's page; ok is false for all others.
func readPath(path string) (canonical string, ok bool) {
	first, rest, _ := strings.Cut(strings.TrimLeft(path, "/"), "/")
	first = strings.ToLower(first)
	below, ok := codePages()[first]
	if !ok {
		return "", false
	}
	if strings.Contains(rest, compose.SampleCode) {
		return "/c/" + compose.SampleCode, true
	}
	code, tail := readCode(strings.TrimLeft(rest, "/"))
	canonical = "/" + first + "/" + code
	if _, behind, found := strings.Cut(tail, "/"); found && code != "" {
		behind = strings.Trim(strings.ReplaceAll(behind, "//", "/"), "/")
		for _, b := range below {
			if behind == b {
				return canonical + "/" + b, true
			}
		}
	}
	return canonical, true
}

// readCode takes the letters and digits of a code out of a path, up to the next
// slash or CodeLength of them. tail is the unread rest.
func readCode(s string) (code, tail string) {
	var b strings.Builder
	for i, r := range s {
		if r == '/' && b.Len() > 0 || b.Len() == access.CodeLength {
			return b.String(), s[i:]
		}
		if r < utf8.RuneSelf && ('0' <= r && r <= '9' || 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z') {
			b.WriteByte(byte(r))
		}
	}
	return b.String(), ""
}

// missingLetters is how many letters a code lacks; 0 where it has them all, or
// none.
func missingLetters(code string) int {
	if code == "" || len(code) >= access.CodeLength || len(code) == access.OldCodeLength {
		return 0
	}
	return access.CodeLength - len(code)
}

// start is the page of the host itself.
func (h *handler) start(c echo.Context) error {
	return writeAs(c, h.Pages, page.Start.Status(), page.Start, "", page.Data{})
}

// sample answers each address of the link in a message that staff sent to themselves. It
// looks nothing up, is no guess, and takes what mail programs post to end reminders.
func (h *handler) sample(c echo.Context) error {
	return writeAs(c, h.Pages, page.Sample.Status(), page.Sample, "", page.Data{})
}

// noCode answers a link without its code. It is no guess.
func (h *handler) noCode(c echo.Context) error {
	return writeAs(c, h.Pages, page.Unknown.Status(), page.Unknown, "", page.Data{})
}

// noIcon answers browsers that ask for an icon unasked.
func noIcon(c echo.Context) error {
	c.Response().Header().Set("Cache-Control", "public, max-age=86400")
	return c.NoContent(http.StatusNoContent)
}
