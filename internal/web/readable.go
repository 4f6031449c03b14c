package web

import (
	"errors"
	"net/http"
	"net/url"
	"strings"
	"unicode/utf8"

	"github.com/labstack/echo/v4"

	"github.com/connectlink/connectlink/internal/invite"
)

// Text in a request is UTF-8 without NUL, or it is refused or repaired before a
// handler sees it: PostgreSQL stores neither NUL nor invalid UTF-8, so one that
// reaches a query fails there (SQLSTATE 22021).
//
// Programs are told of their mistake: under /v1/ and /hooks/ the request is
// refused. On pages a person followed a link that a mail program or a tracker
// has changed, so unreadable bytes become U+FFFD and the page opens. Forms are
// checked while they are read (see checkedBody), JSON by its own decoder.
func readableRequest(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		r := c.Request()
		repairHeader(r.Header)
		query, path := isReadableQuery(r.URL.RawQuery), isText(r.URL.Path)
		if isData(r.URL.Path) {
			switch {
			case !path:
				return invite.Errorf(invite.CodeMalformed, "The path contains NUL or bytes that are not UTF-8.")
			case !query:
				return unreadableQuery(r.URL.RawQuery)
			}
			return next(c)
		}
		if !query {
			r.URL.RawQuery = repairQuery(r.URL.RawQuery)
		}
		if !path {
			values := c.ParamValues()
			for i, v := range values {
				values[i] = repairText(v)
			}
			c.SetParamValues(values...)
		}
		return next(c)
	}
}

// isData reports whether programs call path; people open all others.
func isData(path string) bool {
	return strings.HasPrefix(path, "/v1/") || strings.HasPrefix(path, "/hooks/")
}

func isText(s string) bool { return utf8.ValidString(s) && strings.IndexByte(s, 0) < 0 }

func repairText(s string) string {
	return strings.ReplaceAll(strings.ToValidUTF8(s, "\uFFFD"), "\x00", "\uFFFD")
}

// repairHeader repairs text from proxies and browsers, such as a city's name in
// Latin-1. Authorization and Idempotency-Key stay: two different values must
// not become one, and their readers refuse non-ASCII text.
func repairHeader(h http.Header) {
	for name, values := range h {
		if name == echo.HeaderAuthorization || name == "Idempotency-Key" {
			continue
		}
		for i, v := range values {
			if !isText(v) {
				values[i] = repairText(v)
			}
		}
	}
}

// unreadableQuery names the parameters at fault.
func unreadableQuery(raw string) error {
	refusal := &invite.Error{Code: invite.CodeMalformed, Message: "The query string contains NUL or bytes that are not UTF-8; errors names the parameters."}
	for pair := range strings.SplitSeq(raw, "&") {
		if isReadableQuery(pair) {
			continue
		}
		name, _, _ := strings.Cut(pair, "=")
		if plain, err := url.QueryUnescape(name); err == nil {
			name = plain
		}
		refusal.Faults = append(refusal.Faults, invite.Fault{
			Pointer: "/" + cutName(repairText(name)), Code: invite.FaultInvalid, Detail: "contains NUL or bytes that are not UTF-8",
		})
		if len(refusal.Faults) == maxQueryFaults {
			break
		}
	}
	return refusal
}

const (
	maxQueryFaults = 10
	maxQueryName   = 40 // characters of a name that an answer quotes
)

func cutName(name string) string {
	if runes := []rune(name); len(runes) > maxQueryName {
		return string(runes[:maxQueryName]) + "…"
	}
	return name
}

func isReadableQuery(raw string) bool {
	var f formCheck
	return f.add([]byte(raw)) && f.end()
}

// repairQuery drops parts that are not percent-encoded and repairs the
// rest.
func repairQuery(raw string) string {
	values, _ := url.ParseQuery(raw) // returns what it could read
	out := make(url.Values, len(values))
	for name, list := range values {
		for _, v := range list {
			out.Add(repairText(name), repairText(v))
		}
	}
	return out.Encode()
}

// formCheck examines a form or a query string (application/x-www-form-urlencoded)
// piece by piece: each name and value must decode to UTF-8 without NUL. A broken
// escape counts as the characters it is written with; parsers refuse it.
type formCheck struct {
	escape  []byte // of an escape that has begun: "%", then a digit
	pending []byte // of a character that has begun
}

// newFormCheck returns nil where the body is no form.
func newFormCheck(r *http.Request) *formCheck {
	media, _, _ := strings.Cut(r.Header.Get(echo.HeaderContentType), ";")
	if !strings.EqualFold(strings.TrimSpace(media), echo.MIMEApplicationForm) {
		return nil
	}
	return &formCheck{}
}

// add reports whether the text is still readable after p.
func (f *formCheck) add(p []byte) bool {
	for _, b := range p {
		f.escape = append(f.escape, b)
		switch {
		case len(f.escape) == 1 && (b == '&' || b == '='):
			f.escape = f.escape[:0]
			if !f.end() {
				return false
			}
			continue
		case len(f.escape) == 1 && b == '%', len(f.escape) == 2 && isHex(b):
			continue
		}
		decoded := f.escape
		if len(f.escape) == 3 && isHex(b) {
			decoded = []byte{hexValue(f.escape[1])<<4 | hexValue(b)}
		}
		if !f.decoded(decoded) {
			return false
		}
		f.escape = f.escape[:0]
	}
	return true
}

func (f *formCheck) decoded(p []byte) bool {
	for _, b := range p {
		if b == 0 {
			return false
		}
		f.pending = append(f.pending, b)
		if !utf8.FullRune(f.pending) {
			continue
		}
		if r, size := utf8.DecodeRune(f.pending); r == utf8.RuneError && size == 1 {
			return false
		}
		f.pending = f.pending[:0]
	}
	return true
}

// end reports whether the text may end, or a name or value in it.
func (f *formCheck) end() bool { return len(f.pending) == 0 }

func isHex(b byte) bool {
	return '0' <= b && b <= '9' || 'a' <= b && b <= 'f' || 'A' <= b && b <= 'F'
}

func hexValue(b byte) byte {
	switch {
	case b <= '9':
		return b - '0'
	case b <= 'F':
		return b - 'A' + 10
	default:
		return b - 'a' + 10
	}
}

// errUnreadableForm ends the reading of a form with NUL or invalid UTF-8.
var errUnreadableForm = errors.New("the form contains NUL or bytes that are not UTF-8")
