package message

import (
	htmltemplate "html/template"

	"golang.org/x/text/unicode/bidi"
)

// FIRST STRONG ISOLATE and POP DIRECTIONAL ISOLATE (Unicode UAX 9, 2.4.2). Core
// mail programs (Gmail, Outlook, Yahoo, as caniemail tells) drop <bdi>, which
// says the same.
const (
	isolateBegin = "\u2068"
	isolateEnd   = "\u2069"
)

// isolateName returns a function that puts a name into an isolate where letters of
// it run against the text around it: rtl is that of the text. Other names stay as
// they are, without invisible characters.
func isolateName(rtl bool) func(string) string {
	return func(s string) string {
		for _, r := range s {
			p, _ := bidi.LookupRune(r)
			against := p.Class() == bidi.R || p.Class() == bidi.AL
			if rtl {
				against = p.Class() == bidi.L
			}
			if against {
				return isolateBegin + s + isolateEnd
			}
		}
		return s
	}
}

// wrapBDI returns a function that sets a name apart in HTML.
func wrapBDI(rtl bool) func(string) htmltemplate.HTML {
	isolate := isolateName(rtl)
	return func(s string) htmltemplate.HTML {
		return htmltemplate.HTML("<bdi>" + htmltemplate.HTMLEscapeString(isolate(s)) + "</bdi>") //nolint:gosec // escaped
	}
}
