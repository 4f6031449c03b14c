// Package story puts an invite into words for staff: where it stands in one
// sentence, what to do next, and what happened, grouped by message.
//
// Everything here is a pure function of the data read and the time. It must not
// read anything, and it must not decide on permissions: addresses come in
// masked or unmasked, as they may be shown, and texts of people and providers
// have their addresses masked by Hush.
package story

import "time"

// Words are the texts of one language; view.Base has them. Texts are English
// and marked by the call, so that catalogues can be checked against them.
type Words interface {
	T(text string, args ...any) string
	TN(one, many string, n int, args ...any) string
	Relative(at time.Time) string // "12 minutes ago"
	Span(d time.Duration) string  // "3 h 48 min"
}

// isolate keeps a value from being reordered by the text around it: an address
// in an Arabic sentence would otherwise fall to pieces.
func isolate(value string) string {
	if value == "" {
		return ""
	}
	return "\u2068" + value + "\u2069"
}
