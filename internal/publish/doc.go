// Package publish tells products what became of their invites: events out,
// signed as Standard Webhooks say, to the endpoints that products manage and to that
// of the configuration.
//
// An event is stored and queued in the transaction that made it true, so none is lost
// and none is sent that did not happen. It is delivered at least once, in no
// promised order: the higher sequence of two is the newer one, and the webhook-id is
// the same in every attempt.
//
// A name may resolve to anything: the address is checked after DNS, when the
// connection is made.
package publish
