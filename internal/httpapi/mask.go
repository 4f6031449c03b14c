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

// The digits of a passcode: a word of its own in text, and alone in its element
// in HTML, where colours have six digits too.
var (
	digitsInText = regexp.MustCompile(`\b[0-9]{6}\b`)
	digitsInHTML = regexp.MustCompile(`>\s*[0-9]{6}\s*<`)
)

func maskDigits(text, html string) (string, string) {
	return digitsInText.ReplaceAllString(text, mask), digitsInHTML.ReplaceAllString(html, ">"+mask+"<")
}

// maskLinks makes the links of a message useless and leaves them recognisable.
func maskLinks(s string) string {
	s = codeInLink.ReplaceAllString(s, "${1}"+mask)
	return queryOfLink.ReplaceAllString(s, "${1}"+mask)
}
