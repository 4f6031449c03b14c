// Package linkpage is what recipients reach by HTTP: the page of an invite
// link, its button, its beacon, and the page they come back to.
//
//	GET, HEAD /c/{code}         the page; changes nothing but the fetch log
//	POST      /c/{code}         go on: 303 to a connect link, or the page that says why not
//	POST      /c/{code}/seen    somebody looked at the page and moved: 204, always
//	POST      /c/{code}/renew   send the recorded recipient a new link
//	GET, POST /c/{code}/verify  where digits are entered: 303 to a connect link once they are right
//	POST      /c/{code}/verify/again  send others
//	GET, POST /c/{code}/not-me  "this isn't for me"
//	GET       /done/{code}      back from Pipedream
//	GET, HEAD /r/…              where apps return to that claim it; what a browser sees when none did
//
// It owns status codes, headers and the limit on guessing. What a code leads to
// is decided by package visit, its data is made by package compose, and package page renders it.
//
// There are no cookies. The only credential of a POST is the code in its path.
// An attacker who can forge the request already has the code, so a cross-origin
// check would protect nothing. Under no-referrer, browsers send "Origin: null",
// which such a check would refuse.
package linkpage
