package httpapi

import "regexp"

// mask stands where a secret part of a link was.
const mask = "••••"

// The secret parts of the links that messages carry: the code of an invite
// link, and the whole query of a connect link. Both are found in text and in
// HTML attributes alike.
var (
	codeInLink  = regexp.MustCompile(`(https?://[^\s<>"'?#]*/(?:c|done)/)[0-9A-Za-z]+`)
	queryOfLink = regexp.MustCompile(`(https?://[^\s<>"'?#]*\?)[^\s<>"']+`)
)

// maskLinks makes the links of a message useless and leaves them recognisable.
func maskLinks(s string) string {
	s = codeInLink.ReplaceAllString(s, "${1}"+mask)
	return queryOfLink.ReplaceAllString(s, "${1}"+mask)
}
