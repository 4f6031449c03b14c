package httpapi

import (
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/labstack/echo/v4"

	"github.com/connectlink/connectlink/internal/invite"
)

// params reads the filters of a list and gathers their faults. They come from
// the query string, where pointers name the parameter, /limit and /created[gte],
// or from a body, where they name the member, /created/gte.
type params struct {
	values url.Values
	faults []invite.Fault
	broken bool
	inBody bool
	// several and paired are the names that texts and pairs have read.
	several, paired []string
}

func parseQuery(c echo.Context) *params {
	values, err := url.ParseQuery(c.Request().URL.RawQuery)
	return &params{values: values, broken: err != nil}
}

func (q *params) add(name string, code invite.Code, format string, args ...any) {
	if q.inBody {
		name = strings.NewReplacer("[", "/", "]", "").Replace(name)
	}
	q.faults = append(q.faults, invite.Fault{Pointer: "/" + name, Code: code, Detail: fmt.Sprintf(format, args...)})
}

// done refuses faults and every parameter that is not known: a filter with a
// typing mistake would otherwise show everything.
func (q *params) done(known ...string) error {
	if q.broken {
		q.add("", invite.FaultInvalid, "the query string is not percent-encoded as it must be")
	}
	var names []string
	for name := range q.values {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		switch {
		case slices.Contains(q.several, name):
		case !slices.Contains(known, name) && !slices.Contains(q.paired, name):
			q.unknown(name, known)
		case len(q.values[name]) > 1:
			q.add(name, invite.FaultDuplicate, "is given more than once")
		case q.values[name][0] == "" && name != "cursor":
			// A program whose variable is empty would otherwise get everybody's.
			q.add(name, invite.FaultInvalid, "is empty; give a value or leave it out")
		}
	}
	return faultsError(q.faults)
}

func (q *params) unknown(name string, known []string) {
	if len(name) > 40 {
		name = name[:40] // what stands here is anybody's
	}
	detail := "is not a parameter here; there are " + strings.Join(known, ", ")
	if len(known) == 0 {
		detail = "is not a parameter here; there are none"
	}
	q.add(strings.ToValidUTF8(name, "?"), invite.FaultUnknownField, "%s", detail)
}

func (q *params) text(name string, limit int) string {
	v := q.values.Get(name)
	if len(v) > limit {
		q.add(name, invite.FaultTooLong, "at most %d bytes", limit)
		return ""
	}
	return v
}

// chars is text whose length is bounded as the document counts it.
func (q *params) chars(name string, limit int) string {
	v := q.values.Get(name)
	if n := utf8.RuneCountInString(v); n > limit {
		q.add(name, invite.FaultTooLong, "at most %d characters, these are %d", limit, n)
		return ""
	}
	return v
}

// texts reads a parameter that may be repeated, up to most times.
func (q *params) texts(name string, most, limit int) []string {
	q.several = append(q.several, name)
	list := q.values[name]
	if len(list) > most {
		q.add(name, invite.FaultTooLong, "at most %d values, these are %d", most, len(list))
		return nil
	}
	for _, v := range list {
		switch n := utf8.RuneCountInString(v); {
		case v == "":
			q.add(name, invite.FaultInvalid, "is empty; give a value or leave it out")
		case n > limit:
			q.add(name, invite.FaultTooLong, "at most %d characters, these are %d", limit, n)
		}
	}
	return list
}

// pairs reads parameters such as metadata[ticket]=4711, up to most of them.
func (q *params) pairs(name string, most, longestName, longestValue int) map[string]string {
	out := make(map[string]string)
	for _, given := range slices.Sorted(maps.Keys(q.values)) {
		rest, begins := strings.CutPrefix(given, name+"[")
		member, ends := strings.CutSuffix(rest, "]")
		if !begins || !ends {
			continue
		}
		q.paired = append(q.paired, given)
		if n := utf8.RuneCountInString(member); n == 0 || n > longestName {
			q.add(name, invite.FaultTooLong, "a name has 1 to %d characters", longestName)
			continue
		}
		if n := utf8.RuneCountInString(q.values.Get(given)); n > longestValue {
			q.add(given, invite.FaultTooLong, "a value has at most %d characters, this one has %d", longestValue, n)
		}
		out[member] = q.values.Get(given)
	}
	if len(out) > most {
		q.add(name, invite.FaultTooLong, "at most %d pairs, these are %d", most, len(out))
	}
	return out
}

// words reads a comma-separated choice of several.
func (q *params) words(name string, allowed ...string) []string {
	v := q.values.Get(name)
	if v == "" {
		return nil
	}
	words := strings.Split(v, ",")
	for _, w := range words {
		if !slices.Contains(allowed, w) {
			q.add(name, invite.FaultInvalid, "must be one or more of %s, with commas between", strings.Join(allowed, ", "))
			return nil
		}
	}
	return words
}

// word reads a choice of one.
func (q *params) word(name string, allowed ...string) string {
	v := q.values.Get(name)
	if v != "" && !slices.Contains(allowed, v) {
		q.add(name, invite.FaultInvalid, "must be one of %s", strings.Join(allowed, ", "))
		return ""
	}
	return v
}

const (
	defaultLimit = 20
	maxLimit     = 100
)

func (q *params) limit() int {
	v := q.values.Get("limit")
	if v == "" {
		return defaultLimit
	}
	n, err := strconv.Atoi(v)
	if err != nil || n < 1 || n > maxLimit {
		q.add("limit", invite.FaultOutOfRange, "must be a whole number from 1 to %d", maxLimit)
		return defaultLimit
	}
	return n
}

// moment reads a time, or a date, which means its beginning in UTC.
func (q *params) moment(name string) time.Time {
	v := q.values.Get(name)
	if v == "" {
		return time.Time{}
	}
	for _, layout := range []string{time.RFC3339, time.DateOnly} {
		if at, err := time.Parse(layout, v); err == nil {
			return at
		}
	}
	q.add(name, invite.FaultInvalid, "must be a date or a time like 2026-11-23T15:04:05Z (RFC 3339)")
	return time.Time{}
}
