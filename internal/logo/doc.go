// Package logo owns the pictures of the apps to connect: it fetches each once from the
// address that Pipedream's catalogue names, keeps it in Postgres and serves it from this
// service's own host, so that a page makes no request to a third party.
//
// A picture is fetched in the background, at most once a day, by one of the processes,
// and never while a request waits. Only https and the configured hosts are asked, no
// address that is not public is connected to, and nothing is redirected. What comes is
// decoded as PNG, JPEG or GIF within bounds and drawn again as a small PNG, or read as SVG
// and written again from the elements that only draw: shapes, gradients, clips. An SVG
// that needs more is refused, because without it the logo would be another one.
//
// It must not decide where a picture is shown. A page without one shows the app's
// initial.
package logo
