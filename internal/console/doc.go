// Package console is what staff reach by HTTP: the support console.
//
//	/console/sign-in…                   signing in: single sign-on, an emergency account, a link that works once
//	/console/settings, /console/help    one's own
//	/console/{project}/{test|live}/…    everything else
//
// The address alone determines the page: project, mode, page, filters. Every
// page works without scripts. A form answers 303 to a page, or shows itself
// again with its faults.
//
// It owns routes with the act that each needs (routes.go), authentication
// (gate.go), status codes and headers. It must not decide anything else: use
// cases act, package find reads, package view renders. Addresses reach a page
// masked, unless package unmask unmasked them and recorded it in the audit log.
//
// # What keeps others out
//
// Cookies carry a session, so every request that is not safe is refused when it
// comes from another origin (http.CrossOriginProtection), and the session
// cookie is SameSite=Lax: Strict would not come along when an issuer sends a
// person back. The policy of content allows this origin's style and script and
// nothing inline. Referrers stay on this origin: with none at all browsers would
// send "Origin: null" with forms, and the check above would refuse everybody.
//
// # How to add a page
//
// A new page is a file here, a template in templates/console, a line in
// routes.go, and a line in the matrix of roles, whose test fails without it.
package console
