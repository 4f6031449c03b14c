// Package trace records one OpenTelemetry trace for each invite: from the request
// that creates it through mint, attempts and callbacks to the webhooks of the
// product.
//
// The context of a trace outlives the process that began it: Marshal makes the 25
// bytes that are stored with the invite, and Resume continues the trace in another
// process, hours later.
//
// The package takes no free text. A span has a fixed name; its attributes are ids
// of this service, words of fixed sets and numbers, and its error is a word. So no
// address, link, token, code, key or URL with a query can stand in a trace.
package trace
